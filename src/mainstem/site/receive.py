"""Reads one site event as `/api/v1/track` takes it (CONTRACTS part B) into an accepted event. Pure.

`event_data.session_id` and `event_data.user_id` count when the top-level fields are absent, and so do the other
fields that browsers' trackers put there. The event's JSON is kept as it came; only the identity, the times and
the privacy rules are applied here, because they must hold before anything is stored.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from mainstem.events.model import EventFlag, NewEvent
from mainstem.events.receive import (
    EARLIEST,
    MAX_ID_CHARACTERS,
    Accepted,
    RefusedError,
    Sender,
    corrected,
    identity,
    refusal,
    text_id,
    when,
)
from mainstem.platform.ids import uuid7
from mainstem.platform.web.urls import page_of

MAX_URL_CHARACTERS: Final = 4_096
MAX_EVENT_TYPE_CHARACTERS: Final = 100
MAX_USER_AGENT_CHARACTERS: Final = 512
PAGE_VIEWED: Final = "page.viewed"
_LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)
_SLUG: Final = re.compile(r"[^a-z0-9_]+")
_Scalar: TypeAlias = str | int | float | None
_Value: TypeAlias = str | int | float | bool | None


class _Details(msgspec.Struct, gc=False):
    """The part of event_data that says who and when."""

    session_id: _Scalar = None
    user_id: _Scalar = None
    visitor_id: _Scalar = None
    page_url: str | None = None
    url: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None


class _SiteEvent(msgspec.Struct, gc=False):
    """The top level of one site event."""

    page_url: str | None = None
    url: str | None = None
    event_type: str | None = None
    event_data: _Details | None = None
    session_id: _Scalar = None
    user_id: _Scalar = None
    visitor_id: _Scalar = None
    event_id: _Scalar = None
    timestamp: _Scalar = None
    sent_at: _Scalar = None
    user_agent: str | None = None
    ip_address: str | None = None


_USUAL: Final = (
    *("title", "page_title", "referrer", "page_referrer", "referrer_url", "language", "screen_resolution", "viewport"),
    *("viewport_width", "viewport_height", "scroll_depth", "time_on_page"),
    *("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"),
)
"""What browsers' trackers usually say besides (CONTRACTS part B)."""


_Id: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARACTERS)] | None
_Url: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_URL_CHARACTERS)] | None
_Type: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_EVENT_TYPE_CHARACTERS)] | None
_WHO: Final[dict[str, object]] = {
    **dict.fromkeys(("session_id", "user_id", "visitor_id"), _Id),
    **dict.fromkeys(("page_url", "url"), _Url),
    **dict.fromkeys(("user_agent", "ip_address"), str | None),
}


def _known(name: str, more: Mapping[str, object]) -> type[msgspec.Struct]:
    """Return the shape of what has known members alone, each a single value of the usual type."""
    types = {**dict.fromkeys(_USUAL, _Value), **_WHO, **more}
    fields = [(member, type_, None) for member, type_ in types.items()]
    return msgspec.defstruct(name, fields, forbid_unknown_fields=True, gc=False)


_KnownDetails: Final = _known("_KnownDetails", dict.fromkeys(("event_id", "timestamp", "test"), _Value))
_KnownEvent: Final = _known(
    "_KnownEvent",
    {
        "event_type": _Type,
        "event_data": _KnownDetails | None,
        "event_id": _Id,
        **dict.fromkeys(("timestamp", "sent_at"), Annotated[datetime, msgspec.Meta(tz=True)] | None),
    },
)
KNOWN_MEMBERS: Final = frozenset(_KnownEvent.__struct_fields__ + _KnownDetails.__struct_fields__)
"""Names of all members that `known_event` takes."""
_ADDRESS_NAME: Final = '"ip_address"'
_ADDRESS: Final = re.compile(r'"ip_address"\s*:\s*("(?:[^"\\]|\\.)*")')
_SERVER_AGENT: Final = int(EventFlag.SERVER_AGENT)
_NO_OCCURRED_AT: Final = int(EventFlag.NO_OCCURRED_AT)
_EVENT: Final = msgspec.json.Decoder(_SiteEvent)
_KNOWN: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(_KnownEvent)
_NO_DETAILS: Final = _Details()
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(str).decode
_decode_any: Final = msgspec.json.Decoder().decode
# what NewEvent(…) does, without the call of a Python function
_made: Final = tuple.__new__


