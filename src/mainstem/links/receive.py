"""Reads one click as `/api/tracking-ingest/batch` takes it (CONTRACTS part A) into an accepted event. Pure.

Null and the empty string mean absent. The address is kept as IP_MODE says and is never stored as it came, though it is part
of a click's identity where its sender names none.
"""

from hashlib import sha256
from typing import Any, Final

import msgspec

from mainstem.events.model import NewEvent
from mainstem.events.receive import Accepted, RefusedError, Sender, identity, parse_time, when
from mainstem.links.click import CLICKED, Click

SOURCE: Final = "tracking-ingest"
EXTERNAL: Final = "external_domain"
MAX_TRACKING_ID: Final = 100
MAX_EVENT_ID: Final = 128
_LIMITS: Final = {"ip_address": 45, "user_agent": 500, "referrer_url": 1_000, "click_source": 50, "session_id": 100}
"""Most characters of the optional texts."""
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def click_event(text: bytes, sender: Sender) -> Accepted:
    """Return the accepted click in one JSON object. Raises RefusedError with the contract's sentence and the field."""
    try:
        fields = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError("invalid_json", f"The event is not valid JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise RefusedError("invalid_event", "Invalid event (must be JSON object)")
    tracking_id = _tracking_id(fields.get("tracking_id"))
    ip, user_agent, referrer, source, session_id = (_optional(fields, name, limit) for name, limit in _LIMITS.items())
    metadata = fields.get("metadata")
    if metadata in (None, ""):
        metadata = None
    elif not isinstance(metadata, dict):
        raise RefusedError("invalid_field", "Invalid metadata (must be JSON object)", "metadata")
    clicked_at = fields.get("clicked_at")
    if clicked_at == "":
        clicked_at = None
    if clicked_at is not None and not isinstance(clicked_at, str):
        raise _wrong_time()
    try:
        occurred_at, flags = when(sender, clicked_at, None, field="clicked_at")
    except RefusedError:
        raise _wrong_time() from None
    source = source or EXTERNAL
    message_id = _optional(fields, "event_id", MAX_EVENT_ID)
    if message_id is None and clicked_at is not None:
        # its own time, not the corrected one, and not its text: the same click sent again must be the same
        moment = parse_time(clicked_at, "clicked_at") if flags else occurred_at
        message_id = natural_id(tracking_id, (moment or occurred_at).isoformat(), ip, source)
    uid, event_id = identity(sender.tenant_id, SOURCE, message_id)
    click = Click(
        tracking_id=tracking_id,
        click_source=source,
        referrer_url=referrer,
        session_id=session_id,
        metadata=metadata,
    )
    event = NewEvent(
        sender.received_at,
        sender.tenant_id,
        uid,
        CLICKED,
        occurred_at,
        SOURCE,
        message_id,
        tracking_id,
        sender.visitor_key(sender.tenant_id, ip, user_agent, occurred_at) if ip or user_agent else None,
        sender.stored_ip(ip),
        user_agent,
        flags,
        _encode(click).decode(),
    )
    return event, event_id


def natural_id(tracking_id: str, clicked_at: str, ip: str | None, source: str) -> str:
    """Return the message id of a click whose sender gave none: the same link, time, address and source are one click."""
    parts = (part.encode(errors="surrogatepass") for part in (tracking_id, clicked_at, ip or "", source))
    digest = sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts))
    return "c:" + digest.hexdigest()[:40]


def _tracking_id(value: object) -> str:
    if value is None or value == "":
        raise RefusedError("missing_field", "Missing required field: tracking_id", "tracking_id")
    if not isinstance(value, str) or len(value) > MAX_TRACKING_ID or not value.strip() or "\x00" in value:
        reason = f"Invalid tracking_id format (must be string, max {MAX_TRACKING_ID} chars)"
        raise RefusedError("invalid_field", reason, "tracking_id")
    return value.strip()


def _optional(fields: dict[str, Any], name: str, limit: int) -> str | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > limit:
        raise RefusedError("invalid_field", f"Invalid {name} (must be string, max {limit} chars)", name)
    return value.replace("\x00", "") or None


def _wrong_time() -> RefusedError:
    return RefusedError("invalid_field", "Invalid clicked_at format (must be ISO 8601 datetime)", "clicked_at")
