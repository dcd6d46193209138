"""Deliveries of a source in the database: one typed function per use, in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

import asyncpg

from mainstem.connectors.connector import Signature
from mainstem.pii.box import Keyring, Wrapped
from mainstem.platform.db import Connection, load_queries

_KEY_ID_CHARACTERS: Final = 12
_sql: Final = load_queries("mainstem.connectors", "deliveries.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as it came."""

    tenant_id: int
    connector: str
    received_at: datetime
    header_names: Sequence[str]
    body: bytes
    correlation_id: str | None = None
    """Of the request that brought it."""

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of the body: the identity of a delivery, for it has no other."""
        return sha256(self.body).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a delivery."""

    outcome: str
    ok: bool
    processed: bool
    trigger: str | None = None
    booking_id: str | None = None
    order_id: str | None = None
    error: str | None = None


def seal(keyring: Keyring, body: bytes) -> bytes:
    """Return a body as it is kept: it holds names and addresses of people."""
    wrapped = keyring.wrap(body, "connector delivery")
    return wrapped.key_id.encode() + wrapped.box


def unseal(keyring: Keyring, sealed: bytes) -> bytes:
    """Return a kept body. Raises PiiKeyError when the installation's key does not fit."""
    wrapped = Wrapped(sealed[:_KEY_ID_CHARACTERS].decode(), sealed[_KEY_ID_CHARACTERS:])
    return keyring.unwrap(wrapped, "connector delivery")


async def store(connection: Connection, given: Delivery, sealed: bytes, claim_id: UUID, lease: timedelta) -> int | None:
    """Store a valid delivery, claimed; return its id, None when its body has come before."""
    found: int | None = await connection.fetchval(
        _sql["store"],
        *(given.tenant_id, given.connector, given.received_at, list(given.header_names), given.digest, len(given.body)),
        *(sealed, claim_id, lease, given.correlation_id),
    )
    return found


async def store_again(  # noqa: PLR0913 - the columns of a row
    connection: Connection, given: Delivery, sealed: bytes, claim_id: UUID, lease: timedelta, *, repeats: int
) -> int | None:
    """Store a repetition that is worked on all the same, claimed; None while another one of that body is."""
    found: int | None = await connection.fetchval(
        _sql["store_again"],
        *(given.tenant_id, given.connector, given.received_at, list(given.header_names), given.digest, len(given.body)),
        *(sealed, claim_id, lease, repeats, given.correlation_id),
    )
    return found


async def store_done(
    connection: Connection, given: Delivery, signature: Signature, done: Done, *, repeats: int | None = None
) -> int:
    """Store a delivery that nothing is done about; return its id."""
    found: int = await connection.fetchval(
        _sql["store_done"],
        *(given.tenant_id, given.connector, given.received_at, signature, list(given.header_names), given.digest),
        *(len(given.body), repeats, done.trigger, done.booking_id, done.order_id, done.outcome, done.ok),
        given.correlation_id,
    )
    return found


async def trim(connection: Connection, tenant_id: int, connector: str, most: int) -> int:
    """Delete the oldest refused deliveries and repetitions beyond so many of a connector; return how many."""
    found: int = await connection.fetchval(_sql["trim"], tenant_id, connector, most)
    return found


async def first(connection: Connection, given: Delivery) -> asyncpg.Record | None:
    """Return the valid delivery that had this body first."""
    return await connection.fetchrow(_sql["first"], given.tenant_id, given.connector, given.digest)


async def claim(  # noqa: PLR0913 - who claims how many of whose
    connection: Connection,
    tenant_id: int,
    connector: str,
    claim_id: UUID,
    *,
    lease: timedelta,
    now: datetime,
    most: int,
) -> list[asyncpg.Record]:
    """Claim deliveries that are still to be worked on."""
    return await connection.fetch(_sql["claim"], tenant_id, connector, claim_id, lease, now, most)


async def finish(connection: Connection, delivery_id: int, claim_id: UUID, done: Done, now: datetime) -> bool:
    """Write what became of a claimed delivery; False when the claim has run out."""
    row = await connection.fetchval(
        _sql["finish"],
        *(delivery_id, claim_id, done.outcome, done.ok, done.processed, done.trigger, done.booking_id, done.order_id),
        *(done.error, now),
    )
    return row is not None


async def put_off(connection: Connection, delivery_id: int, claim_id: UUID, until: datetime, error: str) -> None:
    """Have a claimed delivery worked on later."""
    await connection.execute(_sql["put_off"], delivery_id, claim_id, until, error)


async def replay(connection: Connection, tenant_id: int, connector: str, delivery_id: int) -> bool:
    """Have a finished delivery worked on again; False when there is none, or its body is not kept."""
    return await connection.fetchval(_sql["replay"], tenant_id, connector, delivery_id) is not None


async def page(  # noqa: PLR0913 - the filters of a list
    connection: Connection, tenant_id: int, connector: str, *, booking_id: str | None, limit: int, offset: int
) -> tuple[list[asyncpg.Record], int]:
    """Return deliveries, the latest first, and how many there are on all pages."""
    rows = await connection.fetch(_sql["page"], tenant_id, connector, booking_id, limit, offset)
    total: int = await connection.fetchval(_sql["count"], tenant_id, connector, booking_id)
    return rows, total


async def prune(connection: Connection, before: datetime) -> int:
    """Delete deliveries that were done with before a time, in small transactions; return how many."""
    gone = 0
    while some := await connection.fetchval(_sql["prune"], before):
        gone += some
    return gone
