"""Users: people who sign in with e-mail and password.

A wrong password and an unknown e-mail can't be told apart: same answer, same work, same lock-out. Ten failures
in a row lock an e-mail for 15 minutes; each attempt is counted before its password is looked at, so parallel
guesses don't get further.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal, get_args
from uuid import UUID

import asyncpg

from mainstem.platform import passwords, sessions
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, load_queries, transaction
from mainstem.platform.errors import (
    ConflictError,
    InvalidFieldError,
    NotFoundError,
    RateLimitedError,
)
from mainstem.platform.ids import uuid7

Role = Literal["owner", "member", "viewer", "guest"]

SCOPES_OF_ROLE: Final[Mapping[str, frozenset[str]]] = {
    "owner": frozenset({"admin"}),
    "member": frozenset({"read", "ingest", "tasks"}),
    "viewer": frozenset({"read"}),
    # own tasks and chats, and nothing of the tenant's business
    "guest": frozenset({"tasks"}),
}
MOST_FAILURES: Final = 10
LOCK_S: Final = 15 * 60
SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = passwords.LONGEST
_LONGEST_EMAIL: Final = 254
_LONGEST_NAME: Final = 200
_EMAIL: Final = re.compile(r"[^@\s\0\ud800-\udfff]+@[^@\s\0\ud800-\udfff]+")
_UNKEPT: Final = re.compile(r"[\0\ud800-\udfff]")
"""What PostgreSQL has no text for."""
_LOCKED: Final = "Too many failed sign-ins; try again later."
_QUERIES: Final = load_queries("mainstem.platform")


@dataclass(frozen=True, slots=True)
class User:
    """One person of one tenant."""

    id: UUID
    tenant_id: int
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    email_verified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user whose password was right, and the slug of the tenant."""

    user: User
    tenant: str
    proof: str | None = field(default=None, repr=False, compare=False)
    """The hash that the password matched: where it is another one by now, the sign-in is void."""


