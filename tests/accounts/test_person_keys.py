"""Keys that act for a person: who they are, what they may do at most, and when they end."""

from pathlib import Path

import asyncpg
import pytest
from accounts.living import PASSWORD, bearer, living

from mainstem.platform import users
from mainstem.platform.auth import Authenticator
from mainstem.platform.db import Pool
from mainstem.platform.errors import InvalidFieldError, NotFoundError
from mainstem.platform.keys import Scope, create_key
from mainstem.platform.settings import Settings
from mainstem.platform.tenants import create_tenant


def authenticator(pool: Pool, folder: Path) -> Authenticator:
    """Return one that remembers nothing yet."""
    return Authenticator(
        pool, Settings(_env_file=None, data_dir=folder, secret_key="k3-Vx9_quiet-harbour-lantern-Zp7w")
    )


async def person(connection: asyncpg.Connection, role: str, tenant_id: int = 1) -> users.User:
    return await users.create_user(connection, tenant_id, f"{role}@harbour.example", "correct horse", role=role)


@pytest.mark.parametrize(
    ("role", "scopes", "may"),
    [
        ("guest", ["tasks"], {"tasks"}),
        ("guest", ["admin"], {"tasks"}),
        ("guest", ["read"], set()),
        ("viewer", ["read", "tasks"], {"read"}),
        ("member", ["tasks"], {"tasks"}),
        ("owner", ["admin"], set(Scope)),
        ("owner", ["read"], {"read"}),
    ],
)
async def test_it_does_what_its_scopes_and_the_role_both_allow(  # noqa: PLR0917 - fixtures and cases
    connection: asyncpg.Connection, worker_pool: Pool, tmp_path: Path, role: str, scopes: list[str], may: set[str]
) -> None:
    user = await person(connection, role)
    made = await create_key(connection, 1, scopes=scopes, user_id=user.id)
    caller = await authenticator(worker_pool, tmp_path).by_key(made.key)
    assert caller is not None
    assert (caller.scopes, caller.user_id, caller.role) == (may, user.id, role)
    assert (caller.key_id, caller.subject) == (made.api_key.id, f"key:{made.api_key.id}")


async def test_it_follows_the_person(connection: asyncpg.Connection, worker_pool: Pool, tmp_path: Path) -> None:
    user = await person(connection, "member")
    made = await create_key(connection, 1, scopes=["read", "tasks"], user_id=user.id)
    await connection.execute("update platform.users set role = 'guest'")
    caller = await authenticator(worker_pool, tmp_path).by_key(made.key)
    assert caller is not None
    assert caller.scopes == {"tasks"}
    await users.set_disabled(connection, user.id, disabled=True)
    disabled = authenticator(worker_pool, tmp_path)
    assert await disabled.by_key(made.key) is None
    assert await disabled.still([caller]) == {}
    await users.set_disabled(connection, user.id, disabled=False)
    enabled = authenticator(worker_pool, tmp_path)
    assert await enabled.still([caller]) == {caller.subject: caller}
    await connection.execute("delete from platform.users")
    assert await enabled.by_key(made.key) is None


async def test_whom_it_can_act_for(connection: asyncpg.Connection) -> None:
    other = await create_tenant(connection, "other")
    stranger = await person(connection, "owner", other.id)
    with pytest.raises(NotFoundError):
        await create_key(connection, 1, scopes=["read"], user_id=stranger.id)
    with pytest.raises(InvalidFieldError):
        await create_key(
            connection, other.id, kind="public", allowed_origins=["https://a.example"], user_id=stranger.id
        )
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(
            "insert into platform.api_key (tenant_id, key_hash, prefix, scopes, user_id) "
            "values (1, sha256('x'), 'x', '{read}', $1)",
            stranger.id,
        )


KEYS = "/api/v1/account/keys"


async def test_people_make_and_end_their_own(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        await hub.user("bo@harbour.example", role="guest")
        token, bos = await hub.sign_in(), await hub.sign_in("bo@harbour.example")
        made = await hub.post(KEYS, token, label="laptop")
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
        body = made.json()
        assert (body["label"], body["scopes"]) == ("laptop", ["ingest", "read", "tasks"])
        narrow = (await hub.post(KEYS, token, scopes=["tasks"])).json()
        listed = await hub.get(KEYS, token)
        assert [one["id"] for one in listed.json()["items"]] == [narrow["id"], body["id"]]
        assert body["key"] not in listed.text
        assert (await hub.get("/api/v1/me", narrow["key"])).json()["scopes"] == ["tasks"]
        for scopes in (["admin"], ["connectors"], ["read", "admin"]):
            assert (await hub.post(KEYS, token, scopes=scopes)).status_code == 403
        assert (await hub.post(KEYS, bos, scopes=["read"])).status_code == 403
        assert (await hub.post(KEYS, token, scopes=["root"])).status_code == 422
        # a key makes no keys, ends no sessions and changes no password, whosever it is
        for method, path, sent in (
            ("GET", KEYS, None),
            ("POST", KEYS, {}),
            ("DELETE", f"{KEYS}/{narrow['id']}", None),
            ("GET", "/api/v1/account/sessions", None),
            ("DELETE", "/api/v1/account/sessions", None),
            ("POST", "/api/v1/account/password", {"old_password": PASSWORD, "new_password": "x" * 9}),
        ):
            answer = await hub.client.request(method, path, json=sent, headers=bearer(body["key"]))
            assert answer.status_code == 403, path
        assert (await hub.get(KEYS, bos)).json()["total"] == 0
        for key_id in (body["id"], 99_999_999_999, 0):
            assert (await hub.delete(f"{KEYS}/{key_id}", bos)).status_code == 404
        assert (await hub.delete(f"{KEYS}/{narrow['id']}", token)).status_code == 204
        assert await authenticator(hub.hub.worker_pool, tmp_path).by_key(narrow["key"]) is None
        assert await authenticator(hub.hub.worker_pool, tmp_path).by_key(body["key"]) is not None
        assert (await hub.get(KEYS, token)).json()["total"] == 1
