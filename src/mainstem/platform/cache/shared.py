"""The second level of the cache: values that processes share through Redis, and one of them loading each.

Redis is not told of changes, so it may be gone or asleep when one happens. A value in it names the snapshot at which it was
loaded, and a reader uses it only when that sees every change the reader knows of (`changes.Fence`). Ages are told by
PostgreSQL's clock, which all processes share.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import msgspec
import structlog

import mainstem
from mainstem.platform.cache.changes import Change, Fence, Snapshot
from mainstem.platform.cache.figures import Counts
from mainstem.platform.cache.redis_level import AwayError, RedisLevel
from mainstem.platform.db import Pool, borrow, is_transient, load_queries

VERSION: Final = "1"
"""Of the form in Redis. Processes of another one, or of another release, don't read it."""
CLAIM_S: Final = 5.0
"""How long a load keeps others from loading the same, should its process die."""
WAIT_S: Final = 0.4
"""How long a process waits for what another one is loading."""
LARGEST: Final = 1_048_576
"""Bytes of the largest value that is kept anywhere."""
_SLACK_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.02
_LONGEST_NAME: Final = 200
_QUERY_S: Final = 1.0
_sql: Final = load_queries("mainstem.platform.cache")
_log = structlog.get_logger(__name__)


class _Kept(msgspec.Struct, array_like=True):
    snapshot: str
    at: float
    value: msgspec.Raw


_read: Final = msgspec.json.Decoder(_Kept)


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in the history of a database."""

    snapshot: str
    at: float
    """Seconds since the epoch by PostgreSQL's clock."""
    server: str
    asked_at: float
    """By the clock of this process, not later than `at`."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value, where it is from and how old it may be."""

    body: bytes
    age_s: float
    loaded: bool


