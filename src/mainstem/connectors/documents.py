"""A booking as it is kept, as two readings of it become one, and as events tell it. Pure."""

from dataclasses import replace
from datetime import date
from typing import Any

import msgspec

from mainstem.connectors.connector import Connector
from mainstem.connectors.plan import local_id, number
from mainstem.connectors.ports import Booking, Line


def doc_of(booking: Booking) -> str:
    """Return a booking as it is kept: without contact and raw, which hold more about people than an order needs."""
    return msgspec.json.encode(replace(booking, raw={}, contact=None)).decode()


def booking_of(doc: str) -> Booking:
    """Return a kept booking."""
    return msgspec.json.decode(doc, type=Booking)


def merged(booking: Booking, kept: Booking) -> Booking:
    """Return a reading, with what it does not tell as it is known."""
    return replace(
        booking,
        lines=booking.lines if booking.lines is not None else kept.lines,
        total=booking.total if booking.total is not None else kept.total,
        zone=booking.zone or kept.zone,
        location_id=booking.location_id or kept.location_id,
        group_id=booking.group_id or kept.group_id,
    )


def booking_data(connector: Connector, booking: Booking, version: int) -> dict[str, Any]:
    """Return what events say of a booking."""
    return {
        "connector": connector.name,
        "booking_id": booking.booking_id,
        "group_id": booking.group_id,
        "site_id": booking.site_id,
        "establishment": connector.rules.establishment,
        "local_id": local_id(booking.booking_id, connector.rules),
        "name": booking.name,
        "on": _day(booking.on),
        "status": booking.status,
        "deleted": booking.deleted,
        "guests": booking.guests,
        "total": number(booking.total),
        "lines": None if booking.lines is None else [_line(line) for line in booking.lines],
        "order_id": None,
        "order_hash": None,
        "version": version,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "line_id": line.line_id,
        "name": line.name,
        "quantity": number(line.quantity),
        "unit_price": number(line.unit_price),
        "category": line.category,
        "note": line.note,
    }


def _day(on: date | None) -> str | None:
    return None if on is None else on.isoformat()
