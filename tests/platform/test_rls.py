"""Row-level security: what the catalogue says, and what two tenants see through one pool."""

import asyncio

import asyncpg
import pytest

from mainstem.platform.db import Pool, transaction
from mainstem.platform.keys import create_key
from mainstem.platform.tenants import create_tenant

REQUESTS = 1_000

_OURS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
_HAS_TENANT = (
    "exists (select from pg_attribute a "
    "where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnum > 0 and not a.attisdropped)"
)


async def names(connection: asyncpg.Connection, query: str) -> list[str]:
    return [row[0] for row in await connection.fetch(query)]


async def test_the_catalogue_is_looked_at(connection: asyncpg.Connection) -> None:
    """Guards the tests below against a query that finds nothing because it is wrong."""
    tables = await names(
        connection,
        f"select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where c.relkind in ('r', 'p') and {_OURS} and {_HAS_TENANT}",
    )
    assert {"platform.api_key", "platform.tenant", "platform.users", "raw.batch", "raw.event"} <= {
        table if "." in table else f"platform.{table}" for table in tables
    }


async def test_every_tenant_table_has_forced_row_security(connection: asyncpg.Connection) -> None:
    open_tables = await names(
        connection,
        f"select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where c.relkind in ('r', 'p') and not c.relispartition and {_OURS} and {_HAS_TENANT} "
        f"and not (c.relrowsecurity and c.relforcerowsecurity)",
    )
    assert open_tables == []


async def test_every_tenant_table_has_a_policy_for_the_api(connection: asyncpg.Connection) -> None:
    """The API's policies compare with the tenant of the transaction, for reading and for writing."""
    wrong = await names(
        connection,
        f"select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where c.relkind in ('r', 'p') and not c.relispartition and {_OURS} and {_HAS_TENANT} "
        f"and exists (select from pg_policy p where p.polrelid = c.oid "
        f"            and ('mainstem_api'::regrole = any (p.polroles) or 0 = any (p.polroles)) "
        f"            and (pg_get_expr(p.polqual, p.polrelid) not like '%current_tenant_id()%' "
        f"                 or coalesce(pg_get_expr(p.polwithcheck, p.polrelid), case when p.polcmd in ('r', 'd') "
        f"                             then pg_get_expr(p.polqual, p.polrelid) else '' end) "
        f"                    not like '%current_tenant_id()%'))",
    )
    assert wrong == []


async def test_every_partition_has_row_security(connection: asyncpg.Connection) -> None:
    open_partitions = await names(
        connection,
        f"select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where c.relkind in ('r', 'p') and c.relispartition and {_OURS} and {_HAS_TENANT} and not c.relrowsecurity",
    )
    assert open_partitions == []


async def test_every_view_runs_with_its_readers_rights(connection: asyncpg.Connection) -> None:
    """A plain view reads with its owner's rights, past the reader's row security."""
    open_views = await names(
        connection,
        f"select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where c.relkind in ('v', 'm') and {_OURS} "
        f"and not coalesce(c.reloptions @> array['security_invoker=true'], false) "
        f"and not coalesce(c.reloptions @> array['security_invoker=on'], false) "
        f"and exists (select from pg_depend d join pg_rewrite r on r.oid = d.objid "
        f"            where r.ev_class = c.oid and d.refclassid = 'pg_class'::regclass and d.refobjid <> c.oid "
        f"            and exists (select from pg_attribute a "
        f"                        where a.attrelid = d.refobjid and a.attname = 'tenant_id'))",
    )
    assert open_views == []


async def test_definer_functions_pin_their_search_path(connection: asyncpg.Connection) -> None:
    open_functions = await names(
        connection,
        f"select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
        f"where p.prosecdef and {_OURS} "
        f"and not exists (select from unnest(p.proconfig) s where s like 'search\\_path=%')",
    )
    assert open_functions == []


