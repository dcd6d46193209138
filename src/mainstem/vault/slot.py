"""One load transaction after the other, over one connection: claim, stage, gate, vault, business, ledger, commit.

Everything of a claim commits together or not at all, which is the exactly-once: a crash at any point leaves the
batches waiting. Up to the lane's lock two slots work side by side; from there to the commit they take turns.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from time import perf_counter
from types import MappingProxyType
from typing import Final, TypeAlias

import asyncpg

from mainstem.events.model import RawEvent, Reject
from mainstem.events.sealing import Sealer
from mainstem.platform.clock import utc_now
from mainstem.platform.db import SESSION_SETTINGS, Connection
from mainstem.vault import queries
from mainstem.vault.apply import Applier
from mainstem.vault.feed import FeedSet, FeedSource, Route
from mainstem.vault.ledger import Batch, LoadResult, missing, notices, tally
from mainstem.vault.sealing import seal_unsealed
from mainstem.vault.staging import Refused, Staged, reject_row, stage

_RAW_ID: Final = attrgetter("raw_id")
CLAIM_EVENTS: Final = 16_000
"""Events of one load. Twice as many are a few percent cheaper each, and cost twice the memory (some 60 MB a slot)."""

_READ_EVENTS: Final = 1_000
_CLAIM_CHARACTERS: Final = 32_000_000
"""Text of one load after which no further batch is read; the batches left over wait for the next load."""
_STAGE_EVENTS: Final = 100
"""Events staged before the event loop gets a turn: a few milliseconds."""
_CONNECT_TIMEOUT_S: Final = 5.0
_STATEMENT_TIMEOUT_S: Final = 300.0
_SETTINGS: Final = {
    **SESSION_SETTINGS,
    "application_name": "mainstem loader",
    # see the query `claim`
    "enable_seqscan": "off",
    # arrays of any length go by the same plan, and a load of one event must not wait for a new one
    "plan_cache_mode": "force_generic_plan",
    "work_mem": "32MB",
    "temp_buffers": "32MB",
    "synchronous_commit": "on",
}

HISTORY: Final = frozenset({"import"})
"""Origins of events that happened long ago: they are loaded, and set nothing in motion."""

Connect: TypeAlias = "Callable[[], Awaitable[asyncpg.Connection[asyncpg.Record]]]"
Outbox: TypeAlias = Callable[[Connection, Sequence[RawEvent]], Awaitable[object]]
"""Is given the events of a load, in its transaction and before it commits, that are new and no history."""


@dataclass(slots=True)
class Claim:
    """Batches locked by an open transaction."""

    lane: int
    batches: list[Batch]
    started_s: float
    full: bool
    """Whether the budget was used up, so that more may wait."""


@dataclass(slots=True)
class _Work:
    """Where the events of a claim stand."""

    fresh: list[Staged]
    duplicates: list[Staged] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    """By the database, after the gate."""
    unstaged: list[Refused] = field(default_factory=list)
    """By their feed, before the gate."""
    known: list[RawEvent] = field(default_factory=list)
    """Refused by their feed, but their message has loaded before: duplicates."""


class Slot:
    """A connection with its stages; not to be used by two tasks at once."""

    def __init__(  # noqa: PLR0913 - the parts of a slot
        self,
        connect: Connect,
        source: FeedSource,
        lanes: int,
        claim_events: int,
        *,
        sealer: Sealer | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        """Keep who connects, and who says what to load; connects at the first begin()."""
        self._connect = connect
        self._source = source
        self._sealer = sealer
        self._outbox = outbox
        self._lanes = lanes
        self._claim_events = claim_events
        self._open: tuple[asyncpg.Connection[asyncpg.Record], Applier, FeedSet] | None = None

    async def begin(self, lane: int) -> Claim | None:
        """Open a transaction and lock waiting batches of a lane; None (and no transaction) when nothing waits."""
        connection, _, _ = await self._connected()
        started_s = perf_counter()
        await connection.execute("begin")
        batches = await queries.claim(connection, lane, self._lanes, self._claim_events)
        if not batches:
            await connection.execute("rollback")
            return None
        full = sum(batch.events for batch in batches) >= self._claim_events
        return Claim(lane, batches, started_s, full)

    async def load(self, claim: Claim) -> LoadResult:
        """Load what was claimed and commit. After any exception the slot must be dropped."""
        connection, applier, feeds = await self._connected()
        events = await self._read(connection, claim)
        if self._sealer is not None:
            events = await seal_unsealed(connection, self._sealer, claim.batches, events)
        staged, unstaged = await _stage(events, feeds.route)
        work = _Work(*await _pass_gate(connection, staged), unstaged=unstaged)
        applied = await applier.apply(work.fresh, claim.lane)
        await self._settle(connection, applier, work, applied.refused)
        if self._outbox is not None and (news := _news(claim.batches, work.fresh)):
            await self._outbox(connection, news)
        lost = missing(claim.batches, events)
        await _record_rejects(connection, claim, work, lost)
        figures = tally(
            claim.batches,
            [row.event for row in work.fresh],
            [*(row.event for row in work.duplicates), *work.known],
            [*(refusal.event.raw_id for refusal in chain(work.refused, work.unstaged)), *(i for _, i in lost)],
            utc_now(),
        )
        batch_ids = tuple(batch.batch_id for batch in claim.batches)
        await queries.close_load(connection, claim.batches, figures, applied.load_ts, notices(batch_ids))
        await connection.execute("commit")
        applier.committed()
        return LoadResult(
            batches=len(batch_ids),
            loaded=len(work.fresh),
            duplicates=figures.duplicates.total(),
            rejected=figures.rejected.total(),
            batch_ids=batch_ids,
            seconds=perf_counter() - claim.started_s,
        )

    def drop(self) -> None:
        """Cut the connection; what was claimed waits again."""
        opened, self._open = self._open, None
        if opened is not None:
            opened[0].terminate()

    async def _connected(self) -> "tuple[asyncpg.Connection[asyncpg.Record], Applier, FeedSet]":
        if self._open is None:
            connection = await self._connect()
            try:
                feeds = await self._source(connection)
                applier = Applier(connection, feeds.feeds, feeds.model)
                await applier.prepare()
            except BaseException:
                connection.terminate()
                raise
            self._open = connection, applier, feeds
            if self._sealer is not None:
                # perhaps another server, with other keys
                self._sealer.subjects.forget()
        return self._open

    async def _read(self, connection: "asyncpg.Connection[asyncpg.Record]", claim: Claim) -> list[RawEvent]:
        """Return the events of the claim; batches past the memory bound leave the claim unread."""
        events: list[RawEvent] = []
        batches: list[Batch] = []
        characters = 0
        for part in _parts(claim.batches):
            if characters >= _CLAIM_CHARACTERS:
                claim.full = True
                break
            rows = await queries.read_events(connection, part)
            characters += sum(len(row.data) for row in rows)
            events += rows
            batches += part
        claim.batches = batches
        return events

    async def _settle(
        self,
        connection: "asyncpg.Connection[asyncpg.Record]",
        applier: Applier,
        work: _Work,
        refused: Sequence[Refused],
    ) -> None:
        """Take refused events out of the gate, give the messages they stood for to their duplicates, and so on."""
        while refused:
            await queries.leave_gate(connection, [refusal.event for refusal in refused])
            work.refused += refused
            gone = {refusal.event.raw_id for refusal in refused}
            freed = {(refusal.event.tenant_id, refusal.event.event_uid) for refusal in refused}
            work.fresh = [row for row in work.fresh if row.event.raw_id not in gone]
            again = [row for row in work.duplicates if (row.event.tenant_id, row.event.event_uid) in freed]
            if not again:
                break
            candidates, _ = await _pass_gate(connection, again)
            promoted = {row.event.raw_id for row in candidates}
            work.duplicates = [row for row in work.duplicates if row.event.raw_id not in promoted]
            work.fresh += candidates
            refused = await applier.apply_again(candidates) if candidates else []
        if work.unstaged:
            known = await queries.known(connection, [refusal.event for refusal in work.unstaged])
            work.known = [refusal.event for refusal in work.unstaged if refusal.event.raw_id in known]
            work.unstaged = [refusal for refusal in work.unstaged if refusal.event.raw_id not in known]


async def connect(
    dsn: str,
    *,
    kind: "type[asyncpg.Connection[asyncpg.Record]]" = asyncpg.Connection,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> "asyncpg.Connection[asyncpg.Record]":
    """Open a connection for loads, of a kind of its own and with further settings of the session where wanted."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        dsn,
        timeout=_CONNECT_TIMEOUT_S,
        command_timeout=_STATEMENT_TIMEOUT_S,
        statement_cache_size=1_000,
        max_cached_statement_lifetime=0,
        max_cacheable_statement_size=0,
        server_settings={**_SETTINGS, **settings},
        connection_class=kind,
    )
    return connection


