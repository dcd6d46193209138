"""Views for people: shipped as the engine makes them, described, under row-level security, and quick for one key."""

import json
import re

import asyncpg
import pytest
from vault.vaulting import append, event, load_all

from mainstem.vault.engine import Column, Hub, Satellite
from mainstem.vault.engine.ddl import column_comments
from mainstem.vault.engine.views import business_views, create_view
from mainstem.vault.model import LOAD_TS, META, RAW_ID, READERS, STRUCTURES, TAKEN, TENANT

VIEWS = business_views(STRUCTURES, taken=TAKEN)
_NAMES = [view.name.removeprefix("business.") for view in VIEWS]
_DEFINITIONS = """
  select c.relname, pg_get_viewdef(c.oid) as definition, c.reloptions, obj_description(c.oid) as comment, c.relacl::text
  from pg_class c where c.relnamespace = 'business'::regnamespace and c.relkind = 'v' and c.relname <> 'link_clicks' order by c.relname"""
_UNDESCRIBED = """
  select c.oid::regclass::text || '.' || a.attname
  from pg_class c join pg_attribute a on a.attrelid = c.oid
  where c.relnamespace::regnamespace::text in ('business', 'vault') and c.relkind in ('r', 'p', 'v')
    and not c.relispartition and c.relname not like 'model%' and c.relname <> 'snapshot'
    and a.attnum > 0 and not a.attisdropped and coalesce(col_description(c.oid, a.attnum), '') = ''"""
_COMMENTS = """
  select c.relname, a.attname, col_description(c.oid, a.attnum)
  from pg_class c join pg_attribute a on a.attrelid = c.oid
  where c.relnamespace = 'vault'::regnamespace and c.relname = any ($1) and a.attnum > 0 order by 1, 2"""


async def test_the_migrated_views_are_those_of_the_engine(connection: asyncpg.Connection):
    migrated = await connection.fetch(_DEFINITIONS)
    assert [row["relname"] for row in migrated] == sorted(_NAMES)
    for view in VIEWS:
        await connection.execute(f"drop view {view.name}; {create_view(view, READERS)}")
    assert await connection.fetch(_DEFINITIONS) == migrated
    assert {row["reloptions"][0] for row in migrated} == {"security_invoker=true"}


async def test_the_migrated_comments_are_those_of_the_model(connection: asyncpg.Connection):
    tables = [spec.name for spec in STRUCTURES]
    migrated = await connection.fetch(_COMMENTS, tables)
    for spec in STRUCTURES:
        for statement in column_comments(spec):
            await connection.execute(statement)
    assert await connection.fetch(_COMMENTS, tables) == migrated


async def test_every_column_of_vault_and_business_is_described(connection: asyncpg.Connection):
    assert await connection.fetch(_UNDESCRIBED) == []


async def test_current_state_and_history_of_a_page(connection: asyncpg.Connection, dsn: str):
    for title in ("A", "B", "A"):
        await append(connection, [event({"visitor": "v", "page": "p", "title": title, "device": "phone"})])
        await load_all(dsn)
    current = await connection.fetch("select page, title, first_seen, last_changed from business.page")
    assert [(row["page"], row["title"]) for row in current] == [("p", "A")]
    assert current[0]["first_seen"] < current[0]["last_changed"]
    history = await connection.fetch(
        "select title, valid_from, valid_to from business.page_history order by valid_from"
    )
    assert [row["title"] for row in history] == ["A", "B", "A"]
    assert [row["valid_to"] for row in history] == [history[1]["valid_from"], history[2]["valid_from"], None]
    assert await connection.fetchval("select device from business.visitor") == "phone"


