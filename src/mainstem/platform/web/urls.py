"""Reads addresses: the page's key, the campaign in its query, and where the visitor came from. Pure.

A page is known by `scheme://host/path`: scheme and host in lower case (they mean the same in any case), the path as
it is (it may not), query and fragment dropped (they hold campaigns and secrets). No text fails: what is no address is
a path.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from mainstem.platform.web.text import clean, clip, clip_key

MAX_URL_CHARACTERS: Final = 4_096
MAX_HOST_CHARACTERS: Final = 255
MAX_UTM_CHARACTERS: Final = 200
UTM_NAMES: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
_MAX_QUERY_FIELDS: Final = 200
_CACHED: Final = 16_384
_LONGEST_CACHED: Final = 512
"""Characters of a text that is kept: senders choose them, and many long ones would fill the memory."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# no place that a visitor can be at
_NO_PAGE: Final = re.compile(r"(?:data|javascript|vbscript|blob|about|mailto|tel):", re.IGNORECASE)
# a name may be written with escapes
_MAYBE_UTM: Final = re.compile(r"utm_|[^=]*%", re.IGNORECASE)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

_SEARCH: Final = re.compile(
    r"(?:^|\.)(?:google|bing|yahoo|yandex|baidu|duckduckgo|ecosia|qwant|startpage|ask|aol|naver|sogou|seznam|kagi"
    r"|mojeek|swisscows|so|daum|rambler|lycos|dogpile|metager|presearch)(?:\.[a-z]{2,3}){1,2}$"
    r"|^search\.|^com\.google\.android\.googlequicksearchbox$"
)
# parts of the search companies that don't search
_NOT_SEARCH: Final = re.compile(
    r"^(?:mail|docs|drive|groups|news|sites|calendar|meet|accounts|answers|plus|translate)\."
)
_SOCIAL: Final = re.compile(
    r"(?:^|\.)(?:facebook|instagram|twitter|x|linkedin|pinterest|reddit|tiktok|youtube|tumblr|snapchat|threads|quora"
    r"|weibo|vk|ok|xing|flipboard|disqus|whatsapp|telegram|messenger|discord|mastodon|stackoverflow)"
    r"\.(?:com|net|org|social|ru|me)$"
    r"|^(?:t\.co|lnkd\.in|fb\.me|youtu\.be|bsky\.app|news\.ycombinator\.com|lobste\.rs|plus\.google\.com|plus\.url\.google\.com)$"
    r"|^com\.(?:facebook|linkedin|twitter|reddit)\."
)


class Page(NamedTuple):
    """One page address, taken apart."""

    key: str | None
    """scheme://host/path, the business key; None when there is no page."""
    url: str | None
    host: str | None
    path: str | None
    utm: tuple[str | None, ...] | None
    """Source, medium, campaign, term, content of the query; None when it has none of them."""


class Referrer(NamedTuple):
    """Where a visitor came from."""

    url: str | None
    host: str | None
    """None when there is none, and when it is the page's own host."""
    channel: str
    """direct, internal, search, social or referral."""


NO_PAGE: Final = Page(None, None, None, None, None)


def page_of(text: str) -> Page:
    """Return the page that an address means; `key` is None when it means none (blank, `data:`, `about:` …)."""
    url = clean(text).strip()
    if not url:
        return NO_PAGE
    # a page has few addresses without, and any number with a query: only the former are worth keeping
    address, asks, query = url.partition("?")
    if "#" in address:
        address, asks, query = address.partition("#")[0], "", ""
    place = (_place if len(address) <= _LONGEST_CACHED else _place.__wrapped__)(address)
    utm = _utm(query.partition("#")[0]) if asks and place.is_address else None
    shown = (place.shown + url[len(address) :])[:MAX_URL_CHARACTERS]
    return Page(place.key, shown, place.host, place.path, utm)


class _Place(NamedTuple):
    """An address without query and fragment, taken apart."""

    key: str | None
    shown: str
    host: str | None
    path: str | None
    is_address: bool


@lru_cache(maxsize=_CACHED)
def _place(url: str) -> _Place:
    if _NO_PAGE.match(url):
        return _Place(None, url, None, None, is_address=False)
    parts = _split(url) if url else None
    if parts is None:
        path = url or "/"
        return _Place(clip_key(path), url, None, clip_key(path), is_address=False)
    host = _host(parts)
    path = parts.path or "/"
    key = f"{parts.scheme}://{host or ''}{path}" if parts.scheme else f"//{host}{path}" if host else path
    return _Place(clip_key(key), _without_password(url, parts), host, clip_key(path), is_address=True)


def referrer_of(text: str | None, page_host: str | None) -> Referrer:
    """Return the referrer of a page of this host, with the channel it stands for when no campaign is named."""
    short = text is None or len(text) <= _LONGEST_CACHED
    return (_referrer if short else _referrer.__wrapped__)(text, page_host)


@lru_cache(maxsize=_CACHED)
def _referrer(text: str | None, page_host: str | None) -> Referrer:
    url = clean(text).strip() if text else ""
    parts = _split(url) if url else None
    host = _host(parts) if parts is not None else None
    if parts is None or host is None:
        return Referrer(url[:MAX_URL_CHARACTERS] or None, None, "direct")
    url = _without_password(url, parts)
    if page_host is not None and host.removeprefix("www.") == page_host.removeprefix("www."):
        return Referrer(url, None, "internal")
    return Referrer(url, host, _channel(host))


def _channel(host: str) -> str:
    if _SOCIAL.search(host):
        return "social"
    if _SEARCH.search(host) and not _NOT_SEARCH.search(host):
        return "search"
    return "referral"


def _split(url: str) -> SplitResult | None:
    """Return the parts of an address, None where it can't be one."""
    # "example.com/a" and "localhost:3000/a" mean a host only with a scheme before them
    if not _SCHEME.match(url) and not url.startswith("/"):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts


def _host(parts: SplitResult) -> str | None:
    name = parts.hostname
    if not name:
        return None
    # the root's dot changes nothing about a name
    name = name.rstrip(".") or name
    if ":" in name:
        name = f"[{name}]"
    if parts.port is not None and parts.port != _DEFAULT_PORTS.get(parts.scheme):
        name = f"{name}:{parts.port}"
    return clip_key(name, MAX_HOST_CHARACTERS)


def _without_password(url: str, parts: SplitResult) -> str:
    if "@" in parts.netloc:
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return url[:MAX_URL_CHARACTERS]


def _utm(query: str) -> tuple[str | None, ...] | None:
    if "utm_" not in query and "utm_" not in query.lower():
        return None
    fields = query.split("&")
    if len(fields) > _MAX_QUERY_FIELDS:
        return None
    # other fields make every query another one; those of campaigns are few
    named = "&".join(field for field in fields if _MAYBE_UTM.match(field))
    return (_campaign_in if len(named) <= _LONGEST_CACHED else _campaign_in.__wrapped__)(named)


@lru_cache(maxsize=_CACHED)
def _campaign_in(query: str) -> tuple[str | None, ...] | None:
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, errors="replace"):
        text = clip(value, MAX_UTM_CHARACTERS)
        if text is not None:
            found.setdefault(name.lower(), text)
    utm = tuple(found.get(name) for name in UTM_NAMES)
    return utm if any(utm) else None
