"""All kinds of structures from one stage by one statement: order, batching and replays change nothing."""

import random as randoms
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault.desk import Desk, desk

from mainstem.vault.engine import (
    Column,
    EffectivitySatellite,
    ExtendedTracking,
    Hub,
    Link,
    MultiActiveSatellite,
    NonHistorisedLink,
    RecordTracking,
    SameAsLink,
    Satellite,
    Structure,
    Tracked,
    load_statements,
)

COLUMNS = "booking text, guest text, phone text, name text, diff bytea, at timestamptz, raw_id int8"
BOOKING, GUEST, PHONE, NAME = (Column(name, "text") for name in ("booking", "guest", "phone", "name"))
AT, RAW_ID = Column("at", "timestamptz"), Column("raw_id", "int8")
VERSION = (AT, RAW_ID)
BOTH = (BOOKING, GUEST)
HUB = Hub(table="vault.t_hub", comment="", key=(GUEST,), business_key=(NAME,), meta=(AT,))
LINK = Link(table="vault.t_link", comment="", key=BOTH, references=BOTH, meta=(AT,))
SAME = SameAsLink(table="vault.t_same", comment="", key=BOTH, master=(BOOKING,), duplicate=(GUEST,), meta=(AT,))
FACT = NonHistorisedLink(table="vault.t_fact", comment="", key=(RAW_ID,), payload=(NAME,), meta=(AT,))
SATELLITE = Satellite(table="vault.t_sat", comment="", key=(GUEST,), version=VERSION, payload=(NAME,), meta=())
SETS = MultiActiveSatellite(
    table="vault.t_sets", comment="", key=(GUEST,), version=VERSION, child_key=(PHONE,), payload=(NAME,), meta=()
)
HOLDERS = EffectivitySatellite(
    table="vault.t_held",
    comment="",
    key=BOTH,
    driving_key=(BOOKING,),
    secondary_key=(GUEST,),
    start=Column("starts", "timestamptz"),
    end=Column("ends", "timestamptz"),
    effective_from=AT,
    version=(RAW_ID,),
    meta=(),
    in_order=True,
)
SEEN = RecordTracking(table="vault.t_seen", comment="", key=(GUEST,), version=VERSION, meta=())
LOG = ExtendedTracking(
    table="vault.t_log", comment="", key=(GUEST,), version=VERSION, meta=(), tracked=(Tracked("diff", name="sat"),)
)
LISTS: tuple[Structure, ...] = (HUB, LINK, SAME, FACT, SEEN, LOG)
HISTORIES: tuple[Structure, ...] = (SATELLITE, SETS, HOLDERS)
Event = tuple[str, str, str]
events = st.lists(st.tuples(st.sampled_from("BC"), st.sampled_from("ghB"), st.sampled_from("xy")), max_size=6)


def staged(number: int, event: Event) -> tuple[str | int, ...]:
    booking, guest, name = event
    return (booking, guest, "1", name, f"\\x{name.encode().hex()}", f"2024-01-01T00:00:{number:02}Z", number)


def load(on: Desk, specs: Sequence[Structure], rows: Sequence[tuple[str | int, ...]]) -> None:
    on.stage(COLUMNS, *rows)
    on.connection.execute(load_statements(specs, "staged"))


def content(on: Desk, specs: Sequence[Structure]) -> list[object]:
    return [on.stored(spec, *(column.name for column in spec.columns)) for spec in specs]


def identities(on: Desk) -> list[object]:
    """Return what is stored without the load date and name that the first row of a key brought."""
    return [on.stored(spec, *spec.primary_key) for spec in LISTS]


def cut(rows: list[tuple[str | int, ...]], edges: list[int]) -> list[list[tuple[str | int, ...]]]:
    places = [0, *sorted(edges), len(rows)]
    return [rows[start:stop] for start, stop in pairwise(places)]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.lists(st.integers(0, 6), max_size=3), st.randoms())
def test_histories_are_the_same_however_they_are_cut(dsn: str, made: list[Event], edges, random: randoms.Random):
    rows = [staged(number, event) for number, event in enumerate(made)]
    with desk(dsn) as on:
        on.make(*HISTORIES)
        load(on, HISTORIES, rows)
        at_once = content(on, HISTORIES)
    with desk(dsn) as on:
        on.make(*HISTORIES)
        for part in cut(rows, edges):
            random.shuffle(part)
            load(on, HISTORIES, part)
        assert content(on, HISTORIES) == at_once


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.lists(st.integers(0, 6), max_size=3), st.randoms())
def test_lists_are_the_same_in_any_order(dsn: str, made: list[Event], edges, random: randoms.Random):
    rows = [staged(number, event) for number, event in enumerate(made)]
    with desk(dsn) as on:
        on.make(*LISTS)
        load(on, LISTS, rows)
        at_once = identities(on)
    with desk(dsn) as on:
        on.make(*LISTS)
        random.shuffle(rows)
        for part in cut(rows, edges):
            load(on, LISTS, part)
        assert identities(on) == at_once


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.sets(st.integers(0, 5)))
def test_a_replay_changes_nothing(dsn: str, made: list[Event], again: set[int]):
    rows = [staged(number, event) for number, event in enumerate(made)]
    with desk(dsn) as on:
        on.make(*LISTS, *HISTORIES)
        load(on, (*LISTS, *HISTORIES), rows)
        before = content(on, (*LISTS, *HISTORIES))
        load(on, (*LISTS, *HISTORIES), rows)
        assert content(on, (*LISTS, *HISTORIES)) == before
        # of a part, too, where a row does not depend on the one before it
        load(on, (*LISTS, HOLDERS), [row for number, row in enumerate(rows) if number in again])
        assert content(on, (*LISTS, *HISTORIES)) == before
