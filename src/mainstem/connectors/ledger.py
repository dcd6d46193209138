"""The ledger of orders and the bookings behind it, in the database: one typed function per use, in the caller's transaction.

A booking is claimed by one worker at a time, with a lease; every step of its order is written under that claim, and only from
the state that the worker has seen. What the schema forbids (two orders that are there, two on their way) can't be written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from mainstem.connectors import telling
from mainstem.connectors.connector import Connector
from mainstem.connectors.documents import booking_of, doc_of, merged
from mainstem.connectors.plan import booking_hash, local_id
from mainstem.connectors.ports import Booking, Plan, State
from mainstem.connectors.standing import Order, Standing, order_of, standing_of
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.log import correlation_id

_sql: Final = load_queries("mainstem.connectors", "ledger.sql")


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of knowledge about a booking."""

    booking_key: int
    version: int
    kind: str | None
    """Kind of the event that was recorded; None: nothing new."""


async def take(  # noqa: PLR0913 - what is known of a booking, and how
    connection: Connection,
    tenant_id: int,
    connector: Connector,
    booking: Booking,
    *,
    seen_at: datetime,
    now: datetime,
    ask: bool = False,
    people: Sequence[bytes] = (),
) -> Taken:
    """Keep what is known of a booking and have its order looked at; record an event where it is news.

    Knowledge that is older than what is kept changes nothing. A reading that does not tell lines or total keeps those
    that are known. `people`: keyed hashes of what people in it are known by.
    """
    rules = connector.rules
    where = (tenant_id, connector.name, rules.establishment, booking.booking_id)
    name = local_id(booking.booking_id, rules)
    told_by = correlation_id()

    def columns(one_: Booking) -> tuple[Any, ...]:
        return (name, one_.site_id, one_.name, one_.status, one_.on, doc_of(one_), booking_hash(one_), seen_at)

    key = await connection.fetchval(_sql["lock_new"], *where, *columns(booking), now, ask, list(people), told_by)
    if key is not None:
        kind = "booking.cancelled" if booking.deleted else "booking.received"
        await telling.tell_booking(connection, tenant_id, connector, booking, kind=kind, version=1, now=now)
        return Taken(key, 1, kind)
    row = await connection.fetchrow(_sql["lock"], *where)
    if row is None:
        msg = "a booking that could not be inserted is there"
        raise RuntimeError(msg)
    kept = booking_of(row["doc"])
    known = merged(booking, kept)
    if seen_at < row["seen_at"] or booking_hash(known) == row["doc_hash"]:
        await connection.execute(_sql["touch"], row["booking_key"], now, ask, seen_at, list(people), told_by)
        return Taken(row["booking_key"], row["version"], None)
    version: int = await connection.fetchval(
        _sql["renew_booking"], row["booking_key"], *columns(known), now, ask, list(people), told_by
    )
    gone = known.deleted and not kept.deleted
    kind = "booking.cancelled" if gone or (known.status == "LOST" != kept.status) else "booking.updated"
    await telling.tell_booking(connection, tenant_id, connector, known, kind=kind, version=version, now=now)
    return Taken(row["booking_key"], version, kind)


async def ask_again(
    connection: Connection, tenant_id: int, connector: Connector, booking_ids: Sequence[str], now: datetime
) -> dict[str, int]:
    """Have bookings looked at again, whatever became of them; return the keys of those that are known, by id."""
    rows = await connection.fetch(_sql["ask"], tenant_id, connector.name, list(booking_ids), now)
    return {row["booking_id"]: row["booking_key"] for row in rows}


async def claim(connection: Connection, booking_key: int, claim_id: UUID, lease: timedelta) -> bool:
    """Claim a booking; False while somebody else has it."""
    return await connection.fetchval(_sql["claim"], booking_key, claim_id, lease) is not None


