"""Waiting until batches are loaded: told by the loader of this process, or by those of others.

Used by requests that answer after the load. A wait costs no query when the news comes in time; while somebody has
waited longer than expected, one query for all waiting batches every half a second makes up for news that was lost.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg
import structlog

from mainstem.events.signals import LOADED_CHANNEL, Listener
from mainstem.vault import queries
from mainstem.vault.ledger import batch_ids_of

_REMEMBERED: Final = 20_000
_CHECK_S: Final = 0.5
_CONNECT_TIMEOUT_S: Final = 5.0

_log = structlog.get_logger(__name__)


class LoadWaiter:
    """Tells when batches are loaded. With a `dsn` it also hears of loads by other processes and asks the ledger."""

    def __init__(self, dsn: str | None = None, *, check_s: float = _CHECK_S) -> None:
        """Keep where to listen; connects in start(). Without a `dsn` only loaded() counts."""
        self._dsn = dsn
        self._check_s = check_s
        self._recent: dict[int, None] = {}
        self._waiting: dict[int, set[asyncio.Future[None]]] = {}
        self._listener: Listener | None = None
        self._checker: asyncio.Task[None] | None = None
        self._check_now = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen in the background; the database may be away."""
        if self._dsn is not None and self._listener is None:
            self._listener = Listener(self._dsn, (LOADED_CHANNEL,), self._heard)
            self._listener.start()
            self._checker = asyncio.create_task(self._check(self._dsn), name="load waiter")

    async def listening(self, timeout_s: float = 5.0) -> None:
        """Return as soon as loads of other processes are heard. Raises TimeoutError after `timeout_s`."""
        if self._listener is not None:
            await self._listener.connected(timeout_s)

    @property
    def waiting(self) -> int:
        """Return the number of batches that somebody waits for."""
        return len(self._waiting)

    async def stop(self) -> None:
        """Stop listening; waits that are under way run into their timeouts. Safe to call twice."""
        listener, self._listener = self._listener, None
        checker, self._checker = self._checker, None
        if listener is not None:
            await listener.stop()
        if checker is not None:
            checker.cancel()
            await asyncio.wait([checker])

    def loaded(self, batch_ids: Iterable[int]) -> None:
        """Say that batches are loaded; to be called on the event loop."""
        for batch_id in batch_ids:
            self._recent[batch_id] = None
            for future in self._waiting.pop(batch_id, ()):
                if not future.done():
                    future.set_result(None)
        while len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]

    async def wait(self, batch_ids: Sequence[int], timeout_s: float) -> bool:
        """Return True as soon as all batches are loaded, False when that takes longer than `timeout_s` seconds."""
        futures = {batch_id: self._future(batch_id) for batch_id in batch_ids if batch_id not in self._recent}
        if not futures:
            return True
        self._check_now.set()
        try:
            _, late = await asyncio.wait(futures.values(), timeout=timeout_s)
        finally:
            for batch_id, future in futures.items():
                self._forget(batch_id, future)
        return not late

    def _future(self, batch_id: int) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(batch_id, set()).add(future)
        return future

    def _forget(self, batch_id: int, future: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(batch_id)
        if waiting is not None:
            waiting.discard(future)
            if not waiting:
                del self._waiting[batch_id]

    def _heard(self, channel: str | None, payload: str) -> None:
        if channel is not None:
            self.loaded(batch_ids_of(payload))

    async def _check(self, dsn: str) -> None:
        """Ask the ledger while somebody waits, first after `check_s`, over one connection."""
        connection: asyncpg.Connection[asyncpg.Record] | None = None
        try:
            while True:
                await self._check_now.wait()
                await asyncio.sleep(self._check_s)
                if not self._waiting:
                    self._check_now.clear()
                    continue
                try:
                    if connection is None or connection.is_closed():
                        connection = await _connect(dsn)
                    self.loaded(await queries.loaded_batches(connection, self._waiting))
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    # the next round tries again, on a new connection when this one broke
                    _log.debug("load_check_failed", error=str(error))
        finally:
            if connection is not None:
                connection.terminate()


async def _connect(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(
        dsn,
        timeout=_CONNECT_TIMEOUT_S,
        command_timeout=_CONNECT_TIMEOUT_S,
        server_settings={"application_name": "mainstem waiter"},
    )
