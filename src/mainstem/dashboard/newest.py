"""The newest events, as loads bring them, for tenants that somebody watches.

Loads tell the ids of their batches to every process. Only while a client of a tenant wants events are they looked up: at
most RATE a second and tenant, the newest of what came; how many were left out is told beside the first. A batch that comes
while a tenant has had its share waits for the next, so none is forgotten.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from mainstem.dashboard import figures
from mainstem.dashboard.figures import Event, Owner
from mainstem.platform.db import Pool, transaction

RATE: Final = 50
"""Events a second and tenant that are shown one by one."""
_PAUSE_S: Final = 0.05
_MOST_BATCHES: Final = 20_000

Show = Callable[[int, Sequence[Event], int], None]
"""Called with a tenant, its newest events, oldest first, and how many others were loaded before them."""


class Allowance:
    """How many events may be shown now: RATE a second, as many at once. Pure but for the time it is told."""

    def __init__(self, now: float) -> None:
        """Begin with a second's worth."""
        self._left = float(RATE)
        self._at = now

    def available(self, now: float) -> int:
        """Return how many may be shown."""
        self._left = min(float(RATE), self._left + max(now - self._at, 0.0) * RATE)
        self._at = max(now, self._at)
        return int(self._left)

    def spend(self, events: int) -> None:
        """Count events that were shown; no more than are available."""
        self._left -= events


class _Watched:
    """What waits to be shown to one tenant."""

    def __init__(self, now: float) -> None:
        self.allowance = Allowance(now)
        self.batches: dict[int, int] = {}


class Newest:
    """Looks the events of loaded batches up and has them shown; for one event loop."""

    def __init__(
        self, *, pool: Callable[[], Pool], owner_pool: Callable[[], Pool], watched: Callable[[], list[int]], show: Show
    ) -> None:
        """Keep a pool under row-level security, one that sees whose batches are, which tenants are watched, and by whom."""
        self._pool = pool
        self._owner_pool = owner_pool
        self._tenants_watched = watched
        self._show = show
        self._heard: dict[int, None] = {}
        self._watched: dict[int, _Watched] = {}
        self._wake = asyncio.Event()

    def loaded(self, batch_ids: Sequence[int]) -> None:
        """Say which batches were loaded; free of cost while nobody watches."""
        if not self._tenants_watched():
            return
        self._heard.update(dict.fromkeys(batch_ids))
        while len(self._heard) > _MOST_BATCHES:
            del self._heard[next(iter(self._heard))]
        self._wake.set()

    async def run(self, guard: Callable[[Callable[[], Awaitable[None]]], Awaitable[bool]]) -> None:
        """Show events for ever; `guard` runs a step that asks the database and tells whether it went well."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await guard(self.step):
                # what was heard while the database is away is part of the state that comes after
                self._heard.clear()
                self._watched.clear()
            await asyncio.sleep(_PAUSE_S)
            if any(one.batches for one in self._watched.values()):
                self._wake.set()

    async def step(self) -> None:
        """Look up once what was heard, and show what may be shown. Raises what the database raises."""
        now = asyncio.get_running_loop().time()
        tenants = self._tenants_watched()
        self._watched = {one: self._watched.get(one) or _Watched(now) for one in tenants}
        await self._sort(tenants)
        for tenant_id, watched in self._watched.items():
            limit = watched.allowance.available(now)
            if not watched.batches or not limit:
                continue
            batches, watched.batches = watched.batches, {}
            async with transaction(self._pool(), tenant_id=tenant_id) as connection:
                events = await figures.newest_events(connection, tenant_id, list(batches), limit)
            if events:
                watched.allowance.spend(len(events))
                self._show(tenant_id, events, max(sum(batches.values()) - len(events), 0))

    async def _sort(self, tenants: Sequence[int]) -> None:
        heard, self._heard = self._heard, {}
        if not heard or not tenants:
            return
        async with transaction(self._owner_pool()) as connection:
            found: dict[int, list[Owner]] = defaultdict(list)
            for owner in await figures.owners(connection, list(heard), tenants):
                found[owner.tenant_id].append(owner)
        for tenant_id, owned in found.items():
            self._watched[tenant_id].batches.update({one.batch_id: one.loaded for one in owned})
