"""From a booking to a plan of its order: wanted or not, mapped or not, and what makes two orders equal. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import uuid5

from mainstem.connectors.connector import Rules
from mainstem.connectors.gate import DayPassed, Gate, Proceed, TooEarly, Unknown, reason_of, time_gate
from mainstem.connectors.mapping import ItemMap, key_of
from mainstem.connectors.ports import Booking, Line, Plan, PlannedItem

_CANCELLED: Final = frozenset({"LOST", "CANCELLED", "CANCELED"})


class Reason(StrEnum):
    """Why a booking is no order, in the words of CONTRACTS part E."""

    MISSING_SITE_ID = "MISSING_SITE_ID"
    LOCATION_NOT_ALLOWED = "LOCATION_NOT_ALLOWED"
    NO_EVENT_ID = "NO_EVENT_ID"
    NO_EVENT_DATA = "NO_EVENT_DATA"
    INVALID_STATUS = "INVALID_STATUS"
    UNMAPPED_ITEM = "UNMAPPED_ITEM"


@dataclass(frozen=True, slots=True)
class NotWanted:
    """It makes no order; one that it has is void."""

    reason: str
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """It is nobody's business here: of a foreign site, or without an id."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unmapped:
    """It can't be an order before people act."""

    items: tuple[str, ...]
    """Names of the items that have no product; none: the booking has no item at all."""
    order_hash: str

    @property
    def sentence(self) -> str:
        """Say which."""
        if not self.items:
            return "The booking has no item that makes an order."
        return f"No product is mapped to: {', '.join(self.items)}."


@dataclass(frozen=True, slots=True)
class LinesUnknown:
    """No reading of it has told its items yet, or not so that they can be read."""

    sentence: str = "No reading of the booking has told its items yet."


@dataclass(frozen=True, slots=True)
class Shut:
    """The time gate is closed, and time will not open it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """Its order is to be made, now or later."""

    plan: Plan
    until: datetime | None = None
    """When its day begins; None: it is the day."""


Judged = Ready | Shut | NotWanted | Refused | Unmapped | LinesUnknown


def refusal(booking: Booking, rules: Rules) -> Refused | None:
    """Return why a booking is not taken at all; None when it is."""
    if not booking.booking_id:
        return Refused(Reason.NO_EVENT_ID)
    if not booking.site_id:
        return Refused(Reason.MISSING_SITE_ID)
    if rules.site_id and booking.site_id != rules.site_id:
        return Refused(Reason.LOCATION_NOT_ALLOWED)
    if rules.locations and not rules.locations & {booking.site_id, booking.location_id}:
        return Refused(Reason.LOCATION_NOT_ALLOWED)
    return None


def judge(booking: Booking, items: ItemMap, rules: Rules, now: datetime) -> Judged:
    """Return what a booking is at a time: a plan to follow now or later, or why there is none."""
    refused = refusal(booking, rules)
    if refused is not None:
        return refused
    status = booking.status.upper()
    if booking.deleted or status not in rules.statuses:
        word = "DELETED" if booking.deleted else status
        return NotWanted(f"{Reason.INVALID_STATUS}:{word}", cancelled=booking.deleted or status in _CANCELLED)
    gate = gate_of(booking, rules, now)
    match gate:
        case DayPassed() | Unknown():
            return Shut(reason_of(gate) or "")
        case TooEarly(until):
            opens: datetime | None = until
        case Proceed():
            opens = None
    if booking.faults:
        return LinesUnknown(f"These fields can't be read: {', '.join(booking.faults)}.")
    if booking.lines is None:
        return LinesUnknown()
    planned = plan_of(booking, booking.lines, items, rules)
    return planned if isinstance(planned, Unmapped) else Ready(planned, opens)


def gate_of(booking: Booking, rules: Rules, now: datetime) -> Gate:
    """Return whether the booking's order is made now, in the zone of its site."""
    zone = rules.zone or booking.zone or rules.fallback_zone
    return time_gate(booking.on, zone, now, on_text=booking.on_text)


