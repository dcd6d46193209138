"""The sandbox as a server: one process, one port, both services and the admin API."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mainstem.sandbox.admin import Admin
from mainstem.sandbox.answers import answer
from mainstem.sandbox.box import Sandbox
from mainstem.sandbox.gateway import Gateway, Transports
from mainstem.sandbox.keeping import Keeper
from mainstem.sandbox.openai import OpenAI
from mainstem.sandbox.revel.api import Revel
from mainstem.sandbox.tripleseat.api import Tripleseat

_BACKLOG: Final = 2048
_GRACE_S: Final = 1

S = TypeVar("S", bound="_Server")


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """Return a socket that listens, and its address. From now on connections wait rather than fail. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    return opened, shown_address(host, opened.getsockname()[1])


def shown_address(host: str, port: int) -> str:
    """Return the address of a sandbox that listens there: a near one where it listens everywhere."""
    if host in {"", str(IPv4Address(0))}:
        # all addresses of the machine: this one is near
        host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def make_app(box: Sandbox, transports: Transports, closing: asyncio.Event) -> ASGIApp:
    """Return the application: /tripleseat, /revel, /openai, /admin and /health."""

    async def health(_request: Request) -> Response:
        return answer({"status": "healthy", "service": "sandbox"})

    app = Starlette(
        routes=[
            Route("/health", health),
            Mount("/tripleseat", routes=Tripleseat(lambda: box.desk).routes()),
            Mount("/revel", routes=Revel(lambda: box.till).routes()),
            Mount("/openai", routes=OpenAI(lambda: box.brain).routes()),
            Mount("/admin", routes=Admin(box).routes()),
        ]
    )
    # services have their own opinion about slashes at the end
    app.router.redirect_slashes = False
    return Gateway(app, box, transports, closing)


async def serve(box: Sandbox, opened: socket.socket) -> None:
    """Serve on a socket that listens until a signal comes."""
    try:
        await _server(box, _Server).serve(sockets=[opened])
    finally:
        await box.close()


@asynccontextmanager
async def serving(box: Sandbox, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve on the running loop while the block runs; yields the address. For tests."""
    opened, address = listen(host, port)
    async with beside(box, opened):
        yield address


@asynccontextmanager
async def beside(box: Sandbox, opened: socket.socket, kept: Path | None = None) -> AsyncIterator[None]:
    """Serve on a socket that listens while the block runs, on the running loop; `kept` is the file of a `Keeper`."""
    server = _server(box, _Quiet, kept)
    task = asyncio.create_task(server.serve(sockets=[opened]))
    try:
        yield
    finally:
        server.stop.set()
        await task
        await box.close()
        if isinstance(server.config.app, Keeper):
            server.config.app.write()


class _Server(uvicorn.Server):
    """A server that lets go of the requests it holds before it waits for them."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._closing = closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close."""
        self._closing.set()
        await super().shutdown(sockets)


class _Quiet(_Server):
    """A server that leaves signals to whoever runs it, and ends when it is told to."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config, closing)
        self.stop = asyncio.Event()

    async def main_loop(self) -> None:
        """Serve: nothing has to be looked at every now and then."""
        await self.on_tick(0)
        await self.stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signals over."""
        yield


def _server(box: Sandbox, kind: type[S], kept: Path | None = None) -> S:
    transports: Transports = {}
    closing = asyncio.Event()
    app = make_app(box, transports, closing)
    config = uvicorn.Config(
        app if kept is None else Keeper(app, box, kept),
        http=_protocol(transports),
        access_log=False,
        log_level="warning",
        lifespan="off",
        # nobody stands before it, and the address of a client must be its own
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return kind(config, closing)


def _protocol(transports: Transports) -> type[asyncio.Protocol]:
    """Return a protocol that notes its connections, so that one can be hung up."""

    class Noting(HttpToolsProtocol):
        def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's signature
            self._peer = cast("tuple[str, int]", tuple(transport.get_extra_info("peername")[:2]))
            transports[self._peer] = transport
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(self._peer, None)
            super().connection_lost(exc)

    return Noting
