"""What a connector is made of: a source of bookings, a sink for orders, and the values that pass between them. No I/O here.

A connector reads bookings from a `Source`, makes a `Plan` of each by a mapping of items, and has a `Sink` make the order. All
that is remembered between two calls is in the order ledger (`connectors.ledger`), never in a source or a sink.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One item of a booking, in the source's words."""

    line_id: str
    """The source's id; else its place among the lines, from 1."""
    name: str
    quantity: Decimal
    unit_price: Decimal | None = None
    """None: the source does not say; the sink's own price holds."""
    category: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A booking of a source as connectors see it: one order's worth (Tripleseat: an event)."""

    booking_id: str
    """The source's id of what becomes one order."""
    group_id: str | None = None
    """The source's id of what several of them belong to (Tripleseat: a booking)."""
    site_id: str
    location_id: str | None = None
    """The source's id of a place within the site."""
    name: str
    status: str
    """In capitals, in the source's words: DEFINITE, CLOSED, …"""
    on: date | None
    """The day it takes place, in the zone of the site; None: the source does not say, or not in a form that is known."""
    on_text: str | None = None
    """What the source wrote for the day, where that is no date."""
    zone: str | None = None
    """The IANA time zone of the site, where the source names one."""
    starts_at: datetime | None = None
    """Aware."""
    ends_at: datetime | None = None
    guests: int | None = None
    contact: str | None = None
    total: Decimal | None = None
    lines: tuple[Line, ...] | None
    """None: this reading of the booking does not tell its lines, which is not the same as none."""
    updated: str | None = None
    """The source's word for when it changed: never an identity, for it may say minutes only."""
    deleted: bool = False
    faults: tuple[str, ...] = ()
    """Fields of these that the source gave and that can't be read: no order is made from such a reading."""
    raw: Mapping[str, Any] = field(default_factory=dict)
    """As it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedItem:
    """One item of an order, in the sink's words."""

    product: str
    """The sink's id of a product."""
    name: str
    quantity: Decimal
    price: Decimal | None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An order to be made."""

    local_id: str
    """Name of the order in the sink, made from the booking alone: what is looked for before and after."""
    uuid: UUID
    """Made from the same, for sinks that take an id from their clients."""
    establishment: str
    title: str
    on: date
    starts_at: datetime | None
    guests: int | None
    notes: str
    items: tuple[PlannedItem, ...]
    total: Decimal | None
    """The source's total; None where it does not say."""
    order_hash: str
    """Of all that makes a difference to the kitchen: the same for equal orders, whatever the spelling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkOrder:
    """An order as the sink has it."""

    order_id: str
    local_id: str
    uuid: str | None
    items: Mapping[str, Decimal]
    """Quantity by product."""
    total: Decimal | None
    voided: bool = False
    closed: bool = False
    complete: bool = True
    """False: parts of it are missing (it was being made when something went wrong)."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether one resource of an upstream may be used: permissions are given for each of them."""

    resource: str
    ok: bool
    sentence: str
    """What was found, without secrets."""
    status: int | None = None


class NotThereError(Exception):
    """The upstream says that there is no such thing."""


class UpstreamError(Exception):
    """The upstream gave no usable answer: nothing is known, and nothing was done there (or nothing that matters)."""

    def __init__(self, sentence: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        """Keep the sentence, the status where there was one, and how long the upstream asks to wait."""
        super().__init__(sentence)
        self.status = status
        self.retry_after_s = retry_after_s


class RefusedError(Exception):
    """The sink understood the order and does not take it; trying again changes nothing until somebody acts."""


class OutcomeUnknownError(Exception):
    """The order was sent and no answer came: it may be there or not. Only reading the sink can tell."""


class Source(Protocol):
    """Where bookings come from."""

    async def booking(self, booking_id: str) -> Booking:
        """Return a booking as it is now. Raises NotThereError, UpstreamError."""

    def changed(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Booking]]:
        """Yield pages of the bookings that were changed, or take place, in a window; whole only when it ends by itself.

        Raises UpstreamError: then nothing may be concluded from what did not come.
        """

    async def probe(self) -> list[Probe]:
        """Return what may be read there, one line for each resource in use. Never raises for what an upstream does."""


class Sink(Protocol):
    """Where orders go. It never makes up its mind: whatever it can't tell, it raises."""

    async def find(self, plan_local_id: str, uuid: UUID, establishment: str) -> list[SinkOrder]:
        """Return the orders of this name, voided ones too. Raises UpstreamError: then nothing may be submitted."""

    async def submit(self, plan: Plan) -> SinkOrder:
        """Make the order, whole or not at all. Raises RefusedError, UpstreamError, OutcomeUnknownError."""

    async def replace(self, order: SinkOrder, plan: Plan) -> SinkOrder:
        """Change an open order to a new plan. Raises RefusedError (it is closed, say), UpstreamError, OutcomeUnknownError."""

    async def void(self, order: SinkOrder, reason: str) -> None:
        """Void an order; one that is void stays so. Raises RefusedError, UpstreamError, OutcomeUnknownError."""

    def orders(self, establishment: str, since: date, until: date) -> AsyncIterator[Sequence[SinkOrder]]:
        """Yield pages of this connector's orders (by the prefix of their local_id) of some days. Raises UpstreamError."""

    async def probe(self) -> list[Probe]:
        """Return what may be used there, one line for each resource in use. Never raises for what an upstream does."""


class State(StrEnum):
    """Where an order of the ledger stands."""

    DEFERRED = "deferred"
    """Too early: fires at `not_before`."""
    PLANNED = "planned"
    SUBMITTING = "submitting"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    """Refused, or not mapped: somebody has to act."""
    UNKNOWN = "unknown"
    """Sent, and no answer came; resolved by reading the sink alone."""
    SUPERSEDED = "superseded"
    """The booking has changed; a later row has its order."""
    VOIDED = "voided"
    BLOCKED = "blocked"
    """Whether the order exists can't be told now; nothing is submitted until it can."""
