"""Invitations: an owner asks somebody to join the tenant, who chooses name and password by the mailed link."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from mainstem.accounts.links import new_token, token_hash
from mainstem.accounts.mails import Post
from mainstem.accounts.rules import INVITED_FOR, EmailTakenError, LinkInvalidError, check_address
from mainstem.platform import passwords
from mainstem.platform.db import Connection, Pool, load_queries, transaction
from mainstem.platform.errors import ConflictError, NotFoundError
from mainstem.platform.users import SignedIn, check_name, check_password, check_role, insert_user

_GREATEST_ID: Final = 2**31 - 1
_sql: Final = load_queries("mainstem.accounts")


@dataclass(frozen=True, slots=True)
class Invitation:
    """One person who was asked to join."""

    id: int
    tenant_id: int
    email: str
    role: str
    invited_by: str
    created_at: datetime
    sent_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sent:
    """An invitation, and the address that its newest link leads to."""

    invitation: Invitation
    link: str


async def invite(  # noqa: PLR0913 - who, where and as what
    connection: Connection, post: Post, tenant_id: int, email: str, role: str, *, by: str
) -> Sent:
    """Ask somebody to join, by mail where there is a mail server.

    Whether the e-mail is known to another tenant is told to whoever opens the link only. Raises InvalidFieldError, and
    ConflictError for a user of this tenant or one who is invited already.
    """
    email, role = check_address(email), check_role(role)
    if await connection.fetchval(_sql["is_member"], tenant_id, email):
        raise ConflictError("A user with this e-mail already exists.", field="email")
    token = new_token()
    seconds = INVITED_FOR.total_seconds()
    try:
        async with connection.transaction():
            row = await connection.fetchrow(_sql["invite"], tenant_id, email, role, token_hash(token), by, seconds)
    except asyncpg.UniqueViolationError as error:
        raise ConflictError("This person is invited already; resend the invitation.", field="email") from error
    return await _send(connection, post, row, token)


async def resend(connection: Connection, post: Post, tenant_id: int, invitation_id: int) -> Sent:
    """Send an open invitation again, with a new link; the one before works no more. Raises NotFoundError."""
    token = new_token()
    seconds = INVITED_FOR.total_seconds()
    known = 0 < invitation_id <= _GREATEST_ID
    values = (tenant_id, invitation_id, token_hash(token), seconds)
    row = await connection.fetchrow(_sql["resend"], *values) if known else None
    if row is None:
        raise NotFoundError(f"Open invitation {invitation_id} not found")
    return await _send(connection, post, row, token)


async def page(connection: Connection, tenant_id: int, *, closed: bool = False) -> list[Invitation]:
    """Return the tenant's open invitations, the newest first; accepted and revoked ones where asked for."""
    return [_read(row) for row in await connection.fetch(_sql["list_invitations"], tenant_id, closed)]


async def revoke(connection: Connection, tenant_id: int, invitation_id: int) -> None:
    """Take an open invitation back. Raises NotFoundError."""
    known = 0 < invitation_id <= _GREATEST_ID
    if not known or await connection.fetchval(_sql["revoke"], tenant_id, invitation_id) is None:
        raise NotFoundError(f"Open invitation {invitation_id} not found")


async def prune(connection: Connection, before: datetime) -> int:
    """Delete invitations that were over before `before`, in small transactions; return how many."""
    pruned = 0
    while gone := await connection.fetchval(_sql["prune_invitations"], before):
        pruned += gone
    return pruned


async def accept(pool: Pool, token: str, name: str, password: str) -> SignedIn:
    """Make the user who was invited; of several attempts one succeeds. Needs a worker pool: the link tells the tenant.

    Raises LinkInvalidError, EmailTakenError (then the invitation stays open), InvalidFieldError.
    """
    hashed_token = token_hash(token)
    async with transaction(pool) as connection:
        found = await connection.fetchrow(_sql["peek_invitation"], hashed_token)
    if found is None:
        raise LinkInvalidError
    check_name(name)
    hashed = await passwords.hashed(check_password(password))
    async with transaction(pool) as connection:
        row = await connection.fetchrow(_sql["accept"], hashed_token)
        if row is None:
            raise LinkInvalidError
        try:
            user = await insert_user(
                connection, row["tenant_id"], row["email"], hashed, name=name, role=row["role"], verified=True
            )
        except ConflictError:
            raise EmailTakenError from None
    return SignedIn(user, found["slug"])


async def _send(connection: Connection, post: Post, row: asyncpg.Record | None, token: str) -> Sent:
    if row is None:
        msg = "an insert returns its row"
        raise RuntimeError(msg)
    tenant = await connection.fetchrow(_sql["tenant"], row["tenant_id"])
    name = row["email"] if tenant is None else tenant["name"]
    await post.invitation(connection, row["tenant_id"], name, row["email"], token)
    return Sent(_read(row), post.link("/api/auth/invitation", token))


def _read(row: asyncpg.Record) -> Invitation:
    return Invitation(
        row["invitation_id"],
        row["tenant_id"],
        row["email"],
        row["role"],
        row["invited_by"],
        row["created_at"],
        row["sent_at"],
        row["expires_at"],
        row["accepted_at"],
        row["revoked_at"],
    )
