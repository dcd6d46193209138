"""What a working process does for a connector: orders that are due, deliveries that wait, and the reconciliation by schedule.

Any number of processes may: bookings and deliveries are claimed with a lease, and a run belongs to whoever takes its turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog

from mainstem.connectors import ledger, runs
from mainstem.connectors.connector import Connector
from mainstem.connectors.flow import Flow
from mainstem.connectors.inbound import Inbox
from mainstem.connectors.sync import OverlapError, Sync
from mainstem.platform.db import is_transient, transaction

_POLL_S: Final = 1.0
_RETRY_S: Final = 2.0
_TURNS_S: Final = 5.0
_LONGEST: Final = timedelta(days=31)
log = structlog.get_logger(__name__)


class ConnectorWorker:
    """Works for one connector of one tenant."""

    def __init__(self, flow: Flow, inbox: Inbox) -> None:
        """Keep the parts."""
        self.flow = flow
        self.inbox = inbox
        self.sync = Sync(flow)
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def connector(self) -> Connector:
        """Return the connector."""
        return self.flow.connector

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a database that is away is waited for. What is under way then may end."""
        await self._kept_up(self._start, stop, once=True)
        parts = [
            asyncio.create_task(self._kept_up(self._orders, stop), name="connector orders"),
            asyncio.create_task(self._kept_up(self._deliveries, stop), name="connector deliveries"),
            asyncio.create_task(self._kept_up(self._turn, stop, every_s=_TURNS_S), name="connector runs"),
        ]
        try:
            await stop.wait()
            await asyncio.wait(parts, timeout=10.0)
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=5.0)
        finally:
            for task in (*parts, *self._under_way):
                task.cancel()
            await asyncio.gather(*parts, *self._under_way, return_exceptions=True)

    async def drain(self) -> int:
        """Work on all that is due now; return how many bookings were."""
        done = 0
        while await self.inbox.work_due():
            pass
        while keys := await self._claim(self.connector.concurrency):
            await asyncio.gather(*(self._work(*one) for one in keys))
            done += len(keys)
        return done

    async def _kept_up(
        self,
        part: Callable[[], Awaitable[bool]],
        stop: asyncio.Event,
        *,
        every_s: float = _POLL_S,
        once: bool = False,
    ) -> None:
        """Do a part again and again; at once while it says that there is more."""
        while not stop.is_set():
            pause_s = every_s
            try:
                if await part():
                    pause_s = 0.0
                if once:
                    return
            except Exception as error:
                pause_s = _RETRY_S
                if is_transient(error):
                    log.warning("connector_work_postponed", connector=self.connector.name, error=str(error))
                else:
                    log.exception("connector_work_failed", connector=self.connector.name)
            if pause_s:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await stop.wait()

    async def _start(self) -> bool:
        if not self.connector.dry_run:
            async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
                await ledger.fire_dry(connection, self.flow.tenant_id, self.connector)
        return False

    # orders

    async def _orders(self) -> bool:
        room = self.connector.concurrency - len(self._under_way)
        if room > 0:
            for one in await self._claim(room):
                task = asyncio.create_task(self._work(*one), name="connector order")
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
        if not self._under_way:
            return False
        await asyncio.wait(self._under_way, timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED)
        return True

    async def _claim(self, most: int) -> list[tuple[int, UUID]]:
        claim_id = uuid4()
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            keys = await ledger.claim_due(
                connection, self.flow.tenant_id, self.connector, claim_id, now=self.flow.clock(), most=most
            )
        return [(key, claim_id) for key in keys]

    async def _work(self, booking_key: int, claim_id: UUID) -> None:
        try:
            await self.flow.work(booking_key, claim_id, by="worker")
        except Exception as error:
            # it was given back, or its lease runs out
            if is_transient(error):
                log.warning("connector_order_postponed", booking_key=booking_key, error=str(error))
            else:
                log.exception("connector_order_failed", booking_key=booking_key)

    async def _deliveries(self) -> bool:
        return await self.inbox.work_due() > 0

    # runs

    async def _turn(self) -> bool:
        """Reconcile when it is due; a connector that is new here waits one interval, one that was away catches up once."""
        now = self.flow.clock()
        every = self.connector.every
        async with transaction(self.flow.pool, tenant_id=self.flow.tenant_id) as connection:
            row = await runs.schedule(connection, self.flow.tenant_id, self.connector.name, now + every)
            if row["next_at"] > now or not await runs.take_turn(
                connection,
                self.flow.tenant_id,
                self.connector.name,
                row["next_at"],
                next_turn(row["next_at"], now, every),
            ):
                return False
        since = window(row["read_until"], now, self.connector.look_back)
        try:
            await self.sync.bulk(since, now, dry_run=False, by="schedule", mode="scheduled")
        except OverlapError:
            log.warning("connector_run_skipped", connector=self.connector.name, reason="Another run is under way.")
        return False


def next_turn(due: datetime, now: datetime, every: timedelta) -> datetime:
    """Return when the turn after one that was due comes: in step with it, and after now, however many were missed. Pure."""
    return due + every * ((now - due) // every + 1)


def window(read_until: datetime | None, now: datetime, look_back: timedelta) -> datetime:
    """Return from when on a run reads: a look-back before what was read whole, or before now; a month at most. Pure."""
    return max(min(read_until or now, now) - look_back, now - _LONGEST)