class Shared:
    """Values in Redis, for one process and one event loop; without Redis everything is loaded."""

    def __init__(self, redis: RedisLevel, pool: Pool, *, namespace: str, ttl_s: float) -> None:
        """Keep the parts; no value lives longer than `ttl_s`."""
        self.redis = redis
        self._pool = pool
        self._namespace = namespace
        self._fence = Fence(keep_s=ttl_s + _SLACK_S)
        self._begun_in = 0
        self._beginning: asyncio.Task[bool] | None = None
        self._moment: Moment | None = None
        self.hits = 0
        self.misses = 0

    async def stop(self) -> None:
        """End what is asked, close Redis."""
        task = self._beginning
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self.redis.close()

    async def counts(self) -> Counts:
        """Return the figures of this process; size and bytes are those of all that the Redis holds, 0 when it is away."""
        try:
            size, used = await self.redis.figures()
        except AwayError:
            size = used = 0
        return Counts(self.hits, self.misses, size, used)

    def heard(self, change: Change) -> None:
        """Take note of a change."""
        self._fence.heard(change, asyncio.get_running_loop().time())

    def lost(self, session: Callable[[], int]) -> None:
        """Trust nothing that was loaded before: changes may have been missed. Begin anew at once when a listener is there."""
        self._fence.end()
        if session():
            self._begin_soon(session)

    async def get(
        self,
        region: str,
        key: str,
        *,
        ttl_s: float,
        session: Callable[[], int],
        load: Callable[[], Awaitable[bytes]],
    ) -> Found:
        """Return a value that another process loaded, else load it here; one process at a time loads it.

        `session` tells of the listener for changes: the number of its connection, 0 while it has none.
        """
        if not await self._ready(session):
            return Found(await load(), 0.0, loaded=True)
        name = self._name(region, key)
        try:
            found, claimed = await self._find_or_claim(name, region, key, ttl_s)
        except AwayError:
            return Found(await load(), 0.0, loaded=True)
        if found is not None:
            self.hits += 1
            return found
        self.misses += 1
        return await self._load(name, ttl_s, load, claimed=claimed)

    async def _ready(self, session: Callable[[], int]) -> bool:
        """Tell whether values can be judged: a listener hears of changes, and what was before is known."""
        if self._begun_in == session() and self._fence.begun:
            return True
        return bool(session()) and await asyncio.shield(self._begin_soon(session))

    def _begin_soon(self, session: Callable[[], int]) -> "asyncio.Task[bool]":
        if self._beginning is None:
            self._beginning = asyncio.create_task(self._begin(session), name="cache moment")
            self._beginning.add_done_callback(self._has_begun)
        return self._beginning

    async def _begin(self, session: Callable[[], int]) -> bool:
        current, ends = session(), self._fence.ends
        # changes are heard while this snapshot is taken: it and they are all there is to know
        moment = await self._ask_moment()
        if moment is None or not current or session() != current or self._fence.ends != ends:
            return False
        self._fence.begin(Snapshot.parse(moment.snapshot))
        self._begun_in = current
        return True

    def _has_begun(self, task: "asyncio.Task[bool]") -> None:
        self._beginning = None
        if not task.cancelled():
            # read here, for all who waited may have gone
            task.exception()

    async def _find_or_claim(self, name: str, region: str, key: str, ttl_s: float) -> tuple[Found | None, bool]:
        """Return a value; or none, and whether the load of it was claimed. Waits a little for one that is being loaded."""
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT_S
        while True:
            found = await self._find(name, region, key, ttl_s)
            if found is not None:
                return found, False
            if await self.redis.claim(f"{name}:claim", ttl_s=CLAIM_S):
                return None, True
            if loop.time() >= until:
                return None, False
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _find(self, name: str, region: str, key: str, ttl_s: float) -> Found | None:
        data = await self.redis.get(name)
        if data is None or self._moment is None:
            return None
        try:
            kept = _read.decode(data)
            loaded_at = Snapshot.parse(kept.snapshot)
        except (msgspec.DecodeError, ValueError):
            return None
        # counted from before the question to after the answer, so never too young
        now = self._moment.at + asyncio.get_running_loop().time() - self._moment.asked_at
        age_s = now - kept.at
        # younger than now: the clock was set since it was last read; the next load reads it again
        if not -_SLACK_S < age_s < ttl_s or not self._fence.admits(region, key, loaded_at):
            return None
        return Found(bytes(kept.value), max(age_s, 0.0), loaded=False)

    async def _load(self, name: str, ttl_s: float, load: Callable[[], Awaitable[bytes]], *, claimed: bool) -> Found:
        moment = await self._ask_moment()
        try:
            body = await load()
            if moment is not None and len(body) <= LARGEST:
                kept = msgspec.json.encode(_Kept(moment.snapshot, moment.at, msgspec.Raw(body)))
                with suppress(AwayError):
                    await self.redis.put(name, kept, ttl_s=ttl_s)
        finally:
            if claimed:
                with suppress(AwayError):
                    await self.redis.release(f"{name}:claim")
        return Found(body, 0.0, loaded=True)

    def _name(self, region: str, key: str) -> str:
        """Return the name of an entry in Redis: of this installation, this database and since its last start."""
        server = "" if self._moment is None else self._moment.server
        if len(key) > _LONGEST_NAME:
            key = blake2b(key.encode(), digest_size=20).hexdigest()
        return f"mainstem:cache:{VERSION}:{mainstem.__version__}:{self._namespace}:{server}:{region}:{key}"

    async def _ask_moment(self) -> Moment | None:
        asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_QUERY_S), borrow(self._pool, timeout_s=_QUERY_S) as connection:
                row = await connection.fetchrow(_sql["moment"])
        except Exception as error:
            if not is_transient(error):
                raise
            _log.debug("cache_moment_unknown", error=type(error).__name__)
            return None
        if row is None:
            return None
        moment = Moment(row["snapshot"], row["at"], row["server"], asked_at)
        if self._moment is not None and self._moment.server != moment.server:
            self._fence.end()
        self._moment = moment
        return moment
