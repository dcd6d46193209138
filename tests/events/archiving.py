"""What the archive's tests share: days of awkward events in the landing, and an archiver in this process."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from mainstem.events.archive.folder import ArchivedDay, archived_days
from mainstem.events.archive.run import DayOutcome, archive_before

DAY = date(2001, 3, 14)
NOON = datetime(2001, 3, 14, 12, tzinfo=UTC)
LATER = DAY + timedelta(days=30)
EVENT_COLUMNS = (
    "raw_id, received_at, tenant_id, event_uid, kind, occurred_at, source, message_id, subject, visitor, ip, "
    "user_agent, flags, data::text"
)
Row = tuple[object, ...]

AWKWARD: Sequence[Row] = (
    # received_at, tenant, uid, kind, occurred_at, source, message_id, subject, visitor, ip, agent, flags, data
    (NOON, 1, UUID(int=0), "page.viewed", NOON, "test", None, None, None, None, None, 0, "{}"),
    (NOON + timedelta(microseconds=1), 1, UUID(int=2**128 - 1), "", NOON, "", "", "", "", "", "", -32768, '""'),
    (
        datetime(2001, 3, 14, 23, 59, 59, 999999, tzinfo=UTC),
        2_147_483_647,
        UUID(int=1),
        "käse.gegessen",
        datetime(1, 1, 1, tzinfo=UTC),
        "\u202e\U0001f9c0",
        "null",
        "NULL",
        "\\N",
        "a\tb\nc\r\n",
        '"quoted", with comma',
        32767,
        '{ "b" : 1,\t"a": 1.10, "a": -1e-400, "\\u0000": "\\ud83e\\uddc0",\n"n": 123456789012345678901234567890}',
    ),
    (
        datetime(2001, 3, 14, tzinfo=UTC),
        -5,
        UUID(int=7),
        "x" * 5_000,
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        "test",
        "m",
        "s",
        "v",
        "192.0.2.0",
        "agent",
        1,
        json.dumps({"text": "y" * 60_000}),
    ),
)


class Quiet:
    """Hears how the work goes, and keeps it."""

    def __init__(self) -> None:
        self.begun: dict[date, int] = {}
        self.events = 0

    def begin(self, day: date, events: int) -> None:
        self.begun[day] = events

    def advance(self, events: int) -> None:
        self.events += events


async def land(connection: asyncpg.Connection, rows: Sequence[Row], *, loaded: bool = True) -> int:
    """Commit rows as one batch, loaded or not; return its id."""
    first = int(await connection.fetchval("select nextval('raw.raw_id_block')"))
    times = [row[0] for row in rows]
    async with connection.transaction():
        await connection.execute(
            "insert into raw.batch (batch_id, tenant_id, events, origin, received_from, received_to, loaded_at, load_ts, loaded)"
            " values ($1, 1, $2, 'test', $3, $4, $5, $5, $6)",
            first,
            len(rows),
            min(times),
            max(times),
            NOON if loaded else None,
            len(rows) if loaded else 0,
        )
        await connection.copy_records_to_table(
            "event", schema_name="raw", records=[(first + number, *row) for number, row in enumerate(rows)]
        )
    return first


def plain(number: int, moment: datetime = NOON) -> Row:
    """Return an ordinary event."""
    return (moment, 1, UUID(int=number), "page.viewed", moment, "test", f"m{number}", None, "v", None, None, 0, "{}")


async def make_days(connection: asyncpg.Connection, first: date = DAY, last: date = DAY) -> None:
    """Make day partitions."""
    await connection.execute("select raw.ensure_partitions($1, $2)", first, last)


async def archive(connection: asyncpg.Connection, folder: Path, before: date = LATER) -> list[DayOutcome]:
    """Archive in this process; the days that the migrations made are left out."""
    outcomes = await archive_before(connection, folder, before, done=lambda _: None, progress=Quiet())
    return [one for one in outcomes if one.day.year == DAY.year]


async def stored(connection: asyncpg.Connection, table: str = "raw.event") -> list[asyncpg.Record]:
    """Return all events of a table, by raw id."""
    return await connection.fetch(f"select {EVENT_COLUMNS} from {table} order by raw_id")


async def ledger(connection: asyncpg.Connection, table: str = "raw.batch") -> list[asyncpg.Record]:
    """Return the ledger rows of a table."""
    return await connection.fetch(f"select * from {table} order by batch_id")


async def make_targets(connection: asyncpg.Connection) -> tuple[str, str]:
    """Make empty tables like raw.event and raw.batch in a schema of their own; return their names."""
    await connection.execute(
        "create schema back; create table back.event (like raw.event); "
        "create table back.batch (like raw.batch including indexes)"
    )
    return "back.event", "back.batch"


def only(folder: Path) -> ArchivedDay:
    """Return the one archived day."""
    [day] = archived_days(folder)
    return day
