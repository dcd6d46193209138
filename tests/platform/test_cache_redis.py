"""The cache with a real Redis, which is killed, put to sleep, emptied and restarted: no error, nothing too old."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import asyncpg
import pytest
from caching import Source, running_cache, until
from pydantic import BaseModel, SecretStr, ValidationError
from redis_server import RedisServer, redis_server

from mainstem.platform.cache import CHANNEL, Cache, Change, invalidate_in, key, redis_level, shared
from mainstem.platform.cache.redis_level import CALL_S, PAUSE_S
from mainstem.platform.cache.shared import WAIT_S, Moment
from mainstem.platform.db import Pool
from mainstem.platform.settings import Settings

HERE = key(1, "webhook", 12, "config")
Pair = tuple[Cache, Cache]


@pytest.fixture(scope="module")
def _server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def redis(_server: RedisServer) -> Iterator[RedisServer]:
    """Yield an empty Redis that the test may treat as it likes."""
    _server.empty()
    yield _server
    _server.kill()
    _server.start()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Redis and other processes more time than a busy machine can take: only faults are faults."""
    monkeypatch.setattr(redis_level, "CALL_S", 10.0)
    monkeypatch.setattr(shared, "WAIT_S", 10.0)


@pytest.fixture
async def pair(dsn: str, worker_pool: Pool, redis: RedisServer) -> AsyncIterator[Pair]:
    """Yield the caches of two processes that share a Redis."""
    async with AsyncExitStack() as stack:
        caches = [
            await stack.enter_async_context(running_cache(dsn, worker_pool, redis_url=redis.url)) for _ in range(2)
        ]
        yield caches[0], caches[1]


@pytest.fixture
async def thing(connection: asyncpg.Connection) -> asyncpg.Connection:
    """Return a connection that sees a table `thing` with one version."""
    await connection.execute("create table thing (version integer)")
    await connection.execute("insert into thing values (0)")
    return connection


class Table:
    """A loader of the version in a pool's database."""

    def __init__(self, pool: Pool) -> None:
        self.loads = 0
        self._pool = pool

    async def load(self) -> object:
        self.loads += 1
        return await self._pool.fetchval("select version from thing")


async def heard(caches: Pair, change: Change) -> None:
    """Return when both caches have heard of a change."""

    async def both() -> bool:
        return all(change in cache._applied for cache in caches)

    await until(both)


async def invalidated(caches: Pair, region: str, pattern: str = "*") -> None:
    """Invalidate in the first process; return when both have heard of it."""
    await caches[0].invalidate(region, pattern)
    await heard(caches, next(reversed(caches[0]._applied)))


async def changed(connection: asyncpg.Connection, caches: Pair, version: int, pattern: str = "1:*") -> None:
    """Change the version in one transaction with its invalidation; return when both processes have heard of it."""
    async with connection.transaction():
        await connection.execute("update thing set version = $1", version)
        change = await invalidate_in(connection, "webhooks", pattern)
    await heard(caches, change)


async def available(cache: Cache, *, yes: bool) -> None:
    """Return when a cache has noticed that Redis is there, or away."""
    source = Source()

    async def noticed() -> bool:
        await cache.get("alerts", key(1, time.monotonic_ns()), source.load)
        return cache._shared.redis.available is yes

    await until(noticed)


@pytest.mark.usefixtures("patient")
async def test_one_process_loads_and_the_other_reads_it(pair: Pair) -> None:
    here, there = pair
    source = Source({"at": [1, None, "x"]})
    assert await here.get("webhooks", HERE, source.load) == source.value
    assert await there.get("webhooks", HERE, source.load) == source.value
    assert source.loads == 1
    figures = await there.figures()
    assert (figures.shared.hits, figures.shared.misses, figures.local.misses) == (1, 0, 1)
    assert (await here.figures()).shared.misses == 1


class Plain(BaseModel):
    name: str


@pytest.mark.usefixtures("patient")
async def test_defect_a_models_are_kept_as_json_and_never_as_pickles(pair: Pair, redis: RedisServer) -> None:
    for cache in pair:
        assert await cache.get("webhooks", HERE, Source([Plain(name="café")]).load) == [{"name": "café"}]
    (name,) = await names_in_redis(pair[0])
    assert '[{"name":"café"}]'.encode() in redis.say("GET", name)


async def names_in_redis(cache: Cache) -> list[str]:
    return [found.decode() for found in await cache._shared.redis._client.keys("mainstem:cache:*")]


