"""What a load does: exactly once, tenants apart, the ledger balanced, the order of arrival without effect."""

import asyncio
import dataclasses
import json
from datetime import timedelta

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault.vaulting import FEEDS, START, append, balance, event, load_all, loader

from mainstem.platform.ids import uuid7
from mainstem.vault.engine import hash_key
from mainstem.vault.ledger import LoadResult
from mainstem.vault.loader import Loader

TABLES = "hub_visitor hub_session hub_page lnk_session_visitor nhl_site_event nhl_event".split()


async def count(connection: asyncpg.Connection, table: str) -> int:
    """Return the rows of a table, ghosts aside."""
    return int(await connection.fetchval(f"select count(*) from vault.{table} where load_ts > '1900-01-02'"))


async def test_nothing_waits_nothing_loads(dsn: str):
    assert await loader(dsn).load_once() is None


async def test_a_batch_becomes_hubs_a_link_satellites_and_facts(connection: asyncpg.Connection, dsn: str):
    visit = {"visitor": "v:1", "session": "s1", "page": "https://a/x", "title": "X", "device": "desktop"}
    batch_id = await append(connection, [event(visit), event({**visit, "page": "https://a/y"})])
    result = await loader(dsn).load_once()
    assert result is not None
    assert result == LoadResult(1, 2, 0, 0, (batch_id,), result.seconds)
    expected = {"hub_visitor": 1, "hub_session": 1, "hub_page": 2, "lnk_session_visitor": 1, "sat_page": 2}
    expected |= {"sat_visitor_device": 1, "nhl_site_event": 2, "hub_campaign": 0}
    assert {table: await count(connection, table) for table in expected} == expected
    fact = await connection.fetchrow("select * from vault.nhl_site_event order by raw_id limit 1")
    assert fact is not None
    assert fact["visitor_hk"] == hash_key(1, "site", "v:1")
    assert (fact["occurred_at"], fact["received_at"], fact["raw_id"]) == (START, START, batch_id)
    ledger = await connection.fetchrow("select * from raw.batch")
    assert ledger is not None
    assert ledger["load_ts"] == fact["load_ts"] <= ledger["loaded_at"]
    assert await balance(connection) == (2, 2, 0, 0)


async def test_events_of_other_kinds_keep_their_data_without_what_jsonb_refuses(
    connection: asyncpg.Connection, dsn: str
):
    await append(connection, [event({"note": "a\0b\ud800c😀\\u0000"}, kind="order.noted")])
    await load_all(dsn)
    row = await connection.fetchrow("select kind, data from vault.nhl_event")
    assert row is not None
    assert (row["kind"], json.loads(row["data"])) == ("order.noted", {"note": "ab\ufffdc😀\\u0000"})


async def test_a_message_loads_once_however_often_it_comes(connection: asyncpg.Connection, dsn: str):
    for _ in range(2):
        await append(connection, [event({"visitor": "v"}, message_id=key) for key in ("m", "m", "n")])
    await load_all(dsn)
    await append(connection, [event({"visitor": "other"}, message_id="m")])
    await load_all(dsn)
    assert await count(connection, "nhl_site_event") == 2
    assert await balance(connection) == (7, 2, 5, 0)
    assert [
        tuple(row) for row in await connection.fetch("select loaded, duplicates from raw.batch order by batch_id")
    ] == [(2, 1), (0, 3), (0, 1)]


async def test_equal_keys_of_two_tenants_never_meet(connection: asyncpg.Connection, dsn: str):
    for tenant_id in (1, 2):
        data = {"visitor": "v", "session": "s", "page": "p"}
        await append(connection, [event(data, tenant_id=tenant_id, message_id="m")])
    await load_all(dsn)
    for table, key in (("hub_visitor", "visitor_hk"), ("hub_session", "session_hk"), ("nhl_site_event", "visitor_hk")):
        rows = await connection.fetch(
            f"select distinct tenant_id, {key} from vault.{table} where load_ts > '1900-01-02'"
        )
        assert len({row["tenant_id"] for row in rows}) == len({row[key] for row in rows}) == len(rows) == 2
    assert await balance(connection) == (2, 2, 0, 0)


async def test_a_satellite_keeps_a_b_a_across_and_within_loads(connection: asyncpg.Connection, dsn: str):
    for titles in (["A", "B"], ["A"], ["A"], ["B", "B", "A", None]):
        await append(connection, [event({"visitor": "v", "page": "p", "title": title}) for title in titles])
        await load_all(dsn)
    rows = await connection.fetch(
        "select title from vault.sat_page where load_ts > '1900-01-02' order by load_ts, raw_id"
    )
    assert [row["title"] for row in rows] == ["A", "B", "A", "B", "A"]


async def test_load_times_only_rise_even_when_the_clock_falls(connection: asyncpg.Connection, dsn: str):
    for number in range(3):
        await append(connection, [event({"visitor": str(number)})])
        await load_all(dsn)
    ahead = await connection.fetchval("update vault.lane set load_ts = now() + interval '1 hour' returning load_ts")
    for number in range(2):
        await append(connection, [event({"visitor": str(number)})])
        await load_all(dsn)
    times = [row["load_ts"] for row in await connection.fetch("select load_ts from raw.batch order by batch_id")]
    assert times == sorted(set(times))
    assert times[3:] == [ahead + timedelta(microseconds=n) for n in (1, 2)]