async def _stage(events: Sequence[RawEvent], route: Route) -> tuple[list[Staged], list[Refused]]:
    staged: list[Staged] = []
    refused: list[Refused] = []
    for start in range(0, len(events), _STAGE_EVENTS):
        rows, refusals = stage(events[start : start + _STAGE_EVENTS], route)
        staged += rows
        refused += refusals
        await asyncio.sleep(0)
    return staged, refused


async def _pass_gate(
    connection: "asyncpg.Connection[asyncpg.Record]", staged: Sequence[Staged]
) -> tuple[list[Staged], list[Staged]]:
    """Return the rows whose message is new and those whose message has an event already."""
    if not staged:
        return [], []
    new = await queries.pass_gate(connection, [row.event for row in staged])
    if len(new) == len(staged):
        return [*staged], []
    fresh = [row for row in staged if row.event.raw_id in new]
    return fresh, [row for row in staged if row.event.raw_id not in new]


def _news(batches: Sequence[Batch], fresh: Sequence[Staged]) -> list[RawEvent]:
    """Return the new events, by raw id, but for those of batches that hold history."""
    events = sorted((row.event for row in fresh), key=_RAW_ID)
    if not any(batch.origin in HISTORY for batch in batches):
        return events
    origins = {batch.batch_id: batch.origin for batch in batches}
    first_ids = sorted(origins)
    return [event for event in events if origins[first_ids[bisect_right(first_ids, event.raw_id) - 1]] not in HISTORY]


async def _record_rejects(
    connection: "asyncpg.Connection[asyncpg.Record]", claim: Claim, work: _Work, lost: Sequence[tuple[Batch, int]]
) -> None:
    if not (work.refused or work.unstaged or lost):
        return
    origins = {batch.batch_id: batch.origin for batch in claim.batches}
    first_ids = sorted(origins)
    rejects = [
        reject_row(refusal, origins[first_ids[bisect_right(first_ids, refusal.event.raw_id) - 1]])
        for refusal in chain(work.refused, work.unstaged)
    ]
    rejects += [_lost(batch, raw_id) for batch, raw_id in lost]
    await connection.copy_records_to_table("rejected", schema_name="staging", columns=Reject._fields, records=rejects)


def _lost(batch: Batch, raw_id: int) -> Reject:
    reason = "The landing no longer holds this event."
    return Reject(batch.tenant_id, raw_id, "load", "raw_event_missing", reason, None, None, batch.origin, "")


def _parts(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Yield the batches in runs of about a thousand events, a batch never divided."""
    part: list[Batch] = []
    events = 0
    for batch in batches:
        part.append(batch)
        events += batch.events
        if events >= _READ_EVENTS:
            yield part
            part, events = [], 0
    if part:
        yield part
