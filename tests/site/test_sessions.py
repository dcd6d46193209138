"""Sessions kept by the load equal a computation from scratch, whatever the order and the batches of the events."""

import gzip
import re
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from siting import FEEDS, GOOGLEBOT, NOON, at, land, load_all, loading, raw_event, until

from mainstem.events.model import RawEvent
from mainstem.vault.loader import Loader

COLUMNS = (
    "explicit, session_hk, visitor_hk, is_bot, started_at, ended_at, first_uid, events, page_views, entry_page, "
    "exit_page, referrer_host, channel, campaign_hk, utm_source, utm_medium, utm_campaign, device, os, browser"
)
LOG = Path(__file__).parents[3] / "shared" / "data" / "apache_access.log.gz"
_tenants = count(1_000)


async def differences(connection: asyncpg.Connection, tenant_id: int) -> list[asyncpg.Record]:
    """Return sessions that are kept and not computed, or computed and not kept; multiplicity counts."""
    return await connection.fetch(
        f"""with kept as (select {COLUMNS} from business.session where tenant_id = $1),
                 computed as (select {COLUMNS} from business.sessions_from_scratch($1))
            (select 'only kept', k.* from (table kept except all table computed) k)
            union all (select 'only computed', c.* from (table computed except all table kept) c)""",
        tenant_id,
    )


async def sessions(connection: asyncpg.Connection, tenant_id: int = 1) -> list[asyncpg.Record]:
    return await connection.fetch(
        "select * from business.session where tenant_id = $1 order by started_at, first_uid", tenant_id
    )


async def load(connection: asyncpg.Connection, dsn: str, *batches: list[RawEvent]) -> list[asyncpg.Record]:
    """Land and load batches one by one; return the sessions of tenant 1."""
    async with loading(dsn) as loader:
        for batch in batches:
            await land(connection, batch)
            await load_all(connection, loader)
    assert await differences(connection, 1) == []
    return await sessions(connection)


async def test_a_pause_of_exactly_thirty_minutes_stays_in_one_session(connection, dsn):
    found = await load(connection, dsn, [at(0), at(30), at(60)])
    assert [(row["events"], row["duration_ms"]) for row in found] == [(3, 3_600_000)]


async def test_a_longer_pause_parts_sessions(connection, dsn):
    late = raw_event(occurred_at=NOON + timedelta(minutes=30, microseconds=1))
    found = await load(connection, dsn, [at(0), late])
    assert [(row["events"], row["is_bounce"]) for row in found] == [(1, True), (1, True)]


async def test_a_late_event_between_two_sessions_joins_them_and_the_first_goes_on(connection, dsn):
    first = await load(connection, dsn, [at(0), at(40)])
    assert len(first) == 2
    joined = await load(connection, dsn, [at(20)])
    assert [(row["events"], row["session_id"]) for row in joined] == [(3, first[0]["session_id"])]


async def test_a_late_first_event_changes_where_the_session_came_from(connection, dsn):
    home = {"page_url": "https://example.com/", "referrer": "https://www.google.com/"}
    found = await load(
        connection, dsn, [at(10, data={"page_url": "https://example.com/b", "utm_source": "mail"})], [at(0, data=home)]
    )
    assert [(row["channel"], row["utm_source"], row["entry_page"], row["exit_page"]) for row in found] == [
        ("search", None, "https://example.com/", "https://example.com/b")
    ]


async def test_one_batch_can_bridge_many_stored_sessions(connection, dsn):
    found = await load(
        connection, dsn, [at(minute) for minute in range(0, 400, 40)], [at(minute) for minute in range(20, 380, 40)]
    )
    assert [row["events"] for row in found] == [19]


async def test_one_session_id_is_one_session_whatever_the_pauses_and_visitors(connection, dsn):
    found = await load(
        connection, dsn, [at(0, subject="s1"), at(300, subject="s1", visitor="v:2")], [at(5_000, subject="s1"), at(301)]
    )
    assert [(row["explicit"], row["events"]) for row in found] == [(True, 3), (False, 1)]


async def test_a_session_id_inside_event_data_makes_one_session(connection, dsn):
    data = {"page_url": "https://example.com/", "event_data": {"session_id": "s1"}}
    found = await load(connection, dsn, [at(minute, data=data) for minute in range(0, 500, 100)])
    assert [row["events"] for row in found] == [5]


async def test_a_bot_with_the_key_of_a_visitor_has_sessions_of_its_own(connection, dsn):
    found = await load(connection, dsn, [at(0), at(1, user_agent=GOOGLEBOT), at(2)])
    assert sorted((row["is_bot"], row["events"]) for row in found) == [(False, 2), (True, 1)]


