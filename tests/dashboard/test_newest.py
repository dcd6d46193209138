"""Events as they are loaded: the newest, not too many, the rest counted."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siting import load_all, loading
from watching import land, serving

from mainstem.dashboard.newest import RATE, Allowance
from mainstem.platform.db import load_queries


@pytest.fixture
async def served(dsn):
    async with serving(dsn) as served:
        yield served


@pytest.fixture
async def key(served):
    return await served.key()


@pytest.fixture
async def loader(dsn):
    async with loading(dsn) as loader:
        yield loader


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 200)), max_size=50))
def test_no_more_are_shown_than_a_second_allows(steps):
    now, shown = 0.0, 0
    allowance = Allowance(now)
    for pause, wanted in steps:
        now += pause
        available = allowance.available(now)
        assert 0 <= available <= RATE
        allowance.spend(min(wanted, available))
        shown += min(wanted, available)
        assert shown <= RATE + now * RATE + 1e-6


def test_a_clock_that_goes_back_gives_nothing():
    allowance = Allowance(10.0)
    allowance.spend(allowance.available(10.0))
    assert allowance.available(5.0) == 0
    assert allowance.available(10.25) == 12


async def shown(watcher, events: int) -> list[dict]:
    """Return the messages that account for so many events."""
    messages = []
    while len(messages) + sum(message["left_out"] for message in messages) < events:
        messages.append(await watcher.next("event"))
    return messages


async def test_of_many_events_the_newest_are_shown_and_the_rest_is_counted(served, key, dsn, loader):
    async with served.watching(key, "events") as watcher:
        await land(dsn, 500)
        messages = await shown(watcher, 500)
        assert [message["data"]["data"]["number"] for message in messages] == list(range(450, 500))
        assert [message["left_out"] for message in messages] == [450] + [0] * 49


async def test_a_stream_is_slowed_and_every_event_accounted_for(served, key, dsn, loader):
    async with served.watching(key, "events") as watcher:
        started = time.monotonic()
        for _ in range(20):
            await land(dsn, 40)
        messages = await shown(watcher, 800)
        elapsed = time.monotonic() - started
        assert len(messages) + sum(message["left_out"] for message in messages) == 800
        assert len(messages) <= RATE + elapsed * RATE
        assert len({message["data"]["uid"] for message in messages}) == len(messages)


async def test_repeats_and_refused_events_are_not_shown(served, key, dsn, connection, loader):
    await land(dsn, 1, message_id="a")
    await load_all(connection, loader)
    async with served.watching(key, "events") as watcher:
        assert [event["event_id"] for event in watcher.confirmation["snapshot"]["events"]] == ["a"]
        await land(dsn, 1, message_id="a")
        await land(dsn, 1, kind="page.viewed", data={"page_url": ""}, message_id="refused")
        await land(dsn, 1, message_id="b")
        assert (await watcher.next("event"))["data"]["event_id"] == "b"
    async with served.watching(key, "events") as watcher:
        assert [event["event_id"] for event in watcher.confirmation["snapshot"]["events"]] == ["a", "b"]


async def test_long_data_is_left_out(served, key, dsn, loader):
    async with served.watching(key, "events") as watcher:
        await land(dsn, 1, data={"text": "x" * 9_000})
        assert (await watcher.next("event"))["data"]["data"] is None


async def test_while_nobody_watches_nothing_is_looked_up(served, key, dsn, connection, loader):
    async with served.watching(key, "alerts") as watcher:
        await land(dsn, 5)
        await load_all(connection, loader)
        await watcher.until_pong()
        assert not served.live._newest._heard


async def test_a_large_batch_costs_no_more_than_what_is_shown(connection):
    """The rows of a batch that are read are the last ones."""
    await connection.fetchval(
        """select raw.append(1, (select jsonb_agg(jsonb_build_object('kind', 'a.b', 'data', '{}'::jsonb))
                                 from generate_series(1, 5000)), 'http')"""
    )
    await connection.execute("insert into vault.event_seen select tenant_id, event_uid, raw_id from raw.event")
    batch_id = await connection.fetchval(
        "update raw.batch set loaded = events, loaded_at = now(), load_ts = now() returning batch_id"
    )
    await connection.execute("analyze")
    query = load_queries("mainstem.dashboard")["newest_events"]
    statement = await connection.prepare(f"explain (analyze, format text) {query}")
    plan = "\n".join(row[0] for row in await statement.fetch(1, [batch_id], 50, 8_192))
    assert "rows=50" in plan
    assert "rows=5000" not in plan
    assert await asyncio.wait_for(connection.fetch(query, 1, [batch_id], 50, 8_192), 5)
