"""The site API: the contract's fields, and figures that agree with what was loaded."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from siting import GOOGLEBOT, NOON, at, land, load_all, loading

from mainstem.platform.auth import Caller
from mainstem.platform.db import load_queries
from mainstem.platform.errors import InvalidFieldError, MainstemError
from mainstem.site import process
from mainstem.site.read import Interval
from mainstem.site.routes import build_router, span

FROM = "2026-03-10T00:00:00Z"
TO = "2026-03-12T00:00:00Z"


@pytest.fixture
async def loader(dsn):
    async with loading(dsn) as loader:
        yield loader


@pytest.fixture
async def clients(api_pool):
    """Return a function that makes a client of a tenant."""
    opened: list[httpx.AsyncClient] = []

    def client(tenant_id: int = 1) -> httpx.AsyncClient:
        def require(scope: str):
            async def caller() -> Caller:
                return Caller(tenant_id, "t", frozenset({scope}), 1, None, None, False, (), "key:1")

            return caller

        app = FastAPI()
        app.include_router(build_router(pool=lambda: api_pool, require=require, process=partial(process, api_pool)))
        app.add_exception_handler(MainstemError, _refuse)
        opened.append(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test"))
        return opened[-1]

    yield client
    for one in opened:
        await one.aclose()


async def _refuse(_request, error):
    return JSONResponse({"detail": error.detail, "field": error.field}, status_code=error.status)


async def get(client: httpx.AsyncClient, path: str, **params: object) -> dict:
    answer = await client.get("/api/v1" + path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_status_and_dashboard_agree_with_the_ledger(connection, loader, clients):
    await land(connection, [at(0, message_id="e1", subject="s1"), at(1, data={"page_url": ""}), at(2)])
    await load_all(connection, loader)
    await land(connection, [at(0, message_id="e2")])
    await load_all(connection, loader)
    client = clients()
    status = await get(client, "/track/status")
    assert status["status"] == "success"
    assert status["pipeline_status"] | {"avg_processing_time_minutes": 0, "latest_event": None} == {
        "state": "idle",
        "pending_events": 0,
        "unprocessed_to_business": 0,
        "events_today": 3,
        "avg_processing_time_minutes": 0,
        "total_events": 4,
        "processed": 3,
        "rejected": 1,
        "duplicates": 0,
        "latest_event": None,
    }
    dashboard = await get(client, "/track/dashboard")
    summary = dashboard["summary"]
    assert (summary["total_events"], summary["processed_to_staging"], summary["processed_to_business"]) == (4, 3, 3)
    assert (summary["rejected"], summary["duplicates"], summary["error_rate"]) == (1, 0, 0.25)
    assert summary["events_per_minute"] == pytest.approx(3 / 5)
    assert summary["latest_event"].endswith("Z")
    assert set(summary["processing_latency_ms"]) == {"p50", "p95", "p99"}
    assert summary["processing_latency_ms"]["p99"] >= summary["processing_latency_ms"]["p50"] >= 0
    assert [row["staging_status"] for row in dashboard["events"]] == ["PROCESSED", "PROCESSED", "REJECTED", "PROCESSED"]
    assert dashboard["events"][0]["event_id"] == "e2"
    assert dashboard["events"][3]["session_id"] == "s1"
    assert dashboard["events"][2]["error_message"] == "A page view needs the address of its page."


async def test_what_waits_is_counted_and_shown_as_pending(connection, clients):
    await land(connection, [at(0), at(1)])
    client = clients()
    status = (await get(client, "/track/status"))["pipeline_status"]
    assert (status["state"], status["pending_events"], status["total_events"], status["processed"]) == (
        "processing",
        2,
        2,
        0,
    )
    dashboard = await get(client, "/track/dashboard")
    assert [row["business_status"] for row in dashboard["events"]] == ["Pending", "Pending"]
    assert dashboard["summary"]["processing_latency_ms"] == {"p50": None, "p95": None, "p99": None}


async def test_an_empty_tenant_has_an_empty_dashboard(clients):
    dashboard = await get(clients(77), "/track/dashboard")
    assert dashboard["events"] == []
    assert (dashboard["summary"]["total_events"], dashboard["summary"]["latest_event"]) == (0, None)


async def test_the_limit_takes_the_newest_across_and_inside_batches(connection, clients):
    for batch in range(3):
        await land(connection, [at(0, message_id=f"{batch}-{number}") for number in range(4)])
    client = clients()
    for limit in (1, 3, 4, 5, 12, 13):
        events = (await get(client, "/track/dashboard", limit=limit))["events"]
        expected = [f"{batch}-{number}" for batch in (2, 1, 0) for number in (3, 2, 1, 0)]
        assert [row["event_id"] for row in events] == expected[:limit]


async def test_batches_of_an_older_block_of_ids_are_not_forgotten(connection, clients):
    """Each process takes ids in blocks, so a newer batch can have a lower id."""
    older_block = await connection.fetchval("select nextval('raw.raw_id_block')")
    for number in range(3):
        await land(connection, [at(0, message_id=f"other-{number}")])
    await connection.execute(
        """insert into raw.batch (batch_id, tenant_id, events, origin, received_from, received_to)
           select $1, 1, 1, 'http', clock_timestamp(), clock_timestamp()""",
        older_block,
    )
    await connection.execute(
        """insert into raw.event (raw_id, received_at, tenant_id, event_uid, kind, occurred_at, source, message_id, data)
           select b.batch_id, b.received_from, 1, gen_random_uuid(), 'site.x', now(), 'site', 'newest', '{}'
           from raw.batch b where b.batch_id = $1""",
        older_block,
    )
    events = (await get(clients(), "/track/dashboard", limit=2))["events"]
    assert [row["event_id"] for row in events] == ["newest", "other-2"]


async def test_the_newest_events_cost_the_same_beside_a_long_history(connection, dsn):
    """A tenant with few events beside one with many events, messages and rejects."""
    await connection.execute("insert into platform.tenant (slug, name) values ('small', 'Small')")
    batches = [await land(connection, [at(number, tenant_id=2)]) for number in range(5)]
    await land(connection, [at(number) for number in range(5_000)])
    await connection.execute("insert into vault.event_seen select tenant_id, event_uid, raw_id from raw.event")
    await connection.execute(
        """insert into staging.rejected (tenant_id, raw_id, stage, code, reason, origin, payload)
           select 1, 10000000 + n, 'load', 'x', 'x', 'http', '{}' from generate_series(1, 50000) n"""
    )
    await connection.execute("analyze")
    await connection.execute("set mainstem.tenant_id = '2'")
    query = load_queries("mainstem.site")["recent_events"].replace("$1", "2").replace("$2", "50")
    plan = json.loads(await connection.fetchval(f"explain (analyze, format json) {query}"))[0]["Plan"]
    assert plan["Actual Rows"] == len(batches)
    assert sum(map(_rows_read, _nodes(plan))) < 500


def _nodes(plan):
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _rows_read(node):
    return node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))


@pytest.mark.parametrize("limit", [0, 1001, "x"])
async def test_the_limit_is_bounded(clients, limit):
    assert (await clients().get("/api/v1/track/dashboard", params={"limit": limit})).status_code == 422


async def test_process_waits_for_the_load(connection, loader, clients):
    await land(connection, [at(0), at(1)])
    answer = await clients().post("/api/v1/track/process")
    body = answer.json()
    assert (body["status"], body["message"]) == ("success", "Processing triggered successfully")
    results = body["result"]["results"]
    assert results["total_processed"] in {0, 2}
    assert results["total_success_count"] == results["raw_to_staging_count"] == results["staging_to_business_count"]
    assert set(body["result"]) == {"triggered_at", "results"}
    assert await connection.fetchval("select count(*) from vault.nhl_site_event") == 2


async def test_one_tenants_reads_hold_nothing_of_another(connection, loader, clients):
    for tenant_id in (1, 2):
        await land(connection, [at(0, tenant_id=tenant_id, message_id=f"tenant-{tenant_id}")])
    await load_all(connection, loader)
    for tenant_id in (1, 2):
        client = clients(tenant_id)
        assert [row["event_id"] for row in (await get(client, "/track/dashboard"))["events"]] == [f"tenant-{tenant_id}"]
        assert (await get(client, "/site/overview", **{"from": FROM, "to": TO}))["totals"]["events"] == 1


async def test_the_overview_counts_people_per_interval(connection, loader, clients):
    await land(
        connection,
        [at(0), at(10), at(60 * 24), at(0, visitor="v:2"), at(0, visitor="v:bot", user_agent=GOOGLEBOT)],
    )
    await load_all(connection, loader)
    client = clients()
    found = await get(client, "/site/overview", **{"from": FROM, "to": TO})
    assert found["totals"] == {
        "visitors": 3,
        "sessions": 3,
        "page_views": 4,
        "events": 4,
        "bounce_rate": pytest.approx(2 / 3),
        "average_duration_s": 200.0,
    }
    assert [(point["at"][:10], point["visitors"], point["sessions"]) for point in found["series"]] == [
        ("2026-03-10", 2, 2),
        ("2026-03-11", 1, 1),
    ]
    hours = await get(client, "/site/overview", **{"from": FROM, "to": TO, "interval": "hour", "bots": "include"})
    assert len(hours["series"]) == 48
    assert {point["at"][11:13]: point["events"] for point in hours["series"][:24] if point["events"]} == {"12": 4}
    only = await get(client, "/site/overview", **{"from": FROM, "to": TO, "bots": "only"})
    assert (only["totals"]["visitors"], only["totals"]["events"]) == (1, 1)


async def test_the_breakdown_ranks_values_and_sums_all_of_them(connection, loader, clients):
    pages = ["a", "a", "a", "b", "b", "c"]
    await land(connection, [at(n, data={"page_url": f"https://example.com/{page}"}) for n, page in enumerate(pages)])
    await load_all(connection, loader)
    found = await get(clients(), "/site/breakdown", dimension="page", limit=2, **{"from": FROM, "to": TO})
    assert [(row["value"], row["events"], row["share"]) for row in found["rows"]] == [
        ("https://example.com/a", 3, 0.5),
        ("https://example.com/b", 2, pytest.approx(1 / 3)),
    ]
    assert (found["total_events"], found["total_page_views"], found["from"]) == (6, 6, "2026-03-10T00:00:00.000000Z")


@pytest.mark.parametrize(
    "dimension",
    ["page", "referrer", "channel", "source", "medium", "campaign", "device", "os", "browser", "event_type"],
)
async def test_every_dimension_is_counted(connection, loader, clients, dimension):
    data = {
        "page_url": "https://example.com/?utm_source=s&utm_medium=m&utm_campaign=c",
        "referrer": "https://blog.example.org/",
    }
    await land(connection, [at(0, data=data)])
    await load_all(connection, loader)
    found = await get(clients(), "/site/breakdown", dimension=dimension, **{"from": FROM, "to": TO})
    assert [row["events"] for row in found["rows"]] == [1]


async def test_an_empty_breakdown_has_no_rows(clients):
    found = await get(clients(), "/site/breakdown", dimension="page")
    assert (found["rows"], found["total_events"]) == ([], 0)


@pytest.mark.parametrize(
    "params",
    [
        {"from": TO, "to": FROM},
        {"from": "0001-01-01T00:00:00Z"},
        {"to": "9999-12-31T23:59:59Z"},
        {"from": "2020-01-01", "to": "2021-01-01", "interval": "hour"},
        {"from": "yesterday"},
        {"interval": "minute"},
        {"bots": "maybe"},
    ],
)
async def test_wrong_spans_are_refused(clients, params):
    assert (await clients().get("/api/v1/site/overview", params=params)).status_code == 422


@pytest.mark.parametrize(
    ("start", "end", "interval", "expected"),
    [
        (None, None, Interval.DAY, (datetime(2026, 2, 9, tzinfo=UTC), datetime(2026, 3, 11, tzinfo=UTC))),
        (NOON, NOON, Interval.DAY, (datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 3, 11, tzinfo=UTC))),
        (NOON, NOON + timedelta(minutes=61), Interval.HOUR, (NOON, NOON + timedelta(hours=2))),
        (
            datetime(2026, 3, 9),
            datetime(2026, 3, 10),
            Interval.DAY,
            (NOON - timedelta(hours=36), NOON - timedelta(hours=12)),
        ),
    ],
)
def test_a_span_is_whole_intervals(start, end, interval, expected):
    assert span(start, end, interval, NOON) == expected


def test_a_span_that_is_too_long_says_so():
    with pytest.raises(InvalidFieldError, match="at most 1,500 hours apart"):
        span(NOON - timedelta(days=100), NOON, Interval.HOUR, NOON)
