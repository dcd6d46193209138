"""The parts of a running process, opened and closed in order. `app`, `worker` and `cli` stand on it.

`open_hub()` yields everything wired: pools, keys, limits, intake with its spool, signals between processes, and the
loader and the maintenance in a process that does the work.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import asyncpg
import structlog

from mainstem.events import retention
from mainstem.events.archive import archive_folder
from mainstem.events.archive.spawn import Archiver, archiver
from mainstem.events.intake import Intake
from mainstem.events.log import PostgresLog
from mainstem.events.sealing import Sealer
from mainstem.events.signals import Notifier
from mainstem.events.spool import Spool
from mainstem.front.services import Services
from mainstem.links.cache import LinkCache
from mainstem.links.checks import CHECKS as LINK_CHECKS
from mainstem.links.clicks import Clicks
from mainstem.links.feed import FEEDS as LINK_FEEDS
from mainstem.pii.box import Keyring
from mainstem.platform import metrics
from mainstem.platform.addresses import parse_networks
from mainstem.platform.auth import Authenticator
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, create_pool
from mainstem.platform.limits import RateLimiter
from mainstem.platform.secrets import derive, pii_keys, secret_key
from mainstem.platform.settings import Settings
from mainstem.site import SITE_FEED, ProcessResult, process
from mainstem.site.checks import CHECKS as SITE_CHECKS
from mainstem.vault import queries as vault_queries
from mainstem.vault.custom import daily, files
from mainstem.vault.custom.active import ModelSource
from mainstem.vault.feed import Feed
from mainstem.vault.loader import Loader, LoadResult
from mainstem.vault.model import EVENT_FEED
from mainstem.vault.waiter import LoadWaiter

FEEDS: Final = (SITE_FEED, *LINK_FEEDS, EVENT_FEED)
"""Every feed of the product: only the composition root knows them all."""

_CONNECT_TIMEOUT_S: Final = 10
CHECKS: Final = (*SITE_CHECKS, *LINK_CHECKS)
"""What `mainstem vault check` asks beside the rules of the model and the ledger."""


async def _vault_partitions(connection: Connection) -> int:
    today = utc_now().date()
    return await vault_queries.ensure_partitions(connection, today, today + timedelta(days=62))


def model_source(settings: Settings) -> ModelSource:
    """Return what says which feeds are loaded; the settings name the data folder in use."""
    return ModelSource(FEEDS, files.find(settings.vault_model, settings.data_dir))


async def feeds_in_force(settings: Settings, dsn: str, data_dir: Path) -> tuple[Feed, ...]:
    """Return the feeds that loaders follow now: the built-in ones and those of the applied model."""
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
    try:
        found = await model_source(settings.model_copy(update={"data_dir": data_dir}))(connection)
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)
    return found.feeds


def _upkeep(source: ModelSource) -> dict[str, retention.Step]:
    """Return the upkeep of other modules that rides on the hourly sweep."""

    async def snapshots(connection: Connection) -> int:
        _, model = await source.model(connection)
        return 0 if model is None else await daily.build_due(connection, model.snapshots)

    return {"vault_partitions": _vault_partitions, "vault_snapshots": snapshots}


log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Hub:
    """A running process's parts."""

    services: Services
    worker_pool: Pool
    loader: Loader | None
    notifier: Notifier

    @property
    def pool(self) -> Pool:
        """Return the pool that runs under row-level security."""
        return self.services.pool

    async def process(self, tenant_id: int) -> ProcessResult:
        """Wake the loader, here or elsewhere, and wait (bounded) until a tenant's committed events are loaded."""
        if self.loader is not None:
            self.loader.nudge()
        self.notifier.nudge()
        return await process(self.pool, tenant_id)


