"""Intake: group commit. Nothing is acknowledged that is not durable.

Callers append to the waiting calls and await one future; one writer task takes all that wait (up to the caps
of a group), appends it to the log and resolves every caller. No linger timer: the next group forms while
this one commits, so that groups grow with the load.

When the log fails, a breaker opens: groups go to the spool (`recovery.py` drains it) until the log answers
again. Events that the log refuses for what they are harm only their own call: the group is halved down to it.
After an ambiguous commit the same events, with the same `event_uid`, go to the spool: the load gate makes
them one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import structlog

from mainstem.events.group import Call, Receipt, RowsRefusedError, cut, data_bytes, gather
from mainstem.events.log import Log
from mainstem.events.model import NewEvent, Reject
from mainstem.events.rawids import BLOCK
from mainstem.events.recovery import Recovery
from mainstem.events.spool import Spool, SpoolError
from mainstem.platform import metrics
from mainstem.platform.errors import BadRequestError, MainstemError, PayloadTooLargeError, UnavailableError

MAX_WAITING_EVENTS: Final = 200_000
MAX_WAITING_BYTES: Final = 256 * 1024 * 1024
RETRY_AFTER_S: Final = 5

CommitHook = Callable[[Sequence[int]], None]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IntakeState:
    """How intake is doing; for health checks and metrics."""

    database_up: bool
    spooled_events: int
    waiting_events: int
    last_error: str | None


class Intake:
    """One writer for all requests of a process."""

    def __init__(self, log: Log, spool: Spool, *, commit_timeout_s: float = 5.0) -> None:
        """Keep the log, the spool and the seconds that a group commit may take."""
        self._log = log
        self._spool = spool
        self._commit_timeout_s = commit_timeout_s
        self._waiting: deque[Call] = deque()
        self._waiting_events = 0
        self._waiting_bytes = 0
        self._wanted = asyncio.Event()
        self._open = False
        self._hooks: list[CommitHook] = []
        self._writer: asyncio.Task[None] | None = None
        self._recovery = Recovery(log, spool, self._committed, append_timeout_s=commit_timeout_s)

    @property
    def state(self) -> IntakeState:
        """Return how things are at this moment."""
        recovery = self._recovery
        return IntakeState(recovery.log_is_up, self._spool.waiting_events, self._waiting_events, recovery.last_error)

    def on_commit(self, hook: CommitHook) -> None:
        """Call `hook(batch_ids)` soon after each commit, on the event loop; it must be quick."""
        self._hooks.append(hook)

    async def start(self) -> None:
        """Begin to accept; with the database away, too. A spool that can't be opened is tried again when needed."""
        try:
            await self._spool.open()
        except SpoolError as error:
            _log.exception("spool_unusable", reason=str(error))
        await self._recovery.start()
        self._open = True
        self._writer = asyncio.create_task(self._run(), name="intake writer")

    async def stop(self) -> None:
        """Flush what waits, then close the log and the spool; later commits are refused."""
        self._open = False
        self._wanted.set()
        if self._writer is not None:
            await self._writer
            self._writer = None
        await self._recovery.stop()
        await self._log.close()
        await self._spool.close()

    async def commit(
        self, events: Sequence[NewEvent], *, origin: str = "http", rejects: Sequence[Reject] = ()
    ) -> Receipt:
        """Return when the events and rejects are durable.

        The order of events of one tenant is kept. Cancelling the caller loses the answer, not the events.
        Raises UnavailableError (503) when neither log nor spool can keep them, when too much waits already and
        after stop(); BadRequestError when the database refuses a value of these events (all of them are then
        refused, and nobody else's); PayloadTooLargeError for more events than a batch may have (65,536).
        """
        if not events and not rejects:
            return Receipt("postgres", ())
        return await self.submit(events, origin=origin, rejects=rejects)

    def submit(
        self, events: Sequence[NewEvent], *, origin: str = "http", rejects: Sequence[Reject] = ()
    ) -> "asyncio.Future[Receipt]":
        """Return a future that is done when the events and rejects are durable: as `commit`, for who need not wait.

        Raises at once what `commit` raises before it waits; whatever else it raises is the future's.
        """
        if not self._open:
            detail = "The service is stopping; send it again."
            raise UnavailableError(detail, retry_after_s=1)
        if len(events) > BLOCK:
            detail = f"At most {BLOCK} events can be committed at once."
            raise PayloadTooLargeError(detail)
        size = data_bytes(events, rejects)
        if self._waiting and (
            self._waiting_events + len(events) > MAX_WAITING_EVENTS or self._waiting_bytes + size > MAX_WAITING_BYTES
        ):
            detail = "Too many events are waiting to be stored."
            raise UnavailableError(detail, retry_after_s=1)
        call = Call(events, rejects, origin, size, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._waiting_events += len(events)
        self._waiting_bytes += size
        self._wanted.set()
        return call.done

    async def _run(self) -> None:
        while True:
            while not self._waiting:
                if not self._open:
                    return
                self._wanted.clear()
                await self._wanted.wait()
            calls = cut(self._waiting)
            try:
                await self._keep(calls)
            except Exception:  # noqa: BLE001 - without its writer, every later caller would wait for ever
                _log.exception("intake_failed")
                _fail(calls, _unavailable())
            finally:
                self._waiting_events -= sum(len(call.events) for call in calls)
                self._waiting_bytes -= sum(call.data_bytes for call in calls)

    async def _keep(self, calls: Sequence[Call]) -> None:
        """Make these calls durable, wherever that is possible, and answer each of them."""
        if self._recovery.log_is_up:
            try:
                await self._to_log(calls)
            except RowsRefusedError as error:
                await self._without_the_guilty(calls, error)
                return
            except Exception as error:  # noqa: BLE001 - whatever failed, the spool may still keep the events
                self._recovery.log_failed(error)
            else:
                return
        await self._to_spool(calls)

    async def _to_log(self, calls: Sequence[Call]) -> None:
        gathered = gather(calls)
        started = perf_counter()
        async with asyncio.timeout(self._commit_timeout_s):
            batch_ids = await self._log.append(gathered.groups, gathered.rejects)
        metrics.intake_commit(sum(len(call.events) for call in calls), perf_counter() - started)
        for call, receipt in zip(calls, gathered.receipts(batch_ids), strict=True):
            if not call.done.done():
                call.done.set_result(receipt)
        if batch_ids:
            self._committed(batch_ids)

    async def _without_the_guilty(self, calls: Sequence[Call], error: RowsRefusedError) -> None:
        """Commit the halves of a refused group, down to the one call that is refused alone."""
        if len(calls) == 1:
            _log.info("events_refused_by_database", events=len(calls[0].events), reason=str(error))
            _fail(
                calls,
                BadRequestError("An event holds a value that can't be stored, for example a NUL character in a text."),
            )
            return
        middle = len(calls) // 2
        await self._keep(calls[:middle])
        await self._keep(calls[middle:])

    async def _to_spool(self, calls: Sequence[Call]) -> None:
        gathered = gather(calls)
        try:
            await self._spool.append(gathered.groups, gathered.rejects)
        except SpoolError as error:
            self._recovery.spool_failed(error)
            _fail(calls, _unavailable())
        except RowsRefusedError as error:
            await self._without_the_guilty(calls, error)
        else:
            metrics.intake_spooled(sum(len(call.events) for call in calls))
            metrics.spool_depth(self._spool.waiting_events)
            self._recovery.spooled()
            for call in calls:
                if not call.done.done():
                    call.done.set_result(Receipt("spool", ()))

    def _committed(self, batch_ids: Sequence[int]) -> None:
        # through the loop: a failing hook is reported there and breaks nothing here
        loop = asyncio.get_running_loop()
        for hook in self._hooks:
            loop.call_soon(hook, batch_ids)


def _unavailable() -> UnavailableError:
    return UnavailableError("Events can't be stored right now; send them again.", retry_after_s=RETRY_AFTER_S)


def _fail(calls: Sequence[Call], error: MainstemError) -> None:
    for call in calls:
        if not call.done.done():
            call.done.set_exception(error)
