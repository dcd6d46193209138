"""Checks what is said of an endpoint and makes the columns of it. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mainstem.events import filters
from mainstem.platform.addresses import Network
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.reach import check_target
from mainstem.webhooks.payload import RESERVED
from mainstem.webhooks.retry import Policy

COLUMNS: Final = (
    *("name", "url", "description", "kinds", "filter", "envelope", "timeout_ms", "rate_limit", "retry_policy", "fifo"),
    *("header_names", "signature"),
)
"""Columns of webhooks.endpoint that changes are told by; `headers` itself is sealed."""
_DEFAULTS: Final[Mapping[str, Any]] = {
    "description": None,
    "events": ["*"],
    "filter": None,
    "envelope": "standard",
    "timeout_seconds": 15.0,
    "rate_limit": None,
    "retry_policy": None,
    "fifo": False,
}
_PATTERN: Final = re.compile(r"(\*|[a-z0-9_]+)(\.(\*|[a-z0-9_]+))*")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,4096}")
_RESERVED_STARTS: Final = ("webhook-", "proxy-", "sec-")
_LONGEST_FILTER: Final = 10_000


def columns_of(given: Mapping[str, Any], allow: Sequence[Network]) -> dict[str, Any]:
    """Return the columns that given fields of EndpointIn or EndpointPatch set; headers are apart, see `headers_of`.

    Null puts the default back. Raises InvalidFieldError.
    """
    found: dict[str, Any] = {}
    for field, value in given.items():
        set_: Any = _DEFAULTS.get(field) if value is None else value
        match field:
            case "name" | "url" if set_ is None:
                raise InvalidFieldError(f"{field} can't be removed.", field=field)
            case "name" | "description":
                found[field] = _text(set_, field)
            case "url":
                found["url"] = check_target(set_, allow)
            case "events":
                found["kinds"] = _patterns(set_, field)
            case "filter":
                found["filter"] = _filter(set_)
            case "timeout_seconds":
                found["timeout_ms"] = round(set_ * 1_000)
            case "retry_policy":
                Policy.parse(set_)
                found["retry_policy"] = set_
            case "envelope" | "rate_limit" | "fifo":
                found[field] = set_
    return found


def patterns(given: Sequence[str], *, field: str) -> list[str]:
    """Return patterns of kinds, each once. Raises InvalidFieldError for what can match no kind."""
    return _patterns(given, field)


def regex_of(kinds: Sequence[str]) -> str | None:
    """Return the patterns as one PostgreSQL regular expression, as `catalogue.matches` reads them; None: all kinds."""
    if "*" in kinds:
        return None
    return f"^({'|'.join(_regex(pattern) for pattern in kinds)})$"


def headers_of(given: Mapping[str, str] | None) -> dict[str, str]:
    """Return further request headers as they are sent. Raises InvalidFieldError for those of the protocol."""
    found: dict[str, str] = {}
    for name, value in (given or {}).items():
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidFieldError("headers: a name has letters, digits and - alone.", field="headers")
        if lower in RESERVED or lower.startswith(_RESERVED_STARTS):
            raise InvalidFieldError(f"headers: {name} is set by the delivery itself.", field="headers")
        if not _HEADER_VALUE.fullmatch(value):
            detail = f"headers: the value of {name} must have printable ASCII alone, at most 4,096 characters."
            raise InvalidFieldError(detail, field="headers")
        if lower in {known.lower() for known in found}:
            raise InvalidFieldError(f"headers: {name} stands there twice.", field="headers")
        found[name] = value.strip()
    return found


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the names of the columns that a change really changes, sorted."""
    return sorted(name for name in after if before.get(name) != after[name])


def _regex(pattern: str) -> str:
    words = pattern.split(".")
    head = [r"[a-z0-9_]+" if word == "*" else re.escape(word) for word in words[:-1]]
    last = r"[a-z0-9_]+(\.[a-z0-9_]+)*" if words[-1] == "*" else re.escape(words[-1])
    return r"\.".join([*head, last])


def _patterns(given: Sequence[str], field: str) -> list[str]:
    for number, pattern in enumerate(given):
        if not _PATTERN.fullmatch(pattern):
            raise InvalidFieldError(
                f"{pattern[:60]!r} is no pattern: write dotted lower-case words, with * for any, such as order.*.",
                field=f"{field}[{number}]",
            )
    return list(dict.fromkeys(given))


def _filter(given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if not given:
        return None
    filters.parse(given)
    try:
        text = json.dumps(given, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        raise InvalidFieldError("A filter holds something that can't be kept.", field="filter") from None
    if len(text) > _LONGEST_FILTER or "\\u0000" in text:
        detail = f"A filter has at most {_LONGEST_FILTER:,} characters as JSON, and no NUL."
        raise InvalidFieldError(detail, field="filter")
    return given


def _text(value: str | None, field: str) -> str | None:
    if value is not None and "\x00" in value:
        raise InvalidFieldError(f"{field} must hold no NUL.", field=field)
    return value
