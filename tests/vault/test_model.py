"""The model and the migrated schema are one and the same; the schema's own rules."""

from datetime import date

import asyncpg
import pytest
from vault.vaulting import SITE_FEED, append, event, load_all

from mainstem.platform.db import load_queries
from mainstem.vault import queries
from mainstem.vault.engine import ZERO_KEY, Hub, MultiActiveSatellite, Satellite, create_table, ghost_rows
from mainstem.vault.model import NHL_CLICK, NHL_EVENT, NHL_SITE_EVENT, STRUCTURES

_COLUMNS = """
  select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull
  from pg_attribute a join pg_class c on c.oid = a.attrelid
  where c.relnamespace = $1::regnamespace and c.relname = any ($2) and a.attnum > 0 and not a.attisdropped
  order by c.relname, a.attname"""
_INDEXES = """
  select c.relname, replace(pg_get_indexdef(i.indexrelid), $1 || '.', '') as definition
  from pg_index i join pg_class c on c.oid = i.indrelid
  where c.relnamespace = $1::regnamespace and c.relname = any ($2) and $2 is not null
  order by c.relname, definition"""
_TABLES = """
  select c.relname, c.relkind, obj_description(c.oid), pg_get_partkeydef(c.oid)
  from pg_class c where c.relnamespace = $1::regnamespace and c.relname = any ($2) order by c.relname"""


async def test_the_migrated_tables_are_those_of_the_model(connection: asyncpg.Connection):
    names = [spec.name for spec in STRUCTURES] + [
        f"{spec.name}_default" for spec in (NHL_CLICK, NHL_EVENT, NHL_SITE_EVENT)
    ]
    migrated = [await connection.fetch(sql, "vault", names) for sql in (_COLUMNS, _TABLES)]
    indexes = {tuple(row) for row in await connection.fetch(_INDEXES, "vault", names)}
    await connection.execute("alter schema vault rename to migrated; create schema vault")
    for spec in STRUCTURES:
        await connection.execute(create_table(spec))
    assert [await connection.fetch(sql, "vault", names) for sql in (_COLUMNS, _TABLES)] == migrated
    # features may add indexes of their own
    assert {tuple(row) for row in await connection.fetch(_INDEXES, "vault", names)} <= indexes


async def test_a_new_tenant_has_the_ghost_rows_of_the_model(connection: asyncpg.Connection):
    tenant_id = await connection.fetchval(
        "insert into platform.tenant (slug, name) values ('new', 'New') returning tenant_id"
    )
    described = [spec for spec in STRUCTURES if isinstance(spec, Hub | Satellite | MultiActiveSatellite)]
    assert len(ghost_rows(STRUCTURES, "one_tenant")) == len(described) == 23
    await connection.execute(f"create temp table one_tenant as select {tenant_id} as tenant_id")
    for statement, spec in zip(ghost_rows(STRUCTURES, "one_tenant"), described, strict=True):
        made = await connection.fetch(f"select * from {spec.table} where tenant_id = $1", tenant_id)
        assert len(made) == 1
        await connection.execute(f"delete from {spec.table} where tenant_id = $1", tenant_id)
        await connection.execute(statement)
        assert await connection.fetch(f"select * from {spec.table} where tenant_id = $1", tenant_id) == made


async def test_every_fact_meets_its_hubs_in_an_inner_join(connection: asyncpg.Connection, dsn: str):
    await append(connection, [event({"visitor": "v"}), event({"visitor": "v", "page": "p", "session": "s"})])
    await load_all(dsn)
    joined = await connection.fetch(
        """select page_bk from vault.nhl_site_event f
           join vault.hub_visitor using (tenant_id, visitor_hk) join vault.hub_page using (tenant_id, page_hk)
           join vault.hub_session using (tenant_id, session_hk) join vault.hub_campaign using (tenant_id, campaign_hk)
           order by page_bk"""
    )
    assert [row["page_bk"] for row in joined] == ["(unknown)", "p"]


@pytest.mark.parametrize("name", load_queries("mainstem.vault"))
async def test_every_query_fits_the_schema(connection: asyncpg.Connection, name: str):
    await connection.execute("create temp table load_context (load_ts timestamptz)")
    assert await connection.prepare(load_queries("mainstem.vault")[name])


async def test_partitions_take_over_the_rows_of_their_month(connection: asyncpg.Connection, dsn: str):
    batch_id = await append(connection, [event({"visitor": "v"})])
    await connection.execute("update raw.event set received_at = '2031-05-31T23:59:59.9Z'")
    await connection.execute(
        "update raw.batch set received_from = '2031-05-31T23:59:59.9Z', received_to = '2031-05-31T23:59:59.9Z'"
    )
    await load_all(dsn)
    where = "select tableoid::regclass::text from vault.nhl_site_event where raw_id = $1"
    assert await connection.fetchval(where, batch_id) == "vault.nhl_site_event_default"
    assert await queries.ensure_partitions(connection, date(2031, 5, 3), date(2031, 6, 1)) == 6
    assert await connection.fetchval(where, batch_id) == "vault.nhl_site_event_203105"
    assert await queries.ensure_partitions(connection, date(2031, 5, 1), date(2031, 6, 30)) == 0


async def test_partitions_of_this_and_the_next_months_are_there(connection: asyncpg.Connection):
    today = await connection.fetchval("select current_date")
    assert await queries.ensure_partitions(connection, today, today) == 0


async def test_the_api_sees_its_own_tenant_only(connection: asyncpg.Connection, dsn: str):
    await append(connection, [event({"visitor": "v"})])
    await append(connection, [event({"visitor": "v"}, tenant_id=2)])
    await load_all(dsn)
    await connection.execute("set role mainstem_api; set mainstem.tenant_id = '2'")
    for table in ("vault.event_seen", "vault.nhl_site_event", "business.pipeline_total", "business.pipeline_minute"):
        assert [row["tenant_id"] for row in await connection.fetch(f"select tenant_id from {table}")] == [2]
    for table in ("vault.nhl_site_event_default", "vault.nhl_event_default"):
        assert await connection.fetch(f"select from {table}") == []


def test_the_stage_has_what_the_structures_read():
    staged = {name for name, _ in SITE_FEED.columns}
    for spec in SITE_FEED.structures:
        assert {column.staged for column in spec.columns if not column.context} - staged <= {"hashdiff"}


def test_the_zero_key_is_as_long_as_every_key():
    assert len(ZERO_KEY) == 32
