"""What differs between bookings, the ledger and the sink. Pure: it reads nothing and mends nothing.

All that is given must have been read whole: what is missing from a part of a list proves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from mainstem.connectors.aim import BY_HAND
from mainstem.connectors.decide import matches, quantities, same_items
from mainstem.connectors.plan import Judged, LinesUnknown, NotWanted, Ready, Refused, Shut, Unmapped, number
from mainstem.connectors.ports import Plan, SinkOrder, State
from mainstem.connectors.standing import IN_DOUBT, Order


class Kind(StrEnum):
    """How something differs."""

    MISSING = "missing"
    AMOUNT_DIFFERS = "amount_differs"
    EXTRA = "extra"
    BLOCKED = "blocked"
    UNMAPPED = "unmapped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A booking, what it is by the rules, and its rows of the ledger."""

    booking_id: str
    local_id: str
    name: str
    judged: Judged
    orders: Sequence[Order] = ()
    unsure: bool = False
    """Something else was sent after the confirmed order was."""

    @property
    def confirmed(self) -> Order | None:
        """Return the order that is thought to be there."""
        return next((one for one in self.orders if one.state is State.CONFIRMED), None)

    @property
    def in_doubt(self) -> Order | None:
        """Return the order that may be there."""
        return next((one for one in self.orders if one.state in IN_DOUBT), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs, in a sentence for people."""

    kind: Kind
    local_id: str
    sentence: str
    booking_id: str | None = None
    order_id: str | None = None
    mends: bool = False
    """Whether working on the booking may mend it."""


def diff(bookings: Sequence[Known], orders: Sequence[SinkOrder]) -> list[Difference]:
    """Return what differs, in the order of the bookings, then orders that belong to none. Each is told once."""
    there: dict[str, list[SinkOrder]] = {}
    for order in orders:
        there.setdefault(order.local_id, []).append(order)
    found = [one for booking in bookings for one in _of_booking(booking, there.get(booking.local_id, ()))]
    named = {booking.local_id for booking in bookings}
    strangers = [order for name, some in there.items() if name not in named for order in some if not order.voided]
    return found + [
        Difference(
            kind=Kind.EXTRA,
            local_id=order.local_id,
            order_id=order.order_id,
            sentence=f"Order {order.order_id} ({order.local_id}) belongs to no booking that is known.",
        )
        for order in strangers
    ]


def _of_booking(booking: Known, orders: Sequence[SinkOrder]) -> list[Difference]:
    live = [order for order in orders if not order.voided]
    if booking.in_doubt is not None:
        return [_told(booking, Kind.BLOCKED, "whether its order arrived is not known yet", mends=True)]
    match booking.judged:
        case Ready(plan, until):
            return _of_ready(booking, plan, orders, live, is_day=until is None)
        case Unmapped():
            return [_told(booking, Kind.UNMAPPED, booking.judged.sentence.rstrip("."), mends=True)]
        case LinesUnknown(sentence):
            return [] if live else [_told(booking, Kind.BLOCKED, sentence.rstrip("."), mends=True)]
        case NotWanted(reason) | Refused(reason):
            return [
                _told(
                    booking,
                    Kind.EXTRA,
                    f"order {one.order_id} is there, and none should be ({reason})",
                    one,
                    mends=True,
                )
                for one in live
            ]
        case Shut(reason):
            waits = any(one.state in {State.PLANNED, State.BLOCKED, State.DEFERRED} for one in booking.orders)
            return (
                [_told(booking, Kind.BLOCKED, f"no order was made: {reason}", mends=True)] if waits and not live else []
            )


def _of_ready(
    booking: Known, plan: Plan, orders: Sequence[SinkOrder], live: Sequence[SinkOrder], *, is_day: bool
) -> list[Difference]:
    row = booking.confirmed
    if not is_day and row is None:
        return []
    if not live:
        if _left_void(booking, plan):
            return []
        voided = next((one for one in orders if row is not None and one.order_id == row.order_id), None)
        sentence = "its order was voided by hand" if voided is not None else "no order is there"
        return [_told(booking, Kind.MISSING, sentence, voided, mends=True)]
    stale = row.order_id if row is not None and (booking.unsure or row.order_hash != plan.order_hash) else None
    current = next((one for one in booking.orders if one.order_hash == plan.order_hash), row)
    right = next((one for one in live if one.order_id != stale and matches(one, plan, current)), None)
    found = []
    if right is None:
        found.append(_told(booking, Kind.AMOUNT_DIFFERS, difference(plan, live[0], current), live[0], mends=True))
    kept = right or live[0]
    return found + [
        _told(booking, Kind.EXTRA, f"order {one.order_id} is one too many", one, mends=True)
        for one in live
        if one is not kept
    ]


def _left_void(booking: Known, plan: Plan) -> bool:
    return any(
        one.order_hash == plan.order_hash and one.state is State.VOIDED and one.reason == BY_HAND
        for one in booking.orders
    )


def difference(plan: Plan, order: SinkOrder, row: Order | None) -> str:
    """Say how an order differs from its plan."""
    planned, there = quantities(plan), dict(order.items)
    parts = [
        f"{product}: {_many(there, product)} instead of {_many(planned, product)}"
        for product in sorted({*planned, *there})
        if there.get(product, 0) != planned.get(product, 0)
    ]
    if not order.complete:
        parts.append("it is not complete")
    if row is not None and row.sink_total is not None and order.total not in {None, row.sink_total}:
        parts.append(f"total {number(order.total)} instead of {number(row.sink_total)}")
    if not parts and same_items(there, planned):
        parts.append("it is of an earlier state of the booking")
    return f"order {order.order_id} differs: {', '.join(parts)}"


def _many(items: Mapping[str, Decimal], product: str) -> str:
    return number(items.get(product)) or "0"


def _told(
    booking: Known, kind: Kind, sentence: str, order: SinkOrder | None = None, *, mends: bool = False
) -> Difference:
    return Difference(
        kind=kind,
        local_id=booking.local_id,
        booking_id=booking.booking_id,
        order_id=None if order is None else order.order_id,
        sentence=f"Booking {booking.booking_id} ({booking.name}): {sentence}.",
        mends=mends,
    )
