"""Users, passwords and the lock-out."""

import asyncio

import asyncpg
import pytest

from mainstem.platform import passwords, users
from mainstem.platform.db import Pool
from mainstem.platform.errors import ConflictError, InvalidFieldError, NotFoundError, RateLimitedError
from mainstem.platform.users import LOCK_S, MOST_FAILURES, create_user, set_disabled, sign_in

EMAIL = "ana@harbour.example"
PASSWORD = "correct horse battery"
NOBODY = "nobody@harbour.example"


@pytest.fixture
async def ana(connection: asyncpg.Connection) -> users.User:
    return await create_user(connection, 1, "  Ana@Harbour.Example ", PASSWORD, name="Ana", role="owner")


async def test_the_password_is_kept_as_argon2id(connection: asyncpg.Connection, ana: users.User) -> None:
    stored = await connection.fetchval("select password_hash from platform.users where user_id = $1", ana.id)
    assert stored.startswith("$argon2id$")
    assert ana.email == EMAIL


async def test_a_right_password_signs_in(worker_pool: Pool, ana: users.User) -> None:
    signed_in = await sign_in(worker_pool, "ANA@harbour.example", PASSWORD)
    assert signed_in == users.SignedIn(ana, "default")


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "wrong"),
        (NOBODY, PASSWORD),
        (EMAIL, ""),
        ("", ""),
        (EMAIL, "x" * 5_000),
        ("nul\0@a", "\0"),
        (EMAIL, PASSWORD + " "),
    ],
)
async def test_wrong_credentials_say_nothing(worker_pool: Pool, ana: users.User, email: str, password: str) -> None:
    assert await sign_in(worker_pool, email, password) is None


async def test_a_disabled_user_cant_sign_in_until_enabled(
    worker_pool: Pool, connection: asyncpg.Connection, ana: users.User
) -> None:
    assert (await set_disabled(connection, ana.id, disabled=True)).disabled_at is not None
    assert await sign_in(worker_pool, EMAIL, PASSWORD) is None
    assert (await set_disabled(connection, ana.id, disabled=False)).disabled_at is None
    assert await sign_in(worker_pool, EMAIL, PASSWORD) is not None


@pytest.mark.parametrize("email", [EMAIL, NOBODY])
async def test_ten_failures_lock_an_email_known_or_not(worker_pool: Pool, ana: users.User, email: str) -> None:
    for _ in range(MOST_FAILURES):
        assert await sign_in(worker_pool, email, "wrong") is None
    with pytest.raises(RateLimitedError) as locked:
        await sign_in(worker_pool, email, PASSWORD)
    assert LOCK_S - 30 <= locked.value.retry_after_s <= LOCK_S
    assert locked.value.headers["Retry-After"] == str(locked.value.retry_after_s)


async def test_a_lock_ends_and_counting_starts_again(
    worker_pool: Pool, connection: asyncpg.Connection, ana: users.User
) -> None:
    await connection.execute(
        "update platform.users set failed_signins = 10, locked_until = now() - interval '1 second'"
    )
    assert await sign_in(worker_pool, EMAIL, "wrong") is None
    assert await sign_in(worker_pool, EMAIL, PASSWORD) is not None
    row = await connection.fetchrow("select failed_signins, locked_until from platform.users")
    assert tuple(row) == (0, None)


async def test_a_strangers_lock_ends(worker_pool: Pool, connection: asyncpg.Connection) -> None:
    for _ in range(MOST_FAILURES):
        await sign_in(worker_pool, NOBODY, "wrong")
    await connection.execute(
        "update platform.rate_window set window_at = window_at - make_interval(secs => $1)", LOCK_S
    )
    assert await sign_in(worker_pool, NOBODY, "wrong") is None


async def test_nine_failures_and_a_success_forget_the_failures(worker_pool: Pool, ana: users.User) -> None:
    for _ in range(2):
        for _ in range(MOST_FAILURES - 1):
            assert await sign_in(worker_pool, EMAIL, "wrong") is None
        assert await sign_in(worker_pool, EMAIL, PASSWORD) is not None


@pytest.mark.parametrize("email", [EMAIL, NOBODY])
async def test_parallel_guesses_get_no_further(worker_pool: Pool, ana: users.User, email: str) -> None:
    outcomes = await asyncio.gather(
        *(sign_in(worker_pool, email, f"guess {n}") for n in range(MOST_FAILURES + 10)), return_exceptions=True
    )
    assert outcomes.count(None) == MOST_FAILURES
    assert sum(isinstance(outcome, RateLimitedError) for outcome in outcomes) == 10


async def test_unknown_emails_do_the_same_work(
    worker_pool: Pool, ana: users.User, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    verify = passwords._PASSWORDS.verify_and_update

    def counting(password: str, hashed: str) -> tuple[bool, str | None]:
        verified.append(hashed)
        return verify(password, hashed)

    monkeypatch.setattr(passwords._PASSWORDS, "verify_and_update", counting)
    await sign_in(worker_pool, EMAIL, "wrong")
    await sign_in(worker_pool, NOBODY, "wrong")
    known, unknown = (hashed.split("$")[1:4] for hashed in verified)
    assert known == unknown


async def test_emails_are_taken_once_in_all_tenants(connection: asyncpg.Connection, ana: users.User) -> None:
    other = await connection.fetchval("insert into platform.tenant (slug, name) values ('b', 'B') returning tenant_id")
    with pytest.raises(ConflictError):
        await create_user(connection, other, EMAIL, PASSWORD)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": "@x"}, "email"),
        ({"email": "a@" + "b" * 260}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 1_025}, "password"),
        ({"role": "root"}, "role"),
        ({"name": "x" * 201}, "name"),
    ],
)
async def test_wrong_fields_are_named(connection: asyncpg.Connection, wrong: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        await create_user(connection, 1, **{"email": EMAIL, "password": PASSWORD, **wrong})
    assert refused.value.field == field


async def test_users_are_found(connection: asyncpg.Connection, ana: users.User) -> None:
    assert await users.user_by_email(connection, "ANA@harbour.example") == ana
    assert await users.user_by_id(connection, ana.id) == ana
    assert await users.list_users(connection, 1) == [ana]
    with pytest.raises(NotFoundError):
        await create_user(connection, 999, NOBODY, PASSWORD)
    with pytest.raises(NotFoundError):
        await set_disabled(connection, users.uuid7(), disabled=True)
