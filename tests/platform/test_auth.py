"""Callers by key and token: caches, revocation, and the database away."""

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import pytest

from mainstem.platform import credential_cache, users
from mainstem.platform.auth import Authenticator, credentials
from mainstem.platform.credential_cache import CredentialCache
from mainstem.platform.db import Pool, create_pool, load_queries
from mainstem.platform.errors import UnavailableError
from mainstem.platform.keys import NewApiKey, Scope, create_key, import_key, revoke_key
from mainstem.platform.secrets import derive, secret_key
from mainstem.platform.settings import Settings

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz-test"


def settings(folder: Path, **values: Any) -> Settings:
    return Settings(_env_file=None, data_dir=folder, **{"secret_key": SECRET, **values})


@pytest.fixture
def authenticator(worker_pool: Pool, tmp_path: Path) -> Authenticator:
    return Authenticator(worker_pool, settings(tmp_path))


@pytest.fixture
async def key(connection: asyncpg.Connection) -> NewApiKey:
    return await create_key(connection, 1, scopes=["ingest", "read"])


@pytest.fixture
async def ana(connection: asyncpg.Connection) -> users.SignedIn:
    user = await users.create_user(connection, 1, "ana@harbour.example", "correct horse", role="member")
    return users.SignedIn(user, "default")


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], None),
        ([(b"authorization", b"Bearer k1")], "k1"),
        ([(b"authorization", b"bearer   k1 ")], "k1"),
        ([(b"x-api-key", b"k2")], "k2"),
        ([(b"authorization", basic("k3:"))], "k3"),
        ([(b"authorization", basic("k3:secret"))], "k3"),
        ([(b"authorization", basic("k3"))], "k3"),
        ([(b"x-api-key", b"k2"), (b"authorization", b"Bearer k1")], "k1"),
        ([(b"authorization", basic("k3:")), (b"x-api-key", b"k2")], "k2"),
        ([(b"authorization", b"Bearer ")], None),
        ([(b"authorization", b"Bearer")], None),
        ([(b"authorization", b"Digest k1")], None),
        ([(b"authorization", b"k1")], None),
        ([(b"authorization", b"Basic !!!")], None),
        ([(b"authorization", b"Basic " + base64.b64encode(b"\xff:"))], None),
        ([(b"authorization", basic(":password"))], None),
        ([(b"x-api-key", b"  ")], None),
        ([(b"authorization", b"Bearer \xe4")], "ä"),
        ([(b"cookie", b"Bearer k1")], None),
    ],
)
def test_where_a_credential_is_found(headers: list[tuple[bytes, bytes]], expected: str | None) -> None:
    assert credentials(headers) == expected


async def test_a_key_gives_its_caller_then_without_io(authenticator: Authenticator, key: NewApiKey) -> None:
    assert authenticator.cached_by_key(key.key) is None
    caller = await authenticator.by_key(key.key)
    assert caller is not None
    assert (caller.tenant_id, caller.tenant, caller.key_id) == (1, "default", key.api_key.id)
    assert (caller.scopes, caller.public, caller.subject) == ({"ingest", "read"}, False, f"key:{key.api_key.id}")
    assert authenticator.cached_by_key(key.key) is caller


async def test_admin_may_do_everything(authenticator: Authenticator, connection: asyncpg.Connection) -> None:
    admin = await create_key(connection, 1, scopes=["admin"])
    caller = await authenticator.by_key(admin.key)
    assert caller is not None
    assert caller.scopes == frozenset(Scope)


async def test_a_public_key_brings_its_origins(authenticator: Authenticator, connection: asyncpg.Connection) -> None:
    public = await create_key(connection, 1, kind="public", allowed_origins=["https://shop.example"])
    caller = await authenticator.by_key(public.key)
    assert caller is not None
    assert caller.public
    assert (caller.scopes, caller.allowed_origins) == ({"ingest"}, ("https://shop.example",))


@pytest.mark.parametrize("text", ["", "x", "ms_live_" + "A" * 43, "y" * 1_000_000, "\0", "\ud800", "ä" * 20])
async def test_unknown_keys_are_nobody(authenticator: Authenticator, text: str) -> None:
    assert authenticator.cached_by_key(text) is None
    assert await authenticator.by_key(text) is None
    assert await authenticator.by_token(text) is None


