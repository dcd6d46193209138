"""Runs in the database: one typed function per use, in the caller's transaction."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from mainstem.connectors.reconcile import Difference
from mainstem.platform.db import Connection, load_queries

_FROZEN: Final = "120s"
_sql: Final = load_queries("mainstem.connectors", "runs.sql")


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run has done so far, and at last."""

    run_id: int
    correlation_id: str
    mode: str
    dry_run: bool
    bookings_read: int = 0
    bookings_taken: int = 0
    bookings_refused: int = 0
    orders_read: int = 0
    queried: int = 0
    injected: int = 0
    skipped: int = 0
    failed: int = 0
    error: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    differences: list[tuple[Difference, str | None]] = field(default_factory=list)
    """Each with what became of it."""

    @property
    def success(self) -> bool:
        """Whether all of it could be read, and nothing failed."""
        return self.error is None and self.failed == 0

    @property
    def summary(self) -> dict[str, int]:
        """Return the figures of CONTRACTS part E."""
        return {"queried": self.queried, "injected": self.injected, "skipped": self.skipped, "failed": self.failed}


async def begin(  # noqa: PLR0913 - the columns of a run
    connection: Connection,
    tenant_id: int,
    connector: str,
    *,
    mode: str,
    dry_run: bool,
    correlation_id: str,
    since: datetime | None,
    until: datetime | None,
    now: datetime,
    by: str,
) -> Report:
    """Write down that a run begins."""
    run_id: int = await connection.fetchval(
        _sql["begin"], tenant_id, connector, mode, dry_run, correlation_id, since, until, now, by
    )
    return Report(run_id=run_id, correlation_id=correlation_id, mode=mode, dry_run=dry_run)


async def abandon(connection: Connection, tenant_id: int, connector: str) -> None:
    """Close runs whose process ended before them; the caller has the lock of runs."""
    await connection.execute(_sql["abandon"], tenant_id, connector)


async def finish(connection: Connection, tenant_id: int, report: Report, now: datetime) -> None:
    """Write down what a run has done."""
    await connection.execute(
        _sql["finish"],
        *(report.run_id, now, report.success, report.error, report.bookings_read, report.bookings_taken),
        *(report.bookings_refused, report.orders_read, report.queried, report.injected, report.skipped, report.failed),
        msgspec.json.encode(report.events).decode(),
    )
    if report.differences:
        found = report.differences
        await connection.execute(
            _sql["differ"],
            *(tenant_id, report.run_id),
            [one.kind.value for one, _ in found],
            [one.booking_id for one, _ in found],
            [one.local_id for one, _ in found],
            [one.order_id for one, _ in found],
            [one.sentence for one, _ in found],
            [done for _, done in found],
        )


@asynccontextmanager
async def leading(connection: Connection, tenant_id: int, connector: str) -> AsyncIterator[bool]:
    """Yield whether this session has the lock of a connector's runs; a session that freezes loses it after two minutes."""
    ours = bool(await connection.fetchval(_sql["try_lead"], str(tenant_id), connector))
    try:
        if ours:
            await connection.execute(f"set idle_session_timeout = '{_FROZEN}'")
        yield ours
    finally:
        # a lost connection has let go of the lock by itself
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            if ours:
                await connection.fetchval(_sql["stop_leading"], str(tenant_id), connector)
                await connection.execute("reset idle_session_timeout")


async def schedule(connection: Connection, tenant_id: int, connector: str, first: datetime) -> asyncpg.Record:
    """Return when the next run is due and up to when the source was read; a connector that is new here is due at `first`."""
    await connection.execute(_sql["schedule"], tenant_id, connector, first)
    row = await connection.fetchrow(_sql["scheduled"], tenant_id, connector)
    if row is None:
        msg = "a schedule that was inserted is there"
        raise RuntimeError(msg)
    return row


async def next_at(connection: Connection, tenant_id: int, connector: str) -> datetime | None:
    """Return when the next run is due; None: no process has worked for the connector yet."""
    row = await connection.fetchrow(_sql["scheduled"], tenant_id, connector)
    return None if row is None else row["next_at"]


def counts(text: str) -> dict[str, int]:
    """Return orders by state as `state` tells them."""
    return msgspec.json.decode(text, type=dict[str, int])


async def take_turn(connection: Connection, tenant_id: int, connector: str, due: datetime, after: datetime) -> bool:
    """Take the turn that was due, and put the next one; False when another process has taken it."""
    return await connection.fetchval(_sql["take_turn"], tenant_id, connector, due, after) is not None


async def has_read(connection: Connection, tenant_id: int, connector: str, until: datetime) -> None:
    """Write down up to when the source has been read whole."""
    await connection.execute(_sql["read_until"], tenant_id, connector, until)


async def page(
    connection: Connection, tenant_id: int, connector: str, *, limit: int, offset: int
) -> tuple[list[asyncpg.Record], int]:
    """Return runs, the latest first, and how many there are on all pages."""
    rows = await connection.fetch(_sql["runs"], tenant_id, connector, limit, offset)
    total: int = await connection.fetchval(_sql["count_runs"], tenant_id, connector)
    return rows, total


async def read(
    connection: Connection, tenant_id: int, connector: str, run_id: int | None
) -> tuple[asyncpg.Record, Sequence[asyncpg.Record]] | None:
    """Return a run with its differences, the latest reconciliation without an id; None when there is none."""
    row = await connection.fetchrow(_sql["run"], tenant_id, connector, run_id)
    return None if row is None else (row, await connection.fetch(_sql["differences"], row["run_id"]))


async def orders(  # noqa: PLR0913 - the filters of a list
    connection: Connection,
    tenant_id: int,
    connector: str,
    *,
    state: str | None,
    booking_id: str | None,
    limit: int,
    offset: int,
) -> tuple[list[asyncpg.Record], int]:
    """Return rows of the ledger, the latest first, and how many there are on all pages."""
    rows = await connection.fetch(_sql["orders"], tenant_id, connector, state, booking_id, limit, offset)
    total: int = await connection.fetchval(_sql["count_orders"], tenant_id, connector, state, booking_id)
    return rows, total


async def steps(connection: Connection, tenant_id: int, connector: str, order_key: int) -> list[asyncpg.Record]:
    """Return the steps of an order."""
    return await connection.fetch(_sql["steps"], tenant_id, connector, order_key)


async def state(connection: Connection, tenant_id: int, connector: str) -> asyncpg.Record:
    """Return how many bookings, orders and open deliveries a connector has."""
    row = await connection.fetchrow(_sql["state"], tenant_id, connector)
    if row is None:
        msg = "a select without a table returns a row"
        raise RuntimeError(msg)
    return row


async def prune(connection: Connection, before: datetime) -> int:
    """Delete runs that ended before a time; return how many."""
    gone = 0
    while some := await connection.fetchval(_sql["prune"], before):
        gone += some
    return gone
