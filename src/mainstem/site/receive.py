"""Reads one site event as `/api/v1/track` takes it (CONTRACTS part B) into an accepted event. Pure.

`event_data.session_id` and `event_data.user_id` count when the top-level fields are absent, and so do the other
fields that browsers' trackers put there. The event's JSON is kept as it came; only the identity, the times and
the privacy rules are applied here, because they must hold before anything is stored.
"""

import re
from typing import Final, TypeAlias

import msgspec

from mainstem.events.model import EventFlag, NewEvent
from mainstem.events.receive import Accepted, RefusedError, Sender, identity, refusal, text_id, when
from mainstem.site.urls import page_of

MAX_URL_CHARACTERS: Final = 4_096
MAX_EVENT_TYPE_CHARACTERS: Final = 100
MAX_USER_AGENT_CHARACTERS: Final = 512
_SLUG: Final = re.compile(r"[^a-z0-9_]+")
_Scalar: TypeAlias = str | int | float | None


class _Details(msgspec.Struct):
    """The part of event_data that says who and when."""

    session_id: _Scalar = None
    user_id: _Scalar = None
    visitor_id: _Scalar = None
    page_url: str | None = None
    url: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None


class _SiteEvent(msgspec.Struct):
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


_ADDRESS: Final = re.compile(r'"ip_address"\s*:\s*("(?:[^"\\]|\\.)*")')
_SERVER_AGENT: Final = int(EventFlag.SERVER_AGENT)
_EVENT: Final = msgspec.json.Decoder(_SiteEvent)
_NO_DETAILS: Final = _Details()
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(str).decode


def kind_of(event_type: str | None) -> str:
    """Return the event kind of a tracker's event type: page_view is `page.viewed`, all others are `site.<slug>`."""
    if event_type is None or event_type == "page_view":
        return "page.viewed"
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
    details = body.event_data or _NO_DETAILS
    event_type = body.event_type or None
    if event_type is not None and len(event_type) > MAX_EVENT_TYPE_CHARACTERS:
        raise RefusedError("invalid_field", "event_type must be a string of at most 100 characters.", "event_type")
    page_url = body.page_url or body.url or details.page_url or details.url
    if page_url and len(page_url) > MAX_URL_CHARACTERS:
        raise RefusedError("invalid_field", "page_url must be a string of at most 4,096 characters.", "page_url")
    if event_type in {None, "page_view"}:
        _check_page(page_url)
    occurred_at, flags = when(sender, body.timestamp, body.sent_at)
    ip, user_agent, flags = _client(body, details, sender, flags)
    if body.ip_address or details.ip_address:
        data = _with_stored_address(data, body.ip_address or "", sender)
    message_id = text_id(body.event_id, "event_id")
    uid, event_id = identity(sender.tenant_id, "site", message_id)
    session_id = _either(body.session_id, details.session_id, "session_id")
    visitor_id = _either(body.visitor_id, details.visitor_id, "visitor_id")
    user_id = _either(body.user_id, details.user_id, "user_id")
    if visitor_id is not None:
        visitor = "v:" + visitor_id
    elif user_id is not None:
        visitor = "u:" + user_id
    else:
        visitor = sender.visitor_key(sender.tenant_id, ip, user_agent, occurred_at)
    event = NewEvent(
        sender.received_at,
        sender.tenant_id,
        uid,
        kind_of(event_type),
        occurred_at,
        "site",
        message_id,
        session_id,
        visitor,
        sender.stored_ip(ip),
        user_agent,
        flags,
        data,
    )
    return Accepted(event, event_id)


def _with_stored_address(text: str, ip: str, sender: Sender) -> str:
    """As `without_address`, quickly for an event with one address that is written plainly, as nearly all are."""
    if text.count("ip_address") == 1 and (kept := sender.stored_ip(ip)) is not None:
        for written in (f'"ip_address":"{ip}"', f'"ip_address": "{ip}"'):
            if written in text:
                return text.replace(written, f'"ip_address":"{kept}"')
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
    # nearly every address has slashes, so few are parsed here
    if "//" not in page_url and page_of(page_url).key is None:
        raise RefusedError(
            "invalid_field", f"page_url must be the address of a page; {page_url!r:.200} is none.", "page_url"
        )


def _either(top: _Scalar, inner: _Scalar, field: str) -> str | None:
    """Return the id at the top level, or else the one in event_data; most events have neither."""
    if top is not None and (found := text_id(top, field)) is not None:
        return found
    return None if inner is None else text_id(inner, "event_data." + field)


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
