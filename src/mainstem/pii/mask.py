"""Masks personal data that stands inside longer texts: in the addresses of pages, and in sentences for a log. Pure."""

import re
from typing import Final
from urllib.parse import unquote, unquote_plus

from mainstem.pii import identify
from mainstem.pii.names import Names

MASK: Final = "***"
_PARAMETER: Final = re.compile(r"(^|[?&;#])([^=&;#?\s]{1,200})=([^&;#\s]*)")
_EMAIL: Final = re.compile(
    r"[^\s@/?#&=:;,\"'<>]{1,64}(?:@|%40)[^\s@/?#&=:;,\"'<>]+\.[^\s@/?#&=:;,\"'<>]{2,}", re.IGNORECASE
)


def mask_addresses(text: str, names: Names) -> str:
    """Return a text with the values of query parameters masked that have a PII name or are an e-mail address or number.

    In an address (with a scheme, or beginning with `/` or `mailto:`) e-mail addresses in the path and the fragment are masked, too;
    what stands before the path is left alone.
    """
    if "=" in text:
        text = _PARAMETER.sub(lambda match: _parameter(match, names), text)
    if "@" not in text and "%40" not in text:
        return text
    _, scheme, rest = text.partition("://")
    if scheme:
        host, slash, path = rest.partition("/")
        return text[: len(text) - len(rest)] + host + slash + mask_emails(path) if slash else text
    return mask_emails(text) if text.startswith(("/", "mailto:")) else text


def mask_sentence(text: str, names: Names) -> str:
    """Return a sentence with all e-mail addresses and personal query parameters masked: for logs and reasons."""
    return mask_emails(mask_addresses(text, names))


def mask_emails(text: str) -> str:
    """Return a text with all e-mail addresses masked; JSON stays JSON."""
    return _EMAIL.sub(MASK, text)


def _parameter(match: re.Match[str], names: Names) -> str:
    before, name, value = match.groups()
    plain = unquote_plus(name)
    personal = names.find(plain) or names.find(plain.rpartition("[")[2].rstrip("]"))
    if not value or not (personal or identify.contact(unquote(value))):
        return match[0]
    return f"{before}{name}={MASK}"
