"""What flows: one accepted event, on its way from the front to `raw.event`.

`NewEvent` is what intake commits: validated, identified, with every privacy rule already applied (the
address is truncated, the visitor key made). `RawEvent` is the same event read back by the loader.
"""

from datetime import datetime
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID


class EventFlag(IntEnum):
    """Facts about how an event came in; combined with `|` into the bits of `raw.event.flags`, a plain int."""

    NONE = 0
    FUTURE_CORRECTED = 1
    """occurred_at was further in the future than allowed and was set to received_at."""
    SKEW_CORRECTED = 2
    """occurred_at was shifted by the sender's clock skew (received_at - sent_at)."""
    SERVER_AGENT = 4
    """user_agent is that of an authenticated server, not of the visitor: never judged as a bot."""
    NO_OCCURRED_AT = 8
    """The sender gave no time; occurred_at is received_at."""
    PII = 16
    """The event may hold personal data: the log seals it (`sealing`). In `raw.event`: values of it are sealed."""


class NewEvent(NamedTuple):
    """One accepted event, in the order of the columns that intake copies after (raw_id)."""

    received_at: datetime
    tenant_id: int
    event_uid: UUID
    kind: str
    occurred_at: datetime
    source: str
    message_id: str | None
    subject: str | None
    visitor: str | None
    ip: str | None
    user_agent: str | None
    flags: int
    data: str
    """The sender's JSON object as text, at most MAX_EVENT_BYTES."""


class RawEvent(NamedTuple):
    """One row of `raw.event`, as the loader reads it."""

    raw_id: int
    received_at: datetime
    tenant_id: int
    event_uid: UUID
    kind: str
    occurred_at: datetime
    source: str
    message_id: str | None
    subject: str | None
    visitor: str | None
    ip: str | None
    user_agent: str | None
    flags: int
    data: str


class Reject(NamedTuple):
    """One refused event with its reason; a row of `staging.rejected`."""

    tenant_id: int
    raw_id: int | None
    stage: str
    code: str
    reason: str
    field: str | None
    kind: str | None
    origin: str
    payload: str
