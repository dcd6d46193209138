"""A listener that survives lost connections, and a notifier that never floods."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from mainstem.events.signals import RAW_CHANNEL, Listener, Notifier

Heard = asyncio.Queue[tuple[str | None, str]]


@pytest.fixture
async def heard(dsn: str) -> AsyncIterator[Heard]:
    queue: Heard = asyncio.Queue()
    async with Listener(dsn, [RAW_CHANNEL, "other"], lambda channel, payload: queue.put_nowait((channel, payload))):
        yield queue


async def _next(queue: Heard) -> tuple[str | None, str]:
    async with asyncio.timeout(10):
        return await queue.get()


async def test_tells_about_the_connect_and_then_every_signal(heard: Heard, connection: asyncpg.Connection) -> None:
    assert await _next(heard) == (None, "")
    await connection.execute("select pg_notify('other', 'x'), pg_notify('mainstem_raw', '7')")
    assert {await _next(heard), await _next(heard)} == {("other", "x"), (RAW_CHANNEL, "7")}


async def test_reconnects_and_says_so(heard: Heard, connection: asyncpg.Connection) -> None:
    assert await _next(heard) == (None, "")
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mainstem listener'"
    )
    assert await _next(heard) == (None, "")
    await connection.execute("select pg_notify('other', 'again')")
    assert await _next(heard) == ("other", "again")


async def test_the_session_tells_of_a_loss_before_the_callback_can(dsn: str, connection: asyncpg.Connection) -> None:
    seen: list[int] = []
    listener = Listener(dsn, ["other"], lambda *_: seen.append(listener.session))
    assert listener.session == 0
    async with listener:
        await listener.connected()
        assert listener.session == 1
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mainstem listener'"
        )
        async with asyncio.timeout(10):
            while listener.session != 2:
                assert listener.session in {0, 1}
                await asyncio.sleep(0)
    assert listener.session == 0
    assert seen[0] == 1


async def test_a_failing_callback_does_not_end_the_listening(dsn: str, connection: asyncpg.Connection) -> None:
    calls: Heard = asyncio.Queue()

    def callback(channel: str | None, payload: str) -> None:
        calls.put_nowait((channel, payload))
        if payload == "bad":
            msg = "callback failed"
            raise ValueError(msg)

    seen_by_loop: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen_by_loop.append(context["exception"]))
    async with Listener(dsn, ["other"], callback):
        assert await _next(calls) == (None, "")
        for payload in ("bad", "good"):
            await connection.execute("select pg_notify('other', $1)", payload)
            assert await _next(calls) == ("other", payload)
    assert [str(error) for error in seen_by_loop] == ["callback failed"]


async def test_a_storm_of_nudges_becomes_few_signals_and_the_last_one_is_sent(dsn: str, heard: Heard) -> None:
    assert await _next(heard) == (None, "")
    notifier = Notifier(dsn, min_interval_s=0.05)
    notifier.start()
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.3
    while loop.time() < until:
        notifier.nudge()
        await asyncio.sleep(0)
    while not heard.empty():
        heard.get_nowait()
    notifier.nudge([1, 2])
    await notifier.stop()
    assert await _next(heard) == (RAW_CHANNEL, "")
    assert heard.qsize() <= 1


async def test_signals_are_at_least_the_interval_apart(dsn: str, heard: Heard) -> None:
    assert await _next(heard) == (None, "")
    notifier = Notifier(dsn, min_interval_s=0.05)
    notifier.start()
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(4):
        notifier.nudge()
        await _next(heard)
    assert loop.time() - started >= 0.1
    await notifier.stop()


async def test_the_notifier_reconnects_and_delivers_what_was_wanted(
    dsn: str, heard: Heard, connection: asyncpg.Connection
) -> None:
    assert await _next(heard) == (None, "")
    notifier = Notifier(dsn)
    notifier.start()
    notifier.nudge()
    assert await _next(heard) == (RAW_CHANNEL, "")
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mainstem notifier'"
    )
    notifier.nudge()
    assert await _next(heard) == (RAW_CHANNEL, "")
    await notifier.stop()


async def test_both_wait_for_a_database_that_is_away() -> None:
    nowhere = "postgresql://postgres@127.0.0.1:1/none"
    notifier = Notifier(nowhere)
    notifier.start()
    notifier.nudge()
    async with Listener(nowhere, ["other"], lambda *_: None) as listener:
        with contextlib.suppress(TimeoutError):
            await listener.connected(timeout_s=0.3)
            pytest.fail("connected to nothing")
    await notifier.stop()
