"""One typed function per query of the loader; each runs in the caller's transaction."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from mainstem.events.model import RawEvent
from mainstem.platform.db import Connection, load_queries
from mainstem.vault.ledger import Batch, Tally

_sql: Final = load_queries("mainstem.vault")


class Replayed(NamedTuple):
    """One reject and the batch in which its event waits for the loader again."""

    rejected_id: int
    batch_id: int


async def claim(connection: Connection, lane: int, lanes: int, budget: int) -> list[Batch]:
    """Lock the oldest waiting batches of a lane until the transaction ends, up to `budget` events."""
    return [Batch(*row) for row in await connection.fetch(_sql["claim"], lane, lanes, budget)]


async def read_events(connection: Connection, batches: Sequence[Batch]) -> list[RawEvent]:
    """Return the events of batches, by raw id."""
    rows = await connection.fetch(
        _sql["read_events"],
        [batch.batch_id for batch in batches],
        [batch.events for batch in batches],
        [batch.received_from for batch in batches],
        [batch.received_to for batch in batches],
        min(batch.received_from for batch in batches),
        max(batch.received_to for batch in batches),
    )
    return sorted(map(RawEvent._make, rows))


async def keep_sealed(connection: Connection, events: Sequence[RawEvent]) -> None:
    """Write what was sealed in these events over what the landing has of them."""
    if events:
        await connection.fetch(
            _sql["keep_sealed"],
            [event.received_at for event in events],
            [event.raw_id for event in events],
            [event.message_id for event in events],
            [event.subject for event in events],
            [event.visitor for event in events],
            [event.flags for event in events],
            [event.data for event in events],
        )


async def pass_gate(connection: Connection, events: Sequence[RawEvent]) -> set[int]:
    """Take the uids of events; return the raw ids of those that are new. Waits for loads that hold the same uid."""
    identities = _identities(events)
    # almost always all are new, and a count is cheaper to get than the ids
    if await connection.fetchval(_sql["pass_gate"], *identities) == len(events):
        return set(identities[2])
    return {raw_id for (raw_id,) in await connection.fetch(_sql["passed"], *identities)}


async def known(connection: Connection, events: Sequence[RawEvent]) -> set[int]:
    """Return the raw ids of those events whose uid has passed the gate by another event."""
    return {raw_id for (raw_id,) in await connection.fetch(_sql["known"], *_identities(events))}


async def leave_gate(connection: Connection, events: Sequence[RawEvent]) -> None:
    """Give the uids that these events took free again."""
    await connection.fetch(_sql["leave_gate"], *_identities(events))


async def open_load(connection: Connection, lane: int, model: int | None = None) -> datetime:
    """Wait for the lane, hold it until the transaction ends, and return the load time.

    Raises asyncpg.SerializationError when a model is given that is no longer in force.
    """
    load_ts: datetime = await (
        connection.fetchval(_sql["open_load"], lane)
        if model is None
        else connection.fetchval(_sql["open_load_by_model"], lane, model)
    )
    return load_ts


async def close_load(
    connection: Connection, batches: Sequence[Batch], tally: Tally, load_ts: datetime, notices: Sequence[str]
) -> None:
    """Settle the ledger and the pipeline's figures and send the notices at commit."""
    tenants = sorted(tally.tenants.items())
    await connection.fetch(
        _sql["close_load"],
        [batch.batch_id for batch in batches],
        [batch.events - tally.duplicates[batch.batch_id] - tally.rejected[batch.batch_id] for batch in batches],
        [tally.duplicates[batch.batch_id] for batch in batches],
        [tally.rejected[batch.batch_id] for batch in batches],
        load_ts,
        [tenant_id for tenant_id, _ in tenants],
        [figures.loaded for _, figures in tenants],
        [figures.duplicates for _, figures in tenants],
        [figures.rejected for _, figures in tenants],
        [figures.latest_received_at for _, figures in tenants],
        ["{" + ",".join(map(str, figures.latency)) + "}" for _, figures in tenants],
        notices,
    )


async def loaded_batches(connection: Connection, batch_ids: Iterable[int]) -> list[int]:
    """Return those of the batches that are loaded."""
    return [batch_id for (batch_id,) in await connection.fetch(_sql["loaded_batches"], list(batch_ids))]


async def replay_rejected(connection: Connection, rejected_ids: Sequence[int]) -> list[Replayed]:
    """Append the raw events of load-stage rejects again, as new batches of origin `replay`, and mark the rejects.

    The events keep their uids, so one that was loaded meanwhile counts as a duplicate. Rejects of other stages,
    rejects that were replayed before, and rejects whose raw event is past its retention are left out.
    """
    return [Replayed(*row) for row in await connection.fetch(_sql["replay"], list(rejected_ids))]


async def ensure_partitions(connection: Connection, first: date, last: date) -> int:
    """Make the month partitions of all partitioned facts for these days; return how many were new."""
    made: int = await connection.fetchval(_sql["ensure_partitions"], first, last)
    return made


def _identities(events: Sequence[RawEvent]) -> tuple[list[int], list[object], list[int]]:
    return (
        [event.tenant_id for event in events],
        [event.event_uid for event in events],
        [event.raw_id for event in events],
    )
