r"""Reads one line of an access log: what was asked, by whom, when, with what outcome.

The formats are Apache's `common`, `combined` and `vhost_combined` and nginx's `combined`; fields after the
user agent are ignored. Quoted fields may hold `\"`, `\\` and `\xHH`. A request that is not HTTP (a probe,
a timeout) is still a well-formed line. Reads no file, stores nothing, knows no tenant.

Formats: https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats and
https://nginx.org/en/docs/http/ngx_http_log_module.html.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, NamedTuple

from mainstem.events.receive import EARLIEST

# a virtual host comes first only where a numeric address follows: "host ident user" has the same shape
_WHO: Final = r"(?:(\S+) (?=[0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]* ))?(\S+) \S+ [^\[]*"
_TIME: Final = r"\[([^\]]{1,64})\]"
_QUOTED: Final = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_OUTCOME: Final = r"(\d{3}|-) (\d{1,18}|-)"

_LINE: Final = re.compile(rf"{_WHO}{_TIME} {_QUOTED} {_OUTCOME}(?: {_QUOTED} {_QUOTED}(?: .*)?)? *", re.DOTALL)
_PARTS: Final = (
    (re.compile(rf"{_WHO}\["), "no address, identity, user and [time] at the start"),
    (re.compile(rf"{_WHO}{_TIME} "), "the [time] is not closed"),
    (re.compile(rf"{_WHO}{_TIME} {_QUOTED} ", re.DOTALL), 'the "request" is not quoted or not closed'),
    (re.compile(rf"{_WHO}{_TIME} {_QUOTED} {_OUTCOME}(?: |$)", re.DOTALL), "status and size are not numbers"),
    (
        re.compile(rf"{_WHO}{_TIME} {_QUOTED} {_OUTCOME} {_QUOTED} ", re.DOTALL),
        'the "referrer" is not quoted or not closed',
    ),
)
_LAST_PART: Final = 'the "user agent" is not quoted or not closed'

_CLOCK: Final = re.compile(
    r"(\d{1,2})/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,6}))?(?: ([+-])(\d\d):?(\d\d))?"
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_REQUEST: Final = re.compile(r"([A-Za-z][A-Za-z_-]{0,30}) (\S.*?)(?: (HTTP/\d(?:\.\d)?))?", re.DOTALL)

_ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_ESCAPED_CONTROLS: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


class Request(NamedTuple):
    """The request line; all None when it is not HTTP."""

    method: str | None
    target: str | None
    protocol: str | None


class Hit(NamedTuple):
    """One well-formed line. Fields that the log leaves out or gives as `-` are None."""

    vhost: str | None
    client: str
    occurred_at: datetime
    """Aware, in UTC."""
    request: Request
    status: int | None
    size: int | None
    """Bytes of the answer's body."""
    referrer: str | None
    user_agent: str | None
    combined: bool
    """Whether the line has the referrer and user agent fields at all."""


class Malformed(NamedTuple):
    """Why a line can't be read."""

    code: str
    reason: str


def parse_line(line: str) -> Hit | Malformed:
    """Return what one line (without its line end) says, or why it can't be read."""
    match = _LINE.fullmatch(line)
    if match is None:
        return Malformed("malformed_line", _first_fault(line))
    vhost, client, time, request, status, size, referrer, agent = match.groups()
    occurred_at = parse_time(time)
    if occurred_at is None:
        return Malformed("malformed_time", f"the time [{time}] does not exist or has no known form")
    return Hit(
        vhost,
        client,
        occurred_at,
        parse_request(_unescape(request)),
        None if status == "-" else int(status),
        None if size == "-" else int(size),
        _field(referrer),
        _field(agent),
        agent is not None,
    )


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime | None:
    """Return the UTC time of `17/May/2015:10:05:03 +0200` or of ISO 8601 text, or None when it has none.

    A time without a zone is taken as UTC, a leap second as the second before it; times before 1970 are none.
    """
    match = _CLOCK.fullmatch(text)
    try:
        moment = datetime.fromisoformat(text) if match is None else _clock(*match.groups())
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, KeyError, OverflowError):
        return None
    return moment if moment >= EARLIEST else None


@lru_cache(maxsize=4096)
def parse_request(text: str) -> Request:
    """Return the parts of a request line; `GET /a b HTTP/1.1` keeps the blank in its target."""
    match = _REQUEST.fullmatch(text)
    if match is None:
        return Request(None, None, None)
    method, target, protocol = match.groups()
    return Request(method.upper(), target, protocol)


def _clock(*parts: str | None) -> datetime:
    day, month, year, hour, minute, second, fraction, sign, zone_hours, zone_minutes = (part or "0" for part in parts)
    offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    zone = timezone(-offset if sign == "-" else offset)
    micros = int(fraction.ljust(6, "0"))
    return datetime(
        int(year), _MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59), micros, tzinfo=zone
    )


def _field(text: str | None) -> str | None:
    return None if text in {None, "", "-"} else _unescape(text)


def _unescape(text: str) -> str:
    # PostgreSQL keeps no NUL in text
    if "\\" not in text:
        return text.replace("\0", "\ufffd")
    return _ESCAPE.sub(_plain, text.encode()).decode(errors="replace").replace("\0", "\ufffd")


def _plain(escape: re.Match[bytes]) -> bytes:
    code, character = escape.groups()
    return bytes((int(code, 16),)) if code else _ESCAPED_CONTROLS.get(character, character)


def _first_fault(line: str) -> str:
    return next((fault for part, fault in _PARTS if not part.match(line)), _LAST_PART)
