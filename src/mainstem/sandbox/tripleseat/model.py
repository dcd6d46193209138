"""Events as Tripleseat keeps them, and the store of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from typing import Any, Final

from mainstem.sandbox.venues import Room, Site

CENT: Final = Decimal("0.01")
_FIRST_EVENT: Final = 55_521_600
_FIRST_BOOKING: Final = 41_200_100
_FIRST_LINE: Final = 88_100_001


@dataclass(slots=True)
class LineItem:
    """A line of an event's document."""

    line_id: int
    description: str
    quantity: Decimal
    price: Decimal
    category: str
    long_description: str = ""

    @property
    def total(self) -> Decimal:
        """Quantity times price."""
        return (self.quantity * self.price).quantize(CENT, ROUND_HALF_UP)


@dataclass(slots=True)
class StatusChange:
    """One step of an event's status."""

    status: str
    previous: str | None
    at: datetime


@dataclass(slots=True)
class Event:
    """One event; it has one document with its lines."""

    event_id: int
    booking_id: int
    name: str
    status: str
    site: Site
    room: Room
    starts_at: datetime
    """Aware, in the site's zone."""
    ends_at: datetime
    guests: int
    contact: str
    created_at: datetime
    updated_at: datetime
    lines: list[LineItem]
    description: str = ""
    deleted_at: datetime | None = None
    changes: list[StatusChange] = field(default_factory=list)
    overrides: dict[str, Any] = field(default_factory=dict)
    """Fields that are shown like this whatever is true: for tests of what should never come."""

    @property
    def subtotal(self) -> Decimal:
        """Sum of the lines."""
        return sum((line.total for line in self.lines), Decimal("0.00"))

    @property
    def tax(self) -> Decimal:
        """Tax of the site on all lines."""
        return (self.subtotal * self.site.tax_rate).quantize(CENT, ROUND_HALF_UP)

    def set_status(self, status: str, now: datetime) -> None:
        """Change the status and note the step."""
        self.changes.append(StatusChange(status, self.status, now))
        self.status = status


class Events:
    """All events, deleted ones too."""

    def __init__(self) -> None:
        """Start empty; ids look like the real ones."""
        self._events: dict[int, Event] = {}
        self._ids = count(_FIRST_EVENT)
        self._bookings = count(_FIRST_BOOKING)
        self._lines = count(_FIRST_LINE)

    def next_ids(self, wanted: int | None = None) -> tuple[int, int]:
        """Return the id of a new event (the wanted one, if it is free) and of its booking. Raises KeyError: it is taken."""
        if wanted is None:
            wanted = next(number for number in self._ids if number not in self._events)
        elif wanted in self._events:
            raise KeyError(wanted)
        return wanted, next(self._bookings)

    def next_line(self) -> int:
        """Return the id of a new line."""
        return next(self._lines)

    def add(self, event: Event) -> None:
        """Keep an event."""
        self._events[event.event_id] = event

    def all(self) -> list[Event]:
        """Return all events, deleted ones too."""
        return list(self._events.values())

    def restore(self, events: Sequence[Event]) -> None:
        """Hold these events and no others; new ones get ids that none of them has."""
        self._events = {event.event_id: event for event in events}
        self._bookings = count(max((event.booking_id for event in events), default=_FIRST_BOOKING - 1) + 1)
        lines = (line.line_id for event in events for line in event.lines)
        self._lines = count(max(lines, default=_FIRST_LINE - 1) + 1)

    def get(self, event_id: int) -> Event | None:
        """Return an event unless it was deleted."""
        event = self._events.get(event_id)
        return event if event is not None and event.deleted_at is None else None

    def of_booking(self, booking_id: int) -> list[Event]:
        """Return the events of a booking."""
        return [event for event in self if event.booking_id == booking_id]

    def __iter__(self) -> Iterator[Event]:
        return (event for event in list(self._events.values()) if event.deleted_at is None)
