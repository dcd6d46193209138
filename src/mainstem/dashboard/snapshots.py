"""What a client is shown first: the state of a topic, read once for all who ask for it at the same time.

Who asks gets a state that was read after asking began, so that together with the messages since then nothing is missing:
a read that is already under way doesn't count, the next one does, and everybody who has come meanwhile shares that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from mainstem.dashboard.messages import Topic
from mainstem.platform.db import Connection, Pool, transaction

Reader = Callable[[Connection, int], Awaitable[Any]]
"""Returns the state of a tenant's topic; anything msgspec writes."""


class Snapshots:
    """Reads the states of topics; for one event loop."""

    def __init__(self, pool: Callable[[], Pool], readers: Mapping[Topic, Reader]) -> None:
        """Keep a pool under row-level security, and what reads each topic; a topic without a reader has no state."""
        self._pool = pool
        self._readers = readers
        self._reading: dict[tuple[int, Topic], asyncio.Task[msgspec.Raw]] = {}
        self._next: dict[tuple[int, Topic], asyncio.Task[msgspec.Raw]] = {}

    async def of(self, tenant_id: int, topic: Topic) -> msgspec.Raw:
        """Return the JSON of a state. Raises what the database raises."""
        key = (tenant_id, topic)
        task = self._next.get(key)
        if task is None:
            task = asyncio.create_task(self._read(key, self._reading.get(key)), name=f"snapshot of {topic}")
            self._next[key] = task
            task.add_done_callback(lambda done: self._done(key, done))
        # one client that leaves must not take it from the others
        return await asyncio.shield(task)

    async def stop(self) -> None:
        """End all reads."""
        tasks = [*self._reading.values(), *self._next.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, key: tuple[int, Topic], before: "asyncio.Task[msgspec.Raw] | None") -> msgspec.Raw:
        if before is not None:
            await asyncio.wait([before])
        # from here on it is too late to share this one
        self._reading[key] = self._next.pop(key)
        tenant_id, topic = key
        reader = self._readers.get(topic)
        if reader is None:
            return msgspec.Raw(b"null")
        async with transaction(self._pool(), tenant_id=tenant_id) as connection:
            return msgspec.Raw(msgspec.json.encode(await reader(connection, tenant_id)))

    def _done(self, key: tuple[int, Topic], task: "asyncio.Task[msgspec.Raw]") -> None:
        for tasks in (self._reading, self._next):
            if tasks.get(key) is task:
                del tasks[key]
        # looked at here, because everybody who waited may be gone
        if not task.cancelled():
            task.exception()
