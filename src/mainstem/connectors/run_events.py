"""What a run tells of each booking, in the words of the sync's answer, and how it is counted. Pure."""

from typing import Any, Final

from mainstem.connectors.aim import Status
from mainstem.connectors.outcome import Outcome
from mainstem.connectors.ports import Booking
from mainstem.connectors.runs import Report

_DONE: Final = frozenset({Status.INJECTED, Status.UPDATED, Status.VOIDED})


def event_of(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as an event of the sync's answer: all keys are there."""
    return {
        "id": outcome.booking_id,
        "name": outcome.name,
        "date": None if outcome.on is None else outcome.on.isoformat(),
        "status": outcome.status.value,
        "revel_order_id": outcome.order_id,
        "order_id": outcome.order_id,
        "reason": outcome.reason,
        "error": outcome.error,
    }


def event(booking: Booking, status: Status, reason: str) -> dict[str, Any]:
    """Return the event of a booking that was only read."""
    return event_of(
        Outcome(booking_id=booking.booking_id, name=booking.name, on=booking.on, status=status, reason=reason)
    )


def failed_event(booking_id: str, reason: str, error: str) -> dict[str, Any]:
    """Return the event of a booking that could not be read."""
    return event_of(Outcome(booking_id=booking_id, name="", on=None, status=Status.FAILED, reason=reason, error=error))


def interrupted(booking_id: str, booking: Booking | None) -> Outcome:
    """Return what became of a booking whose work broke off."""
    return Outcome(
        booking_id=booking_id,
        name="" if booking is None else booking.name,
        on=None if booking is None else booking.on,
        status=Status.PENDING,
        reason="INTERRUPTED",
        error="Working on it broke off; see the log. It is tried again.",
    )


def count(report: Report, event: dict[str, Any]) -> None:
    """Add an event to a report, where its status counts."""
    report.queried += 1
    report.events.append(event)
    status = Status(event["status"])
    if status in _DONE:
        report.injected += 1
    elif status is Status.FAILED or (status is Status.PENDING and event["reason"] != "ACCEPTED"):
        report.failed += 1
    else:
        report.skipped += 1
