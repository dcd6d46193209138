"""Multi-active satellites keep every set that differs from the set before it, whole."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault.desk import desk

from mainstem.vault.engine import Column, MultiActiveSatellite

KEY, PHONE, NAME = Column("k", "text"), Column("phone", "text"), Column("name", "text")
DAY = Column("day", "date")
COLUMNS = "k text, phone text, name text, day date, raw_id int8"
SPEC = MultiActiveSatellite(
    table="vault.ms", comment="", key=(KEY,), child_key=(PHONE,), payload=(NAME,), version=(DAY,), meta=()
)
Set = dict[str, str]


def staged(day: int, members: Set, key: str = "k") -> list[tuple[str | int, ...]]:
    return [(key, phone, name, f"2024-01-{day:02}", day) for phone, name in members.items()]


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({"1": "a", "2": "b"}, {"2": "b", "1": "a"}, 0),
        ({"1": "a", "2": "b"}, {"1": "a"}, 1),
        ({"1": "a"}, {"1": "a", "2": "b"}, 2),
        ({"1": "a"}, {"1": "b"}, 1),
        ({"1": "a", "2": "b"}, {"1": "b", "2": "a"}, 2),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_set_goes_in_whole_or_not_at_all(dsn: str, before, after, kept, together):
    with desk(dsn) as on:
        on.make(SPEC)
        loads = [staged(1, before) + staged(2, after)] if together else [staged(1, before), staged(2, after)]
        for rows in loads:
            on.load(SPEC, COLUMNS, *rows)
        assert len(on.stored(SPEC, "day")) == len(before) + kept


def test_sets_of_two_keys_are_two_sets(dsn: str):
    with desk(dsn) as on:
        on.make(SPEC)
        on.load(
            SPEC, COLUMNS, *staged(1, {"1": "a"}), *staged(2, {"1": "a"}, "other"), (None, "1", "a", "2024-01-01", 1)
        )
        on.load(SPEC, COLUMNS, ("k", None, "b", "2024-01-05", 1))
        assert on.stored(SPEC, "k") == [("k",), ("other",)]


def test_of_two_rows_with_one_child_key_the_first_counts(dsn: str):
    rows = [("k", "1", "late", "2024-01-01", 2), ("k", "1", "first", "2024-01-01", 1)]
    with desk(dsn) as on:
        on.make(SPEC)
        for _ in range(2):
            on.load(SPEC, COLUMNS, *rows)
        assert on.stored(SPEC, "name") == [("first",)]


def test_repeats_are_kept_where_they_are_asked_for(dsn: str):
    spec = MultiActiveSatellite(
        table="vault.ms",
        comment="",
        key=(KEY,),
        child_key=(PHONE,),
        payload=(NAME,),
        version=(DAY,),
        meta=(),
        repeats=True,
    )
    with desk(dsn) as on:
        on.make(spec)
        rows = [("k", "1", "x", "2024-01-01", 2), ("k", "1", "y", "2024-01-01", 1), ("k", "1", "y", "2024-01-01", 3)]
        on.load(spec, COLUMNS, *rows)
        on.load(spec, COLUMNS, *[(*row[:3], "2024-01-02", row[4]) for row in rows])
        assert on.stored(spec, "name", "day") == [("x", "2024-01-01"), ("y", "2024-01-01")]


def changed(sets: Sequence[Set]) -> list[Set]:
    return [one for number, one in enumerate(sets) if number == 0 or one != sets[number - 1]]


history = st.lists(st.dictionaries(st.sampled_from("12"), st.sampled_from("ab"), min_size=1), max_size=5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history, st.integers(0, 5), st.randoms())
def test_any_cut_and_any_order_of_rows_keep_the_same_sets(dsn: str, sets, cut, random):
    with desk(dsn) as on:
        on.make(SPEC)
        days = list(enumerate(sets, start=1))
        for part in (days[:cut], days[cut:]):
            rows = [row for day, members in part for row in staged(day, members)]
            random.shuffle(rows)
            on.load(SPEC, COLUMNS, *rows)
        stored: dict[str, Set] = {}
        for day, phone, name in on.stored(SPEC, "day", "phone", "name"):
            stored.setdefault(day, {})[phone] = name
        assert list(stored.values()) == changed(sets)
