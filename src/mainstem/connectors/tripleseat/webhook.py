"""Bodies of Tripleseat's webhooks: what happened, to which events of which site. Pure.

Known forms: `{"webhook_trigger_type": "UPDATE_EVENT", "event": {…}}`, the same with `booking` (which names its events or has
them in it) and with `lead` (nothing to order); `type` in place of `webhook_trigger_type`; `object` or `data` in place of the
name; and things wrapped in their own name once more. What is none of these has a reason, never an exception.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from mainstem.connectors.tripleseat.signature import Fault, Form, Verdict, sign, verify

__all__ = ["Delivery", "Fault", "Form", "Kind", "Reason", "Verdict", "clean_id", "parse", "sign", "unwrapped", "verify"]

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_TRIGGER: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
_DEEPEST_WRAP: Final = 3
_EVENT_TRIGGERS: Final = frozenset(
    # Tripleseat's list of triggers; UPDATE_EVENT_DOCUMENT is the one that brings line items
    "CREATE_EVENT UPDATE_EVENT DELETE_EVENT REASSIGN_EVENT_LOCATION REASSIGN_EVENT_AREAS STATUS_CHANGE_EVENT "
    "CHANGE_EVENT_GUEST_COUNTS CHANGE_EVENT_DATETIME REASSIGN_EVENT_OWNERSHIP REASSIGN_EVENT_CONTACT "
    "REASSIGN_EVENT_ACCOUNT CREATE_EVENT_DOCUMENT UPDATE_EVENT_DOCUMENT DELETE_EVENT_DOCUMENT "
    # names that senders of old installations use
    "EVENT_CREATED EVENT_UPDATED EVENT_DELETED".split()
)
_BOOKING_TRIGGERS: Final = frozenset(
    "CREATE_BOOKING UPDATE_BOOKING DELETE_BOOKING STATUS_CHANGE_BOOKING BOOKING_CREATED BOOKING_UPDATED".split()
)
_DELETING: Final = frozenset({"DELETE_EVENT", "EVENT_DELETED", "DELETE_BOOKING"})


class Reason(StrEnum):
    """Why nothing can be done about a delivery; words of the answers."""

    MISSING_TRIGGER_TYPE = "MISSING_TRIGGER_TYPE"
    TRIGGER_TYPE_NOT_ACTIONABLE = "TRIGGER_TYPE_NOT_ACTIONABLE"
    NO_EVENT_DATA = "NO_EVENT_DATA"
    NO_EVENT_ID = "NO_EVENT_ID"
    MISSING_SITE_ID = "MISSING_SITE_ID"


class Kind(StrEnum):
    """What a delivery is about."""

    EVENT = "event"
    BOOKING = "booking"
    LEAD = "lead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a body says; fields are filled as far as it says them, also where there is a reason against it."""

    sha256: str
    """Of the body: the identity of a delivery, for it has no other."""
    trigger: str | None = None
    kind: Kind | None = None
    event_ids: tuple[str, ...] = ()
    """Each is one order's worth; a booking may have several."""
    group_id: str | None = None
    """Tripleseat's booking."""
    site_id: str | None = None
    events: tuple[Mapping[str, Any], ...] = ()
    """The events that came with it, unwrapped; of a booking there may be fewer than `event_ids`."""
    deletes: bool = False
    reason: Reason | None = None


def parse(body: bytes) -> Delivery:
    """Return what a body says. Never raises; whether its signature holds is another matter."""
    digest = sha256(body).hexdigest()
    try:
        given = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Delivery(sha256=digest, reason=Reason.NO_EVENT_DATA)
    if not isinstance(given, Mapping):
        return Delivery(sha256=digest, reason=Reason.NO_EVENT_DATA)
    trigger = _trigger(given)
    if trigger is None:
        return Delivery(sha256=digest, reason=Reason.MISSING_TRIGGER_TYPE)
    if trigger in _EVENT_TRIGGERS:
        return _of_event(digest, trigger, given)
    if trigger in _BOOKING_TRIGGERS:
        return _of_booking(digest, trigger, given)
    kind = Kind.LEAD if "LEAD" in trigger.split("_") else None
    return Delivery(sha256=digest, trigger=trigger, kind=kind, reason=Reason.TRIGGER_TYPE_NOT_ACTIONABLE)


def clean_id(value: object) -> str | None:
    """Return an id as text; None for what is none. Ids go into addresses, names and logs, so they have no other signs."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = value.strip() if isinstance(value, str) else str(value) if 0 <= value < 10**18 else ""
    return text if _ID.fullmatch(text) else None


def unwrapped(value: object, name: str) -> Mapping[str, Any] | None:
    """Return a thing out of the wraps of its own name (`{"event": {…}}`); None when there is none or it is empty."""
    for _ in range(_DEEPEST_WRAP):
        if not isinstance(value, Mapping) or "id" in value or not isinstance(value.get(name), Mapping):
            break
        value = value[name]
    return value if isinstance(value, Mapping) and value else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _trigger(given: Mapping[str, Any]) -> str | None:
    for name in ("webhook_trigger_type", "type"):
        value = given.get(name)
        if isinstance(value, str) and _TRIGGER.fullmatch(value.strip().upper()):
            return value.strip().upper()
    return None


def _thing(given: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    for place in (name, "object", "data"):
        found = unwrapped(given.get(place), name)
        if found is not None:
            return found
    return None


def _of_event(digest: str, trigger: str, given: Mapping[str, Any]) -> Delivery:
    event = _thing(given, "event")
    if event is None:
        return Delivery(sha256=digest, trigger=trigger, kind=Kind.EVENT, reason=Reason.NO_EVENT_DATA)
    beside = given.get("documents")
    if isinstance(beside, list) and "documents" not in event:
        event = {**event, "documents": beside}
    event_id, site_id = clean_id(event.get("id")), clean_id(event.get("site_id"))
    return Delivery(
        sha256=digest,
        trigger=trigger,
        kind=Kind.EVENT,
        event_ids=(event_id,) if event_id else (),
        group_id=clean_id(event.get("booking_id")),
        site_id=site_id,
        events=(event,) if event_id else (),
        deletes=trigger in _DELETING,
        reason=_missing(event_id, site_id),
    )


def _of_booking(digest: str, trigger: str, given: Mapping[str, Any]) -> Delivery:
    booking = _thing(given, "booking")
    if booking is None:
        return Delivery(sha256=digest, trigger=trigger, kind=Kind.BOOKING, reason=Reason.NO_EVENT_DATA)
    named = [clean_id(one) for one in _list(booking.get("event_ids"))]
    inside = [event for one in _list(booking.get("events")) if (event := unwrapped(one, "event")) is not None]
    # some senders put the event beside its booking
    beside = unwrapped(given.get("event"), "event")
    events = [event for event in (*inside, *([beside] if beside else ())) if clean_id(event.get("id"))]
    ids = dict.fromkeys(id_ for id_ in (*named, *(clean_id(event.get("id")) for event in events)) if id_)
    sites = [clean_id(thing.get("site_id")) for thing in (booking, *events)]
    site_id = next((site for site in sites if site), None)
    return Delivery(
        sha256=digest,
        trigger=trigger,
        kind=Kind.BOOKING,
        event_ids=tuple(ids),
        group_id=clean_id(booking.get("id")),
        site_id=site_id,
        events=tuple(events),
        deletes=trigger in _DELETING,
        reason=_missing(next(iter(ids), None), site_id),
    )


def _missing(event_id: str | None, site_id: str | None) -> Reason | None:
    if event_id is None:
        return Reason.NO_EVENT_ID
    return Reason.MISSING_SITE_ID if site_id is None else None


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
