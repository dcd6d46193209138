"""The delivery worker: claims what is due, sends it, writes down what came of it. As many processes as one likes.

A claim leases rows of the queue and begins their next attempt in one short transaction; while HTTP is under way no
transaction is open. Leases are renewed; those of a worker that died run out, and another sends what it had under way,
with the same `webhook-id`. `places` says how many deliveries of an endpoint are under way at once, `attempt` sends one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any, Final
from uuid import uuid4

import asyncpg
import structlog

from mainstem.events.signals import Listener
from mainstem.pii.box import Keyring, PiiKeyError, SealBrokenError
from mainstem.pii.opening import Opener
from mainstem.platform.db import SESSION_SETTINGS, Connection, is_transient, load_queries
from mainstem.platform.outbound import Outbound
from mainstem.webhooks import book
from mainstem.webhooks.attempt import attempt
from mainstem.webhooks.fanout import DELIVER_CHANNEL
from mainstem.webhooks.places import Item, Place, Places
from mainstem.webhooks.targets import ENDPOINTS_CHANNEL, Targets

_POLL_S: Final = 1.0
"""How exactly retries meet their time; also finds what a lost signal would have told."""
_MOST_CLAIMED: Final = 256
_MOST_IN_BOOK: Final = 500
_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_FAREWELL_S: Final = 10.0
_COMMAND_TIMEOUT_S: Final = 30.0
_SETTINGS: Final = {
    **SESSION_SETTINGS,
    "application_name": "mainstem deliveries",
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
}
_sql: Final = load_queries("mainstem.webhooks", "deliver.sql")
log = structlog.get_logger(__name__)


class DeliveryWorker:
    """Delivers for all tenants; several in other processes share the work."""

    def __init__(  # noqa: PLR0913 - the parts of a worker
        self,
        dsn: str,
        outbound: Outbound,
        keyring: Keyring,
        *,
        concurrency: int = 512,
        per_endpoint: int = 16,
        lease_s: float = 60.0,
        random: Random | None = None,
    ) -> None:
        """Keep the parts; nothing connects before run()."""
        self._dsn = dsn
        self._outbound = outbound
        self._opener = Opener(keyring)
        self.targets = Targets(keyring)
        """What is kept of endpoints."""
        self._concurrency = concurrency
        self._per_endpoint = per_endpoint
        self._lease_s = lease_s
        self._random = random or Random()  # noqa: S311 - shares out retries, keeps no secret
        self._claim_id = uuid4()
        self._places = Places(per_endpoint)
        self._items: dict[int, Item] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sick_under_way = 0
        self._results: list[book.Result] = []
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._stopping = False

    def nudge(self) -> None:
        """Say that something may be due. Never blocks, never fails."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set; what is under way then may end, what was only claimed is given back."""
        self._stopping = False
        self._claim_id = uuid4()
        parts = [
            asyncio.create_task(self._keep_on(self._claiming, "claim"), name="webhook claims"),
            asyncio.create_task(self._keep_on(self._renewing, "renew"), name="webhook leases"),
        ]
        writer = asyncio.create_task(self._keep_on(self._writing, "write"), name="webhook results")
        try:
            async with Listener(self._dsn, (DELIVER_CHANNEL, ENDPOINTS_CHANNEL), self._heard):
                await stop.wait()
            self._stopping = True
            self.nudge()
            await asyncio.wait([parts[0]], timeout=_FAREWELL_S)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_FAREWELL_S)
            self._ended.set()
            await asyncio.wait([writer], timeout=_FAREWELL_S)
            await self._give_back()
        finally:
            for task in (*parts, writer, *self._tasks):
                task.cancel()
            await asyncio.gather(*parts, writer, *self._tasks, return_exceptions=True)
            self._places.clear()
            self._items.clear()
            self._results.clear()

    def _heard(self, channel: str | None, payload: str) -> None:
        if channel is None:
            self.targets.renew()
        elif channel == ENDPOINTS_CHANNEL:
            self.targets.renew(int(payload) if payload.isdigit() else None)
        self._wake.set()

    async def _keep_on(self, part: Callable[[Connection], Awaitable[None]], name: str) -> None:
        """Run a part over a connection of its own, and again over a new one after whatever went wrong."""
        failures = 0
        while not self._stopping or (name == "write" and not self._is_written()):
            connection: asyncpg.Connection[asyncpg.Record] | None = None
            try:
                connection = await asyncpg.connect(
                    self._dsn, timeout=5, command_timeout=_COMMAND_TIMEOUT_S, server_settings=_SETTINGS
                )
                failures = 0
                await part(connection)
            except Exception as error:
                # whatever it is, the next try must come
                pause_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
                failures += 1
                if is_transient(error):
                    log.warning("webhooks_postponed", part=name, error=str(error), retry_in_s=pause_s)
                else:
                    log.exception("webhooks_failed", part=name, retry_in_s=pause_s)
                await asyncio.sleep(pause_s)
            finally:
                if connection is not None:
                    connection.terminate()

    # claims

    async def _claiming(self, connection: Connection) -> None:
        while not self._stopping:
            self._wake.clear()
            if not await self._claim(connection):
                await _wait(self._wake, _POLL_S)

    async def _claim(self, connection: Connection) -> bool:
        """Claim what there is room for; tell whether there was anything, for then there may be more."""
        await self._hand_back(connection)
        room = min(self._concurrency * 2 - len(self._items), _MOST_CLAIMED)
        if room <= 0:
            return False
        loop = asyncio.get_running_loop()
        leased_until = loop.time() + self._lease_s
        busy = self._places.busy()
        rows = await connection.fetch(
            _sql["claim"],
            self._claim_id,
            timedelta(seconds=self._lease_s),
            room,
            max(room // 2, 1),
            self._places.first,
            list(busy),
            list(busy.values()),
        )
        if not rows:
            self._places.forget_idle()
            return False
        items = [Item.of(row, leased_until) for row in rows]
        await self._open(connection, items)
        targets = await self.targets.all(
            [item.endpoint_id for item in items], lambda ids: connection.fetch(_sql["endpoints"], ids)
        )
        for item in items:
            # from now on its lease is renewed; what was claimed and got no further runs out of it
            self._items[item.delivery_id] = item
            target = targets.get(item.endpoint_id)
            self._places.put(item, fifo=target is not None and target.fifo)
        for endpoint_id in dict.fromkeys(item.endpoint_id for item in items):
            self._pump(endpoint_id)
        return True

    async def _hand_back(self, connection: Connection) -> None:
        """Return what is held for endpoints that do worse than when it was claimed."""
        surplus = self._places.take_surplus()
        if surplus:
            for item in surplus:
                self._items.pop(item.delivery_id, None)
            await connection.fetch(_sql["give_back"], self._claim_id, [item.delivery_id for item in surplus])

    async def _open(self, connection: Connection, items: Sequence[Item]) -> None:
        """Open what is sealed in the messages, for this is the moment at which they are sent."""
        tenants: dict[int, list[Item]] = {}
        for item in items:
            tenants.setdefault(item.tenant_id, []).append(item)
        for tenant_id, ones in tenants.items():
            try:
                texts = await self._opener.open_texts(connection, tenant_id, [one.message.data for one in ones])
            except (PiiKeyError, SealBrokenError) as error:
                for one in ones:
                    one.fault = error.detail
                continue
            for one, text in zip(ones, texts, strict=True):
                if text != one.message.data:
                    one.message = replace(one.message, data=text)

    # sending

    def _pump(self, endpoint_id: int) -> None:
        """Send what the endpoint's place and the worker have room for."""
        place = self._places[endpoint_id]
        while place.has_room and len(self._tasks) < self._concurrency:
            # half of all places is kept for endpoints that answer
            if place.is_sick and self._sick_under_way >= self._concurrency // 2:
                return
            item = place.waiting.popleft()
            place.under_way += 1
            self._sick_under_way += place.is_sick
            task = asyncio.create_task(self._attempt(item, place, is_sick=place.is_sick), name="webhook attempt")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _attempt(self, item: Item, place: Place, *, is_sick: bool) -> None:
        loop = asyncio.get_running_loop()
        result = None
        try:
            targets = await self.targets.all([item.endpoint_id], self._fetch_endpoints)
            target = targets.get(item.endpoint_id)
            # another worker may have begun this attempt by now
            if target is not None and item.leased_until > loop.time():
                result = await attempt(
                    self._outbound, target, item, place, most=self._per_endpoint, random=self._random
                )
        except Exception:
            # the lease runs out, and the attempt is made again
            log.exception("webhook_attempt_failed", delivery_id=item.delivery_id)
        finally:
            place.under_way -= 1
            self._sick_under_way -= is_sick
            if result is None:
                self._items.pop(item.delivery_id, None)
            else:
                place.unwritten += 1
                self._results.append(result)
                self._ended.set()
            if not self._stopping:
                self._pump_all(item.endpoint_id)

    async def _fetch_endpoints(self, endpoint_ids: Sequence[int]) -> Sequence[Any]:
        connection = await asyncpg.connect(self._dsn, timeout=5, server_settings=_SETTINGS)
        try:
            return await connection.fetch(_sql["endpoints"], endpoint_ids, timeout=5)
        finally:
            connection.terminate()

    def _pump_all(self, first: int) -> None:
        self._pump(first)
        if len(self._tasks) >= self._concurrency:
            return
        for endpoint_id in self._places.with_room():
            self._pump(endpoint_id)

    # results and leases

    async def _writing(self, connection: Connection) -> None:
        while not (self._stopping and self._is_written()):
            await _wait(self._ended, _POLL_S)
            self._ended.clear()
            while self._results:
                await self._write(connection, self._results[:_MOST_IN_BOOK])
            if self._stopping and not self._tasks:
                return

    def _is_written(self) -> bool:
        return not self._tasks and not self._results

    async def _write(self, connection: Connection, results: Sequence[book.Result]) -> None:
        async with connection.transaction():
            ours = await book.write(connection, self._claim_id, results)
        # only now: what a failed transaction leaves is written again
        del self._results[: len(results)]
        for result in results:
            self._items.pop(result.delivery_id, None)
            self._places[result.endpoint_id].unwritten -= 1
        if not self._stopping:
            for endpoint_id in {result.endpoint_id for result in results}:
                self._pump(endpoint_id)
        if len(ours) < len(results):
            log.warning("webhook_attempts_of_another_worker", attempts=len(results) - len(ours))
        self._wake.set()

    async def _renewing(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping:
            await asyncio.sleep(self._lease_s / 3)
            if not self._items:
                continue
            until = loop.time() + self._lease_s
            rows = await connection.fetch(
                _sql["renew"], self._claim_id, list(self._items), timedelta(seconds=self._lease_s)
            )
            for (delivery_id,) in rows:
                item = self._items.get(delivery_id)
                if item is not None:
                    item.leased_until = until

    async def _give_back(self) -> None:
        """Return what was claimed and not begun, so that nobody waits for the lease to run out."""
        waiting = [item.delivery_id for item in self._places.waiting()]
        if not waiting:
            return
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(self._dsn, timeout=5, server_settings=_SETTINGS)
            try:
                await connection.fetch(_sql["give_back"], self._claim_id, waiting, timeout=5)
            finally:
                connection.terminate()


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
