"""Transactions end in bounded time, also while the server holds the connection and says nothing."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import asyncpg
import pytest

from mainstem.platform.db import Pool, borrow, create_pool, transaction

BOUND_S = 8.0


@contextmanager
def frozen(process: int) -> Iterator[None]:
    """Stop a backend while the block runs, as a network that swallows packets would."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.fixture
async def pool(dsn: str):
    """Yield a pool of one connection, which every test meets again."""
    pool = await create_pool(dsn, role="worker", max_size=1)
    yield pool
    await pool.close()


async def backend(pool: Pool) -> int:
    async with transaction(pool) as connection:
        return await connection.fetchval("select pg_backend_pid()")


async def test_a_transaction_that_can_t_begin_ends_in_time(pool: Pool) -> None:
    process = await backend(pool)
    with frozen(process):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with transaction(pool, tenant_id=1, timeout_s=0.2):
                pytest.fail("it began")
        assert time.monotonic() - began < BOUND_S
        assert await backend(pool) != process, "the silent connection is still in the pool"


async def ask(pool: Pool, query: str) -> None:
    async with transaction(pool) as connection:
        await connection.execute("create table half_done ()")
        await connection.fetchval(query, timeout=0.2)


async def exists(pool: Pool, table: str) -> bool:
    async with transaction(pool) as connection:
        return await connection.fetchval("select to_regclass($1) is not null", table)


async def test_a_query_that_is_never_answered_ends_in_time(pool: Pool) -> None:
    process = await backend(pool)

    async def freeze_and_ask() -> None:
        async with transaction(pool) as connection:
            os.kill(process, signal.SIGSTOP)
            await connection.fetchval("select 1", timeout=0.2)

    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            await freeze_and_ask()
        assert time.monotonic() - began < BOUND_S
    finally:
        os.kill(process, signal.SIGCONT)
    assert await backend(pool) != process


async def test_a_slow_query_is_cancelled_and_its_connection_kept(pool: Pool) -> None:
    process = await backend(pool)
    with pytest.raises(TimeoutError):
        await ask(pool, "select pg_sleep(60)")
    assert await backend(pool) == process
    assert not await exists(pool, "half_done")


async def test_what_was_done_stands_though_the_connection_is_lost_afterwards(pool: Pool) -> None:
    async with borrow(pool) as connection:
        process = await connection.fetchval("select pg_backend_pid()")
        os.kill(process, signal.SIGSTOP)
    os.kill(process, signal.SIGCONT)
    assert await backend(pool) != process


async def test_an_error_rolls_back(pool: Pool) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await ask(pool, "select from nowhere")
    assert not await exists(pool, "half_done")


@pytest.mark.parametrize("role", ["api", "worker"])
async def test_an_abandoned_transaction_ends(dsn: str, role: Literal["api", "worker"]) -> None:
    pool = await create_pool(dsn, role=role, max_size=1)
    for _ in range(2):
        async with borrow(pool) as connection:
            assert await connection.fetchval("show idle_in_transaction_session_timeout") == "1min"
    await pool.close()
