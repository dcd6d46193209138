"""The live dashboard of a process: what happens, sent to whoever subscribed to it.

Changes come from two channels of the database, so it doesn't matter which process made them: `mainstem.platform.live` for
alerts and webhooks, the loader's own for events. Metrics are asked for every two seconds while somebody wants them, and
sent when they changed. A client gets the state of what it subscribes to, then what happens since; when the database was away,
it is told, stays, and gets the state anew.

One heartbeat, one watch over tokens and one encoding of each message serve all clients.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog

from mainstem.dashboard import figures, parts
from mainstem.dashboard.admission import close_ended
from mainstem.dashboard.clients import Client, Clients
from mainstem.dashboard.messages import TOPIC_OF, Topic, confirmed, error, frame, told
from mainstem.dashboard.newest import Newest
from mainstem.dashboard.snapshots import Reader, Snapshots
from mainstem.dashboard.steps import Steps
from mainstem.events.catalogue import handed_out
from mainstem.events.signals import LOADED_CHANNEL, Listener
from mainstem.platform import live, metrics
from mainstem.platform.auth import Authenticator
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Connection, Pool, transaction
from mainstem.vault.ledger import batch_ids_of

_LATEST_EVENTS: Final = 20
_AWAY: Final = ("database_unavailable", "The database is not available right now; a fresh snapshot follows.")

_FAILED: Final = ("internal", "Something went wrong here; what changes from now on is sent all the same.")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds between what is done again and again."""

    heartbeat_s: float = 30.0
    metrics_s: float = 2.0
    tokens_s: float = 5.0
    """The connection of a revoked key or disabled user is closed within this time, and that of one query."""
    watch_s: float = 0.5
    """How soon it is noticed that the database is away, or back."""


