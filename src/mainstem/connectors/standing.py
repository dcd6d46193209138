"""Where a booking and its orders stand: what the ledger has of them, as values. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import asyncpg
import msgspec

from mainstem.connectors.documents import booking_of
from mainstem.connectors.ports import Booking, Plan, State

IN_DOUBT: Final = frozenset({State.SUBMITTING, State.UNKNOWN})
WAITING: Final = frozenset({State.DEFERRED, State.PLANNED, State.BLOCKED, State.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One row of the ledger."""

    order_key: int
    order_hash: str
    state: State
    reason: str | None = None
    error: str | None = None
    local_id: str = ""
    plan: Plan | None = None
    order_id: str | None = None
    sink_total: Decimal | None = None
    attempts: int = 0
    submitted_at: datetime | None = None
    not_before: datetime | None = None
    changed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A booking that is claimed, with its orders."""

    booking_key: int
    booking: Booking
    version: int
    touched: int
    asked: bool
    attempts: int
    orders: tuple[Order, ...]
    last_reason: str | None = None
    last_result: str | None = None
    unsure: bool = False
    """Something else was sent after the confirmed order was: what is there may be that."""
    correlation_id: str | None = None
    """Of the request or run that told of it last."""


def standing_of(row: asyncpg.Record, orders: Sequence[Order]) -> Standing:
    """Return a booking of its row, with its orders."""
    return Standing(
        booking_key=row["booking_key"],
        booking=booking_of(row["doc"]),
        version=row["version"],
        touched=row["touched"],
        asked=row["asked"],
        attempts=row["attempts"],
        orders=tuple(orders),
        last_reason=row["reason"],
        last_result=row["result"],
        unsure=row["unsure"],
        correlation_id=row["correlation_id"],
    )


def order_of(row: asyncpg.Record) -> Order:
    """Return an order of its row."""
    return Order(
        order_key=row["order_key"],
        order_hash=row["order_hash"],
        state=State(row["state"]),
        reason=row["reason"],
        error=row["error"],
        local_id=row["local_id"],
        plan=None if row["plan"] is None else msgspec.json.decode(row["plan"], type=Plan),
        order_id=row["order_id"],
        sink_total=row["sink_total"],
        attempts=row["attempts"],
        submitted_at=row["submitted_at"],
        not_before=row["not_before"],
        changed_by=row["changed_by"],
    )
