"""Recovery: the breaker in front of the log, and the way of spooled events back into it.

While the log is down one task tries it again (after 0.2 s, doubling to 2 s): half-open, it appends the oldest
spooled events, or pings when none wait. As soon as that works new groups go straight to the log again, while
the rest of the spool drains in order. Entries are forgotten only after their commit; a crash in between
appends them twice, which the load gate on `event_uid` undoes.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Final

import structlog

from mainstem.events.group import PendingGroup, RowsRefusedError
from mainstem.events.log import Log
from mainstem.events.model import NewEvent, Reject
from mainstem.events.spool import Chunk, Entry, Spool, SpoolError
from mainstem.platform import metrics

DRAIN_EVENTS: Final = 2_000
"""Events of one drained chunk: small, for new groups wait while it commits."""

_BACKOFF_S: Final = (0.2, 0.4, 0.8, 1.6)
_LONGEST_BACKOFF_S: Final = 2.0
_ORIGIN: Final = "spool"

_log = structlog.get_logger(__name__)


class Recovery:
    """Knows whether the log is up, and brings it and the spooled events back."""

    def __init__(
        self, log: Log, spool: Spool, committed: Callable[[Sequence[int]], None], *, append_timeout_s: float
    ) -> None:
        """Keep what to recover; `committed(batch_ids)` is told about every drained chunk."""
        self._target = log
        self._spool = spool
        self._committed = committed
        self._append_timeout_s = append_timeout_s
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._drained: Chunk | None = None
        self._more = False
        self.log_is_up = False
        self.last_error: str | None = None

    async def start(self) -> None:
        """Try the log once, then let the background do what is left: reconnect, drain."""
        try:
            async with asyncio.timeout(self._append_timeout_s):
                await self._target.ping()
            self.log_is_up = True
        except Exception as error:  # noqa: BLE001 - intake starts without a database, whatever keeps it away
            self.log_failed(error)
        self._begin()

    async def stop(self) -> None:
        """Stop at once: what is half drained stays in the spool and is drained again."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def log_failed(self, error: BaseException) -> None:
        """Open the breaker and begin to try again."""
        self.last_error = f"{type(error).__name__}: {error}"
        if self.log_is_up or self._task is None:
            _log.warning("database_away", reason=self.last_error)
        self.log_is_up = False
        self._begin()

    def spool_failed(self, error: SpoolError) -> None:
        """Remember why events had to be refused."""
        if self.last_error != str(error):
            _log.error("spool_failed", reason=str(error))
        self.last_error = str(error)

    def spooled(self) -> None:
        """See to it that what was just spooled is drained: the log may have come back while it was written."""
        self._more = True
        self._begin()

    def _begin(self) -> None:
        if not self._stopping and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="intake recovery")

    async def _run(self) -> None:
        """Return when the log is up and nothing is spooled."""
        backoff = chain(_BACKOFF_S, repeat(_LONGEST_BACKOFF_S))
        while True:
            try:
                self._more = False
                drained = await self._drain_chunk()
                if not self.log_is_up:
                    _log.info("database_back", spooled_events=self._spool.waiting_events)
                self.log_is_up = True
                if not drained and not self._more:
                    self.last_error = None
                    return
            except SpoolError as error:
                # a spool that can't be read must not keep new events from a log that works
                self.spool_failed(error)
                if await self._log_answers():
                    self.log_is_up = True
                await asyncio.sleep(next(backoff))
            except Exception as error:  # noqa: BLE001 - the next try is the answer to whatever failed
                self.log_failed(error)
                await asyncio.sleep(next(backoff))

    async def _log_answers(self) -> bool:
        try:
            async with asyncio.timeout(self._append_timeout_s):
                await self._target.ping()
        except Exception as error:  # noqa: BLE001 - any failure means no
            self.log_failed(error)
            return False
        return True

    async def _drain_chunk(self) -> bool:
        """Bring the oldest spooled events into the log; tell whether there were any. Without any, ping."""
        await self._forget_drained()
        chunk = await self._spool.peek(DRAIN_EVENTS)
        if chunk is None:
            if not self.log_is_up:
                async with asyncio.timeout(self._append_timeout_s):
                    await self._target.ping()
            return False
        try:
            await self._append(*merged(chunk.entries))
        except RowsRefusedError:
            await self._drain_singly(chunk)
        self._drained = chunk
        await self._forget_drained()
        return True

    async def _forget_drained(self) -> None:
        """Delete what the log has taken, before anything else: a spool that fails here must not drain it for ever."""
        if self._drained is not None:
            await self._spool.forget(self._drained)
            self._drained = None
            metrics.spool_depth(self._spool.waiting_events)

    async def _drain_singly(self, chunk: Chunk) -> None:
        """Append event by event; one that the database refuses becomes a reject with the reason."""
        for entry in chunk.entries:
            if entry.rejects:
                await self._append([], entry.rejects)
            for group in entry.groups:
                for event in group.events:
                    try:
                        await self._append([PendingGroup(group.tenant_id, _ORIGIN, [event])], [])
                    except RowsRefusedError as error:
                        await self._append([], [_refused(event, error)])

    async def _append(self, groups: list[PendingGroup], rejects: list[Reject]) -> None:
        async with asyncio.timeout(self._append_timeout_s):
            batch_ids = await self._target.append(groups, rejects)
        if batch_ids:
            self._committed(batch_ids)


def merged(entries: Sequence[Entry]) -> tuple[list[PendingGroup], list[Reject]]:
    """Return one group per tenant, with the events of all entries in order, and all rejects."""
    events: dict[int, list[NewEvent]] = {}
    rejects: list[Reject] = []
    for entry in entries:
        for group in entry.groups:
            events.setdefault(group.tenant_id, []).extend(group.events)
        rejects.extend(entry.rejects)
    return [PendingGroup(tenant_id, _ORIGIN, waiting) for tenant_id, waiting in events.items()], rejects


def _refused(event: NewEvent, error: RowsRefusedError) -> Reject:
    return Reject(
        tenant_id=event.tenant_id,
        raw_id=None,
        stage="intake",
        code="refused_by_database",
        reason=str(error),
        field=None,
        kind=event.kind,
        origin=_ORIGIN,
        payload=event.data,
    )
