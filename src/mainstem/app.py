"""The composition root of a process that serves HTTP: wires every module's public door and runs the server."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
import uvicorn
from uvicorn.supervisors import Multiprocess

from mainstem.alerts import run as alerting
from mainstem.alerts import store as alert_store
from mainstem.alerts.compose import live_data
from mainstem.api import attach, create_api
from mainstem.assistant.mcp import port as mcp_port
from mainstem.dashboard import probes as dashboard_probes
from mainstem.dashboard.clients import Clients
from mainstem.dashboard.live import Live
from mainstem.dashboard.messages import LARGEST_MESSAGE
from mainstem.front import Front
from mainstem.front.one_write import OneWriteProtocol
from mainstem.front.sockets import SocketProtocol
from mainstem.hub import Hub, open_hub
from mainstem.platform import health, log, metrics, migrate, minutes
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection
from mainstem.platform.listening import bind, port_of_all, url_of
from mainstem.platform.runtime import tune_gc
from mainstem.platform.settings import Settings, load_settings

logger = structlog.get_logger(__name__)

_LISTENING_S: Final = 2.0
_OPEN_ALERTS: Final = 100
"""Most alerts that a client of the live dashboard is shown first."""
_DSN: Final = "HUB_INTERNAL_DSN"
_DATA_DIR: Final = "HUB_INTERNAL_DATA_DIR"

CONTRACT_FUNCTIONS: Final = (
    "api.track_site_event(inet,text,text,character varying,jsonb)",
    "staging.auto_process_if_needed()",
    "staging.trigger_pipeline_now()",
    "staging.get_pipeline_status()",
)
"""The SQL functions that the deployment document of site tracking checks for."""

Beside = Callable[[], AbstractAsyncContextManager[None]]
"""Something else that is served on the loop of a process, from before its parts open until after they have closed."""
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class McpPort(NamedTuple):
    """Where MCP alone is served, and the port of the API that its documents point to."""

    listener: socket.socket
    api_port: int


class Application:
    """The ASGI application of a process: opens its parts at startup, closes them in order at shutdown."""

    def __init__(  # noqa: PLR0913 - what a process is made of
        self,
        settings: Settings,
        dsn: str,
        *,
        data_dir: Path,
        works: bool,
        beside: Beside | None = None,
        mcp: "McpPort | None" = None,
    ) -> None:
        """Keep what to open.

        `works` adds the loader and the maintenance to this process, `beside` another server, `mcp` a port for MCP alone.
        """
        self._settings = settings
        self._beside = beside
        self._dsn = dsn
        self._data_dir = data_dir
        self._works = works
        self._mcp = mcp
        self._front: Front | None = None

    def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection, or the process's life."""
        if scope["type"] == "lifespan":
            return self._live(receive, send)
        if self._front is None:
            msg = "the server took a request before its startup was complete"
            raise RuntimeError(msg)
        return self._front(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                if self._beside is not None:
                    await stack.enter_async_context(self._beside())
                opened = open_hub(self._settings, self._dsn, self._data_dir, serves=True, works=self._works)
                hub = await stack.enter_async_context(opened)
            except Exception as error:
                logger.exception("startup failed")
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            api = create_api(self._settings.model_copy(update={"data_dir": self._data_dir}))
            attach(api, hub)
            stack.push_async_callback(api.state.turns.stop)
            live = api.state.live = await stack.enter_async_context(_live(self._settings, self._dsn, hub))
            api.state.health = await stack.enter_async_context(_health(self._settings, self._dsn, hub, live))
            if self._settings.mcp_enabled:
                stack.push_async_callback(api.state.mcp.close)
            if self._mcp is not None:
                await stack.enter_async_context(mcp_port.opened(api, self._settings, *self._mcp))
            self._front = Front(api, hub.services)
            tune_gc()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _open_alerts(connection: Connection, tenant_id: int) -> list[dict[str, Any]]:
    wanted = alert_store.Filter(statuses=("firing", "acknowledged"))
    found, _ = await alert_store.page(connection, tenant_id, wanted, limit=_OPEN_ALERTS, offset=0)
    return [live_data(alert) for alert in found]


@asynccontextmanager
async def _live(settings: Settings, dsn: str, hub: Hub) -> AsyncIterator[Live]:
    live = Live(
        dsn=dsn,
        pool=lambda: hub.pool,
        owner_pool=lambda: hub.worker_pool,
        authenticator=hub.services.authenticator,
        window=minutes.window,
        clients=Clients(most=settings.live_max_connections, most_of_tenant=settings.live_max_connections_per_tenant),
        alerts=_open_alerts,
    )
    live.start()
    try:
        # who connects at once should not be told that the database is away
        with suppress(TimeoutError):
            await live.listening(_LISTENING_S)
        yield live
    finally:
        await live.stop()


@asynccontextmanager
async def _health(settings: Settings, dsn: str, hub: Hub, live: Live) -> AsyncIterator[health.HealthRegistry]:
    registry = health.HealthRegistry(interval_s=settings.health_check_interval_seconds)
    pools = (hub.pool, hub.worker_pool)
    probes = health.DatabaseProbes(dsn, pools=pools, head=migrate.head(), functions=CONTRACT_FUNCTIONS)
    probes.register(registry)

    async def intake() -> dict[str, object]:
        state = hub.services.intake.state
        # the reason of a failure may name hosts and paths, and the health page is open to everyone
        return {
            "database_up": state.database_up,
            "spooled_events": state.spooled_events,
            "waiting_events": state.waiting_events,
        }

    async def alerts() -> dict[str, object]:
        return await alerting.watched(hub.worker_pool, hub.alerting, utc_now())

    registry.register("intake", intake, critical=False)
    dashboard_probes.register(registry, owner_pool=lambda: hub.worker_pool, clients=live.clients, cache=hub.cache)
    registry.register("alerts", alerts, critical=False)
    await registry.start()
    try:
        yield registry
    finally:
        await registry.stop()
        await probes.close()


class _Server(uvicorn.Server):
    """A uvicorn that takes a second SIGTERM for the first one: make forwards it, so it arrives twice."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
                # a signal that comes after the end of the loop must not cut the database's shutdown short
                signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, number: int) -> None:
        if self.should_exit and number == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def _config(app: "Application | str", settings: Settings, *, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=OneWriteProtocol,
        ws=SocketProtocol,
        ws_max_size=LARGEST_MESSAGE,
        # compressed frames would differ between clients
        ws_per_message_deflate=False,
        # said, because it is guessed from whether the application is a coroutine function
        interface="asgi3",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level=settings.log_level.lower(),
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        factory=isinstance(app, str),
        workers=workers,
    )


def run(  # noqa: PLR0913 - what the command line gives
    settings: Settings,
    dsn: str,
    *,
    data_dir: Path,
    host: str,
    port: int,
    on_ready: Callable[[str], None],
    beside: Beside | None = None,
) -> int:
    """Serve and work in this one process until a signal; return the exit code.

    `on_ready` gets the address once requests are answered; `beside` is served on the same loop. Raises OSError when the
    port can't be bound.
    """
    log.configure(settings)
    with ExitStack() as stack:
        listener = stack.enter_context(bind(host, port))
        opened = mcp_port.listener(settings)
        mcp = None
        if opened is not None:
            mcp = McpPort(stack.enter_context(opened), listener.getsockname()[1])
        app = Application(settings, dsn, data_dir=data_dir, works=True, beside=beside, mcp=mcp)
        server = _Server(_config(app, settings), lambda: on_ready(url_of(listener)))
        return _run(server, listener)


def serve(  # noqa: PLR0913 - what the command line gives
    settings: Settings, dsn: str, *, data_dir: Path, host: str, port: int, workers: int
) -> int:
    """Serve HTTP without working, in one or several processes that share a port; return the exit code."""
    log.configure(settings)
    listener = bind(host, port) if workers == 1 else port_of_all(host, port)
    logger.info("serving", address=url_of(listener), workers=workers)
    if workers == 1:
        app = Application(settings, dsn, data_dir=data_dir, works=False)
        return _run(_Server(_config(app, settings), lambda: None), listener)
    metrics.share_between_processes(data_dir / "metrics")
    os.environ[_DSN], os.environ[_DATA_DIR] = dsn, str(data_dir)
    config = _config("mainstem.app:from_environment", settings, workers=workers)
    Multiprocess(config, sockets=[listener]).run()
    return 0


def _run(server: _Server, listener: socket.socket) -> int:
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        try:
            runner.run(server.serve(sockets=[listener]))
        except SystemExit:
            # uvicorn's word for a failed startup; the reason is in the log
            return 1
    return 0 if server.started else 1


def from_environment() -> Application:
    """Return the application of one of several worker processes; the parent passed on what it had found out."""
    settings = load_settings()
    log.configure(settings)
    return Application(settings, os.environ[_DSN], data_dir=Path(os.environ[_DATA_DIR]), works=False)
