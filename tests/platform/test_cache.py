"""The cache in memory: one load, the bound on age, changes told across processes, and loads that changes overtake."""

import asyncio
import json
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

import asyncpg
import msgspec
import pytest
from caching import Source, running_cache, until
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from mainstem.events.signals import Listener
from mainstem.platform.cache import CHANNEL, Cache, Change, Counts, invalidate_in, key
from mainstem.platform.cache.cache import DOUBT_S
from mainstem.platform.cache.shared import LARGEST
from mainstem.platform.db import Pool
from mainstem.platform.settings import Settings

HERE = key(1, "webhook", 12, "config")


class Clock:
    """Seconds that pass when told to."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Gate(Source):
    """A loader that reads at once and answers when it is let."""

    def __init__(self, value: object = "first") -> None:
        super().__init__(value)
        self.began = asyncio.Event()
        self.open = asyncio.Event()

    async def load(self) -> object:
        value = await super().load()
        self.began.set()
        await self.open.wait()
        return value


def deaf(clock: Clock | None = None, **values: object) -> Cache:
    """Return a cache that keeps, hears what the test tells it, and has no database."""
    cache = Cache(Settings(_env_file=None, **values), None, **({} if clock is None else {"clock": clock}))
    cache.follow(lambda: 1)
    return cache


_xids = count(1_000_000)


def told(region: str, pattern: str, xid: int | None = None) -> str:
    """Return the message of a transaction, a new one unless told otherwise."""
    xid = next(_xids) if xid is None else xid
    return json.dumps({"type": "changed", "xid": str(xid), "region": region, "pattern": pattern})


async def test_a_value_is_loaded_once_and_is_a_new_one_each_time() -> None:
    cache, source = deaf(), Source({"items": [1, 2]})
    one = await cache.get("webhooks", HERE, source.load)
    one["items"].append(3)
    assert await cache.get("webhooks", HERE, source.load) == {"items": [1, 2]}
    assert source.loads == 1


async def test_absence_is_a_value() -> None:
    cache, source = deaf(), Source(None)
    assert [await cache.get("webhooks", HERE, source.load) for _ in range(2)] == [None, None]
    assert source.loads == 1


async def test_a_hundred_who_ask_at_once_cause_one_load() -> None:
    cache, gate = deaf(), Gate()
    asked = [asyncio.create_task(cache.get("dashboard", HERE, gate.load)) for _ in range(100)]
    await gate.began.wait()
    gate.open.set()
    assert await asyncio.gather(*asked) == ["first"] * 100
    assert gate.loads == 1
    assert cache.counters() == (99, 1)


class Own:
    """A cache with a structure of its own, which only tells figures."""

    def counts(self) -> Counts:
        return Counts(5, 2, 3, 100)

    def forget(self, change: Change) -> int:
        return 3 * change.touches("webhooks", HERE)


async def test_a_region_may_have_entries_and_a_member(worker_pool: Pool) -> None:
    cache = Cache(Settings(_env_file=None), worker_pool)
    cache.follow(lambda: 1)
    cache.members.join("webhooks", Own())
    await cache.get("webhooks", HERE, Source().load)
    both = (await cache.figures()).regions["webhooks"]
    assert (both.hits, both.misses, both.size) == (5, 3, 4)
    assert both.bytes > 100
    assert cache.counters() == (5, 3)
    assert [await cache.invalidate(region, "1:*") for region in ("webhooks", "alerts", "*")] == [4, 0, 3]


async def test_one_who_goes_does_not_end_the_load_of_the_others() -> None:
    cache, gate = deaf(), Gate()
    first, second = (asyncio.create_task(cache.get("dashboard", HERE, gate.load)) for _ in range(2))
    await gate.began.wait()
    first.cancel()
    gate.open.set()
    assert await second == "first"
    assert gate.loads == 1


async def test_what_a_loader_raises_is_raised_to_all_and_not_kept() -> None:
    cache, source = deaf(), Source("good")

    async def failing() -> object:
        await asyncio.sleep(0)
        raise LookupError

    both = await asyncio.gather(*(cache.get("alerts", HERE, failing) for _ in range(2)), return_exceptions=True)
    assert [type(one) for one in both] == [LookupError, LookupError]
    assert await cache.get("alerts", HERE, source.load) == "good"


class Plain(BaseModel):
    at: datetime
    uid: UUID


class Typed(msgspec.Struct):
    at: datetime
    uid: UUID


async def test_defect_a_models_and_rows_are_kept_and_come_back_as_json(connection: asyncpg.Connection) -> None:
    cache, uid, at = deaf(), UUID(int=7), datetime(2026, 1, 2, tzinfo=UTC)
    shown = {"at": "2026-01-02T00:00:00Z", "uid": str(uid)}
    row = await connection.fetchrow("select $1::timestamptz as at, $2::uuid as uid", at, uid)
    for number, value in enumerate((Plain(at=at, uid=uid), Typed(at, uid), {"at": at, "uid": uid}, row, [row])):
        for _ in range(2):
            found = await cache.get("webhooks", key(1, number), Source(value).load)
            assert found == ([shown] if isinstance(value, list) else shown)
    assert await cache.get("webhooks", key(1, 1), Source(None).load, into=Typed) == Typed(at, uid)


@pytest.mark.parametrize("on", [True, False])
async def test_what_json_cannot_say_is_told_at_once_also_when_the_cache_is_off(on: bool) -> None:
    with pytest.raises(TypeError, match="Lock"):
        await deaf(cache_enabled=on).get("webhooks", HERE, Source({"x": asyncio.Lock()}).load)


@pytest.mark.parametrize("name", ["webhook:12", "", "x", "7", "*:x"])
async def test_a_key_without_a_tenant_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="tenant"):
        await deaf().get("webhooks", name, Source().load)


async def test_off_means_straight_through(dsn: str, worker_pool: Pool) -> None:
    async with running_cache(dsn, worker_pool, cache_enabled=False) as cache:
        source = Source((1, 2))
        assert [await cache.get("alerts", HERE, source.load) for _ in range(3)] == [[1, 2]] * 3
        assert source.loads == 3
        assert (await cache.figures()).local.size == 0


class TestAge:
    """No value is older than it may be."""

    async def test_the_life_of_an_entry_counts_from_the_begin_of_its_load(self) -> None:
        clock, gate = Clock(), Gate()
        cache = deaf(clock)
        asked = asyncio.create_task(cache.get("dashboard", HERE, gate.load))
        await gate.began.wait()
        clock.now += 59
        gate.open.set()
        await asked
        await cache.get("dashboard", HERE, gate.load)
        assert gate.loads == 1
        clock.now += 1
        await cache.get("dashboard", HERE, gate.load)
        assert gate.loads == 2

    @pytest.mark.parametrize(("ttl_s", "lives_s"), [(2, 2), (0.5, 0.5), (0, 0), (None, 60), (3_600, 60)])
    async def test_defect_d_a_life_of_its_own_is_honoured_within_the_bound(
        self, ttl_s: float | None, lives_s: float
    ) -> None:
        clock, source = Clock(), Source()
        cache = deaf(clock)
        await cache.get("dashboard", HERE, source.load, ttl_s)
        clock.now += lives_s - 0.01
        await cache.get("dashboard", HERE, source.load, ttl_s)
        assert source.loads == (1 if lives_s else 2)
        clock.now += 0.02
        source.value = "second"
        assert await cache.get("dashboard", HERE, source.load, ttl_s) == "second"

    async def test_a_process_that_never_hears_of_a_change_is_right_again_after_the_life_of_the_entry(self) -> None:
        clock, source = Clock(), Source()
        cache = deaf(clock, cache_ttl_seconds=5)
        await cache.get("alerts", HERE, source.load)
        source.value = "second"
        clock.now += 5
        assert await cache.get("alerts", HERE, source.load) == "second"

    async def test_nothing_is_kept_while_nobody_listens(self) -> None:
        session, source = [0], Source()
        cache = Cache(Settings(_env_file=None), None)
        cache.follow(lambda: session[0])
        for number, loads in ((0, 1), (0, 2), (1, 3), (1, 3), (0, 4), (1, 4), (2, 5), (2, 5)):
            session[0] = number
            await cache.get("alerts", HERE, source.load)
            assert source.loads == loads

    async def test_a_load_that_outlives_its_listener_is_not_kept(self) -> None:
        session, gate = [1], Gate()
        cache = Cache(Settings(_env_file=None), None)
        cache.follow(lambda: session[0])
        asked = asyncio.create_task(cache.get("alerts", HERE, gate.load))
        await gate.began.wait()
        session[0] = 2
        gate.value = "second"
        gate.open.set()
        assert await cache.get("alerts", HERE, gate.load) == "second"
        assert await asked == "first"
        assert await cache.get("alerts", HERE, gate.load) == "second"
        assert gate.loads == 2


class TestSize:
    """Memory is bounded, and known."""

    async def test_the_least_recently_used_goes_first(self) -> None:
        cache, source = deaf(cache_max_size=3), Source()
        for name in ("a", "b", "c", "a", "d"):
            await cache.get("alerts", key(1, name), source.load)
        assert source.loads == 4
        await cache.get("alerts", key(1, "a"), source.load)
        assert source.loads == 4
        await cache.get("alerts", key(1, "b"), source.load)
        assert source.loads == 5
        assert (await cache.figures()).local.size == 3

    async def test_a_huge_value_passes_and_is_not_kept(self) -> None:
        cache, source = deaf(), Source("x" * LARGEST)
        for _ in range(2):
            assert await cache.get("alerts", HERE, source.load) == source.value
        assert source.loads == 2

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("get"), st.integers(1, 3), st.integers(0, 5)),
                st.tuples(st.just("drop"), st.integers(1, 3), st.integers(0, 5)),
                st.tuples(st.just("wait"), st.just(0), st.integers(1, 40)),
            )
        )
    )
    def test_the_figures_are_those_of_what_is_there(self, steps: list[tuple[str, int, int]]) -> None:
        clock = Clock()
        cache = deaf(clock, cache_max_size=6)

        async def run() -> None:
            for what, tenant, number in steps:
                if what == "get":
                    await cache.get(("alerts", "links")[number % 2], key(tenant, number), Source("x" * number).load)
                elif what == "drop":
                    cache.heard(CHANNEL, told("alerts", f"{tenant}:{number}*"))
                else:
                    clock.now += number

        asyncio.run(run())
        sizes = cache._local.sizes()
        kept = [(region, name) for region, name in cache._local._entries]
        assert sum(entries for entries, _ in sizes.values()) == len(kept) <= 6
        assert {(region, name) for (region, _), names in cache._local._keys.items() for name in names} == set(kept)
        assert all(entries >= 0 and (size > 0) is (entries > 0) for entries, size in sizes.values())


class TestChanges:
    """What changes drop, here and in other processes."""

    async def test_defect_d_a_pattern_drops_all_that_match_it_and_nothing_else(self) -> None:
        cache = deaf()
        sources = {
            (region, name): Source()
            for region, name in (
                ("webhooks", key(1, "webhook", 12, "config")),
                ("webhooks", key(1, "webhook", 12, "list", 2)),
                ("webhooks", key(1, "webhook", 120, "config")),
                ("webhooks", key(2, "webhook", 12, "config")),
                ("alerts", key(1, "webhook", 12, "config")),
            )
        }

        async def get_all() -> list[int]:
            for (region, name), source in sources.items():
                await cache.get(region, name, source.load)
            return [source.loads for source in sources.values()]

        await get_all()
        cache.heard(CHANNEL, told("webhooks", "1:webhook:12:*"))
        assert await get_all() == [2, 2, 1, 1, 1]
        cache.heard(CHANNEL, told("*", "1:*", 5))
        assert await get_all() == [3, 3, 2, 1, 2]
        cache.heard(CHANNEL, told("*", "*", 6))
        assert await get_all() == [4, 4, 3, 2, 3]

    async def test_both_processes_drop_what_one_invalidates(self, dsn: str, worker_pool: Pool) -> None:
        async with running_cache(dsn, worker_pool) as here, running_cache(dsn, worker_pool) as there:
            source = Source()
            for cache in (here, there):
                await cache.get("webhooks", HERE, source.load)
            source.value = "second"
            assert await here.invalidate("webhooks", "1:webhook:12:*") == 1
            assert await here.get("webhooks", HERE, source.load) == "second"

            async def known() -> bool:
                return await there.get("webhooks", HERE, source.load) == "second"

            await until(known)
            assert source.loads == 4

    async def test_an_own_change_that_comes_back_drops_nothing_newer(self, worker_pool: Pool) -> None:
        cache, source = Cache(Settings(_env_file=None), worker_pool), Source()
        cache.follow(lambda: 1)
        await cache.invalidate("webhooks", "1:*")
        (change,) = cache._applied
        await cache.get("webhooks", HERE, source.load)
        cache.heard(CHANNEL, told("webhooks", "1:*", change.xid))
        await cache.get("webhooks", HERE, source.load)
        assert source.loads == 1
        cache.heard(CHANNEL, told("webhooks", "1:*", change.xid + 1))
        await cache.get("webhooks", HERE, source.load)
        assert source.loads == 2

    async def test_nothing_is_told_before_the_commit_and_nothing_after_a_rollback(
        self, dsn: str, worker_pool: Pool, connection: asyncpg.Connection
    ) -> None:
        async with running_cache(dsn, worker_pool) as cache:
            source, heard = Source(), []
            await cache.get("webhooks", HERE, source.load)
            async with Listener(dsn, [CHANNEL], lambda channel, payload: heard.append((channel, payload))) as listener:
                await listener.connected()
                rolled_back = connection.transaction()
                await rolled_back.start()
                await invalidate_in(connection, "webhooks", "1:*")
                await rolled_back.rollback()
                async with connection.transaction():
                    await invalidate_in(connection, "webhooks", "9:*")

                async def told_of_one() -> bool:
                    return len([payload for channel, payload in heard if channel]) == 1

                await until(told_of_one)
            assert '"9:*"' in heard[-1][1]
            await cache.get("webhooks", HERE, source.load)
            assert source.loads == 1

    async def test_after_the_commit_this_process_reads_nothing_older(
        self, dsn: str, worker_pool: Pool, connection: asyncpg.Connection
    ) -> None:
        await connection.execute("create table thing (version integer)")
        await connection.execute("insert into thing values (0)")

        async def load() -> object:
            return await worker_pool.fetchval("select version from thing")

        async with running_cache(dsn, worker_pool) as cache:
            for version in range(1, 200):
                await cache.get("webhooks", HERE, load)
                async with connection.transaction():
                    await connection.execute("update thing set version = $1", version)
                    await cache.invalidate_in(connection, "webhooks", "1:webhook:12:*")
                    assert await cache.get("webhooks", HERE, load) == version - 1
                assert await cache.get("webhooks", HERE, load) == version

    async def test_entries_are_kept_again_once_the_commit_was_heard_of(self, connection: asyncpg.Connection) -> None:
        cache, source = deaf(), Source()
        async with connection.transaction():
            await cache.invalidate_in(connection, "webhooks", "1:*")
        (change,) = cache._doubts
        cache.heard(CHANNEL, told("webhooks", "1:*", change.xid))
        for _ in range(2):
            await cache.get("webhooks", HERE, source.load)
        assert source.loads == 1

    async def test_a_change_that_was_rolled_back_is_doubted_for_a_while_only(
        self, connection: asyncpg.Connection
    ) -> None:
        clock, source = Clock(), Source()
        cache = deaf(clock)
        await cache.get("webhooks", HERE, source.load)
        rolled_back = connection.transaction()
        await rolled_back.start()
        await cache.invalidate_in(connection, "webhooks", "1:*")
        await rolled_back.rollback()
        for _ in range(2):
            await cache.get("webhooks", HERE, source.load)
        assert source.loads == 3
        await cache.get("webhooks", key(2, "x"), source.load)
        await cache.get("webhooks", key(2, "x"), source.load)
        assert source.loads == 4
        clock.now += DOUBT_S + 1
        await cache.get("webhooks", HERE, source.load)
        assert source.loads == 4

    async def test_what_was_loaded_before_a_change_is_never_kept_after_it(self) -> None:
        cache, gate = deaf(), Gate()
        early = asyncio.create_task(cache.get("webhooks", HERE, gate.load))
        await gate.began.wait()
        gate.value = "second"
        cache.heard(CHANNEL, told("webhooks", "1:webhook:12:*"))
        late = asyncio.create_task(cache.get("webhooks", HERE, gate.load))
        gate.open.set()
        assert await late == "second"
        assert await early == "first"
        assert await cache.get("webhooks", HERE, gate.load) == "second"
        assert gate.loads == 2

    async def test_a_lost_connection_makes_everything_stale(
        self, dsn: str, worker_pool: Pool, connection: asyncpg.Connection
    ) -> None:
        async with running_cache(dsn, worker_pool) as cache:
            source = Source()
            await cache.get("webhooks", HERE, source.load)
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mainstem listener'"
            )
            source.value = "second"

            async def known() -> bool:
                return await cache.get("webhooks", HERE, source.load) == "second"

            await until(known)

    @pytest.mark.parametrize(
        "payload",
        [
            *("", "{", "[]", "null", "{}", '{"type": "else"}', '{"type": "warm", "tenant_id": "all", "by": ""}'),
            '{"type": "changed", "region": "webhooks", "pattern": "2:*"}',
            '{"type": "changed", "xid": "now", "region": "webhooks", "pattern": "2:*"}',
            '{"type": "changed", "xid": "7", "region": 7, "pattern": "2:*"}',
        ],
    )
    async def test_a_message_that_cannot_be_read_drops_everything(self, payload: str) -> None:
        cache, source = deaf(), Source()
        await cache.get("webhooks", HERE, source.load)
        cache.heard(CHANNEL, payload)
        await cache.get("webhooks", HERE, source.load)
        assert source.loads == 2

    @pytest.mark.parametrize("pattern", ["1:" + "x" * 1_000, "1:\0*"])
    async def test_a_pattern_that_cannot_be_told_is_refused(self, connection: asyncpg.Connection, pattern: str) -> None:
        with pytest.raises(ValueError, match="pattern"):
            await invalidate_in(connection, "webhooks", pattern)


class Play:
    """A process whose changes, messages and loads happen in a given order; each get checks its value when it ends."""

    def __init__(self) -> None:
        self.versions, self.known = [0, 0, 0], [0, 0, 0]
        self.sessions = self.session = 1
        self.unheard: list[tuple[int, int]] = []
        self.gates: list[asyncio.Event] = []
        self.asked: list[asyncio.Task[None]] = []
        self.cache = Cache(Settings(_env_file=None), None)
        self.cache.follow(lambda: self.session)

    def get(self, place: int) -> None:
        self.asked.append(asyncio.create_task(self._get(place, self.known[place])))

    async def _get(self, place: int, least: int) -> None:
        async def load() -> object:
            version, gate = self.versions[place], asyncio.Event()
            self.gates.append(gate)
            await gate.wait()
            return version

        assert await self.cache.get("webhooks", key(1, place), load) >= least

    def change(self, place: int) -> None:
        self.versions[place] += 1
        if self.session:
            self.unheard.append((place, self.versions[place]))

    def finish(self, which: int) -> None:
        if self.gates:
            self.gates.pop(which % len(self.gates)).set()

    def hear(self, _: int) -> None:
        if self.unheard:
            place, version = self.unheard.pop(0)
            self.cache.heard(CHANNEL, told("webhooks", f"1:{place}", 1 + 3 * version + place))
            self.known[place] = version

    def lose(self, _: int) -> None:
        self.session, self.unheard = 0, []

    def listen(self, _: int) -> None:
        if not self.session:
            self.sessions += 1
            self.session, self.known = self.sessions, list(self.versions)
            self.cache.heard(None, "")

    async def run(self, steps: list[tuple[str, int]]) -> None:
        for what, number in steps:
            getattr(self, what)(number)
            for _ in range(4):
                await asyncio.sleep(0)
        while not all(task.done() for task in self.asked):
            for gate in self.gates:
                gate.set()
            await asyncio.sleep(0)
        await asyncio.gather(*self.asked)


PLAYS = st.lists(
    st.tuples(st.sampled_from(("get", "get", "change", "finish", "hear", "lose", "listen")), st.integers(0, 2)),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(PLAYS)
def test_a_value_is_not_older_than_what_was_heard_before_it_was_asked_for(steps: list[tuple[str, int]]) -> None:
    asyncio.run(Play().run(steps))
