"""Which of several readings of a booking holds: what a delivery says, what is known, and what the source says now. Pure.

A body that came before, that somebody has worked on again, or that says itself that it is older than what is known may be over: the
source is asked, and its word holds. What the source does not tell (Tripleseat's API may leave out line items) is taken from the reading that
its total confirms.
"""

from dataclasses import replace
from datetime import datetime

from mainstem.connectors.documents import merged
from mainstem.connectors.plan import booking_hash
from mainstem.connectors.ports import Booking


def changes(told: Booking, known: Booking | None) -> bool:
    """Tell whether a reading says anything that is not known."""
    return known is None or booking_hash(merged(told, known)) != booking_hash(known)


def is_older(told: Booking, known: Booking | None) -> bool:
    """Tell whether a reading says itself that it is older than what is known; minutes that are the same tell nothing."""
    if known is None:
        return False
    then, now = _moment(told.updated), _moment(known.updated)
    return then is not None and now is not None and then < now


def settled(truth: Booking, told: Booking | None, known: Booking | None) -> Booking:
    """Return what the source says now, with the items of the reading that fits it, where it does not tell them itself."""
    if truth.lines is not None or told is None or told.lines is None:
        return truth
    confirmed = truth.total is not None and truth.total == told.total
    if known is None or known.lines is None:
        return replace(truth, lines=told.lines) if confirmed or truth.total is None else truth
    return replace(truth, lines=told.lines) if confirmed and told.total != known.total else truth


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    # one without an offset can't be compared with one that has it
    return moment if moment.tzinfo is not None else None
