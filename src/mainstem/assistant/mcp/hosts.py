"""Which Host and Origin headers are this hub's own, so that no web page reaches it under a name of its choice. Pure.

A page that has its name point at this machine (DNS rebinding) still sends that name. An address as Host is the one that the
connection came to, so nobody else's.
"""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

ANY: Final = "*"
_HOST: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


class Host(NamedTuple):
    """A host as a header names it."""

    name: str
    """In lower case, an IPv6 address without its brackets."""
    port: int | None


def parse_host(text: str) -> Host | None:
    """Return the host of a Host header; None: it is none."""
    found = _HOST.fullmatch(text)
    if found is None:
        return None
    port = found["port"]
    return Host(found["name"].strip("[]").rstrip(".").lower(), None if port is None else int(port))


def host_allowed(text: str, allowed: Sequence[str], here: str | None) -> bool:
    """Tell whether a Host header is ours: this machine's own name, the address `here`, or one of `allowed`.

    An allowed name without a port stands for all ports; `*` for every host.
    """
    host = parse_host(text)
    if host is None:
        return False
    if _is_loopback(host.name) or host.name == here or ANY in allowed:
        return True
    wanted = filter(None, map(parse_host, allowed))
    return any(host.name == one.name and one.port in {None, host.port} for one in wanted)


def origin_allowed(text: str, allowed: Sequence[str], here: str | None) -> bool:
    """Tell whether the page of an Origin header is served from one of our hosts, over HTTP."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and host_allowed(parts.netloc, allowed, here)


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
