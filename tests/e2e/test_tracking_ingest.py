"""The tracking-ingest contract over HTTP (CONTRACTS part A): the six tests of its deployment document, and every refusal."""

import gzip
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from e2e_server import Server, cli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BATCH = "/api/tracking-ingest/batch"
KEY = "a-key-of-the-clicking-domain-5c1d9f27be"
ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT.parent / "shared/deployment-documents/tracking-ingest.md"


@pytest.fixture(scope="module")
def clicking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a product whose WEBHOOK_API_KEY is KEY."""
    running = Server(tmp_path_factory.mktemp("clicks") / "data", WEBHOOK_API_KEY=KEY).start()
    yield running
    assert running.stop() == 0, "".join(running.output[-40:])


@pytest.fixture
def api(clicking: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=clicking.url, headers={"X-API-Key": KEY}, timeout=15) as client:
        yield client


def query(server: Server, sql: str) -> list[tuple]:
    with psycopg.connect(server.cli("db", "url").strip()) as connection:
        connection.execute("select staging.auto_process_if_needed()")
        connection.commit()
        return connection.execute(sql).fetchall()


def test_health_check(clicking: Server) -> None:
    answer = httpx.get(clicking.url + "/api/tracking-ingest/health")
    told = answer.json()
    assert (answer.status_code, told["status"], told["service"]) == (200, "healthy", "tracking_ingest_api")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", told["timestamp"])
    assert told["version"]


def test_connection_test(api: httpx.Client) -> None:
    for body in (b"", b"anything", b"{}"):
        answer = api.post("/api/tracking-ingest/test", content=body)
        assert answer.status_code == 200
        assert {**answer.json(), "timestamp": ""} == {
            "success": True,
            "message": "API connection successful",
            "authenticated": True,
            "timestamp": "",
        }


@pytest.mark.parametrize("path", ["/api/tracking-ingest/test", BATCH])
@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"Authorization": "Bearer wrong"}])
def test_invalid_api_key(clicking: Server, path: str, headers: dict[str, str]) -> None:
    answer = httpx.post(clicking.url + path, json={"events": [{"tracking_id": "x"}]}, headers=headers)
    told = answer.json()
    assert answer.status_code == 401
    assert (told["success"], told["error"]) == (False, "Unauthorized")
    assert told["message"] == "Valid API key required in X-API-Key header"
    assert told["code"] == "unauthorized"
    assert told["request_id"] == answer.headers["x-request-id"]


def test_valid_batch(api: httpx.Client, clicking: Server) -> None:
    events = [
        {
            "tracking_id": "valid-1",
            "clicked_at": "2025-10-22T16:30:00+02:00",
            "ip_address": "192.168.1.1",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "referrer_url": "https://www.google.com/",
            "click_source": "newsletter",
            "session_id": "s-1",
            "metadata": {"position": 3},
        },
        {"tracking_id": "valid-2", "event_id": "e-1", "clicked_at": None, "ip_address": ""},
    ]
    told = api.post(BATCH, json={"events": events}).json()
    assert {**told, "timestamp": ""} == {
        "success": True,
        "message": "Processed 2 events",
        "results": {
            "total_events": 2,
            "successful": 2,
            "failed": 0,
            "duplicates": 0,
            "errors": [],
            "error_details": [],
        },
        "timestamp": "",
    }
    rows = query(
        clicking,
        "select tracking_id, clicked_at at time zone 'UTC', ip_address, referrer_url, session_id, click_source, metadata "
        "from link_clicks where tracking_id like 'valid-%' order by 1",
    )
    assert [str(value) for value in rows[0]] == [
        *("valid-1", "2025-10-22 14:30:00", "192.168.1.0", "https://www.google.com/", "s-1", "newsletter"),
        "{'position': 3}",
    ]
    assert (rows[1][2], rows[1][5]) == (None, "external_domain")


def test_minimal_event(api: httpx.Client, clicking: Server) -> None:
    answer = api.post(BATCH, json={"events": [{"tracking_id": "minimal"}]})
    assert (answer.status_code, answer.json()["results"]["successful"]) == (200, 1)
    assert query(clicking, "select count(*) from link_clicks where tracking_id = 'minimal'") == [(1,)]


INVALID = {
    "Missing required field: tracking_id": [{}, {"tracking_id": None}, {"tracking_id": ""}],
    "Invalid tracking_id format (must be string, max 100 chars)": [{"tracking_id": 7}, {"tracking_id": "x" * 101}],
    "Invalid clicked_at format (must be ISO 8601 datetime)": [
        {"tracking_id": "x", "clicked_at": value} for value in ("yesterday", 1_700_000_000, "1950-01-01", {})
    ],
    "Invalid metadata (must be JSON object)": [{"tracking_id": "x", "metadata": value} for value in ([], "a", 1)],
    "Invalid event (must be JSON object)": [7, "x", []],
    **{
        f"Invalid {name} (must be string, max {limit} chars)": [
            {"tracking_id": "x", name: "y" * (limit + 1)},
            {"tracking_id": "x", name: 5},
        ]
        for name, limit in (
            *(("ip_address", 45), ("user_agent", 500), ("referrer_url", 1000), ("click_source", 50)),
            *(("session_id", 100), ("event_id", 128)),
        )
    },
}


@pytest.mark.parametrize("sentence", INVALID)
def test_invalid_batch(api: httpx.Client, clicking: Server, sentence: str) -> None:
    bad = INVALID[sentence]
    answer = api.post(BATCH, json={"events": bad})
    told = answer.json()
    assert (answer.status_code, told["success"], told["error"]) == (400, False, "Validation Failed")
    assert (told["code"], told["request_id"]) == ("validation_failed", answer.headers["x-request-id"])
    assert told["validation_errors"] == [f"Event {number}: {sentence}" for number in range(1, len(bad) + 1)]
    mixed = api.post(BATCH, json={"events": [{"tracking_id": f"good {sentence}"[:100]}, bad[0]]})
    told = mixed.json()
    assert (mixed.status_code, told["success"]) == (207, False)
    assert "1 of 2" in told["warning"]
    assert told["results"]["errors"] == [f"Event 2: {sentence}"]
    assert told["results"]["error_details"][0]["index"] == 1
    assert told["results"]["error_details"][0]["message"] == sentence
    kept = query(clicking, f"select count(*) from staging.rejected where reason = '{sentence}'")
    assert kept == [(len(bad) + 1,)]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "Request body must be JSON"),
        (b"not json", "Request body must be JSON"),
        (b"{}", "Request body must be JSON"),
        (b"[]", "Request body must be JSON"),
        (b'{"event": []}', "Missing required field: events (array)"),
        (b'{"events": {}}', 'Field "events" must be an array'),
        (b'{"events": null}', 'Field "events" must be an array'),
        (b'{"events": []}', "Events array cannot be empty"),
        (b'{"events": [' + b",".join([b"{}"] * 1001) + b"]}", "Batch size too large (max 1000 events per request)"),
    ],
)
def test_a_body_that_is_no_batch(api: httpx.Client, body: bytes, sentence: str) -> None:
    answer = api.post(BATCH, content=body, headers={"Content-Type": "application/json"})
    told = answer.json()
    assert (answer.status_code, told["success"], told["error"], told["message"]) == (
        400,
        False,
        "Bad Request",
        sentence,
    )


def test_other_refusals_keep_the_shape(api: httpx.Client, clicking: Server) -> None:
    plain = api.post(BATCH, content=b"{}", headers={"Content-Type": "text/plain"})
    large = api.post(BATCH, content=b" " * 5_000_001, headers={"Content-Type": "application/json"})
    get = api.get(BATCH)
    reader = clicking.key("default", "read")
    forbidden = httpx.post(clicking.url + BATCH, json={"events": [{}]}, headers={"X-API-Key": reader})
    for answer, status in ((plain, 415), (large, 413), (get, 405), (forbidden, 403)):
        assert answer.status_code == status
        assert {"success", "error", "message", "code", "request_id"} <= answer.json().keys()


def test_compressed_batches_are_read(api: httpx.Client) -> None:
    body = gzip.compress(json.dumps({"events": [{"tracking_id": "zip"}] * 3}).encode())
    answer = api.post(BATCH, content=body, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["results"]["successful"]) == (200, 3)


def test_a_click_is_counted_once(api: httpx.Client, clicking: Server) -> None:
    timed = {"tracking_id": "once", "clicked_at": "2026-05-01T10:00:00Z", "ip_address": "198.51.100.7"}
    same_moment = {**timed, "clicked_at": "2026-05-01T12:00:00+02:00"}
    named = {"tracking_id": "once", "event_id": "n-1"}
    first = api.post(BATCH, json={"events": [timed, same_moment, named, named]}).json()["results"]
    assert (first["successful"], first["duplicates"]) == (2, 2)
    second = api.post(BATCH, json={"events": [timed, named, {**timed, "ip_address": "198.51.100.8"}]}).json()["results"]
    assert (second["successful"], second["duplicates"]) == (3, 0)
    assert query(clicking, "select count(*) from link_clicks where tracking_id = 'once'") == [(3,)]
    for _ in range(20):
        api.post(BATCH, json={"events": [{"tracking_id": "storm", "event_id": "s"}] * 50})
    assert query(clicking, "select count(*) from link_clicks where tracking_id = 'storm'") == [(1,)]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    ["tracking_id", "clicked_at", "ip_address", "user_agent", "metadata", "event_id", "session_id"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(fields, anything) | anything, min_size=1, max_size=5))
def test_nothing_that_is_sent_breaks_it(api: httpx.Client, events: list[object]) -> None:
    answer = api.post(BATCH, content=json.dumps({"events": events}), headers={"Content-Type": "application/json"})
    assert answer.status_code in {200, 207, 400}


@pytest.mark.skipif(not DOCUMENT.exists(), reason="the deployment documents (../shared) are not on this machine")
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_the_curl_lines_of_the_document_work(clicking: Server) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    commands = [
        block
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
        if "curl " in block and "watch" not in block
    ]
    assert len(commands) == 3
    for command in commands:
        ours = re.sub(r"https://[\w.-]+\.ondigitalocean\.app", clicking.url, command).replace("YOUR_API_KEY_HERE", KEY)
        done = subprocess.run(
            ["bash", "-c", ours], capture_output=True, text=True, timeout=30, check=False, env={**os.environ}
        )
        told = json.loads(done.stdout)
        assert told.get("success", told.get("status") == "healthy"), done.stdout
    rows = query(clicking, "SELECT * FROM link_clicks WHERE tracking_id = 'test-deployment-123';")
    assert len(rows) == 1


@pytest.mark.skipif(not DOCUMENT.exists(), reason="the deployment documents (../shared) are not on this machine")
def test_the_sql_lines_of_the_document_work_in_psql(clicking: Server) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    statements = re.findall(r"^SELECT.*?;", text, re.DOTALL | re.MULTILINE)
    assert len(statements) == 2
    for statement in statements:
        shown = cli("db", "psql", "--data-dir", str(clicking.data_dir), "--", "-c", statement, env=clicking.env)
        assert "tracking_id" in shown
        assert "row" in shown


def test_the_template_is_a_batch_that_is_taken(api: httpx.Client) -> None:
    template = json.loads((ROOT / "docs/api/tracking-ingest-request-template.json").read_text(encoding="utf-8"))
    answer = api.post(BATCH, json=template)
    assert (answer.status_code, answer.json()["results"]["failed"]) == (200, 0)


def test_the_script_for_deployments_reports_six_of_six(clicking: Server) -> None:
    script = ROOT / "deploy/test_tracking_ingest.py"
    done = subprocess.run(
        ["python3", str(script), clicking.url, KEY], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = ("Health Check", "Connection Test", "Invalid API Key", "Valid Batch", "Invalid Batch", "Minimal Event")
    assert [line for line in done.stdout.splitlines() if line.startswith("✅")] == [
        f"✅ PASS: {name}" for name in names
    ]
    assert "Total: 6/6 tests passed" in done.stdout
    wrong = subprocess.run(
        ["python3", str(script), clicking.url, "no-key"], capture_output=True, text=True, timeout=30, check=False
    )
    assert wrong.returncode == 1
    assert "❌ FAIL: Valid Batch" in wrong.stdout
