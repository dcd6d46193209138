"""Days into the archive and back: exact, verified before the drop, and no event is ever lost."""

from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from events.archiving import (
    AWKWARD,
    DAY,
    NOON,
    archive,
    land,
    ledger,
    make_days,
    make_targets,
    only,
    plain,
    stored,
)

from mainstem.events.archive import archived_days, restore_day
from mainstem.platform.db import load_queries


async def test_a_day_goes_to_files_and_comes_back_exactly(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await make_days(connection)
    await land(connection, AWKWARD)
    await land(connection, [plain(10)])
    before, ledger_before = await stored(connection), await ledger(connection)
    [outcome] = await archive(connection, tmp_path)
    assert (outcome.day, outcome.events, outcome.kept) == (DAY, 5, None)
    assert await connection.fetchval("select to_regclass('raw.event_20010314')") is None
    assert await stored(connection) == []

    day = only(tmp_path)
    assert (day.day, day.events, day.batches) == (DAY, 5, 2)
    events, batches = await make_targets(connection)
    assert await restore_day(connection, day, event_table=events, batch_table=batches) == 5
    assert await stored(connection, events) == before
    assert await ledger(connection, batches) == ledger_before


async def test_infinite_times_come_back(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await make_days(connection)
    await land(connection, [plain(1), plain(2), plain(3)])
    await connection.execute(
        "update raw.event set occurred_at = case right(message_id, 1) when '1' then 'infinity'::timestamptz "
        "when '2' then '-infinity' else '4713-01-01 00:00:00+00 BC' end"
    )
    [outcome] = await archive(connection, tmp_path)
    assert outcome.kept is None
    events, batches = await make_targets(connection)
    await restore_day(connection, only(tmp_path), event_table=events, batch_table=batches)
    times = await connection.fetch(f"select occurred_at::text as at from {events} order by raw_id")
    assert [row["at"] for row in times] == ["infinity", "-infinity", "4713-01-01 00:00:00+00 BC"]


async def test_a_batch_that_touches_two_days_is_in_both(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await make_days(connection, DAY, DAY + timedelta(days=1))
    await land(connection, [plain(1), plain(2, NOON + timedelta(days=1))])
    await land(connection, [plain(3, NOON + timedelta(days=1))])
    before, ledger_before = await stored(connection), await ledger(connection)
    assert [one.events for one in await archive(connection, tmp_path)] == [1, 2]
    events, batches = await make_targets(connection)
    days = archived_days(tmp_path)
    assert [(one.events, one.batches) for one in days] == [(1, 1), (2, 2)]
    for one in days:
        await restore_day(connection, one, event_table=events, batch_table=batches)
    assert await stored(connection, events) == before
    assert await ledger(connection, batches) == ledger_before


@pytest.mark.parametrize("name", sorted(load_queries("mainstem.events.archive")))
async def test_every_query_is_valid_for_the_schema(name: str, connection: asyncpg.Connection) -> None:
    queries = load_queries("mainstem.events.archive")
    await connection.execute(queries["make_archived"])
    await connection.prepare(queries[name].replace("{columns}", "1"))
