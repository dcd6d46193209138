"""Helpers of the tests of MCP: a hub on a real port of this process, real clients, and requests without a client."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import httpx2
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mainstem.app import Application
from mainstem.platform.keys import create_key
from mainstem.platform.settings import Settings
from mainstem.platform.users import create_user

PASSWORD = "Correct-Horse-7"

MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"
ERAS = {MODERN: MODERN, HANDSHAKE: "legacy"}
"""What the client calls each era."""


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.ready.set()

    def install_signal_handlers(self) -> None:
        pass


class McpHub:
    """A hub that answers on a port."""

    def __init__(self, url: str, app: Application) -> None:
        self.url = url
        self.app = app
        self.mcp = f"{url}/mcp"

    @asynccontextmanager
    async def client(self, headers: dict[str, str], era: str = MODERN, **more: Any) -> AsyncIterator[Client]:
        """Yield a client of the protocol that has connected."""
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(streamable_http_client(self.mcp, http_client=http), mode=ERAS[era], **more) as client,
        ):
            yield client

    async def post(self, headers: dict[str, str], method: str = "tools/list", **params: Any) -> httpx.Response:
        """Send one message of the era with a handshake, without a client."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with httpx.AsyncClient(timeout=30) as http:
            return await http.post(self.mcp, json=body, headers={"accept": "application/json", **headers})

    async def sign_in(self, connection: asyncpg.Connection, email: str = "ann@example.org", **fields: str):
        """Make a person; return the headers of a request of theirs."""
        await person(connection, email, **fields)
        async with httpx.AsyncClient(base_url=self.url) as http:
            answer = await http.post("/api/v1/auth/token", json={"email": email, "password": PASSWORD})
        return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def person(connection: asyncpg.Connection, email: str = "ann@example.org", **fields: str) -> None:
    """Make a user of the tenant default who has a password."""
    tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
    await create_user(connection, tenant_id, email, PASSWORD, **fields)


async def with_key(connection: asyncpg.Connection, *scopes: str) -> dict[str, str]:
    tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
    made = await create_key(connection, tenant_id, scopes=list(scopes), label="test")
    return {"authorization": f"Bearer {made.key}"}


@asynccontextmanager
async def mcp_hub(dsn: str, folder: Path, **settings: object) -> AsyncIterator[McpHub]:
    """Yield a hub of this process on a database, reached over HTTP."""
    chosen = Settings(_env_file=None, **{"rate_limit_requests": 100_000, "alerts_enabled": False, **settings})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = Application(chosen, dsn, data_dir=folder, works=False)
        server = Server(uvicorn.Config(app, lifespan="on", interface="asgi3", log_config=None, ws="none"))
        running = asyncio.create_task(server._serve([listener]))
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        try:
            assert server.started
            yield McpHub(f"http://127.0.0.1:{listener.getsockname()[1]}", app)
        finally:
            ready.cancel()
            server.should_exit = True
            await running
