"""What a working process does all the time: load, send, judge, connect, remind, sweep."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import structlog

from mainstem.accounts import invitations
from mainstem.accounts import links as account_links
from mainstem.alerts import run as alerts
from mainstem.alerts import store as alert_store
from mainstem.alerts.notify import mailed
from mainstem.assistant import upkeep as assistant_upkeep
from mainstem.connectors import running as connectors
from mainstem.events import retention
from mainstem.events.archive import archive_folder
from mainstem.events.archive.spawn import Archiver, archiver
from mainstem.events.model import RawEvent
from mainstem.events.sealing import Sealer
from mainstem.features import FEEDS
from mainstem.pii.box import Keyring
from mainstem.platform import metrics, minutes, outbox, sessions
from mainstem.platform.cache import Cache
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool
from mainstem.platform.mail import Mailer
from mainstem.platform.outbound import Outbound
from mainstem.platform.settings import Settings
from mainstem.platform.text_box import TextBox
from mainstem.tasks import matching
from mainstem.tasks.run import Chores
from mainstem.vault import queries as vault_queries
from mainstem.vault.custom import daily
from mainstem.vault.custom.active import ModelSource
from mainstem.vault.loader import Loader, LoadResult
from mainstem.vault.waiter import LoadWaiter
from mainstem.webhooks import upkeep as webhook_upkeep
from mainstem.webhooks.deliver import DeliveryWorker
from mainstem.webhooks.fanout import FanOut
from mainstem.webhooks.replay import Replayer

_KEPT_AFTER_END: Final = timedelta(days=1)
"""How long sessions and mailed links are kept when they are over."""
_INVITATIONS_KEPT: Final = timedelta(days=30)
_MATCHES_DAYS: Final = 90
"""How long it is known which task a rule made of an event: no event is loaded anew after that."""
log = structlog.get_logger(__name__)


class Duties(NamedTuple):
    """What a working process does all the time."""

    settings: Settings
    dsn: str
    pool: Pool
    loader: Loader
    source: ModelSource
    outbound: Outbound
    keyring: Keyring
    alerting: alerts.Alerting
    mailer: Mailer
    cache: Cache
    traders: connectors.Connectors
    box: TextBox
    chores: Chores

    def begin(self, stop: asyncio.Event) -> "list[asyncio.Task[None]]":
        """Start all of it; each part ends soon after `stop` is set."""
        steps = _upkeep(self.source, self.settings)
        after = timedelta(hours=self.settings.webhook_disable_after_hours)
        parts = {
            "loader": self.loader.run(stop),
            "retention": retention.run(
                self.pool, self.settings, stop, steps=steps, archiver=_archiver(self.settings, self.dsn)
            ),
            "deliveries": self._deliveries().run(stop),
            "webhook upkeep": webhook_upkeep.run(self.pool, after, stop, self.alerting.teller.outbox.to_operators),
            "replays": Replayer(self.pool).run(stop),
            "alerts": alerts.run(self.pool, self.alerting, stop),
            "connectors": self.traders.run(stop),
            "tasks": self.chores.run(stop),
            "mails": outbox.run(self.pool, self.mailer, stop, on_outcome=mailed, box=self.box),
        }
        return [asyncio.create_task(part, name=name) for name, part in parts.items()]

    def _deliveries(self) -> DeliveryWorker:
        worker = DeliveryWorker(
            self.dsn,
            self.outbound,
            self.keyring,
            concurrency=self.settings.webhook_concurrency,
            per_endpoint=self.settings.webhook_concurrency_per_endpoint,
            lease_s=self.settings.webhook_lease_seconds,
        )
        self.cache.members.join("webhooks", worker.targets)
        return worker


def _measure(result: LoadResult) -> None:
    metrics.load(
        batches=result.batches,
        loaded=result.loaded,
        duplicates=result.duplicates,
        rejected=result.rejected,
        seconds=result.seconds,
    )


def _upkeep(source: ModelSource, settings: Settings) -> dict[str, retention.Step]:
    """Return the upkeep of other modules that rides on the hourly sweep."""

    async def snapshots(connection: Connection) -> int:
        _, model = await source.model(connection)
        return 0 if model is None else await daily.build_due(connection, model.snapshots)

    async def deliveries(connection: Connection) -> int:
        return await webhook_upkeep.prune(connection, settings.webhook_retention_days)

    async def old_alerts(connection: Connection) -> int:
        before = utc_now() - timedelta(days=settings.alert_retention_days)
        return await alert_store.prune(connection, before) + await outbox.prune(connection, before)

    async def ended(connection: Connection) -> int:
        now = utc_now()
        pruned = await sessions.prune(connection, now - _KEPT_AFTER_END)
        pruned += await account_links.prune(connection, now - _KEPT_AFTER_END)
        return pruned + await invitations.prune(connection, now - _INVITATIONS_KEPT)

    async def old_matches(connection: Connection) -> int:
        return await matching.prune(connection, utc_now() - timedelta(days=_MATCHES_DAYS))

    async def old_deliveries(connection: Connection) -> int:
        return await connectors.prune(connection, settings.connector_retention_days)

    async def old_talks(connection: Connection) -> int:
        return await assistant_upkeep.prune(connection, settings, utc_now())

    return {
        "accounts": ended,
        "alerts": old_alerts,
        "assistant": old_talks,
        "connectors": old_deliveries,
        "vault_partitions": _vault_partitions,
        "vault_snapshots": snapshots,
        "minutes": _old_minutes,
        "tasks": old_matches,
        "webhooks": deliveries,
    }


async def _old_minutes(connection: Connection) -> int:
    return await minutes.prune(connection, utc_now())


async def _vault_partitions(connection: Connection) -> int:
    today = utc_now().date()
    return await vault_queries.ensure_partitions(connection, today, today + timedelta(days=62))


def _archiver(settings: Settings, dsn: str) -> Archiver | None:
    if not settings.archive_enabled:
        return None
    return archiver(dsn, archive_folder(settings.archive_dir, settings.data_dir))


def make_loader(  # noqa: PLR0913, PLR0917 - what a load leads to
    settings: Settings, dsn: str, waiter: LoadWaiter, source: ModelSource, sealer: Sealer, chores: Chores
) -> Loader:
    """Return the loader of a process: its deliveries and tasks of rules are made in the transaction of the load."""
    lanes = settings.loader_lanes
    fan_out, matcher = FanOut(), chores.matcher

    async def hand_on(connection: Connection, events: Sequence[RawEvent]) -> None:
        await fan_out(connection, events)
        await matcher(connection, events)

    loader = Loader(dsn, FEEDS, lanes=range(lanes), lane_count=lanes, source=source, sealer=sealer, outbox=hand_on)
    loader.on_loaded(lambda result: waiter.loaded(result.batch_ids))
    loader.on_loaded(lambda _: chores.nudge())
    loader.on_loaded(_measure)
    return loader


async def finish(tasks: Sequence["asyncio.Task[None]"], stop: asyncio.Event) -> None:
    """End what was begun; after 15 seconds it is called off."""
    stop.set()
    _, late = await asyncio.wait(tasks, timeout=15)
    for task in late:
        log.warning("task did not end in time", task=task.get_name(), now=utc_now().isoformat())
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
