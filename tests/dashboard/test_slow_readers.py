"""A client that doesn't read costs a bounded buffer, and nobody else anything."""

import asyncio
import time
from contextlib import ExitStack, closing

import pytest
from watching import Deaf, serving, until

BUFFER_KB = 256
TEXT = "x" * 7_000
MESSAGES = 300


@pytest.fixture
async def served(dsn):
    async with serving(dsn, live_buffer_kb=BUFFER_KB) as served:
        yield served


async def deaf_to(served, key, *topics) -> Deaf:
    return await asyncio.to_thread(Deaf, served.address, key, *topics)


async def tell_all(served, watcher, messages: int = MESSAGES) -> float:
    """Tell more than fits any buffer, while the watcher reads; return the longest time a message took, in seconds."""
    longest = 0.0
    for number in range(messages):
        started = time.perf_counter()
        await served.tell(1, "alert_new", {"alert_id": number, "message": TEXT})
        assert (await watcher.next("alert_new"))["data"]["alert_id"] == number
        longest = max(longest, time.perf_counter() - started)
    return longest


async def test_who_stops_reading_is_dropped_and_the_others_get_everything(served):
    key = await served.key()
    async with served.watching(key, "alerts") as watcher:
        deaf, asleep = await deaf_to(served, key, "alerts"), await deaf_to(served, key)
        with closing(deaf), closing(asleep):
            await served.clients(3)
            longest = await tell_all(served, watcher)
            await served.clients(2)
            assert longest < 2.0
            # it finds out why, if it reads again within seconds
            messages, code = await asyncio.to_thread(deaf.rest)
            assert code == 1013
            assert 10 < len(messages) < MESSAGES
            # one that subscribed to nothing may sleep
            assert await watcher.until_pong() == []
            await served.clients(2)
    await served.clients(0)


async def test_a_dropped_client_that_never_reads_is_cut(served):
    key = await served.key()
    async with served.watching(key, "alerts") as watcher:
        with closing(await deaf_to(served, key, "alerts")) as deaf:
            await served.clients(2)
            await tell_all(served, watcher)
            await served.clients(1)
            assert len(served.server.server_state.connections) == 2
            # without that, it would be kept for as long as it answers the kernel's probes
            await until(lambda: len(served.server.server_state.connections) == 1)
            messages, code = await asyncio.to_thread(deaf.rest)
            assert code is None
            assert len(messages) < MESSAGES


async def test_a_client_that_answers_no_ping_is_cut(dsn):
    async with serving(dsn, ping_s=1.0) as served:
        key = await served.key()
        async with served.watching(key, "alerts") as watcher:
            with closing(await deaf_to(served, key, "alerts")):
                await served.clients(2)
                # more than the kernel takes, less than we keep: a close in good order would wait behind it
                await tell_all(served, watcher, 100)
                assert len(served.live.clients) == 2
                await served.clients(1)
                await until(lambda: len(served.server.server_state.connections) == 1)
            assert await watcher.until_pong() == []


async def test_the_server_stops_in_spite_of_it(dsn):
    with ExitStack() as stack:
        async with serving(dsn, live_buffer_kb=65_536) as served:
            key = await served.key()
            stack.enter_context(closing(await deaf_to(served, key, "alerts")))
            async with served.watching(key, "alerts") as watcher:
                await served.clients(2)
                await tell_all(served, watcher)
            started = time.perf_counter()
        assert time.perf_counter() - started < 5.0
