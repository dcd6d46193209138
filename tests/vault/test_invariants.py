"""What always holds, tried at random: a repeat changes nothing, many writers and loaders load each event once."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from siting import FEEDS, load_all, loading
from vault.rebuilding import everything, history, land, load, rebuilt, rows, visit
from vault.test_running import running

from mainstem.events.model import NewEvent
from mainstem.vault.loader import Loader

MESSAGES = [
    visit(n * 13 % 80, n, message=f"r{n}", title="AB"[n % 2], subject=f"s{n}" if n % 3 else None) for n in range(12)
]
TABLES_OF_SESSIONS = ("business.session", "business.site_hour", "business.visitor_day", "business.site_day")


@pytest.fixture
async def loaded(connection: asyncpg.Connection, dsn: str) -> AsyncIterator[Loader]:
    async with loading(dsn) as loader:
        await land(connection, MESSAGES)
        await load_all(connection, loader)
        yield loader


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(again=st.lists(st.integers(0, len(MESSAGES) - 1), min_size=1, max_size=20))
async def test_a_replay_of_any_subset_changes_nothing(connection, loaded, again):
    before = await everything(connection)
    await land(connection, [MESSAGES[number] for number in again])
    await load_all(connection, loaded)
    assert await everything(connection) == before


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(len(MESSAGES))),
    cuts=st.sets(st.integers(1, len(MESSAGES) - 1)),
    repeats=st.lists(st.integers(0, len(MESSAGES) - 1), max_size=5),
)
@pytest.mark.timeout(180)
async def test_any_history_can_be_rebuilt(connection, dsn, order, cuts, repeats):
    """Whatever came in which order, in which batches and how often."""
    numbers = [*order, *repeats]
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(numbers)], strict=True):
        await land(connection, [MESSAGES[number] for number in numbers[start:end]])
        await load(dsn)
    assert (await rebuilt(dsn)).equal


async def test_loads_of_several_lanes_are_rebuilt(connection, dsn: str):
    """Lanes commit in any order; the rebuild takes their loads by load time."""
    await history(connection, dsn)
    for number in range(6):
        await land(connection, [visit(n, n, message=f"q{number}{n}", tenant_id=1 + number % 2) for n in range(4)])
    await asyncio.gather(load(dsn, lane_count=2, lanes=(0,)), load(dsn, lane_count=2, lanes=(1,)))
    assert await connection.fetchval("select count(*) from vault.lane") == 2
    assert (await rebuilt(dsn)).equal


@asynccontextmanager
async def long_transaction(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Hold a transaction that writes open, as somebody's forgotten psql does."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("create table forgotten as select 1")
            yield connection
    finally:
        await connection.close()


async def write(dsn: str, number: int, commits: int, chance: random.Random) -> list[NewEvent]:
    """Commit batches whose ids are taken long before they are seen; return their events."""
    sent: list[NewEvent] = []
    connection = await asyncpg.connect(dsn)
    try:
        for batch in range(commits):
            # some of the messages are sent by two writers
            senders = [f"both{number // 2}" if n < 2 else f"own{number}" for n in range(5)]
            events = [visit(n, n, message=f"{who}-{batch}-{n}") for n, who in enumerate(senders)]
            async with connection.transaction():
                await land(connection, events)
                await asyncio.sleep(chance.random() * 0.03)
            sent += events
    finally:
        await connection.close()
    return sent


@pytest.mark.timeout(120)
async def test_many_writers_and_loaders_load_each_event_once_beside_a_long_transaction(
    connection: asyncpg.Connection, dsn: str, empty_dsn: str
):
    """The gaps that readers of `id > last_id` fall into: ids are taken early, and committed late and out of order."""
    chance, writers, commits = random.Random(7), 6, 20
    loaders = [Loader(dsn, FEEDS, claim_events=30) for _ in range(3)]
    async with long_transaction(empty_dsn), long_transaction(dsn), running(*loaders) as progress:
        writing = [asyncio.create_task(write(dsn, number, commits, chance)) for number in range(writers)]
        while not all(task.done() for task in writing):
            for one in loaders:
                one.nudge()
            await asyncio.sleep(0.005)
        # the lag is bounded though the transactions are still open
        await progress.batches(writers * commits)
        sent = [event for task in writing for event in await task]
        lag = await connection.fetchval("select max(loaded_at - committed_at) from raw.batch")
    assert lag < timedelta(seconds=20)
    uids = {event.event_uid for event in sent}
    assert len(uids) < len(sent) == writers * commits * 5
    found = await connection.fetch("select event_uid, count(*) from vault.nhl_site_event group by 1")
    assert {row["event_uid"] for row in found} == uids
    assert {row["count"] for row in found} == {1}
    assert await connection.fetchval("select sum(events) from business.session") == len(uids)
    loaded, duplicates = await connection.fetchrow("select sum(loaded), sum(duplicates) from raw.batch")
    assert (loaded, loaded + duplicates) == (len(uids), len(sent))
    for table in TABLES_OF_SESSIONS:
        assert await rows(connection, table)
    assert (await rebuilt(dsn)).equal
