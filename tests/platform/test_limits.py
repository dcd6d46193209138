"""Rate limits: arithmetic, exactness across connections and processes, leases, and a database that is away."""

import asyncio
import math
import sys

import asyncpg
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mainstem.platform import limits
from mainstem.platform.db import Pool, create_pool
from mainstem.platform.limits import RateLimiter, Window, allowance_of, room_in

HOUR = 3_600


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        """Start somewhere inside a window."""
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


windows = st.builds(
    Window, st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0, 59.999, allow_nan=False, allow_subnormal=False)
)


@given(windows, st.integers(1, 10_000))
def test_the_previous_window_counts_by_the_share_still_covered(window: Window, limit: int) -> None:
    room = room_in(window, limit=limit, window_s=60)
    spent = window.used + window.previous * (1 - window.elapsed_s / 60)
    assert room <= limit - spent < room + 1.000001


@given(windows, st.integers(1, 10_000), st.integers(1, 10_000))
def test_after_the_retry_time_the_cost_fits_and_not_much_earlier(window: Window, limit: int, cost: int) -> None:
    assume(cost <= limit)
    assume(cost > room_in(window, limit=limit, window_s=60))
    assume(window.used <= limit)
    told = allowance_of(window, allowed=False, cost=cost, limit=limit, window_s=60)
    assert told.retry_after_s >= 1
    assert cost <= room_in(_later(window, told.retry_after_s + 0.01), limit=limit, window_s=60)
    if told.retry_after_s > 2:
        assert cost > room_in(_later(window, told.retry_after_s - 2), limit=limit, window_s=60)


def _later(window: Window, seconds: float) -> Window:
    elapsed = window.elapsed_s + seconds
    if elapsed < 60:
        return window._replace(elapsed_s=elapsed)
    return Window(window.used, 0, elapsed - 60) if elapsed < 120 else Window(0, 0, elapsed % 60)


@given(windows, st.integers(1, 10_000), st.integers(1, 20_000), st.booleans())
def test_what_is_told_is_always_sane(window: Window, limit: int, cost: int, allowed: bool) -> None:
    told = allowance_of(window, allowed=allowed, cost=cost, limit=limit, window_s=60)
    assert 0 <= told.remaining <= limit
    assert 1 <= told.reset_s <= 60
    assert (told.retry_after_s == 0) == allowed
    assert told.retry_after_s <= 121


def test_headers() -> None:
    told = allowance_of(Window(0, 40, 15.5), allowed=True, cost=1, limit=100, window_s=60)
    assert told.headers() == {"RateLimit-Limit": "100", "RateLimit-Remaining": "60", "RateLimit-Reset": "45"}


