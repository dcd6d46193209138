"""record(): an event about a change, in the transaction of the change.

For people and connectors (a task done, an alert acknowledged): the table and the event commit together or not
at all. High rates go through `intake.Intake`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from mainstem.events.model import EventFlag, NewEvent
from mainstem.events.sealing import Sealer
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.ids import event_uid, uuid7

_sql: Final = load_queries("mainstem.events")


class Change(NamedTuple):
    """One event about a change."""

    kind: str
    data: Mapping[str, Any]
    """Anything msgspec writes as a JSON object."""
    subject: str | None = None
    message_id: str | None = None
    occurred_at: datetime | None = None
    """Aware; now when absent."""
    sealed: bool = False
    """The data holds personal values that are sealed already, and no others."""


async def record(  # noqa: PLR0913 - an event has this many parts, all but four by name
    connection: Connection,
    tenant_id: int,
    kind: str,
    data: Mapping[str, Any],
    *,
    subject: str | None = None,
    message_id: str | None = None,
    source: str = "mainstem",
    occurred_at: datetime | None = None,
    sealer: Sealer | None = None,
) -> int:
    """Append one event in the caller's transaction and return its batch id; as `record_all` does."""
    change = Change(kind, data, subject, message_id, occurred_at)
    return await record_all(connection, tenant_id, [change], source=source, sealer=sealer)


async def record_all(
    connection: Connection,
    tenant_id: int,
    changes: Sequence[Change],
    *,
    source: str = "mainstem",
    sealer: Sealer | None = None,
) -> int:
    """Append events, at least one, in the caller's transaction and return their batch id; loaders wake when that commits.

    The same (tenant, source, message_id) is one event for ever, however often it is recorded; without a message id every
    one is a new event. Works as the owner and, for the tenant of the transaction, as `mainstem_api`. With a sealer,
    personal data is sealed here; without, the loader seals it before anything is loaded.
    """
    now = utc_now()
    events = []
    for change in changes:
        uid = event_uid(tenant_id, source, change.message_id) if change.message_id is not None else uuid7()
        text = msgspec.json.encode(change.data).decode()
        event = NewEvent(
            *(now, tenant_id, uid, change.kind, now, source, change.message_id, change.subject, None, None, None),
            *(int(EventFlag.PII) if change.sealed else 0, text),
        )
        if sealer is not None and not change.sealed and sealer.suspects(event):
            (event,) = await sealer.seal(connection, [event])
        events.append(event)
    rows = [
        {
            "event_uid": event.event_uid,
            "kind": event.kind,
            "source": source,
            "message_id": event.message_id,
            "subject": event.subject,
            "occurred_at": None if change.occurred_at is None else rfc3339(change.occurred_at),
            "flags": event.flags,
            "data": msgspec.Raw(event.data.encode()),
        }
        for change, event in zip(changes, events, strict=True)
    ]
    batch_id: int = await connection.fetchval(_sql["append"], tenant_id, msgspec.json.encode(rows).decode(), "record")
    return batch_id
