"""Peers on loopback that answer byte for byte as a test says, and keep what they were sent and how it ended."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from mainstem.platform.addresses import parse_networks
from mainstem.platform.outbound import Answer, Outbound, OutboundError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Request:
    """One request as it came in."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    """Number of the connection, from 1."""

    def all(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given.lower() == name.lower()]


class Talk:
    """A connection of a peer, as its script sees it."""

    def __init__(self, peer: "Peer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peer = peer
        self._reader = reader
        self._writer = writer
        self._number = peer.connections

    async def request(self) -> Request:
        """Read one request, keep it and return it. Raises asyncio.IncompleteReadError at the end."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n")
        line, *rest = head.split("\r\n")
        headers = [(name, value.lstrip()) for name, _, value in (one.partition(":") for one in rest)]
        lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
        body = await self._reader.readexactly(sum(lengths))
        found = Request(line, headers, body, self._number)
        self._peer.requests.append(found)
        self._peer.asked.set()
        return found

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def until_hung_up(self) -> None:
        """Return when the other side has closed the connection."""
        with suppress(ConnectionError):
            while await self._reader.read(65_536):
                pass
        self._peer.hung_up.set()

    def reset(self) -> None:
        """Break the connection off."""
        self._writer.transport.abort()


Script = Callable[[Talk], Awaitable[None]]


@dataclass
class Peer:
    """A listening peer."""

    script: Script
    port: int = 0
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a request was read."""
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a client has closed a connection that a script watched."""
    deafen: Callable[[], None] = lambda: None
    """Take no more connections; those that are there stay."""

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


def answering(answer: bytes = OK) -> Script:
    """Return what answers every request of a connection alike, and leaves it open."""

    async def script(talk: Talk) -> None:
        while True:
            await talk.request()
            await talk.send(answer)

    return script


def sending(*parts: bytes, hold: bool = False) -> Script:
    """Return what reads one request and sends parts; then it hangs up, or holds the line until the client does."""

    async def script(talk: Talk) -> None:
        await talk.request()
        for part in parts:
            await talk.send(part)
        if hold:
            await talk.until_hung_up()

    return script


def dripping(start: bytes, drop: bytes, pause_s: float = 0.02) -> Script:
    """Return what sends a drop after each pause, for ever: faster than any one silence that a client would mind."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(start)
        gone = asyncio.create_task(talk.until_hung_up())
        try:
            while not gone.done():
                await talk.send(drop)
                await asyncio.wait([gone], timeout=pause_s)
        finally:
            gone.cancel()

    return script


@asynccontextmanager
async def listening(
    script: Script | None = None, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    """Yield a peer that treats each connection by a script; all of them end with the block."""
    peer = Peer(script or answering())
    talks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await peer.script(Talk(peer, reader, writer))
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.connections += 1
        task = asyncio.create_task(run(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    peer.port, peer.deafen = server.sockets[0].getsockname()[1], server.close
    try:
        yield peer
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def opened(*networks: str) -> AsyncIterator[Outbound]:
    """Yield a client of its own that may reach some private networks."""
    client = Outbound(parse_networks(networks))
    try:
        yield client
    finally:
        await client.close()


@contextmanager
def deaf() -> Iterator[str]:
    """Yield the address of a socket that listens and takes no more connections: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        try:
            # how many fit in is the system's choice
            for _ in range(64):
                one = socket.socket()
                waiting.append(one)
                one.settimeout(0.1)
                one.connect(listener.getsockname())
        except TimeoutError:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        else:
            pytest.skip("this system takes any number of connections")
        finally:
            for one in waiting:
                one.close()


async def post(client: Outbound, url: str, body: bytes = b"{}", timeout_s: float = 10, **more: Any) -> Answer:
    """Send a POST that has time."""
    return await client.post(url, body, more.pop("headers", {}), timeout_s=timeout_s, **more)


async def trouble(client: Outbound, url: str, **more: Any) -> OutboundError:
    """Send a POST that gets no answer; return why."""
    with pytest.raises(OutboundError) as caught:
        await post(client, url, **more)
    return caught.value


async def within(awaitable: Awaitable[Any], seconds: float = 10) -> Any:
    """Wait for something that must come soon."""
    async with asyncio.timeout(seconds):
        return await awaitable
