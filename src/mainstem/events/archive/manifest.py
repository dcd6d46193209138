"""What an archived day consists of: `manifest.json`. Pure.

The manifest is what makes files a part of the archive: a file that none names is half-made and counts for nothing.
"""

from datetime import date, datetime
from typing import Final

import msgspec

from mainstem.events.archive.columns import Column
from mainstem.events.archive.errors import ArchiveDamagedError

SCHEMA_VERSION: Final = 1


class File(msgspec.Struct, frozen=True):
    """A Parquet file: its rows, their hash total (columns.total_of), its bytes and their SHA-256."""

    name: str
    rows: int
    total: str
    bytes: int
    sha256: str
    columns: tuple[Column, ...]


class Part(msgspec.Struct, frozen=True):
    """Events of a day and the ledger rows of their batches; late events make further parts."""

    number: int
    created_at: datetime
    product: str
    event: File
    batch: File

    @property
    def files(self) -> tuple[File, File]:
        """Return both files."""
        return self.event, self.batch


class Manifest(msgspec.Struct, frozen=True):
    """An archived day (UTC, by received_at)."""

    day: date
    events: int
    batches: int
    parts: tuple[Part, ...]
    schema_version: int = SCHEMA_VERSION

    @property
    def bytes(self) -> int:
        """Return the size of all files."""
        return sum(file.bytes for part in self.parts for file in part.files)


def with_part(day: date, known: Manifest | None, part: Part) -> Manifest:
    """Return the manifest of a day after one more part."""
    parts = (*(known.parts if known else ()), part)
    return Manifest(day, sum(one.event.rows for one in parts), sum(one.batch.rows for one in parts), parts)


def encode(manifest: Manifest) -> bytes:
    """Return the text of `manifest.json`."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(text: bytes, day: date) -> Manifest:
    """Return the manifest of a day. Raises ArchiveDamagedError for a text that is none, or that of another day."""
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArchiveDamagedError(f"manifest.json of {day} can't be read: {error}") from None
    if manifest.schema_version != SCHEMA_VERSION:
        raise ArchiveDamagedError(
            f"manifest.json of {day} has the form {manifest.schema_version}; this version reads {SCHEMA_VERSION}"
        )
    if manifest.day != day:
        raise ArchiveDamagedError(f"manifest.json of {day} is that of {manifest.day}")
    return manifest
