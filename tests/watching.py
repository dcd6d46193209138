"""A real server with the live dashboard, in this process, and real WebSocket clients of it."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side

from mainstem.app import _config
from mainstem.dashboard import probes
from mainstem.dashboard.clients import Clients
from mainstem.dashboard.live import Live, Timing
from mainstem.dashboard.routes import build_router
from mainstem.dashboard.session import build_socket_router
from mainstem.dashboard.snapshots import Reader
from mainstem.platform import health, http, live, minutes, sessions, tokens
from mainstem.platform.auth import Authenticator, require
from mainstem.platform.cache import Cache
from mainstem.platform.db import Pool, create_pool, transaction
from mainstem.platform.health import HealthRegistry
from mainstem.platform.ids import event_uid
from mainstem.platform.keys import create_key, revoke_key
from mainstem.platform.limits import RateLimiter
from mainstem.platform.listening import bind
from mainstem.platform.settings import Settings
from mainstem.platform.tenants import create_tenant
from mainstem.platform.users import create_user

QUICK = Timing(heartbeat_s=60, metrics_s=0.1, tokens_s=0.1, watch_s=0.05)
PATH = "/api/v1/ws/dashboard"
DEADLINE_S = 10


class Kept:
    """The smallest cache: keeps everything, for ever."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], Any] = {}
        self.lifetimes: dict[str, float | None] = {}

    async def get(self, region: str, key: str, loader: Callable[[], Any], ttl_s: float | None = None) -> Any:
        self.lifetimes[key] = ttl_s
        if (region, key) not in self.values:
            # what a cache beyond this process does to a value
            self.values[region, key] = json.loads(json.dumps(await loader()))
        return self.values[region, key]


@dataclass
class Served:
    """A running server and what is behind it."""

    url: str
    live: Live
    settings: Settings
    authenticator: Authenticator
    pool: Pool
    owner_pool: Pool
    cache: Kept = field(default_factory=Kept)
    server: uvicorn.Server | None = None

    @property
    def address(self) -> str:
        return "ws" + self.url.removeprefix("http") + PATH

    async def tell(self, tenant_id: int, type_: str, data: dict[str, Any]) -> None:
        """Say a live message as a change does."""
        async with transaction(self.owner_pool, tenant_id=tenant_id) as connection:
            await live.tell(connection, tenant_id, type_, data)

    async def key(self, tenant_id: int = 1, *scopes: str) -> str:
        async with transaction(self.owner_pool) as connection:
            return (await create_key(connection, tenant_id, scopes=scopes or ("read",))).key

    async def revoke(self, key: str) -> None:
        async with transaction(self.owner_pool) as connection:
            prefix = key[:12]
            key_id, tenant_id = await connection.fetchrow(
                "select api_key_id, tenant_id from platform.api_key where prefix = $1", prefix
            )
            await revoke_key(connection, tenant_id, key_id)

    async def tenant(self, slug: str) -> int:
        async with transaction(self.owner_pool) as connection:
            return (await create_tenant(connection, slug)).id

    async def user(self, tenant_id: int = 1, email: str = "ana@harbour.example") -> UUID:
        async with transaction(self.owner_pool) as connection:
            return (await create_user(connection, tenant_id, email, "correct horse battery")).id

    async def token(
        self, user_id: UUID, lifetime: timedelta, *, tenant_id: int = 1, now: datetime | None = None
    ) -> str:
        """Return a token of a session that outlives it."""
        async with transaction(self.owner_pool) as connection:
            begun = await sessions.begin(connection, tenant_id, user_id, sessions.Client(), timedelta(days=1))
        assert begun is not None
        return tokens.issue(
            self.authenticator._jwt_key,
            session_id=begun,
            user_id=user_id,
            tenant_id=tenant_id,
            tenant="default",
            role="member",
            lifetime=lifetime,
            now=now,
        )

    @asynccontextmanager
    async def watching(self, token: str, *topics: str, **options: Any) -> AsyncIterator["Watcher"]:
        """Yield a client that has the token in its headers and is subscribed to the topics."""
        headers = {"Authorization": f"Bearer {token}"} | options.pop("additional_headers", {})
        async with connect(self.address, additional_headers=headers, **options) as socket_:
            watcher = Watcher(socket_)
            if topics:
                await watcher.send(action="subscribe", types=topics)
                watcher.confirmation = await watcher.next("subscription_confirmed")
            yield watcher

    async def clients(self, wanted: int) -> None:
        """Return when the server has so many clients."""
        await until(lambda: len(self.live.clients) == wanted)


class Watcher:
    """A WebSocket client."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[dict[str, Any]] = []
        self.confirmation: dict[str, Any] = {}

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def next(self, *types: str) -> dict[str, Any]:
        """Return the next message of these types (of any, without types); others before it are in `seen`."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = json.loads(await self.connection.recv())
                self.seen.append(message)
                if not types or message["type"] in types:
                    return message

    async def until_pong(self) -> list[dict[str, Any]]:
        """Return all messages that were on their way: those before the answer to a ping."""
        before = len(self.seen)
        await self.send(action="ping")
        await self.next("pong")
        return self.seen[before:-1]

    async def closed(self) -> tuple[int, str]:
        """Return code and reason of the end."""
        async with asyncio.timeout(DEADLINE_S):
            # a client that doesn't read its messages doesn't get to its end either
            with suppress(ConnectionClosed):
                while True:
                    self.seen.append(json.loads(await self.connection.recv()))
        return self.connection.close_code, self.connection.close_reason


