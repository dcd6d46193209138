"""`vault check` finds every fault that is planted, says nothing of a sound vault, and reads rows once."""

import json
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from siting import FEEDS, at, land
from vault.vaulting import append, event

from mainstem.features import CHECKS
from mainstem.vault.check import Finding, check
from mainstem.vault.engine.checks import checks
from mainstem.vault.engine.spec import Column, Hub, Link, NonHistorisedLink, Satellite
from mainstem.vault.feed import structures_of
from mainstem.vault.loader import Loader

STRUCTURES = structures_of(FEEDS)
Findings = dict[tuple[str, str], Finding]


async def look(dsn: str, **options: object) -> Findings:
    """Return the findings by check and subject."""
    found = await check(dsn, STRUCTURES, CHECKS, **options)
    return {(one.check, one.subject): one for one in found}


def failed(found: Findings) -> set[tuple[str, str]]:
    return {name for name, one in found.items() if one.state == "failed"}


async def load(dsn: str) -> None:
    one = Loader(dsn, FEEDS)
    while await one.load_once():
        pass


@pytest.fixture
async def visited(connection: asyncpg.Connection, dsn: str) -> asyncpg.Connection:
    """Return the connection to a vault with visits of today, a repeat, a reject and an event of another kind."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    visits = [
        at(0)._replace(
            subject=f"s{number}",
            visitor=f"v:{number}",
            occurred_at=now,
            data=json.dumps({"page_url": f"https://example.com/{number}?utm_source=x", "page_title": "T"}),
        )
        for number in range(4)
    ]
    await land(connection, visits)
    await land(connection, [visits[0], at(0)._replace(data="[]"), at(0)._replace(kind="order.noted", data="{}")])
    await load(dsn)
    return connection


async def test_a_new_vault_is_sound(dsn: str):
    found = await look(dsn)
    assert failed(found) == set()


async def test_a_vault_with_events_is_sound_at_every_depth(visited: asyncpg.Connection, dsn: str):
    for full in (False, True):
        found = await look(dsn, full=full)
        assert failed(found) == set()
        assert found["references", "vault.nhl_site_event"].checked == 4
        assert found["hash", "vault.hub_campaign"].checked == 2
        assert found["unique", "vault.hub_page"].note == "held by the database"
        await visited.execute("delete from vault.verified")
    assert [one for one in found.values() if one.state != "ok"] == []


FAULTS = [
    # a parent is gone, or was never there
    (
        "delete from vault.hub_page where page_bk like '%/1'",
        {("references", "vault.nhl_site_event"), ("parent", "vault.sat_page")},
    ),
    (
        "delete from vault.hub_session where session_bk = 's1'",
        {("references", "vault.nhl_site_event"), ("references", "vault.lnk_session_visitor")},
    ),
    (
        (
            "insert into vault.sat_page select tenant_id, sha256('x'), load_ts, raw_id, hashdiff, rsrc, title "
            "from vault.sat_page limit 1"
        ),
        {("parent", "vault.sat_page")},
    ),
    (
        (
            "insert into vault.lnk_session_visitor select tenant_id, sha256('x'), visitor_hk, load_ts, rsrc "
            "from vault.lnk_session_visitor limit 1"
        ),
        {("references", "vault.lnk_session_visitor")},
    ),
    # a key that is not the hash of its business key
    (
        "insert into vault.hub_visitor values (1, sha256('x'), 'v:x', now(), 'test')",
        {("hash", "vault.hub_visitor")},
    ),
    # a key twice, after somebody dropped what forbids it
    (
        (
            "alter table vault.hub_page drop constraint hub_page_pkey; "
            "insert into vault.hub_page select * from vault.hub_page where page_bk like '%/1'"
        ),
        {("unique", "vault.hub_page")},
    ),
    (
        (
            "alter table vault.sat_page drop constraint sat_page_pkey; "
            "insert into vault.sat_page select * from vault.sat_page"
        ),
        {("unique", "vault.sat_page")},
    ),
    # gate and facts disagree
    (
        "delete from vault.event_seen where event_uid = (select min(event_uid::text)::uuid from vault.nhl_event)",
        {("gate", "vault.nhl_event"), ("totals", "vault.event_seen")},
    ),
    (
        "update vault.event_seen set raw_id = raw_id + 1000 where event_uid in (select event_uid from vault.nhl_event)",
        {("gate", "vault.nhl_event")},
    ),
    (
        "insert into vault.event_seen values (1, gen_random_uuid(), 1)",
        {("gate", "vault.event_seen"), ("totals", "vault.event_seen")},
    ),
    # a fact that the ledger knows of is gone
    ("delete from vault.nhl_event", {("loads", "raw.batch"), ("gate", "vault.event_seen")}),
    # the ledger
    (
        "alter table raw.batch drop constraint batch_balance_check; update raw.batch set rejected = rejected + 1",
        {("balance", "raw.batch"), ("totals", "business.pipeline_total")},
    ),
    ("update business.pipeline_total set duplicates = 7", {("totals", "business.pipeline_total")}),
    ("delete from raw.batch where duplicates = 0", {("totals", "business.pipeline_total"), ("loads", "raw.batch")}),
    # roll-ups
    ("update business.site_hour set page_views = page_views - 1", {("roll-up", "business.site_hour")}),
    ("delete from business.site_hour", {("roll-up", "business.site_hour")}),
    # rows that no upkeep made a partition for
    (
        (
            "insert into vault.nhl_event select tenant_id, '2031-05-01', event_uid, occurred_at, load_ts, raw_id, rsrc, "
            "kind, flags, subject, data from vault.nhl_event"
        ),
        {("partition", "vault.nhl_event_default"), ("loads", "raw.batch")},
    ),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS, ids=range(len(FAULTS)))
async def test_a_planted_fault_is_found_where_it_is(visited: asyncpg.Connection, dsn: str, fault, expected):
    await visited.execute(fault)
    found = await look(dsn, full=True)
    assert failed(found) == expected
    for name in expected:
        assert found[name].violations
        assert 1 <= len(found[name].examples) <= 5


async def test_batches_that_wait_too_long_are_found(connection: asyncpg.Connection, dsn: str):
    await append(connection, [event({"visitor": "v"})])
    assert failed(await look(dsn)) == set()
    await connection.execute("update raw.batch set committed_at = now() - interval '16 minutes'")
    found = await look(dsn)
    assert failed(found) == {("waiting", "raw.batch")}
    assert "1 events" in found["waiting", "raw.batch"].examples[0]
    assert failed(await look(dsn, waiting=timedelta(hours=1))) == set()


async def test_what_passed_is_not_read_again_and_what_failed_is(visited: asyncpg.Connection, dsn: str):
    facts, pages = ("references", "vault.nhl_site_event"), ("hash", "vault.hub_page")
    assert (await look(dsn))[facts].checked == 4
    assert (await look(dsn))[facts].checked == 0
    await land(visited, [at(0, subject="new")])
    await load(dsn)
    found = await look(dsn)
    assert (found[facts].checked, found[pages].checked) == (1, 1)
    await visited.execute("insert into vault.hub_page values (1, sha256('x'), 'x', clock_timestamp(), 'test')")
    for _ in range(2):
        found = await look(dsn)
        assert failed(found) == {pages}
        assert found[pages].checked == 1
    assert (await look(dsn, full=True))[facts].checked == 5


async def test_a_load_under_way_is_looked_at_when_it_is_done(connection: asyncpg.Connection, dsn: str):
    await append(connection, [event({"any": 1}, kind="order.noted")])
    slot = Loader(dsn, FEEDS)._slot()
    claim = await slot.begin(0)
    assert claim is not None
    opened, *_ = await slot._connected()
    await opened.execute("select vault.open_load(0)")
    assert (await look(dsn))["gate", "vault.nhl_event"].checked == 0
    await slot.load(claim)
    slot.drop()
    assert (await look(dsn))["gate", "vault.nhl_event"].checked == 1


async def test_pruning_keeps_the_ledger_balanced(visited: asyncpg.Connection, dsn: str):
    await visited.execute("update raw.batch set committed_at = now() - interval '9 days', received_to = received_from")
    await visited.execute("select raw.drop_partitions((current_date + 1)::date)")
    assert await visited.fetchval("select raw.prune_batches((current_date + 1)::date, 10)") == 2
    assert await visited.fetchval("select loaded from raw.pruned_total") == 5
    assert failed(await look(dsn, full=True)) == set()


async def test_it_looks_while_loads_go_on_and_stands_in_nobody_s_way(visited: asyncpg.Connection, dsn: str):
    async with visited.transaction():
        # what a load holds to its commit
        await visited.execute("lock table vault.nhl_site_event, vault.event_seen in row exclusive mode")
        assert failed(await look(dsn)) == set()
    held = await visited.fetchval(
        "select count(*) from pg_locks l join pg_stat_activity a using (pid) "
        "where a.application_name = 'mainstem check' and a.datname = current_database()"
    )
    assert held == 0


HK = Column("visitor_hk", "bytea")
HUB = Hub(table="vault.hub_visitor", comment="", key=(HK,), business_key=(), meta=())


def test_a_role_leads_to_its_hub():
    roles = (("master_hk", "visitor_hk"), ("other_hk", "visitor_hk"))
    master, other = Column("master_hk", "bytea"), Column("other_hk", "bytea")
    spec = Link(table="vault.lnk", comment="", key=(master, other), references=(master, other), meta=(), roles=roles)
    (found,) = [one for one in checks([HUB, spec], "vault.gate") if one.name == "references"]
    assert found.count.count('"vault"."hub_visitor"') == 2
    assert found.skipped == ""


def test_what_can_t_be_checked_says_why():
    stranger = Column("stranger_hk", "bytea")
    link = Link(table="vault.lnk", comment="", key=(HK, stranger), references=(HK, stranger), meta=())
    satellite = Satellite(table="vault.sat", comment="", key=(stranger,), version=(), payload=(), meta=())
    facts = NonHistorisedLink(table="vault.nhl", comment="", key=(HK,), meta=(), repeats=True)
    skipped = {one.name: one.skipped for one in checks([HUB, link, satellite, facts], "vault.gate") if one.skipped}
    assert skipped == {
        "unique": "the spec asks for repeats to be kept",
        "hash": "the spec does not say how its key is made",
        "references": "no hub in the model has the key stranger_hk",
        "parent": "no hub or link in the model has the key stranger_hk",
    }
