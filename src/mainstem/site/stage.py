"""Turns one raw site event into its row on the stage: keys hashed, address, referrer and user agent read. Pure.

Whatever a sender writes comes through: wrong types are read as text or as absent, long texts are cut, texts that
PostgreSQL can't hold are mended. Only an event that means nothing is refused: data that is no JSON object, and a page
view without a page. Fields count at the top level of the event or in its `event_data`; the top level wins; null and
blank mean absent.
"""

from functools import lru_cache
from typing import Final

import msgspec

from mainstem.events.model import EventFlag, RawEvent
from mainstem.platform.web.agents import UNKNOWN, agent_of
from mainstem.platform.web.text import clean, clip, clip_key, read_object, write_object
from mainstem.platform.web.urls import MAX_URL_CHARACTERS, MAX_UTM_CHARACTERS, NO_PAGE, UTM_NAMES, page_of, referrer_of
from mainstem.vault.customers import customer_of
from mainstem.vault.engine import ZERO_KEY, hash_key
from mainstem.vault.feed import RejectedError
from mainstem.vault.keys import MAX_ID_CHARACTERS, campaign_key, visitor_key
from mainstem.vault.model import SITE

PAGE_VIEW: Final = "page.viewed"
MAX_TITLE_CHARACTERS: Final = 1_000
MAX_EVENT_TYPE_CHARACTERS: Final = 100
MAX_LANGUAGE_CHARACTERS: Final = 35
MAX_SCREEN_CHARACTERS: Final = 20
_CACHED: Final = 16_384
_SHORT_CHARACTERS: Final = 200
_NO_UTM: Final = (None,) * len(UTM_NAMES)
_UTM: Final = frozenset(UTM_NAMES)
_SERVER_AGENT: Final = int(EventFlag.SERVER_AGENT)
# said of the page at the top level by some trackers; a property like those in event_data
_TOP_PROPERTIES: Final = ("scroll_depth", "time_on_page")


class _Data(msgspec.Struct, gc=False):
    """The top level of a well-formed event; whatever differs is read leniently."""

    page_url: str | None = None
    url: str | None = None
    event_type: str | None = None
    event_data: msgspec.Raw = msgspec.Raw(b"{}")
    session_id: str | None = None
    user_id: str | None = None
    page_title: str | None = None
    title: str | None = None
    referrer: str | None = None
    page_referrer: str | None = None
    referrer_url: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    language: str | None = None
    screen_resolution: str | None = None
    viewport: str | None = None
    viewport_width: int | None = None
    viewport_height: int | None = None
    scroll_depth: float | None = None
    time_on_page: float | None = None


_data: Final = msgspec.json.Decoder(_Data)
_EMPTY: Final = frozenset({"{}", "null", ""})
_EMPTY_CHARACTERS: Final = 4
_NO_DETAILS: Final[tuple[dict[str, object], str]] = ({}, "{}")


def stage(event: RawEvent) -> tuple[object, ...]:
    """Return the row of SITE_COLUMNS of one event.

    Raises RejectedError `data_invalid` when the data is no JSON object, `page_url_missing` when a page view has no
    usable address.
    """
    data = _read(event.data)
    details, properties = _details(data)
    get = details.get
    page = page_of(data.page_url or data.url or _text(get("page_url")) or _text(get("url")) or "")
    if page.key is None and event.kind == PAGE_VIEW:
        reason = "A page view needs the address of its page." if page is NO_PAGE else f"{page.url!r:.200} is no page."
        raise RejectedError("page_url_missing", reason, "page_url")
    utm = _utm_of(data, details) or page.utm or _NO_UTM
    referrer = referrer_of(
        data.referrer
        or data.page_referrer
        or data.referrer_url
        or _text(get("referrer"))
        or _text(get("page_referrer"))
        or _text(get("referrer_url")),
        page.host,
    )
    agent = UNKNOWN if event.flags & _SERVER_AGENT else agent_of(event.user_agent)
    tenant_id = event.tenant_id
    user_id = _key(data.user_id or get("user_id"))
    session = event.subject or data.session_id or get("session_id")
    session_hk, session_bk = (
        _session(tenant_id, session) if isinstance(session, str) else _loose_session(tenant_id, session)
    )
    visitor_hk, visitor_bk = visitor_key(tenant_id, event.visitor or _fallback_visitor(event, user_id, session_bk))
    source, medium, campaign = utm[:3]
    return (
        event.raw_id,
        tenant_id,
        event.event_uid,
        event.kind,
        event.occurred_at,
        event.received_at,
        event.source,
        event.flags,
        visitor_hk,
        visitor_bk,
        session_hk,
        session_bk,
        _page(tenant_id, page.key),
        page.key,
        campaign_key(tenant_id, source, medium, campaign),
        *utm,
        user_id,
        _event_type(data.event_type, event.kind),
        page.url,
        page.host,
        page.path,
        _clipped(data.page_title or data.title or get("page_title") or get("title"), MAX_TITLE_CHARACTERS),
        referrer.url,
        referrer.host,
        "campaign" if source or medium or campaign else referrer.channel,
        agent.device,
        agent.os,
        agent.browser,
        agent.is_bot,
        agent.bot_reason,
        event.ip,
        _clipped(data.language or get("language"), MAX_LANGUAGE_CHARACTERS),
        _screen(data, details),
        properties,
        *customer_of(event),
    )


