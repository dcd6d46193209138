"""Seals what senders that speak SQL could not: in the load's transaction, in the landing, and before staging."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from mainstem.events.model import NewEvent, RawEvent
from mainstem.events.sealing import Sealer
from mainstem.platform.db import Connection
from mainstem.vault import queries
from mainstem.vault.ledger import Batch

SEALED_ORIGINS: Final = frozenset({"http", "spool", "import"})
"""Batches of these came through the intake, which seals; any other may hold personal data as it was written."""


async def seal_unsealed(
    connection: Connection, sealer: Sealer, batches: Sequence[Batch], events: Sequence[RawEvent]
) -> list[RawEvent]:
    """Return the events with what is personal in them sealed, in `raw.event`, too; batches and events come by id.

    What is sealed already stays as it is. Raises what `Sealer.seal` raises.
    """
    open_batches = {batch.batch_id for batch in batches if batch.origin not in SEALED_ORIGINS}
    if not open_batches:
        return list(events)
    first_ids = [batch.batch_id for batch in batches]

    def is_open(event: RawEvent) -> bool:
        return first_ids[bisect_right(first_ids, event.raw_id) - 1] in open_batches

    found = [
        (place, new) for place, event in enumerate(events) if is_open(event) and sealer.suspects(new := _new(event))
    ]
    sealed = await sealer.seal(connection, [new for _, new in found], keep_sealed=True)
    changed = list(events)
    for (place, _), new in zip(found, sealed, strict=True):
        changed[place] = RawEvent(events[place].raw_id, *new)
    await queries.keep_sealed(connection, [changed[place] for place, _ in found if changed[place] != events[place]])
    return changed


def _new(event: RawEvent) -> NewEvent:
    return NewEvent(*event[1:])
