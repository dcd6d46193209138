"""The composition root of a process that serves HTTP: wires every module's public door and runs the server."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
import uvicorn
from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from uvicorn.supervisors import Multiprocess

import mainstem
from mainstem.front import Front
from mainstem.front.one_write import OneWriteProtocol
from mainstem.front.openapi import merge_into
from mainstem.hub import Hub, open_hub
from mainstem.links.contract import PREFIX as LINK_TRACKING
from mainstem.links.contract import build_contract_router
from mainstem.links.contract import shape as link_tracking_shape
from mainstem.links.routes import build_router as links_router
from mainstem.links.settings_routes import build_settings_router
from mainstem.links.stats_routes import build_stats_router
from mainstem.platform import api_docs, health, http, log, metrics, migrate
from mainstem.platform.auth import require
from mainstem.platform.auth_routes import router as auth_router
from mainstem.platform.db import Pool
from mainstem.platform.runtime import tune_gc
from mainstem.platform.settings import Settings, load_settings
from mainstem.site.routes import build_router as site_router
from mainstem.subjects import build_router as subjects_router

logger = structlog.get_logger(__name__)

_DSN: Final = "HUB_INTERNAL_DSN"
_DATA_DIR: Final = "HUB_INTERNAL_DATA_DIR"
_DESCRIPTION: Final = (
    "One customer from click to visit to booking to order to follow-up, on one PostgreSQL.\n\n"
    "Send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Errors are problem+json (RFC 9457) "
    "with a stable `code` and the `request_id` to quote."
)

CONTRACT_FUNCTIONS: Final = (
    "api.track_site_event(inet,text,text,character varying,jsonb)",
    "staging.auto_process_if_needed()",
    "staging.trigger_pipeline_now()",
    "staging.get_pipeline_status()",
)
"""The SQL functions that the deployment document of site tracking checks for."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def create_api(settings: Settings) -> FastAPI:
    """Return the FastAPI application with every route; `attach` gives it the parts before the first request."""
    api = FastAPI(
        title="Mainstem", version=mainstem.__version__, description=_DESCRIPTION, docs_url=None, redoc_url=None
    )
    http.install(api, settings, shapes={LINK_TRACKING: link_tracking_shape})
    api_docs.install(api)

    def hub() -> Hub:
        found: Hub = api.state.hub
        return found

    def pool() -> Pool:
        return hub().pool

    api.include_router(health.router(lambda: api.state.health))
    api.include_router(auth_router)
    api.include_router(site_router(pool=pool, require=require, process=lambda tenant_id: hub().process(tenant_id)))
    api.include_router(subjects_router(pool=pool, keyring=lambda: hub().services.sealer.keyring, require=require))
    for build in (build_stats_router, build_settings_router, links_router, build_contract_router):
        api.include_router(build(pool=pool, require=require, settings=settings))
    if settings.metrics_enabled:
        api.include_router(metrics.router())

    @api.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("/docs")

    plain_openapi = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = merge_into(http.document_errors(plain_openapi()))
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for changing the schema
    return api


def attach(api: FastAPI, hub: Hub) -> None:
    """Give an application the parts of its process."""
    api.state.hub = hub
    api.state.api_pool = hub.pool
    api.state.settings = hub.services.settings
    api.state.authenticator = hub.services.authenticator
    api.state.limiter = hub.services.limiter


class Application:
    """The ASGI application of a process: opens its parts at startup, closes them in order at shutdown."""

    def __init__(self, settings: Settings, dsn: str, *, data_dir: Path, works: bool) -> None:
        """Keep what to open; `works` adds the loader and the maintenance to this process."""
        self._settings = settings
        self._dsn = dsn
        self._data_dir = data_dir
        self._works = works
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
                opened = open_hub(self._settings, self._dsn, self._data_dir, serves=True, works=self._works)
                hub = await stack.enter_async_context(opened)
            except Exception as error:
                logger.exception("startup failed")
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            api = create_api(self._settings)
            attach(api, hub)
            api.state.health = await stack.enter_async_context(_health(self._settings, self._dsn, hub))
            self._front = Front(api, hub.services)
            tune_gc()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def _health(settings: Settings, dsn: str, hub: Hub) -> AsyncIterator[health.HealthRegistry]:
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

    registry.register("intake", intake, critical=False)
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


class _PortOfAll(socket.socket):
    """A port that several processes listen on: whoever is handed it opens a listening socket of its own.

    The kernel then spreads connections over the processes. On one shared socket the first to wake takes all that wait:
    measured here, one of two processes was often left without any. It does not listen itself, or it would get a share.
    """

    def __reduce__(self) -> tuple[Callable[[str, int], socket.socket], tuple[str, int]]:
        host, port = self.getsockname()[:2]
        return _listen_beside, (host, port)


def _listen_beside(host: str, port: int) -> socket.socket:
    return bind(host, port, option=socket.SO_REUSEPORT)


def _port_of_all(host: str, port: int) -> _PortOfAll:
    """Take a port for several processes. Raises OSError when it is taken or the host unknown."""
    # a port that others share, too, would seem to be free
    with bind(host, port) as free:
        family, (host, port) = free.family, free.getsockname()[:2]
    taken = _PortOfAll(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind((host, port))
    except OSError:
        taken.close()
        raise
    return taken


def bind(host: str, port: int, *, option: int = socket.SO_REUSEADDR) -> socket.socket:
    """Return a listening socket. Raises OSError with the usual errno when the port is taken or the host unknown."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with the protocol named, every event loop turns Nagle's delay off
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind((host, port))
        listener.listen(2048)
        listener.set_inheritable(True)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address to show for a listening socket."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def run(  # noqa: PLR0913 - what the command line gives
    settings: Settings, dsn: str, *, data_dir: Path, host: str, port: int, on_ready: Callable[[str], None]
) -> int:
    """Serve and work in this one process until a signal; return the exit code.

    `on_ready` gets the address once requests are answered. Raises OSError when the port can't be bound.
    """
    log.configure(settings)
    listener = bind(host, port)
    app = Application(settings, dsn, data_dir=data_dir, works=True)
    server = _Server(_config(app, settings), lambda: on_ready(url_of(listener)))
    try:
        return _run(server, listener)
    finally:
        listener.close()


def serve(  # noqa: PLR0913 - what the command line gives
    settings: Settings, dsn: str, *, data_dir: Path, host: str, port: int, workers: int
) -> int:
    """Serve HTTP without working, in one or several processes that share a port; return the exit code."""
    log.configure(settings)
    listener = bind(host, port) if workers == 1 else _port_of_all(host, port)
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