async def test_revocation_works_in_every_process_within_five_seconds(
    worker_pool: Pool, tmp_path: Path, connection: asyncpg.Connection, key: NewApiKey
) -> None:
    both = [Authenticator(worker_pool, settings(tmp_path)) for _ in range(2)]
    for one in both:
        assert await one.by_key(key.key) is not None
    await revoke_key(connection, 1, key.api_key.id)
    revoked = time.monotonic()
    for one in both:
        while one.cached_by_key(key.key) or await one.by_key(key.key):
            assert time.monotonic() - revoked < 5
            await asyncio.sleep(0.05)


async def test_the_webhook_key_ingests_for_the_default_tenant(
    worker_pool: Pool, tmp_path: Path, connection: asyncpg.Connection
) -> None:
    await connection.execute("insert into platform.tenant (slug, name) values ('harbour', 'Harbour')")
    configured = Authenticator(worker_pool, settings(tmp_path, webhook_api_key="old-key", default_tenant="harbour"))
    caller = await configured.by_key("old-key")
    assert caller is not None
    assert (caller.tenant, caller.scopes, caller.key_id, caller.subject) == ("harbour", {"ingest"}, None, "key:webhook")
    assert await configured.by_key("old-keY") is None
    missing = Authenticator(worker_pool, settings(tmp_path, webhook_api_key="old-key", default_tenant="nobody"))
    assert await missing.by_key("old-key") is None


async def test_a_token_gives_the_users_present_role(
    worker_pool: Pool, tmp_path: Path, connection: asyncpg.Connection, ana: users.SignedIn
) -> None:
    token = await Authenticator(worker_pool, settings(tmp_path)).issue(ana)
    caller = await Authenticator(worker_pool, settings(tmp_path)).by_token(token)
    assert caller is not None
    assert (caller.user_id, caller.role, caller.subject) == (ana.user.id, "member", f"user:{ana.user.id}")
    assert caller.scopes == {"read", "ingest", "tasks"}
    await connection.execute("update platform.users set role = 'viewer'")
    caller = await Authenticator(worker_pool, settings(tmp_path)).by_token(token)
    assert caller is not None
    assert caller.scopes == {"read"}


@pytest.mark.parametrize(
    "change",
    [
        "update platform.users set disabled_at = now()",
        "delete from platform.users",
        """with t as (insert into platform.tenant (slug, name) values ('b', 'B') returning tenant_id)
        update platform.users set tenant_id = t.tenant_id from t""",
    ],
)
async def test_a_token_ends_with_its_user(
    authenticator: Authenticator, connection: asyncpg.Connection, ana: users.SignedIn, change: str
) -> None:
    token = await authenticator.issue(ana)
    await connection.execute(change)
    assert await authenticator.by_token(token) is None


async def test_a_token_of_another_installation_is_nothing(
    worker_pool: Pool, tmp_path: Path, authenticator: Authenticator, ana: users.SignedIn
) -> None:
    other = Authenticator(worker_pool, settings(tmp_path, secret_key=SECRET[::-1]))
    assert await authenticator.by_token(await other.issue(ana)) is None


async def test_a_token_forged_with_the_plain_secret_is_nothing(
    authenticator: Authenticator, ana: users.SignedIn
) -> None:
    good = jwt.decode(await authenticator.issue(ana), options={"verify_signature": False})
    assert await authenticator.by_token(jwt.encode(good, SECRET, algorithm="HS256")) is None
    key = derive(secret_key(settings(Path()), Path()), "jwt")
    assert await authenticator.by_token(jwt.encode(good, key, algorithm="HS256")) is not None


async def test_keys_work_where_tokens_do_and_may_look_like_one(
    authenticator: Authenticator, connection: asyncpg.Connection, key: NewApiKey
) -> None:
    assert await authenticator.by_token(key.key) == await authenticator.by_key(key.key)
    lookalike = "eyJvbGQiOnRydWV9.c29tZXRoaW5n.b2xkLXNpZ25hdHVyZQ"
    await import_key(connection, 1, lookalike, scopes=["ingest"])
    assert await authenticator.by_token(lookalike) is not None


