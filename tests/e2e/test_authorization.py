"""Every operation of openapi.json asks who calls; nothing is open that is not meant to be."""

import json
import re
import time
from pathlib import Path

import httpx
import pytest

DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())
OPEN = (
    *("/health", "/metrics", "/t.js", "/api/v1/auth/token", "/api/tracking-ingest/health"),
    *("/webhook", "/oauth/callback"),
    *("/api/auth/signup", "/api/auth/signin", "/api/auth/forgot-password", "/api/auth/reset-password"),
    *("/api/auth/verify-email", "/api/auth/invitation"),
)
"""Deliveries of other systems, which are signed; the way back from a sign-in, whose state serves once; and what lets people
in, by password or link."""
PEOPLE = ("/api/v1/account", "/api/auth")
"""Only for people, by a session or (those below /api/auth) a key of theirs."""
CONNECTORS = ("/api/connectors", "/api/sync")
"""Need the scope connectors."""
PERSONAL = ("/api/tasks", "/api/{user_id}/", "/api/chat", "/api/conversations")
"""Belong to people: a key, which is nobody, gets nothing whatever its scope."""
MANAGED = (
    *("/api/v1/links", "/api/v1/domains", "/api/v1/campaigns", "/api/v1/tags"),
    *("/api/v1/webhooks", "/api/v1/deliveries", "/api/v1/dashboard", "/api/v1/alerts", "/api/v1/cache"),
    "/api/v1/task-rules",
)
"""Read with the scope read, changed with admin."""
GUARDED = [
    (method.upper(), path) for path, item in DOCUMENT["paths"].items() if not path.startswith(OPEN) for method in item
]


CLIENT = httpx.Client(timeout=15)
"""For all calls: reading the certificates of the world anew takes longer than a call."""


def call(server, method: str, path: str, **headers: str) -> httpx.Response:
    body = {"page_url": "/", "kind": "a.b", "events": []} if method in {"POST", "PUT", "PATCH"} else None
    return CLIENT.request(method, server.url + re.sub(r"\{\w+\}", "1", path), headers=headers, json=body)


@pytest.fixture(scope="session")
def weak_keys(server) -> dict[str, str]:
    """Return keys that may do one thing only."""
    server.cli("tenant", "create", "weak")
    return {scope: server.key("weak", scope) for scope in ("ingest", "read", "tasks")}


@pytest.fixture(scope="session")
def public_key(server) -> str:
    """Return a key for the pages of https://shop.example."""
    made = server.cli("key", "create", "--tenant", "default", "--public", "--origin", "https://shop.example", "--json")
    return json.loads(made)["key"]


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize("credential", [None, "nonsense", "ms_live_" + "x" * 43, "eyJhbGciOiJub25lIn0.e30."])
def test_nobody_gets_in_without_credentials(server, method, path, credential):
    headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
    answer = call(server, method, path, **headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"


def _usual(method: str, path: str) -> set[str]:
    if path.startswith((*CONNECTORS, *PERSONAL, *PEOPLE)):
        return set()
    return ({"read"} if method == "GET" else set()) if path.startswith(MANAGED) else {"ingest"}


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_a_key_does_only_what_its_scopes_say(server, weak_keys, method, path):
    answers = {scope: call(server, method, path, Authorization=f"Bearer {key}") for scope, key in weak_keys.items()}
    allowed = {scope for scope, answer in answers.items() if answer.status_code != 403}
    expected = {
        "/api/v1/keys": set(),
        "/api/v1/keys/{key_id}": set(),
        "/api/v1/invitations": set(),
        "/api/v1/invitations/{invitation_id}": set(),
        "/api/v1/invitations/{invitation_id}/resend": set(),
        "/api/v1/users": set(),
        "/api/v1/users/{user_id}": set(),
        "/api/v1/subjects/lookup": set(),
        "/api/v1/subjects/{subject_id}/export": set(),
        "/api/v1/subjects/{subject_id}/erase": set(),
        "/api/v1/me": {"ingest", "read", "tasks"},
        "/api/v1/tools": {"ingest", "read", "tasks"},
        "/api/v1/tools/{name}": {"ingest", "read", "tasks"},
        "/api/v1/assistant/calls": set(),
        "/api/v1/assistant/usage": set(),
        "/api/v1/track/status": {"read"},
        "/api/v1/track/dashboard": {"read"},
        "/api/v1/site/overview": {"read"},
        "/api/v1/site/breakdown": {"read"},
        "/api/link-tracking/lookup/{tracking_id}": {"ingest", "read"},
        "/api/link-tracking/analytics/{tracking_id}": {"read"},
        "/api/link-tracking/create": set(),
        "/api/link-tracking/deactivate/{tracking_id}": set(),
    }.get(path, _usual(method, path))
    assert allowed == expected
    assert all(answer.json()["code"] == "forbidden" for scope, answer in answers.items() if scope not in allowed)


def test_another_tenants_key_can_neither_be_seen_nor_revoked(server, admin_key, key):
    mine = httpx.get(server.url + "/api/v1/keys", headers={"Authorization": f"Bearer {admin_key}"}).json()
    assert all(key[:12] != item["prefix"] for item in mine["items"])
    theirs = json.loads(server.cli("key", "list", "--tenant", "one_spa", "--json"))
    foreign = next(item["id"] for item in theirs if item["prefix"] == key[:12])
    answer = httpx.delete(f"{server.url}/api/v1/keys/{foreign}", headers={"Authorization": f"Bearer {admin_key}"})
    missing = httpx.delete(f"{server.url}/api/v1/keys/999999999", headers={"Authorization": f"Bearer {admin_key}"})
    assert (answer.status_code, missing.status_code) == (404, 404)
    assert call(server, "POST", "/api/v1/track/async", Authorization=f"Bearer {key}").status_code == 200


def test_a_revoked_key_stops_within_five_seconds(server):
    made = json.loads(server.cli("key", "create", "--tenant", "default", "--scope", "ingest", "--json"))
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert call(server, "POST", "/api/v1/track/async", **headers).status_code == 200
    server.cli("key", "revoke", str(made["id"]), "--tenant", "default")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if call(server, "POST", "/api/v1/track/async", **headers).status_code == 401:
            return
    pytest.fail("the revoked key still works after five seconds")


class TestPublicKeys:
    """What browsers hold: it can send events from its pages, and nothing else."""

    def test_it_sends_from_its_own_pages(self, server, public_key):
        body = json.dumps({"write_key": public_key, "events": [{"page_url": "https://shop.example/"}]})
        headers = {"Origin": "https://shop.example", "Content-Type": "text/plain"}
        answer = httpx.post(server.url + "/api/v1/track/bulk", content=body, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"

    @pytest.mark.parametrize("origin", ["https://evil.example", "http://shop.example", "null", None])
    def test_it_does_not_send_from_others(self, server, public_key, origin):
        headers = {"Authorization": f"Bearer {public_key}", **({"Origin": origin} if origin else {})}
        assert call(server, "POST", "/api/v1/track/async", **headers).status_code == 403

    def test_it_reads_nothing(self, server, public_key):
        headers = {"Authorization": f"Bearer {public_key}", "Origin": "https://shop.example"}
        assert call(server, "GET", "/api/v1/track/status", **headers).status_code == 403

    def test_a_secret_key_has_no_place_in_a_body(self, server, key):
        body = {"write_key": key, "page_url": "/"}
        assert httpx.post(server.url + "/api/v1/track", json=body).status_code == 401

    def test_a_preflight_is_answered(self, server):
        headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        answer = httpx.options(server.url + "/api/v1/track", headers=headers)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-credentials" not in answer.headers
