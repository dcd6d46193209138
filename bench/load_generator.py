"""A cheap HTTP load generator: prebuilt request bytes over kept-alive connections, on uvloop, in a process of its own.

It shares the machine's cores with the server, so it does as little as can be: no HTTP library, no request objects. It
trusts the server to answer each request in turn with a Content-Length, which the servers measured here do.
"""

import asyncio
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from time import perf_counter
from typing import Final, cast

import uvloop

from bench.stats import percentile

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"
_STATUS: Final = slice(9, 12)
_LONGEST_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send."""

    port: int
    requests: Sequence[bytes]
    """Whole requests as they go over the wire, sent in turn, again and again."""
    total: int
    connections: int
    rate: float | None = None
    """Requests per second, whatever the answers; None sends the next one when a connection is free."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back."""

    seconds: float
    """From the first byte sent to the last answer."""
    statuses: dict[int, int]
    latencies_s: "array[float]" = field(repr=False)
    """Per request, from the moment it was due: a late sender counts against the server."""

    @property
    def per_second(self) -> float:
        """Return answers per second."""
        return sum(self.statuses.values()) / self.seconds

    def latency_ms(self, fraction: float) -> float:
        """Return the latency that this fraction of the requests kept to."""
        return percentile(self.latencies_s, fraction) * 1000


def request(method: str, path: str, *, key: str = "", body: bytes = b"") -> bytes:
    """Return the bytes of an HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {key}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def generate(plan: Plan) -> Outcome:
    """Send the plan's requests from a new process and return the outcome. Raises ConnectionError, TimeoutError."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(_generate, plan).result()


def _generate(plan: Plan) -> Outcome:
    async def run() -> Outcome:
        return await _Run(plan).go()

    return uvloop.run(run())


class _Run:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sent = 0
        self._latencies = array("d")
        self.statuses: Counter[int] = Counter()
        self._due: deque[float] = deque()
        self._idle: list[_Connection] = []
        self.done: asyncio.Future[None] = asyncio.Future()

    async def go(self) -> Outcome:
        loop = asyncio.get_running_loop()
        connections = [
            (await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._plan.port))[1]
            for _ in range(self._plan.connections)
        ]
        started = perf_counter()
        if self._plan.rate is None:
            for connection in connections:
                self._send_next(connection)
        else:
            self._idle = connections
            self._keep_pace(started, self._plan.rate)
        async with asyncio.timeout(_LONGEST_S):
            await self.done
        return Outcome(perf_counter() - started, dict(self.statuses), self._latencies)

    def answered(self, connection: "_Connection", status: bytes, since: float) -> None:
        self._latencies.append(perf_counter() - since)
        self.statuses[int(status)] += 1
        if len(self._latencies) == self._plan.total:
            self.done.set_result(None)
        elif self._plan.rate is None:
            self._send_next(connection)
        elif self._due:
            self._send(connection, self._due.popleft())
        else:
            self._idle.append(connection)

    def broken(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed a connection"))

    def _send_next(self, connection: "_Connection") -> None:
        if self._sent < self._plan.total:
            self._send(connection, perf_counter())

    def _send(self, connection: "_Connection", since: float) -> None:
        connection.send(self._plan.requests[self._sent % len(self._plan.requests)], since)
        self._sent += 1

    def _keep_pace(self, started: float, rate: float) -> None:
        now = perf_counter()
        while (number := self._sent + len(self._due)) < self._plan.total and (due := started + number / rate) <= now:
            if self._idle:
                self._send(self._idle.pop(), due)
            else:
                self._due.append(due)
        if self._sent + len(self._due) < self._plan.total and not self.done.done():
            wait_s = started + (self._sent + len(self._due)) / rate - perf_counter()
            asyncio.get_running_loop().call_later(max(wait_s, 0.0), self._keep_pace, started, rate)


class _Connection(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._missing = 0
        self._status = b""
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports don't inherit from asyncio's
        self._transport = cast("asyncio.Transport", transport)

    def send(self, data: bytes, since: float) -> None:
        self._since = since
        if self._transport is not None:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            data = self._head + data
            end = data.find(_HEAD_END)
            if end < 0:
                self._head = data
                return
            self._head = b""
            self._status = data[_STATUS]
            self._missing = _content_length(data[:end]) - (len(data) - end - len(_HEAD_END))
        if self._missing == 0:
            self._run.answered(self, self._status, self._since)

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.broken(exc)


def _content_length(head: bytes) -> int:
    start = head.lower().find(_LENGTH)
    return 0 if start < 0 else int(head[start + len(_LENGTH) :].partition(b"\r\n")[0])
