"""The events about bookings and their orders."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mainstem.connectors.connector import Connector
from mainstem.connectors.documents import booking_data
from mainstem.connectors.ports import Booking
from mainstem.connectors.standing import Order, Standing
from mainstem.events.record import Change, record_all
from mainstem.platform.db import Connection


async def tell_booking(  # noqa: PLR0913 - what is told of whom
    connection: Connection,
    tenant_id: int,
    connector: Connector,
    booking: Booking,
    *,
    kind: str,
    version: int,
    now: datetime,
) -> None:
    """Record an event about a booking."""
    data = booking_data(connector, booking, version)
    name = f"{connector.name}:{connector.rules.establishment}:{booking.booking_id}"
    change = Change(
        kind, data, subject=f"booking:{booking.booking_id}", message_id=f"{name}:{version}", occurred_at=now
    )
    await record_all(connection, tenant_id, [change], source=f"connector:{connector.name}")


async def tell_order(  # noqa: PLR0913 - what is told of whom
    connection: Connection,
    tenant_id: int,
    connector: Connector,
    standing: Standing,
    *,
    kind: str,
    order: Order | None,
    now: datetime,
    more: Mapping[str, Any],
) -> None:
    """Record an event about the order of a booking."""
    known = {} if order is None else {"order_hash": order.order_hash, "order_id": order.order_id}
    data = {**booking_data(connector, standing.booking, standing.version), **known, **more}
    change = Change(kind, data, subject=f"booking:{standing.booking.booking_id}", occurred_at=now)
    await record_all(connection, tenant_id, [change], source=f"connector:{connector.name}")