async def test_the_api_role_owns_nothing_and_bypasses_nothing(connection: asyncpg.Connection) -> None:
    role = await connection.fetchrow("select * from pg_roles where rolname = 'mainstem_api'")
    for power in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolreplication"):
        assert role[power] is False, power
    assert (
        await names(
            connection,
            "select classid::regclass::text from pg_shdepend "
            "where refobjid = 'mainstem_api'::regrole and deptype = 'o'",
        )
        == []
    )
    assert (
        await names(
            connection, "select roleid::regrole::text from pg_auth_members where member = 'mainstem_api'::regrole"
        )
        == []
    )
    creatable = await names(
        connection,
        f"select n.nspname::text from pg_namespace n "
        f"where {_OURS} and has_schema_privilege('mainstem_api', n.oid, 'create')",
    )
    assert creatable == []


@pytest.fixture
async def tenants(connection: asyncpg.Connection) -> tuple[int, int]:
    """Return two tenants with a few keys each."""
    both = (await create_tenant(connection, "one")).id, (await create_tenant(connection, "two")).id
    for tenant_id in both:
        for _ in range(3):
            await create_key(connection, tenant_id, scopes=["read"])
    return both


async def _seen(pool: Pool, tenant_id: int) -> set[int]:
    async with transaction(pool, tenant_id=tenant_id) as connection:
        rows = await connection.fetch(
            "select tenant_id from platform.api_key union select tenant_id from platform.tenant"
        )
    return {row["tenant_id"] for row in rows}


async def test_alternating_tenants_never_see_each_other(api_pool: Pool, tenants: tuple[int, int]) -> None:
    wanted = [tenants[number % 2] for number in range(REQUESTS)]
    for start in range(0, REQUESTS, 100):
        some = wanted[start : start + 100]
        assert await asyncio.gather(*(_seen(api_pool, tenant_id) for tenant_id in some)) == [{one} for one in some]


async def test_a_failed_request_leaves_no_tenant_behind(api_pool: Pool, tenants: tuple[int, int]) -> None:
    for _ in range(20):
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with transaction(api_pool, tenant_id=tenants[0]) as connection:
                await connection.execute("select 1 / 0")
        async with transaction(api_pool) as connection:
            assert await connection.fetchval("select platform.current_tenant_id()") is None


async def test_without_a_tenant_there_is_nothing(api_pool: Pool, tenants: tuple[int, int]) -> None:
    async with transaction(api_pool) as connection:
        for table in ("platform.api_key", "platform.tenant", "platform.users"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0


async def test_without_a_tenant_nobody_acts_for_the_default_one(api_pool: Pool, connection: asyncpg.Connection) -> None:
    track = "select api.track_site_event(null, null, 'https://example.com/')"
    await connection.fetch(track)
    for query in ("select * from staging.pipeline_dashboard", "select * from staging.get_pipeline_status()"):
        assert await connection.fetch(query)
        with pytest.raises(asyncpg.InvalidParameterValueError, match="names no tenant"):
            async with transaction(api_pool) as request:
                await request.fetch(query)
        async with transaction(api_pool, tenant_id=1) as request:
            assert await request.fetch(query)
    async with transaction(api_pool) as request:
        assert '"success": false' in await request.fetchval(track)
    assert await connection.fetchval("select count(*) from raw.batch") == 1


async def test_a_row_for_another_tenant_is_refused(api_pool: Pool, tenants: tuple[int, int]) -> None:
    mine, theirs = tenants
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with transaction(api_pool, tenant_id=mine) as connection:
            await create_key(connection, theirs, scopes=["read"])
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with transaction(api_pool, tenant_id=mine) as connection:
            await connection.execute("update platform.api_key set tenant_id = $1", theirs)
    async with transaction(api_pool, tenant_id=mine) as connection:
        changed = await connection.execute("update platform.api_key set label = 'x' where tenant_id = $1", theirs)
    assert changed == "UPDATE 0"
