"""Specs compile to SQL that loads sets as Data Vault says, whatever the columns are called."""

import asyncpg
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstem.vault.engine import Column, Hub, Link, NonHistorisedLink, Satellite, create_table, load_statement
from mainstem.vault.engine.ddl import stage_table
from mainstem.vault.engine.load import load_statements
from mainstem.vault.engine.spec import quote, quote_table

KEY = Column('Customer "PK"', "bytea", required=True)
DATE = Column("LOAD_DATE", "timestamptz", required=True)
SOURCE = Column("SOURCE", "text", required=True)
STAGE = (
    ("raw_id", "int8"),
    ('Customer "PK"', "bytea"),
    ("ORDER PK", "bytea"),
    ("CUSTOMER_ID", "text"),
    ("NAME", "text"),
    ("LOAD_DATE", "timestamptz"),
    ("SOURCE", "text"),
)
HUB = Hub(
    table="vault.Hub Customer",
    comment="Arbitrary names, composite order, load date from the stage.",
    key=(KEY,),
    business_key=(Column("CUSTOMER_ID", "text"),),
    meta=(DATE, SOURCE),
    order=("LOAD_DATE", "SOURCE"),
)
LINK = Link(
    table="vault.Link",
    comment="",
    key=(Column("LINK PK", "bytea", source="ORDER PK"),),
    references=(KEY, Column("ORDER FK", "bytea", source="ORDER PK")),
    meta=(DATE, SOURCE),
    order=("LOAD_DATE", "SOURCE"),
)
SATELLITE = Satellite(
    table="vault.Sat",
    comment="",
    key=(KEY,),
    version=(DATE,),
    meta=(SOURCE,),
    payload=(Column("NAME", "text"),),
    order=("LOAD_DATE",),
)
FACT = NonHistorisedLink(
    table="vault.Fact", comment="", key=(Column("ORDER PK", "bytea"),), references=(KEY,), meta=(DATE, SOURCE)
)
A, B = b"a" * 32, b"b" * 32


async def stage(connection: asyncpg.Connection, rows: list[tuple[object, ...]]) -> None:
    """Fill a new stage with (key, order key, id, name, day, source)."""
    await connection.execute(
        "drop table if exists stage, load_context; create temp table load_context (load_ts timestamptz)"
    )
    await connection.execute("insert into load_context values (now())")
    await connection.execute(stage_table("stage", STAGE).replace("delete rows", "preserve rows"))
    for number, (key, order, name_id, name, day, source) in enumerate(rows):
        await connection.execute(
            "insert into stage values ($1, $2, $3, $4, $5, timestamptz '2020-01-01Z' + $6::int * interval '1 day', $7)",
            number, key, order, name_id, name, day, source,
        )  # fmt: skip


async def test_a_hub_keeps_the_earliest_row_of_each_new_key(connection: asyncpg.Connection):
    await connection.execute(create_table(HUB))
    await stage(connection, [(A, None, "a", None, 2, "x"), (A, None, "a", None, 1, "y"), (A, None, "a", None, 1, "w")])
    await connection.fetch(load_statement(HUB, "stage"))
    await stage(
        connection, [(A, None, "a", None, 0, "z"), (B, None, "b", None, 5, "z"), (None, None, "n", None, 5, "z")]
    )
    await connection.fetch(load_statement(HUB, "stage"))
    rows = await connection.fetch('select "CUSTOMER_ID", "SOURCE" from vault."Hub Customer" order by 1')
    assert [tuple(row) for row in rows] == [("a", "w"), ("b", "z")]


async def test_a_link_needs_all_its_legs(connection: asyncpg.Connection):
    await connection.execute(create_table(LINK))
    rows = [(A, B, "", None, 0, "x"), (None, A, "", None, 0, "x"), (bytes(32), A, "", None, 0, "x")]
    await stage(connection, rows)
    await connection.fetch(load_statement(LINK, "stage"))
    await connection.fetch(load_statement(LINK, "stage"))
    assert await connection.fetchval('select array_agg("ORDER FK") from vault."Link"') == [B]


