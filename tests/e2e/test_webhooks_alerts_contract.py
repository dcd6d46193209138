"""Every row of the contract of webhooks, alerts, cache and the live dashboard answers, with a key and with a token."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from websockets.sync.client import connect

WEBHOOK = set(
    """id uid name url events is_active active description health_status total_deliveries successful_deliveries
    failed_deliveries success_rate_percent avg_response_time_ms consecutive_failures disabled_reason created_at
    updated_at""".split()
)
ALERT = set(
    """id webhook_id alert_type severity message status delivery_status acknowledged acknowledged_at acknowledged_by notes
    created_at resolved_at""".split()
)
PAGE = {"items", "total", "page", "page_size", "pages"}
SUMMARY = set(
    """total_alerts pending_alerts acknowledged_alerts failed_alerts critical_count warning_count info_count
    avg_pending_hours oldest_pending_alert""".split()
)
STATS = set(
    """hit_rate hit_rate_percent cache_hits cache_misses hits misses total_requests size current_size_bytes cache_type
    max_size ttl_seconds l1 l2""".split()
)
OVERVIEW = set(
    """total_deliveries pending_deliveries failed_deliveries success_rate_percent active_webhooks degraded_webhooks
    updated_at""".split()
)
PERFORMANCE = set(
    """p50_latency_ms p95_latency_ms p99_latency_ms error_rate_percent cache_hit_rate_percent
    average_response_time_ms""".split()
)
DELIVERY = set(
    "id webhook_id event_kind status attempts last_status_code next_attempt_at created_at delivered_at".split()
)
API = "/api/v1"
PASSWORD = "a long password of this test"


@pytest.fixture(scope="module", params=["key", "token"])
def hub(request, server) -> Iterator[httpx.Client]:
    tenant = f"contract-c-{request.param}"
    server.cli("tenant", "create", tenant)
    credential = server.key(tenant, "admin")
    if request.param == "token":
        email = f"owner@{tenant}.example.com"
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(server.env, "MAINSTEM_PASSWORD", PASSWORD)
            server.cli("user", "create", email, "--tenant", tenant, "--role", "owner")
        form = {"username": email, "password": PASSWORD}
        credential = httpx.post(f"{server.url}{API}/auth/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {credential}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=20) as client:
        yield client


def good(answer: httpx.Response, status: int = 200) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["x-request-id"]
    assert answer.headers["x-response-time"].endswith("ms")
    return answer.json() if answer.content else {}


def test_webhooks(hub: httpx.Client):
    assert good(hub.get(f"{API}/webhooks"))["items"] == []
    body = {"name": "test-webhook", "url": "https://example.com/webhook", "is_active": False, "timeout_seconds": 1}
    made = good(hub.post(f"{API}/webhooks", json=body), 201)
    assert made.keys() >= WEBHOOK | {"secret"}
    assert made["secret"].startswith("whsec_")
    assert (made["is_active"], made["active"], made["events"]) == (False, False, ["*"])
    page = good(hub.get(f"{API}/webhooks?page=1&page_size=20"))
    assert page.keys() >= PAGE | {"webhooks"}
    assert [one["id"] for one in page["webhooks"]] == [made["id"]]
    own = f"{API}/webhooks/{made['id']}"
    assert "secret" not in good(hub.get(own))
    changed = good(hub.put(own, json={"description": "for the shop"}))
    assert (changed["description"], changed["name"]) == ("for the shop", "test-webhook")
    good(hub.post(f"{own}/test"))
    assert good(hub.post(f"{own}/rotate-secret"))["secret"].startswith("whsec_")
    assert good(hub.post(f"{own}/enable"))["is_active"] is True
    window = {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat(), "until": datetime.now(UTC).isoformat()}
    recover = hub.post(f"{own}/recover", json=window)
    assert recover.status_code in {200, 202}, recover.text
    deliveries = good(hub.get(f"{own}/deliveries"))
    assert deliveries["total"] == len(deliveries["items"]) == 1
    assert deliveries["items"][0].keys() >= DELIVERY
    good(hub.post(f"{API}/deliveries/{deliveries['items'][0]['id']}/resend"))
    assert hub.delete(own).status_code == 204
    gone = hub.get(own)
    assert (gone.status_code, gone.json()["detail"]) == (404, f"Webhook {made['id']} not found")


def test_alerts(hub: httpx.Client):
    body = {"alert_type": "stock", "severity": "CRITICAL", "message": "Two tables left.", "labels": {"site": "north"}}
    made = [good(hub.post(f"{API}/alerts", json={**body, "labels": {"n": str(n)}}), 201) for n in range(3)]
    assert all(one.keys() >= ALERT for one in made)
    page = good(hub.get(f"{API}/alerts?page=1&page_size=2&severity_filter=CRITICAL"))
    assert page.keys() >= PAGE | {"alerts"}
    assert (len(page["items"]), page["total"]) == (2, 3)
    assert len(good(hub.get(f"{API}/alerts?limit=1&offset=1"))["items"]) == 1
    assert good(hub.get(f"{API}/alerts/{made[0]['id']}"))["message"] == body["message"]
    acknowledged = good(hub.post(f"{API}/alerts/{made[0]['id']}/ack", json={"notes": "seen"}))
    assert (acknowledged["acknowledged"], acknowledged["notes"]) == (True, "seen")
    assert acknowledged["acknowledged_by"]
    ids = [made[0]["id"], made[1]["id"], 987_654_321]
    many = good(hub.post(f"{API}/alerts/acknowledge", json={"alert_ids": ids}))
    # only one row really changed
    assert (many["status"], many["acknowledged_count"], many["alert_ids"]) == ("success", 1, ids)
    summary = good(hub.get(f"{API}/alerts/stats/summary"))
    assert summary.keys() >= SUMMARY
    assert (summary["total_alerts"], summary["critical_count"]) == (3, 3)
    assert hub.get(f"{API}/alerts/987654321").json()["detail"] == "Alert 987654321 not found"


def test_the_cache(hub: httpx.Client):
    stats = good(hub.get(f"{API}/cache/stats"))
    assert stats.keys() >= STATS
    assert 0 <= stats["hit_rate"] <= 1
    warmed = good(hub.post(f"{API}/cache/warm"))
    assert warmed.keys() >= {"status", "message", "warmed_entries", "warmed", "duration_ms"}
    assert warmed["warmed_entries"] >= 4
    assert good(hub.get(f"{API}/dashboard"))["cache_hit"] is True
    assert good(hub.post(f"{API}/cache/invalidate")).keys() >= {"status", "message", "invalidated"}
    assert good(hub.get(f"{API}/dashboard"))["cache_hit"] is False
    for name in ("alerts", "webhooks", "dashboard", "all"):
        assert hub.post(f"{API}/cache/invalidate/{name}").status_code == 204
    assert good(hub.post(f"{API}/cache/invalidate/pattern?pattern=dashboard:*"))["status"] == "success"
    assert hub.post(f"{API}/cache/invalidate/pattern?pattern=dashboard").status_code == 400


def test_the_dashboard(hub: httpx.Client):
    whole = good(hub.get(f"{API}/dashboard"))
    assert whole.keys() >= {"overview", "performance", "webhooks", "anomalies", "generated_at", "cache_hit"}
    assert good(hub.get(f"{API}/dashboard/overview")).keys() >= OVERVIEW
    assert good(hub.get(f"{API}/dashboard/performance")).keys() >= PERFORMANCE
    good(hub.get(f"{API}/dashboard/webhooks?limit=5"))
    good(hub.get(f"{API}/dashboard/anomalies?days=7"))
    deep = good(hub.get("/health/deep"))
    assert deep.keys() >= {"status", "service", "database", "cache", "webhooks", "connections"}
    assert deep["database"]["pool"].keys() >= {"size", "in_use", "max"}
    assert deep["cache"].keys() >= {"status", "hit_rate", "size"}
    assert deep["webhooks"].keys() >= {"active", "degraded", "pending"}


@pytest.mark.parametrize("path", ["/api/v1/ws/dashboard", "/ws/dashboard", "/api/v1/ws/alerts"])
def test_live(hub: httpx.Client, path: str):
    address = str(hub.base_url).replace("http", "ws", 1).rstrip("/")
    token = hub.headers["authorization"].removeprefix("Bearer ")
    with connect(f"{address}{path}?token={token}", open_timeout=10) as socket:

        def until(type_: str) -> dict:
            while (message := json.loads(socket.recv(timeout=10)))["type"] != type_:
                pass
            return message

        socket.send('{"action": "ping"}')
        until("pong")
        socket.send('{"action": "subscribe", "types": ["metrics", "alerts", "webhooks", "events"]}')
        until("subscription_confirmed")
        hub.post(f"{API}/alerts", json={"alert_type": path, "severity": "INFO", "message": "Live."})
        assert until("alert_new")["data"]["message"] == "Live."
        hub.post(f"{API}/events", json={"kind": "order.paid", "data": {"order": 7}})
        until("event")
        socket.send('{"action": "unsubscribe", "types": ["events"]}')
        until("unsubscribe_confirmed")
        socket.send('{"action": "dance"}')
        until("error")


def test_nothing_is_open(server):
    for method, path in (
        ("GET", "/webhooks"),
        ("POST", "/webhooks"),
        ("GET", "/alerts"),
        ("GET", "/cache/stats"),
        ("POST", "/cache/warm"),
        ("POST", "/cache/invalidate/all"),
        ("GET", "/dashboard"),
    ):
        answer = httpx.request(method, server.url + API + path, json={} if method == "POST" else None)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path


def test_the_sql_of_the_document(server):
    with psycopg.connect(server.database_url(), autocommit=True) as connection:
        for relation in (
            "webhook_health_metrics",
            "alert_delivery_queue",
            "v_webhook_health_dashboard",
            "v_degraded_webhooks",
            "v_webhook_performance",
        ):
            connection.execute(f"select * from {relation} limit 1")
        connection.execute("select * from get_ready_deliveries(10)")
        connection.execute("select * from count_pending_by_status()")
        connection.execute("select update_webhook_health(0, 200, 12, null)")
