"""Clicks through the loader: facts, statistics, the relation of the deployment document, checks, rebuild."""

import json
from datetime import timedelta

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siting import FEEDS, FIREFOX, GOOGLEBOT, NOON, land, load_all, loading, raw_event

from mainstem.events.model import RawEvent
from mainstem.features import CHECKS
from mainstem.links.digest import ClickDigest
from mainstem.links.feed import CLICK_FEED
from mainstem.vault.check import check
from mainstem.vault.engine import ZERO_KEY
from mainstem.vault.feed import structures_of

DOCUMENTED = "; set search_path = public, api, business, staging, platform"
"""As migration 0004 sets it for every database that is not a copy."""
TOTALS = "select tracking_id, clicks, bot_clicks from business.link_total order by 1"


def click(tracking_id: str = "menu", minutes: float = 0, **fields: object) -> RawEvent:
    data = {"tracking_id": tracking_id, "click_source": "redirect", **fields.pop("data", {})}
    event = {
        "kind": "link.clicked",
        "subject": tracking_id,
        "source": "links",
        "occurred_at": NOON + timedelta(minutes=minutes),
    }
    return raw_event(data, **{**event, **fields})


async def load(connection: asyncpg.Connection, dsn: str, *batches: list[RawEvent]) -> None:
    for batch in batches:
        await land(connection, batch)
    async with loading(dsn) as loader:
        await load_all(connection, loader)
    assert await connection.fetchval("select count(*) from staging.rejected") == 0


async def test_clicks_become_facts_and_statistics(connection: asyncpg.Connection, dsn: str):
    await load(
        connection,
        dsn,
        [click(), click(minutes=1), click(minutes=20, visitor="v:2"), click(user_agent=GOOGLEBOT, visitor="v:3")],
        [click("events", minutes=1), click("events", data={"label": "prefetch"})],
    )
    assert [tuple(row) for row in await connection.fetch(TOTALS)] == [("events", 1, 1), ("menu", 3, 1)]
    quarters = """select to_char(at, 'HH24:MI'), clicks, visitors from business.link_time
                  where tracked_link_hk = (select tracked_link_hk from vault.hub_tracked_link where tracking_id = $1)
                    and not is_bot order by 1"""
    assert [tuple(row) for row in await connection.fetch(quarters, "menu")] == [("12:00", 2, 1), ("12:15", 1, 1)]
    every = "select sum(clicks), sum(visitors) from business.link_time where tracked_link_hk = $1 and not is_bot"
    assert tuple(await connection.fetchrow(every, ZERO_KEY)) == (4, 2)
    devices = (
        "select value, clicks from business.link_day where dimension = 'device' and tracked_link_hk = $1 and not is_bot"
    )
    assert [tuple(row) for row in await connection.fetch(devices, ZERO_KEY)] == [("desktop", 4)]
    assert await connection.fetchval("select count(*) from vault.nhl_click") == 6
    assert await connection.fetchval("select clicks from business.link_total where tracking_id = 'menu'") == 3


async def test_visits_and_clicks_load_over_one_connection(connection: asyncpg.Connection, dsn: str):
    # large enough for temp tables, which the feeds of a connection share
    visits = [raw_event(visitor=f"v:{number}") for number in range(700)]
    await load(connection, dsn, [*visits, *(click(f"l{number % 9}", visitor=f"v:{number}") for number in range(700))])
    assert await connection.fetchval("select sum(clicks) from business.link_total") == 700
    assert await connection.fetchval("select sum(events) from business.site_hour") == 700


async def test_a_repeated_click_counts_once(connection: asyncpg.Connection, dsn: str):
    one = click()
    await load(connection, dsn, [one], [one, one])
    assert [tuple(row) for row in await connection.fetch(TOTALS)] == [("menu", 1, 0)]
    assert await connection.fetchval("select sum(duplicates) from raw.batch") == 2


async def test_an_earlier_click_moves_the_visitor(connection: asyncpg.Connection, dsn: str):
    await load(connection, dsn, [click(minutes=40)], [click(minutes=5)], [click(minutes=50)])
    rows = await connection.fetch(
        "select to_char(at, 'HH24:MI'), clicks, visitors from business.link_time where tracked_link_hk = $1 order by 1",
        ZERO_KEY,
    )
    assert [tuple(row) for row in rows] == [("12:00", 1, 1), ("12:30", 1, 0), ("12:45", 1, 0)]


