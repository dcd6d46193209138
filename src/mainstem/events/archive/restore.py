"""Archived days back into tables, by binary COPY in bounded memory. Loads pyarrow."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from mainstem.events.archive.checked import checked_rows
from mainstem.events.archive.columns import COPY_HEADER, COPY_TRAILER, copy_rows
from mainstem.events.archive.manifest import File, Manifest
from mainstem.events.archive.queries import LONG_S
from mainstem.platform.db import Connection

_STAGED: Final = "archived_batch"


async def restore(
    connection: Connection, folder: Path, manifest: Manifest, *, event_table: str, batch_table: str
) -> int:
    """Copy a day's events and ledger rows into two tables, all or nothing; return the number of events.

    `folder` is that of the day. Ledger rows whose batch_id is there already stay as they are: a batch that touches two
    days is in both. Raises ArchiveDamagedError when a file is not what the manifest says; nothing is copied then.
    """
    async with connection.transaction():
        for part in manifest.parts:
            await _copy(connection, folder, part.event, event_table)
            await _copy_batches(connection, folder, part.batch, batch_table)
    return manifest.events


async def _copy(connection: Connection, folder: Path, file: File, table: str) -> None:
    schema, _, name = table.rpartition(".")
    await connection.copy_to_table(
        name,
        schema_name=schema or None,
        columns=[column.name for column in file.columns],
        source=_binary(folder, file),
        format="binary",
        timeout=LONG_S,
    )


async def _copy_batches(connection: Connection, folder: Path, file: File, table: str) -> None:
    await connection.execute(f"create temporary table {_STAGED} (like {table}) on commit drop")
    await _copy(connection, folder, file, _STAGED)
    names = ", ".join(f'"{column.name}"' for column in file.columns)
    await connection.execute(
        f"insert into {table} ({names}) select {names} from {_STAGED} s "  # noqa: S608 - names of our tables and columns
        f"where not exists (select from {table} t where t.batch_id = s.batch_id) on conflict do nothing",
        timeout=LONG_S,
    )
    await connection.execute(f"drop table {_STAGED}")


async def _binary(folder: Path, file: File) -> AsyncIterator[bytes]:
    yield COPY_HEADER
    for rows in checked_rows(folder, file):
        yield copy_rows(rows.fields)
    yield COPY_TRAILER