@asynccontextmanager
async def serving(
    dsn: str,
    *,
    timing: Timing = QUICK,
    alerts: Reader | None = None,
    ping_s: float = 20.0,
    **changes: Any,
) -> AsyncIterator[Served]:
    """Yield a server on a database; `changes` are settings."""
    settings = Settings(_env_file=None, secret_key="k3-Vx9_quiet-harbour-lantern-Zp7w", **changes)
    async with AsyncExitStack() as stack:
        pools = []
        for role in ("api", "worker"):
            pools.append(await create_pool(dsn, role=role, min_size=0, max_size=8))
            stack.push_async_callback(_close, pools[-1])
        pool, owner_pool = pools
        authenticator = Authenticator(owner_pool, settings)
        clients = Clients(most=settings.live_max_connections, most_of_tenant=settings.live_max_connections_per_tenant)
        watched = Live(
            dsn=dsn,
            pool=lambda: pool,
            owner_pool=lambda: owner_pool,
            authenticator=authenticator,
            window=minutes.window,
            clients=clients,
            alerts=alerts,
            timing=timing,
        )
        watched.start()
        stack.push_async_callback(watched.stop)
        served = Served("", watched, settings, authenticator, pool, owner_pool)
        app = _app(served)
        registry: HealthRegistry = app.state.health
        stack.push_async_callback(registry.stop)
        listener = bind("127.0.0.1", 0)
        stack.callback(listener.close)
        served.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await watched.listening()
        served.server = await stack.enter_async_context(_running(app, settings, listener, ping_s))
        yield served


def _app(served: Served) -> FastAPI:
    app = FastAPI()
    http.install(app, served.settings)
    app.include_router(
        build_socket_router(
            live=lambda: served.live, authenticator=lambda: served.authenticator, settings=served.settings
        )
    )
    app.include_router(
        build_router(pool=lambda: served.pool, require=require, cache=lambda: served.cache, window=minutes.window)
    )
    registry = HealthRegistry(fresh_s=0)
    kept = Cache(served.settings, served.pool)
    probes.register(registry, owner_pool=lambda: served.owner_pool, clients=served.live.clients, cache=kept)
    app.include_router(health.router(registry))
    app.state.health = registry
    app.state.authenticator = served.authenticator
    app.state.limiter = RateLimiter(served.owner_pool)
    app.state.settings = served.settings
    return app


@asynccontextmanager
async def _running(
    app: FastAPI, settings: Settings, listener: socket.socket, ping_s: float
) -> AsyncIterator[uvicorn.Server]:
    config = _config(app, settings)
    config.ws_ping_interval = config.ws_ping_timeout = ping_s
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve([listener]))
    try:
        await until(lambda: server.started)
        yield server
    finally:
        server.should_exit = True
        await running


async def until(holds: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Return when a condition holds; fail after the deadline."""
    async with asyncio.timeout(deadline_s):
        while True:
            if holds():
                return
            await asyncio.sleep(0.003)


async def _close(pool: Pool) -> None:
    pool.terminate()


async def land(dsn: str, events: int, *, tenant_id: int = 1, **fields: Any) -> None:
    """Append events to the landing; a loader takes them from there."""
    if "message_id" in fields:
        fields["event_uid"] = str(event_uid(tenant_id, "mainstem", fields["message_id"]))
    rows = [{"kind": "order.paid", "data": {"number": number}, **fields} for number in range(events)]
    connection = await asyncpg.connect(dsn)
    try:
        await connection.fetchval("select raw.append($1, $2::jsonb, 'http')", tenant_id, json.dumps(rows))
    finally:
        await connection.close()


class Deaf:
    """A client that subscribes, and then never reads again. Blocks while it connects."""

    def __init__(self, address: str, token: str, *topics: str) -> None:
        host, _, port = address.removeprefix("ws://").partition("/")[0].partition(":")
        self.socket = socket.socket()
        # before connecting, or the kernel offers megabytes
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self.socket.connect((host, int(port)))
        self.socket.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self.socket.recv(1)
        self.socket.sendall(_masked(json.dumps({"action": "subscribe", "types": topics}).encode()))

    def rest(self) -> tuple[list[str], int | None]:
        """Return what it would have read, and the code of the close; None when the connection was cut."""
        client = Protocol(Side.CLIENT, max_size=None)
        data = bytearray()
        self.socket.settimeout(DEADLINE_S)
        with suppress(ConnectionResetError):
            while part := self.socket.recv(65_536):
                data += part
        client.receive_data(bytes(data))
        code = None if client.close_rcvd is None else client.close_rcvd.code
        return [event.data.decode() for event in client.events_received() if event.opcode == Opcode.TEXT], code

    def close(self) -> None:
        self.socket.close()


def _masked(text: bytes) -> bytes:
    mask = os.urandom(4)
    assert len(text) < 126
    return bytes((0x81, 0x80 | len(text))) + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))


def caller(tenant_id: int = 1, key_id: int = 1) -> Any:
    """Return who a client is, as far as the registry of clients looks."""
    return SimpleNamespace(tenant_id=tenant_id, key_id=key_id, subject=f"key:{key_id}", scopes=frozenset({"read"}))
