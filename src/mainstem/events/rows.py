"""Rows of `raw.event` in PostgreSQL's binary COPY format (documentation of COPY, "Binary Format"). Pure.

The driver can encode records by itself; this knows what most rows have in common (times, kinds, agents, absent
fields) and takes half the time, on the path that every event goes.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from struct import Struct
from typing import Final

from mainstem.events.model import NewEvent

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
SLICE_EVENTS: Final = 500
"""Events of one chunk: the event loop gets a turn after each, every millisecond or two."""

COLUMNS: Final = (
    *("raw_id", "received_at", "tenant_id", "event_uid", "occurred_at", "flags"),
    *("kind", "source", "message_id", "subject", "visitor", "ip", "user_agent", "data"),
)
"""Columns of `raw.event` in the order of the rows: those of fixed length first, which are packed in one go."""
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FIXED: Final = Struct(">hiqiqiii16siqih").pack
_LENGTH: Final = Struct(">i").pack
_NULL: Final = _LENGTH(-1)


def encoded(first_id: int, events: Sequence[NewEvent]) -> Iterator[bytes]:
    """Yield the rows of a batch whose first raw id is `first_id`, some hundred a chunk, without header and trailer.

    Raises ValueError (UnicodeEncodeError) for a text that UTF-8 can't hold, struct.error for a number out of range.
    """
    for start in range(0, len(events), SLICE_EVENTS):
        yield _chunk(first_id + start, events[start : start + SLICE_EVENTS])


def _chunk(first_id: int, events: Sequence[NewEvent]) -> bytes:
    parts: list[bytes] = []
    last_received: datetime | None = None
    received_us = 0
    for raw_id, event in enumerate(events, first_id):
        received_at, tenant_id, uid, kind, occurred_at, source, message_id, subject, visitor, ip, agent, flags, data = (
            event
        )
        # all events of a request came in at the same moment
        if received_at is not last_received:
            last_received, received_us = received_at, _microseconds(received_at)
        occurred_us = received_us if occurred_at is received_at else _microseconds(occurred_at)
        text = data.encode()
        parts += (
            _FIXED(14, 8, raw_id, 8, received_us, 4, tenant_id, 16, uid.bytes, 8, occurred_us, 2, flags),
            _pair(kind, source),
            _NULL if message_id is None else _field(message_id),
            _NULL if subject is None else _field(subject),
            _NULL if visitor is None else _field(visitor),
            _common(ip),
            _common(agent),
            _LENGTH(len(text)),
            text,
        )
    return b"".join(parts)


def _field(text: str) -> bytes:
    encoded_text = text.encode()
    return _LENGTH(len(encoded_text)) + encoded_text


@lru_cache(maxsize=8_192)
def _common(text: str | None) -> bytes:
    return _NULL if text is None else _field(text)


@lru_cache(maxsize=8_192)
def _pair(kind: str, source: str) -> bytes:
    return _field(kind) + _field(source)


def _microseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
