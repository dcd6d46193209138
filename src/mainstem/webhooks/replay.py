"""Replays: dead letters sent again, or events delivered that an endpoint never got. Slice by slice, each one transaction.

`begin` writes down what is wanted, `step` does the next slice; whoever calls it, a replay is never done twice: its row is
locked, and each slice looks at what is still to be done. Replays queue behind first attempts.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import asyncpg
import structlog

from mainstem.events.model import RawEvent
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, is_transient, load_queries, transaction
from mainstem.platform.errors import InvalidFieldError, NotFoundError
from mainstem.vault.slot import HISTORY
from mainstem.webhooks import deliveries, store
from mainstem.webhooks.draft import patterns, regex_of
from mainstem.webhooks.fanout import Wanted, queue, target_of

Mode = Literal["failed", "missing"]
SLICE: Final = 1_000
"""Dead letters of one transaction."""
_SLICE_EVENTS: Final = 4_000
_SLICE_BATCHES: Final = 200
_LANE: Final = 1
_EARLIEST_YEAR: Final = 1_970
_LATEST_YEAR: Final = 9_000
_IDLE_S: Final = 2.0
_sql: Final = load_queries("mainstem.webhooks", "replay.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Slice:
    position: int
    looked_at: int
    queued: int
    is_last: bool


async def begin(  # noqa: PLR0913 - what is replayed where
    connection: Connection,
    scope: store.Scope,
    endpoint_id: int,
    *,
    mode: Mode = "failed",
    since: datetime,
    until: datetime | None = None,
    kinds: Sequence[str] = ("*",),
) -> int:
    """Begin a replay of an endpoint's window in the caller's transaction; return its id.

    The window is about when deliveries were made (failed) or events came in (missing); both times aware. Raises
    NotFoundError, InvalidFieldError, and ConflictError while the endpoint is switched off.
    """
    endpoint = await store.read(connection, scope.tenant_id, endpoint_id)
    until = until or utc_now()
    if since.year < _EARLIEST_YEAR or until.year > _LATEST_YEAR or since >= until:
        raise InvalidFieldError("since must be before until, and both must be times that can be.", field="since")
    wanted = patterns(kinds, field="kinds")
    if not endpoint["active"]:
        raise deliveries.switched_off(endpoint_id)
    position = 0
    if mode == "failed":
        low = await deliveries.bound(connection, scope.tenant_id, endpoint_id, since)
        position = 0 if low is None else low - 1
        total = await connection.fetchval(
            _sql["count_failed"], scope.tenant_id, endpoint_id, position, since, until, regex_of(wanted)
        )
    else:
        total = await connection.fetchval(_sql["count_events"], scope.tenant_id, since, until, sorted(HISTORY))
    replay_id: int = await connection.fetchval(
        _sql["insert"], scope.tenant_id, endpoint_id, mode, wanted, since, until, total, position, scope.by
    )
    await store.tell(connection, endpoint_id)
    return replay_id


async def read(connection: Connection, tenant_id: int, endpoint_id: int, replay_id: int) -> asyncpg.Record:
    """Return a replay of an endpoint. Raises NotFoundError."""
    await store.read(connection, tenant_id, endpoint_id)
    row = None
    if 0 <= replay_id < 2**63:
        row = await connection.fetchrow(_sql["one"], tenant_id, endpoint_id, replay_id)
    if row is None:
        raise NotFoundError(f"Replay {replay_id} not found")
    return row


async def latest(connection: Connection, tenant_id: int, endpoint_id: int, *, limit: int) -> list[asyncpg.Record]:
    """Return the replays of an endpoint, the latest first. Raises NotFoundError."""
    await store.read(connection, tenant_id, endpoint_id)
    return await connection.fetch(_sql["latest"], tenant_id, endpoint_id, limit)


async def step(connection: Connection, replay_id: int) -> bool:
    """Do the next slice of a replay in the caller's transaction; return whether there may be more to do.

    Returns False also while somebody else is at it. Looking for missing events reads the landing of all tenants, so that
    mode needs the owner's connection.
    """
    row = await connection.fetchrow(_sql["lock"], replay_id)
    if row is None:
        return False
    done = await (_failed(connection, row) if row["mode"] == "failed" else _missing(connection, row))
    await connection.execute(_sql["advance"], replay_id, done.position, done.looked_at, done.queued, done.is_last)
    if done.queued:
        await deliveries.wake(connection)
    return not done.is_last


class Replayer:
    """Does the replays of all tenants, one slice at a time; several processes may."""

    def __init__(self, pool: Pool) -> None:
        """Keep the owner's pool."""
        self._pool = pool
        self._wake = asyncio.Event()

    def nudge(self) -> None:
        """Look for replays now."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Do replays until the event is set; a database that is away is waited for."""
        while not stop.is_set():
            self._wake.clear()
            try:
                await self.do_all(stop)
            except Exception as error:
                if not is_transient(error):
                    log.exception("replays failed")
            waits = [asyncio.ensure_future(one.wait()) for one in (self._wake, stop)]
            await asyncio.wait(waits, timeout=_IDLE_S, return_when=asyncio.FIRST_COMPLETED)
            for one in waits:
                one.cancel()

    async def do_all(self, stop: asyncio.Event | None = None) -> None:
        """Do the replays that are under way, slices of each in turn, until none has more to do."""
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(_sql["open"])
        open_ = [row["replay_id"] for row in rows]
        while open_ and not (stop is not None and stop.is_set()):
            open_ = [replay_id for replay_id in open_ if await self._step(replay_id)]

    async def _step(self, replay_id: int) -> bool:
        try:
            async with transaction(self._pool) as connection:
                return await step(connection, replay_id)
        except Exception as error:
            if is_transient(error):
                raise
            # one that can't go on must not be tried for ever, nor keep the others waiting
            log.exception("replay failed", replay_id=replay_id)
            async with transaction(self._pool) as connection:
                await connection.execute(_sql["fail"], replay_id, f"{type(error).__name__}: see the log.")
            return False