async def test_the_limit_is_exact_over_many_connections(
    api_pool: Pool, worker_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # on a busy machine the last of 150 may wait longer for a connection than counts as "the database is away"
    monkeypatch.setattr(limits, "_TIMEOUT_S", 30.0)
    limiters = [RateLimiter(api_pool), RateLimiter(worker_pool)]
    told = await asyncio.gather(*(limiters[n % 2].take("key:1", 1, limit=100, window_s=HOUR) for n in range(150)))
    assert sum(one.allowed for one in told) == 100
    refused = [one for one in told if not one.allowed]
    assert all(one.retry_after_s >= 1 and one.remaining <= 0 for one in refused)
    assert (await limiters[0].take("key:2", 1, limit=100, window_s=HOUR)).remaining == 99


_OTHER_PROCESS = """
import asyncio, sys
from mainstem.platform.db import create_pool
from mainstem.platform.limits import RateLimiter

async def main() -> None:
    pool = await create_pool(sys.argv[1], role="api", max_size=4)
    limiter = RateLimiter(pool)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    take = limiter.take_leased if sys.argv[2] == "leased" else limiter.take
    told = await asyncio.gather(*(take("shared", 1, limit=int(sys.argv[3]), window_s=3600) for _ in range(400)))
    print(sum(one.allowed for one in told), flush=True)
    await pool.close()

asyncio.run(main())
"""


async def _in_two_processes(dsn: str, mode: str, limit: int) -> int:
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _OTHER_PROCESS, dsn, mode, str(limit), stdin=pipe, stdout=pipe
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    return sum(int(out) for out, _ in answers)


async def test_the_limit_holds_over_two_processes(dsn: str) -> None:
    assert await _in_two_processes(dsn, "exact", 300) == 300


async def test_leases_never_give_more_than_the_limit(dsn: str) -> None:
    allowed = await _in_two_processes(dsn, "leased", 500)
    assert 500 * 0.96 <= allowed <= 500


async def test_the_window_slides(connection: asyncpg.Connection, worker_pool: Pool) -> None:
    """A full previous window still counts by the share that the sliding window covers."""
    window_s = 7_200
    await connection.execute(
        "insert into platform.rate_window select 'key:1', "
        "to_timestamp((floor(extract(epoch from now()) / $1::int) - 1) * $1::int), 1000",
        window_s,
    )
    told = await RateLimiter(worker_pool).take("key:1", 1, limit=2_000, window_s=window_s)
    elapsed = window_s - told.reset_s
    assert math.isclose(told.remaining, 1_000 + 1_000 * elapsed / window_s - 1, abs_tol=2)


async def test_a_cost_above_the_limit_never_fits(worker_pool: Pool) -> None:
    limiter = RateLimiter(worker_pool)
    assert not (await limiter.take("key:1", 101, limit=100, window_s=HOUR)).allowed
    assert not (await limiter.take_leased("key:1", 101, limit=100, window_s=HOUR)).allowed
    assert (await limiter.take("key:1", 100, limit=100, window_s=HOUR)).allowed


async def test_a_lease_is_spent_without_the_database(worker_pool: Pool, connection: asyncpg.Connection) -> None:
    clock = Clock()
    limiter = RateLimiter(worker_pool, clock=clock)
    wanted = {"limit": 5_000, "window_s": HOUR}
    assert limiter.try_take_leased("key:1", 1, **wanted) is None
    assert (await limiter.take_leased("key:1", 1, **wanted)).allowed
    left = [limiter.try_take_leased("key:1", 1, **wanted) for _ in range(100)]
    assert [one is not None for one in left] == [True] * 99 + [False]
    assert left[98] is not None
    assert left[98].remaining == 4_900
    assert await connection.fetchval("select used from platform.rate_window") == 100
    # what is left of a lease is not lost by a bigger cost
    assert (await limiter.take_leased("key:1", 10, **wanted)).allowed
    assert (await limiter.take_leased("key:1", 200, **wanted)).allowed
    assert limiter.try_take_leased("key:1", 90, **wanted) is not None


async def test_a_lease_ends_with_its_window(worker_pool: Pool) -> None:
    clock = Clock()
    limiter = RateLimiter(worker_pool, clock=clock)
    assert (await limiter.take_leased("key:1", 1, limit=5_000, window_s=HOUR)).allowed
    clock.now += HOUR
    assert limiter.try_take_leased("key:1", 1, limit=5_000, window_s=HOUR) is None


async def test_waiting_requests_share_one_lease(worker_pool: Pool, connection: asyncpg.Connection) -> None:
    limiter = RateLimiter(worker_pool)
    told = await asyncio.gather(*(limiter.take_leased("key:1", 1, limit=5_000, window_s=HOUR) for _ in range(100)))
    assert all(one.allowed for one in told)
    assert await connection.fetchval("select used from platform.rate_window") == 100


async def test_while_the_database_is_away_each_process_counts_by_itself(dsn: str) -> None:
    pool = await create_pool(dsn, role="worker", min_size=0, max_size=2)
    await pool.close()
    clock = Clock()
    limiter = RateLimiter(pool, clock=clock)
    told = [await limiter.take("key:1", 1, limit=5, window_s=60) for _ in range(7)]
    assert [one.allowed for one in told] == [True] * 5 + [False] * 2
    assert told[-1].retry_after_s >= 1
    clock.now += 60
    assert not (await limiter.take("key:1", 5, limit=5, window_s=60)).allowed
    clock.now += 60
    assert (await limiter.take("key:1", 5, limit=5, window_s=60)).allowed


async def test_a_wrong_query_is_no_reason_to_let_pass(connection: asyncpg.Connection, worker_pool: Pool) -> None:
    await connection.execute("drop table platform.rate_window")
    with pytest.raises(asyncpg.UndefinedTableError):
        await RateLimiter(worker_pool).take("key:1", 1, limit=5, window_s=60)
