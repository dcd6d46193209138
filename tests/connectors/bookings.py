"""What the tests of bookings in the vault share: events as connectors record them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from siting import FEEDS, raw_event

from mainstem.events.model import RawEvent
from mainstem.features import CHECKS
from mainstem.vault.check import check
from mainstem.vault.feed import structures_of

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = "2026-05-04"
LINES = [
    {"line_id": "1", "name": "Taco bar", "quantity": 40, "unit_price": "12.50"},
    {"line_id": "2", "name": "Lemonade", "quantity": "3.0", "unit_price": None},
]


def told(kind: str = "booking.received", booking_id: str = "77", minutes: float = 0, **data: Any) -> RawEvent:
    """Return an event of the connector `tripleseat`; a value of `...` leaves the field out. `event` replaces columns."""
    columns = data.pop("event", {})
    said = {
        "connector": "tripleseat",
        "booking_id": booking_id,
        "site_id": "4",
        "establishment": "12",
        "local_id": f"Triple Seat_{booking_id}",
        "name": "Spring party",
        "on": DAY,
        "status": "DEFINITE",
        "guests": 40,
        "lines": LINES,
        "total": "500.00",
        "order_id": None,
        "order_hash": None,
        "version": 1,
        **data,
    }
    event = raw_event(
        {name: value for name, value in said.items() if value is not ...},
        kind=kind,
        source="connector:tripleseat",
        subject=f"booking:{booking_id}",
        occurred_at=START + timedelta(minutes=minutes),
        visitor=None,
        ip=None,
        user_agent=None,
    )
    return event._replace(**columns)


def ordered(state: str = "injected", booking_id: str = "77", **data: Any) -> RawEvent:
    """Return an event about the order of a booking."""
    return told(f"order.{state}", booking_id, **{"order_id": "R1", "order_hash": "abc", **data})


async def failed(dsn: str) -> list[str]:
    """Return the subjects of the checks that fail."""
    found = await check(dsn, structures_of(FEEDS), CHECKS, full=True)
    return [one.subject for one in found if one.state == "failed"]


async def days(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    """Return the roll-up, as text where that is easier to read."""
    rows = await connection.fetch(
        """select site_id, day::text, status, bookings, guests, revenue::text from business.booking_day
           order by tenant_id, connector, 1, 2, 3"""
    )
    return [tuple(row) for row in rows]
