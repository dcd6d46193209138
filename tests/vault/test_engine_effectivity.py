"""Effectivity satellites: who holds a driving key from when to when, by load and in order."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault.desk import desk

from mainstem.vault.engine import Column, EffectivitySatellite

OPEN, DAY = "9999-12-31", "2024-01-{:02}"
COLUMNS = "hk text, booking text, guest text, starts date, ends date, eff date, day date, raw_id int8, rsrc text"
BY_LOAD = EffectivitySatellite(
    table="vault.es",
    comment="",
    key=(Column("hk", "text"),),
    driving_key=(Column("booking", "text"),),
    secondary_key=(Column("guest", "text"),),
    start=Column("starts", "timestamp"),
    end=Column("ends", "timestamp"),
    effective_from=Column("eff", "timestamp"),
    version=(Column("day", "date"), Column("raw_id", "int8")),
    meta=(Column("rsrc", "text"),),
)
BY_HAND = replace(BY_LOAD, auto_end_dating=False)
IN_ORDER = replace(BY_LOAD, in_order=True)


def row(day: int, guest: str | None, booking: str | None = "b", *, starts: int = 1, ends: str = OPEN, rsrc: str = "x"):
    key = f"{booking}-{guest}"
    date = DAY.format(day)
    return (key, booking, guest, DAY.format(starts), ends, date, date, day, rsrc)


def periods(on, spec) -> list[tuple[str | None, ...]]:
    """Return (guest, start day, end day or 31, load day), in order of load."""
    rows = on.stored(spec, "day", "guest", "ends", "starts")
    return [(guest, int(starts[8:10]), int(ends[8:10]), int(day[8:10])) for day, guest, ends, starts in rows]


def test_a_new_holder_closes_the_one_before(dsn: str):
    with desk(dsn) as on:
        on.make(BY_LOAD)
        on.load(BY_LOAD, COLUMNS, row(2, "ann", rsrc="first"))
        on.load(BY_LOAD, COLUMNS, row(4, "bob", rsrc="second"))
        assert periods(on, BY_LOAD) == [("ann", 2, 31, 2), ("ann", 2, 4, 4), ("bob", 4, 31, 4)]
        closing = ("ann", "first", "2024-01-04 00:00:00")
        assert closing in on.stored(BY_LOAD, "guest", "rsrc", "eff")
        on.load(BY_LOAD, COLUMNS, row(6, "ann"))
        assert periods(on, BY_LOAD)[3:] == [("ann", 6, 31, 6), ("bob", 4, 6, 6)]


def test_what_holds_already_adds_nothing(dsn: str):
    with desk(dsn) as on:
        on.make(BY_LOAD)
        on.load(BY_LOAD, COLUMNS, row(2, "ann"), row(2, "ann"))
        on.load(BY_LOAD, COLUMNS, row(3, "ann"), row(3, "eve", "other"), row(3, None), row(3, "joe", None))
        assert periods(on, BY_LOAD) == [("ann", 2, 31, 2), ("eve", 3, 31, 3)]


def test_without_automatic_end_dates_the_source_closes(dsn: str):
    with desk(dsn) as on:
        on.make(BY_HAND)
        on.load(BY_HAND, COLUMNS, row(2, "ann", starts=1))
        on.load(BY_HAND, COLUMNS, row(4, "bob", starts=3))
        on.load(BY_HAND, COLUMNS, row(5, "ann", starts=1, ends="2024-01-05", rsrc="later"))
        on.load(BY_HAND, COLUMNS, row(6, "ann", starts=1, ends="2024-01-05"))
        on.load(BY_HAND, COLUMNS, row(7, "ann", starts=7))
        expected = [("ann", 1, 31, 2), ("bob", 3, 31, 4), ("ann", 1, 5, 5), ("ann", 7, 31, 7)]
        assert periods(on, BY_HAND) == expected
        assert ("2024-01-05", "x") in on.stored(BY_HAND, "day", "rsrc")


def test_one_load_in_order_holds_many_changes(dsn: str):
    with desk(dsn) as on:
        on.make(IN_ORDER)
        on.load(IN_ORDER, COLUMNS, row(3, "ann"), row(1, "ann"), row(5, "bob"), row(7, "ann"), row(7, "eve", "other"))
        expected = [
            ("ann", 1, 31, 1),
            ("ann", 1, 5, 5),
            ("bob", 5, 31, 5),
            ("ann", 7, 31, 7),
            ("bob", 5, 7, 7),
            ("eve", 7, 31, 7),
        ]
        assert periods(on, IN_ORDER) == expected


def test_relations_in_order_end_each_other():
    with pytest.raises(ValueError, match="auto_end_dating"):
        replace(BY_HAND, in_order=True)


def history(guests: list[str]) -> list[tuple[str | int, ...]]:
    """Return the periods of one booking that was given to these guests day by day."""
    holder, since, rows = None, 0, []
    for day, guest in enumerate(guests, start=1):
        if guest == holder:
            continue
        if holder is not None:
            rows.append((holder, since, day, day))
        rows.append((guest, day, 31, day))
        holder, since = guest, day
    return rows


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["ann", "bob", "eve"]), max_size=8),
    st.lists(st.integers(0, 8), max_size=3),
    st.randoms(),
)
def test_any_cut_of_a_history_in_order_is_the_same_history(dsn: str, guests, cuts, random):
    with desk(dsn) as on:
        on.make(IN_ORDER)
        rows = [row(day, guest) for day, guest in enumerate(guests, start=1)]
        edges = [0, *sorted(cuts), len(rows)]
        for start, stop in pairwise(edges):
            part = rows[start:stop]
            random.shuffle(part)
            on.load(IN_ORDER, COLUMNS, *part)
        assert sorted(periods(on, IN_ORDER)) == sorted(history(guests))
