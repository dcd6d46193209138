"""Where a request comes from: client address, what is kept of it, visitor keys, browser origins.

All pure functions of their arguments; the hot path calls them once per event.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from socket import AF_INET, inet_pton
from typing import Any, Final
from urllib.parse import urlsplit

from mainstem.platform.settings import IpMode, SaltRotation

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_MOST_HOPS: Final = 32
_LONGEST_HEADER: Final = 4_096
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def parse_networks(names: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks of TRUSTED_PROXIES; an address stands for itself. Raises ValueError."""
    return tuple(ip_network(name.strip(), strict=False) for name in names)


def client_address(scope: Mapping[str, Any], trusted: Sequence[Network]) -> str | None:
    """Return the client's address in canonical text, or None when the server knows none.

    X-Forwarded-For counts only when the connection comes from a trusted network. It is read from the right,
    past trusted hops; the first other hop is the client. What stands further left was written by the client
    and means nothing. Garbage ends the walk at the last hop that was believed.
    """
    peer = scope.get("client")
    if not trusted:
        return _canonical(str(peer[0])) if peer else None
    connected = _parse(str(peer[0])) if peer else None
    # a Unix socket has no address: only a proxy on this machine can reach it
    if connected is not None and not _within(connected, trusted):
        return str(connected)
    believed = connected
    for hop in reversed(_forwarded(scope)):
        address = _parse(hop)
        if address is None:
            break
        believed = address
        if not _within(address, trusted):
            break
    return None if believed is None else str(believed)


@lru_cache(maxsize=16_384)
def stored_ip(ip: str | None, mode: IpMode, salt: bytes) -> str | None:
    """Return what is kept of a client address, or None.

    TRUNCATE zeroes all but /24 (IPv4) or /48 (IPv6); SALT gives 32 hex digits of a hash keyed by `salt`
    (at most 64 bytes); KEEP gives the canonical address; DROP and text that is no address give None.
    """
    if ip is None or mode is IpMode.DROP:
        return None
    if mode is IpMode.TRUNCATE and _is_ipv4(ip):
        return ip[: ip.rindex(".")] + ".0"
    address = _parse(ip)
    if address is None:
        return None
    match mode:
        case IpMode.KEEP:
            return str(address)
        case IpMode.SALT:
            return blake2b(address.packed, key=salt, digest_size=16).hexdigest()
        case IpMode.TRUNCATE:
            return _truncated(address)


def visitor_key(  # noqa: PLR0913 - the four parts that make a visitor, and how they are keyed
    tenant_id: int,
    ip: str | None,
    user_agent: str | None,
    moment: datetime,
    *,
    secret: bytes,
    rotation: SaltRotation,
) -> str:
    """Return the cookieless key of a visitor, `h:` and 32 hex digits.

    The same tenant, address and user agent give the same key, within one UTC day of `moment` under DAILY.
    Keyed by `secret` (at most 64 bytes), so that it can't be reversed by trying addresses.
    """
    day = moment.timestamp() // 86_400 if rotation is SaltRotation.DAILY else 0
    digest = _keyed(secret).copy()
    # no part can contain the separator: an address has no NUL, and the user agent comes last
    digest.update(f"{day}\0{tenant_id}\0{ip or ''}\0{user_agent or ''}".encode("utf-8", "surrogatepass"))
    return "h:" + digest.hexdigest()


def origin_allowed(origin: str, allowed: Sequence[str]) -> bool:
    """Tell whether a browser's `Origin` is one of a public key's.

    `https://shop.example` matches itself only, `https://*.example.com` every name below example.com but not
    example.com itself, `*` all. Scheme and port must match; host names compare without case.
    """
    if not origin or origin == "null":
        return "*" in allowed
    given = _origin_parts(origin)
    return "*" in allowed or (given is not None and any(_matches(given, pattern) for pattern in allowed))


def normalize_origin(text: str) -> str:
    """Return an allowed origin in its one form: lower-case scheme and host, the default port left out.

    Raises ValueError when it is no `scheme://host[:port]`, or its `*` stands elsewhere than as first label.
    """
    parts = _origin_parts(text)
    if parts is None:
        msg = f"{text!r} is no origin: write scheme://host[:port], e.g. https://shop.example."
        raise ValueError(msg)
    scheme, host, port = parts
    name = host.removeprefix("*.")
    if "*" in name or (host != name and "." not in name):
        msg = f"{text!r}: * may only stand for the names below a domain, e.g. https://*.example.com."
        raise ValueError(msg)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" if port == _DEFAULT_PORTS.get(scheme) else f"{scheme}://{shown}:{port}"


@lru_cache(maxsize=8)
def _keyed(secret: bytes) -> blake2b:
    """Return a hash that has taken its key, to be copied: half the price of a new one."""
    return blake2b(key=secret, digest_size=16)


def _is_ipv4(text: str) -> bool:
    """Tell whether a text is an IPv4 address in its one canonical form, a tenth of the price of parsing it."""
    try:
        inet_pton(AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


def _truncated(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(IPv4Address(int(address) & 0xFFFF_FF00))
    return str(IPv6Address(int(address) >> 80 << 80))


@lru_cache(maxsize=4_096)
def _parse(text: str) -> Address | None:
    """Read an address with or without port, brackets or zone; a v4-mapped one is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=4_096)
def _canonical(text: str) -> str | None:
    address = _parse(text)
    return None if address is None else str(address)


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _forwarded(scope: Mapping[str, Any]) -> list[str]:
    """Return the hops of all X-Forwarded-For headers in order, of a hostile one only the right end."""
    values = [value for name, value in scope.get("headers", ()) if name == b"x-forwarded-for"]
    joined = b",".join(values)[-_LONGEST_HEADER:].decode("latin-1")
    return [hop for part in joined.split(",") if (hop := part.strip())][-_MOST_HOPS:]


@lru_cache(maxsize=1_024)
def _origin_parts(text: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    host = (parts.hostname or "").rstrip(".")
    more_than_origin = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if scheme not in _DEFAULT_PORTS or not host or more_than_origin:
        return None
    return scheme, host, port or _DEFAULT_PORTS[scheme]


def _matches(given: tuple[str, str, int], pattern: str) -> bool:
    wanted = _origin_parts(pattern)
    if wanted is None or given[0] != wanted[0] or given[2] != wanted[2]:
        return False
    host = wanted[1]
    return given[1].endswith(host[1:]) and len(given[1]) > len(host) - 1 if host.startswith("*.") else given[1] == host