async def claim_due(  # noqa: PLR0913 - who claims how many of whose
    connection: Connection, tenant_id: int, connector: Connector, claim_id: UUID, *, now: datetime, most: int
) -> list[int]:
    """Claim bookings whose orders are due, the longest due first; return their keys."""
    rows = await connection.fetch(_sql["due"], tenant_id, connector.name, claim_id, connector.lease, now, most)
    return [row["booking_key"] for row in rows]


async def hold(connection: Connection, booking_key: int, claim_id: UUID, lease: timedelta) -> Standing | None:
    """Lock a claimed booking for this transaction and return it with its orders; None when the claim has run out."""
    row = await connection.fetchrow(_sql["hold"], booking_key, claim_id, lease)
    if row is None:
        return None
    return await _standing(connection, row)


async def wait_as(  # noqa: PLR0913 - the columns of a row
    connection: Connection,
    standing: Standing,
    order_hash: str,
    state: State,
    by: str,
    *,
    reason: str | None = None,
    error: str | None = None,
    plan: Plan | None = None,
    not_before: datetime | None = None,
) -> Order:
    """Have the row of this content be the one that waits, in a state; the one that waited before is superseded."""
    known = next((one for one in standing.orders if one.order_hash == order_hash), None)
    await connection.execute(_sql["supersede"], standing.booking_key, None if known is None else known.order_key, by)
    text = None if plan is None else msgspec.json.encode(plan).decode()
    if known is None:
        key: int = await connection.fetchval(
            _sql["insert_order"], standing.booking_key, order_hash, state, reason, error, text, not_before, by
        )
        attempts, submitted_at = 0, None
    else:
        key, attempts, submitted_at = known.order_key, known.attempts, known.submitted_at
        await step(connection, known, state, by, reason=reason, error=error, plan=plan, not_before=not_before, now=None)
    return Order(
        order_key=key,
        order_hash=order_hash,
        state=state,
        reason=reason,
        error=error,
        local_id="" if plan is None else plan.local_id,
        plan=plan,
        order_id=None if known is None else known.order_id,
        sink_total=None if known is None else known.sink_total,
        attempts=attempts,
        submitted_at=submitted_at,
        not_before=not_before,
        changed_by=by,
    )


async def step(  # noqa: PLR0913 - the columns of a row
    connection: Connection,
    order: Order,
    state: State,
    by: str,
    *,
    now: datetime | None,
    reason: str | None = None,
    error: str | None = None,
    order_id: str | None = None,
    sink_total: Decimal | None = None,
    not_before: datetime | None = None,
    plan: Plan | None = None,
) -> int | None:
    """Move an order on from the state it was seen in; return its attempts, None when it is no longer there."""
    text = None if plan is None else msgspec.json.encode(plan).decode()
    row = await connection.fetchrow(
        _sql["step"],
        *(order.order_key, order.state, state, reason, error, order_id, sink_total, not_before, text, by, now),
    )
    return None if row is None else int(row["attempts"])


async def confirm(  # noqa: PLR0913 - the columns of a row
    connection: Connection,
    standing: Standing,
    order: Order,
    by: str,
    *,
    now: datetime,
    reason: str,
    order_id: str,
    sink_total: Decimal | None,
) -> bool:
    """Write down that an order is there: the one of its booking from now on. False when the row has moved on."""
    await connection.execute(_sql["others_over"], standing.booking_key, order.order_key, by)
    await connection.execute(_sql["unsure"], standing.booking_key, False)
    done = await step(
        connection, order, State.CONFIRMED, by, now=now, reason=reason, order_id=order_id, sink_total=sink_total
    )
    return done is not None


async def supersede(connection: Connection, standing: Standing, order: Order, by: str) -> None:
    """Write down that whatever waits for a booking, but an order, has had its time."""
    await connection.execute(_sql["supersede"], standing.booking_key, order.order_key, by)


async def mark_unsure(connection: Connection, standing: Standing, *, unsure: bool) -> None:
    """Write down whether something else may be there than the confirmed order."""
    await connection.execute(_sql["unsure"], standing.booking_key, unsure)


