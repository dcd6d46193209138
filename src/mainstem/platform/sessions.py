"""Sessions: what a sign-in begins and a sign-out ends. A token is good as long as its session is.

Times are the database's. What is kept of a client is its user agent and a shortened address, to let people tell their
sessions apart.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from mainstem.platform.addresses import stored_ip
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import NotFoundError
from mainstem.platform.ids import uuid7
from mainstem.platform.settings_types import IpMode

SEEN_EVERY: Final = timedelta(minutes=5)
"""How exact `last_seen_at` is."""
_LONGEST_AGENT: Final = 300
_sql: Final = load_queries("mainstem.platform", "sessions.sql")


@dataclass(frozen=True, slots=True)
class Client:
    """Where a sign-in comes from, as it is kept."""

    user_agent: str = ""
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in that has not ended."""

    id: UUID
    user_agent: str
    address: str | None
    created_at: datetime
    last_seen_at: datetime
    """To five minutes."""
    expires_at: datetime


def client_of(user_agent: str, address: str | None, mode: IpMode) -> Client:
    """Return what is kept of a client: of the address /24 or /48, or nothing where `mode` (IP_MODE) drops it. Pure."""
    printable = "".join(letter for letter in user_agent if letter.isprintable())[:_LONGEST_AGENT]
    kept = IpMode.DROP if mode is IpMode.DROP else IpMode.TRUNCATE
    return Client(printable, stored_ip(address, kept, b""))


async def begin(  # noqa: PLR0913 - what a session is made of
    connection: Connection,
    tenant_id: int,
    user_id: UUID,
    client: Client,
    lifetime: timedelta,
    *,
    proof: str | None = None,
) -> UUID | None:
    """Begin a session and return its id; None when the user was disabled or removed meanwhile.

    With `proof`, the hash that a password matched, None also when the user has another password by now.
    """
    given = (uuid7(), tenant_id, user_id, client.user_agent, client.address, lifetime.total_seconds(), proof)
    begun: UUID | None = await connection.fetchval(_sql["begin"], *given)
    return begun


async def caller(connection: Connection, session_id: UUID) -> asyncpg.Record | None:
    """Return user, tenant and role of a live session, and note that it was seen; None when it is over."""
    return await connection.fetchrow(_sql["caller"], session_id, SEEN_EVERY.total_seconds())


async def callers(connection: Connection, session_ids: list[UUID]) -> list[asyncpg.Record]:
    """Return user, tenant and role of those of the sessions that are live."""
    return await connection.fetch(_sql["callers"], session_ids)


async def of_user(connection: Connection, tenant_id: int, user_id: UUID) -> list[Session]:
    """Return the live sessions of a user, the last seen first."""
    return [_read(row) for row in await connection.fetch(_sql["of_user"], tenant_id, user_id)]


async def one(connection: Connection, tenant_id: int, user_id: UUID, session_id: UUID) -> Session | None:
    """Return a live session of a user, or None."""
    row = await connection.fetchrow(_sql["one"], tenant_id, user_id, session_id)
    return None if row is None else _read(row)


async def end(connection: Connection, tenant_id: int, user_id: UUID, session_id: UUID) -> None:
    """End a live session of a user, in every process within two seconds. Raises NotFoundError."""
    if await connection.fetchval(_sql["end"], tenant_id, user_id, session_id) is None:
        raise NotFoundError(f"Session {session_id} not found")


async def end_others(connection: Connection, tenant_id: int, user_id: UUID, *, but: UUID | None = None) -> int:
    """End the sessions of a user, except `but`; return how many."""
    return int(await connection.fetchval(_sql["end_others"], tenant_id, user_id, but))


async def prune(connection: Connection, before: datetime) -> int:
    """Delete sessions that were over before `before`, in small transactions; return how many."""
    pruned = 0
    while gone := await connection.fetchval(_sql["prune"], before):
        pruned += gone
    return pruned


def _read(row: asyncpg.Record) -> Session:
    return Session(
        row["session_id"],
        row["user_agent"],
        row["address"],
        row["created_at"],
        row["last_seen_at"],
        row["expires_at"],
    )
