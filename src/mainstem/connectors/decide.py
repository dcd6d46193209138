"""What is to be done about an order: functions of the booking, the ledger, what the sink says, and the time. No effects.

Two rules are above all others. An order is sent only when the sink has just said that it is not there. And one that may be on its
way is not sent again: it is looked for, until it is found, or until so much time has passed since it was sent that its absence
proves something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from mainstem.connectors.aim import Look
from mainstem.connectors.connector import Rules
from mainstem.connectors.ports import Plan, SinkOrder, State
from mainstem.connectors.standing import IN_DOUBT, Order

_PAUSES_S: Final = (2, 5, 15, 30, 60, 120, 300)


@dataclass(frozen=True, slots=True)
class Submit:
    """It is not there: send it."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """It is there, as planned."""

    order: SinkOrder
    ours: bool
    """Whether it was sent by the attempt that was in doubt."""
    surplus: tuple[SinkOrder, ...] = ()
    """More orders of the same name: one too many each."""


@dataclass(frozen=True, slots=True)
class Replace:
    """It is there, and not as planned."""

    order: SinkOrder


@dataclass(frozen=True, slots=True)
class Void:
    """These are there, and nothing should be."""

    orders: tuple[SinkOrder, ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing is there, and nothing should be."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """Somebody voided it in the sink: it is left so."""


@dataclass(frozen=True, slots=True)
class Again:
    """It was sent, and is proven not to have arrived: it is planned again."""


@dataclass(frozen=True, slots=True)
class Wait:
    """It can't be told now."""

    state: State
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Flag:
    """It is there in a way that people have to look at."""

    reason: str
    sentence: str
    order: SinkOrder


Step = Submit | Adopt | Replace | Void | Gone | ByHand | Again | Wait | Flag


def decide(  # noqa: PLR0911, PLR0913 - one return for each answer; all that it depends on
    look: Look,
    found: Sequence[SinkOrder] | None,
    *,
    rules: Rules,
    now: datetime,
    settle: timedelta,
    put_off: int,
) -> Step:
    """Return what follows from the sink's answer; `found` is None where it gave none.

    `put_off` is how often in a row the booking had to wait, `settle` how long after sending an absence proves nothing.
    """
    in_doubt = look.order is not None and look.order.state in IN_DOUBT
    if found is None:
        state, reason = (State.UNKNOWN, "OUTCOME_UNKNOWN") if in_doubt else (State.BLOCKED, "UPSTREAM_UNAVAILABLE")
        return Wait(state, reason, now + pause(put_off))
    live = tuple(one for one in found if not one.voided)
    unsettled = _unsettled(look, now, settle) if in_doubt else None
    if look.void:
        if unsettled is not None and (not live or _may_be_changing(look, live)):
            return _wait_for(unsettled, now, put_off)
        return _undo(live, rules)
    if not live:
        if in_doubt:
            return Again() if unsettled is None else _wait_for(unsettled, now, put_off)
        return ByHand() if _voided_by_hand(look, found) else Submit()
    right = [one for one in live if one.order_id != look.stale and matches(one, look.plan, look.order)]
    if right:
        return Adopt(right[0], in_doubt, tuple(one for one in live if one is not right[0]))
    first = live[0]
    if in_doubt:
        # what changes an order does so again without harm, but only what is planned is sent
        return Again() if unsettled is None else _wait_for(unsettled, now, put_off)
    if first.closed:
        return Flag("ORDER_CLOSED", "The order is closed and differs from the booking.", first)
    if rules.on_change == "flag" and first.complete:
        return Flag("ORDER_DIFFERS", "The order differs from the booking.", first)
    return Replace(first)


def _may_be_changing(look: Look, live: Sequence[SinkOrder]) -> bool:
    """Tell whether what is on its way is a change to one of these: it might undo what is done to it meanwhile."""
    before = {look.stale, None if look.order is None else look.order.order_id}
    return any(one.order_id in before for one in live)


def _undo(live: tuple[SinkOrder, ...], rules: Rules) -> Step:
    if not live:
        return Gone()
    closed = next((one for one in live if one.closed), None)
    if closed is not None:
        return Flag("ORDER_CLOSED", "The booking was cancelled, and its order is closed.", closed)
    if rules.on_cancel == "flag":
        return Flag("BOOKING_CANCELLED", "The booking was cancelled, and its order is open.", live[0])
    return Void(live)


def _voided_by_hand(look: Look, found: Sequence[SinkOrder]) -> bool:
    row = look.order
    return row is not None and row.state is State.CONFIRMED and any(one.order_id == row.order_id for one in found)


def _unsettled(look: Look, now: datetime, settle: timedelta) -> datetime | None:
    sent = None if look.order is None else look.order.submitted_at
    return sent + settle if sent is not None and now < sent + settle else None


def _wait_for(unsettled: datetime, now: datetime, put_off: int) -> Wait:
    # a look now and then, for it may turn up; and one when its absence says something
    return Wait(State.UNKNOWN, "OUTCOME_UNKNOWN", min(unsettled, now + pause(put_off)))


def matches(order: SinkOrder, plan: Plan, row: Order | None) -> bool:
    """Tell whether an order is as planned: complete, every product in its quantity, and the total that it was confirmed with."""
    if not order.complete or not same_items(order.items, quantities(plan)):
        return False
    if row is None or row.order_id != order.order_id or row.sink_total is None or order.total is None:
        return True
    return order.total == row.sink_total


def quantities(plan: Plan) -> dict[str, Decimal]:
    """Return how much of each product a plan has."""
    found: dict[str, Decimal] = {}
    for item in plan.items:
        found[item.product] = found.get(item.product, Decimal(0)) + item.quantity
    return found


def same_items(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> bool:
    """Tell whether two orders have the same products in the same quantities."""
    return {product: many for product, many in one.items() if many} == {
        product: many for product, many in other.items() if many
    }


def pause(put_off: int) -> timedelta:
    """Return how long to wait after so many times in a row: two seconds first, five minutes at last."""
    return timedelta(seconds=_PAUSES_S[min(put_off, len(_PAUSES_S) - 1)])
