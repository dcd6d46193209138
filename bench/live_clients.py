"""WebSocket clients by the thousand, in a process of their own: they subscribe to events and note when each arrives.

They share the machine's cores with the server, so they do as little as can be: bytes are searched for the events' names, no
frame is taken apart.
"""

import asyncio
import base64
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter
from typing import Final, cast

import uvloop

_NAME: Final = re.compile(rb'"event_id":"live-(\d+)"')
_LONGEST_NAME: Final = 64
_CONFIRMED: Final = b'"subscription_confirmed"'
_AT_ONCE: Final = 50
_LONGEST_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to watch, and what to send meanwhile."""

    port: int
    key: str
    clients: int
    events: int
    rate: float
    """Events per second."""


def watch(plan: Plan) -> list[float]:
    """Return, per event, the seconds from sending it until the last client has it. Raises TimeoutError, ConnectionError."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(_watch, plan).result()


def _watch(plan: Plan) -> list[float]:
    async def run() -> list[float]:
        return await _Run(plan).go()

    return uvloop.run(run())


class _Run:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._received: Counter[int] = Counter()
        self._sent_at: dict[int, float] = {}
        self._latencies: dict[int, float] = {}
        self._done: asyncio.Future[None] = asyncio.Future()

    async def go(self) -> list[float]:
        async with asyncio.timeout(_LONGEST_S):
            clients: list[_Client] = []
            for first in range(0, self._plan.clients, _AT_ONCE):
                count = min(_AT_ONCE, self._plan.clients - first)
                clients += await asyncio.gather(*(self._connect() for _ in range(count)))
            await self._send()
            await self._done
        for client in clients:
            client.close()
        return [self._latencies[number] for number in range(self._plan.events)]

    async def _connect(self) -> "_Client":
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: _Client(self, self._plan), "127.0.0.1", self._plan.port)
        await client.subscribed
        return client

    async def _send(self) -> None:
        """Send the events at their pace, whatever the answers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._plan.port)
        reading = asyncio.create_task(reader.read(-1))
        started = perf_counter()
        for number in range(self._plan.events):
            await asyncio.sleep(max(started + number / self._plan.rate - perf_counter(), 0.0))
            body = json.dumps(
                {"kind": "bench.live", "message_id": f"live-{number}", "data": {"total": number}}
            ).encode()
            self._sent_at[number] = perf_counter()
            writer.write(_post(self._plan.key, body))
        await self._done
        reading.cancel()
        writer.close()

    def got(self, numbers: Sequence[bytes]) -> None:
        now = perf_counter()
        for number in map(int, numbers):
            self._received[number] += 1
            if self._received[number] == self._plan.clients:
                self._latencies[number] = now - self._sent_at[number]
        if len(self._latencies) == self._plan.events and not self._done.done():
            self._done.set_result(None)

    def broken(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the server closed a connection"))


class _Client(asyncio.Protocol):
    def __init__(self, run: _Run, plan: Plan) -> None:
        self._run = run
        self._plan = plan
        self._transport: asyncio.Transport | None = None
        self._kept = b""
        self._open = False
        self.subscribed: asyncio.Future[None] = asyncio.Future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports don't inherit from asyncio's
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(_handshake(self._plan.key))

    def data_received(self, data: bytes) -> None:
        data = self._kept + data
        if not self._open:
            self._begin(data)
            return
        if not self.subscribed.done() and _CONFIRMED in data:
            self.subscribed.set_result(None)
        end = 0
        names: list[bytes] = []
        for match in _NAME.finditer(data):
            names.append(match[1])
            end = match.end()
        self._kept = data[end:][-_LONGEST_NAME:]
        if names:
            self._run.got(names)

    def _begin(self, data: bytes) -> None:
        self._kept = data
        if b"\r\n\r\n" in data and self._transport is not None:
            self._open, self._kept = True, b""
            self._transport.write(_masked(b'{"action":"subscribe","types":["events"]}'))

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.broken(exc)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _handshake(key: str) -> bytes:
    nonce = base64.b64encode(os.urandom(16)).decode()
    return (
        "GET /api/v1/ws/dashboard HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\nAuthorization: Bearer {key}\r\n\r\n"
    ).encode()


def _masked(text: bytes) -> bytes:
    """Return a short text frame of a client; a mask of zeros is one, too (RFC 6455, 5.3)."""
    return bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text


def _post(key: str, body: bytes) -> bytes:
    return (
        f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
