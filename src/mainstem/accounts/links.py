"""Links that work once: made and mailed, looked at, used up. The database keeps their hash only."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal
from uuid import UUID

import asyncpg

from mainstem.accounts.mails import Post
from mainstem.accounts.rules import RESET_FOR, VERIFY_FOR, LinkInvalidError
from mainstem.platform.db import Connection, load_queries

Purpose = Literal["verify", "reset"]

_BYTES: Final = 32
_LIFETIMES: Final = {"verify": VERIFY_FOR, "reset": RESET_FOR}
_sql: Final = load_queries("mainstem.accounts")


@dataclass(frozen=True, slots=True)
class Person:
    """Whose a link is."""

    user_id: UUID
    tenant_id: int
    email: str


def new_token() -> str:
    """Return the secret of a new link: 256 random bits, as text of an URL."""
    return secrets.token_urlsafe(_BYTES)


def token_hash(token: str) -> bytes:
    """Return what the database knows of a secret: SHA-256, 32 bytes; no slow hash is needed for 256 random bits."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


async def ask(connection: Connection, purpose: Purpose, email: str, post: Post, *, stranger: str) -> None:
    """Make a link for the user of an e-mail and queue its mail, in the caller's transaction.

    For an e-mail that nobody has, or where nothing is to be done, the same is written and no mail remains: how long it
    takes tells nothing. `stranger` is the slug of the tenant that this is put down to.
    """
    token = await make(connection, purpose, email, stranger=stranger)
    attempt = connection.transaction()
    await attempt.start()
    send = post.verification if purpose == "verify" else post.reset
    await send(connection, token.tenant_id, email, token.text)
    await (attempt.commit() if token.user_id is not None else attempt.rollback())


@dataclass(frozen=True, slots=True)
class Made:
    """A link just made."""

    text: str
    tenant_id: int
    user_id: UUID | None
    """None: it opens nothing."""


async def make(connection: Connection, purpose: Purpose, email: str, *, stranger: str) -> Made:
    """Write a link for the user of an e-mail, or for nobody, and return it with its secret."""
    token = new_token()
    seconds = _LIFETIMES[purpose].total_seconds()
    row = await connection.fetchrow(_sql["ask"], token_hash(token), purpose, email, stranger, seconds)
    if row is None:
        msg = f"there is no tenant {stranger}: see DEFAULT_TENANT"
        raise RuntimeError(msg)
    return Made(token, row["tenant_id"], row["user_id"])


async def peek(connection: Connection, purpose: Purpose, token: str) -> Person:
    """Return whose a link is, and leave it as it is. Raises LinkInvalidError."""
    return _person(await connection.fetchrow(_sql["peek"], token_hash(token), purpose))


async def use(connection: Connection, purpose: Purpose, token: str) -> Person:
    """Use a link up and return whose it is; of several attempts one succeeds. Raises LinkInvalidError."""
    return _person(await connection.fetchrow(_sql["use"], token_hash(token), purpose))


async def drop(connection: Connection, user_id: UUID, purpose: Purpose) -> None:
    """End the links of a user that were not used."""
    await connection.execute(_sql["drop_links"], user_id, purpose)


async def prune(connection: Connection, before: datetime) -> int:
    """Delete links that ended before `before`, in small transactions; return how many."""
    pruned = 0
    while gone := await connection.fetchval(_sql["prune_links"], before):
        pruned += gone
    return pruned


def _person(row: asyncpg.Record | None) -> Person:
    if row is None:
        raise LinkInvalidError
    return Person(row["user_id"], row["tenant_id"], row["email"])