async def _failed(connection: Connection, row: asyncpg.Record) -> _Slice:
    rows = await connection.fetch(
        _sql["failed"],
        *(row["tenant_id"], row["endpoint_id"], row["position"], row["since"], row["until"]),
        *(regex_of(row["kinds"]), SLICE),
    )
    kept = [one["delivery_id"] for one in rows if one["kept"]]
    queued = await deliveries.requeue(connection, row["tenant_id"], kept, lane=_LANE) if kept else 0
    position = rows[-1]["delivery_id"] if rows else row["position"]
    return _Slice(position, len(rows), queued, is_last=len(rows) < SLICE)


async def _missing(connection: Connection, row: asyncpg.Record) -> _Slice:
    tenant_id, endpoint_id = row["tenant_id"], row["endpoint_id"]
    target = await connection.fetchrow(_sql["target"], tenant_id, endpoint_id)
    batches = await connection.fetch(
        _sql["batches"], tenant_id, row["position"], row["since"], row["until"], _SLICE_BATCHES, sorted(HISTORY)
    )
    if target is None or not batches:
        return _Slice(row["position"], 0, 0, is_last=True)
    some = _up_to(batches, _SLICE_EVENTS)
    events = [
        RawEvent(*one)
        for one in await connection.fetch(
            _sql["missing"],
            *(tenant_id, endpoint_id, [one["batch_id"] for one in some]),
            [one["batch_id"] + one["events"] - 1 for one in some],
            *([one["received_from"] for one in some], [one["received_to"] for one in some]),
            *(row["since"], row["until"], regex_of(row["kinds"])),
        )
    ]
    wanted = Wanted([target_of(target)])
    chosen = [event for event in events if wanted.by(event)]
    queued = await queue(connection, [(event, [endpoint_id]) for event in chosen])
    if chosen:
        await connection.execute(_sql["behind"], endpoint_id, [event.event_uid for event in chosen])
    looked_at = sum(one["events"] for one in some)
    is_last = len(some) == len(batches) < _SLICE_BATCHES
    return _Slice(some[-1]["batch_id"], looked_at, queued, is_last=is_last)


def _up_to(batches: Sequence[asyncpg.Record], most: int) -> list[asyncpg.Record]:
    """Return the first batches that make so many events together, one at least."""
    some: list[asyncpg.Record] = []
    events = 0
    for batch in batches:
        if some and events + batch["events"] > most:
            break
        some.append(batch)
        events += batch["events"]
    return some
