"""Who became what: the outcome of one load, per batch and per tenant. Pure; reads no clock."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from mainstem.events.model import RawEvent
from mainstem.vault import latency

_NOTICE_BYTES = 7_900
_TENANT_AND_TIME = attrgetter("tenant_id", "received_at")


class Batch(NamedTuple):
    """A claimed row of `raw.batch`."""

    batch_id: int
    tenant_id: int
    events: int
    received_from: datetime
    received_to: datetime
    origin: str


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one load transaction did."""

    batches: int
    loaded: int
    duplicates: int
    rejected: int
    batch_ids: tuple[int, ...]
    seconds: float


@dataclass(slots=True)
class TenantTally:
    """Outcomes of one tenant's events in one load."""

    loaded: int = 0
    duplicates: int = 0
    rejected: int = 0
    latest_received_at: datetime | None = None
    latency: list[int] = field(default_factory=latency.empty)


@dataclass(slots=True)
class Tally:
    """Outcomes of one load: duplicates and rejects per batch id, and all figures per tenant."""

    duplicates: Counter[int]
    rejected: Counter[int]
    tenants: dict[int, TenantTally]


def tally(
    batches: Sequence[Batch],
    loaded: Iterable[RawEvent],
    duplicates: Iterable[RawEvent],
    rejected_raw_ids: Iterable[int],
    now: datetime,
) -> Tally:
    """Count the outcomes of the batches' events; latency is from received to `now`. `batches` come by batch id."""
    batch_ids = [batch.batch_id for batch in batches]

    def batch_of(raw_id: int) -> Batch:
        return batches[bisect_right(batch_ids, raw_id) - 1]

    tenants: dict[int, TenantTally] = {}
    for batch in batches:
        figures = tenants.setdefault(batch.tenant_id, TenantTally())
        figures.latest_received_at = max(figures.latest_received_at or batch.received_to, batch.received_to)
    result = Tally(Counter(), Counter(), tenants)
    # events of one request share their time: few distinct ones among thousands
    for (tenant_id, received_at), count in Counter(map(_TENANT_AND_TIME, loaded)).items():
        tenants[tenant_id].loaded += count
        tenants[tenant_id].latency[latency.bucket((now - received_at).total_seconds() * 1000)] += count
    for event in duplicates:
        tenants[event.tenant_id].duplicates += 1
        result.duplicates[batch_of(event.raw_id).batch_id] += 1
    for raw_id in rejected_raw_ids:
        batch = batch_of(raw_id)
        tenants[batch.tenant_id].rejected += 1
        result.rejected[batch.batch_id] += 1
    return result


def missing(batches: Iterable[Batch], events: Sequence[RawEvent]) -> list[tuple[Batch, int]]:
    """Return (batch, raw id) of every event that the ledger promises and the landing doesn't hold."""
    found = {event.raw_id for event in events}
    return [
        (batch, raw_id)
        for batch in batches
        for raw_id in range(batch.batch_id, batch.batch_id + batch.events)
        if raw_id not in found
    ]


def notices(batch_ids: Iterable[int]) -> list[str]:
    """Return batch ids as comma-separated texts, each short enough for one NOTIFY (less than 8,000 bytes)."""
    return list(_chunks(map(str, batch_ids)))


def batch_ids_of(notice: str) -> list[int]:
    """Return the batch ids of a notice; nothing for a text that is none."""
    return [int(part) for part in notice.split(",") if part.isdecimal()]


def _chunks(words: Iterable[str]) -> Iterator[str]:
    chunk: list[str] = []
    size = 0
    for word in words:
        if chunk and size + len(word) + 1 > _NOTICE_BYTES:
            yield ",".join(chunk)
            chunk, size = [], 0
        chunk.append(word)
        size += len(word) + 1
    if chunk:
        yield ",".join(chunk)
