"""What may still be used after a change: patterns, snapshots, and the fence, against a model of PostgreSQL."""

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mainstem.platform.cache import Change, key
from mainstem.platform.cache.changes import Fence, Snapshot, tenant_of
from mainstem.platform.db import load_queries

texts = st.text(alphabet="ab:*%1", max_size=5)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("7:webhook:12:*", "7:webhook:12:config", True),
        ("7:webhook:12:*", "7:webhook:120:config", False),
        ("7:webhook:12:*", "17:webhook:12:config", False),
        ("7:webhook:12", "7:webhook:12", True),
        ("7:webhook:12", "7:webhook:12:config", False),
        ("7:*", "7:anything", True),
        ("7:*", "70:anything", False),
        ("*", "7:anything", True),
        ("7:*:config", "7:webhook:12:config", True),
        ("7:*:config", "7:webhook:12:configs", False),
        ("7:a.c*", "7:abc", False),
        ("7:[ab]*", "7:a", False),
        ("7:*\n*", "7:a\nb", True),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_is_special(pattern: str, text: str, matches: bool) -> None:
    assert Change("webhooks", pattern).touches("webhooks", text) is matches


def test_a_region_is_only_met_by_its_own_changes_and_those_of_all() -> None:
    assert not Change("webhooks", "*").touches("alerts", "7:x")
    assert Change("*", "7:*").touches("alerts", "7:x")
    assert Change("*", "7:alerts:*").touches("alerts", "7:x")
    assert not Change("*", "7:alerts:*").touches("webhooks", "7:x")
    assert not Change("*", "7:alerts:*").touches("alerts", "8:x")


@given(st.lists(texts, min_size=1), st.lists(texts, min_size=1), st.integers(1, 99), st.integers(1, 99))
def test_different_parts_or_tenants_never_make_the_same_key(
    one: list[str], other: list[str], tenant: int, another: int
) -> None:
    assert (key(tenant, *one) == key(another, *other)) is ((tenant, one) == (another, other))
    assert tenant_of(key(tenant, *one)) == str(tenant)


@given(st.lists(texts, min_size=1), texts, st.integers(1, 99), st.integers(100, 199))
def test_a_pattern_behind_a_tenant_never_meets_another_tenant(
    parts: list[str], pattern: str, tenant: int, another: int
) -> None:
    for region in ("webhooks", "*"):
        assert not Change(region, f"{another}:{pattern}").touches("webhooks", key(tenant, *parts))


class Postgres:
    """Transactions and what a snapshot of PostgreSQL says of them."""

    def __init__(self) -> None:
        self.next = 100
        self.running: set[int] = set()
        self.committed: set[int] = set()
        self.highest_ended = 99

    def begin(self) -> int:
        self.next += 1
        self.running.add(self.next - 1)
        return self.next - 1

    def commit(self, xid: int) -> None:
        self.running.remove(xid)
        self.committed.add(xid)
        self.highest_ended = max(self.highest_ended, xid)

    def snapshot(self) -> Snapshot:
        end = self.highest_ended + 1
        running = frozenset(xid for xid in self.running if xid < end)
        return Snapshot(min(running, default=end), end, running)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50))))
def test_snapshots_see_what_was_committed_and_cover_those_before_them(steps: list[tuple[bool, int]]) -> None:
    database = Postgres()
    taken: list[tuple[Snapshot, set[int]]] = []
    for begins, which in steps:
        if begins:
            database.begin()
        elif database.running:
            database.commit(sorted(database.running)[which % len(database.running)])
        taken.append((database.snapshot(), set(database.committed)))
    for number, (snapshot, committed) in enumerate(taken):
        assert {xid for xid in range(100, database.next) if snapshot.sees(xid)} == committed
        for earlier, _ in taken[: number + 1]:
            assert snapshot.covers(earlier)
        for later, more in taken[number:]:
            assert snapshot.covers(later) is (committed == more)


