"""The loader: takes what waits in the landing to the vault, woken by signals, in as many processes as one likes.

Two slots (connections) take turns: while PostgreSQL loads one claim, Python stages the next. Every load is one
transaction and every wake-up only a hint, so that a crash, a restart or a lost signal costs time, never an event.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import structlog

from mainstem.events.sealing import Sealer
from mainstem.events.signals import RAW_CHANNEL, Listener
from mainstem.platform.db import Connection, is_transient
from mainstem.vault.feed import Feed, FeedSet, FeedSource
from mainstem.vault.ledger import LoadResult
from mainstem.vault.slot import CLAIM_EVENTS, Claim, Outbox, Slot, connect

__all__ = ["LoadResult", "Loader"]

_SLOTS: Final = 2
_POLL_S: Final = 5.0
"""Longest sleep: finds batches whose signal was lost, or that a dead loader had locked."""
_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_FAREWELL_S: Final = 10.0

_log = structlog.get_logger(__name__)


class Loader:
    """Loads batches of some lanes; several loaders of the same lanes in other processes do no harm."""

    def __init__(  # noqa: PLR0913 - the parts of a loader
        self,
        dsn: str,
        feeds: Sequence[Feed],
        *,
        lanes: Sequence[int] = (0,),
        lane_count: int = 1,
        claim_events: int = CLAIM_EVENTS,
        sealer: Sealer | None = None,
        source: FeedSource | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        """Keep what to load. A tenant belongs to lane `tenant_id % lane_count`; without a sealer nothing is sealed.

        The `outbox` is given the new events of each load in its transaction; what it raises undoes the load.

        With a `source` it says what to load instead of `feeds`, for each connection and so after each change of model.

        Raises ValueError when two feeds claim the same events, or a lane does not exist.
        """
        if not lanes or not all(0 <= lane < lane_count for lane in lanes):
            msg = f"lanes are from 0 to {lane_count - 1}, not {list(lanes)}"
            raise ValueError(msg)
        self._dsn = dsn
        fixed = FeedSet.of(feeds)

        async def feeds_as_given(_connection: Connection) -> FeedSet:
            return fixed

        self._source = source or feeds_as_given
        self._lanes = tuple(lanes)
        self._lane_count = lane_count
        self._claim_events = claim_events
        self._sealer = sealer
        self._outbox = outbox
        self._hooks: list[Callable[[LoadResult], None]] = []
        self._wake = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._stopping = False

    def on_loaded(self, hook: Callable[[LoadResult], None]) -> None:
        """Have `hook` called on the event loop after each commit; it must be quick, and its failure is only logged."""
        self._hooks.append(hook)

    def nudge(self, _batch_ids: Sequence[int] = ()) -> None:
        """Say that batches were committed. Never blocks, never fails."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Load until `stop` is set; the load under way then is finished. Survives restarts of the database."""
        self._stopping = False
        self.nudge()
        slots = [self._slot() for _ in range(_SLOTS)]
        workers = [asyncio.create_task(self._work(slot, stop), name="loader slot") for slot in slots]
        try:
            async with Listener(self._dsn, (RAW_CHANNEL,), lambda *_: self.nudge()):
                await stop.wait()
            self._stopping = True
            self.nudge()
            await asyncio.wait(workers, timeout=_FAREWELL_S)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
            for slot in slots:
                slot.drop()

    async def load_once(self) -> LoadResult | None:
        """Load one claim over a connection of its own; None when nothing waits. Raises what run() would survive."""
        slot = self._slot()
        try:
            claim = await self._claim(slot)
            return None if claim is None else await self._load(slot, claim)
        finally:
            slot.drop()

    def _slot(self) -> Slot:
        return Slot(
            partial(connect, self._dsn),
            self._source,
            self._lane_count,
            self._claim_events,
            sealer=self._sealer,
            outbox=self._outbox,
        )

    async def _work(self, slot: Slot, stop: asyncio.Event) -> None:
        failures = 0
        while not self._stopping:
            try:
                await self._turn(slot)
                failures = 0
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try must come
                slot.drop()
                delay_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
                failures += 1
                if is_transient(error):
                    _log.warning("load_postponed", error=str(error), retry_in_s=delay_s)
                else:
                    _log.exception("load_failed", retry_in_s=delay_s)
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay_s):
                        await stop.wait()
                self.nudge()

    async def _turn(self, slot: Slot) -> None:
        """Wait for work, claim it and load it. The other slot waits or claims only when this one has claimed."""
        async with self._claiming:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._wake.wait()
            if self._stopping:
                return
            self._wake.clear()
            claim = await self._claim(slot)
            if claim is not None and (claim.full or len(self._lanes) > 1):
                self.nudge()
        if claim is not None:
            await self._load(slot, claim)

    async def _claim(self, slot: Slot) -> Claim | None:
        for lane in self._lanes:
            claim = await slot.begin(lane)
            if claim is not None:
                # the lane that had its turn goes to the end
                self._lanes = (*(other for other in self._lanes if other != lane), lane)
                return claim
        return None

    async def _load(self, slot: Slot, claim: Claim) -> LoadResult:
        try:
            result = await slot.load(claim)
        finally:
            # batches that were left out or given back wait for whoever comes first
            if claim.full:
                self.nudge()
        for hook in self._hooks:
            try:
                hook(result)
            except Exception:  # noqa: BLE001 - the load is committed, whatever a hook says
                _log.exception("loaded_hook_failed")
        return result