def _read(text: str) -> _Data:
    if "\\u0000" not in text:
        try:
            return _data.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            pass
    found = read_object(text)
    if found is None:
        raise RejectedError("data_invalid", "The event's data is no JSON object.", "data")
    return _lenient(found[0])


def _lenient(fields: dict[str, object]) -> _Data:
    """Return the top level with every value that has another type than usual read as text or as absent."""
    data = _Data()
    for name in _Data.__struct_fields__:
        value = fields.get(name)
        match name:
            case "event_data":
                details = value if isinstance(value, dict) else {} if value is None else {"value": value}
                data.event_data = msgspec.Raw(write_object(details))
            case "viewport" if isinstance(value, dict):
                data.viewport = _size(value.get("width"), value.get("height"))
            case "viewport_width" | "viewport_height" | "scroll_depth" | "time_on_page":
                setattr(data, name, value if type(value) in {int, float} else None)
            case _:
                setattr(data, name, clip(value, MAX_URL_CHARACTERS))
    return data


def _details(data: _Data) -> tuple[dict[str, object], str]:
    """Return event_data as an object and as text for `jsonb`."""
    text = str(data.event_data, "utf-8")
    found = _NO_DETAILS if len(text) <= _EMPTY_CHARACTERS and text in _EMPTY else read_object(text)
    if found is None:
        # a list or a scalar: kept under a name, because properties are an object
        found = read_object(f'{{"value":{text}}}') or _NO_DETAILS
    if data.scroll_depth is None and data.time_on_page is None:
        return found
    extra = {name: value for name in _TOP_PROPERTIES if (value := getattr(data, name)) is not None}
    merged = {**found[0], **extra}
    return merged, write_object(merged)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _clipped(value: object, characters: int) -> str | None:
    """Return what `clip` does; short texts are met again and again."""
    if isinstance(value, str) and len(value) <= _SHORT_CHARACTERS:
        return _clipped_text(value, characters)
    return clip(value, characters)


@lru_cache(maxsize=_CACHED)
def _clipped_text(text: str, characters: int) -> str | None:
    return clip(text, characters)


def _utm_of(data: _Data, details: dict[str, object]) -> tuple[str | None, ...] | None:
    """Return the campaign fields of the event; those of the address count only when the event names none."""
    top = (data.utm_source, data.utm_medium, data.utm_campaign, data.utm_term, data.utm_content)
    if top == _NO_UTM and _UTM.isdisjoint(details):
        return None
    values = (value or details.get(name) for name, value in zip(UTM_NAMES, top, strict=True))
    utm = tuple(clip(value, MAX_UTM_CHARACTERS) for value in values)
    return utm if any(utm) else None


def _screen(data: _Data, details: dict[str, object]) -> str | None:
    screen = data.screen_resolution or details.get("screen_resolution") or data.viewport or details.get("viewport")
    if screen is None:
        width, height = data.viewport_width, data.viewport_height
        return _size(width or details.get("viewport_width"), height or details.get("viewport_height"))
    if isinstance(screen, dict):
        return _size(screen.get("width"), screen.get("height"))
    return _clipped(screen, MAX_SCREEN_CHARACTERS)


def _size(width: object, height: object) -> str | None:
    return clip(f"{width}x{height}", MAX_SCREEN_CHARACTERS) if width and height else None


def _key(value: object) -> str | None:
    if value is None:
        return None
    text = clip(value, MAX_URL_CHARACTERS)
    return clip_key(text, MAX_ID_CHARACTERS) if text else None


def _fallback_visitor(event: RawEvent, user_id: str | None, session_bk: str | None) -> str:
    """Return a visitor key for an event that came without one: at least its session's events stay together."""
    if user_id is not None:
        return f"u:{user_id}"
    return f"s:{session_bk}" if session_bk is not None else f"e:{event.event_uid}"


def _loose_session(tenant_id: int, value: object) -> tuple[bytes, str | None]:
    text = _key(value)
    return _session(tenant_id, text) if text else (ZERO_KEY, None)


@lru_cache(maxsize=_CACHED)
def _session(tenant_id: int, text: str) -> tuple[bytes, str | None]:
    key = clip_key(clean(text).strip(), MAX_ID_CHARACTERS)
    return (hash_key(tenant_id, SITE, key), key) if key else (ZERO_KEY, None)


@lru_cache(maxsize=_CACHED)
def _page(tenant_id: int, key: str | None) -> bytes:
    return ZERO_KEY if key is None else hash_key(tenant_id, SITE, key)


@lru_cache(maxsize=1024)
def _event_type(text: str | None, kind: str) -> str:
    found = clip(text, MAX_EVENT_TYPE_CHARACTERS)
    return found or (
        "page_view" if kind == PAGE_VIEW else clip_key(kind.removeprefix("site."), MAX_EVENT_TYPE_CHARACTERS)
    )