async def drop_waiting(connection: Connection, standing: Standing, reason: str, by: str) -> None:
    """Write down that what waits for its order waits no more."""
    await connection.execute(_sql["drop_waiting"], standing.booking_key, reason, by)


async def void_all(connection: Connection, standing: Standing, reason: str, by: str) -> list[asyncpg.Record]:
    """Write down that no order of a booking is there any more, nor wanted; return the rows that this ended."""
    return await connection.fetch(_sql["all_void"], standing.booking_key, reason, by)


async def release(  # noqa: PLR0913 - what came of it
    connection: Connection,
    standing: Standing,
    claim_id: UUID,
    *,
    result: str,
    reason: str,
    error: str | None,
    due_at: datetime | None,
    put_off: bool,
) -> bool:
    """Give a booking back with what came of it, due again at a time (None: when something is told about it)."""
    row = await connection.fetchval(
        _sql["release"],
        *(standing.booking_key, claim_id, result, reason, error, standing.touched, due_at, put_off),
    )
    return row is not None


async def one(connection: Connection, booking_key: int) -> Standing | None:
    """Return a booking with its orders as they are, claimed or not."""
    row = await connection.fetchrow(_sql["one"], booking_key)
    return None if row is None else await _standing(connection, row)


async def find_key(connection: Connection, tenant_id: int, connector: Connector, booking_id: str) -> int | None:
    """Return the key of a booking; None: it was never seen."""
    where = (tenant_id, connector.name, connector.rules.establishment, booking_id)
    found: int | None = await connection.fetchval(_sql["find_key"], *where)
    return found


async def of_days(
    connection: Connection, tenant_id: int, connector: Connector, first: date, last: date
) -> list[Standing]:
    """Return the bookings that take place on some days, with their orders."""
    where = (tenant_id, connector.name, connector.rules.establishment, first, last)
    rows = await connection.fetch(_sql["of_days"], *where)
    orders: dict[int, list[Order]] = {}
    for one_ in await connection.fetch(_sql["orders_of_all"], [row["booking_key"] for row in rows]):
        orders.setdefault(one_["booking_key"], []).append(order_of(one_))
    return [standing_of(row, orders.get(row["booking_key"], ())) for row in rows]


async def with_lines(
    connection: Connection, tenant_id: int, connector: Connector, booking_ids: Sequence[str]
) -> dict[str, Decimal | None]:
    """Return the totals of those bookings whose items are known, by id."""
    where = (tenant_id, connector.name, connector.rules.establishment, list(booking_ids))
    rows = await connection.fetch(_sql["with_lines"], *where)
    return {row["booking_id"]: None if row["total"] is None else Decimal(row["total"]) for row in rows}


async def by_local_ids(connection: Connection, tenant_id: int, connector: Connector, names: Sequence[str]) -> set[str]:
    """Return which names of orders belong to bookings that are known."""
    rows = await connection.fetch(_sql["by_local_ids"], tenant_id, connector.name, list(names))
    return {row["local_id"] for row in rows}


async def let_go(connection: Connection, booking_key: int, claim_id: UUID, due_at: datetime) -> None:
    """Give a booking back that could not be worked on."""
    await connection.execute(_sql["let_go"], booking_key, claim_id, due_at)


async def fire_dry(connection: Connection, tenant_id: int, connector: Connector) -> None:
    """Have bookings looked at that only DRY_RUN held back."""
    await connection.execute(_sql["fire_dry"], tenant_id, connector.name)


async def fire_unmapped(connection: Connection, tenant_id: int, connector: str, establishment: str) -> None:
    """Have bookings looked at whose orders wait, for the mapping has changed."""
    await connection.execute(_sql["fire_unmapped"], tenant_id, connector, establishment)


async def _standing(connection: Connection, row: asyncpg.Record) -> Standing:
    rows = await connection.fetch(_sql["orders_of"], row["booking_key"])
    return standing_of(row, [order_of(one_) for one_ in rows])
