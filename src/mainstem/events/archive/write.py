"""One day from `raw` into the archive, and out of PostgreSQL. Loads pyarrow.

The order is what keeps every event: the files are written and read back; they become part of the archive, flushed to
the disk; PostgreSQL compares each of its rows with what was read back, while nobody can add to the day; only then, and
in that transaction, the rows go. After a kill at any point the next run begins with whatever is there.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import date
from functools import partial
from pathlib import Path

import mainstem
from mainstem.events.archive import queries
from mainstem.events.archive.checked import Rows, Scan, checked_rows
from mainstem.events.archive.columns import Column, Values, total_of
from mainstem.events.archive.errors import ArchiveError
from mainstem.events.archive.folder import day_path, empty_draft, find_manifest, publish
from mainstem.events.archive.manifest import File, Manifest, Part, with_part
from mainstem.events.archive.parquet import Writer
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection

Advance = Callable[[int], None]
"""Called with how many more events were written."""


async def archive_day(connection: Connection, folder: Path, day: date, advance: Advance) -> int:
    """Archive what a day has that its files don't, then drop it; return how many events were written.

    Raises ArchiveError (ArchiveDamagedError) or OSError when the day has to stay in PostgreSQL, and what PostgreSQL
    says, such as asyncpg.LockNotAvailableError when somebody else's transaction is in the way.
    """
    await queries.make_archived(connection)
    try:
        known = find_manifest(folder, day)
        for part in known.parts if known else ():
            for rows in checked_rows(day_path(folder, day), part.event):
                await _list(connection, part.number, rows)
        written = await _add_part(connection, folder, day, known, advance)
        await _let_go(connection, day)
    finally:
        if not connection.is_closed():
            await queries.forget_archived(connection)
    return written


async def write_rows(
    path: Path, columns: tuple[Column, ...], rows: AsyncGenerator[list[Values]], advance: Advance | None = None
) -> int:
    """Write rows to a new file; return how many. Raises OSError."""
    # closed here and now: an error of the file must not leave the query's transaction open
    async with aclosing(rows):
        with Writer(path, columns) as writer:
            async for values in rows:
                writer.write(values)
                if advance is not None:
                    advance(len(values[0]))
    return writer.rows


async def _add_part(connection: Connection, folder: Path, day: date, known: Manifest | None, advance: Advance) -> int:
    number = known.parts[-1].number + 1 if known else 1
    draft = empty_draft(folder)
    if known:
        await queries.index_archived(connection)
    event = await _event_file(connection, draft / f"event-{number}.parquet", day, number, advance)
    if event.rows:
        batch = await _batch_file(connection, draft / f"batch-{number}.parquet", number)
        publish(folder, with_part(day, known, Part(number, utc_now(), mainstem.__version__, event, batch)))
    return event.rows


async def _event_file(connection: Connection, path: Path, day: date, number: int, advance: Advance) -> File:
    columns = await queries.columns(connection, queries.EVENT)
    query = "events" if number == 1 else "new_events"
    written = await write_rows(path, columns, queries.rows(connection, query, columns, *queries.bounds(day)), advance)
    return await _read_back(path, columns, written, partial(_list, connection, number))


async def _batch_file(connection: Connection, path: Path, number: int) -> File:
    columns = await queries.columns(connection, queries.BATCH)
    await queries.index_archived(connection)
    written = await write_rows(path, columns, queries.rows(connection, "batches", columns, number))
    ledger = 0

    async def add(rows: Rows) -> None:
        nonlocal ledger
        ledger += await queries.total_batches(connection, rows.values["batch_id"])

    file = await _read_back(path, columns, written, add)
    if total_of(ledger) != file.total:
        raise ArchiveError(f"{path}: its hash total is {file.total}, that of the ledger's rows {total_of(ledger)}")
    return file


async def _read_back(
    path: Path, columns: tuple[Column, ...], written: int, use: Callable[[Rows], Awaitable[None]]
) -> File:
    scan = Scan(path, columns)
    for rows in scan:
        await use(rows)
    if scan.rows != written:
        raise ArchiveError(f"{path}: {written} rows were written, {scan.rows} read back")
    return scan.file()


async def _list(connection: Connection, part: int, rows: Rows) -> None:
    await queries.add_archived(connection, part, rows.values["raw_id"], rows.hashes)


async def _let_go(connection: Connection, day: date) -> None:
    async with connection.transaction():
        await queries.hold_day(connection, day)
        if await queries.is_waiting(connection, day):
            raise ArchiveError("events came that are still to be loaded")
        found = await queries.compare(connection, day)
        if found.missing:
            raise ArchiveError(
                f"{found.missing} of {found.events} events are not in its files as the database has them"
            )
        await queries.drop_day(connection, day)