@asynccontextmanager
async def open_hub(settings: Settings, dsn: str, data_dir: Path, *, serves: bool, works: bool) -> AsyncIterator[Hub]:
    """Yield the parts of a process that serves HTTP, does the work of loading and maintenance, or both.

    The database may be away: pools connect when they are first used, and every part reconnects by itself. On the way
    out the intake flushes what was acknowledged, then the loader ends its transaction, then the pools close.
    """
    settings = settings.model_copy(update={"data_dir": data_dir})
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(_pool(settings, dsn, role="api"))
        worker_pool = await stack.enter_async_context(_pool(settings, dsn, role="worker"))
        secret = secret_key(settings, data_dir)
        sealer = Sealer(settings.pii_fields, Keyring(*pii_keys(settings, data_dir)))
        waiter = LoadWaiter(dsn)
        await waiter.start()
        stack.push_async_callback(waiter.stop)
        stop = asyncio.Event()
        source = model_source(settings)
        loader = _loader(settings, dsn, waiter, source, sealer) if works else None
        tasks: list[asyncio.Task[None]] = []
        if loader is not None:
            tasks.append(asyncio.create_task(loader.run(stop), name="loader"))
            upkeep = retention.run(
                worker_pool, settings, stop, steps=_upkeep(source), archiver=_archiver(settings, dsn)
            )
            tasks.append(asyncio.create_task(upkeep, name="retention"))
            stack.push_async_callback(_finish, tasks, stop)
        intake = _intake(settings, dsn, sealer)
        notifier = Notifier(dsn)
        if serves:
            if loader is not None:
                intake.on_commit(loader.nudge)
            notifier.start()
            stack.push_async_callback(notifier.stop)
            intake.on_commit(notifier.nudge)
            await intake.start()
            stack.push_async_callback(intake.stop)
        links = LinkCache(dsn, settings)
        if serves:
            await links.start()
            stack.push_async_callback(links.stop)
        visitor_secret, ip_secret = derive(secret, "visitor"), derive(secret, "ip")
        services = Services(
            settings=settings,
            intake=intake,
            authenticator=Authenticator(worker_pool, settings),
            limiter=RateLimiter(worker_pool),
            waiter=waiter,
            pool=pool,
            sealer=sealer,
            trusted_proxies=parse_networks(settings.trusted_proxies),
            links=links,
            clicks=Clicks(intake, sealer, settings, visitor_secret=visitor_secret, ip_secret=ip_secret),
            visitor_secret=visitor_secret,
            ip_secret=ip_secret,
        )
        yield Hub(services=services, worker_pool=worker_pool, loader=loader, notifier=notifier)


@asynccontextmanager
async def _pool(settings: Settings, dsn: str, *, role: str) -> AsyncIterator[Pool]:
    most = settings.database_pool_size + settings.database_max_overflow
    size = most if role == "api" else max(4, settings.database_pool_size // 4)
    pool = await create_pool(dsn, role="api" if role == "api" else "worker", min_size=0, max_size=size)
    try:
        yield pool
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await pool.close()
        pool.terminate()


def _intake(settings: Settings, dsn: str, sealer: Sealer) -> Intake:
    max_bytes = settings.spool_max_mb * 1_048_576
    spool = Spool(settings.data_dir / "spool", max_bytes=max_bytes, keyring=sealer.keyring)
    return Intake(PostgresLog(dsn, sealer), spool, commit_timeout_s=settings.intake_commit_timeout_seconds)


def _archiver(settings: Settings, dsn: str) -> Archiver | None:
    if not settings.archive_enabled:
        return None
    return archiver(dsn, archive_folder(settings.archive_dir, settings.data_dir))


def _loader(settings: Settings, dsn: str, waiter: LoadWaiter, source: ModelSource, sealer: Sealer) -> Loader:
    lanes = settings.loader_lanes
    loader = Loader(dsn, FEEDS, lanes=range(lanes), lane_count=lanes, source=source, sealer=sealer)
    loader.on_loaded(lambda result: waiter.loaded(result.batch_ids))
    loader.on_loaded(_measure)
    return loader


def _measure(result: LoadResult) -> None:
    metrics.load(
        batches=result.batches,
        loaded=result.loaded,
        duplicates=result.duplicates,
        rejected=result.rejected,
        seconds=result.seconds,
    )


async def _finish(tasks: Sequence["asyncio.Task[None]"], stop: asyncio.Event) -> None:
    stop.set()
    _, late = await asyncio.wait(tasks, timeout=15)
    for task in late:
        log.warning("task did not end in time", task=task.get_name(), now=utc_now().isoformat())
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
