"""What comes first for a booking: rest, or a look into the sink. A function of the booking and the ledger. No effects."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mainstem.connectors.plan import Judged, LinesUnknown, NotWanted, Ready, Reason, Refused, Shut, Unmapped
from mainstem.connectors.ports import Plan, State
from mainstem.connectors.standing import IN_DOUBT, WAITING, Order

BY_HAND: Final = "VOIDED_BY_HAND"


class Status(StrEnum):
    """What became of a booking, in the words of the sync's answer."""

    INJECTED = "INJECTED"
    UPDATED = "UPDATED"
    VOIDED = "VOIDED"
    SKIPPED = "SKIPPED"
    SKIPPED_TIME_GATE = "SKIPPED_TIME_GATE"
    FAILED = "FAILED"
    PENDING = "PENDING"
    """Neither done nor failed: it goes on by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Nothing to do in the sink now."""

    status: Status
    reason: str
    error: str | None = None
    order: Order | None = None
    due_at: datetime | None = None
    wait: State | None = None
    """The state in which a row of `order_hash` waits from now on."""
    order_hash: str = ""
    plan: Plan | None = None
    drop: bool = False
    """Whether rows that wait are over: what they wait for does not come."""
    settles: bool = False
    """Whether rows that wait are over: `order` is there in their place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The sink is to be asked about an order."""

    plan: Plan
    order: Order | None
    """The row; None: one of the plan is to be made, planned."""
    void: bool
    """Whether the order is to be void, or there."""
    stale: str | None = None
    """The sink's id of an order that was made, or changed, for what the booking was before."""
    more: bool = False
    """Whether the booking has moved on meanwhile: once this is known, there is more to do."""


Aim = Rest | Look


def aim(  # noqa: PLR0911 - one return for each
    judged: Judged, orders: Sequence[Order], *, asked: bool, unsure: bool = False
) -> Aim:
    """Return what comes first for a booking: rest, or a look into the sink. What may be on its way comes before all else.

    `unsure`: something else was sent after the confirmed order was, so that it proves nothing by being there.
    """
    in_doubt = next((one for one in orders if one.state in IN_DOUBT), None)
    confirmed = next((one for one in orders if one.state is State.CONFIRMED), None)
    wants_none = isinstance(judged, NotWanted | Refused)
    if in_doubt is not None and in_doubt.plan is not None:
        current = isinstance(judged, Ready) and judged.plan.order_hash == in_doubt.order_hash
        return Look(
            plan=in_doubt.plan,
            order=in_doubt,
            void=wants_none,
            stale=_stale(confirmed, in_doubt.order_hash),
            more=not (current or wants_none),
        )
    match judged:
        case NotWanted(reason) | Refused(reason):
            sent = confirmed or next((one for one in orders if one.state in WAITING and one.attempts), None)
            if sent is not None and sent.plan is not None:
                return Look(plan=sent.plan, order=sent, void=True)
            return Rest(status=Status.SKIPPED, reason=reason, drop=True)
        case Shut(reason):
            return _shut(reason, orders, confirmed)
        case LinesUnknown(sentence):
            return Rest(
                status=Status.SKIPPED if confirmed else Status.FAILED,
                reason=Reason.NO_EVENT_DATA,
                error=sentence,
                order=confirmed,
            )
        case Unmapped(order_hash=order_hash):
            return Rest(
                status=Status.FAILED,
                reason=Reason.UNMAPPED_ITEM,
                error=judged.sentence,
                wait=State.FAILED,
                order_hash=order_hash,
            )
        case Ready(plan, until):
            return _ready(plan, until, orders, asked=asked, unsure=unsure)


def _shut(reason: str, orders: Sequence[Order], confirmed: Order | None) -> Rest:
    waiting = next((one for one in orders if one.state in WAITING and one.state is not State.FAILED), None)
    if waiting is None or waiting.reason == "DRY_RUN":
        return Rest(status=Status.SKIPPED_TIME_GATE, reason=reason, order=confirmed, drop=waiting is not None)
    return Rest(
        status=Status.FAILED,
        reason=reason,
        error="The day passed before the order could be made.",
        order=waiting,
        wait=State.FAILED,
        order_hash=waiting.order_hash,
        plan=waiting.plan,
    )


def _ready(plan: Plan, until: datetime | None, orders: Sequence[Order], *, asked: bool, unsure: bool) -> Aim:
    known = next((one for one in orders if one.order_hash == plan.order_hash), None)
    state = None if known is None else known.state
    if state is State.CONFIRMED and not asked and not unsure:
        return Rest(status=Status.SKIPPED, reason="ALREADY_INJECTED", order=known, settles=True)
    if until is not None and state is not State.CONFIRMED:
        return Rest(
            status=Status.SKIPPED_TIME_GATE,
            reason="TIME_GATE_CLOSED_TOO_EARLY",
            order=known,
            due_at=until,
            wait=State.DEFERRED,
            order_hash=plan.order_hash,
            plan=plan,
        )
    if known is not None and not asked:
        if state is State.FAILED and known.reason not in {Reason.UNMAPPED_ITEM, None}:
            return Rest(status=Status.FAILED, reason=known.reason or "", error=known.error, order=known)
        if state is State.VOIDED and known.reason == BY_HAND:
            return Rest(status=Status.SKIPPED, reason=BY_HAND, order=known)
    confirmed = next((one for one in orders if one.state is State.CONFIRMED), None)
    stale = _stale(confirmed, plan.order_hash)
    if unsure and confirmed is not None:
        # by its looks it can't be told which of the two is there
        stale = confirmed.order_id
    return Look(plan=plan, order=known, void=False, stale=stale)


def _stale(confirmed: Order | None, order_hash: str) -> str | None:
    return None if confirmed is None or confirmed.order_hash == order_hash else confirmed.order_id
