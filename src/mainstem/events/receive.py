"""Turns what a sender wrote into accepted events: time, clock skew, identity, limits. Pure; stores nothing.

The features decode their own shapes (`mainstem.site.receive`); what they share is here: who sends (`Sender`),
when it happened (`when`), which event it is (`identity`), and how a refusal looks (`RefusedError`).
Custom events have no feature, so their shape is here, too.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from mainstem.events.model import EventFlag, NewEvent
from mainstem.platform.ids import event_uid, uuid7

MAX_ID_CHARACTERS: Final = 128
MAX_KIND_CHARACTERS: Final = 100
SKEW_TOLERANCE: Final = timedelta(seconds=10)
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
KIND: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
RESERVED_KINDS: Final = ("page.", "site.", "link.")
_TASKS: Final = "tasks"
# plain ints: combining enum members costs more than reading the event does
_NO_OCCURRED_AT: Final = int(EventFlag.NO_OCCURRED_AT)
_SKEW_CORRECTED: Final = int(EventFlag.SKEW_CORRECTED)
_FUTURE_CORRECTED: Final = int(EventFlag.FUTURE_CORRECTED)
_WORDS: Final = {
    "str": "a string",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "object": "a JSON object",
    "array": "a list",
}
_TEXTUAL: Final = (str, int, float)
_EPOCH_MS_FROM: Final = 100_000_000_000


class RefusedError(ValueError):
    """One event is refused; its neighbours are not."""

    def __init__(self, code: str, reason: str, field: str | None = None) -> None:
        """Keep a stable code, a human sentence and the field it is about."""
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.field = field


class Sender(NamedTuple):
    """The facts of one request that every event in it shares."""

    tenant_id: int
    received_at: datetime
    ip: str | None
    """The client's full address: used for the visitor key and never stored as it is."""
    user_agent: str | None
    server: bool
    """True for a secret key: the request's own user agent may be a server's."""
    future_tolerance: timedelta
    stored_ip: Callable[[str | None], str | None]
    """Applies IP_MODE."""
    visitor_key: Callable[[int, str | None, str | None, datetime], str]
    """(tenant id, address, user agent, time) → cookieless visitor key."""


Accepted: TypeAlias = tuple[NewEvent, str]
"""One accepted event and the id its sender knows it by."""


def identity(tenant_id: int, source: str, message_id: str | None) -> tuple[UUID, str]:
    """Return (event_uid, the id for the answer): the sender's id when it gave one, else the new uid."""
    if message_id is None:
        uid = uuid7()
        return uid, str(uid)
    return event_uid(tenant_id, source, message_id), message_id


def text_id(value: object, field: str, *, limit: int = MAX_ID_CHARACTERS) -> str | None:
    """Return an id as text (numbers count as their digits), None when absent or empty. Raises RefusedError."""
    if value is None:
        return None
    if type(value) is str and 0 < len(value) <= limit and "\x00" not in value:
        return value
    if value == "":
        return None
    text = value if isinstance(value, str) else str(value)
    # a tuple, not a union: a union is made anew at every call, and this is called for every id of every event
    if len(text) > limit or not isinstance(value, _TEXTUAL) or isinstance(value, bool):
        raise RefusedError("invalid_field", f"{field} must be a string of at most {limit} characters.", field)
    return text.replace("\x00", "") if "\x00" in text else text


