"""Rows in Parquet files, in bounded memory. Loads pyarrow: import this only to read or write an archive.

A row group ends after GROUP_ROWS rows or GROUP_BYTES of text and bytes, whichever comes first; that much is in memory
at a time, however large the day. Pages carry checksums. Times are UTC microseconds, uuid and json keep their types.
"""

from collections.abc import Iterator, Sequence
from hashlib import file_digest
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from mainstem.events.archive.columns import Column, Values
from mainstem.events.archive.errors import ArchiveDamagedError

GROUP_ROWS: Final = 50_000
GROUP_BYTES: Final = 32 * 1_048_576
READ_ROWS: Final = 5_000

_ARROW: Final[dict[str, Any]] = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "json": pa.json_(),
    "bytea": pa.binary(),
    "uuid": pa.uuid(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}


class Writer:
    """Writes a table to a new file; complete after the `with` block ends without an error. Raises OSError."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        """Open the file; it must not exist."""
        self._columns = columns
        self._schema = schema_of(columns)
        self._file = path.open("xb")
        self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd", write_page_checksum=True)
        self._pending: list[Any] = []
        self._rows = self._bytes = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._flush()
                self._writer.close()
        finally:
            self._file.close()

    def write(self, values: Sequence[Values]) -> None:
        """Add rows, given by column. Raises OSError."""
        arrays = [_array(field.type, column) for field, column in zip(self._schema, values, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._pending.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._pending), row_group_size=self._rows)
        self.rows += self._rows
        self._pending, self._rows, self._bytes = [], 0, 0


def schema_of(columns: Sequence[Column]) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return the Arrow schema of columns."""
    return pa.schema([pa.field(column.name, _ARROW[column.type]) for column in columns])


def read(path: Path, columns: Sequence[Column]) -> Iterator[list[Values]]:
    """Yield the rows of a file by column, READ_ROWS at a time. Raises ArchiveDamagedError."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            if not file.schema_arrow.equals(schema_of(columns)):
                raise ArchiveDamagedError(f"{path}: its columns are not those of the manifest")
            for batch in file.iter_batches(READ_ROWS, use_threads=False):
                yield [_values(column) for column in batch.columns]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise ArchiveDamagedError(line if str(path) in line else f"{path}: {line}") from error


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _array(type_: Any, values: Values) -> Any:  # noqa: ANN401 - pyarrow has no types
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, pa.array(values, type_.storage_type))
    if pa.types.is_timestamp(type_):
        return pa.array(values, pa.int64()).cast(type_)
    return pa.array(values, type_)


def _values(column: Any) -> Values:  # noqa: ANN401 - pyarrow has no types
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values
