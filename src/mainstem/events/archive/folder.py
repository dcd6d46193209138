"""The folder of the archive: `raw/day=YYYY-MM-DD/` holds a day, and appears whole or not at all.

A day is written in `raw/.draft`, flushed to the disk and renamed. A further part of a day comes into being when the
manifest that names it replaces the one before. A kill leaves a draft, which the next run removes.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from mainstem.events.archive.errors import ArchiveDamagedError, ArchiveError
from mainstem.events.archive.manifest import Manifest, decode, encode

MANIFEST: Final = "manifest.json"
_PREFIX: Final = "day="
_PRIVATE: Final = 0o700


@dataclass(frozen=True, slots=True)
class ArchivedDay:
    """A day (UTC, by received_at) that is in the archive: its folder, its events, the ledger rows of their batches."""

    day: date
    path: Path
    events: int
    batches: int


def archive_folder(configured: Path | None, data_dir: Path) -> Path:
    """Return the folder of the archive: the setting, else `archive` in the data folder."""
    return (configured or data_dir / "archive").absolute()


def day_path(folder: Path, day: date) -> Path:
    """Return the folder of a day, whether it exists or not."""
    return folder / "raw" / f"{_PREFIX}{day.isoformat()}"


def archived_days(folder: Path) -> list[ArchivedDay]:
    """Return the days of an archive, oldest first. Raises ArchiveDamagedError for one without a good manifest."""
    manifests = [(day_path(folder, day), manifest_of(folder, day)) for day in day_names(folder)]
    return [ArchivedDay(found.day, path, found.events, found.batches) for path, found in manifests]


def manifest_of(folder: Path, day: date) -> Manifest:
    """Return the manifest of a day that has a folder. Raises ArchiveDamagedError."""
    path = day_path(folder, day) / MANIFEST
    try:
        return decode(path.read_bytes(), day)
    except OSError as error:
        raise ArchiveDamagedError(f"{path}: {error.strerror}") from error


def find_manifest(folder: Path, day: date) -> Manifest | None:
    """Return the manifest of a day, or None when it is not archived. Raises ArchiveDamagedError."""
    return manifest_of(folder, day) if day_path(folder, day).exists() else None


def day_names(folder: Path) -> list[date]:
    """Return the days that have a folder in an archive, oldest first, good or damaged."""
    try:
        names = [path.name for path in (folder / "raw").iterdir()]
    except FileNotFoundError:
        return []
    return sorted(day for name in names if (day := _day_of(name)) is not None)


def _day_of(name: str) -> date | None:
    try:
        return date.fromisoformat(name.removeprefix(_PREFIX)) if name.startswith(_PREFIX) else None
    except ValueError:
        return None


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make the folder where needed, keep other processes of this machine from writing to it, remove half-made days.

    Raises OSError when the folder can't be made or written to, ArchiveError when another process writes.
    """
    (folder / "raw").mkdir(parents=True, exist_ok=True, mode=_PRIVATE)
    with (folder / ".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveError(f"another process writes to {folder}") from None
        try:
            yield
        finally:
            shutil.rmtree(_draft(folder), ignore_errors=True)


def empty_draft(folder: Path) -> Path:
    """Return a new empty folder for files that are not yet part of the archive. Raises OSError."""
    draft = _draft(folder)
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=_PRIVATE)
    return draft


def publish(folder: Path, manifest: Manifest) -> None:
    """Make the files of the draft a part of the day, durably and at once. Raises OSError."""
    draft, target = _draft(folder), day_path(folder, manifest.day)
    (draft / MANIFEST).write_bytes(encode(manifest))
    for path in draft.iterdir():
        _flush(path)
    _flush(draft)
    if target.exists():
        for file in manifest.parts[-1].files:
            (draft / file.name).replace(target / file.name)
        _flush(target)
        (draft / MANIFEST).replace(target / MANIFEST)
        _flush(target)
    else:
        draft.rename(target)
    _flush(target.parent)


def _draft(folder: Path) -> Path:
    return folder / "raw" / ".draft"


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
