"""Logs: one structlog pipeline for our own events and for every library's, one line each.

JSON lines (`LOG_FORMAT=json`, or not a terminal) or a pretty form for people. Every line carries the request
id and tenant of the request it belongs to. Two promises hold for each line, whoever wrote it:

- no secret: fields named like secrets, keys, tokens, passwords inside URLs and the values of this
  installation's own secret settings are masked;
- no forgery: line breaks, terminal escapes and bidirectional marks in values are written as escapes.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Literal, TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor

from mainstem.platform.settings import LogFormat, Settings

MASK: Final = "[redacted]"
_SHORTEST_KNOWN_SECRET = 8
_DEEPEST = 6
_QUIET_LIBRARIES: Final = ("httpx", "httpcore", "asyncio", "sqlalchemy.engine", "python_multipart")

_SECRET_NAME: Final = re.compile(
    r"(?i)(^|[_\-.])(secret|password|passwd|passphrase|pwd|token|jwt|apikey|authorization|cookie|credential|signature|dsn)s?($|[_\-.])"
    r"|(api|access|secret|private|signing|session)[_\-.]?key$|^key$|^set-cookie$"
)
_NOT_SECRET_NAMES: Final = frozenset({"token_type", "secret_name", "key_id", "password_set"})
_SECRET_TEXT: Final = (
    (re.compile(r"\bms_([a-z]+)_[A-Za-z0-9_\-]{6,}"), r"ms_\1_" + MASK),
    (re.compile(r"\b(whsec|sk|rk|pk)_[A-Za-z0-9+/=_\-]{12,}"), r"\1_" + MASK),
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[A-Za-z0-9._~+/=\-]{6,}"), r"\1 " + MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{5,}\.[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]*)?"), MASK),
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), r"\1:" + MASK + "@"),
    (
        re.compile(r"(?i)([?&;\s]|^)((?:[a-z_]*(?:token|secret|password|signature|api_?key))|key|sig)=[^&\s;'\"]+"),
        r"\1\2=" + MASK,
    ),
    (
        re.compile(r"(?i)\b((?:x-api-key|authorization|cookie|set-cookie)['\"]?\s*[:=]\s*['\"]?)[^\s'\",}]+"),
        r"\1" + MASK,
    ),
)
# one cheap look that spares almost every text the patterns above; each of them needs one of these
_SUSPECT: Final = re.compile(
    r"ms_|whsec_|[srp]k_|eyJ|://|(?i:bearer|basic|digest|token|secret|password|signature|key|sig=|authorization|cookie)"
)
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_UNSAFE_IN_BLOCK: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Redactor:
    """A structlog processor that masks secrets in names and values, at any depth up to six."""

    def __init__(self, known_secrets: Sequence[str] = ()) -> None:
        """Keep the exact values that must never be written, beside the general patterns."""
        values = sorted(
            {value for value in known_secrets if len(value) >= _SHORTEST_KNOWN_SECRET}, key=len, reverse=True
        )
        self._known = re.compile("|".join(map(re.escape, values))) if values else None

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """Return the event with every secret masked."""
        return {self.text(name): self._value(name, value, 0) for name, value in event.items()}

    def text(self, text: str) -> str:
        """Return the text with every secret masked."""
        if len(text) < _SHORTEST_KNOWN_SECRET:
            return text
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if _SUSPECT.search(text) is None:
            return text
        for pattern, replacement in _SECRET_TEXT:
            text = pattern.sub(replacement, text)
        return text

    def _value(self, name: str, value: object, depth: int) -> object:
        if name.startswith("_"):  # the pipeline's own: _record, _from_structlog
            return value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, SecretStr) or (_is_secret_name(name) and value != ""):
            return MASK
        if isinstance(value, int | float):
            return value
        return self._compound(value, depth + 1)

    def _compound(self, value: object, depth: int) -> object:
        if not isinstance(value, Mapping | list | tuple | set | frozenset):
            return self.text(str(value))
        if depth > _DEEPEST:
            return MASK
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._value(str(key), item, depth) for key, item in value.items()}
        return [self._value("", item, depth) for item in value]


@lru_cache(maxsize=1024)
def _is_secret_name(name: str) -> bool:
    return name not in _NOT_SECRET_NAMES and _SECRET_NAME.search(name) is not None


def escape(text: str, *, block: bool = False) -> str:
    r"""Return the text with control and direction characters as `\x1b`-like escapes; a block keeps its line feeds."""
    return (_UNSAFE_IN_BLOCK if block else _UNSAFE).sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape_values(_logger: object, _method: str, event: EventDict) -> EventDict:
    # for people only: JSON escapes by itself
    safe: EventDict = {}
    for name, value in event.items():
        if name == "exception":
            safe[name] = "\n".join(f"    {line}" for line in escape(str(value), block=True).splitlines())
        elif value is None or isinstance(value, bool | int | float):
            safe[escape(name)] = value
        else:
            safe[escape(name)] = escape(value if isinstance(value, str) else repr(value))
    return safe


def _json_line(_logger: object, _method: str, event: EventDict) -> str:
    # ASCII only, so that no reader takes U+2028 or U+0085 for the end of a line
    ordered = {"timestamp": event.pop("timestamp", None), "level": event.pop("level", None), **_event_first(event)}
    return json.dumps(ordered, default=repr, ensure_ascii=True, separators=(",", ":")).replace("\x7f", "\\u007f")


def _event_first(event: EventDict) -> EventDict:
    return {"event": event.pop("event", ""), **event}


def _drop_colours_of_uvicorn(_logger: object, _method: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)
    return event


def configure(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Set up logging for this process: format, level, redaction, and Sentry where a DSN is given.

    Run uvicorn with `log_config=None`, so that its loggers come through here. May be called again.
    """
    target = stream or sys.stderr
    redact = Redactor(_secrets_of(settings))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _drop_colours_of_uvicorn,
        redact,
    ]
    pretty = settings.log_format is LogFormat.PRETTY or (settings.log_format is LogFormat.AUTO and target.isatty())
    finish: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if pretty:
        finish += [_escape_values, structlog.dev.ConsoleRenderer(colors=target.isatty())]
    else:
        finish += [_json_line]
    handler = logging.StreamHandler(target)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=finish, foreign_pre_chain=shared))
    level = logging.getLevelNamesMapping()[settings.log_level]
    _route_libraries(handler, level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    _start_sentry(settings, redact)


def _route_libraries(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncpg", "alembic", "py.warnings"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").setLevel(logging.CRITICAL)  # our own access line replaces it
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _secrets_of(settings: Settings) -> list[str]:
    values = (getattr(settings, name) for name in type(settings).model_fields)
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


def _start_sentry(settings: Settings, redact: Redactor) -> None:
    if settings.sentry_dsn is None:
        return
    if find_spec("sentry_sdk") is None:
        hint = "SENTRY_DSN is set, but sentry-sdk is missing: pip install 'mainstem[sentry]'"
        structlog.get_logger(__name__).warning(hint)
        return

    def scrub(event: MutableMapping[str, Any], _hint: object) -> MutableMapping[str, Any]:
        return redact(None, "", event)

    import_module("sentry_sdk").init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.environment.value,
        before_send=scrub,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
    )


def capture(error: BaseException) -> None:
    """Send an unexpected error to Sentry, where it is set up."""
    sentry = sys.modules.get("sentry_sdk")
    if sentry is not None:
        sentry.capture_exception(error)


def correlation_id() -> str | None:
    """Return the id under which the work of this moment is found in the log, in brackets: of its run, else of its request."""
    bound = structlog.contextvars.get_contextvars()
    found = bound.get("correlation_id")
    if found is None and "request_id" in bound:
        return f"[{bound['request_id']}]"
    return None if found is None else str(found)


def new_correlation_id(kind: Literal["req", "sync", "scheduled"] = "req") -> str:
    """Return a new id such as `req-5f1c…` (64 random bits): of a request, a sync or a scheduled run."""
    return f"{kind}-{os.urandom(8).hex()}"


@contextmanager
def correlation(kind: Literal["req", "sync", "scheduled"]) -> Iterator[str]:
    """Give every line inside a new `correlation_id`, in brackets as operators search for it: `[sync-5f1c…]`."""
    made = f"[{new_correlation_id(kind)}]"
    with structlog.contextvars.bound_contextvars(correlation_id=made):
        yield made
