"""Deliveries and attempts in the database, and the same sent again. The caller's transaction is bound to the tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import ConflictError, GoneError, NotFoundError
from mainstem.webhooks.draft import regex_of

MOST_COUNTED: Final = 10_000
_SKEW: Final = timedelta(minutes=5)
"""More than a transaction that makes deliveries lasts: by so much may ids and times be out of step."""
_LARGEST_ID: Final = 2**63 - 1
_FIRST_LANE: Final = 0
_FINISHED: Final = ("delivered", "failed")
_LOOKS: Final = 10
_sql: Final = load_queries("mainstem.webhooks", "deliveries.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which deliveries of an endpoint; None: all."""

    status: str | None = None
    kinds: Sequence[str] = ("*",)
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_counted(self) -> bool:
        """Whether counters know how many there are."""
        return "*" in self.kinds and self.since is None and self.until is None


@dataclass(frozen=True, slots=True)
class Total:
    """How many deliveries there are."""

    count: int
    is_exact: bool


async def page(  # noqa: PLR0913 - a list has this many sides
    connection: Connection,
    tenant_id: int,
    endpoint_id: int,
    wanted: Wanted,
    *,
    before: int | None,
    limit: int,
    offset: int,
) -> list[asyncpg.Record]:
    """Return deliveries of an endpoint, the latest first; `before` is the last id of the page before."""
    low, high = await _bounds(connection, tenant_id, endpoint_id, wanted)
    high = before if high is None else high if before is None else min(high, before)
    return await connection.fetch(
        _sql["page"],
        *(tenant_id, endpoint_id, high, low, wanted.status, regex_of(wanted.kinds), wanted.since, wanted.until),
        *(limit, offset),
    )


async def total(connection: Connection, tenant_id: int, endpoint_id: int, wanted: Wanted) -> Total:
    """Return how many deliveries an endpoint has, by its counters; with a filter by kind or time, by counting some."""
    if wanted.is_counted:
        row = await connection.fetchrow(
            _sql["totals"], tenant_id, endpoint_id, wanted.status in {"pending", "retrying"}
        )
        return Total(0 if row is None else _of_counters(row, wanted.status), is_exact=True)
    low, high = await _bounds(connection, tenant_id, endpoint_id, wanted)
    found: int = await connection.fetchval(
        _sql["count"],
        *(tenant_id, endpoint_id, high, low, wanted.status, regex_of(wanted.kinds), wanted.since, wanted.until),
        MOST_COUNTED,
    )
    return Total(found, is_exact=found < MOST_COUNTED)


async def read(connection: Connection, tenant_id: int, delivery_id: int) -> asyncpg.Record:
    """Return a delivery with its event. Raises NotFoundError."""
    row = None
    if 0 <= delivery_id <= _LARGEST_ID:
        row = await connection.fetchrow(_sql["one"], tenant_id, delivery_id)
    if row is None:
        raise _missing(delivery_id)
    return row


async def attempts_of(connection: Connection, tenant_id: int, delivery_id: int) -> list[asyncpg.Record]:
    """Return the last hundred attempts of a delivery, the first of them first."""
    return await connection.fetch(_sql["attempts_of_delivery"], tenant_id, delivery_id)


async def attempts(  # noqa: PLR0913 - a list has this many sides
    connection: Connection,
    tenant_id: int,
    endpoint_id: int,
    *,
    outcome: str | None,
    before: int | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return attempts of an endpoint, the latest first; `before` is the last id of the page before."""
    return await connection.fetch(_sql["attempts_of_endpoint"], tenant_id, endpoint_id, before, outcome, limit)


async def resend(connection: Connection, tenant_id: int, delivery_id: int) -> None:
    """Send a delivery again, at once and under the same webhook-id: one that waits needs to wait no longer.

    Raises NotFoundError, GoneError when its event is not kept any more, ConflictError while its endpoint is switched off.
    """
    row = await _locked(connection, tenant_id, delivery_id) if 0 <= delivery_id <= _LARGEST_ID else None
    if row is None:
        raise _missing(delivery_id)
    if not row["kept"]:
        raise GoneError("The event of this delivery is no longer kept.", code="event_gone")
    if not row["active"]:
        raise switched_off(row["endpoint_id"])
    if row["status"] in _FINISHED:
        await requeue(connection, tenant_id, [delivery_id], lane=_FIRST_LANE)
    else:
        await connection.execute(_sql["hurry"], delivery_id)
        await connection.execute(_sql["hurried"], tenant_id, delivery_id)
    await connection.execute(_sql["wake"])


async def _locked(connection: Connection, tenant_id: int, delivery_id: int) -> asyncpg.Record | None:
    """Return a delivery, locked after its place in the queue: in the order of the workers, for another one is a deadlock."""
    for left in reversed(range(_LOOKS)):
        # rolled back, a look that met a change gives its locks back
        look = connection.transaction()
        await look.start()
        has_place: bool = await connection.fetchval(_sql["lock_waiting"], delivery_id)
        row = await connection.fetchrow(_sql["lock"], tenant_id, delivery_id)
        if row is None or has_place is (row["status"] not in _FINISHED) or not left:
            await look.commit()
            return row
        await look.rollback()
    return None


async def requeue(connection: Connection, tenant_id: int, delivery_ids: Sequence[int], *, lane: int) -> int:
    """Queue finished deliveries once more, with the whole schedule of retries before them; return how many were finished.

    Attempts are kept, counters lowered by what the deliveries were. Two callers at once queue each delivery once.
    """
    done: int = await connection.fetchval(_sql["requeue"], tenant_id, delivery_ids, lane)
    return done


async def wake(connection: Connection) -> None:
    """Wake the workers when the transaction commits."""
    await connection.execute(_sql["wake"])


async def bound(connection: Connection, tenant_id: int, endpoint_id: int, moment: datetime) -> int | None:
    """Return an id before which no delivery of an endpoint was made at a time or later; None: it has none at all."""
    found: int | None = await connection.fetchval(_sql["bound"], tenant_id, endpoint_id, moment - _SKEW)
    return found


def switched_off(endpoint_id: int) -> ConflictError:
    """Return the error for what an endpoint that is switched off can't do."""
    detail = f"Webhook {endpoint_id} is switched off; enable it first."
    return ConflictError(detail, code="webhook_disabled")


async def _bounds(
    connection: Connection, tenant_id: int, endpoint_id: int, wanted: Wanted
) -> tuple[int | None, int | None]:
    low = high = None
    if wanted.since is not None:
        low = await bound(connection, tenant_id, endpoint_id, wanted.since)
    if wanted.until is not None:
        high = await bound(connection, tenant_id, endpoint_id, wanted.until + 2 * _SKEW)
    return low, high


def _of_counters(row: asyncpg.Record, status: str | None) -> int:
    waiting = row["made"] - row["delivered"] - row["failed"]
    counts = {
        None: row["made"],
        "delivered": row["delivered"],
        "failed": row["failed"],
        "retrying": row["retrying"],
        "pending": waiting - (row["retrying"] or 0),
    }
    return max(counts[status] or 0, 0)


def _missing(delivery_id: int) -> NotFoundError:
    return NotFoundError(f"Delivery {delivery_id} not found")