def check_email(email: str) -> str:
    """Return the e-mail in its one form, lower-case. Raises InvalidFieldError."""
    email = email.strip().lower()
    if len(email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise InvalidFieldError("This is no e-mail address.", field="email")
    return email


def check_password(password: str) -> str:
    """Return the password. Raises InvalidFieldError when it is too short or long (NIST SP 800-63B, 5.1.1)."""
    if len(password) < SHORTEST_PASSWORD or not passwords.is_usable(password):
        raise InvalidFieldError(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters.", field="password"
        )
    return password


def check_role(role: str) -> str:
    """Return the role. Raises InvalidFieldError."""
    if role not in get_args(Role):
        raise InvalidFieldError(f"A role is one of {', '.join(get_args(Role))}.", field="role")
    return role


def check_name(name: str) -> str:
    """Return the name. Raises InvalidFieldError when it is too long."""
    if len(name) > _LONGEST_NAME or _UNKEPT.search(name):
        raise InvalidFieldError(f"A name has at most {_LONGEST_NAME} characters.", field="name")
    return name


def clean_name(name: str) -> str:
    """Return as much of a name from elsewhere as can be kept."""
    return "".join(letter for letter in name.strip() if letter.isprintable())[:_LONGEST_NAME]


async def create_user(  # noqa: PLR0913 - what a user is made of
    connection: Connection,
    tenant_id: int,
    email: str,
    password: str,
    *,
    name: str = "",
    role: str = "member",
    verified: bool = True,
) -> User:
    """Make a user; `verified`: somebody vouches for the e-mail, or it was shown to be the person's.

    Raises InvalidFieldError, ConflictError when the e-mail is taken (in any tenant).
    """
    email, name, role = check_email(email), check_name(name), check_role(role)
    hashed = await passwords.hashed(check_password(password))
    return await insert_user(connection, tenant_id, email, hashed, name=name, role=role, verified=verified)


async def insert_user(  # noqa: PLR0913 - what a user is made of
    connection: Connection, tenant_id: int, email: str, hashed: str, *, name: str, role: str, verified: bool
) -> User:
    """Make a user of checked values and the hash of a password, as `create_user` does."""
    try:
        async with connection.transaction():
            row = await connection.fetchrow(
                _QUERIES["insert_user"], uuid7(), tenant_id, email, name, hashed, role, verified
            )
    except asyncpg.UniqueViolationError as error:
        raise ConflictError("A user with this e-mail already exists.", field="email") from error
    except asyncpg.CheckViolationError as error:
        # lower() of PostgreSQL and of Python differ on a few letters
        raise InvalidFieldError("This is no e-mail address.", field="email") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFoundError(f"Tenant {tenant_id} not found") from error
    if row is None:
        msg = "an insert returns its row"
        raise RuntimeError(msg)
    return _read(row)


async def welcome(connection: Connection, tenant: str, email: str, name: str, role: str) -> None:
    """Make a user who signs in elsewhere, with a verified e-mail and no password; nothing where the e-mail is taken.

    Raises NotFoundError without such a tenant.
    """
    found = await connection.fetchrow(_QUERIES["tenant_by_slug"], tenant)
    if found is None:
        raise NotFoundError(f"Tenant {tenant} not found")
    await connection.execute(_QUERIES["welcome"], uuid7(), found["tenant_id"], email, name, role)


async def user_by_email(connection: Connection, email: str) -> User | None:
    """Return the user of an e-mail, or None."""
    row = await connection.fetchrow(_QUERIES["user_by_email"], check_email(email))
    return None if row is None else _read(row)


async def user_of_tenant(connection: Connection, tenant_id: int, email: str) -> User:
    """Return the tenant's user of an e-mail. Raises NotFoundError, for one of another tenant too."""
    user = await user_by_email(connection, email)
    if user is None or user.tenant_id != tenant_id:
        raise NotFoundError(f"User {email} not found")
    return user


async def user_by_id(connection: Connection, user_id: UUID) -> User | None:
    """Return the user of an id, or None."""
    row = await connection.fetchrow(_QUERIES["user_by_id"], user_id)
    return None if row is None else _read(row)


async def list_users(connection: Connection, tenant_id: int) -> list[User]:
    """Return the tenant's users by e-mail, disabled ones too."""
    return [_read(row) for row in await connection.fetch(_QUERIES["list_users"], tenant_id)]


async def set_disabled(connection: Connection, user_id: UUID, *, disabled: bool) -> User:
    """Disable a user, whose sessions and keys then end within seconds, or enable again. Raises NotFoundError.

    Keys work again when the user is enabled; sessions don't.
    """
    row = await connection.fetchrow(_QUERIES["set_disabled"], user_id, disabled)
    if row is None:
        raise NotFoundError(f"User {user_id} not found")
    if disabled:
        await sessions.end_others(connection, row["tenant_id"], user_id)
    return _read(row)


async def sign_in(pool: Pool, email: str, password: str) -> SignedIn | None:
    """Return the user of these credentials; None when either is wrong or the user is disabled.

    `pool` is a worker pool: before a sign-in nobody knows the tenant. No connection is held while the password
    is checked. Raises RateLimitedError while the e-mail is locked, known or not.
    """
    email = _UNKEPT.sub("", email.strip().lower())[:_LONGEST_EMAIL]
    async with transaction(pool) as connection:
        row = await connection.fetchrow(_QUERIES["begin_signin"], email, MOST_FAILURES, LOCK_S)
        # a lock made by this very attempt is in no snapshot yet: what is seen was there before
        locked_s = await _count_stranger(connection, email) if row is None else _locked_s(row)
    if locked_s is not None:
        raise RateLimitedError(_LOCKED, retry_after_s=locked_s)
    right, better = await passwords.verify(password, row["password_hash"] if row is not None else None)
    if row is None or not right or row["disabled_at"] is not None:
        return None
    async with transaction(pool) as connection:
        proof = await connection.fetchval(_QUERIES["succeed_signin"], row["user_id"], better, row["password_hash"])
    return None if proof is None else SignedIn(_read(row), row["slug"], proof)


def _locked_s(row: asyncpg.Record) -> int | None:
    return None if row["counted"] else max(row["locked_s"] or LOCK_S, 1)


async def _count_stranger(connection: Connection, email: str) -> int | None:
    """Count an attempt for an e-mail that nobody has, as it is counted for a user; return the seconds it is locked."""
    subject = "signin:" + sha256(email.encode("utf-8", "surrogatepass")).hexdigest()
    await connection.execute(_QUERIES["lock_subject"], subject)
    now = utc_now()
    row = await connection.fetchrow(_QUERIES["forget_stranger"], subject)
    counted_at, failures = (row["window_at"], row["used"]) if row is not None else (now, 0)
    locked_until = counted_at + timedelta(seconds=LOCK_S)
    if failures >= MOST_FAILURES and now < locked_until:
        await connection.execute(_QUERIES["count_stranger"], subject, counted_at, failures)
        return max(-int((now - locked_until).total_seconds() // 1), 1)
    failures = 1 if failures >= MOST_FAILURES else failures + 1
    await connection.execute(_QUERIES["count_stranger"], subject, now, failures)
    return None


def _read(row: asyncpg.Record) -> User:
    return User(
        row["user_id"],
        row["tenant_id"],
        row["email"],
        row["name"],
        row["role"],
        row["created_at"],
        row["disabled_at"],
        row["email_verified_at"],
    )