async def test_lanes_part_the_tenants(connection: asyncpg.Connection, dsn: str):
    for tenant_id in (1, 2, 3):
        await append(connection, [event({"visitor": "v"}, tenant_id=tenant_id)])
    assert len(await load_all(dsn, lane_count=2, lanes=(1,))) == 1
    waiting = await connection.fetch("select tenant_id from raw.batch where loaded_at is null")
    assert [row["tenant_id"] for row in waiting] == [2]
    assert len(await load_all(dsn, lane_count=2, lanes=(0, 1))) == 1


async def test_a_claim_takes_whole_batches_up_to_its_budget(connection: asyncpg.Connection, dsn: str):
    for size in (3, 3, 3, 20):
        await append(connection, [event({"visitor": str(number)}) for number in range(size)])
    assert [result.loaded for result in await load_all(dsn, claim_events=5)] == [6, 23]


async def test_the_figures_of_the_pipeline_add_up(connection: asyncpg.Connection, dsn: str):
    for tenant_id in (1, 2):
        bad = event({"visitor": "v", "fail": "reject"}, tenant_id=tenant_id)
        good = [event({"visitor": "v"}, tenant_id=tenant_id, message_id=key) for key in "aab"]
        await append(connection, [bad, *good])
        await load_all(dsn)
        await append(connection, good)
    await load_all(dsn)
    for table in ("pipeline_total", "pipeline_minute"):
        rows = await connection.fetch(
            f"""select tenant_id, sum(loaded)::int, sum(duplicates)::int, sum(rejected)::int from business.{table}
                group by 1 order by 1"""
        )
        assert [tuple(row) for row in rows] == [(1, 2, 4, 1), (2, 2, 4, 1)]
    minutes = await connection.fetch("select latency_buckets, loaded from business.pipeline_minute")
    assert all(sum(row["latency_buckets"]) == row["loaded"] for row in minutes)
    assert await connection.fetchval("select max(latest_received_at) from business.pipeline_total") == START


async def test_an_event_that_the_landing_lost_is_a_reject(connection: asyncpg.Connection, dsn: str):
    batch_id = await append(connection, [event({"visitor": str(number)}) for number in range(3)])
    await connection.execute("delete from raw.event where raw_id = $1", batch_id + 1)
    await load_all(dsn)
    assert await balance(connection) == (3, 2, 0, 1)
    reject = await connection.fetchrow("select raw_id, code from staging.rejected")
    assert reject is not None
    assert tuple(reject) == (batch_id + 1, "raw_event_missing")


MESSAGES = [
    event(
        {"visitor": f"v{n % 3}", "session": f"s{n % 4}", "page": f"p{n % 2}"}, message_id=f"m{n % 7}", occurred_s=n % 7
    )
    for n in range(10)
] + [event({"n": n}, kind="order.noted", message_id=f"o{n}") for n in range(3)]
# one content per message: a duplicate with other content is the sender's choice of what to lose
MESSAGES = [next(e for e in MESSAGES if e.event_uid == m.event_uid) for m in MESSAGES]


async def content(connection: asyncpg.Connection) -> dict[str, list[str]]:
    """Return hubs, links and facts but for their load time and raw id, in a fixed order."""
    return {
        table: [
            row["line"]
            for row in await connection.fetch(
                f"select (to_jsonb(t) - 'load_ts' - 'raw_id')::text as line from vault.{table} t order by 1"
            )
        ]
        for table in TABLES
    }


async def load_in_order(dsn: str, order: list[int], cuts: set[int], budget: int) -> dict[str, list[str]]:
    """Empty the vault, load the messages in the order and batches given, and return what is in it."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "truncate raw.batch, raw.event, vault.event_seen, " + ", ".join(f"vault.{table}" for table in TABLES)
        )
        batch: list[int] = []
        for place, number in enumerate(order):
            batch.append(number)
            if place in cuts or place == len(order) - 1:
                await append(connection, [MESSAGES[number] for number in batch])
                batch = []
        await load_all(dsn, claim_events=budget)
        return await content(connection)
    finally:
        await connection.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(len(MESSAGES))),
    cuts=st.sets(st.integers(0, len(MESSAGES))),
    budget=st.sampled_from([1, 4, 100]),
)
def test_order_and_batches_make_no_difference(dsn: str, order, cuts, budget):
    expected = asyncio.run(load_in_order(dsn, list(range(len(MESSAGES))), set(), 100))
    assert len(expected["nhl_site_event"]) == 7
    assert len(expected["nhl_event"]) == 3
    assert asyncio.run(load_in_order(dsn, order, cuts, budget)) == expected


async def test_business_statements_see_each_new_event_once(connection: asyncpg.Connection, dsn: str):
    await connection.execute("create table business.probe (raw_id bigint primary key, load_ts timestamptz)")
    probe = "insert into business.probe select raw_id, load_ts from stage_site cross join load_context"
    feeds = (dataclasses.replace(FEEDS[0], business=(probe,)), FEEDS[1])
    uid = uuid7()
    rows = [{"visitor": "v"}] * 600 + [{"visitor": "v", "fail": "poison"}] + [{"visitor": "v"}] * 5
    await append(connection, [event(row) for row in rows] + [event({"visitor": "v"}, uid=uid)] * 2)
    one = Loader(dsn, feeds)
    result = await one.load_once()
    assert result is not None
    assert (result.loaded, result.duplicates, result.rejected) == (606, 1, 1)
    probed = await connection.fetchrow("select count(*), count(distinct load_ts) from business.probe")
    assert probed is not None
    assert tuple(probed) == (606, 1)
