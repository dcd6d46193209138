"""Minutes: processes add up, percentiles keep their promises, nothing is lost while the database is away, old ones go."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from links.visiting import serving

from mainstem.platform import metrics, minutes
from mainstem.platform.db import Pool, create_pool, load_queries
from mainstem.platform.keys import create_key
from mainstem.platform.minute_writer import MOST_MINUTES, MinuteWriter
from mainstem.platform.tally import BOUNDS_MS, BUCKETS, TALLY, Tally

NOON = datetime(2026, 5, 1, 12, 0, 40, tzinfo=UTC)
MINUTE = NOON.replace(second=0)


class Clock:
    """A clock that goes when told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def writer(pool: Pool, tally: Tally, clock: Clock | None = None, watched: tuple = ()) -> MinuteWriter:
    return MinuteWriter(pool, watched, tally=tally, clock=clock or Clock())


async def told(
    pool: Pool, since: datetime = MINUTE, until: datetime = MINUTE + timedelta(minutes=1)
) -> minutes.Figures:
    async with pool.acquire() as connection:
        return await minutes.window(connection, since, until)


async def test_processes_add_up(worker_pool: Pool) -> None:
    one, other = Tally(), Tally()
    for _ in range(98):
        one.api.count(200, 0.004)
    one.api.count(404, 0.3)
    other.api.count(503, 4.0)
    other.ingest.count(202, 0.004)
    one.cache_hits, one.cache_misses, other.cache_hits = 7, 2, 1
    one.ws_disconnects, other.ws_disconnects = 2, 3
    one.spool_depth(40)
    one.spool_depth(0)
    other.spool_depth(30)
    for tally in (one, other):
        part = writer(worker_pool, tally)
        part.collect()
        await part.flush()
    found = await told(worker_pool)
    assert (found.requests, found.errors_4xx, found.errors_5xx, found.minutes) == (101, 1, 1, 1)
    assert (found.cache_hits, found.cache_misses, found.ws_disconnects, found.spooled) == (8, 2, 5, 40)
    assert found.cache_hit_rate_percent == pytest.approx(80)
    assert found.error_rate_percent == pytest.approx(100 / 101)
    assert found.avg_ms == pytest.approx((99 * 4 + 300 + 4000) / 101)
    assert found.p50_ms < 5
    assert 200 <= found.p99_ms <= 300


async def test_a_minute_grows_with_each_flush(worker_pool: Pool) -> None:
    tally = Tally()
    part = writer(worker_pool, tally)
    for _ in range(3):
        tally.ingest.count(200, 0.002)
        part.collect()
        await part.flush()
    assert (await told(worker_pool)).requests == 3


async def test_no_traffic_is_not_the_same_as_no_process(worker_pool: Pool) -> None:
    assert (await told(worker_pool)).minutes == 0
    part = writer(worker_pool, Tally())
    part.collect()
    await part.flush()
    found = await told(worker_pool)
    assert (found.minutes, found.requests, found.p99_ms, found.error_rate_percent) == (1, 0, 0.0, 0.0)


async def test_the_busiest_pool_is_told(worker_pool: Pool, dsn: str) -> None:
    small, large = await create_pool(dsn, role="api", max_size=4), await create_pool(dsn, role="api", max_size=20)
    async with small.acquire(), small.acquire(), small.acquire(), large.acquire():
        part = writer(worker_pool, Tally(), watched=(large, small))
        for _ in range(3):
            part.sample()
        part.collect()
        await part.flush()
    found = await told(worker_pool)
    assert (found.pool_in_use_max, found.pool_max, found.pool_use_percent) == (3, 4, 75)
    idle = writer(worker_pool, Tally(), watched=(large,))
    idle.sample()
    idle.collect()
    await idle.flush()
    assert (await told(worker_pool)).pool_max == 4
    await small.close()
    await large.close()


async def test_what_waits_in_the_spool_is_told_in_each_minute(worker_pool: Pool) -> None:
    tally, clock = Tally(), Clock()
    part = writer(worker_pool, tally, clock)
    tally.spool_depth(5)
    for _ in range(2):
        part.collect()
        clock.now += timedelta(minutes=1)
    tally.spool_depth(0)
    part.collect()
    clock.now += timedelta(minutes=1)
    part.collect()
    await part.flush()
    depths = [(await told(worker_pool, at, at + timedelta(minutes=1))).spooled for at in _next(MINUTE, 4)]
    assert depths == [5, 5, 5, 0]


def _next(start: datetime, count: int) -> list[datetime]:
    return [start + timedelta(minutes=number) for number in range(count)]


