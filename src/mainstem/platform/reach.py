"""What outgoing calls may reach: the addresses that are open, and the look at a target before it is stored. No I/O here."""

import re
import socket
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

from yarl import URL

from mainstem.platform.addresses import Address, Network
from mainstem.platform.errors import InvalidFieldError

_CLOSED: Final = tuple(
    ip_network(text)
    for text in (
        # IPv4: IANA's registries of special-purpose addresses (RFC 6890) and of multicast, as read in November 2026
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # IPv6: all but 2000::/3, the only part that is given out (RFC 4291, 2.4): what is left out has loopback, IPv4 in IPv6,
        # NAT64, unique local, link-local and multicast addresses
        *("::/3", "4000::/2", "8000::/1"),
        # and what is special within it: IETF protocols with Teredo, documentation, 6to4, AS112
        *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)
SCHEMES: Final = ("http", "https")
_LONGEST_URL: Final = 2048
_NAME: Final = re.compile(r"(?=.{1,254}$)([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?", re.ASCII | re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII | re.IGNORECASE)


@lru_cache(maxsize=8_192)
def is_open(address: Address, allow: tuple[Network, ...] = ()) -> bool:
    """Tell whether an address may be reached: a public one, or one of the allowed networks.

    An IPv4 address inside an IPv6 one (mapped) is looked at as itself.
    """
    mapped = getattr(address, "ipv4_mapped", None)
    plain: Address = mapped if mapped is not None else address
    if any(plain.version == network.version and plain in network for network in allow):
        return True
    return not any(plain.version == network.version and plain in network for network in _CLOSED)


def check_target(url: str, allow: Sequence[Network] = (), *, field: str = "url") -> str:
    """Return an address that calls may go to, as it was given but for a scheme in capitals. Raises InvalidFieldError.

    Names are not resolved here: what they mean is looked at when a connection is made.
    """
    if len(url) > _LONGEST_URL or any(ord(character) <= 0x20 or ord(character) == 0x7F for character in url):
        raise InvalidFieldError(
            "An address has no spaces or control characters, and 2,048 characters at most.", field=field
        )
    try:
        url.encode()
        parts = URL(url)
        host, port = parts.host, parts.port
    except ValueError:
        raise InvalidFieldError("That is no address.", field=field) from None
    if parts.scheme not in SCHEMES or not host:
        raise InvalidFieldError("An address starts with https:// or http:// and names a host.", field=field)
    if parts.user is not None or parts.password is not None:
        raise InvalidFieldError("Credentials don't belong into an address; send them as a header.", field=field)
    if parts.fragment:
        raise InvalidFieldError("An address to call has no #fragment.", field=field)
    if port == 0:
        raise InvalidFieldError("Port 0 is none.", field=field)
    _check_host(host, parts.raw_host or host, tuple(allow), field)
    return parts.scheme + url[len(parts.scheme) :]


def _check_host(host: str, raw_host: str, allow: tuple[Network, ...], field: str) -> None:
    address = read_address(host)
    if address is None and _NUMBER.fullmatch(raw_host.rstrip(".").rpartition(".")[2]):
        # no name ends in a number: this is another way to write an address (127.1, 0x7f000001)
        address = _odd_address(raw_host.rstrip("."))
        if address is None or is_open(address, allow):
            raise InvalidFieldError("An IPv4 address is written as four decimal numbers.", field=field)
    blocked = not is_open(address, allow) if address is not None else _is_local_name(host) and not allow
    if blocked:
        raise InvalidFieldError(
            f"{host} is not a public address (see OUTBOUND_ALLOW).", field=field, code="target_blocked"
        )
    if address is None and not _NAME.fullmatch(raw_host):
        raise InvalidFieldError("That is no name of a host.", field=field)


def _is_local_name(host: str) -> bool:
    return host.rstrip(".").lower() == "localhost" or host.rstrip(".").lower().endswith(".localhost")


def read_address(text: str) -> Address | None:
    """Return an address in its usual form, with or without a zone; None for anything else."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _odd_address(text: str) -> IPv4Address | None:
    """Read an IPv4 address as the C library does: fewer parts, octal and hexadecimal numbers."""
    try:
        return IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        return None
