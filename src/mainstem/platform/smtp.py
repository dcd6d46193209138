"""What a mail server's URL says, and what a mail address is. Pure; read by the settings and the mailer."""

from dataclasses import dataclass, field
from email.headerregistry import Address
from typing import Final
from urllib.parse import unquote, urlsplit

_PORTS: Final = {"smtp": 25, "smtps": 465}
_SUBMISSION_PORT: Final = 587


@dataclass(frozen=True, slots=True)
class Server:
    """The SMTP server of a URL."""

    host: str
    port: int
    tls: bool
    """TLS from the start."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def server_of(url: str) -> Server:
    """Return the server of `smtp://user:password@host:port` or `smtps://…`; user and password are percent-decoded.

    Without a port: 465 for smtps, 587 for smtp with a user, else 25. Raises ValueError.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        msg = "must look like smtp://user:password@host:port or smtps://user:password@host:port"
        raise ValueError(msg)
    user = None if parts.username is None else unquote(parts.username)
    standard = _SUBMISSION_PORT if user and parts.scheme == "smtp" else _PORTS[parts.scheme]
    password = None if parts.password is None else unquote(parts.password)
    return Server(parts.hostname, parts.port or standard, parts.scheme == "smtps", user, password)


def is_address(text: str) -> bool:
    """Tell whether a text is one mail address, without a name."""
    try:
        found = Address(addr_spec=text)
    except Exception:  # noqa: BLE001 - the parser of the standard library fails in many ways
        return False
    return bool(found.username and found.domain) and found.addr_spec == text
