"""Reads of the dashboard: one typed function per query of `queries.sql`, each in the caller's transaction.

Every figure comes from roll-ups that are kept as deliveries and loads happen, so none grows with the history. What the whole
installation does (latency, errors, hits of the cache) is handed in as a function, as it belongs to another part.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import asyncpg

from mainstem.platform.db import Connection, load_queries

WINDOW: Final = timedelta(minutes=15)
"""What performance is measured over, unless asked otherwise."""
LONGEST_DATA: Final = 8_192
"""Bytes of an event's data that are shown live; longer data is left out."""
_sql: Final = load_queries("mainstem.dashboard")


class Figures(Protocol):
    """What a window of minutes of all processes was like."""

    @property
    def requests(self) -> int:
        """Requests answered."""

    @property
    def errors_5xx(self) -> int:
        """Of them, with a status from 500 on."""

    @property
    def p50_ms(self) -> float:
        """Median latency; p95, p99 and the mean likewise. 0.0 without requests."""

    @property
    def p95_ms(self) -> float:
        """See p50_ms."""

    @property
    def p99_ms(self) -> float:
        """See p50_ms."""

    @property
    def avg_ms(self) -> float:
        """See p50_ms."""

    @property
    def cache_hits(self) -> int:
        """Look-ups that the cache answered."""

    @property
    def cache_misses(self) -> int:
        """Those that it did not."""


Window = Callable[[Connection, datetime, datetime], Awaitable[Figures]]
"""Returns the figures of all processes since a time, until another."""


class Overview(NamedTuple):
    """A tenant's deliveries, endpoints and events."""

    total_deliveries: int
    pending_deliveries: int
    successful_deliveries: int
    failed_deliveries: int
    active_webhooks: int
    degraded_webhooks: int
    disabled_webhooks: int
    events_loaded: int
    events_rejected: int
    events_duplicate: int

    @property
    def success_rate_percent(self) -> float | None:
        """Delivered of those that came to an end; None while none has."""
        return percent(self.successful_deliveries, self.successful_deliveries + self.failed_deliveries)


class Hour(NamedTuple):
    """Attempts of one endpoint in one hour."""

    endpoint_id: int
    name: str
    hour: datetime
    attempts: int
    failed: int


class Health(NamedTuple):
    """Endpoints of all tenants."""

    active: int
    degraded: int
    pending: int


class Owner(NamedTuple):
    """A loaded batch, whose it is, and how many of its events were new."""

    tenant_id: int
    batch_id: int
    loaded: int


class Event(NamedTuple):
    """One loaded event; `data` is JSON, None when it is too long to be shown."""

    event_uid: UUID
    kind: str
    occurred_at: datetime
    received_at: datetime
    source: str
    message_id: str | None
    subject: str | None
    data: str | None


def percent(part: int, whole: int) -> float | None:
    """Return a share in percent, to two digits; None of nothing."""
    return round(100 * part / whole, 2) if whole else None


async def overview(connection: Connection, tenant_id: int) -> Overview:
    """Return a tenant's deliveries, endpoints and events."""
    return Overview(*_one(await connection.fetchrow(_sql["overview"], tenant_id)))


async def webhooks(connection: Connection, tenant_id: int, limit: int) -> list[dict[str, Any]]:
    """Return the endpoints of a tenant with their figures, those that need a look first."""
    found = []
    for row in await connection.fetch(_sql["webhooks"], tenant_id, limit):
        one = dict(row)
        attempts, ms_sum = one.pop("attempts"), one.pop("ms_sum")
        ended = one["successful_deliveries"] + one["failed_deliveries"]
        one["success_rate_percent"] = percent(one["successful_deliveries"], ended)
        one["avg_response_time_ms"] = round(ms_sum / attempts, 2) if attempts else None
        found.append(one)
    return found


async def hours(connection: Connection, tenant_id: int, since: datetime, until: datetime) -> list[Hour]:
    """Return attempts by endpoint and hour, in that order; `since` is the beginning of an hour."""
    return [Hour(*row) for row in await connection.fetch(_sql["hours"], tenant_id, since, until)]


async def health(connection: Connection) -> Health:
    """Return the endpoints of all tenants, as the owner sees them."""
    return Health(*_one(await connection.fetchrow(_sql["health"])))


async def owners(connection: Connection, batch_ids: Sequence[int], tenants: Sequence[int]) -> list[Owner]:
    """Return those of the batches that belong to these tenants and brought something, as the owner sees them."""
    return [Owner(*row) for row in await connection.fetch(_sql["owners"], batch_ids, tenants)]


async def recent_batches(connection: Connection, tenant_id: int, limit: int) -> list[int]:
    """Return the newest batches of a tenant from which something was loaded."""
    return [batch_id for (batch_id,) in await connection.fetch(_sql["recent_batches"], tenant_id, limit)]


async def newest_events(connection: Connection, tenant_id: int, batch_ids: Sequence[int], limit: int) -> list[Event]:
    """Return the newest loaded events of batches of a tenant, at most `limit`, oldest first."""
    rows = await connection.fetch(_sql["newest_events"], tenant_id, batch_ids, limit, LONGEST_DATA)
    return [Event(*row) for row in rows]


def _one(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        msg = "an aggregate has one row"
        raise RuntimeError(msg)
    return row
