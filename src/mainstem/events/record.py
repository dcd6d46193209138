"""record(): an event about a change, in the transaction of the change.

For people and connectors (a task done, an alert acknowledged): the table and the event commit together or not
at all. High rates go through `intake.Intake`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from mainstem.events.model import NewEvent
from mainstem.events.sealing import Sealer
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.ids import event_uid, uuid7

_sql: Final = load_queries("mainstem.events")


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
    """Append one event in the caller's transaction and return its batch id; loaders wake when that commits.

    `data` is anything msgspec writes as a JSON object. The same (tenant, source, message_id) is one event for
    ever, however often it is recorded; without a message id every call is a new event. `occurred_at` is aware
    and defaults to now. Works as the owner and, for the tenant of the transaction, as `mainstem_api`. With a sealer,
    personal data is sealed here; without, the loader seals it before anything is loaded.
    """
    now = utc_now()
    uid = event_uid(tenant_id, source, message_id) if message_id is not None else uuid7()
    text = msgspec.json.encode(data).decode()
    event = NewEvent(now, tenant_id, uid, kind, now, source, message_id, subject, None, None, None, 0, text)
    if sealer is not None and sealer.suspects(event):
        (event,) = await sealer.seal(connection, [event])
    row = {
        "event_uid": uid,
        "kind": kind,
        "source": source,
        "message_id": event.message_id,
        "subject": event.subject,
        "occurred_at": None if occurred_at is None else rfc3339(occurred_at),
        "flags": event.flags,
        "data": msgspec.Raw(event.data.encode()),
    }
    batch_id: int = await connection.fetchval(_sql["append"], tenant_id, msgspec.json.encode([row]).decode(), "record")
    return batch_id
