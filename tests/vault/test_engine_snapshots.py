"""Point-in-time tables and bridges say what was known then, and go on saying so."""

import pytest
from vault.desk import Desk, desk

from mainstem.vault.engine import (
    Bridge,
    Column,
    EffectivityAt,
    PointInTime,
    SatelliteAt,
    Step,
    rebuild_statements,
    snapshot_statement,
)

TENANT, KEY, AS_OF = Column("tenant", "int4"), Column("k", "text"), Column("as_of", "timestamptz")
PIT = PointInTime(
    table="vault.pit",
    comment="",
    hub="h",
    key=(TENANT, KEY),
    as_of=AS_OF,
    satellites=(
        SatelliteAt(
            table="s",
            on=("tenant", "k"),
            key=(Column("sat_k", "text", source="k"),),
            version=(Column("sat_at", "timestamptz", source="at"), Column("sat_id", "int8", source="id")),
        ),
    ),
)
HELD = EffectivityAt(table="e", on=("tenant", "l"), end="ends", version=("at",))
FIRST = Step(
    link="l1",
    came_from=("tenant", "k"),
    goes_to=("tenant", "m"),
    link_key=("tenant", "l"),
    keeps=(Column("l1", "text", source="l"),),
    effectivity=HELD,
)
SECOND = Step(
    link="l2",
    came_from=("tenant", "middle"),
    goes_to=("tenant", "last"),
    link_key=("tenant", "l"),
    keeps=(Column("l2", "text", source="l"), Column("last", "text")),
    load_date="at",
)
BRIDGE = Bridge(table="vault.brg", comment="", hub="h", key=(TENANT, KEY), as_of=AS_OF, walk=(FIRST, SECOND))


def at(on: Desk, *days: int) -> None:
    on.stage("as_of timestamptz", *[(f"2024-01-{day:02}",) for day in days], name="times")


@pytest.fixture
def on(dsn: str):
    with desk(dsn) as one:
        one.stage("tenant int4, k text", (1, "a"), (1, "b"), (2, "a"), name="h")
        yield one


def satellite(on: Desk, *rows: tuple[int, str, int, int]) -> None:
    on.stage(
        "tenant int4, k text, at timestamptz, id int8", *[(t, k, f"2024-01-{d:02}", i) for t, k, d, i in rows], name="s"
    )


def test_a_point_in_time_has_the_last_row_until_then_or_the_ghost(on: Desk):
    satellite(on, (1, "a", 2, 1), (1, "a", 4, 2), (1, "a", 4, 3), (2, "a", 3, 9))
    at(on, 1, 2, 4, 4)
    on.make(PIT)
    on.connection.execute(snapshot_statement(PIT, "times"))
    stored = [
        (t, k, day[8:10], sat, i) for t, k, day, sat, i in on.stored(PIT, "tenant", "k", "as_of", "sat_k", "sat_id")
    ]
    ghosts = [
        ("1", "a", "01"),
        ("1", "b", "01"),
        ("1", "b", "02"),
        ("1", "b", "04"),
        ("2", "a", "01"),
        ("2", "a", "02"),
    ]
    found = [("1", "a", "02", "a", "1"), ("1", "a", "04", "a", "3"), ("2", "a", "04", "a", "9")]
    assert sorted(stored) == sorted([(*ghost, "(unknown)", "0") for ghost in ghosts] + found)


def test_a_closed_snapshot_stays_until_all_are_rebuilt(on: Desk):
    satellite(on, (1, "a", 2, 1))
    at(on, 3)
    on.make(PIT)
    on.connection.execute(snapshot_statement(PIT, "times"))
    before = on.stored(PIT, *(column.name for column in PIT.columns))
    satellite(on, (1, "a", 3, 2))
    at(on, 3, 5)
    on.connection.execute(snapshot_statement(PIT, "times"))
    after = on.stored(PIT, *(column.name for column in PIT.columns))
    assert set(before) < set(after)
    assert len(after) == 2 * len(before)
    for statement in rebuild_statements(PIT, "times"):
        on.connection.execute(statement)
    assert ("1", "a", "2024-01-03 00:00:00+00", "2") in on.stored(PIT, "tenant", "k", "as_of", "sat_id")


def walk(on: Desk, *held: tuple[str, int, str]) -> None:
    on.stage(
        "tenant int4, l text, k text, m text", (1, "x", "a", "m"), (1, "y", "a", "n"), (2, "x", "a", "m"), name="l1"
    )
    rows = [(1, link, f"2024-01-{day:02}", ends) for link, day, ends in held]
    on.stage("tenant int4, l text, at timestamptz, ends date", *rows, name="e")
    on.stage(
        "tenant int4, l text, middle text, last text, at timestamptz", (1, "z", "m", "end", "2024-01-02"), name="l2"
    )


def ways(on: Desk) -> list[tuple[str | None, ...]]:
    return [(day[8:10], *rest) for day, *rest in on.stored(BRIDGE, "as_of", "tenant", "k", "l1", "l2", "last")]


def test_a_bridge_has_the_complete_ways_that_held(on: Desk):
    walk(on, ("x", 1, "9999-12-31"), ("x", 5, "2024-01-04"), ("x", 7, "9999-12-31"), ("y", 1, "9999-12-31"))
    at(on, 1, 3, 5, 8)
    on.make(BRIDGE)
    on.connection.execute(snapshot_statement(BRIDGE, "times"))
    assert ways(on) == [("03", "1", "a", "x", "z", "end"), ("08", "1", "a", "x", "z", "end")]


def test_a_link_that_never_held_is_no_way(on: Desk):
    walk(on)
    at(on, 9)
    on.make(BRIDGE)
    for statement in rebuild_statements(BRIDGE, "times"):
        on.connection.execute(statement)
    assert ways(on) == []
