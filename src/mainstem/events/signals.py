"""Wake-ups between processes: a debounced NOTIFY sender and a LISTEN that stays alive.

A signal is a hint, never the truth: it may be lost with a connection and it may arrive twice. Whoever listens
re-reads the tables, also when told about a (re)connect, and keeps a slow poll for the worst case. Both
classes are idle between signals but for one tiny heartbeat of the listener.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain, repeat
from typing import Final, Self

import asyncpg
import structlog

RAW_CHANNEL: Final = "mainstem_raw"
"""Told after events were committed to `raw.event`; the payload means nothing."""
LOADED_CHANNEL: Final = "mainstem_loaded"
"""Told after batches were loaded into the vault; the payload is the loader's."""

_BACKOFF_S: Final = (0.2, 0.4, 0.8, 1.6)
_LONGEST_BACKOFF_S: Final = 2.0
_CONNECT_TIMEOUT_S: Final = 5.0
_HEARTBEAT_S: Final = 30.0
_FAREWELL_S: Final = 1.0

Heard = Callable[[str | None, str], None]
"""Called on the event loop with (channel, payload); channel None says "(re)connected: signals may have been missed"."""

_log = structlog.get_logger(__name__)


class Listener:
    """A LISTEN on some channels that reconnects for ever; `async with Listener(...)` or start() and stop()."""

    def __init__(self, dsn: str, channels: Sequence[str], callback: Heard) -> None:
        """Keep what to listen to; the callback must be quick and is called only between start() and stop()."""
        self._dsn = dsn
        self._channels = tuple(channels)
        self._callback = callback
        self._task: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self._connections = 0

    @property
    def session(self) -> int:
        """Return the number of the connection that listens now, 0 while none does: by it one knows of a loss at once."""
        return self._connections if self._connected.is_set() else 0

    async def __aenter__(self) -> Self:
        """Start, without waiting for the database."""
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    def start(self) -> None:
        """Begin to connect in the background; the database may be away."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="listener")

    async def stop(self) -> None:
        """Stop listening and close the connection; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            self._connected.clear()

    @property
    def up(self) -> bool:
        """Tell whether the LISTEN is in force, as far as is known here."""
        return self._connected.is_set()

    async def connected(self, timeout_s: float = 5.0) -> None:
        """Return as soon as the LISTEN is in force. Raises TimeoutError after `timeout_s`."""
        async with asyncio.timeout(timeout_s):
            await self._connected.wait()

    async def _run(self) -> None:
        backoff = _backoff()
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.debug("listener_away", channels=self._channels, error=str(error))
            if self._connected.is_set():
                self._connected.clear()
                backoff = _backoff()
            await asyncio.sleep(next(backoff))

    async def _listen(self) -> None:
        """Listen over one connection until it ends."""
        ended = asyncio.Event()
        connection = await _connect(self._dsn, "mainstem listener")
        try:
            connection.add_termination_listener(lambda _: ended.set())
            for channel in self._channels:
                await connection.add_listener(channel, self._heard)
            self._connections += 1
            self._connected.set()
            # through the loop, as asyncpg calls for signals: a failing callback can't end the listening
            asyncio.get_running_loop().call_soon(self._callback, None, "")
            while not ended.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_HEARTBEAT_S):
                        await ended.wait()
                if not ended.is_set():
                    # a peer that vanished without a word is noticed only by talking to it
                    await connection.execute("select", timeout=_CONNECT_TIMEOUT_S)
        finally:
            connection.terminate()

    def _heard(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._callback(channel, str(payload))


class Notifier:
    """Sends `pg_notify(channel, '')` at most once per `min_interval_s`, on a connection of its own."""

    def __init__(self, dsn: str, *, channel: str = RAW_CHANNEL, min_interval_s: float = 0.02) -> None:
        """Keep where to send; nothing connects before the first nudge()."""
        self._dsn = dsn
        self._channel = channel
        self._min_interval_s = min_interval_s
        self._wanted = asyncio.Event()
        self._stopping = False
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send in the background; the database may be away."""
        if self._task is None:
            self._stopping = False
            self._task = asyncio.create_task(self._run(), name="notifier")

    def nudge(self, _batch_ids: Sequence[int] = ()) -> None:
        """Ask for a signal soon; many calls within the interval become one signal. Never blocks, never fails."""
        self._wanted.set()

    async def stop(self) -> None:
        """Send a signal that is still wanted (for at most a second), then close; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            self._stopping = True
            if self._wanted.is_set():
                await asyncio.wait([task], timeout=_FAREWELL_S)
            task.cancel()
            await asyncio.wait([task])
        self._drop_connection()

    async def _run(self) -> None:
        backoff = _backoff()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._send()
                backoff = _backoff()
                pause_s = self._min_interval_s
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.debug("notify_failed", channel=self._channel, error=str(error))
                self._drop_connection()
                self._wanted.set()
                pause_s = next(backoff)
            if self._stopping:
                return
            await asyncio.sleep(pause_s)

    async def _send(self) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await _connect(self._dsn, "mainstem notifier")
        await self._connection.execute("select pg_notify($1, '')", self._channel, timeout=_CONNECT_TIMEOUT_S)

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def _backoff() -> "chain[float]":
    return chain(_BACKOFF_S, repeat(_LONGEST_BACKOFF_S))


async def _connect(dsn: str, name: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings={"application_name": name})