@pytest.mark.usefixtures("patient")
async def test_two_processes_that_ask_at_once_cause_one_load(pair: Pair) -> None:
    gate, source = asyncio.Event(), Source()

    async def load() -> object:
        await source.load()
        await gate.wait()
        return "value"

    asked = [asyncio.create_task(cache.get("dashboard", HERE, load)) for cache in pair * 20]

    async def claimed() -> bool:
        return any(name.endswith(":claim") for name in await names_in_redis(pair[0]))

    await until(claimed)
    gate.set()
    assert await asyncio.gather(*asked) == ["value"] * 40
    assert source.loads == 1


async def test_who_waits_for_a_process_that_died_loads_soon(pair: Pair, redis: RedisServer) -> None:
    source = Source()
    await pair[0].get("dashboard", HERE, source.load)
    (name,) = await names_in_redis(pair[0])
    await invalidated(pair, "dashboard")
    redis.say("SET", f"{name}:claim", "1", "PX", "60000")
    began = time.monotonic()
    assert await pair[0].get("dashboard", HERE, source.load) == "first"
    assert WAIT_S <= time.monotonic() - began < WAIT_S + 2
    assert source.loads == 2


@pytest.mark.usefixtures("patient")
async def test_a_load_that_fails_lets_the_next_one_begin_at_once(pair: Pair) -> None:
    async def failing() -> object:
        raise LookupError

    with pytest.raises(LookupError):
        await pair[0].get("dashboard", HERE, failing)
    assert await names_in_redis(pair[0]) == []
    assert await pair[1].get("dashboard", HERE, Source().load) == "first"


@pytest.mark.usefixtures("patient")
async def test_an_entry_of_redis_lives_from_its_load_on(dsn: str, worker_pool: Pool, redis: RedisServer) -> None:
    async with (
        running_cache(dsn, worker_pool, redis_url=redis.url, cache_ttl_seconds=2) as here,
        running_cache(dsn, worker_pool, redis_url=redis.url, cache_ttl_seconds=2) as there,
    ):
        source, began = Source(), time.monotonic()
        await here.get("dashboard", HERE, source.load)
        source.value = "second"
        # as when what keeps it comes late, to a Redis that slept
        redis.say("PERSIST", *await names_in_redis(here))

        async def half_of_it_is_over() -> bool:
            return time.monotonic() > began + 1

        await until(half_of_it_is_over)
        assert await there.get("dashboard", HERE, source.load) == "first"

        async def new() -> bool:
            return await there.get("dashboard", HERE, source.load) == "second"

        await until(new)
        assert time.monotonic() - began <= 2.5


@pytest.mark.usefixtures("patient")
async def test_a_change_in_one_process_reaches_what_the_other_left_in_redis(pair: Pair, thing) -> None:
    here, there = pair
    table = Table(here._pool)
    for version in range(1, 30):
        for cache in pair:
            await cache.get("webhooks", HERE, table.load)
        await changed(thing, pair, version, "1:webhook:12:*")
        assert [await cache.get("webhooks", HERE, table.load) for cache in (there, here)] == [version] * 2
    assert table.loads == 30


@pytest.mark.usefixtures("patient")
async def test_a_change_of_something_else_leaves_it_there(pair: Pair) -> None:
    source = Source()
    await pair[0].get("webhooks", HERE, source.load)
    for region, pattern in (("alerts", "1:*"), ("webhooks", "2:*"), ("webhooks", "1:webhook:120:*")):
        await invalidated(pair, region, pattern)
    assert await pair[1].get("webhooks", HERE, source.load) == "first"
    assert source.loads == 1


@pytest.mark.usefixtures("patient")
async def test_what_was_being_loaded_when_it_changed_is_used_by_nobody(pair: Pair, thing) -> None:
    here, there = pair
    began, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> object:
        version = await here._pool.fetchval("select version from thing")
        began.set()
        await gate.wait()
        return version

    early = asyncio.create_task(here.get("webhooks", HERE, slow))
    await began.wait()
    await changed(thing, pair, 1)
    gate.set()
    assert await early == 0
    for cache in (there, here):
        assert await cache.get("webhooks", HERE, Table(here._pool).load) == 1


@pytest.mark.usefixtures("patient")
async def test_a_transaction_that_was_open_during_the_load_counts(pair: Pair, dsn: str, thing) -> None:
    """The change was made, and its message written, before the load began; it committed after."""
    here, there = pair
    await thing.execute("select 1")
    transaction = thing.transaction()
    await transaction.start()
    await thing.execute("update thing set version = 1")
    change = await invalidate_in(thing, "webhooks", "1:*")
    table = Table(here._pool)
    assert await here.get("webhooks", HERE, table.load) == 0
    await transaction.commit()
    await heard(pair, change)
    assert [await cache.get("webhooks", HERE, table.load) for cache in (there, here)] == [1, 1]


