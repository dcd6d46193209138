"""Record tracking says when a key was seen, extended tracking which hashdiff came when."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault.desk import desk

from mainstem.vault.engine import Column, ExtendedTracking, RecordTracking, Tracked

KEY, DAY, RSRC = Column("k", "text"), Column("day", "date"), Column("rsrc", "text")
LOG = ExtendedTracking(
    table="vault.xts",
    comment="",
    key=(KEY,),
    version=(DAY,),
    meta=(RSRC,),
    tracked=(Tracked("page_diff", name="sat_page"), Tracked("other_diff", name_from="other")),
)
COLUMNS = "k text, page_diff bytea, other_diff bytea, other text, day date, rsrc text, raw_id int8"


def row(key: str | None, page: str, day: int, rsrc: str = "x"):
    return (key, f"\\x{page}", r"\xff", "sat_other", f"2024-01-0{day}", rsrc, day)


def test_every_hashdiff_is_logged_once_per_key_satellite_and_date(dsn: str):
    with desk(dsn) as on:
        on.make(LOG)
        on.load(LOG, COLUMNS, row("a", "01", 1), row("a", "01", 1), row(None, "01", 1))
        on.load(LOG, COLUMNS, row("a", "01", 1), row("b", "01", 1), row("a", "01", 2), row("a", "02", 2))
        page = [
            ("a", "2024-01-01", r"\x01"),
            ("a", "2024-01-02", r"\x01"),
            ("a", "2024-01-02", r"\x02"),
            ("b", "2024-01-01", r"\x01"),
        ]
        stored = on.stored(LOG, "k", "day", "hashdiff", "satellite")
        assert [one[:3] for one in stored if one[3] == "sat_page"] == page
        assert len([one for one in stored if one[3] == "sat_other"]) == 3


@pytest.mark.parametrize(("repeats", "count"), [(False, 2), (True, 4)])
def test_rows_of_one_load_that_differ_in_the_rest_may_all_be_kept(dsn: str, repeats, count):
    spec = ExtendedTracking(
        table="vault.xts", comment="", key=(KEY,), version=(DAY,), meta=(RSRC,), tracked=LOG.tracked, repeats=repeats
    )
    with desk(dsn) as on:
        on.make(spec)
        on.load(spec, COLUMNS, row("a", "01", 1, "x"), row("a", "01", 1, "y"))
        on.load(spec, COLUMNS, row("a", "01", 1, "z"))
        assert len(on.stored(spec, "rsrc")) == count
        assert set(on.stored(spec, "rsrc")) <= {("x",), ("y",)}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["01", "02"]), st.integers(1, 3)), max_size=6),
    st.randoms(),
)
def test_any_order_logs_the_same(dsn: str, entries, random):
    with desk(dsn) as on:
        on.make(LOG)
        random.shuffle(entries)
        for entry in entries:
            on.load(LOG, COLUMNS, row(*entry))
        stored = on.stored(LOG, "k", "hashdiff", "day", "satellite")
        expected = {(key, f"\\x{page}", f"2024-01-0{day}") for key, page, day in entries}
        assert sorted(one[:3] for one in stored if one[3] == "sat_page") == sorted(expected)


def test_a_tracked_satellite_has_one_name():
    with pytest.raises(ValueError, match="name"):
        Tracked("diff")
    with pytest.raises(ValueError, match="name"):
        Tracked("diff", name="a", name_from="b")


def test_a_record_is_tracked_once_per_version(dsn: str):
    spec = RecordTracking(
        table="vault.rts", comment="", key=(KEY,), version=(DAY,), meta=(RSRC,), payload=(Column("is_present", "bool"),)
    )
    columns = "k text, day date, rsrc text, is_present bool, raw_id int8"
    with desk(dsn) as on:
        on.make(spec)
        on.load(
            spec,
            columns,
            ("a", "2024-01-01", "late", "t", 2),
            ("a", "2024-01-01", "x", "t", 1),
            (None, "2024-01-01", "x", "t", 1),
        )
        on.load(spec, columns, ("a", "2024-01-01", "again", "t", 3), ("a", "2024-01-02", "x", "f", 4))
        assert on.stored(spec, "day", "rsrc", "is_present") == [
            ("2024-01-01", "x", "true"),
            ("2024-01-02", "x", "false"),
        ]
