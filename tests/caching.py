"""Caches for tests, each as in a process of its own: with its own listener on the test's database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from mainstem.events.signals import Listener
from mainstem.platform.cache import CHANNEL, Cache
from mainstem.platform.db import Pool
from mainstem.platform.settings import Settings


@asynccontextmanager
async def running_cache(dsn: str, pool: Pool, **settings: object) -> AsyncIterator[Cache]:
    """Yield a cache that hears of changes."""
    cache = Cache(Settings(_env_file=None, **settings), pool, namespace="test")
    async with Listener(dsn, [CHANNEL], cache.heard) as listener:
        cache.follow(lambda: listener.session)

        async def ready() -> bool:
            return listener.session > 0 and (cache._shared is None or await cache._shared._ready(cache._session))

        await until(ready)
        yield cache
        await cache.stop()


class Source:
    """What a loader reads: a value, and how often it was asked for."""

    def __init__(self, value: object = "first") -> None:
        """Begin with a value."""
        self.value = value
        self.loads = 0

    async def load(self) -> object:
        """Return the value, as a loader."""
        self.loads += 1
        return self.value


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float = 10.0) -> None:
    """Return as soon as a condition holds. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - what others do sets no event here
            await asyncio.sleep(0.005)
