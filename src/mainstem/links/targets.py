"""Targets of links: which are safe, and how parameters are added to them. Pure.

A target is decided by whoever made the link, never by the visit: nothing of a request chooses a host, so a link is no open
redirect. Scripts and data in an address run in the visitor's browser, so their schemes are never allowed.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import idna

from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.web.urls import UTM_NAMES

MAX_TARGET_CHARACTERS: Final = 4_096
NEVER: Final = frozenset(("javascript", "data", "vbscript", "file", "blob", "filesystem", "about", "view-source"))
_BAD: Final = re.compile(r"[\x00-\x20\x7f\\]")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SAFE: Final = "/:?#[]@!$&'()*+,;=%-._~"
_WEB: Final = ("http", "https")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def safe_target(url: str, schemes: Collection[str] = _WEB, *, field: str = "target_url") -> str:
    """Return a target in its one ASCII form. Raises InvalidFieldError for what no link may lead to.

    Scheme and host are in lower case, the host in punycode, other letters percent-encoded.
    """
    url = url.strip()
    if not 1 <= len(url) <= MAX_TARGET_CHARACTERS:
        raise InvalidFieldError(f"{field} must have 1 to {MAX_TARGET_CHARACTERS:,} characters.", field=field)
    if _BAD.search(url):
        raise InvalidFieldError(f"{field} must have no blanks, control characters or backslashes.", field=field)
    scheme = _SCHEME.match(url)
    name = scheme[1].lower() if scheme else ""
    if name in NEVER or name not in {one.lower() for one in schemes}:
        allowed = ", ".join(f"{one}:" for one in schemes)
        raise InvalidFieldError(f"{field} must begin with {allowed}.", field=field, code="unsafe_target")
    made = _web_address(url, field) if name in _WEB else quote(url, safe=_SAFE)
    if len(made) > MAX_TARGET_CHARACTERS:
        raise InvalidFieldError(
            f"{field} may have at most {MAX_TARGET_CHARACTERS:,} characters when encoded.", field=field
        )
    return made


def with_parameters(url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return an address with parameters set: those that it has under the same names are replaced, the others stay."""
    added = list(parameters)
    if not added:
        return url
    address, hash_, fragment = url.partition("#")
    base, asks, query = address.partition("?")
    names = {name for name, _ in added}
    # what stays is not decoded and written anew: it may be signed
    kept = [part for part in query.split("&") if part and _name(part) not in names] if asks else []
    return f"{base}?{'&'.join([*kept, urlencode(added)])}{hash_}{fragment}"


def utm_of(url: str) -> tuple[str | None, ...]:
    """Return the utm_* parameters of an address, in the order of UTM_NAMES."""
    if "utm_" not in url:
        return (None,) * len(UTM_NAMES)
    found = dict(parse_qsl(url.partition("#")[0].partition("?")[2]))
    return tuple(found.get(name) or None for name in UTM_NAMES)


def host_of(url: str) -> str:
    """Return host and unusual port of an address, as in a Host header; empty where there is none."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def place_of(url: str, hosts: Sequence[str]) -> tuple[str, str] | None:
    """Return (host, slug) when an address is on one of these hosts, else None; hosts as in a Host header."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    if host not in hosts or parts.scheme not in _WEB:
        return None
    slug = parts.path.removeprefix("/").removeprefix("track/").removesuffix("+")
    return (host, slug) if slug else None


def _name(part: str) -> str:
    pairs = parse_qsl(part, keep_blank_values=True)
    return pairs[0][0] if pairs else ""


def _web_address(url: str, field: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidFieldError(f"{field} is no address.", field=field) from None
    if not host:
        raise InvalidFieldError(f"{field} needs a host.", field=field)
    if "@" in parts.netloc:
        # what stands before the @ looks like the host to a person
        raise InvalidFieldError(f"{field} must hold no user name or password.", field=field, code="unsafe_target")
    shown = _ascii_host(host, field)
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        shown = f"{shown}:{port}"
    made = SplitResult(
        parts.scheme,
        shown,
        quote(parts.path, safe=_SAFE) or "/",
        quote(parts.query, safe=_SAFE),
        quote(parts.fragment, safe=_SAFE),
    )
    return made.geturl()


def _ascii_host(host: str, field: str) -> str:
    if ":" in host:
        return f"[{host.lower()}]"
    try:
        if not host.isascii():
            return idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        raise InvalidFieldError(f"{field} has a host that can't be.", field=field) from None
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?\.?", host.lower()) or ".." in host:
        raise InvalidFieldError(f"{field} has a host that can't be.", field=field)
    return host.lower()
