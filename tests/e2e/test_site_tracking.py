"""CONTRACTS part B over HTTP, against the running product."""

import gzip
import json
import shlex
import subprocess
from uuid import uuid4

import httpx
import pytest
from e2e_server import Server

CUSTOMER = {"X-Customer-ID": "one_spa"}


def rows(client: httpx.Client, limit: int = 100) -> list[dict]:
    return client.get("/api/v1/track/dashboard", params={"limit": limit}).json()["events"]


def row_of(client: httpx.Client, event_id: str) -> dict:
    return next(row for row in rows(client) if row["event_id"] == event_id)


def test_a_tracked_event_is_through_the_pipeline_when_it_is_answered(client):
    event_id = f"e-{uuid4()}"
    answer = client.post(
        "/api/v1/track",
        headers=CUSTOMER,
        json={"page_url": "http://localhost/test", "event_type": "test_event", "event_id": event_id},
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body | {"timestamp": ""} == {
        "success": True,
        "message": "Event tracked successfully",
        "event_id": event_id,
        "timestamp": "",
        "processing": "automatic",
        "status": "processed",
    }
    row = row_of(client, event_id)
    assert row["raw_event_type"] == "test_event"
    assert (row["staging_status"], row["business_status"]) == ("PROCESSED", "✅ Complete Pipeline")
    assert row["page_url"] == "http://localhost/test"


def test_the_same_event_id_is_never_counted_twice(client):
    before = client.get("/api/v1/track/dashboard").json()["summary"]
    event = {"page_url": "http://localhost/once", "event_id": f"e-{uuid4()}"}
    answers = [client.post("/api/v1/track", json=event).json()["status"] for _ in range(3)]
    assert answers == ["processed", "duplicate", "duplicate"]
    after = client.get("/api/v1/track/dashboard").json()["summary"]
    assert after["total_events"] - before["total_events"] == 1
    assert after["duplicates"] - before["duplicates"] == 2


def test_an_async_event_is_answered_before_it_is_loaded_and_loaded_soon(client):
    event_id = f"e-{uuid4()}"
    body = client.post("/api/v1/track/async", json={"page_url": "http://localhost/a", "event_id": event_id}).json()
    assert (body["processing"], body["status"]) == ("background", "accepted")
    done = client.post("/api/v1/track/process").json()
    assert done["status"] == "success"
    assert done["message"] == "Processing triggered successfully"
    assert {"total_processed", "raw_to_staging_count", "staging_to_business_count", "processing_summary"} <= set(
        done["result"]["results"]
    )
    assert row_of(client, event_id)["business_status"] == "✅ Complete Pipeline"


def test_a_bulk_with_bad_events_keeps_the_good_ones(client):
    good = [{"page_url": f"http://localhost/{n}", "event_id": f"b-{uuid4()}"} for n in range(3)]
    answer = client.post(
        "/api/v1/track/bulk", json={"batch_id": "b1", "events": [good[0], {"page_url": 7}, *good[1:], "x"]}
    )
    assert answer.status_code == 207
    body = answer.json()
    assert (body["success"], body["batch_id"]) == (False, "b1")
    assert (body["events_processed"], body["events_failed"]) == (3, 2)
    assert [result["success"] for result in body["results"]] == [True, False, True, True, False]
    assert body["results"][1]["field"] == "page_url"
    client.post("/api/v1/track/process")
    stored = {row["event_id"] for row in rows(client)}
    assert {event["event_id"] for event in good} <= stored


def test_a_bulk_of_bad_events_only_is_refused(client):
    answer = client.post("/api/v1/track/bulk", json={"events": [{}, {"event_data": []}]})
    assert answer.status_code == 422
    assert answer.json()["events_failed"] == 2


def test_a_compressed_bulk_is_read(client):
    body = gzip.compress(json.dumps({"events": [{"page_url": "http://localhost/z"}]}).encode())
    answer = client.post("/api/v1/track/bulk", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 200


def test_status_and_dashboard_have_the_contracts_fields(client):
    client.post("/api/v1/track", json={"page_url": "http://localhost/s", "event_data": {"session_id": "s1"}})
    status = client.get("/api/v1/track/status", headers=CUSTOMER).json()
    assert status["status"] == "success"
    assert 1 <= len(status["recent_events"]) <= 10
    assert status["timestamp"].endswith("Z")
    assert isinstance(status["pipeline_status"], dict)
    dashboard = client.get("/api/v1/track/dashboard?limit=5", headers=CUSTOMER).json()
    assert {
        "total_events",
        "processed_to_staging",
        "processed_to_business",
        "latest_event",
        "rejected",
        "duplicates",
        "error_rate",
        "processing_latency_ms",
        "events_per_minute",
    } <= set(dashboard["summary"])
    assert set(dashboard["summary"]["processing_latency_ms"]) == {"p50", "p95", "p99"}
    assert len(dashboard["events"]) <= 5
    assert {
        "event_id",
        "raw_event_id",
        "raw_event_type",
        "page_url",
        "session_id",
        "raw_load_date",
        "staging_status",
        "business_status",
        "processing_ms",
        "error_message",
    } <= set(dashboard["events"][0])
    assert dashboard["events"][0]["session_id"] == "s1"


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "Missing or invalid Authorization header"),
        ({"Authorization": "Bearer"}, "Missing or invalid Authorization header"),
        ({"Authorization": "Bearer ovt_prod_YOUR_API_KEY_HERE"}, "Invalid API token"),
        ({"X-API-Key": "nonsense"}, "Invalid API token"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/track"), ("GET", "/api/v1/track/status")])
def test_no_key_no_entry(server, headers, detail, method, path):
    answer = httpx.request(method, server.url + path, headers=headers, json={} if method == "POST" else None)
    assert answer.status_code == 401
    assert answer.json()["detail"] == detail
    assert {"code", "request_id"} <= set(answer.json())
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/track"), ("GET", "/api/v1/track/dashboard")])
def test_a_foreign_customer_is_refused(client, method, path):
    answer = client.request(
        method, path, headers={"X-Customer-ID": "default"}, json={"page_url": "/"} if method == "POST" else None
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("form", ["bearer", "x-api-key", "basic"])
def test_a_key_is_taken_in_every_usual_form(server, key, form):
    auth = {"basic": (key, "")}.get(form)
    headers = {"bearer": {"Authorization": f"Bearer {key}"}, "x-api-key": {"X-API-Key": key}}.get(form, {})
    answer = httpx.post(server.url + "/api/v1/track/async", json={"page_url": "/"}, headers=headers, auth=auth)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "code", "field"),
    [
        (b"{", 400, "bad_request", None),
        (b"", 400, "bad_request", None),
        (b"[" * 5000, 400, "bad_request", None),
        (b"[]", 422, "invalid_field", None),
        (b"{}", 422, "missing_field", "page_url"),
        (b'{"page_url":"/","event_data":' + b"[" * 70 + b"]" * 70 + b"}", 400, "bad_request", None),
        (b'{"page_url":"' + b"x" * 70_000 + b'"}', 413, "payload_too_large", None),
        (b"x" * 5_000_001, 413, "payload_too_large", None),
    ],
)
def test_bad_bodies_get_a_clear_answer(client, content, status, code, field):
    answer = client.post("/api/v1/track", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_any_text_can_be_sent_and_read_back(client):
    nasty = "NUL \\u0000 lone \\ud800 half, 🎉, \\u2028 <script>, 'quote'; drop table"
    event_id = f"n-{uuid4()}"
    content = f'{{"page_url":"http://localhost/ü?q={nasty}","event_id":"{event_id}","event_data":{{"t":"{nasty}"}}}}'
    assert client.post("/api/v1/track", content=content.encode()).json()["status"] == "processed"
    assert row_of(client, event_id)["staging_status"] == "PROCESSED"


def test_other_methods_are_told_what_to_do(client):
    answer = client.get("/api/v1/track")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_custom_events_are_kept_as_they_came(client):
    one = client.post("/api/v1/events", json={"kind": "order.paid", "data": {"total": "12.30"}, "message_id": "o1"})
    assert (one.status_code, one.json()["event_id"], one.json()["status"]) == (202, "o1", "accepted")
    many = client.post("/api/v1/events/batch", json={"events": [{"kind": "order.paid"}, {"kind": "bad"}]})
    assert many.status_code == 207
    assert many.json()["results"][1]["code"] == "invalid_kind"


def test_the_documents_curl_lines_work_as_written(server: Server, key: str):
    document = """curl -X POST "http://localhost:8000/api/v1/track" \
  -H "X-Customer-ID: one_spa" \
  -H "Authorization: Bearer ovt_prod_YOUR_API_KEY_HERE" \
  -H "Content-Type: application/json" \
  -d '{
    "page_url": "http://localhost/test",
    "event_type": "test_event",
    "event_data": {"test": true}
  }'"""
    line = document.replace("http://localhost:8000", server.url).replace("ovt_prod_YOUR_API_KEY_HERE", key)
    done = subprocess.run([*shlex.split(line), "--silent"], capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout)["status"] == "processed"


def test_two_tenants_with_the_same_visitor_never_meet(server: Server, client: httpx.Client):
    server.cli("tenant", "create", "other_spa")
    other = {"Authorization": f"Bearer {server.key('other_spa')}"}
    event = {"page_url": "http://localhost/same", "user_id": "u1", "session_id": "s1", "event_id": "same-id"}
    assert client.post("/api/v1/track", json=event).json()["status"] == "processed"
    theirs = httpx.post(server.url + "/api/v1/track", json=event, headers=other).json()
    assert theirs["status"] == "processed"
    dashboard = httpx.get(server.url + "/api/v1/track/dashboard", headers=other).json()
    assert dashboard["summary"]["total_events"] == 1
    assert [row["event_id"] for row in dashboard["events"]] == ["same-id"]