async def test_facts_and_links_show_business_keys_and_null_for_none(connection: asyncpg.Connection, dsn: str):
    await append(
        connection, [event({"visitor": "v"}, message_id="1"), event({"visitor": "v", "page": "p", "session": "s"})]
    )
    await append(connection, [event({"total": 1}, kind="order.paid")])
    await load_all(dsn)
    rows = await connection.fetch("select visitor, page, session from business.site_event order by page nulls first")
    assert [tuple(row) for row in rows] == [("v", None, None), ("v", "p", "s")]
    assert [tuple(row) for row in await connection.fetch("select session, visitor from business.session_visitor")] == [
        ("s", "v")
    ]
    assert json.loads(await connection.fetchval("select data from business.event")) == {"total": 1}


async def test_a_reader_sees_his_tenant_only(connection: asyncpg.Connection, dsn: str):
    for tenant_id in (1, 2):
        found = event({"visitor": "v", "page": "p", "session": "s", "title": "t"}, tenant_id=tenant_id)
        await append(connection, [found])
        await append(connection, [event({}, kind="order.paid", tenant_id=tenant_id)])
    await load_all(dsn)
    await connection.execute("set role mainstem_api; set mainstem.tenant_id = '1'")
    for view in VIEWS:
        tenants = {row["tenant_id"] for row in await connection.fetch(f"select tenant_id from {view.name}")}
        assert tenants <= {1}
    await connection.execute("reset mainstem.tenant_id")
    for view in VIEWS:
        assert await connection.fetch(f"select tenant_id from {view.name}") == []


_FILL = """
  insert into vault.hub_page select t, sha256((t || ':' || n)::bytea), 'https://shop/' || n, now(), 'test'
  from generate_series(1, 2) t, generate_series(1, 20000) n;
  insert into vault.sat_page select t, sha256((t || ':' || n)::bytea), now() + v * interval '1 s', v, '', 'test', 'T' || v
  from generate_series(1, 2) t, generate_series(1, 20000) n, generate_series(1, 3) v;
  insert into vault.hub_page select 3, sha256(('3:' || n)::bytea), 'https://shop/' || n, now(), 'test'
  from generate_series(1, 20) n;
  analyze vault.hub_page, vault.sat_page"""


@pytest.mark.parametrize("view", ["page", "page_history"])
@pytest.mark.parametrize("condition", ["page = 'https://shop/77'", "tenant_id = 3"])
@pytest.mark.parametrize("role", ["none", "mainstem_api"])
async def test_one_key_or_one_small_tenant_reads_indexes_alone(
    connection: asyncpg.Connection, view: str, condition: str, role: str
):
    await connection.execute(_FILL)
    if role != "none":
        await connection.execute(f"set role {role}; set mainstem.tenant_id = '3'")
    lines = [row[0] for row in await connection.fetch(f"explain select * from business.{view} where {condition}")]
    plan = "\n".join(lines)
    assert "Seq Scan" not in plan, plan
    assert re.search(r"Index Scan.* on sat_page|Bitmap Heap Scan on sat_page", plan), plan


def test_a_view_gives_way_to_a_table_and_then_gives_up():
    hub = Hub(
        table="vault.hub_session", comment="", key=(TENANT, Column("session_hk", "bytea")), business_key=(), meta=META
    )
    assert [view.name for view in business_views([hub], taken=["session"])] == ["business.session_current"]
    with pytest.raises(ValueError, match=r"business\.session_current"):
        business_views([hub], taken=["session", "session_current"])


def test_bytes_stay_out_of_sight_and_equal_names_are_told_apart():
    key = (TENANT, Column("person_hk", "bytea"))
    hub = Hub(table="vault.hub_person", comment="", key=key, business_key=(Column("name", "text"),), meta=META)
    satellite = Satellite(
        table="vault.sat_person_pii",
        comment="",
        key=key,
        version=(LOAD_TS, RAW_ID),
        meta=(META[1],),
        payload=(Column("sealed", "bytea"), Column("name", "text")),
    )
    current, history = business_views([hub, satellite])
    assert [column.name for column in current.columns] == [
        "tenant_id",
        "name",
        "first_seen",
        "last_changed",
        "person_pii_name",
    ]
    assert "sealed" not in current.select
    assert "sealed" not in history.select