class Readers(RuleBasedStateMachine):
    """Values loaded at snapshots, changes that commit and are heard in order, and a listener that comes and goes."""

    PATTERNS = ("1:*", "1:a", "1:b", "2:*", "*", "1:b*")
    KEYS = ("1:a", "1:b", "2:a")

    @initialize(most=st.sampled_from((3, 5_000)))
    def begins(self, most: int) -> None:
        self.database = Postgres()
        self.fence = Fence(keep_s=1e9, most=most)
        self.now = 0.0
        self.open: dict[int, Change] = {}
        self.done: list[Change] = []
        self.unheard: list[Change] | None = None
        self.known: set[int] = set()
        self.missed: set[int] = set()
        self.asked: tuple[Snapshot, set[int], int] | None = None
        self.loaded: list[tuple[Snapshot, set[int]]] = []

    @rule(pattern=st.sampled_from(PATTERNS), region=st.sampled_from(("dashboard", "*")), at_once=st.booleans())
    def changes(self, pattern: str, region: str, at_once: bool) -> None:
        xid = self.database.begin()
        self.open[xid] = Change(region, pattern, xid)
        if at_once:
            self._commit(xid)

    @rule(which=st.integers(0, 9))
    def commits(self, which: int) -> None:
        if self.open:
            self._commit(sorted(self.open)[which % len(self.open)])

    def _commit(self, xid: int) -> None:
        self.database.commit(xid)
        self.done.append(self.open.pop(xid))
        if self.unheard is not None:
            self.unheard.append(self.done[-1])

    @rule(most=st.integers(1, 4))
    def hears(self, most: int) -> None:
        for _ in range(min(most, len(self.unheard or ()))):
            change = self.unheard.pop(0)
            self.now += 1
            self.fence.heard(change, self.now)
            self.known.add(change.xid)

    @rule(returns=st.booleans())
    def loses_its_listener(self, returns: bool) -> None:
        self.unheard = None
        self.fence.end()
        if returns:
            self._listen()

    def _listen(self) -> None:
        self.unheard = []
        # nothing will tell of these
        self.missed = {change.xid for change in self.done}

    @rule(at_once=st.booleans())
    def asks_for_a_snapshot_to_begin_from(self, at_once: bool) -> None:
        if self.unheard is None:
            self._listen()
        self.asked = (self.database.snapshot(), {change.xid for change in self.done}, self.fence.ends)
        if at_once:
            self.is_answered()

    @rule()
    def is_answered(self) -> None:
        if self.asked is not None:
            (snapshot, known, ends), self.asked = self.asked, None
            if ends == self.fence.ends and not self.fence.begun:
                self.fence.begin(snapshot)
                self.known |= known | self.missed

    @rule()
    def loads(self) -> None:
        self.loaded.append((self.database.snapshot(), set(self.database.committed)))

    @invariant()
    def nothing_older_than_what_is_known_passes(self) -> None:
        for snapshot, seen in self.loaded[-8:]:
            unseen = [change for change in self.done if change.xid in self.known - seen]
            for place in self.KEYS:
                if self.fence.admits("dashboard", place, snapshot):
                    assert not any(change.touches("dashboard", place) for change in unseen)

    @invariant()
    def what_is_loaded_now_passes(self) -> None:
        if self.fence.begun:
            assert all(self.fence.admits("dashboard", place, self.database.snapshot()) for place in self.KEYS)


TestReaders = Readers.TestCase
TestReaders.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


def test_a_change_is_forgotten_when_no_value_of_before_can_live() -> None:
    fence = Fence(keep_s=60)
    fence.begin(Snapshot(100, 100))
    fence.heard(Change("dashboard", "1:*", 100), 0)
    fence.heard(Change("dashboard", "1:*", 101), 60)
    assert not fence.admits("dashboard", "1:a", Snapshot(100, 100))
    fence.heard(Change("alerts", "1:*", 102), 60.1)
    assert not fence.admits("dashboard", "1:a", Snapshot(100, 101))
    fence.heard(Change("alerts", "1:*", 103), 120.1)
    assert fence.admits("dashboard", "1:a", Snapshot(100, 101))


async def test_snapshots_are_read_as_postgresql_writes_them(dsn: str, connection: asyncpg.Connection) -> None:
    other = await asyncpg.connect(dsn)
    async with other.transaction():
        running = int(await other.fetchval("select pg_current_xact_id()::text"))
        ended = int(await connection.fetchval("select pg_current_xact_id()::text"))
        row = await connection.fetchrow(load_queries("mainstem.platform.cache")["moment"])
        snapshot = Snapshot.parse(row["snapshot"])
        assert (snapshot.sees(running), snapshot.sees(ended)) == (False, True)
    later = Snapshot.parse(await connection.fetchval("select pg_current_snapshot()::text"))
    assert later.sees(running)
    assert (later.covers(snapshot), snapshot.covers(later)) == (True, False)
    await other.close()


@pytest.mark.parametrize("name", load_queries("mainstem.platform.cache"))
async def test_every_query_fits_the_schema(connection: asyncpg.Connection, name: str) -> None:
    assert await connection.prepare(load_queries("mainstem.platform.cache")[name])
