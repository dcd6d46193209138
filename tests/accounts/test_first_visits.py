"""People whom a Better Auth server knows and the hub does not."""

import asyncio
import time
from pathlib import Path

import asyncpg
import jwt
import pytest

from mainstem.platform import users
from mainstem.platform.auth import Authenticator
from mainstem.platform.db import Pool
from mainstem.platform.settings import Settings

SECRET = "shared-with-better-auth-0123456789"
ANA = "ana@harbour.example"


def visiting(pool: Pool, folder: Path, **values: object) -> Authenticator:
    chosen = {"better_auth_secret": SECRET, "better_auth_legacy": True, "better_auth_sign_up": True, **values}
    return Authenticator(pool, Settings(_env_file=None, data_dir=folder, **chosen))


def token(**claims: object) -> str:
    made = {"sub": "u_1", "email": ANA, "name": "Ana", "emailVerified": True, "exp": int(time.time()) + 60, **claims}
    return jwt.encode(made, SECRET, algorithm="HS256")


async def people(connection: asyncpg.Connection) -> int:
    return await connection.fetchval("select count(*) from platform.users")


async def test_a_verified_stranger_becomes_a_guest(connection, worker_pool, tmp_path):
    authenticator = visiting(worker_pool, tmp_path)
    callers = await asyncio.gather(*(authenticator.by_token(token(name="Ana\n" + "x" * 300)) for _ in range(5)))
    assert {caller.role for caller in callers} == {"guest"}
    assert {caller.session_id for caller in callers} == {None}
    [user] = await users.list_users(connection, 1)
    assert {caller.user_id for caller in callers} == {user.id}
    assert (user.email, user.name[:4], len(user.name)) == (ANA, "Anax", 200)
    assert user.email_verified_at is not None
    # there is no password to sign in with, not even an empty one
    for password in ("", "!", "password"):
        assert await users.sign_in(worker_pool, ANA, password) is None
    again = await visiting(worker_pool, tmp_path, better_auth_sign_up=False).by_token(token())
    assert again is not None


@pytest.mark.parametrize(
    ("values", "claims"),
    [
        ({"better_auth_sign_up": False}, {}),
        ({}, {"emailVerified": None}),
        ({}, {"emailVerified": False}),
        ({}, {"emailVerified": "true"}),
        ({}, {"email": "no address"}),
        ({}, {"email": "a@b@c"}),
    ],
)
async def test_who_becomes_nobody(connection, worker_pool, tmp_path, values, claims):
    assert await visiting(worker_pool, tmp_path, **values).by_token(token(**claims)) is None
    assert await people(connection) == 0


async def test_an_email_that_is_not_mentioned_as_verified_is_not_enough(connection, worker_pool, tmp_path):
    silent = {"sub": "u_1", "email": ANA, "exp": int(time.time()) + 60}
    authenticator = visiting(worker_pool, tmp_path)
    assert await authenticator.by_token(jwt.encode(silent, SECRET, algorithm="HS256")) is None
    assert await people(connection) == 0


async def test_who_signed_up_with_anothers_email_does_not_get_its_owner(connection, worker_pool, tmp_path):
    await users.create_user(connection, 1, ANA, "the password of a thief", verified=False)
    authenticator = visiting(worker_pool, tmp_path)
    assert await authenticator.by_token(token()) is None
    await connection.execute("update platform.users set email_verified_at = now()")
    assert await visiting(worker_pool, tmp_path).by_token(token()) is not None
    await connection.execute("update platform.users set disabled_at = now()")
    assert await visiting(worker_pool, tmp_path).by_token(token()) is None
    assert await people(connection) == 1
