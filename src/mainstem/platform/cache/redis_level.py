"""A Redis that may be gone, slow, full or empty at any moment: no call takes long, none fails for want of it.

After a failure nobody asks for a second; then one call tries while the others still go without.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, RedisError

CALL_S: Final = 0.25
"""Longest time of a call, connecting included."""
PAUSE_S: Final = 1.0
"""How long nobody asks after a failure."""
_CALLS: Final = 16
_FAREWELL_S: Final = 1.0

_Execute = Callable[..., Awaitable[Any]]
_log = structlog.get_logger(__name__)


class AwayError(Exception):
    """Redis is full or did not answer, or was not asked because it did not a moment ago."""


class RedisLevel:
    """Bytes by name in a Redis; every method raises AwayError when it is away."""

    def __init__(self, url: str) -> None:
        """Keep where it is (redis://, rediss:// or unix://); nothing connects before the first call."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CALLS,
            timeout=None,
            socket_timeout=CALL_S,
            socket_connect_timeout=CALL_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        # an option of the address that there is not fails here, at the start
        make: Callable[[], object] = pool.make_connection
        make()
        self._client = Redis.from_pool(pool)
        self._execute: _Execute = self._client.execute_command
        # waiting for a free connection says nothing about Redis, so it stands outside the time of a call
        self._room = asyncio.Semaphore(_CALLS)
        self._ask_from = 0.0
        self.failures = 0
        """Calls that failed."""
        self.available = True
        """How the last call went."""

    async def get(self, name: str) -> bytes | None:
        """Return the bytes of a name, or None."""
        found: bytes | None = await self._call("GET", name)
        return found

    async def put(self, name: str, data: bytes, *, ttl_s: float) -> None:
        """Keep bytes for some seconds."""
        await self._call("SET", name, data, "PX", max(int(ttl_s * 1000), 1))

    async def claim(self, name: str, *, ttl_s: float) -> bool:
        """Take a name that nobody has, for some seconds; tell whether that was so."""
        return await self._call("SET", name, b"1", "NX", "PX", int(ttl_s * 1000)) is not None

    async def release(self, name: str) -> None:
        """Give a name back."""
        await self._call("DEL", name)

    async def figures(self) -> tuple[int, int]:
        """Return the entries of its database, whosever they are, and the bytes that the server uses."""
        entries = await self._call("DBSIZE")
        memory = await self._call("INFO", "memory")
        return int(entries), int(memory["used_memory"])

    async def close(self) -> None:
        """Close the connections."""
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._client.aclose()
        except (RedisError, OSError, TimeoutError) as error:
            _log.debug("redis_close_failed", error=str(error))

    async def _call(self, *command: Any) -> Any:  # noqa: ANN401 - what Redis answers
        async with self._room:
            self._check()
            try:
                async with asyncio.timeout(CALL_S):
                    answer = await self._execute(*command)
            except OutOfMemoryError as error:
                # it is full: what it holds can still be read
                self.failures += 1
                raise AwayError from error
            except (RedisError, OSError, TimeoutError) as error:
                self._failed(error)
                raise AwayError from error
            if not self.available:
                self.available = True
                _log.info("redis_back")
            return answer

    def _check(self) -> None:
        if not self.available:
            now = asyncio.get_running_loop().time()
            if now < self._ask_from:
                raise AwayError
            # this call tries, the others go on without
            self._ask_from = now + PAUSE_S

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._ask_from = asyncio.get_running_loop().time() + PAUSE_S
        if self.available:
            self.available = False
            _log.warning("redis_away", error=type(error).__name__, retry_s=PAUSE_S)
