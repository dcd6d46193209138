"""MCP on a port of its own, beside `/mcp` of the API: MCP_SERVER_HOST and MCP_SERVER_PORT. Nothing else is served there."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from mainstem.assistant.mcp import discovery
from mainstem.assistant.mcp.door import API_PORT
from mainstem.platform.errors import NotFoundError
from mainstem.platform.http import edge, send_error
from mainstem.platform.listening import bind
from mainstem.platform.settings import Settings

log = structlog.get_logger(__name__)

PATHS: Final = frozenset(
    {
        discovery.PATH,
        f"{discovery.PATH}/",
        discovery.RESOURCE_METADATA,
        discovery.RESOURCE_METADATA_OF_ROOT,
        discovery.ISSUER_METADATA,
    }
)


def listener(settings: Settings) -> socket.socket | None:
    """Return the socket of MCP's own port; None: there is none, or it can't be had, which is a warning in the log."""
    host, port = settings.mcp_server_host, settings.mcp_server_port
    if not settings.mcp_enabled or port == 0:
        return None
    try:
        return bind(host, port)
    except OSError as error:
        reason = {
            errno.EADDRINUSE: "it is in use",
            errno.EACCES: "it needs root",
            errno.EADDRNOTAVAIL: "the host is no address of this machine",
        }.get(error.errno or 0, error.strerror or str(error))
        told = f"MCP is not open on {host} port {port}: {reason}. It answers at /mcp of the API all the same."
        log.warning("mcp_port_not_open", detail=f"{told} Choose another MCP_SERVER_PORT, or 0 for none.")
        return None


class _Only:
    """The application, as far as it is MCP."""

    def __init__(self, app: ASGIApp, api_port: int) -> None:
        self._app = app
        self._api_port = api_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in PATHS:
            await self._app({**scope, API_PORT: self._api_port}, receive, send)
        elif scope["type"] == "http":
            await send_error(scope, send, NotFoundError(f"MCP is at {discovery.PATH}; nothing else is here."))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})


class _Server(uvicorn.Server):
    """A server beside the process's own, which alone hears signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def opened(app: ASGIApp, settings: Settings, listening: socket.socket, api_port: int) -> AsyncIterator[None]:
    """Serve the MCP of an application on a listening socket, for as long as the context lasts."""
    config = uvicorn.Config(
        edge(_Only(app, api_port), settings),
        interface="asgi3",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="mcp port")
    try:
        yield
    finally:
        server.should_exit = True
        await task