def local_id(booking_id: str, rules: Rules) -> str:
    """Return the name of a booking's order in the sink."""
    return f"{rules.prefix}{booking_id}"


def booking_id_of(name: str, rules: Rules) -> str | None:
    """Return whose order a name means, None when it is no name of this connector's."""
    return name.removeprefix(rules.prefix) if name.startswith(rules.prefix) else None


def plan_of(booking: Booking, lines: Sequence[Line], items: ItemMap, rules: Rules) -> Plan | Unmapped:
    """Return the order of a booking whose day is known, or which items stand in its way: all of them."""
    wanted = [line for line in lines if line.quantity > 0]
    missing = [line.name for line in wanted if key_of(line.name) not in items]
    planned = [
        PlannedItem(
            product=entry.product,
            name=entry.product_name or line.name,
            quantity=line.quantity,
            price=line.unit_price,
            note=(line.note or "").strip() or None,
        )
        for line in wanted
        if (entry := items.get(key_of(line.name))) is not None and entry.product is not None
    ]
    if missing or not planned:
        return Unmapped(tuple(dict.fromkeys(missing)), _hash({"unmapped": sorted(_line(line) for line in wanted)}))
    return _plan(booking, merged(planned), rules)


def merged(items: Sequence[PlannedItem]) -> tuple[PlannedItem, ...]:
    """Return the items with equal ones (product, price, note) made one, in the order of their first."""
    found: dict[tuple[str, Decimal | None, str | None], PlannedItem] = {}
    for item in items:
        key = (item.product, item.price, item.note)
        same = found.get(key)
        found[key] = item if same is None else replace(same, quantity=same.quantity + item.quantity)
    return tuple(found.values())


def _plan(booking: Booking, items: tuple[PlannedItem, ...], rules: Rules) -> Plan:
    if booking.on is None:
        msg = "a plan is made for a day"
        raise ValueError(msg)
    name = local_id(booking.booking_id, rules)
    return Plan(
        local_id=name,
        uuid=uuid5(rules.namespace, f"{rules.establishment}\n{name}"),
        establishment=rules.establishment,
        title=booking.name,
        on=booking.on,
        starts_at=booking.starts_at,
        guests=booking.guests,
        notes=f"{booking.name} (#{booking.booking_id})",
        items=items,
        total=booking.total,
        order_hash=_hash(
            {
                "establishment": rules.establishment,
                "on": booking.on.isoformat(),
                "starts_at": _moment(booking.starts_at),
                "guests": booking.guests,
                "total": number(booking.total),
                "items": sorted(
                    [one.product, number(one.quantity), number(one.price) or "", one.note or ""] for one in items
                ),
            }
        ),
    )


def booking_hash(booking: Booking) -> str:
    """Return what two readings of an unchanged booking share: the fields that matter, not how or when they were read."""
    return _hash(
        {
            "site": booking.site_id,
            "location": booking.location_id,
            "name": booking.name,
            "status": booking.status.upper(),
            "on": None if booking.on is None else booking.on.isoformat(),
            "on_text": booking.on_text,
            # where it is told: which day it is, and whether that can be known, depends on it
            **({"zone": booking.zone} if booking.zone else {}),
            "starts_at": _moment(booking.starts_at),
            "ends_at": _moment(booking.ends_at),
            "guests": booking.guests,
            "total": number(booking.total),
            "lines": None if booking.lines is None else sorted(_line(line) for line in booking.lines),
            "deleted": booking.deleted,
            "faults": sorted(booking.faults),
        }
    )


def number(value: Decimal | None) -> str | None:
    """Return a number as text that does not depend on how it was written: 2, 2.0 and 2.00 are one."""
    if value is None:
        return None
    plain = format(value.normalize(), "f")
    return "0" if plain in {"-0", "0"} else plain


def _line(line: Line) -> list[str]:
    return [key_of(line.name), number(line.quantity) or "", number(line.unit_price) or "", (line.note or "").strip()]


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="minutes")


def _hash(parts: dict[str, Any]) -> str:
    return sha256(json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
