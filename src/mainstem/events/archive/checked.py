"""Reading a file of the archive back: what it really holds, and whether that is what its manifest says. Loads pyarrow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mainstem.events.archive.columns import Column, Fields, Values, packed, row_hashes, total_of
from mainstem.events.archive.errors import ArchiveDamagedError
from mainstem.events.archive.manifest import File
from mainstem.events.archive.parquet import digest, read


class Rows(NamedTuple):
    """Some rows, by column, as values and in PostgreSQL's binary form, and the hash of each row."""

    values: dict[str, Values]
    fields: list[Fields]
    hashes: list[int]


class Scan:
    """Reads a file once, in bounded memory, and knows afterwards how many rows it has and their hash total."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        """Take the file and the columns that it should have."""
        self._path = path
        self._columns = tuple(columns)
        self._sum = 0
        self.rows = 0

    def __iter__(self) -> Iterator[Rows]:
        """Yield the rows, some thousands at a time. Raises ArchiveDamagedError."""
        names = [column.name for column in self._columns]
        for values in read(self._path, self._columns):
            fields = packed(self._columns, values)
            hashes = row_hashes(self._columns, fields)
            self.rows += len(hashes)
            self._sum += sum(hashes)
            yield Rows(dict(zip(names, values, strict=True)), fields, hashes)

    @property
    def total(self) -> str:
        """Return the hash total of the rows read so far."""
        return total_of(self._sum)

    def file(self) -> File:
        """Return what the manifest has to say about the file, once it is read."""
        size = self._path.stat().st_size
        return File(self._path.name, self.rows, self.total, size, digest(self._path), self._columns)


def checked_rows(folder: Path, file: File) -> Iterator[Rows]:
    """Yield the rows of a file in a day's folder; raises ArchiveDamagedError when they are not what the manifest says.

    That may be after the last of them: nothing may be made final before the iterator has ended without an error.
    """
    scan = Scan(folder / file.name, file.columns)
    yield from scan
    if (scan.rows, scan.total) != (file.rows, file.total):
        raise ArchiveDamagedError(
            f"{folder / file.name}: {scan.rows} rows with the hash total {scan.total}, "
            f"the manifest says {file.rows} with {file.total}"
        )


def check_bytes(folder: Path, file: File) -> None:
    """Raise ArchiveDamagedError when a file is missing or a byte of it differs from what was written."""
    path = folder / file.name
    try:
        found = (path.stat().st_size, digest(path))
    except OSError as error:
        raise ArchiveDamagedError(f"{path}: {error.strerror}") from error
    if found != (file.bytes, file.sha256):
        raise ArchiveDamagedError(f"{path}: its bytes are not those that were written")
