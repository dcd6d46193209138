"""What one group commit holds: calls go in, batches per tenant come out.

Pure: no I/O, no clock. A *call* is one `Intake.commit()`; a *group* is what one transaction takes; a
*batch* is the part of a group that belongs to one tenant and origin, in the order in which it came.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, Literal, NamedTuple, TypeAlias

from mainstem.events.model import NewEvent, Reject

MAX_GROUP_EVENTS: Final = 20_000
MAX_GROUP_BYTES: Final = 16 * 1024 * 1024

_TENANT: Final = itemgetter(NewEvent._fields.index("tenant_id"))
_DATA: Final = itemgetter(NewEvent._fields.index("data"))

BatchKey: TypeAlias = tuple[int, str]
"""Tenant id and origin."""


class RowsRefusedError(Exception):
    """The events themselves can't be stored, whoever tries; the text is the storage's reason."""


class Receipt(NamedTuple):
    """Where the events of one call are, durably."""

    durable: Literal["postgres", "spool"]
    batch_ids: tuple[int, ...]
    """Batches that hold the events, one per tenant of the call; () when spooled."""


class Call(NamedTuple):
    """One waiting commit()."""

    events: Sequence[NewEvent]
    rejects: Sequence[Reject]
    origin: str
    data_bytes: int
    done: asyncio.Future[Receipt]


class PendingGroup(NamedTuple):
    """Events of one tenant and origin that become one batch, in this order."""

    tenant_id: int
    origin: str
    events: Sequence[NewEvent]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The batches and rejects of a group, and which batches each call takes part in."""

    groups: list[PendingGroup]
    rejects: list[Reject]
    keys_of_calls: list[tuple[BatchKey, ...]]

    def receipts(self, batch_ids: Sequence[int]) -> list[Receipt]:
        """Return one receipt per call, given one batch id per group in the same order."""
        ids = {
            (group.tenant_id, group.origin): batch_id for group, batch_id in zip(self.groups, batch_ids, strict=True)
        }
        # the calls of a group mostly share one tenant: they share one receipt, too
        shared = {keys: Receipt("postgres", tuple(ids[key] for key in keys)) for keys in set(self.keys_of_calls)}
        return [shared[keys] for keys in self.keys_of_calls]


def data_bytes(events: Sequence[NewEvent], rejects: Sequence[Reject] = ()) -> int:
    """Return the characters of the events' data and of the rejects' payloads, taken as bytes for the caps."""
    return sum(map(len, map(_DATA, events))) + sum(len(reject.payload) for reject in rejects)


def cut(waiting: deque[Call]) -> list[Call]:
    """Remove and return the first calls that fit under the caps of a group; at least one.

    At most MAX_GROUP_EVENTS events and MAX_GROUP_BYTES of data, so that a group is committed well within
    the commit timeout and fits in memory twice.
    """
    taken = [waiting.popleft()]
    events, size = len(taken[0].events), taken[0].data_bytes
    while waiting:
        events += len(waiting[0].events)
        size += waiting[0].data_bytes
        if events > MAX_GROUP_EVENTS or size > MAX_GROUP_BYTES:
            break
        taken.append(waiting.popleft())
    return taken


def gather(calls: Sequence[Call]) -> Gathered:
    """Return the batches of a group; events of one tenant and origin keep the order of calls and events."""
    batches: dict[BatchKey, list[NewEvent]] = {}
    rejects: list[Reject] = []
    keys_of_calls: list[tuple[BatchKey, ...]] = []
    for call in calls:
        keys = tuple((tenant_id, call.origin) for tenant_id in dict.fromkeys(map(_TENANT, call.events)))
        for key in keys:
            mine = call.events if len(keys) == 1 else [event for event in call.events if event.tenant_id == key[0]]
            batches.setdefault(key, []).extend(mine)
        keys_of_calls.append(keys)
        rejects.extend(call.rejects)
    groups = [PendingGroup(tenant_id, origin, events) for (tenant_id, origin), events in batches.items()]
    return Gathered(groups, rejects, keys_of_calls)
