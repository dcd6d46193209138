"""Who takes part in the cache: caches with a structure of their own, and those who know what a tenant uses most."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final, Protocol

import structlog

from mainstem.platform.cache.changes import ANY, Change
from mainstem.platform.cache.figures import Counts

Warmer = Callable[[int], Awaitable[int]]
"""Loads what a tenant uses most; returns the number of entries."""

WARMING: Final = ContextVar("mainstem.warming", default=False)
"""Set in what a warmer does: nobody asked for it, so no load of it is a miss."""
_log = structlog.get_logger(__name__)


class Member(Protocol):
    """A cache with a structure of its own, under the name of a region."""

    def counts(self) -> Counts:
        """Return its figures; `bytes` may be an estimate."""

    def forget(self, change: Change) -> int:
        """Drop what a change is about; return how many entries."""


class Members:
    """Members and warmers by region, for one event loop."""

    def __init__(self) -> None:
        """Begin without any."""
        self._members: dict[str, Member] = {}
        self._warmers: dict[str, Warmer] = {}
        self._warming: dict[int, asyncio.Task[dict[str, int]]] = {}

    def join(self, region: str, member: Member) -> None:
        """Let a cache take part."""
        self._members[region] = member

    def warm_by(self, region: str, warmer: Warmer) -> None:
        """Let `warm` call this, too."""
        self._warmers[region] = warmer

    def counts(self) -> dict[str, Counts]:
        """Return the figures of each member."""
        return {region: member.counts() for region, member in self._members.items()}

    def forget(self, change: Change) -> int:
        """Drop what a change is about; return how many entries."""
        concerned = (one for region, one in self._members.items() if change.region in {ANY, region})
        return sum(member.forget(change) for member in concerned)

    def warm(self, tenant_id: int) -> "asyncio.Task[dict[str, int]]":
        """Return the task that loads what a tenant uses most, by region; one at a time for each tenant."""
        task = self._warming.get(tenant_id)
        if task is None:
            task = self._warming[tenant_id] = asyncio.create_task(self._warm(tenant_id), name="cache warming")
            task.add_done_callback(lambda done: self._warmed(tenant_id, done))
        return task

    async def stop(self) -> None:
        """End what is under way."""
        tasks = list(self._warming.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _warm(self, tenant_id: int) -> dict[str, int]:
        WARMING.set(True)
        return {region: await warmer(tenant_id) for region, warmer in self._warmers.items()}

    def _warmed(self, tenant_id: int, task: "asyncio.Task[dict[str, int]]") -> None:
        del self._warming[tenant_id]
        # nobody waits for one that another process asked for
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("cache_not_warmed", tenant_id=tenant_id, error=type(error).__name__)
