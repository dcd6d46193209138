"""Clicks and what is beside them: replayed to the byte, met by visits, exported and erased with their person."""

import json
from uuid import UUID

import asyncpg
import pytest
from siting import FEEDS, FIREFOX, GOOGLEBOT
from vault.rebuilding import land, load, other, rebuilt, rows, visit

from mainstem.events.group import PendingGroup
from mainstem.events.log import PostgresLog
from mainstem.events.model import NewEvent
from mainstem.events.sealing import Sealer
from mainstem.pii.box import Keyring, new_key
from mainstem.pii.store import Subjects
from mainstem.platform.settings import Settings
from mainstem.subjects.erase import erase
from mainstem.subjects.export import export
from mainstem.subjects.find import find, identifiers_of
from mainstem.vault.engine import ZERO_KEY
from mainstem.vault.loader import Loader

TABLES = (
    "vault.hub_tracked_link vault.sat_tracked_link vault.nhl_click vault.sat_customer_click_pii business.link_time "
    "business.link_day business.link_visitor_day business.link_total business.missed_day"
).split()


def click(number: int, minute: float = 0, **fields: object) -> NewEvent:
    """Return an accepted click; `data` adds to what is said of it."""
    tracking_id = f"k{number % 5}"
    said = {
        "tracking_id": tracking_id,
        "click_source": "redirect",
        "utm_source": f"s{number % 2}",
        "variant": number % 3,
    }
    said |= fields.pop("data", {})
    event = visit(minute, number, data=json.dumps(said), **fields)
    return event._replace(kind="link.clicked", subject=tracking_id, source="links")


def missed(number: int) -> NewEvent:
    data = json.dumps({"slug": f"gone/{number % 3}", "missed": "invalid_short_url"})
    return visit(number, number, data=data)._replace(kind="link.missed", subject=None, source="links")


def changed(kind: str, target: str) -> NewEvent:
    data = json.dumps({"tracking_id": "k1", "target_url": target, "tags": ["b", "a"], "by": "cli"})
    return visit(1, data=data)._replace(kind=f"link.{kind}", subject="k1", source="links", visitor=None)


async def history(connection: asyncpg.Connection, dsn: str) -> None:
    """Land and load clicks of two tenants: late ones, repeats, refusals, bots, misses, changes of links."""
    await connection.execute("insert into platform.tenant (slug, name) values ('two', 'Two')")
    for tenant_id in (1, 2):
        await land(connection, [click(n, n * 7 % 50, tenant_id=tenant_id, message=f"c{n}") for n in range(30)])
    await land(connection, [changed("created", "https://example.com/a")])
    await load(dsn)
    late = [click(n, n - 60, message=f"c{n}") for n in range(20, 45)]
    await land(connection, [*late, click(1, 3, user_agent=GOOGLEBOT), click(2, 4, data={"label": "prefetch"})])
    unnamed = click(1)._replace(subject=None, data="{}")
    await land(connection, [unnamed, click(3)._replace(data="[]"), *map(missed, range(7)), other(1), visit(5, 5)])
    await load(dsn)
    for target in ("b", "b", "a"):
        await land(connection, [changed("updated", f"https://example.com/{target}"), missed(1)])
        await load(dsn, claim_events=1)
    people = [click(1, 70, data={"metadata": {"email": email}}) for email in ("anna@example.com", "bert@example.com")]
    await land(connection, people)
    await load(dsn)
    # large enough for the other way of loading
    await land(connection, [click(n, n % 90, message=f"l{n % 600}") for n in range(700)])
    await land(connection, [changed("deleted", "https://example.com/a")])
    await load(dsn)


async def test_a_rebuild_of_clicks_equals_live_byte_for_byte(connection: asyncpg.Connection, dsn: str):
    await history(connection, dsn)
    report = await rebuilt(dsn, into="other", keep=True)
    assert report.differences == []
    assert (report.equal, report.lost, report.changed_batches) == (True, 0, 0)
    assert {one.table for one in report.compared} >= set(TABLES)
    for table in TABLES:
        live = await rows(connection, table)
        assert len(live) >= 2, table
        assert live == await rows(connection, f"other_{table}"), table
    assert await connection.fetchval("select count(*) from staging.rejected") == 2


