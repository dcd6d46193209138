"""Rebuild from raw equals live, byte for byte; what does not is found, and swapped where asked."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import psycopg
import pytest
from siting import loading, until
from vault import vaulting
from vault.rebuilding import OF_TASKS, TABLES, everything, history, land, load, rebuilt, rows, visit
from vault.vaulting import append, event, load_all

from mainstem.platform.db import Pool
from mainstem.vault.rebuild import Plan, RebuildError, drop_old, rebuild
from mainstem.vault.rebuild.names import Names, Renaming

CATALOGUE = """
  select n.nspname || '.' || c.relname as name, c.relkind::text, c.reloptions, c.relrowsecurity, c.relforcerowsecurity,
         c.relacl::text, obj_description(c.oid), pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
         (select array_agg(format('%s %s %s', p.polname, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid))
                           order by p.polname) from pg_policy p where p.polrelid = c.oid) as policies,
         (select array_agg(pg_get_indexdef(i.indexrelid) order by pg_get_indexdef(i.indexrelid)) from pg_index i where i.indrelid = c.oid) as indexes,
         (select array_agg(format('%s %s', k.conname, pg_get_constraintdef(k.oid)) order by k.conname)
          from pg_constraint k where k.conrelid = c.oid and k.contype <> 'n') as constraints,
         (select array_agg(format('%s %s %s %s', a.attname, a.atttypid::regtype, a.attnotnull, a.attgenerated)
                           order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as columns,
         case when c.relkind = 'v' then pg_get_viewdef(c.oid) end as view
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('vault', 'business', 'staging') and c.relkind in ('r', 'p', 'v') order by 1"""


async def schemas(connection: asyncpg.Connection) -> list[str]:
    found = await connection.fetch(r"select nspname from pg_namespace where nspname ~ '^(rebuild|other)\_' order by 1")
    return [row[0] for row in found]


async def test_an_empty_vault_is_equal(connection: asyncpg.Connection, dsn: str):
    report = await rebuilt(dsn)
    assert report.equal
    assert (report.events, report.loads, report.kept) == (0, 0, [])
    assert await schemas(connection) == []


async def test_a_rebuild_equals_live_byte_for_byte(connection: asyncpg.Connection, dsn: str):
    await history(connection, dsn)
    report = await rebuilt(dsn, into="other", keep=True)
    assert report.differences == []
    assert (report.equal, report.lost, report.changed_batches) == (True, 0, 0)
    assert report.events == await connection.fetchval("select sum(events) from raw.batch")
    live = await everything(connection)
    assert min(len(found) for found in live.values()) >= 2
    assert live == await everything(connection, "other_")
    assert {one.table for one in report.compared} == {*TABLES, *OF_TASKS, "business.pipeline_total"}
    assert report.kept == await schemas(connection) == ["other_business", "other_vault"]


async def test_what_the_database_refused_is_refused_again(connection: asyncpg.Connection, dsn: str):
    """Halved and halved again until the bad rows stand alone, as when they were loaded."""
    bad = [event({"visitor": str(n), "fail": "poison" if n % 7 == 0 else None}, message_id=f"m{n}") for n in range(40)]
    await append(connection, bad)
    await append(connection, [event({"visitor": "v"}, tenant_id=2), *[one._replace(tenant_id=2) for one in bad]])
    await load_all(dsn)
    await append(connection, [event({"visitor": "good"}, message_id="m7"), event({"fail": "crash"})])
    await load_all(dsn)
    report = await rebuild(dsn, vaulting.FEEDS, Plan())
    assert report.equal
    assert await connection.fetchval("select sum(rejected) from raw.batch") == 13


DAMAGE = [
    ("delete from vault.sat_page where title = 'T1'", "vault.sat_page", "only rebuilt"),
    ("insert into vault.hub_page values (1, sha256('x'), 'x', now(), 'me')", "vault.hub_page", "only live"),
    ("update vault.nhl_site_event set page_title = 'X' where page_title = 'T2'", "vault.nhl_site_event", "differs"),
    ("update business.session set events = events + 1", "business.session", "differs"),
    ("update business.site_hour set visitors = 0 where visitors > 0", "business.site_hour", "differs"),
    ("update business.pipeline_total set loaded = 1", "business.pipeline_total", "differs"),
    ("delete from vault.event_seen where tenant_id = 2", "vault.event_seen", "only rebuilt"),
]


@pytest.mark.parametrize(("damage", "table", "difference"), DAMAGE, ids=[table for _, table, _ in DAMAGE])
async def test_damage_is_found_and_mended_by_a_swap(
    connection: asyncpg.Connection, dsn: str, damage, table, difference
):
    await history(connection, dsn)
    before = await everything(connection)
    await connection.execute(damage)
    shown = await rebuilt(dsn, compare_only=True)
    assert {one.table for one in shown.differences} == {table}
    for one in shown.differences:
        assert {example.difference for example in one.examples} == {difference}
        assert 1 <= len(one.examples) <= min(one.differing, 5)
    assert not shown.swapped
    report = await rebuilt(dsn, decide=lambda _: True)
    assert report.swapped
    assert await everything(connection) == before
    assert report.kept == await schemas(connection) == ["rebuild_old_business", "rebuild_old_vault"]
    assert (await rebuilt(dsn, into="other")).equal
    assert await drop_old(dsn, "rebuild") == report.kept
    assert await schemas(connection) == []


async def test_after_a_swap_the_catalogue_is_the_same(connection: asyncpg.Connection, dsn: str):
    await history(connection, dsn)
    await connection.execute("create view business.pages as select page from business.page")
    await connection.execute("grant select (title) on vault.sat_page to public")
    catalogue = [tuple(row) for row in await connection.fetch(CATALOGUE)]
    await connection.execute("delete from vault.hub_page where page_bk like '%1'")
    assert (await rebuilt(dsn, decide=lambda _: True)).swapped
    now = [tuple(row) for row in await connection.fetch(CATALOGUE)]
    assert now == catalogue
    # views read the tables that are in place now
    assert await connection.fetchval("select count(*) from business.pages where page like '%1'") == 2
    assert await connection.fetchval(
        "select count(*) from staging.pipeline_dashboard where staging_status = 'PROCESSED'"
    )
    await drop_old(dsn, "rebuild")


async def test_the_api_sees_its_tenant_alone_after_a_swap(connection: asyncpg.Connection, dsn: str, api_pool: Pool):
    await history(connection, dsn)
    query = "select count(*) from vault.nhl_site_event"
    async with api_pool.acquire() as api:
        await api.execute("set mainstem.tenant_id = '2'")
        statement = await api.prepare(query)
        before = await statement.fetchval()
        await connection.execute("delete from vault.sat_page")
        assert (await rebuilt(dsn, decide=lambda _: True)).swapped
        # what was prepared before the swap reads the new table
        await connection.execute("delete from rebuild_old_vault.nhl_site_event")
        assert await statement.fetchval() == before
    assert 0 < before < await connection.fetchval(query)


async def test_loaders_forget_what_they_knew_of_the_old_tables(connection: asyncpg.Connection, dsn: str):
    """A page that only a fault had put into the hub: the loader knows its key, the new hub has no row of it."""
    async with loading(dsn) as loader:
        await land(connection, [visit(0, page="known")])
        loader.nudge()
        await until(connection, "not exists (select from raw.batch where loaded_at is null)")
        batch_id = await land(connection, [visit(1, page="planted")])
        loader.nudge()
        await until(connection, "not exists (select from raw.batch where loaded_at is null)")
        # as if its event had never been
        await connection.execute("delete from raw.event where raw_id >= $1", batch_id)
        await connection.execute("delete from raw.batch where batch_id = $1", batch_id)
        await connection.execute("update business.pipeline_total set loaded = 1")
        assert (await rebuilt(dsn, decide=lambda _: True)).swapped
        assert await connection.fetchval("select count(*) from vault.hub_page where page_bk like '%planted'") == 0
        await land(connection, [visit(2, page="planted")])
        loader.nudge()
        await until(connection, "not exists (select from raw.batch where loaded_at is null)")
    assert await connection.fetchval("select count(*) from vault.hub_page where page_bk like '%planted'") == 1


_WAITING = "select count(*) from raw.batch where loaded_at is null"


async def test_it_stays_online(connection: asyncpg.Connection, dsn: str):
    """Events come in and are loaded before, while and after live and shadow are compared and swapped."""
    await history(connection, dsn)
    await connection.execute("delete from vault.sat_page where title = 'T1'")
    stop = asyncio.Event()

    async def send() -> int:
        sender = await asyncpg.connect(dsn)
        sent = 0
        while not stop.is_set():
            await land(
                sender, [visit(sent % 70, sent + n, message=f"x{sent + n}", tenant_id=1 + sent % 2) for n in range(5)]
            )
            sent += 5
            # as fast as events are loaded, and no faster: the history has an end, whatever the machine
            while not stop.is_set() and await sender.fetchval(_WAITING) > 5:  # noqa: ASYNC110 - the database tells
                await asyncio.sleep(0)
        await sender.close()
        return sent

    async with loading(dsn) as loader:
        loader.nudge()
        sending = asyncio.create_task(send())
        await until(connection, "count(*) > 20 from raw.batch")
        seen = 0

        def decide(_: object) -> bool:
            nonlocal seen
            seen += 1
            return True

        report = await rebuilt(dsn, decide=decide)
        loaded_before = await connection.fetchval("select sum(loaded) from raw.batch")
        await until(connection, f"sum(loaded) > {loaded_before} from raw.batch")
        stop.set()
        sent = await sending
        await until(connection, "not exists (select from raw.batch where loaded_at is null)")
    assert report.swapped
    assert sent > 0
    assert await connection.fetchval("select count(*) from vault.nhl_site_event where event_uid is not null") > sent
    again = await rebuilt(dsn, into="other")
    assert again.equal
    assert again.events > report.events


async def test_since_replays_the_loads_since(connection: asyncpg.Connection, dsn: str):
    await history(connection, dsn)
    since = await connection.fetchval("select load_ts from raw.batch order by load_ts offset 3 limit 1")
    sessions = await rows(connection, "business.session")
    report = await rebuilt(dsn, since=since)
    assert report.equal
    assert 0 < report.events < await connection.fetchval("select sum(events) from raw.batch")
    before = await everything(connection)
    # older damage is none of its business, later damage is
    await connection.execute("delete from vault.sat_page where load_ts < $1 and load_ts > '1901-01-01'", since)
    await connection.execute("delete from vault.nhl_event where load_ts >= $1", since)
    old = await rows(connection, "vault.sat_page")
    report = await rebuilt(dsn, since=since, decide=lambda _: True)
    assert {one.table for one in report.differences} >= {"vault.nhl_event"}
    assert report.swapped
    assert await rows(connection, "vault.nhl_event") == before["vault.nhl_event"]
    assert set(old) <= set(await rows(connection, "vault.sat_page"))
    assert await rows(connection, "business.session") == sessions
    assert await schemas(connection) == ["rebuild_old_vault"]


async def test_a_rule_that_changed_shows_and_is_settled_by_a_swap(connection: asyncpg.Connection, dsn: str):
    """Events that yesterday's stage refused are loaded by today's, and the ledger says so afterwards."""
    import dataclasses  # noqa: PLC0415 - of this test alone

    def lenient(raw):
        return vaulting.stage_site(raw._replace(data=raw.data.replace("reject", "nothing")))

    await append(connection, [event({"visitor": "a"}), event({"visitor": "b", "fail": "reject"})])
    await load_all(dsn)
    feeds = (dataclasses.replace(vaulting.SITE_FEED, stage=lenient), vaulting.EVENT_FEED)
    since = await rebuild(dsn, feeds, Plan(since=datetime.now(UTC) - timedelta(hours=1)), decide=lambda _: True)
    assert (since.changed_batches, since.swapped, since.equal) == (1, False, False)
    report = await rebuild(dsn, feeds, Plan(into="other"), decide=lambda _: True)
    assert (report.changed_batches, report.swapped) == (1, True)
    assert await vaulting.balance(connection) == (2, 2, 0, 0)
    assert await connection.fetchval("select count(*) from vault.nhl_site_event") == 2
    assert await connection.fetchval("select loaded from business.pipeline_total") == 2
    assert await connection.fetchval("select replayed_at is not null from staging.rejected")


class TestHistoryThatIsGone:
    @pytest.fixture
    async def gone(self, connection: asyncpg.Connection, dsn: str) -> datetime:
        """Return the time since which everything is there: a day of events and their ledger are dropped."""
        await land(connection, [visit(0, n, message=f"g{n}") for n in range(3)])
        await connection.execute("update raw.event set received_at = received_at - interval '1 day'")
        await connection.execute(
            "update raw.batch set received_from = received_from - interval '1 day', "
            "received_to = received_to - interval '1 day', committed_at = committed_at - interval '1 day'"
        )
        await load(dsn)
        await connection.execute("select raw.drop_partitions(current_date)")
        assert await connection.fetchval("select raw.prune_batches(current_date, 10)") == 1
        await history(connection, dsn)
        return await connection.fetchval("select min(load_ts) from raw.batch")

    @pytest.mark.usefixtures("gone")
    async def test_a_rebuild_of_everything_is_refused_and_says_what_is_there(self, connection, dsn: str):
        today = await connection.fetchval("select current_date")
        with pytest.raises(RebuildError, match=f"from {today} on.*--since"):
            await rebuilt(dsn)
        assert await schemas(connection) == []

    @pytest.mark.usefixtures("gone")
    async def test_comparing_shows_what_is_lost_and_never_swaps(self, dsn: str):
        report = await rebuilt(dsn, compare_only=True)
        assert (report.lost, report.equal, report.swapped) == (3, False, False)

    async def test_events_that_only_the_landing_lost_are_never_swapped_away(self, connection, dsn: str):
        await history(connection, dsn)
        await connection.execute("delete from raw.event where kind = 'order.noted'")
        report = await rebuilt(dsn, decide=lambda _: True)
        assert (report.lost, report.swapped) == (6, False)
        assert await connection.fetchval("select count(*) from vault.nhl_event where kind = 'order.noted'") == 6


class TestInterrupted:
    async def test_two_at_once_are_refused(self, connection, dsn: str):
        await history(connection, dsn)
        refusals = []

        def decide(_: object) -> bool:
            with pytest.raises(RebuildError, match="another rebuild") as refused:
                asyncio.run(rebuilt(dsn, into="other"))
            refusals.append(refused)
            return False

        await connection.execute("delete from vault.sat_page")
        await rebuilt(dsn, decide=decide)
        assert len(refusals) == 1

    async def test_one_that_is_broken_off_leaves_nothing(self, connection, dsn: str):
        await history(connection, dsn)
        running = asyncio.current_task()
        assert running is not None
        before = await everything(connection)

        def progress(done: int, _total: int, _text: str) -> None:
            if done > 40:
                msg = "broken off"
                raise RuntimeError(msg)

        with pytest.raises(RuntimeError, match="broken off"):
            await rebuilt(dsn, progress=progress)
        assert await schemas(connection) == []
        assert await everything(connection) == before

    @pytest.mark.parametrize("loads", [1, 4, 8])
    async def test_a_connection_that_is_lost_harms_nothing(self, connection, dsn: str, loads: int):
        await history(connection, dsn)
        before = await everything(connection)
        told = []

        def progress(*_: object) -> None:
            told.append(1)
            if len(told) == loads:
                with psycopg.connect(dsn, autocommit=True) as killer:
                    killer.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity "
                        "where application_name = 'mainstem rebuild' and datname = current_database()"
                    )

        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await rebuilt(dsn, progress=progress)
        assert await everything(connection) == before
        assert (await rebuilt(dsn)).equal
        assert await schemas(connection) == []

    async def test_what_a_killed_one_left_is_dropped_by_the_next(self, connection, dsn: str):
        await history(connection, dsn)
        await rebuilt(dsn, keep=True)
        await connection.execute(
            "drop table rebuild_vault.hub_page; comment on schema rebuild_vault is 'mainstem rebuild: under way'"
        )
        assert (await rebuilt(dsn)).equal
        assert await schemas(connection) == []

    async def test_somebody_else_s_schema_is_never_touched(self, connection, dsn: str):
        await connection.execute("create schema rebuild_vault; create table rebuild_vault.mine (n int)")
        with pytest.raises(RebuildError, match="there is a schema rebuild_vault"):
            await rebuilt(dsn)
        assert await drop_old(dsn, "rebuild") == []
        assert await schemas(connection) == ["rebuild_vault"]

    async def test_a_swap_that_fails_changes_nothing(self, connection, dsn: str):
        await history(connection, dsn)
        await connection.execute("delete from vault.sat_page where title = 'T1'")
        before, catalogue = await everything(connection), await connection.fetch(CATALOGUE)

        def decide(_: object) -> bool:
            async def bind() -> None:
                other_connection = await asyncpg.connect(dsn)
                await other_connection.execute("create materialized view public.held as select * from vault.hub_page")
                await other_connection.close()

            asyncio.run(bind())
            return True

        with pytest.raises(RebuildError, match=r"materialized view public\.held"):
            await rebuilt(dsn, decide=decide)
        assert await everything(connection) == before
        assert await connection.fetch(CATALOGUE) == catalogue
        await load(dsn)
        assert await schemas(connection) == []

    async def test_old_tables_are_not_lost_to_a_second_swap(self, connection, dsn: str):
        await history(connection, dsn)
        await connection.execute("delete from vault.sat_page where title = 'T1'")
        assert (await rebuilt(dsn, decide=lambda _: True)).swapped
        with pytest.raises(RebuildError, match="--drop-old"):
            await rebuilt(dsn)


async def test_a_new_tenant_on_the_way_has_its_ghosts(connection: asyncpg.Connection, dsn: str):
    await land(connection, [visit(n, n) for n in range(9)])
    await load(dsn)
    made = []

    def progress(*_: object) -> None:
        if not made:
            made.append(asyncio.get_running_loop().create_task(make()))

    async def make() -> None:
        await connection.execute("insert into platform.tenant (slug, name) values ('late', 'Late')")

    report = await rebuilt(dsn, progress=progress)
    await asyncio.gather(*made)
    assert report.equal


RENAMING = Renaming({"vault.hub": "x_vault.hub", "raw.batch": "x_vault.rebuild_batch"}, {"'heard'": "'mute'"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select * from vault.hub h", 'select * from "x_vault"."hub" h'),
        ('select * from "vault"."hub"', 'select * from "x_vault"."hub"'),
        ("select vault.hub.a, vault.hub_page.b", 'select "x_vault"."hub".a, vault.hub_page.b'),
        ("select my_vault.hub, x.vault.hub", "select my_vault.hub, x.vault.hub"),
        ("insert into raw.batch as b values ('heard')", 'insert into "x_vault"."rebuild_batch" as b values (\'mute\')'),
        ("update vault.hub set a = 1", 'update "x_vault"."hub" set a = 1'),
        ("insert into stage values (1) on conflict do update set x = e.x", None),
    ],
)
def test_names_are_replaced_whole_and_nothing_else(text, expected):
    assert RENAMING.statement(text) == (expected or text)


@pytest.mark.parametrize(
    "text",
    [
        "insert into vault.other values (1)",
        "delete from only vault.x",
        "with a as (update  business.y set z = 1) table a",
    ],
)
def test_a_statement_that_would_write_elsewhere_is_refused(text):
    with pytest.raises(RebuildError, match="does not know"):
        RENAMING.statement(text)


@pytest.mark.parametrize("name", ["", "pg_x", "X", "a b", "a" * 32, "a;b"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(RebuildError, match="no name for a schema"):
        Names(name)
