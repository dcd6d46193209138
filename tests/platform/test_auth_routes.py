"""Sign-in and key routes over HTTP, and the check that every route stands behind."""

import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import asyncpg
import httpx
import pytest
from fastapi import Depends, FastAPI

from mainstem.platform import http, users
from mainstem.platform.auth import Authenticator, Caller, require
from mainstem.platform.auth_routes import SIGN_INS_PER_ADDRESS, router
from mainstem.platform.db import Pool
from mainstem.platform.keys import create_key
from mainstem.platform.limits import RateLimiter
from mainstem.platform.settings import Settings
from mainstem.platform.tenants import create_tenant

EMAIL = "ana@harbour.example"
PASSWORD = "correct horse battery"


def make_app(worker_pool: Pool, api_pool: Pool, folder: Path, **values: Any) -> FastAPI:
    """Build an application of these routes and one per scope."""
    settings = Settings(_env_file=None, data_dir=folder, secret_key="x1" * 20, **values)
    app = FastAPI()
    http.install(app, settings)
    app.include_router(router)
    for scope in ("ingest", "read", "admin", "connectors", "tasks"):

        def endpoint(caller: Annotated[Caller, Depends(require(scope))]) -> str:
            return caller.tenant

        app.get(f"/needs/{scope}")(endpoint)
    app.state.settings = settings
    app.state.authenticator = Authenticator(worker_pool, settings)
    app.state.limiter = RateLimiter(worker_pool)
    app.state.api_pool = api_pool
    return app


@pytest.fixture
async def app(worker_pool: Pool, api_pool: Pool, tmp_path: Path) -> FastAPI:
    return make_app(worker_pool, api_pool, tmp_path)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub.test") as client:
        yield client


@pytest.fixture
async def keys(connection: asyncpg.Connection) -> SimpleNamespace:
    """Return one key per scope, a public one, and an admin key of another tenant."""
    made = {
        scope: (await create_key(connection, 1, scopes=[scope])).key
        for scope in ("ingest", "read", "admin", "connectors", "tasks")
    }
    public = await create_key(connection, 1, kind="public", allowed_origins=["https://shop.example"])
    other = await create_tenant(connection, "other")
    foreign = await create_key(connection, other.id, scopes=["admin"])
    return SimpleNamespace(**made, public=public.key, foreign=foreign.key)


@pytest.fixture
async def ana(connection: asyncpg.Connection) -> users.User:
    return await users.create_user(connection, 1, EMAIL, PASSWORD, name="Ana", role="member")


def bearer(key: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", **headers}


async def test_sign_in_by_form_and_by_json(client: httpx.AsyncClient, ana: users.User) -> None:
    form = await client.post(
        "/api/v1/auth/token", data={"grant_type": "password", "username": EMAIL, "password": PASSWORD}
    )
    sent = await client.post("/api/v1/auth/token", json={"email": EMAIL.upper(), "password": PASSWORD})
    for answer in (form, sent):
        assert answer.status_code == 200
        body = answer.json()
        assert (body["token_type"], body["expires_in"]) == ("bearer", 86_400)
        assert body["user"] == {"id": str(ana.id), "email": EMAIL, "name": "Ana", "role": "member", "tenant": "default"}
        assert answer.headers["cache-control"] == "no-store"
        me = await client.get("/api/v1/me", headers=bearer(body["access_token"]))
        assert me.json() == {
            "tenant": "default",
            "scopes": ["ingest", "read", "tasks"],
            "key_id": None,
            "user_id": str(ana.id),
            "role": "member",
        }


async def test_wrong_password_and_unknown_email_look_the_same(client: httpx.AsyncClient, ana: users.User) -> None:
    answers = [
        await client.post("/api/v1/auth/token", json={"email": email, "password": password})
        for email, password in ((EMAIL, "wrong"), ("nobody@harbour.example", PASSWORD))
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    bodies = [{name: value for name, value in answer.json().items() if name != "request_id"} for answer in answers]
    assert bodies[0] == bodies[1]
    assert bodies[0]["detail"] == "Wrong e-mail or password."
    assert PASSWORD not in answers[1].text
    assert sorted(answers[0].headers) == sorted(answers[1].headers)


async def test_wrong_password_and_unknown_email_take_the_same_time(client: httpx.AsyncClient, ana: users.User) -> None:
    took: dict[str, list[float]] = {EMAIL: [], "nobody@harbour.example": []}
    for _ in range(5):
        for email, times in took.items():
            started = time.perf_counter()
            await client.post("/api/v1/auth/token", json={"email": email, "password": "wrong"})
            times.append(time.perf_counter() - started)
    known, unknown = (statistics.median(times) for times in took.values())
    assert 1 / 3 < known / unknown < 3


async def test_the_eleventh_failure_is_told_to_wait(client: httpx.AsyncClient, ana: users.User) -> None:
    for _ in range(10):
        assert (await client.post("/api/v1/auth/token", json={"email": EMAIL, "password": "no"})).status_code == 401
    answer = await client.post("/api/v1/auth/token", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 900


async def test_an_address_has_a_limit_of_attempts(client: httpx.AsyncClient, connection: asyncpg.Connection) -> None:
    for _ in range(SIGN_INS_PER_ADDRESS):
        assert (await client.post("/api/v1/auth/token", content=b"")).status_code == 415
    answer = await client.post(
        "/api/v1/auth/token", json={"email": EMAIL, "password": PASSWORD}, headers={"X-Forwarded-For": "198.51.100.1"}
    )
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["ratelimit-limit"] == str(SIGN_INS_PER_ADDRESS)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {"email": EMAIL}}, 422),
        ({"json": {"email": EMAIL, "password": ["x"]}}, 422),
        ({"json": []}, 422),
        ({"json": {"email": "", "password": "x"}}, 422),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"\xff\xfe", "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"username=%ff\xff", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400),
        ({"data": {"username": EMAIL}}, 422),
        ({"data": {f"f{n}": "x" for n in range(50)}}, 400),
        ({"content": b"x" * 20_000, "headers": {"content-type": "application/json"}}, 413),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415),
    ],
)
async def test_malformed_sign_ins(client: httpx.AsyncClient, sent: dict[str, Any], status: int) -> None:
    answer = await client.post("/api/v1/auth/token", **sent)
    assert answer.status_code == status
    assert answer.json()["code"]


