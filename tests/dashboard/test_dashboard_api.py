"""The dashboard API: the contract's fields, from roll-ups, through the cache, each tenant its own."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from clusters import DurableCluster
from watching import serving

from mainstem.platform.db import load_queries

NOW = datetime.now(UTC)
PREFIX = "/api/v1/dashboard"


@pytest.fixture
async def served(dsn):
    async with serving(dsn, rate_limit_requests=10_000) as served:
        yield served


@pytest.fixture
async def client(served):
    headers = {"Authorization": f"Bearer {await served.key()}"}
    async with httpx.AsyncClient(base_url=served.url, headers=headers) as client:
        yield client


async def get(client: httpx.AsyncClient, path: str = "", **params: object) -> dict:
    answer = await client.get(PREFIX + path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def endpoint(connection, name: str, *, tenant_id: int = 1, active: bool = True, **total: object) -> int:
    """Make an endpoint with figures; return its id."""
    deliveries = total.pop("deliveries", 0)
    endpoint_id = await connection.fetchval(
        """insert into webhooks.endpoint (tenant_id, name, url, active, disabled_at)
           values ($1, $2, 'https://example.com/hook', $3, case when not $3 then now() end) returning endpoint_id""",
        tenant_id,
        name,
        active,
    )
    await connection.execute(
        "insert into webhooks.endpoint_created values ($1, $2, $3)", endpoint_id, tenant_id, deliveries
    )
    names = ["endpoint_id", "tenant_id", *total]
    await connection.execute(
        f"insert into webhooks.endpoint_total ({', '.join(names)}) "
        f"values ({', '.join(f'${place}' for place in range(1, len(names) + 1))})",
        endpoint_id,
        tenant_id,
        *total.values(),
    )
    return endpoint_id


async def minute(connection, endpoint_id: int, at: datetime, delivered: int, failed: int) -> None:
    await connection.execute(
        "insert into webhooks.endpoint_minute (endpoint_id, minute, tenant_id, delivered, failed) values ($1, $2, 1, $3, $4)",
        endpoint_id,
        at.replace(second=0, microsecond=0),
        delivered,
        failed,
    )


async def some_endpoints(connection) -> list[int]:
    return [
        await endpoint(
            connection, "fine", deliveries=100, delivered=90, failed=0, attempts=95, ms_sum=1_900, health="healthy"
        ),
        await endpoint(
            connection, "slow", deliveries=50, delivered=30, failed=10, attempts=60, ms_sum=600, health="degraded"
        ),
        await endpoint(
            connection, "dead", deliveries=10, delivered=0, failed=10, consecutive_failures=80, health="failing"
        ),
        await endpoint(connection, "off", active=False, deliveries=5, delivered=5, health="healthy"),
        await endpoint(connection, "new"),
    ]


@pytest.mark.parametrize("name", load_queries("mainstem.dashboard"))
async def test_every_query_is_valid(connection, name):
    assert await connection.prepare(load_queries("mainstem.dashboard")[name])


async def test_the_overview_has_the_contracts_fields(client, connection):
    await some_endpoints(connection)
    found = await get(client, "/overview")
    assert found | {"updated_at": "", "generated_at": ""} == {
        "total_deliveries": 165,
        "pending_deliveries": 20,
        "successful_deliveries": 125,
        "failed_deliveries": 20,
        "success_rate_percent": 86.21,
        "active_webhooks": 4,
        "degraded_webhooks": 2,
        "disabled_webhooks": 1,
        "events_loaded": 0,
        "events_rejected": 0,
        "events_duplicate": 0,
        "updated_at": "",
        "generated_at": "",
        "cache_hit": False,
    }
    assert found["updated_at"].endswith("Z")


async def test_an_empty_tenant_has_an_empty_dashboard(client):
    found = await get(client)
    assert (found["overview"]["total_deliveries"], found["overview"]["success_rate_percent"]) == (0, None)
    assert found["performance"]["requests"] == 0
    assert (found["webhooks"], found["anomalies"]["items"]) == ([], [])


async def test_performance_is_that_of_all_processes(client, connection):
    await connection.execute(
        """insert into platform.minute (minute, kind, requests, errors_5xx, ms_sum, ms_counts, cache_hits, cache_misses)
           values (date_trunc('minute', now()) - interval '3 minutes', 'api', 200, 4, 8000,
                   array[0,0,0,0,100,90,10,0,0,0,0,0,0,0,0,0,0,0,0]::bigint[], 0, 0),
                  (date_trunc('minute', now()) - interval '3 minutes', 'process', 0, 0, 0, array[]::bigint[], 90, 10),
                  (date_trunc('minute', now()) - interval '40 minutes', 'api', 100, 0, 0,
                   array[100,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]::bigint[], 0, 0)"""
    )
    found = await get(client, "/performance")
    assert found | {"generated_at": ""} == {
        "p50_latency_ms": 25.0,
        "p95_latency_ms": 50.0,
        "p99_latency_ms": 90.0,
        "average_response_time_ms": 40.0,
        "error_rate_percent": 2.0,
        "cache_hit_rate_percent": 90.0,
        "requests": 200,
        "window_minutes": 15,
        "generated_at": "",
        "cache_hit": False,
    }
    longer = await get(client, "/performance", minutes=60)
    assert (longer["requests"], longer["window_minutes"]) == (300, 60)


async def test_endpoints_that_need_a_look_come_first(client, connection):
    ids = await some_endpoints(connection)
    found = await get(client, "/webhooks")
    assert [one["name"] for one in found["items"]] == ["dead", "slow", "new", "fine", "off"]
    assert [one["health_status"] for one in found["items"]] == [
        "failing",
        "degraded",
        "unknown",
        "healthy",
        "disabled",
    ]
    assert found["webhooks"] == found["items"]
    assert found["total"] == 5
    fine = found["items"][3]
    assert fine | {"health_since": "", "last_delivery_at": None} == {
        "id": ids[0],
        "name": "fine",
        "active": True,
        "health_status": "healthy",
        "health_since": "",
        "total_deliveries": 100,
        "successful_deliveries": 90,
        "failed_deliveries": 0,
        "pending_deliveries": 10,
        "success_rate_percent": 100.0,
        "avg_response_time_ms": 20.0,
        "consecutive_failures": 0,
        "last_delivery_at": None,
    }
    assert len((await get(client, "/webhooks", limit=2))["items"]) == 2


async def test_deleted_endpoints_are_gone(client, connection):
    ids = await some_endpoints(connection)
    await connection.execute("update webhooks.endpoint set deleted_at = now() where endpoint_id = any ($1)", ids[1:])
    assert [one["name"] for one in (await get(client, "/webhooks"))["items"]] == ["fine"]
    assert (await get(client, "/overview"))["total_deliveries"] == 100


async def test_hours_far_from_the_history_are_told(client, connection):
    endpoint_id = await endpoint(connection, "orders")
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    for back in range(3, 90):
        await minute(connection, endpoint_id, hour - timedelta(hours=back, minutes=-7), 100, 0)
    await minute(connection, endpoint_id, hour - timedelta(hours=2, minutes=-20), 20, 60)
    await minute(connection, endpoint_id, hour - timedelta(hours=2, minutes=-21), 10, 10)
    found = await get(client, "/anomalies")
    assert {name: found[name] for name in found if name not in {"items", "generated_at"}} == {
        "total_anomalies": 2,
        "critical_anomalies": 2,
        "warning_anomalies": 0,
        "recent_anomalies_count": 2,
        "affected_operations": ["orders"],
        "days": 7,
        "cache_hit": False,
    }
    quiet, failing = found["items"]
    assert (failing["webhook_id"], failing["webhook_name"]) == (endpoint_id, "orders")
    assert (failing["metric"], failing["severity"], failing["value"]) == ("failure_rate", "CRITICAL", 0.7)
    assert datetime.fromisoformat(failing["started_at"]) == hour - timedelta(hours=2)
    assert (quiet["metric"], quiet["value"], quiet["expected"]) == ("volume_low", 0.0, 100.0)
    assert (await get(client, "/anomalies", days=1))["days"] == 1


async def test_everything_at_once_is_the_parts(client, connection):
    await some_endpoints(connection)
    found = await get(client)
    assert found["cache_hit"] is False
    for part in ("overview", "performance", "anomalies"):
        alone = await get(client, f"/{part}")
        assert alone["cache_hit"] is True
        assert found[part] == {name: alone[name] for name in found[part]}
        assert found["generated_at"] <= alone["generated_at"]
    assert found["webhooks"] == (await get(client, "/webhooks"))["webhooks"]
    again = await get(client)
    assert again["cache_hit"] is True
    assert again | {"cache_hit": False} == found


async def test_answers_are_kept_for_seconds_and_by_tenant(client, served, connection):
    assert (await get(client, "/overview"))["cache_hit"] is False
    await endpoint(connection, "later")
    assert (await get(client, "/overview"))["active_webhooks"] == 0
    assert served.cache.lifetimes == {"1:overview": 5.0}
    other_id = await served.tenant("other")
    headers = {"Authorization": f"Bearer {await served.key(other_id)}"}
    await endpoint(connection, "theirs", tenant_id=other_id)
    for path, read in (
        ("/overview", lambda found: found["active_webhooks"]),
        ("/webhooks", lambda found: [one["name"] for one in found["items"]]),
    ):
        mine = read(await get(client, path))
        theirs = read((await client.get(PREFIX + path, headers=headers)).json())
        assert (mine, theirs) in ((0, 1), (["later"], ["theirs"]))


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/performance", {"minutes": 0}),
        ("/performance", {"minutes": 1_441}),
        ("/webhooks", {"limit": 0}),
        ("/webhooks", {"limit": 501}),
        ("/anomalies", {"days": 31}),
        ("/anomalies", {"days": "x"}),
    ],
)
async def test_wrong_parameters_are_refused(client, path, params):
    assert (await client.get(PREFIX + path, params=params)).status_code == 422


@pytest.mark.parametrize("path", ["", "/overview", "/performance", "/webhooks", "/anomalies"])
async def test_a_key_with_the_scope_read_is_needed(client, served, path):
    answer = await client.get(PREFIX + path, headers={"Authorization": "Bearer nope"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    ingest = await served.key(1, "ingest")
    assert (await client.get(PREFIX + path, headers={"Authorization": f"Bearer {ingest}"})).status_code == 403


async def test_c_the_limit_is_the_setting_and_not_the_port_of_redis(dsn):
    """The original took the port of Redis for the limit: 6,379 a minute, or one."""
    async with serving(dsn, rate_limit_requests=3, redis_url="redis://127.0.0.1:6379/0") as served:
        headers = {"Authorization": f"Bearer {await served.key()}"}
        async with httpx.AsyncClient(base_url=served.url, headers=headers) as client:
            answers = [await client.get("/api/v1/dashboard/overview") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert answers[-1].json()["detail"] == "Rate limit exceeded"


async def test_deep_health_counts_endpoints_and_connections(served, connection):
    await some_endpoints(connection)
    await endpoint(connection, "theirs", tenant_id=await served.tenant("other"), deliveries=7, health="failing")
    async with served.watching(await served.key(), "alerts"), httpx.AsyncClient(base_url=served.url) as client:
        found = (await client.get("/health/deep")).json()
    assert found["webhooks"] | {"latency_ms": 0} == {
        "status": "healthy",
        "latency_ms": 0,
        "active": 5,
        "degraded": 3,
        "pending": 27,
    }
    assert found["connections"] == {"websocket": 1}


async def test_k_deep_health_asks_the_database(durable_cluster: DurableCluster):
    """The original said healthy without asking."""
    async with serving(durable_cluster.dsn) as served, httpx.AsyncClient(base_url=served.url) as client:
        assert (await client.get("/health/deep")).json()["webhooks"]["status"] == "healthy"
        durable_cluster.stop()
        found = (await client.get("/health/deep")).json()
        assert found["webhooks"]["status"] == "unhealthy"
        assert found["webhooks"]["reason"]
        durable_cluster.start()
        assert (await client.get("/health/deep")).json()["webhooks"]["status"] == "healthy"