class Live:
    """The live part of a process; for one event loop."""

    def __init__(  # noqa: PLR0913 - what it stands on
        self,
        *,
        dsn: str,
        pool: Callable[[], Pool],
        owner_pool: Callable[[], Pool],
        authenticator: Authenticator,
        window: figures.Window,
        clients: Clients,
        alerts: Reader | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Keep what to ask; `alerts` reads a tenant's open alerts. Nothing connects before `start`."""
        self.clients = clients
        self._pool = pool
        self._authenticator = authenticator
        self._window = window
        self._timing = timing or Timing()
        readers: dict[Topic, Reader] = {
            Topic.METRICS: self._metrics,
            Topic.WEBHOOKS: parts.webhooks,
            Topic.EVENTS: _latest_events,
        }
        if alerts is not None:
            readers[Topic.ALERTS] = alerts
        self._snapshots = Snapshots(pool, readers)
        self._steps = Steps(self._lost)
        self._newest = Newest(
            pool=pool, owner_pool=owner_pool, watched=lambda: clients.watched(Topic.EVENTS), show=self._show
        )
        self._listener = Listener(dsn, (live.CHANNEL, LOADED_CHANNEL), self._heard)
        self._sent: dict[int, parts.Part] = {}
        self._away = False
        self._stale = False

    def start(self) -> None:
        """Begin to listen and to watch; the database may be away."""
        timing = self._timing
        self._listener.start()
        self._steps.every(timing.heartbeat_s, self._beat, "live heartbeat")
        self._steps.every(timing.metrics_s, self._measure, "live metrics")
        self._steps.every(timing.tokens_s, self._check_tokens, "live tokens")
        self._steps.every(timing.watch_s, self._watch, "live watch")
        self._steps.begin(self._newest.run(self._steps.take), "live events")

    async def stop(self) -> None:
        """End everything; connections are closed by the server."""
        await self._listener.stop()
        await self._steps.stop()
        await self._snapshots.stop()

    async def listening(self, timeout_s: float = 5.0) -> None:
        """Return as soon as changes are heard. Raises TimeoutError."""
        await self._listener.connected(timeout_s)

    async def subscribe(self, client: Client, topics: Sequence[Topic]) -> None:
        """Send a client what happens from now on, and first of all how things are."""
        self.clients.subscribe(client, topics)
        await self._confirm(client, topics)

    def unsubscribe(self, client: Client, topics: Sequence[Topic]) -> None:
        """Send it no more of that."""
        self.clients.unsubscribe(client, topics)
        client.reply(confirmed("unsubscribe_confirmed", topics, client.topics, utc_now()))

    def pong(self, client: Client) -> None:
        """Answer a ping."""
        connections = self.clients.of(client.caller.tenant_id)
        client.reply(frame("pong", utc_now(), data={"total_connections": connections}))

    async def _confirm(self, client: Client, topics: Sequence[Topic]) -> None:
        """Send the state of topics; what happens meanwhile comes after it."""
        client.hold()
        try:
            states = await self._states(client.caller.tenant_id, topics)
            snapshot = {} if states is None else {"snapshot": states}
            client.reply(confirmed("subscription_confirmed", topics, client.topics, utc_now(), **snapshot))
            if states is None:
                client.reply(error(*(_AWAY if self._away else _FAILED), utc_now()))
            elif Topic.METRICS in states:
                client.reply(frame("metrics_update", utc_now(), data=states[Topic.METRICS]))
        finally:
            client.release()

    async def _states(self, tenant_id: int, topics: Sequence[Topic]) -> dict[Topic, msgspec.Raw] | None:
        """Return the JSON of each topic's state; None while the database is away (they come when it is back), or by a fault."""
        found: dict[Topic, msgspec.Raw] = {}

        async def read() -> None:
            for topic in topics:
                found[topic] = await self._snapshots.of(tenant_id, topic)

        if not self._listener.up:
            self._lost()
            return None
        return found if await self._steps.take(read) else None

    def _heard(self, channel: str | None, payload: str) -> None:
        if channel is None:
            # signals may have been missed, so what clients know may be wrong
            self._stale = any(client.topics for client in self.clients)
        elif channel == LOADED_CHANNEL:
            self._newest.loaded(batch_ids_of(payload))
        else:
            message = live.read(payload)
            if message is not None:
                frame_of_all = told(message.type, message.data, utc_now())
                self.clients.tell(message.tenant, TOPIC_OF[message.type], frame_of_all, message.people)

    def _show(self, tenant_id: int, events: Sequence[figures.Event], left_out: int) -> None:
        now = utc_now()
        frames = [
            frame("event", now, data=_event(event), left_out=0 if place else left_out)
            for place, event in enumerate(events)
        ]
        self.clients.tell(tenant_id, Topic.EVENTS, b"".join(frames))

    async def _beat(self) -> None:
        now = utc_now()
        for tenant_id in self.clients.tenants():
            beat = frame("heartbeat", now, active_connections=self.clients.of(tenant_id))
            self.clients.tell_all(tenant_id, beat)

    async def _measure(self) -> None:
        tenants = self.clients.watched(Topic.METRICS)
        self._sent = {tenant_id: sent for tenant_id, sent in self._sent.items() if tenant_id in tenants}
        if not tenants or self._away:
            return
        async with transaction(self._pool()) as connection:
            performance = await parts.performance(connection, self._window, utc_now())
        for tenant_id in tenants:
            async with transaction(self._pool(), tenant_id=tenant_id) as connection:
                found = {**await parts.overview(connection, tenant_id), **performance}
            if self._sent.get(tenant_id) != found:
                self._sent[tenant_id] = found
                self.clients.tell(tenant_id, Topic.METRICS, frame("metrics_update", utc_now(), data=found))

    async def _metrics(self, connection: Connection, tenant_id: int) -> parts.Part:
        performance = await parts.performance(connection, self._window, utc_now())
        found = {**await parts.overview(connection, tenant_id), **performance}
        # the first one of a tenant has everybody; later ones only who subscribes then
        self._sent.setdefault(tenant_id, found)
        return found

    async def _check_tokens(self) -> None:
        metrics.live_clients(len(self.clients))
        await close_ended(self.clients, self._authenticator)

    async def _watch(self) -> None:
        if not self._listener.up:
            self._lost()
        elif self._away or self._stale:
            async with transaction(self._pool()) as connection:
                await connection.fetchval("select 1")
            self._away = self._stale = False
            for client in self.clients:
                if client.topics:
                    self._steps.begin(self._confirm(client, sorted(client.topics)), "live snapshot")

    def _lost(self) -> None:
        """Say once that the database is away."""
        if not self._away:
            self._away = True
            log.warning("live_database_away", clients=len(self.clients))
            away = error(*_AWAY, utc_now())
            for client in self.clients:
                client.reply(away)


async def _latest_events(connection: Connection, tenant_id: int) -> list[dict[str, Any]]:
    batches = await figures.recent_batches(connection, tenant_id, _LATEST_EVENTS)
    return [_event(event) for event in await figures.newest_events(connection, tenant_id, batches, _LATEST_EVENTS)]


def _event(event: figures.Event) -> dict[str, Any]:
    return {
        "event_id": event.message_id or str(event.event_uid),
        "uid": str(event.event_uid),
        "kind": event.kind,
        "source": event.source,
        "subject": event.subject,
        "occurred_at": rfc3339(event.occurred_at),
        "received_at": rfc3339(event.received_at),
        "data": None if event.data is None else msgspec.Raw(handed_out(event.kind, event.data).encode()),
    }