async def test_clicks_are_events_and_no_page_views(connection, dsn):
    found = await load(connection, dsn, [at(0, kind="site.click", data={}), at(1), at(2, kind="site.click", data={})])
    assert [(row["events"], row["page_views"], row["entry_page"]) for row in found] == [(3, 1, "https://example.com/")]


async def test_a_session_without_a_page_view_has_no_entry_page(connection, dsn):
    found = await load(connection, dsn, [at(0, kind="site.click", data={})])
    assert [(row["page_views"], row["entry_page"], row["exit_page"]) for row in found] == [(0, None, None)]


async def test_two_tenants_with_equal_visitors_sessions_and_pages_never_meet(connection, dsn):
    async with loading(dsn) as loader:
        for tenant_id in (1, 2):
            await land(connection, [at(0, tenant_id=tenant_id), at(1, tenant_id=tenant_id, subject="s1")])
        await load_all(connection, loader)
    for tenant_id in (1, 2):
        assert [row["events"] for row in await sessions(connection, tenant_id)] == [1, 1]
        assert await differences(connection, tenant_id) == []


async def test_visitors_that_differ_by_a_dot_are_two(connection, dsn):
    found = await load(connection, dsn, [at(0, visitor="v:a.b"), at(1, visitor="v:a_b"), at(2, visitor="v:ab")])
    assert len(found) == 3


async def test_the_same_event_twice_counts_once(connection, dsn):
    event = at(0)
    found = await load(connection, dsn, [event, event], [event])
    assert [row["events"] for row in found] == [1]


@pytest.mark.skipif(not LOG.exists(), reason="the shared log is not on this machine")
async def test_the_real_log_has_the_known_visitors_and_sessions(connection, dsn):
    """10,000 lines, half of them out of time order; the expected figures were counted by another program."""
    pattern = re.compile(r'(\S+) \S+ \S+ \[([^]]+)\] "[^"]*" \d+ \S+ "[^"]*" "([^"]*)"$')
    hits = [
        found.groups()
        for line in gzip.decompress(LOG.read_bytes()).decode().splitlines()
        if (found := pattern.match(line.strip()))
    ]
    events = [
        raw_event(
            kind="site.request",
            data={},
            visitor=f"v:{address} {agent}",
            user_agent=agent,
            occurred_at=datetime.strptime(moment, "%d/%b/%Y:%H:%M:%S %z"),
        )
        for address, moment, agent in hits
    ]
    async with loading(dsn) as loader:
        for start in range(0, len(events), 2_500):
            await land(connection, events[start : start + 2_500])
            await load_all(connection, loader)
    people = await connection.fetchrow(
        """select count(*), count(distinct visitor_hk), sum(events) from business.session where not is_bot"""
    )
    assert tuple(people) == (2_097, 1_542, 9_999 - 1_955)
    assert await differences(connection, 1) == []


EVENTS = st.lists(
    st.builds(
        lambda minute, second, visitor, bot, session, click, page: {
            "occurred_at": NOON + timedelta(minutes=minute, seconds=second),
            "visitor": visitor,
            "user_agent": GOOGLEBOT if bot else "curl-like",
            "subject": session,
            "kind": "site.click" if click else "page.viewed",
            "data": {
                "page_url": f"https://example.com/{page}",
                "utm_source": f"s{page}",
                "referrer": f"https://{page}.org",
            },
        },
        # steps of ten minutes meet the boundary of thirty often
        minute=st.integers(0, 24).map(lambda step: step * 10),
        second=st.sampled_from([0, 0, 0, 1]),
        visitor=st.sampled_from(["v:1", "v:2"]),
        bot=st.sampled_from([False, False, True]),
        session=st.sampled_from([None, None, None, "a", "b"]),
        click=st.booleans(),
        page=st.integers(1, 3),
    ),
    min_size=1,
    max_size=25,
)


@pytest.fixture
async def loader(dsn):
    async with loading(dsn) as loader:
        yield loader


@pytest.mark.timeout(300)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=st.data())
async def test_any_order_and_any_batches_give_the_sessions_of_all_events(data, connection, loader):
    tenant_id = next(_tenants)
    events = [raw_event(**fields, tenant_id=tenant_id) for fields in data.draw(EVENTS)]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(events)), max_size=6)))
    for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
        if start < end:
            await land(connection, events[start:end])
            await load_all(connection, loader)
    assert await differences(connection, tenant_id) == []
    await check_identities(connection, tenant_id)
    await check_hours(connection, tenant_id)
    await check_days(connection, tenant_id)


