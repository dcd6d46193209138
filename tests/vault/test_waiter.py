"""Waiting for loads: told in time, never told, told by another process, told while the connection was away."""

import asyncio

import asyncpg
import pytest
from vault.vaulting import append, event, load_all

from mainstem.vault.ledger import notices
from mainstem.vault.waiter import LoadWaiter

NEVER = 3600.0


async def test_a_wait_ends_with_the_last_of_its_batches():
    waiter = LoadWaiter()
    wait = asyncio.create_task(waiter.wait([1, 2], 10))
    await asyncio.sleep(0)
    waiter.loaded([1])
    await asyncio.sleep(0)
    assert not wait.done()
    waiter.loaded([2, 3])
    assert await wait


async def test_what_was_loaded_before_is_loaded():
    waiter = LoadWaiter()
    waiter.loaded([1, 2])
    assert await waiter.wait([2, 1], 0)
    assert await waiter.wait([], 0)


async def test_a_wait_is_bounded_and_leaves_nothing_behind():
    waiter = LoadWaiter()
    assert not await waiter.wait([1], 0.01)
    assert waiter.waiting == 0


async def test_many_wait_for_one():
    waiter = LoadWaiter()
    waits = [asyncio.create_task(waiter.wait([7], 10)) for _ in range(5)]
    await asyncio.sleep(0)
    waits[0].cancel()
    await asyncio.sleep(0)
    waiter.loaded([7])
    assert await asyncio.gather(*waits[1:]) == [True] * 4
    assert waiter.waiting == 0


async def test_loads_of_another_process_are_heard_without_a_query(connection: asyncpg.Connection, dsn: str):
    waiter = LoadWaiter(dsn, check_s=NEVER)
    await waiter.start()
    try:
        await waiter.listening()
        batch_id = await append(connection, [event({"visitor": "v"})])
        wait = asyncio.create_task(waiter.wait([batch_id], 20))
        await load_all(dsn)
        assert await wait
    finally:
        await waiter.stop()


async def test_lost_news_is_made_up_for_by_the_ledger(connection: asyncpg.Connection, dsn: str):
    batch_id = await append(connection, [event({"visitor": "v"})])
    await load_all(dsn)
    waiter = LoadWaiter(dsn, check_s=0.01)
    await waiter.start()
    try:
        assert await waiter.wait([batch_id], 20)
        assert not await waiter.wait([batch_id, batch_id + 1], 0.1)
    finally:
        await waiter.stop()


async def test_a_cut_connection_is_made_again(connection: asyncpg.Connection, dsn: str):
    waiter = LoadWaiter(dsn, check_s=0.05)
    await waiter.start()
    try:
        for _ in range(2):
            batch_id = await append(connection, [event({"visitor": "v"})])
            wait = asyncio.create_task(waiter.wait([batch_id], 20))
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'mainstem %' "
                "and datname = current_database() and pid <> pg_backend_pid()"
            )
            await load_all(dsn)
            assert await wait
    finally:
        await waiter.stop()


async def test_a_waiter_whose_database_is_away_runs_into_its_timeout():
    waiter = LoadWaiter("postgresql://nobody@/none?host=/nowhere", check_s=0.01)
    await waiter.start()
    try:
        assert not await waiter.wait([1], 0.1)
    finally:
        await waiter.stop()
        await waiter.stop()


@pytest.mark.parametrize("batches", [0, 1, 5000])
def test_notices_fit_and_hold_every_batch(batches: int):
    ids = [10**18 + number for number in range(batches)]
    texts = notices(ids)
    assert all(len(text) < 8000 for text in texts)
    assert [int(part) for text in texts for part in text.split(",")] == ids
