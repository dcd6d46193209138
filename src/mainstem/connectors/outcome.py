"""What became of a booking, and how a round of work on it ends. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from mainstem.connectors.aim import BY_HAND, Rest, Status
from mainstem.connectors.decide import ByHand, Flag, Gone, Step, Wait
from mainstem.connectors.ports import Booking
from mainstem.connectors.standing import Order

VOIDED: Final = "ORDER_VOIDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a booking."""

    booking_id: str
    name: str
    on: date | None
    status: Status
    reason: str
    error: str | None = None
    order_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a round ends: what is written when the booking is given back."""

    status: Status
    reason: str
    error: str | None = None
    order: Order | None = None
    order_id: str | None = None
    due_at: datetime | None = None
    put_off: bool = False
    sure: bool = False
    """What was sent was refused: what is there is what was there before."""


def end_of(rest: Rest) -> End:
    """Return the end of a round that has nothing to do in the sink."""
    return End(
        status=rest.status,
        reason=rest.reason,
        error=rest.error,
        order=rest.order,
        order_id=None if rest.order is None else rest.order.order_id,
        due_at=rest.due_at,
    )


def resting(step: Step) -> End | None:
    """Return the end of a round that does nothing in the sink; None for a step that does."""
    match step:
        case Wait(_, reason, until):
            return End(status=Status.PENDING, reason=reason, due_at=until, put_off=True)
        case Gone():
            return End(status=Status.SKIPPED, reason=VOIDED)
        case ByHand():
            return End(status=Status.SKIPPED, reason=BY_HAND)
        case Flag(reason, sentence, order):
            return End(status=Status.FAILED, reason=reason, error=sentence, order_id=order.order_id)
        case _:
            return None


def outcome_of(booking: Booking, end: End) -> Outcome:
    """Return what became of a booking by the end of a round."""
    return Outcome(
        booking_id=booking.booking_id,
        name=booking.name,
        on=booking.on,
        status=end.status,
        reason=end.reason,
        error=end.error,
        order_id=end.order_id,
    )