async def check_identities(connection: asyncpg.Connection, tenant_id: int) -> None:
    """Check that every session without an id of the sender is named by one of its events."""
    strangers = await connection.fetch(
        """select s.session_id from business.session s
           where s.tenant_id = $1 and not s.explicit and not exists (
             select from vault.nhl_site_event f
             where f.tenant_id = s.tenant_id and f.event_uid = s.session_id and f.visitor_hk = s.visitor_hk
               and f.is_bot = s.is_bot and f.occurred_at between s.started_at and s.ended_at)""",
        tenant_id,
    )
    assert strangers == []


async def check_hours(connection: asyncpg.Connection, tenant_id: int) -> None:
    """Compare the hourly roll-up with one computed from facts and sessions."""
    kept = await connection.fetch(
        """select hour, is_bot, events, page_views, visitors, sessions, bounces, duration_ms
           from business.site_hour where tenant_id = $1
             and (events, sessions, visitors) <> (0, 0, 0) order by 1, 2""",
        tenant_id,
    )
    computed = await connection.fetch(
        """with part as (
             select date_trunc('hour', occurred_at, 'UTC') as hour, is_bot, count(*) as events,
                    count(*) filter (where kind = 'page.viewed') as page_views, 0::bigint as visitors,
                    0::bigint as sessions, 0::bigint as bounces, 0::bigint as duration_ms
             from vault.nhl_site_event where tenant_id = $1 group by 1, 2
             union all
             select date_trunc('hour', first_at, 'UTC'), is_bot, 0, 0, count(*), 0, 0, 0
             from (select is_bot, min(occurred_at) as first_at from vault.nhl_site_event where tenant_id = $1
                   group by is_bot, visitor_hk, (occurred_at at time zone 'UTC')::date) v
             group by 1, 2
             union all
             select date_trunc('hour', started_at, 'UTC'), is_bot, 0, 0, 0, count(*),
                    count(*) filter (where page_views < 2 and ended_at - started_at < interval '10 seconds'),
                    sum((extract(epoch from ended_at - started_at) * 1000)::bigint)::bigint
             from business.sessions_from_scratch($1) group by 1, 2)
           select hour, is_bot, sum(events), sum(page_views), sum(visitors), sum(sessions), sum(bounces), sum(duration_ms)
           from part group by 1, 2 order by 1, 2""",
        tenant_id,
    )
    assert [tuple(row) for row in kept] == [tuple(row) for row in computed]


async def check_days(connection: asyncpg.Connection, tenant_id: int) -> None:
    """Compare the daily roll-up by dimension with one computed from facts."""
    kept = await connection.fetch(
        """select dimension, day, value, is_bot, events, page_views
           from business.site_day where tenant_id = $1 order by 1, 2, 3, 4""",
        tenant_id,
    )
    computed = await connection.fetch(
        """select v.dimension, (f.occurred_at at time zone 'UTC')::date, v.value, f.is_bot, count(*),
                  count(*) filter (where f.kind = 'page.viewed')
           from vault.nhl_site_event f
           left join vault.hub_page p on p.tenant_id = f.tenant_id and p.page_hk = f.page_hk
           cross join lateral (values ('page', p.page_bk), ('referrer', f.referrer_host), ('channel', f.channel),
             ('source', f.utm_source), ('medium', f.utm_medium), ('campaign', f.utm_campaign), ('device', f.device),
             ('os', f.os), ('browser', f.browser), ('event_type', f.event_type)) v (dimension, value)
           where f.tenant_id = $1 and v.value is not null
           group by 1, 2, 3, 4 order by 1, 2, 3, 4""",
        tenant_id,
    )
    assert [tuple(row) for row in kept] == [tuple(row) for row in computed]


async def test_the_cost_of_a_load_does_not_grow_with_a_visitors_history(connection, dsn):
    await land(connection, [at(minute * 60, visitor="v:old") for minute in range(3_000)])
    before = await blocks_after_load(connection, dsn)
    await land(connection, [at(30 * 60 + 5, visitor="v:old")])
    assert await blocks_after_load(connection, dsn) - before < 200
    assert len(await sessions(connection)) == 3_000


async def blocks_after_load(connection: asyncpg.Connection, dsn: str) -> int:
    """Load once; return the blocks of business.session and its indexes that were read since the beginning."""
    await Loader(dsn, FEEDS).load_once()
    # a server process reports what it read at its end
    await until(
        connection,
        "not exists (select from pg_stat_activity "
        "where application_name = 'mainstem loader' and datname = current_database())",
    )
    return await connection.fetchval(
        """select heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read
           from pg_statio_user_tables where relid = 'business.session'::regclass"""
    )
