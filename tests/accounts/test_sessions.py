"""Sessions: seen, ended, and over in every process within two seconds."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from accounts.living import ANA, PASSWORD, living
from hypothesis import given
from hypothesis import strategies as st
from links.visiting import FIREFOX

from mainstem.platform import credential_cache, migrate, sessions, users
from mainstem.platform.auth import Authenticator
from mainstem.platform.clock import utc_now
from mainstem.platform.db import load_queries, transaction
from mainstem.platform.errors import UnauthorizedError
from mainstem.platform.sessions import Client, client_of
from mainstem.platform.settings_types import IpMode
from mainstem.platform.tenants import create_tenant


async def over(authenticator: Authenticator, token: str) -> None:
    """Return when a process lets the token in no more; it asks anew after at most FRESH_S."""
    assert credential_cache.FRESH_S <= 2
    async with asyncio.timeout(20):
        while await authenticator.by_token(token) is not None:  # noqa: ASYNC110 - nobody tells a process of an end
            await asyncio.sleep(0.02)


def another(hub) -> Authenticator:
    """Return what another process would have."""
    return Authenticator(hub.hub.worker_pool, hub.hub.services.settings)


async def test_sessions_are_listed_and_ended_one_by_one_or_all(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        await hub.user("bo@harbour.example")
        mine, second, third = [await hub.sign_in() for _ in range(3)]
        bos = await hub.sign_in("bo@harbour.example")
        listed = (await hub.get("/api/v1/account/sessions", mine)).json()
        assert listed["total"] == 3
        assert [one["current"] for one in listed["items"]].count(True) == 1
        assert {(one["user_agent"], one["address"]) for one in listed["items"]} == {(FIREFOX, "198.51.100.0")}
        elsewhere = another(hub)
        for token in (mine, second, third, bos):
            assert await elsewhere.by_token(token) is not None
        ids = {}
        for token in (mine, second, third, bos):
            ids[token] = (await hub.get("/api/auth/session", token)).json()["session"]["id"]
        path = "/api/v1/account/sessions"
        assert (await hub.delete(f"{path}/{ids[second]}", mine)).status_code == 204
        # here at once, elsewhere soon
        assert (await hub.get("/api/auth/me", second)).status_code == 401
        await over(elsewhere, second)
        for id_ in (ids[second], ids[bos], uuid4()):
            assert (await hub.delete(f"{path}/{id_}", mine)).status_code == 404
        assert (await hub.delete(path, mine)).json() == {"ended": 1}
        await over(elsewhere, third)
        assert (await hub.get("/api/auth/me", mine)).status_code == 200
        assert await elsewhere.by_token(bos) is not None
        assert (await hub.get(path, bos)).json()["total"] == 1


async def test_it_ends_with_the_user_and_does_not_come_back(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        user = await hub.user()
        token = await hub.sign_in()
        elsewhere = another(hub)
        caller = await elsewhere.by_token(token)
        assert caller is not None
        assert caller.credential == f"session:{caller.session_id}"
        assert list(await elsewhere.still([caller])) == [caller.credential]
        await users.set_disabled(hub.connection, user.id, disabled=True)
        assert await elsewhere.still([caller]) == {}
        await over(elsewhere, token)
        assert (await hub.post("/api/auth/signin", email=ANA, password=PASSWORD)).status_code == 401
        await users.set_disabled(hub.connection, user.id, disabled=False)
        assert await another(hub).by_token(token) is None
        assert await another(hub).by_token(await hub.sign_in()) is not None


async def test_a_new_password_ends_the_others_and_needs_the_old_one(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        mine, other = await hub.sign_in(), await hub.sign_in()
        elsewhere = another(hub)
        assert await elsewhere.by_token(other) is not None
        path = "/api/v1/account/password"
        wrong = await hub.post(path, mine, old_password="no", new_password="another horse battery")
        assert (wrong.status_code, wrong.json()["field"]) == (401, "old_password")
        weak = await hub.post(path, mine, old_password=PASSWORD, new_password="short")
        assert weak.status_code == 422
        done = await hub.post(path, mine, old_password=PASSWORD, new_password="another horse battery")
        assert done.status_code == 204
        await over(elsewhere, other)
        assert (await hub.get("/api/auth/me", mine)).status_code == 200
        assert (await hub.post("/api/auth/signin", email=ANA, password=PASSWORD)).status_code == 401
        await hub.sign_in(password="another horse battery")
        assert [mail[:2] for mail in await hub.mails()] == [(ANA, "Your password was changed")]


async def test_old_passwords_can_be_guessed_no_further_than_at_sign_in(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        mine = await hub.sign_in()
        body = {"old_password": "no", "new_password": "another horse battery"}
        for _ in range(users.MOST_FAILURES):
            assert (await hub.post("/api/v1/account/password", mine, **body)).status_code == 401
        assert (await hub.post("/api/v1/account/password", mine, **body)).status_code == 429
        assert (await hub.post("/api/auth/signin", email=ANA, password=PASSWORD)).status_code == 429


async def test_a_sign_in_that_a_new_password_overtakes_is_void(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        authenticator = hub.hub.services.authenticator
        signed_in = await authenticator.sign_in(ANA, PASSWORD)
        assert signed_in is not None
        await hub.connection.execute("update platform.users set password_hash = 'another'")
        with pytest.raises(UnauthorizedError):
            await authenticator.issue(signed_in)
        assert await hub.connection.fetchval("select count(*) from platform.session") == 0


async def test_of_two_changes_by_the_same_old_password_one_counts(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        token = await hub.sign_in()
        news = [f"another horse battery {number}" for number in range(3)]
        path = "/api/v1/account/password"
        answers = await asyncio.gather(
            *(hub.post(path, token, old_password=PASSWORD, new_password=new) for new in news)
        )
        assert sorted(answer.status_code for answer in answers) == [204, 401, 401]
        won = next(new for new, answer in zip(news, answers, strict=True) if answer.status_code == 204)
        await hub.sign_in(password=won)


async def test_the_release_before_keeps_out_whom_it_does_not_know(connection, dsn, worker_pool):
    guest = await users.create_user(connection, 1, ANA, PASSWORD, role="guest")
    await users.welcome(connection, "default", "bo@harbour.example", "Bo", "viewer")
    migrate.downgrade(dsn, "0015")
    row = await connection.fetchrow("select role, disabled_at from platform.users where user_id = $1", guest.id)
    assert (row["role"], row["disabled_at"] is not None) == ("viewer", True)
    migrate.upgrade(dsn)
    assert await users.sign_in(worker_pool, ANA, PASSWORD) is None
    assert await users.sign_in(worker_pool, "bo@harbour.example", "!") is None


async def test_expired_and_foreign_sessions_are_nothing(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        user = await hub.user()
        token = await hub.sign_in()
        await hub.connection.execute("update platform.session set expires_at = now()")
        assert await another(hub).by_token(token) is None
        stranger = await hub.user("bo@harbour.example")
        await hub.connection.execute(
            "update platform.session set expires_at = now() + interval '1 day', user_id = $1", stranger.id
        )
        assert await another(hub).by_token(token) is None
        await hub.connection.execute("update platform.session set user_id = $1", user.id)
        assert await another(hub).by_token(token) is not None


async def test_seen_is_coarse_and_what_is_over_goes(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        await hub.user()
        tokens = [await hub.sign_in() for _ in range(3)]
        seen = "select session_id, last_seen_at from platform.session order by session_id"
        before = await hub.connection.fetch(seen)
        assert await another(hub).by_token(tokens[0]) is not None
        assert await hub.connection.fetch(seen) == before
        await hub.connection.execute("update platform.session set last_seen_at = now() - interval '6 minutes'")
        assert await another(hub).by_token(tokens[0]) is not None
        ages = "select count(*) from platform.session where last_seen_at > now() - interval '1 minute'"
        assert await hub.connection.fetchval(ages) == 1
        for token in tokens[:2]:
            await hub.post("/api/auth/signout", token)
        assert await sessions.prune(hub.connection, utc_now() - timedelta(days=1)) == 0
        assert await sessions.prune(hub.connection, utc_now() + timedelta(minutes=1)) == 2
        assert await another(hub).by_token(tokens[2]) is not None


async def test_tenants_never_meet(dsn, tmp_path):
    async with living(dsn, tmp_path) as hub:
        other = await create_tenant(hub.connection, "other")
        mine = await hub.user()
        theirs = await hub.user("bo@harbour.example", tenant_id=other.id)
        await hub.sign_in()
        their_token = await hub.sign_in("bo@harbour.example")
        assert (await hub.get("/api/auth/me", their_token)).json()["user"]["tenant"] == "other"
        pool = hub.hub.pool
        async with transaction(pool, tenant_id=other.id) as connection:
            assert await connection.fetchval("select count(*) from platform.session") == 1
            assert await sessions.of_user(connection, 1, mine.id) == []
            assert len(await sessions.of_user(connection, other.id, theirs.id)) == 1
            assert await sessions.end_others(connection, 1, mine.id) == 0
        async with transaction(pool) as connection:
            assert await connection.fetchval("select count(*) from platform.session") == 0
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await hub.connection.execute(
                "insert into platform.session (session_id, tenant_id, user_id, expires_at) values ($1, $2, $3, now())",
                uuid4(),
                other.id,
                mine.id,
            )


@given(st.text(max_size=600), st.sampled_from(IpMode))
def test_what_is_kept_of_a_client(agent: str, mode: IpMode):
    kept = client_of(agent, "198.51.100.7", mode)
    assert len(kept.user_agent) <= 300
    assert kept.user_agent.isprintable()
    assert kept.address == (None if mode is IpMode.DROP else "198.51.100.0")
    assert client_of(kept.user_agent, None, mode) == Client(kept.user_agent, None)


@pytest.mark.parametrize(
    ("package", "file"),
    [
        ("mainstem.platform", "sessions.sql"),
        ("mainstem.accounts", "queries.sql"),
        ("mainstem.accounts", "people.sql"),
    ],
)
async def test_every_query_fits_the_schema(connection: asyncpg.Connection, package: str, file: str):
    for query in load_queries(package, file).values():
        await connection.prepare(query)


async def test_a_session_of_nobody_is_not_begun(connection: asyncpg.Connection):
    assert await sessions.begin(connection, 1, UUID(int=0), Client(), timedelta(hours=1)) is None