SCOPES = ("ingest", "read", "admin", "connectors", "tasks")


@pytest.mark.parametrize("held", SCOPES)
async def test_each_scope_opens_its_own_door_and_admin_all(
    client: httpx.AsyncClient, keys: SimpleNamespace, held: str
) -> None:
    for needed in SCOPES:
        answer = await client.get(f"/needs/{needed}", headers=bearer(getattr(keys, held)))
        assert answer.status_code == (200 if held in {needed, "admin"} else 403), needed


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "Missing or invalid Authorization header"),
        ({"Authorization": "Bearer"}, "Missing or invalid Authorization header"),
        ({"Authorization": "Digest x"}, "Missing or invalid Authorization header"),
        ({"Authorization": "Bearer nonsense"}, "Invalid API token"),
        ({"X-API-Key": "nonsense"}, "Invalid API token"),
        ({"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}, "Invalid API token"),
    ],
)
async def test_without_valid_credentials(client: httpx.AsyncClient, headers: dict[str, str], detail: str) -> None:
    answer = await client.get("/needs/read", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["detail"] == detail
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_every_way_to_send_a_key(client: httpx.AsyncClient, keys: SimpleNamespace) -> None:
    assert (await client.get("/needs/read", headers=bearer(keys.read))).status_code == 200
    assert (await client.get("/needs/read", headers={"X-API-Key": keys.read})).status_code == 200
    assert (await client.get("/needs/read", auth=(keys.read, ""))).status_code == 200


async def test_the_tenant_header_must_name_the_keys_tenant(client: httpx.AsyncClient, keys: SimpleNamespace) -> None:
    for tenant, status in (("default", 200), ("other", 403), ("", 403), ("Default", 403)):
        answer = await client.get("/needs/read", headers=bearer(keys.read, **{"X-Customer-ID": tenant}))
        assert answer.status_code == status


async def test_a_public_key_ingests_from_its_origin_only(client: httpx.AsyncClient, keys: SimpleNamespace) -> None:
    home, evil = {"Origin": "https://shop.example"}, {"Origin": "https://evil.example"}
    assert (await client.get("/needs/ingest", headers=bearer(keys.public, **home))).status_code == 200
    assert (await client.get("/needs/ingest", headers=bearer(keys.public, **evil))).status_code == 403
    assert (await client.get("/needs/ingest", headers=bearer(keys.public))).status_code == 403
    for scope in ("read", "admin", "connectors", "tasks"):
        assert (await client.get(f"/needs/{scope}", headers=bearer(keys.public, **home))).status_code == 403


async def test_the_management_limit(worker_pool: Pool, api_pool: Pool, tmp_path: Path, keys: SimpleNamespace) -> None:
    app = make_app(worker_pool, api_pool, tmp_path, rate_limit_requests=5, rate_limit_window_seconds=3_600)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub.test") as client:
        answers = [await client.get("/needs/read", headers=bearer(keys.read)) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
        assert {answer.headers["ratelimit-limit"] for answer in answers} == {"5"}
        assert int(answers[5].headers["retry-after"]) >= 1
        changed = bearer(keys.read, **{"X-Forwarded-For": "198.51.100.7"})
        assert (await client.get("/api/v1/me", headers=changed)).status_code == 429
        assert (await client.get("/needs/ingest", headers=bearer(keys.ingest))).status_code == 200


async def test_a_keys_text_is_only_in_the_answer_that_makes_it(
    client: httpx.AsyncClient, keys: SimpleNamespace
) -> None:
    wish = {"label": "till", "scopes": ["read"]}
    made = await client.post("/api/v1/keys", json=wish, headers=bearer(keys.admin))
    assert made.status_code == 201
    body = made.json()
    assert body["key"].startswith("ms_live_")
    assert made.headers["cache-control"] == "no-store"
    listed = await client.get("/api/v1/keys", headers=bearer(keys.admin))
    assert body["key"] not in listed.text
    assert listed.json()["total"] == 7
    assert listed.json()["items"][0] == {name: value for name, value in body.items() if name != "key"}
    assert (await client.get("/needs/read", headers=bearer(body["key"]))).status_code == 200
    gone = await client.delete(f"/api/v1/keys/{body['id']}", headers=bearer(keys.admin))
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await client.get("/api/v1/keys", headers=bearer(keys.admin))).json()["total"] == 6
    revoked = await client.get("/api/v1/keys?revoked=true", headers=bearer(keys.admin))
    assert revoked.json()["items"][0]["revoked_at"] is not None


async def test_a_foreign_key_answers_like_a_missing_one(client: httpx.AsyncClient, keys: SimpleNamespace) -> None:
    mine = (await client.get("/api/v1/keys", headers=bearer(keys.admin))).json()["items"]
    foreign = await client.delete(f"/api/v1/keys/{mine[0]['id']}", headers=bearer(keys.foreign))
    missing = await client.delete("/api/v1/keys/999999", headers=bearer(keys.foreign))
    assert foreign.status_code == missing.status_code == 404
    assert [item["id"] for item in (await client.get("/api/v1/keys", headers=bearer(keys.admin))).json()["items"]] == [
        item["id"] for item in mine
    ]
    assert (await client.get("/api/v1/keys", headers=bearer(keys.foreign))).json()["total"] == 1


@pytest.mark.parametrize(
    "wish",
    [
        {"scopes": ["read"], "tenant_id": 2},
        {"scopes": ["root"]},
        {"scopes": []},
        {"kind": "public"},
        {"kind": "public", "allowed_origins": ["https://a.test"], "scopes": ["admin"]},
        {"scopes": ["read"], "label": "\0"},
    ],
)
async def test_wrong_wishes(client: httpx.AsyncClient, keys: SimpleNamespace, wish: dict[str, Any]) -> None:
    answer = await client.post("/api/v1/keys", json=wish, headers=bearer(keys.admin))
    assert answer.status_code == 422
    assert answer.json()["field"]


@pytest.mark.parametrize(
    "path", ["/api/v1/keys/99999999999999999999", "/api/v1/keys/-1", "/api/v1/keys/x", "/api/v1/keys/0"]
)
async def test_impossible_ids_are_no_server_error(client: httpx.AsyncClient, keys: SimpleNamespace, path: str) -> None:
    assert (await client.delete(path, headers=bearer(keys.admin))).status_code in {404, 422}


@pytest.mark.parametrize("held", ["ingest", "read", "connectors", "tasks"])
async def test_only_admins_manage_keys(client: httpx.AsyncClient, keys: SimpleNamespace, held: str) -> None:
    headers = bearer(getattr(keys, held))
    assert (await client.get("/api/v1/keys", headers=headers)).status_code == 403
    assert (await client.post("/api/v1/keys", json={"scopes": ["read"]}, headers=headers)).status_code == 403
    assert (await client.delete("/api/v1/keys/1", headers=headers)).status_code == 403
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 200


def test_openapi_names_the_ways_to_sign_in(app: FastAPI) -> None:
    document = app.openapi()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey", "basic", "password"}
    assert {"bearer": []} in document["paths"]["/api/v1/keys"]["get"]["security"]
    assert "security" not in document["paths"]["/api/v1/auth/token"]["post"]
    content = document["paths"]["/api/v1/auth/token"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "application/x-www-form-urlencoded"}
