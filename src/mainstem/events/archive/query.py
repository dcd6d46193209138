"""SQL over the archive, by DuckDB, in memory and read-only. Loads pyarrow and duckdb.

DuckDB never opens a file by itself here: the files are handed to it as Arrow data sets, so access to files and network
is off for the SQL altogether, and a data set that is filtered by tenant has no other tenant's rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from mainstem.events.archive import queries
from mainstem.events.archive.columns import Column
from mainstem.events.archive.errors import ArchiveError
from mainstem.events.archive.folder import archived_days, day_path, manifest_of
from mainstem.events.archive.parquet import schema_of
from mainstem.events.archive.write import write_rows
from mainstem.platform.db import Connection

TABLES: Final = ("event", "batch")
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    # a name in the SQL is never a variable of this program
    "python_enable_replacements": "false",
}


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one table, and the columns that any of them has."""

    schema: str
    table: str
    paths: tuple[Path, ...]
    columns: tuple[Column, ...]


def archive_sources(folder: Path) -> list[Source]:
    """Return the tables of an archive; nothing when no day is archived. Raises ArchiveDamagedError."""
    days = [one.day for one in archived_days(folder)]
    files = [(day_path(folder, day), part) for day in days for part in manifest_of(folder, day).parts]
    if not files:
        return []
    events = Source(
        "archive",
        "event",
        tuple(path / part.event.name for path, part in files),
        _any_columns(part.event.columns for _, part in files),
    )
    batches = Source(
        "archive",
        "batch",
        tuple(path / part.batch.name for path, part in files),
        _any_columns(part.batch.columns for _, part in files),
    )
    return [events, batches]


async def live_sources(connection: Connection, folder: Path, since: datetime) -> list[Source]:
    """Copy what came in since a time from PostgreSQL into files of an empty folder; return them as tables."""
    sources = []
    for table, name in zip(TABLES, (queries.EVENT, queries.BATCH), strict=True):
        columns = await queries.columns(connection, name)
        path = folder / f"{table}.parquet"
        query = "live_events" if table == "event" else "live_batches"
        await write_rows(path, columns, queries.rows(connection, query, columns, since))
        sources.append(Source("live", table, (path,), columns))
    return sources


def empty_archive(live: Iterable[Source]) -> list[Source]:
    """Return the tables of an archive without a day, with the columns of the live ones."""
    return [Source("archive", one.table, (), one.columns) for one in live]


def open_session(sources: Sequence[Source], temporary: Path, tenant_id: int | None) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB in memory with a view per table, where the SQL reaches nothing else.

    With a tenant only its rows are there. What does not fit into memory goes to the folder `temporary`.
    """
    session = duckdb.connect(":memory:", config={**_CONFIG, "temp_directory": str(temporary)})
    session.execute("set timezone = 'UTC'")
    # counted for query_progress(), drawn by whoever asks
    session.execute("set enable_progress_bar = true")
    session.execute("set enable_progress_bar_print = false")
    for source in sources:
        data = _dataset(source)
        if tenant_id is not None:
            data = data.filter(ds.field("tenant_id") == tenant_id)
        hidden = f"{source.schema}_{source.table}_files"
        session.register(hidden, data)
        session.execute(f"create schema if not exists {source.schema}")
        session.execute(f"create view {source.schema}.{source.table} as select * from {hidden}")  # noqa: S608 - our names
    session.execute("set lock_configuration = true")
    return session


def require_select(session: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise ArchiveError unless the text is one statement that only reads, duckdb.Error for one that is no SQL."""
    statements = session.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ArchiveError("one SELECT is allowed here (or DESCRIBE, SHOW, SUMMARIZE), and nothing that writes")


def _any_columns(files: Iterable[tuple[Column, ...]]) -> tuple[Column, ...]:
    """Return the columns of all files: an older file has fewer, and NULL in the others."""
    return tuple({column.name: column for columns in files for column in columns}.values())


def _dataset(source: Source) -> Any:  # noqa: ANN401 - pyarrow has no types
    day = pa.field("day", pa.date32())
    by_day = ds.partitioning(pa.schema([day]), flavor="hive") if source.schema == "archive" else None
    schema = schema_of(source.columns)
    if by_day:
        schema = schema.append(day)
    if not source.paths:
        return ds.dataset(schema.empty_table())
    return ds.dataset([str(path) for path in source.paths], schema=schema, format="parquet", partitioning=by_day)
