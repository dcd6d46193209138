"""The parts of a running process, opened and closed in order. `app`, `worker` and `cli` stand on it.

`open_hub()` yields everything wired: pools, keys, limits, intake with its spool, signals between processes, and the
loader and the maintenance in a process that does the work.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mainstem.accounts.desk import Desk
from mainstem.alerts import run as alerts
from mainstem.connectors import running as connectors
from mainstem.connectors.wiring import connectors_of
from mainstem.duties import Duties, finish, make_loader
from mainstem.events.intake import Intake
from mainstem.events.log import PostgresLog
from mainstem.events.sealing import Sealer
from mainstem.events.signals import Listener, Notifier
from mainstem.events.spool import Spool
from mainstem.features import METRICS, model_source
from mainstem.front.services import Services
from mainstem.links.cache import LinkCache
from mainstem.links.clicks import Clicks
from mainstem.links.warm import warm as warm_links
from mainstem.pii.box import Keyring
from mainstem.pii.store import Subjects
from mainstem.platform import outbox
from mainstem.platform.addresses import parse_networks
from mainstem.platform.auth import Authenticator
from mainstem.platform.cache import CHANNEL as CACHE_CHANNEL
from mainstem.platform.cache import Cache
from mainstem.platform.db import Pool, create_pool
from mainstem.platform.limits import RateLimiter
from mainstem.platform.mail import Mailer
from mainstem.platform.minute_writer import MinuteWriter
from mainstem.platform.outbound import Outbound
from mainstem.platform.secrets import derive, pii_keys, secret_key
from mainstem.platform.settings import Settings
from mainstem.platform.text_box import TextBox
from mainstem.site import ProcessResult, process
from mainstem.tasks.run import Chores
from mainstem.vault.loader import Loader
from mainstem.vault.waiter import LoadWaiter


@dataclass(slots=True, kw_only=True)
class Hub:
    """A running process's parts."""

    services: Services
    worker_pool: Pool
    loader: Loader | None
    notifier: Notifier
    outbound: Outbound
    alerting: alerts.Alerting
    cache: Cache
    connectors: connectors.Connectors
    accounts: Desk

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
        writer = MinuteWriter(worker_pool, (pool, worker_pool))
        writer.start()
        stack.push_async_callback(writer.stop)
        secret = secret_key(settings, data_dir)
        keyring = Keyring(*pii_keys(settings, data_dir))
        sealer = Sealer(settings.pii_fields, keyring)
        outbound = Outbound(parse_networks(settings.outbound_allow))
        stack.push_async_callback(outbound.close)
        mailer = Mailer(settings)
        box = TextBox(derive(secret, "mail"))
        post = outbox.Outbox(mailer, settings.mail_to, box)
        alerting = alerts.Alerting.of(settings, METRICS, post)
        traders = connectors.Connectors(connectors_of(settings, outbound), pool, worker_pool, keyring, post)
        stack.push_async_callback(traders.finish)
        waiter = LoadWaiter(dsn)
        await waiter.start()
        stack.push_async_callback(waiter.stop)
        cache = await stack.enter_async_context(_cache(settings, dsn, pool, derive(secret, "cache")))
        writer.watch_cache(cache.counters)
        stop = asyncio.Event()
        source = model_source(settings)
        chores = Chores(worker_pool, Subjects(keyring), post, url=alerts.place_of(settings).url, zone=settings.timezone)
        loader = make_loader(settings, dsn, waiter, source, sealer, chores) if works else None
        if loader is not None:
            work = Duties(
                settings,
                dsn,
                worker_pool,
                loader,
                source,
                outbound,
                keyring,
                alerting,
                mailer,
                cache,
                traders,
                box,
                chores,
            )
            stack.push_async_callback(finish, work.begin(stop), stop)
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
        cache.members.join("links", links)
        if serves:
            await links.start()
            stack.push_async_callback(links.stop)
            cache.members.warm_by("links", lambda tenant_id: warm_links(links, pool, tenant_id))
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
        yield Hub(
            services=services,
            worker_pool=worker_pool,
            loader=loader,
            notifier=notifier,
            outbound=outbound,
            alerting=alerting,
            cache=cache,
            connectors=traders,
            accounts=Desk(worker_pool, settings, post, services.limiter),
        )


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


@asynccontextmanager
async def _cache(settings: Settings, dsn: str, pool: Pool, namespace: bytes) -> AsyncIterator[Cache]:
    cache = Cache(settings, pool, namespace=namespace[:8].hex())
    async with Listener(dsn, [CACHE_CHANNEL], cache.heard) as listener:
        cache.follow(lambda: listener.session)
        try:
            yield cache
        finally:
            await cache.stop()


def _intake(settings: Settings, dsn: str, sealer: Sealer) -> Intake:
    max_bytes = settings.spool_max_mb * 1_048_576
    spool = Spool(settings.data_dir / "spool", max_bytes=max_bytes, keyring=sealer.keyring)
    return Intake(PostgresLog(dsn, sealer), spool, commit_timeout_s=settings.intake_commit_timeout_seconds)