def kind_of(event_type: str) -> str:
    """Return the event kind of a tracker's event type: page_view is `page.viewed`, all others are `site.<slug>`."""
    if event_type == "page_view":
        return PAGE_VIEWED
    return "site." + (_SLUG.sub("_", event_type.lower()).strip("_") or "event")


def site_event(text: bytes, sender: Sender) -> Accepted:
    """Return the accepted event in one JSON object. Raises RefusedError with the field and the reason."""
    try:
        body = _EVENT.decode(text)
        data = text.decode()
    except msgspec.ValidationError as error:
        raise refusal(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError("invalid_json", f"The event is not valid JSON: {error}.") from None
    return _accepted(body, data, sender)


def known_event(text: bytes, sender: Sender) -> Accepted | None:
    """As `site_event`, of an event with known members alone, written as most are: the decoder checks all of it.

    None when it is not, or is to be refused: `site_event` says why. A quarter cheaper.
    """
    try:
        body = _KNOWN.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    details = body.event_data or _NO_DETAILS
    event_type = body.event_type or "page_view"
    if event_type != "page_view":
        kind = kind_of(event_type)
    else:
        kind = PAGE_VIEWED
        page_url = body.page_url or body.url or details.page_url or details.url
        # nearly every address has slashes; the others are looked at more closely
        if page_url is None or "//" not in page_url:
            return None
    if (moment := _moment(body.timestamp, body.sent_at, sender)) is None:
        return None
    occurred_at, flags = moment
    data = text.decode()
    # the decoder has counted the characters; a NUL can only be written as an escape
    if "\\" in data and "\\u0000" in data:
        return None
    ip, user_agent, flags = _client(body, details, sender, flags)
    stored_ip = sender.stored_ip(ip)
    top_ip = body.ip_address
    if top_ip or details.ip_address:
        data = _with_stored_address(data, top_ip, stored_ip if top_ip is ip else sender.stored_ip(top_ip), sender)
    tenant_id, message_id = sender.tenant_id, body.event_id
    if message_id is None:
        uid = uuid7()
        event_id = str(uid)
    else:
        uid, event_id = identity(tenant_id, "site", message_id)
    visitor = _known_visitor(body, details) or sender.visitor_key(tenant_id, ip, user_agent, occurred_at)
    event = _made(
        NewEvent,
        (
            sender.received_at,
            tenant_id,
            uid,
            kind,
            occurred_at,
            "site",
            message_id,
            body.session_id or details.session_id,
            visitor,
            stored_ip,
            user_agent,
            flags,
            data,
        ),
    )
    return event, event_id


def _moment(timestamp: datetime | None, sent_at: datetime | None, sender: Sender) -> tuple[datetime, int] | None:
    """Return what `when` does for times that the decoder has read; None for what it may refuse."""
    # the first: it is refused for what it is, also where it would not count
    if sent_at is not None and not EARLIEST <= sent_at < _LATEST:
        return None
    if timestamp is None:
        return sender.received_at, _NO_OCCURRED_AT
    if not EARLIEST <= timestamp < _LATEST:
        return None
    return corrected(sender, timestamp if timestamp.tzinfo is UTC else timestamp.astimezone(UTC), sent_at)


def _known_visitor(body: Any, details: Any) -> str | None:  # noqa: ANN401 - shapes that are made above
    """Return what `_named_visitor` does for ids that the decoder has checked."""
    visitor: str | None = body.visitor_id or details.visitor_id
    if visitor is not None:
        return "v:" + visitor
    user: str | None = body.user_id or details.user_id
    return None if user is None else "u:" + user


def _accepted(body: _SiteEvent, data: str, sender: Sender) -> Accepted:
    details = body.event_data or _NO_DETAILS
    event_type = body.event_type or "page_view"
    if len(event_type) > MAX_EVENT_TYPE_CHARACTERS:
        raise RefusedError("invalid_field", "event_type must be a string of at most 100 characters.", "event_type")
    page_url = body.page_url or body.url or details.page_url or details.url
    if page_url and len(page_url) > MAX_URL_CHARACTERS:
        raise RefusedError("invalid_field", "page_url must be a string of at most 4,096 characters.", "page_url")
    if event_type == "page_view":
        kind = PAGE_VIEWED
        # nearly every address has slashes, so few are parsed here
        if page_url is None or "//" not in page_url:
            _check_page(page_url)
    else:
        kind = kind_of(event_type)
    occurred_at, flags = when(sender, body.timestamp, body.sent_at)
    ip, user_agent, flags = _client(body, details, sender, flags)
    stored_ip = sender.stored_ip(ip)
    if body.ip_address or details.ip_address:
        kept = stored_ip if body.ip_address is ip else sender.stored_ip(body.ip_address)
        data = _with_stored_address(data, body.ip_address, kept, sender)
    # of ids, most are absent: those are not worth a call
    message_id = None if body.event_id is None else text_id(body.event_id, "event_id")
    tenant_id = sender.tenant_id
    uid, event_id = identity(tenant_id, "site", message_id)
    session_id = None if body.session_id is None else text_id(body.session_id, "session_id")
    if session_id is None and details.session_id is not None:
        session_id = text_id(details.session_id, "event_data.session_id")
    visitor = _named_visitor(body, details) or sender.visitor_key(tenant_id, ip, user_agent, occurred_at)
    event = _made(
        NewEvent,
        (
            sender.received_at,
            tenant_id,
            uid,
            kind,
            occurred_at,
            "site",
            message_id,
            session_id,
            visitor,
            stored_ip,
            user_agent,
            flags,
            data,
        ),
    )
    return event, event_id


def _with_stored_address(text: str, ip: str | None, kept: str | None, sender: Sender) -> str:
    """As `without_address`, quickly for an event with one address that is written plainly, as nearly all are.

    `ip` is the address at the top level, `kept` what is kept of it.
    """
    parts = text.split(_ADDRESS_NAME)
    if len(parts) == 2 and ip and kept and "\\" not in text:
        head, tail = parts
        start = 2 if tail.startswith(':"') else 3 if tail.startswith(': "') else 0
        if start and tail.startswith(ip, start):
            return f"{head}{_ADDRESS_NAME}{tail[:start]}{kept}{tail[start + len(ip) :]}"
    if "\\" in text:
        # the name may be written with escapes, here it is written anew
        text = _encode(_decode_any(text)).decode()
    return without_address(text, sender)


def without_address(text: str, sender: Sender) -> str:
    """Return an event's JSON with the addresses in it as IP_MODE keeps them, for nothing more may be stored."""

    def stored(match: re.Match[str]) -> str:
        try:
            ip = _decode(match[1])
        except msgspec.DecodeError:
            ip = None
        return f'"ip_address":{_encode(sender.stored_ip(ip)).decode()}'

    return _ADDRESS.sub(stored, text)


def _check_page(page_url: str | None) -> None:
    """Refuse a page view without a page now, while its sender listens: the loader could only put it aside."""
    if not page_url or page_url.isspace():
        raise RefusedError("missing_field", "page_url is required for a page_view.", "page_url")
    if page_of(page_url).key is None:
        raise RefusedError(
            "invalid_field", f"page_url must be the address of a page; {page_url!r:.200} is none.", "page_url"
        )


def _named_visitor(body: _SiteEvent, details: _Details) -> str | None:
    """Return the key of a visitor whom the sender names: by a visitor id, else by a user id; top level first."""
    visitor_id = None if body.visitor_id is None else text_id(body.visitor_id, "visitor_id")
    if visitor_id is None and details.visitor_id is not None:
        visitor_id = text_id(details.visitor_id, "event_data.visitor_id")
    user_id = None if body.user_id is None else text_id(body.user_id, "user_id")
    if user_id is None and details.user_id is not None:
        user_id = text_id(details.user_id, "event_data.user_id")
    if visitor_id is not None:
        return "v:" + visitor_id
    return None if user_id is None else "u:" + user_id


def _client(body: _SiteEvent, details: _Details, sender: Sender, flags: int) -> tuple[str | None, str | None, int]:
    """Return the visitor's address and user agent: those in the event, where a server speaks for its visitor."""
    if not sender.server:
        return sender.ip, sender.user_agent, flags
    user_agent = body.user_agent or details.user_agent
    ip = body.ip_address or details.ip_address or sender.ip
    if user_agent:
        return ip, user_agent[:MAX_USER_AGENT_CHARACTERS].replace("\x00", ""), flags
    user_agent = sender.user_agent
    # a browser that holds a secret key (an intranet page) looks like a browser; anything else is the sender itself
    if user_agent is not None and not user_agent.startswith("Mozilla/"):
        flags |= _SERVER_AGENT
    return ip, user_agent, flags