async def test_the_documents_statements_run(connection: asyncpg.Connection, dsn: str):
    await load(
        connection,
        dsn,
        [
            click("test-deployment-123", data={"click_source": "test", "metadata": {"a": 1}, "session_id": "s"}),
            click("other", minutes=1),
            click("foreign", tenant_id=1),
        ],
    )
    await connection.execute(DOCUMENTED)
    found = await connection.fetch("SELECT * FROM link_clicks WHERE tracking_id = 'test-deployment-123';")
    assert list(found[0].keys()) == [
        *("click_id", "tracking_id", "clicked_at", "ip_address", "user_agent", "referrer_url", "session_id"),
        *("click_source", "metadata"),
    ]
    assert (found[0]["click_source"], found[0]["ip_address"], found[0]["user_agent"]) == ("test", "192.0.2.0", FIREFOX)
    assert json.loads(found[0]["metadata"]) == {"a": 1}
    recent = await connection.fetch(
        "SELECT tracking_id, click_source, clicked_at, ip_address FROM link_clicks ORDER BY clicked_at DESC LIMIT 20;"
    )
    assert recent[0]["tracking_id"] == "other"
    await connection.execute("set mainstem.tenant = 'nobody'")
    with pytest.raises(asyncpg.PostgresError, match="names no tenant"):
        await connection.fetch("select from link_clicks")


@pytest.mark.parametrize("filter_", ["where tracking_id = 'menu' order by clicked_at desc", "order by clicked_at desc"])
async def test_the_documents_statements_use_an_index(connection: asyncpg.Connection, dsn: str, filter_: str):
    await connection.execute("set enable_seqscan = off; set enable_sort = off" + DOCUMENTED)
    plan = "\n".join(row[0] for row in await connection.fetch(f"explain select * from link_clicks {filter_} limit 20"))
    assert "Index Scan Backward" in plan, plan


async def test_visits_that_met_no_link_are_counted_by_path(connection: asyncpg.Connection, dsn: str):
    def missed(path: str, agent: str = FIREFOX) -> RawEvent:
        return raw_event({"slug": path, "missed": "invalid_short_url"}, kind="link.missed", user_agent=agent)

    await load(connection, dsn, [missed("old"), missed("old"), missed("wp-login.php", GOOGLEBOT)])
    rows = await connection.fetch("select path, is_bot, visits from business.missed_day order by path")
    assert [tuple(row) for row in rows] == [("old", False, 2), ("wp-login.php", True, 1)]
    assert await connection.fetchval("select count(*) from vault.nhl_event where kind = 'link.missed'") == 3


async def test_changes_of_a_link_make_its_history(connection: asyncpg.Connection, dsn: str):
    def change(kind: str, target: str) -> RawEvent:
        return raw_event(
            {"tracking_id": "menu", "target_url": target}, kind=f"link.{kind}", subject="menu", source="links"
        )

    await load(connection, dsn, [change("created", "https://example.com/a")])
    await load(
        connection, dsn, [change("updated", "https://example.com/b")], [change("updated", "https://example.com/b")]
    )
    await load(connection, dsn, [change("deleted", "https://example.com/b")])
    rows = await connection.fetch("select target_url, deleted from business.tracked_link_history order by valid_from")
    assert [tuple(row) for row in rows] == [
        ("https://example.com/a", False),
        ("https://example.com/b", False),
        ("https://example.com/b", True),
    ]
    assert await connection.fetchval("select count(*) from vault.nhl_event where kind like 'link.%'") == 4


async def test_the_check_finds_statistics_that_differ(connection: asyncpg.Connection, dsn: str):
    await load(connection, dsn, [click(), click("events")])
    assert await failed(dsn) == []
    await connection.execute("update business.link_time set clicks = clicks + 1 where tracked_link_hk = $1", ZERO_KEY)
    assert await failed(dsn) == ["business.link_time"]


async def failed(dsn: str) -> list[str]:
    found = await check(dsn, structures_of(FEEDS), CHECKS, full=True)
    return [one.subject for one in found if one.state == "failed"]


clicks = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 60), st.sampled_from(["v:1", "v:2"]), st.booleans()),
    min_size=1,
    max_size=12,
)


@given(clicks, st.integers(1, 5))
def test_any_batching_gives_the_same_digest(told, size):
    def counted(parts):
        digest = ClickDigest()
        for part in parts:
            digest.add(part)
        return {table: sorted(map(repr, rows)) for table, rows in merged(digest).items()}

    def merged(digest):
        tables = {}
        for table, rows in digest.rows():
            tables.setdefault(table, []).extend(rows)
        return tables

    rows = [
        CLICK_FEED.stage(click(link, minutes, visitor=visitor, user_agent=GOOGLEBOT if bot else FIREFOX))
        for link, minutes, visitor, bot in told
    ]
    assert counted([rows]) == counted([rows[start : start + size] for start in range(0, len(rows), size)])
