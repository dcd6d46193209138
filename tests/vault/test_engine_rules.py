"""Hubs, links, facts, satellites: which rows go in, from one stage or several, and what stands for none."""

import psycopg
import pytest
from vault.desk import desk

from mainstem.vault.engine import (
    COMPAT,
    Column,
    Hub,
    Link,
    MultiActiveSatellite,
    NonHistorisedLink,
    SameAsLink,
    Satellite,
    create_table,
    ghost_rows,
    load_statement,
)

A, B, C = (Column(name, "text") for name in "abc")
DAY = Column("day", "date")
RSRC = Column("rsrc", "text")
ORDER = ("day", "rsrc")
HUB = Hub(table="vault.h", comment="", key=(A, B), business_key=(C,), meta=(DAY, RSRC), order=ORDER)
COLUMNS = "a text, b text, c text, day date, rsrc text"


def test_a_union_of_stages_counts_as_one(dsn: str):
    with desk(dsn) as on:
        on.make(HUB)
        on.stage(COLUMNS, ("1", "1", "late", "2024-01-03", "x"), ("1", "1", "z", "2024-01-02", "y"), name="one")
        # columns in another order, and one more
        on.stage(
            "rsrc text, more int, day date, c text, b text, a text",
            ("x", 1, "2024-01-02", "first", "1", "1"),
            name="two",
        )
        on.connection.execute(load_statement(HUB, ["one", "two"]))
        assert on.stored(HUB, "c") == [("first",)]


def test_a_key_with_a_null_in_it_is_no_key(dsn: str):
    with desk(dsn) as on:
        on.make(HUB)
        on.load(
            HUB,
            COLUMNS,
            ("1", None, "x", "2024-01-01", "x"),
            (None, None, "x", "2024-01-01", "x"),
            ("1", "", "x", "2024-01-01", "x"),
        )
        assert on.stored(HUB, "a", "b") == [("1", "")]


def test_a_same_as_link_joins_two_things(dsn: str):
    spec = SameAsLink(
        table="vault.sal", comment="", key=(A, B), master=(A,), duplicate=(B,), meta=(DAY,), order=("day",)
    )
    with desk(dsn) as on:
        on.make(spec)
        rows = [("1", "2", "2024-01-02"), ("1", "2", "2024-01-01"), ("1", "1", "2024-01-01"), ("1", None, "2024-01-01")]
        on.load(spec, "a text, b text, day date", *rows)
        assert on.stored(spec, "a", "b", "day") == [("1", "2", "2024-01-01")]


FACTS = [("1", "u", "x", "2024-01-02", "q"), ("1", "u", "y", "2024-01-01", "q"), ("1", "u", "y", "2024-01-01", "q"),
         ("2", None, "z", "2024-01-01", "q"), (None, "u", "z", "2024-01-01", "q")]  # fmt: skip
MORE_FACTS = [("1", "u", "new", "2024-01-03", "q"), ("3", "u", "w", "2024-01-03", "q")]


@pytest.mark.parametrize(("repeats", "stored"), [(False, ["w", "y"]), (True, ["w", "x", "y"])])
def test_facts_whose_key_is_known_are_left_out(dsn: str, repeats, stored):
    spec = NonHistorisedLink(
        table="vault.n",
        comment="",
        key=(A,),
        references=(B,),
        payload=(C,),
        meta=(DAY, RSRC),
        order=ORDER,
        repeats=repeats,
    )
    with desk(dsn) as on:
        on.make(spec)
        on.load(spec, COLUMNS, *FACTS)
        on.load(spec, COLUMNS, *MORE_FACTS)
        assert [c for (c,) in on.stored(spec, "c")] == stored


SATELLITE = Satellite(
    table="vault.s", comment="", key=(A,), payload=(C,), version=(DAY,), meta=(RSRC,), order=ORDER, skip_not_newer=True
)