@pytest.mark.usefixtures("patient")
async def test_a_process_that_missed_changes_uses_nothing_of_before(
    dsn: str, worker_pool: Pool, redis: RedisServer, thing
) -> None:
    table = Table(worker_pool)
    async with running_cache(dsn, worker_pool, redis_url=redis.url) as here:
        await here.get("webhooks", HERE, table.load)
        async with thing.transaction():
            await thing.execute("update thing set version = 1")
            await invalidate_in(thing, "webhooks", "1:*")
        async with running_cache(dsn, worker_pool, redis_url=redis.url) as late:
            assert await late.get("webhooks", HERE, table.load) == 1
        async with running_cache(dsn, worker_pool, redis_url=redis.url) as later:
            assert await later.get("webhooks", HERE, table.load) == 1
    assert table.loads == 2


async def test_a_snapshot_that_was_asked_for_before_messages_were_missed_begins_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = pair[0]._shared
    ask = shared._ask_moment

    async def slowly() -> Moment | None:
        moment = await ask()
        pair[0].heard(CHANNEL, "unreadable")
        return moment

    shared.lost(lambda: 0)
    monkeypatch.setattr(shared, "_ask_moment", slowly)
    assert await shared._ready(lambda: 1) is False
    monkeypatch.setattr(shared, "_ask_moment", ask)
    assert await shared._ready(lambda: 1) is True


async def test_installations_that_share_a_redis_share_nothing_in_it(
    dsn: str, worker_pool: Pool, redis: RedisServer
) -> None:
    chosen = Settings(_env_file=None, redis_url=redis.url)
    for number, namespace in enumerate(("one", "two")):
        cache = Cache(chosen, worker_pool, namespace=namespace)
        cache.follow(lambda: 1)
        assert await cache.get("webhooks", HERE, Source(number).load) == number
        await cache.stop()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("left", ["", "nonsense", "[]", '["1:1:",1,', '["x",1,2]', '["1:1:","now",2]', "\xff\xfe"])
async def test_what_others_leave_in_redis_is_not_read(pair: Pair, left: str) -> None:
    here, there = pair
    source = Source()
    await here.get("webhooks", HERE, source.load)
    (name,) = await names_in_redis(here)
    await here._shared.redis.put(name, left.encode("latin-1"), ttl_s=60)
    assert await there.get("webhooks", HERE, source.load) == "first"
    assert source.loads == 2


class TestFaults:
    """Redis gone, hanging, emptied, restarted, full."""

    @pytest.mark.usefixtures("patient")
    async def test_gone_it_costs_a_moment_and_no_error(self, pair: Pair, redis: RedisServer) -> None:
        source = Source()
        await pair[0].get("webhooks", HERE, source.load)
        redis.kill()
        for number in range(50):
            began = time.monotonic()
            assert await pair[0].get("webhooks", key(1, number), source.load) == "first"
            assert time.monotonic() - began < 2
        assert source.loads == 51
        redis.start()
        await available(pair[0], yes=True)
        source.loads = 0
        assert [await cache.get("webhooks", key(2, "x"), source.load) for cache in pair] == ["first", "first"]

    @pytest.mark.usefixtures("patient")
    async def test_it_is_asked_again_after_a_pause_by_one(self, pair: Pair, redis: RedisServer) -> None:
        redis.kill()
        await available(pair[0], yes=False)
        failures, source = pair[0]._shared.redis.failures, Source()
        began = time.monotonic()
        while time.monotonic() - began < PAUSE_S * 2.5:
            asked = (pair[0].get("alerts", key(1, time.monotonic_ns()), source.load) for _ in range(20))
            await asyncio.gather(*asked)
            await asyncio.sleep(0.01)
        assert 2 <= pair[0]._shared.redis.failures - failures <= 3

    async def test_hanging_it_costs_a_moment_and_what_it_does_late_harms_nobody(
        self, pair: Pair, redis: RedisServer, thing
    ) -> None:
        here, there = pair
        table = Table(here._pool)
        await there.get("alerts", HERE, table.load)
        await here.get("alerts", HERE, table.load)
        redis.sleep()
        began = time.monotonic()
        assert await here.get("webhooks", HERE, table.load) == 0
        assert time.monotonic() - began < CALL_S + 2
        await changed(thing, pair, 1)
        redis.wake()
        await available(there, yes=True)
        assert await there.get("webhooks", HERE, table.load) == 1

    @pytest.mark.usefixtures("patient")
    async def test_emptied_it_is_filled_again(self, pair: Pair, redis: RedisServer) -> None:
        source = Source()
        for expected in (1, 2):
            for cache in pair:
                cache._local.clear()
                await cache.get("webhooks", HERE, source.load)
            assert source.loads == expected
            redis.empty()

    @pytest.mark.usefixtures("patient")
    async def test_full_it_is_still_read(self, pair: Pair, redis: RedisServer) -> None:
        source = Source()
        await pair[0].get("webhooks", HERE, source.load)
        redis.say("CONFIG", "SET", "maxmemory", "1")
        assert await pair[1].get("webhooks", HERE, source.load) == "first"
        assert await pair[1].get("webhooks", key(1, "new"), source.load) == "first"
        assert (source.loads, pair[1]._shared.redis.available) == (2, True)

    async def test_a_wrong_password_is_as_if_it_were_gone(
        self, dsn: str, worker_pool: Pool, redis: RedisServer
    ) -> None:
        url = redis.url.replace("redis://", "redis://somebody:wrong@")
        async with running_cache(dsn, worker_pool, redis_url=url) as cache:
            assert await cache.get("webhooks", HERE, Source().load) == "first"
            figures = await cache.figures()
        assert (figures.shared_available, figures.shared.size) == (False, 0)

    @pytest.mark.usefixtures("patient")
    async def test_the_entries_of_before_a_restart_are_not_read_when_they_changed_meanwhile(
        self, dsn: str, worker_pool: Pool, thing
    ) -> None:
        table = Table(worker_pool)
        with redis_server(keeps=True) as redis:
            async with (
                running_cache(dsn, worker_pool, redis_url=redis.url) as here,
                running_cache(dsn, worker_pool, redis_url=redis.url) as there,
            ):
                await there.get("alerts", HERE, Source().load)
                await here.get("webhooks", HERE, table.load)
                await here.get("dashboard", HERE, table.load)
                redis.kill()
                await changed(thing, (here, there), 1)
                redis.start()
                await available(there, yes=True)
                assert await there.get("dashboard", HERE, table.load) == 0
                assert table.loads == 2
                assert await there.get("webhooks", HERE, table.load) == 1


