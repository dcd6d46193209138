"""Deliveries that nothing is done about, kept within bounds: whoever holds no key must neither fill the disk nor keep good ones waiting.

Refused ones and repetitions are stored without their bodies, the newest `kept_most` of each connector, a tenth more at times. Few are stored
at once; what comes faster than they can be is answered and counted, and not stored.
"""

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from mainstem.connectors import deliveries
from mainstem.connectors.connector import Signature
from mainstem.connectors.deliveries import Delivery, Done
from mainstem.connectors.flow import Flow
from mainstem.platform import metrics
from mainstem.platform.db import transaction

_AT_ONCE: Final = 2
_WAITING: Final = 16
_MOST_NAMES: Final = 32
_LONGEST_NAME: Final = 60
log = structlog.get_logger(__name__)


class Refusals:
    """Keeps what one connector refuses; one in each process."""

    def __init__(self, flow: Flow) -> None:
        """Keep whose."""
        self._flow = flow
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._untrimmed = 0

    async def keep(self, given: Delivery, signature: Signature, done: Done) -> int | None:
        """Store a refused delivery; return its id, None when there are too many at once. Raises what the database raises."""
        if self._waiting >= _WAITING:
            metrics.connector_refused(signature.value, kept=False)
            return None
        # names of headers are the sender's choice
        names = [name[:_LONGEST_NAME] for name in given.header_names][:_MOST_NAMES]
        self._waiting += 1
        try:
            async with self._places, transaction(self._flow.pool, tenant_id=self._flow.tenant_id) as connection:
                delivery_id = await deliveries.store_done(
                    connection, replace(given, header_names=names), signature, done
                )
        finally:
            self._waiting -= 1
        metrics.connector_refused(signature.value, kept=True)
        await self.added()
        return delivery_id

    async def added(self) -> None:
        """Note that there is one more of those that are bounded; drop the oldest now and then."""
        most = self._flow.connector.kept_most
        self._untrimmed += 1
        if self._untrimmed < max(1, most // 10):
            return
        self._untrimmed = 0
        async with transaction(self._flow.pool, tenant_id=self._flow.tenant_id) as connection:
            dropped = await deliveries.trim(connection, self._flow.tenant_id, self._flow.connector.name, most)
        if dropped:
            metrics.connector_dropped(dropped)
            log.info("connector_deliveries_dropped", connector=self._flow.connector.name, deliveries=dropped)