async def test_minutes_wait_while_the_database_is_away_and_the_oldest_go_first(durable_cluster) -> None:
    pool = await create_pool(durable_cluster.dsn, role="worker", min_size=0, max_size=2)
    tally, clock = Tally(), Clock()
    part = writer(pool, tally, clock)
    durable_cluster.stop()
    for _ in range(MOST_MINUTES + 5):
        tally.api.count(200, 0.001)
        part.collect()
        await part.flush()
        clock.now += timedelta(minutes=1)
    durable_cluster.start()
    await part.flush()
    found = await told(pool, MINUTE, clock.now)
    assert found.requests == found.minutes == MOST_MINUTES
    assert (await told(pool, MINUTE, MINUTE + timedelta(minutes=5))).minutes == 0
    await pool.close()


async def test_the_end_of_a_process_adds_what_is_left(worker_pool: Pool) -> None:
    tally = Tally()
    part = MinuteWriter(worker_pool, (), tally=tally, clock=Clock())
    part.start()
    tally.api.count(200, 0.001)
    await part.stop()
    await part.stop()
    assert (await told(worker_pool)).requests == 1


async def test_the_loop_adds_up_by_itself(worker_pool: Pool) -> None:
    tally = Tally()
    part = MinuteWriter(worker_pool, (worker_pool,), tally=tally, clock=Clock(), flush_s=0.01)
    tally.api.count(500, 0.001)
    part.start()
    async with asyncio.timeout(10):
        while (await told(worker_pool)).errors_5xx == 0:
            pass
    await part.stop()


async def test_old_minutes_go(worker_pool: Pool, connection: asyncpg.Connection) -> None:
    part = writer(worker_pool, Tally())
    part.collect()
    await part.flush()
    assert await minutes.prune(connection, MINUTE + minutes.KEPT) == 0
    assert await minutes.prune(connection, MINUTE + minutes.KEPT + timedelta(seconds=1)) == 1


def test_probes_and_metrics_count_nowhere_and_the_hot_path_by_itself() -> None:
    # a process of another test may have left events in its spool
    metrics.spool_depth(0)
    TALLY.take()
    for method, route in (
        ("GET", "/health/ready"),
        ("GET", "/metrics"),
        ("POST", "/api/v1/track"),
        ("POST", "/api/tracking-ingest/batch"),
        ("GET", "/api/v1/track/status"),
        ("GET", "/api/v1/links/{link_id}"),
        ("GET", "unmatched"),
    ):
        metrics.http_request(method, route, 200, 0.001)
    metrics.spool_depth(3)
    counts = TALLY.take()
    assert {kind: sum(one.ms_counts) for kind, one in counts.requests.items()} == {"api": 3, "ingest": 2}
    assert counts.spooled == 3
    metrics.spool_depth(0)
    TALLY.take()


async def test_a_serving_process_tells_its_requests(dsn, tmp_path, worker_pool: Pool, connection) -> None:
    TALLY.take()
    tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
    key = (await create_key(connection, tenant_id, scopes=["read"], label="test")).key
    async with serving(dsn, tmp_path) as (client, _):
        client.headers["authorization"] = f"Bearer {key}"
        for _ in range(3):
            assert (await client.get("/api/v1/links")).status_code == 200
        assert (await client.post("/api/v1/track", json={})).status_code == 403
    now = datetime.now(UTC)
    found = await told(worker_pool, now - timedelta(minutes=5), now + timedelta(minutes=1))
    assert (found.requests, found.errors_4xx) == (4, 1)


@pytest.mark.parametrize("name", sorted(load_queries("mainstem.platform", "minutes.sql")))
async def test_every_query_can_be_prepared(connection: asyncpg.Connection, name: str) -> None:
    assert await connection.prepare(load_queries("mainstem.platform", "minutes.sql")[name])


@given(st.lists(st.floats(0, 40), min_size=1, max_size=300), st.floats(0, 1))
def test_a_percentile_is_off_by_its_bucket_at_most(seconds: list[float], share: float) -> None:
    tally = Tally()
    for one in seconds:
        tally.api.count(200, one)
    found = minutes.percentile(tally.api.ms_counts, share)
    place = max(int(-(-share * len(seconds) // 1)) - 1, 0)
    true_ms = sorted(seconds)[place] * 1_000
    bounds = (0, *BOUNDS_MS)
    bucket = sum(bound < true_ms for bound in BOUNDS_MS)
    low, high = bounds[min(bucket, len(BOUNDS_MS) - 1)], BOUNDS_MS[min(bucket, len(BOUNDS_MS) - 1)]
    assert low <= found <= high or (true_ms > BOUNDS_MS[-1] and found == BOUNDS_MS[-1])


@given(st.lists(st.integers(0, 1_000), min_size=BUCKETS, max_size=BUCKETS))
def test_percentiles_are_in_order(counts: list[int]) -> None:
    found = [minutes.percentile(counts, share) for share in (0.5, 0.95, 0.99, 1)]
    assert found == sorted(found)