def test_a_satellite_may_leave_out_what_is_not_newer(dsn: str):
    with desk(dsn) as on:
        on.make(SATELLITE)
        on.load(SATELLITE, COLUMNS, ("1", "", "A", "2024-01-05", "x"))
        on.load(
            SATELLITE,
            COLUMNS,
            *[("1", "", name, f"2024-01-0{day}", "x") for day, name in [(4, "old"), (5, "now"), (6, "new")]],
        )
        assert on.stored(SATELLITE, "day", "c") == [("2024-01-05", "A"), ("2024-01-06", "new")]


def test_a_satellite_may_be_told_its_hashdiff(dsn: str):
    spec = Satellite(
        table="vault.s", comment="", key=(A,), payload=(C,), version=(DAY,), meta=(RSRC,), order=ORDER,
        hashdiff=Column("HASHDIFF", "bytea", source="b"), hashdiff_from="stage",
    )  # fmt: skip
    with desk(dsn) as on:
        on.make(spec)
        rows = [
            ("1", r"\x01", "x", "2024-01-01", "x"),
            ("1", r"\x01", "y", "2024-01-02", "x"),
            ("1", r"\x02", "y", "2024-01-03", "x"),
        ]
        on.load(spec, COLUMNS.replace("b text", "b bytea"), *rows)
        assert on.stored(spec, "HASHDIFF", "c") == [(r"\x01", "x"), (r"\x02", "y")]


def test_a_satellite_may_take_the_profile_of_another_vault(dsn: str):
    spec = Satellite(table="vault.s", comment="", key=(A,), payload=(B, C), version=(DAY,), meta=(RSRC,), order=ORDER)
    with desk(dsn) as on:
        on.make(spec)
        on.load(spec, COLUMNS, ("1", " x", None, "2024-01-01", "x"), profile=COMPAT)
        assert on.stored(spec, "hashdiff") == [("\\x" + COMPAT.hashdiff({"b": "X", "c": ""}).hex(),)]


def test_every_hub_and_satellite_has_one_ghost(dsn: str):
    hk = Column("hk", "bytea")
    number, time = Column("n", "int8"), Column("at", "timestamp(3)", required=True)
    hub = Hub(
        table="vault.gh", comment="", key=(hk,), business_key=(Column("bk", "text", required=True), C), meta=(time,)
    )
    satellite = Satellite(table="vault.gs", comment="", key=(hk,), version=(time, number), payload=(C,), meta=())
    sets = MultiActiveSatellite(
        table="vault.gm", comment="", key=(hk,), version=(time,), child_key=(B,), payload=(C,), meta=()
    )
    link = Link(table="vault.gl", comment="", key=(hk,), references=(), meta=())
    with desk(dsn) as on:
        on.make(hub, satellite, sets)
        statements = ghost_rows((hub, satellite, sets, link), profile=COMPAT)
        assert len(statements) == 3
        for statement in statements * 2:
            on.connection.execute(statement)
        zero, epoch = "\\x" + "00" * 16, "1900-01-01 00:00:00"
        assert on.stored(hub, "hk", "bk", "c", "at") == [(zero, "(unknown)", None, epoch)]
        assert on.stored(satellite, "hk", "n", "c", "at", "hashdiff") == [(zero, "0", None, epoch, zero)]
        assert on.stored(sets, "hk", "b", "c") == [(zero, "(unknown)", None)]


def test_a_table_without_repeats_refuses_them(dsn: str):
    spec = NonHistorisedLink(table="vault.n", comment="it's", key=(A,), payload=(C,), meta=(), repeats=True)
    with desk(dsn) as on:
        assert "primary key" not in create_table(spec)
        on.make(spec)
        on.connection.execute("insert into vault.n values ('1', 'x'), ('1', 'y')")
        on.make(HUB)
        with pytest.raises(psycopg.errors.UniqueViolation):
            on.connection.execute("insert into vault.h (a, b) values ('1', 'x'), ('1', 'x')")