def parse_time(value: object, field: str) -> datetime | None:
    """Return an aware UTC time from ISO 8601 text (no offset means UTC) or a Unix time in s or ms; None when absent."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value[:-1] + "Z" if value[-1] == "z" else value)
            if moment.tzinfo is not UTC:
                moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value / 1000 if abs(value) >= _EPOCH_MS_FROM else value, UTC)
        else:
            raise TypeError  # noqa: TRY301 - one exit for every unusable value
    except (ValueError, TypeError, OverflowError, OSError):
        raise RefusedError("invalid_field", f"{field} must be an ISO 8601 time or a Unix time.", field) from None
    if moment < EARLIEST:
        raise RefusedError("invalid_field", f"{field} must not be before 1970.", field)
    return moment


def when(sender: Sender, timestamp: object, sent_at: object, *, field: str = "timestamp") -> tuple[datetime, int]:
    """Return (occurred_at, flags): corrected by the sender's clock skew, and never further ahead than allowed.

    The skew is received_at - sent_at, applied when it is more than SKEW_TOLERANCE: the sender's clock is wrong by
    that much, so its timestamp is, too. A time that is then still in the future becomes received_at. Raises
    RefusedError for what is no time.
    """
    occurred_at = None if timestamp is None else parse_time(timestamp, field)
    sent = None if sent_at is None else parse_time(sent_at, "sent_at")
    if occurred_at is None:
        return sender.received_at, _NO_OCCURRED_AT
    return corrected(sender, occurred_at, sent)


def corrected(sender: Sender, occurred_at: datetime, sent: datetime | None) -> tuple[datetime, int]:
    """Do what `when` does with times that are read already, aware UTC ones since 1970."""
    flags = 0
    if sent is not None and abs(skew := sender.received_at - sent) > SKEW_TOLERANCE:
        occurred_at, flags = max(occurred_at + skew, EARLIEST), _SKEW_CORRECTED
    # the first comparison settles nearly all, and the second makes a new time
    if occurred_at > sender.received_at and occurred_at > sender.received_at + sender.future_tolerance:
        return sender.received_at, flags | _FUTURE_CORRECTED
    return occurred_at, flags


def refusal(error: msgspec.ValidationError) -> RefusedError:
    """Return the refusal for a wrong shape, with the field read from msgspec's path."""
    message, _, path = str(error).partition(" - at `$")
    field = path.rstrip("`").lstrip(".") or None
    match = re.search(r"missing required field `(\w+)`", message)
    if match:
        return RefusedError("missing_field", f"{match[1]} is required.", match[1])
    expected = re.match(r"Expected `([^`]+)`", message)
    if expected is None:
        return RefusedError("invalid_field", f"{field or 'The event'}: {message.lower()}.", field)
    words = dict.fromkeys(_WORDS[name] for name in expected[1].split(" | ") if name in _WORDS)
    return RefusedError("invalid_field", f"{field or 'The event'} must be {' or '.join(words)}.", field)


class CustomEvent(msgspec.Struct):
    """An event of the sender's own kind, as `POST /api/v1/events` takes it."""

    kind: str
    data: msgspec.Raw = msgspec.Raw(b"")
    occurred_at: str | int | float | None = None
    message_id: str | int | None = None
    source: str | None = None
    subject: str | int | None = None
    sent_at: str | int | float | None = None


_CUSTOM: Final = msgspec.json.Decoder(CustomEvent)


def custom_event(text: bytes, sender: Sender) -> Accepted:
    """Return the accepted event in one JSON object. Raises RefusedError with the field and the reason."""
    try:
        body = _CUSTOM.decode(text)
        data = bytes(body.data).decode()
    except msgspec.ValidationError as error:
        raise refusal(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError("invalid_json", f"The event is not valid JSON: {error}.") from None
    if len(body.kind) > MAX_KIND_CHARACTERS or not KIND.fullmatch(body.kind):
        reason = "kind must be dotted lower-case words, such as order.paid, of at most 100 characters."
        raise RefusedError("invalid_kind", reason, "kind")
    if body.kind.startswith(RESERVED_KINDS):
        raise RefusedError(
            "reserved_kind",
            "kinds page.* and site.* come in by /api/v1/track, link.clicked by /api/tracking-ingest/batch.",
            "kind",
        )
    if body.source == _TASKS and body.kind.startswith("task."):
        raise RefusedError("reserved_kind", "kinds task.* of the source tasks are written by the tasks API.", "kind")
    if data in {"", "null"}:
        data = "{}"
    elif not data.startswith("{"):
        raise RefusedError("invalid_field", "data must be a JSON object.", "data")
    occurred_at, flags = when(sender, body.occurred_at, body.sent_at, field="occurred_at")
    source = text_id(body.source, "source") or "api"
    message_id = text_id(body.message_id, "message_id")
    uid, event_id = identity(sender.tenant_id, source, message_id)
    event = NewEvent(
        sender.received_at,
        sender.tenant_id,
        uid,
        body.kind,
        occurred_at,
        source,
        message_id,
        text_id(body.subject, "subject", limit=255),
        None,
        sender.stored_ip(sender.ip),
        None,
        flags,
        data,
    )
    return event, event_id