async def test_every_sum_of_a_history_is_what_the_facts_say(connection: asyncpg.Connection, dsn: str):
    await history(connection, dsn)
    facts = await connection.fetch(
        "select tenant_id, is_bot, count(*) as clicks from vault.nhl_click group by 1, 2 order by 1, 2"
    )
    kept = "select tenant_id, is_bot, sum(clicks)::bigint as clicks from {} group by 1, 2 order by 1, 2"
    for of_all in ("=", "<>"):
        source = f"business.link_time where tracked_link_hk {of_all} '\\x{ZERO_KEY.hex()}'"
        assert facts == await connection.fetch(kept.format(source)), of_all
    unique = """select count(distinct (tenant_id, tracked_link_hk, visitor_hk, is_bot, (occurred_at at time zone 'UTC')::date))
                from vault.nhl_click"""
    assert await connection.fetchval(unique) == await connection.fetchval(
        "select sum(visitors) from business.link_time where tracked_link_hk <> $1", ZERO_KEY
    )


async def test_click_and_visit_meet_at_visitor_and_campaign(connection: asyncpg.Connection, dsn: str):
    page = {"page_url": "https://example.com/?utm_source=mail&utm_medium=email&utm_campaign=autumn"}
    utm = {"utm_source": "mail", "utm_medium": "email", "utm_campaign": "autumn"}
    await land(connection, [click(1, data=utm)._replace(visitor="h:abc")])
    await land(connection, [visit(1, data=json.dumps(page))._replace(visitor="h:abc")])
    await load(dsn)
    met = """select count(*) from vault.nhl_click c join vault.nhl_site_event s
             using (tenant_id, visitor_hk, campaign_hk)"""
    assert await connection.fetchval(met) == 1
    assert await connection.fetchval("select count(*) from vault.hub_campaign where utm_campaign = 'autumn'") == 1


@pytest.mark.parametrize("name", ["Anna", "Åsa\u2028"])
async def test_a_persons_clicks_are_exported_and_erased(connection: asyncpg.Connection, dsn: str, name: str):
    ring = Keyring(new_key())
    sealer = Sealer(Settings(_env_file=None).pii_fields, ring)
    log = PostgresLog(dsn, sealer)
    person = {"metadata": {"email": "anna@example.com", "first_name": name}}
    events = [
        click(1, data=person, visitor="v:1"),
        click(2, visitor="v:2", user_agent=FIREFOX),
        visit(1, data=json.dumps({"page_url": "https://a.example/", "event_data": {"email": "anna@example.com"}})),
    ]
    events[2] = events[2]._replace(visitor="v:1")
    try:
        await log.append([PendingGroup(1, "http", [sealer.mark(event) for event in events])])
        loader = Loader(dsn, FEEDS, sealer=sealer)
        while await loader.load_once() is not None:
            pass

        async def exported(subject: UUID) -> dict:
            async with connection.transaction():
                return json.loads("".join([part async for part in export(connection, ring, 1, subject)]))

        (one,) = await find(connection, Subjects(ring), 1, identifiers_of(email="anna@example.com"))
        before = await exported(one.subject_id)
        assert [(said["tracking_id"], said["visitor"]) for said in before["clicks"]] == [("k1", "v:1")]
        assert before["clicks"][0]["metadata"]["first_name"] == name
        stored = await connection.fetchval("select string_agg(c::text, '') from vault.nhl_click c")
        assert "anna" not in stored.lower()
        async with connection.transaction():
            await erase(connection, ring, 1, one.subject_id, by="cli")
        after = await exported(one.subject_id)
        assert after["clicks"][0]["metadata"] == {"email": "(erased)", "first_name": "(erased)"}
        assert await connection.fetchval("select clicks from business.link_total where tracking_id = 'k1'") == 1
    finally:
        await log.close()


async def test_a_hot_link_costs_one_row_a_quarter(connection: asyncpg.Connection, dsn: str):
    await land(connection, [click(0, n / 1_000) for n in range(500)])
    await load(dsn)
    changes = "select n_tup_ins + n_tup_upd from pg_stat_user_tables where relid = 'business.link_time'::regclass"
    await connection.execute("select pg_stat_force_next_flush()")
    found = await connection.fetch("select clicks from business.link_time where tracked_link_hk <> $1", ZERO_KEY)
    assert [row[0] for row in found] == [500]
    # the clicks and the visitors, of the link and of all
    assert await connection.fetchval(changes) <= 4