async def test_a_fact_that_is_not_gated_may_come_twice(connection: asyncpg.Connection):
    await connection.execute(create_table(FACT))
    await stage(connection, [(A, B, "", None, 0, "x"), (bytes(32), A, "", None, 0, "x"), (A, None, "", None, 0, "x")])
    await connection.fetch(load_statement(FACT, "stage"))
    await connection.fetch(load_statement(FACT, "stage"))
    assert await connection.fetchval('select count(*) from vault."Fact"') == 2


def changes(names: list[str | None]) -> list[str | None]:
    """Return the names that differ from the one before them."""
    return [name for number, name in enumerate(names) if number == 0 or name != names[number - 1]]


@pytest.mark.parametrize("names", [["A", "B", "A"], ["A", None, "A"], [None, None, ""], ["A", "A", "A"]])
async def test_a_satellite_keeps_every_change(connection: asyncpg.Connection, names: list[str | None]):
    for cut in range(len(names) + 1):
        await connection.execute('drop table if exists vault."Sat"')
        await connection.execute(create_table(SATELLITE))
        for part in (list(enumerate(names))[:cut], list(enumerate(names))[cut:]):
            await stage(connection, [(A, None, "", name, day, "x") for day, name in part])
            await connection.fetch(load_statement(SATELLITE, "stage"))
        rows = await connection.fetch('select "NAME" from vault."Sat" order by "LOAD_DATE"')
        assert [row["NAME"] for row in rows] == changes(names)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from([A, B]), st.sampled_from(["x", "y", None])), max_size=5),
        min_size=1,
        max_size=3,
    )
)
def test_a_satellite_equals_the_changes_of_each_key(dsn: str, loads):
    with psycopg.connect(dsn) as connection:
        connection.execute(create_table(SATELLITE))
        connection.execute("create temp table load_context (load_ts timestamptz)")
        connection.execute("insert into load_context values (now())")
        connection.execute(stage_table("stage", STAGE).replace("on commit delete rows", ""))
        day = 0
        history: dict[bytes, list[str | None]] = {A: [], B: []}
        for rows in loads:
            connection.execute("delete from stage")
            for key, name in rows:
                day += 1
                history[key].append(name)
                connection.execute(
                    "insert into stage values (%s, %s, null, '', %s, timestamptz '2020-01-01Z' + %s * interval '1 s', 'x')",
                    (day, key, name, day),
                )
            connection.execute(load_statement(SATELLITE, "stage"))
        for key, names in history.items():
            stored = connection.execute(
                'select "NAME" from vault."Sat" where "Customer ""PK""" = %s order by "LOAD_DATE"', (key,)
            ).fetchall()
            assert [name for (name,) in stored] == changes(names)
        connection.rollback()


async def test_one_statement_loads_several_structures(connection: asyncpg.Connection):
    for spec in (HUB, SATELLITE, FACT):
        await connection.execute(create_table(spec))
    await stage(connection, [(A, B, "a", "n", 0, "x")])
    await connection.fetch(load_statements((HUB, SATELLITE, FACT), "stage"))
    for spec in (HUB, SATELLITE, FACT):
        assert await connection.fetchval(f"select count(*) from {quote_table(spec.table)}") == 1


@pytest.mark.parametrize("name", ["", "nul\0", "x" * 64, "é" * 32])
def test_what_is_no_identifier_is_refused(name):
    with pytest.raises(ValueError, match="identifier"):
        Column(name, "text")


@pytest.mark.parametrize("type_", ["text; drop table x", "text)", "", "TEXT", "text default 'x'"])
def test_what_is_no_type_is_refused(type_):
    with pytest.raises(ValueError, match="type"):
        Column("name", type_)


def test_quotes_in_names_stay_inside():
    assert quote('a"; drop table x; --') == '"a""; drop table x; --"'
    assert quote_table("vault.a.b") == '"vault"."a.b"'