class Load:
    """Reads in two processes, of things that change all the time."""

    def __init__(self, pool: Pool, connection: asyncpg.Connection, caches: Pair) -> None:
        self.floor = [0] * 5
        """By thing, the version that both processes have heard of."""
        self.reads = 0
        self.slowest_s = 0.0
        self.done = asyncio.Event()
        self._pool = pool
        self._connection = connection
        self._caches = caches

    async def read(self, cache: Cache) -> None:
        while not self.done.is_set():
            self.reads += 1
            place = self.reads % len(self.floor)
            least, began = self.floor[place], time.monotonic()
            found = await cache.get("webhooks", key(1, place), lambda place=place: self._version(place))
            assert found >= least
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            await asyncio.sleep(0)

    async def change(self) -> None:
        while not self.done.is_set():
            version = max(self.floor) + 1
            place = version % len(self.floor)
            async with self._connection.transaction():
                await self._connection.execute("update thing set version = $1 where place = $2", version, place)
                change = await invalidate_in(self._connection, "webhooks", f"1:{place}")
            await heard(self._caches, change)
            self.floor[place] = version

    async def goes_on(self) -> None:
        """Return after some more changes."""
        before = max(self.floor)

        async def went_on() -> bool:
            return max(self.floor) >= before + 10

        await until(went_on)

    async def _version(self, place: int) -> object:
        return await self._pool.fetchval("select version from thing where place = $1", place)


async def test_under_load_no_fault_of_redis_causes_an_error_or_an_old_value(
    dsn: str, worker_pool: Pool, connection: asyncpg.Connection
) -> None:
    await connection.execute("create table thing as select n as place, 0 as version from generate_series(0, 4) n")
    with redis_server(keeps=True) as redis:
        async with (
            running_cache(dsn, worker_pool, redis_url=redis.url) as here,
            running_cache(dsn, worker_pool, redis_url=redis.url) as there,
            asyncio.TaskGroup() as group,
        ):
            load = Load(worker_pool, connection, (here, there))
            for cache in (here, there) * 4:
                group.create_task(load.read(cache))
            group.create_task(load.change())
            for fault in (redis.kill, redis.start, redis.sleep, redis.wake, redis.empty, redis.kill, redis.start):
                await asyncio.to_thread(fault)
                await load.goes_on()
                if fault in {redis.start, redis.wake}:
                    await available(here, yes=True)
                    await available(there, yes=True)
                    await load.goes_on()
            load.done.set()
        assert all(cache._shared.hits > 0 for cache in (here, there))
    assert load.reads > 1_000
    assert load.slowest_s < 5


@pytest.mark.parametrize(
    "url", ["http://host", "redis://", "host:6379", "redis://host:port", "rediss://", "unix://", ""]
)
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValidationError, match="redis://host:6379/0") as error:
        Settings(_env_file=None, redis_url=SecretStr(url))
    assert "port" not in str(error.value).replace("redis://host:6379/0", "")
