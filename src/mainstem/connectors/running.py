"""The connectors of a process: each with its flow, its inbox and its runs, for the tenant that it belongs to."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import structlog

from mainstem.connectors import deliveries, items, mapping, runs
from mainstem.connectors.connector import Connector
from mainstem.connectors.flow import Flow
from mainstem.connectors.inbound import Inbox
from mainstem.connectors.sync import Sync
from mainstem.connectors.work import ConnectorWorker
from mainstem.pii.box import Keyring
from mainstem.pii.store import Subjects
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, is_transient, transaction
from mainstem.platform.errors import MainstemError, NotFoundError
from mainstem.platform.outbound import OutboundError
from mainstem.platform.outbox import Outbox
from mainstem.platform.tenants import find_tenant

_RETRY_S = 2.0
_MAPPING_RETRY_S = 5.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A connector with all that works for it in this process."""

    connector: Connector
    tenant_id: int
    flow: Flow
    inbox: Inbox
    sync: Sync


class Connectors:
    """Opens connectors when they are first needed, for the database may be away until then."""

    def __init__(
        self, connectors: Sequence[Connector], pool: Pool, owner_pool: Pool, keyring: Keyring, outbox: Outbox | None
    ) -> None:
        """Keep the parts. `pool` runs under row-level security; tenants are looked up by the owner."""
        self.all = {connector.name: connector for connector in connectors}
        self._pool = pool
        self._owner_pool = owner_pool
        self._keyring = keyring
        self._outbox = outbox
        self._running: dict[str, Running] = {}

    async def get(self, name: str, tenant: str | None = None) -> Running:
        """Return a connector by name; of the tenant, where one is given. Raises NotFoundError."""
        connector = self.all.get(name)
        if connector is None or tenant not in {None, connector.tenant}:
            raise NotFoundError(f"Connector {name!r} not found")
        if name not in self._running:
            async with transaction(self._owner_pool) as connection:
                found = await find_tenant(connection, connector.tenant)
            if found is None:
                raise NotFoundError(f"Connector {name!r} belongs to tenant {connector.tenant!r}, which is not there.")
            if connector.sign_in is not None:
                connector.sign_in.store.bind(self._pool, self._keyring, found.id)
            flow = Flow(self._pool, found.id, connector, outbox=self._outbox, subjects=Subjects(self._keyring))
            self._running.setdefault(name, Running(connector, found.id, flow, Inbox(flow, self._keyring), Sync(flow)))
        return self._running[name]

    def at(self, path: str) -> str | None:
        """Return the name of the connector whose deliveries are posted to a path."""
        return next((name for name, one in self.all.items() if path in one.paths), None)

    async def run(self, stop: asyncio.Event) -> None:
        """Work for all connectors that are switched on until `stop` is set."""
        names = [name for name, one in self.all.items() if one.enabled]
        await asyncio.gather(*(self._work(name, stop) for name in names))

    async def finish(self) -> None:
        """Wait for deliveries that are being worked on."""
        await asyncio.gather(*(one.inbox.finish() for one in self._running.values()))

    async def _work(self, name: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                running = await self.get(name)
                await asyncio.gather(
                    ConnectorWorker(running.flow, running.inbox).run(stop), self._map_first(running, stop)
                )
            except Exception as error:
                if is_transient(error):
                    log.warning("connector_postponed", connector=name, error=str(error))
                else:
                    log.exception("connector_failed", connector=name)
                await asyncio.wait([asyncio.ensure_future(stop.wait())], timeout=_RETRY_S)

    async def _map_first(self, running: Running, stop: asyncio.Event) -> None:
        """Take the mapping in that the settings name, where there is none yet; until it can be read."""
        connector = running.connector
        while connector.first_mapping is not None and not stop.is_set():
            try:
                await take_first_mapping(self._pool, running.tenant_id, connector, connector.first_mapping)
            except (OutboundError, OSError, UnicodeDecodeError, MainstemError, asyncpg.PostgresError) as error:
                log.warning("connector_mapping_postponed", connector=connector.name, reason=str(error))
                await asyncio.wait([asyncio.ensure_future(stop.wait())], timeout=_MAPPING_RETRY_S)
            else:
                return


async def take_first_mapping(
    pool: Pool, tenant_id: int, connector: Connector, read: Callable[[], Awaitable[str]]
) -> int:
    """Take a mapping in as CSV, unless there is one; return its entries. Raises what `read` does, and InvalidFieldError."""
    establishment = connector.rules.establishment
    async with transaction(pool, tenant_id=tenant_id) as connection:
        if await items.rows(connection, tenant_id, connector.name, establishment):
            return 0
    entries = mapping.read_csv(await read(), establishment)
    async with transaction(pool, tenant_id=tenant_id) as connection:
        await items.put(connection, tenant_id, connector.name, establishment, entries, by="CONNECTOR_MAPPING")
    log.info("connector_mapped", connector=connector.name, items=len(entries))
    return len(entries)


async def prune(connection: Connection, retention_days: int) -> int:
    """Delete deliveries and runs that are older than is kept, in small transactions; return how many rows went."""
    before = utc_now() - timedelta(days=retention_days)
    return await deliveries.prune(connection, before) + await runs.prune(connection, before)