async def test_better_auth_users_are_known_by_email(worker_pool: Pool, tmp_path: Path, ana: users.SignedIn) -> None:
    secret = "shared-with-better-auth-0123456789"
    legacy = Authenticator(worker_pool, settings(tmp_path, better_auth_secret=secret, better_auth_legacy=True))

    def token(email: str) -> str:
        return jwt.encode({"sub": "u_1", "email": email, "exp": int(time.time()) + 60}, secret, algorithm="HS256")

    caller = await legacy.by_token(token("ana@harbour.example"))
    assert caller is not None
    assert caller.user_id == ana.user.id
    assert await legacy.by_token(token("stranger@harbour.example")) is None


async def test_while_the_database_is_away_known_keys_work_and_unknown_ones_wait(
    dsn: str, tmp_path: Path, key: NewApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_cache, "FRESH_S", 0.0)
    monkeypatch.setattr(credential_cache, "RETRY_S", 60.0)
    pool = await create_pool(dsn, role="worker", max_size=2)
    authenticator = Authenticator(pool, settings(tmp_path))
    caller = await authenticator.by_key(key.key)
    assert caller is not None
    await pool.close()
    assert authenticator.cached_by_key(key.key) is None
    assert await authenticator.by_key(key.key) == caller
    assert authenticator.cached_by_key(key.key) == caller
    with pytest.raises(UnavailableError) as away:
        await authenticator.by_key("ms_live_unknown")
    assert away.value.headers["Retry-After"] == "2"


class Desk:
    """Answers questions when told to, and counts them."""

    def __init__(self) -> None:
        """Start with nobody known and the door open."""
        self.now = 100.0
        self.known: dict[str, str] = {}
        self.away = False
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.cache: CredentialCache[str, str] = CredentialCache(self.ask, clock=lambda: self.now)

    async def ask(self, key: str) -> str | None:
        self.asked.append(key)
        await self.open.wait()
        if self.away:
            raise ConnectionRefusedError
        return self.known.get(key)


async def test_one_question_is_on_its_way_at_most_and_a_leaver_takes_nothing() -> None:
    desk = Desk()
    desk.known = {"a": "A"}
    desk.open.clear()
    waiting = [asyncio.create_task(desk.cache.get("a")) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    desk.open.set()
    assert await asyncio.gather(*waiting[1:]) == ["A"] * 19
    assert desk.asked == ["a"]


async def test_answers_are_fresh_for_two_seconds_from_the_question() -> None:
    desk = Desk()
    desk.known = {"a": "A"}
    desk.open.clear()
    asking = asyncio.create_task(desk.cache.get("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    desk.now += 1.5
    desk.open.set()
    assert await asking == "A"
    desk.now += 0.4
    assert desk.cache.fresh("a") == "A"
    desk.now += 0.1
    assert desk.cache.fresh("a") is None
    desk.known = {}
    assert await desk.cache.get("a") is None


async def test_refusals_are_remembered_for_a_second_in_a_bounded_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential_cache, "MOST_ENTRIES", 10)
    desk = Desk()
    for _ in range(3):
        assert await desk.cache.get("b") is None
    assert desk.asked == ["b"]
    desk.known = {"b": "B"}
    desk.now += 1.0
    assert await desk.cache.get("b") == "B"
    for number in range(100):
        await desk.cache.get(f"made-up-{number}")
    assert len(desk.cache._refused) == 10


async def test_stale_answers_end_after_a_day_and_never_hide_a_refusal() -> None:
    desk = Desk()
    desk.known = {"a": "A", "b": "B"}
    await desk.cache.get("a")
    await desk.cache.get("b")
    desk.away = True
    desk.now += 24 * 3_600
    assert await desk.cache.get("a") == "A"
    desk.now += 2
    with pytest.raises(UnavailableError):
        await desk.cache.get("a")
    desk.away, desk.known = False, {}
    assert await desk.cache.get("b") is None
    desk.away = True
    desk.now += 2
    with pytest.raises(UnavailableError):
        await desk.cache.get("b")


async def test_an_error_that_is_no_outage_is_not_hidden() -> None:
    async def broken(key: str) -> str | None:
        raise KeyError(key)

    cache: CredentialCache[str, str] = CredentialCache(broken)
    with pytest.raises(KeyError):
        await cache.get("a")


@pytest.mark.parametrize("name", load_queries("mainstem.platform"))
async def test_every_query_fits_the_schema(connection: asyncpg.Connection, name: str) -> None:
    await connection.prepare(load_queries("mainstem.platform")[name])
