"""One typed function per query of the archive."""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import repeat
from typing import Final, NamedTuple

from mainstem.events.archive.columns import Column, Values, select_list
from mainstem.platform.db import Connection, load_queries

EVENT: Final = "raw.event"
BATCH: Final = "raw.batch"
FETCH_ROWS: Final = 1_000
"""Rows in one answer: an event may be 64 KB, so this bounds memory, too."""
LONG_S: Final = 86_400.0
"""Time limit of what reads or copies a whole day, also on a connection whose own limit is short."""

_sql: Final = load_queries("mainstem.events.archive")


class Comparison(NamedTuple):
    """A day in PostgreSQL: its events, and how many of them its files don't have just so."""

    events: int
    missing: int


def bounds(day: date) -> tuple[datetime, datetime]:
    """Return the beginning of a day (UTC) and that of the next."""
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


async def try_lock(connection: Connection) -> bool:
    """Take the lock of the one process of the database that writes archives; False when another has it."""
    return bool(await connection.fetchval(_sql["try_lock"]))


async def release_lock(connection: Connection) -> None:
    """Let the lock go."""
    await connection.fetchval(_sql["release_lock"])


async def columns(connection: Connection, table: str) -> tuple[Column, ...]:
    """Return the columns of a table in their order."""
    return tuple(Column(*row) for row in await connection.fetch(_sql["columns"], table))


async def days_to_go(connection: Connection, before: date) -> list[date]:
    """Return the days before `before` that still have something in `raw` and no event of an unloaded batch."""
    return [day for (day,) in await connection.fetch(_sql["days"], before, bounds(before)[0], timeout=LONG_S)]


async def estimate(connection: Connection, day: date) -> int:
    """Return about how many events a day has; 0 where nobody knows."""
    return int(await connection.fetchval(_sql["count_events"], day))


async def forget_archived(connection: Connection) -> None:
    """Drop the session's list of what the files of a day hold."""
    await connection.execute(_sql["forget_archived"])


async def make_archived(connection: Connection) -> None:
    """Make that list anew, empty."""
    await forget_archived(connection)
    await connection.execute(_sql["make_archived"])


async def add_archived(connection: Connection, part: int, raw_ids: Values, hashes: Sequence[int]) -> None:
    """Add rows of a part, as read back from its file, to the list."""
    records = zip(repeat(part), raw_ids, hashes, strict=False)
    await connection.copy_records_to_table("archived", records=records, timeout=LONG_S)


async def index_archived(connection: Connection) -> None:
    """Make the list ready for look-ups."""
    await connection.execute(_sql["index_archived"], timeout=LONG_S)
    await connection.execute(_sql["analyze_archived"], timeout=LONG_S)


async def rows(
    connection: Connection, name: str, read: Sequence[Column], *arguments: object
) -> AsyncGenerator[list[Values]]:
    """Yield what a query returns, by column as values travel, FETCH_ROWS rows at a time, in one snapshot."""
    query = _sql[name].replace("{columns}", select_list(read, "r"))
    async with connection.transaction():
        await connection.execute(_sql["in_index_order"])
        cursor = await connection.cursor(query, *arguments, timeout=LONG_S)
        while found := await cursor.fetch(FETCH_ROWS, timeout=LONG_S):
            yield list(zip(*found, strict=True))


async def hold_day(connection: Connection, day: date) -> bool:
    """Keep everybody from adding to a day until the transaction ends; False when it has no partition.

    From here on this transaction waits for no lock longer than two seconds: intake would wait behind it.
    """
    await connection.execute(_sql["be_impatient"])
    return bool(await connection.fetchval(_sql["hold_day"], day))


async def is_waiting(connection: Connection, day: date) -> bool:
    """Tell whether an event of the day is still to be loaded."""
    return bool(await connection.fetchval(_sql["is_waiting"], day))


async def compare(connection: Connection, day: date) -> Comparison:
    """Compare each event of a day with the session's list of what the files hold."""
    row = await connection.fetchrow(_sql["compare"], *bounds(day), timeout=LONG_S)
    return Comparison(*row) if row else Comparison(0, 0)


async def total_batches(connection: Connection, batch_ids: Values) -> int:
    """Return the sum of the hashes of ledger rows."""
    return int(await connection.fetchval(_sql["total_batches"], list(batch_ids), timeout=LONG_S))


async def drop_day(connection: Connection, day: date) -> None:
    """Drop the partition of a day, or those of its late events that are on the session's list."""
    await connection.execute(_sql["drop_day"], day, timeout=LONG_S)
