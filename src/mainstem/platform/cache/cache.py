"""The cache of a process: what is asked for, what is being loaded, and what changes make of both."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, overload
from uuid import uuid4

import msgspec
import structlog

from mainstem.platform import metrics
from mainstem.platform.cache.changes import ANY, Change, tenant_of
from mainstem.platform.cache.figures import Counts, Figures
from mainstem.platform.cache.flights import Flight, Flights
from mainstem.platform.cache.local import Local, Place
from mainstem.platform.cache.members import WARMING, Members
from mainstem.platform.cache.redis_level import RedisLevel
from mainstem.platform.cache.shared import LARGEST, Found, Shared
from mainstem.platform.cache.values import decoded, encoded
from mainstem.platform.db import Connection, Pool, borrow, load_queries
from mainstem.platform.settings import Settings

CHANNEL: Final = "mainstem_cache"
DOUBT_S: Final = 5.0
"""Longest time that the commit of an own change is waited for: one that was rolled back is never heard of."""
_MOST_APPLIED: Final = 1_000
_LONGEST_PATTERN: Final = 1_000
_sql: Final = load_queries("mainstem.platform.cache")
_log = structlog.get_logger(__name__)

T = TypeVar("T")
Loader = Callable[[], Awaitable[object]]


async def invalidate_in(connection: Connection, region: str, pattern: str) -> Change:
    """Drop entries in every process once the connection's transaction commits; nobody waits for it.

    `*` in the pattern (`7:webhook:12:*`) stands for any text; the region may be `*`. Raises ValueError for an over-long pattern.
    """
    if len(pattern) > _LONGEST_PATTERN or "\0" in pattern:
        msg = f"a pattern has at most {_LONGEST_PATTERN} characters and no NUL"
        raise ValueError(msg)
    xid = await connection.fetchval(_sql["tell"], region, pattern)
    return Change(region, pattern, int(xid))


class _Changed(msgspec.Struct, tag="changed"):
    xid: str
    region: str
    pattern: str


class _Warm(msgspec.Struct, tag="warm"):
    tenant_id: int
    by: str


_read_message: Final = msgspec.json.Decoder(_Changed | _Warm)


@dataclass(slots=True)
class _Tally:
    local: int = 0
    shared: int = 0
    loaded: int = 0


class Cache:
    """Values by region and key, for one event loop; what it promises is said by the package."""

    def __init__(
        self, settings: Settings, pool: Pool, *, namespace: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep the parts; nothing is kept before `follow`. Only processes of one namespace meet in Redis."""
        self._pool = pool
        self._enabled = settings.cache_enabled
        self._ttl_s = float(settings.cache_ttl_seconds)
        self._max_size = settings.cache_max_size
        self._clock = clock
        self._local = Local(settings.cache_max_size, clock=clock)
        self._session: Callable[[], int] = lambda: 0
        self._shared: Shared | None = None
        if settings.redis_url is not None and self._enabled:
            redis = RedisLevel(settings.redis_url.get_secret_value())
            self._shared = Shared(redis, pool, namespace=namespace, ttl_s=self._ttl_s)
        self.members = Members()
        """Caches with a structure of their own, and who warms what."""
        self._id = uuid4().hex
        self._flights = Flights()
        self._doubts: dict[Change, float] = {}
        self._applied: dict[Change, int] = {}
        self._tallies: defaultdict[str, _Tally] = defaultdict(_Tally)

    def follow(self, session: Callable[[], int]) -> None:
        """Begin to keep values; `session` numbers the connection that listens on CHANNEL for `heard`, 0 for none."""
        self._session = session

    async def stop(self) -> None:
        """End what is under way and close Redis; who waits gets CancelledError."""
        await self._flights.stop()
        await self.members.stop()
        if self._shared is not None:
            await self._shared.stop()

    @overload
    async def get(self, region: str, key: str, loader: Loader, ttl_s: float | None = None, *, into: type[T]) -> T: ...

    @overload
    async def get(self, region: str, key: str, loader: Loader, ttl_s: float | None = None) -> Any: ...  # noqa: ANN401

    async def get(
        self,
        region: str,
        key: str,
        loader: Loader,
        ttl_s: float | None = None,
        *,
        into: Any = Any,
    ) -> Any:
        """Return the value of a key (`key` makes one), loaded when it is not there; what the loader raises is raised.

        The value is what JSON makes of the loader's, a new one each time; `into` is a type that msgspec decodes. `ttl_s`
        may shorten the life of the entry, never prolong it.
        """
        body = await self._json(region, key, loader, self._ttl_s if ttl_s is None else min(ttl_s, self._ttl_s))
        try:
            return decoded(body, into)
        except msgspec.DecodeError:
            # a Redis that others write to may hold anything; what the loader makes must fit
            return decoded(encoded(await loader()), into)

    async def invalidate(self, region: str, pattern: str = ANY) -> int:
        """Drop entries in every process; return how many there were in this one. Raises what the database raises."""
        async with borrow(self._pool) as connection:
            change = await invalidate_in(connection, region, pattern)
        return self._apply(change)

    async def invalidate_in(self, connection: Connection, region: str, pattern: str) -> None:
        """As the function; and from now until the commit is heard of, this process loads such entries anew."""
        change = await invalidate_in(connection, region, pattern)
        self._doubts[change] = self._clock() + DOUBT_S

    async def warm(self, tenant_id: int) -> dict[str, int]:
        """Load what a tenant uses most, in every process; return the entries by region in this one."""
        async with borrow(self._pool) as connection:
            await connection.execute(_sql["ask_to_warm"], tenant_id, self._id)
        return await asyncio.shield(self.members.warm(tenant_id))

    def heard(self, channel: str | None, payload: str) -> None:
        """Take what the listener hears; channel None says that it begins, and may have missed something."""
        if channel is None:
            self._lost()
            return
        try:
            message = _read_message.decode(payload)
            change = (
                Change(message.region, message.pattern, int(message.xid)) if isinstance(message, _Changed) else None
            )
        except (msgspec.DecodeError, ValueError):
            _log.warning("cache_message_unreadable", length=len(payload))
            self._lost()
            return
        if change is not None:
            self._apply(change)
        elif message.by != self._id:
            self.members.warm(message.tenant_id)

    def counters(self) -> tuple[int, int]:
        """Return all hits and misses of this process since its start."""
        found = self._counts().values()
        return sum(one.hits for one in found), sum(one.misses for one in found)

    async def figures(self) -> Figures:
        """Return the figures of this process; asks Redis for its size."""
        sizes = self._local.sizes()
        tallies = self._tallies.values()
        asked = sum(one.shared + one.loaded for one in tallies)
        entries = sum(entries for entries, _ in sizes.values())
        return Figures(
            enabled=self._enabled,
            ttl_s=self._ttl_s,
            max_size=self._max_size,
            regions=self._counts(),
            local=Counts(sum(one.local for one in tallies), asked, entries, sum(size for _, size in sizes.values())),
            shared=None if self._shared is None else await self._shared.counts(),
            shared_available=self._shared is not None and self._shared.redis.available,
            shared_failures=0 if self._shared is None else self._shared.redis.failures,
        )

    def _counts(self) -> dict[str, Counts]:
        sizes = self._local.sizes()
        own = {
            region: Counts(one.local + one.shared, one.loaded, *sizes.get(region, (0, 0)))
            for region, one in self._tallies.items()
        }
        # a region may have both: entries here, and a member of its name
        return own | {region: one + own.get(region, Counts()) for region, one in self.members.counts().items()}

    async def _json(self, region: str, key: str, loader: Loader, ttl_s: float) -> bytes:
        if not key[:1].isdigit() or tenant_of(key) == key:
            msg = f"a key begins with the id of a tenant: {key!r}"
            raise ValueError(msg)
        tally = self._tallies[region]
        if not self._enabled or (self._doubts and self._doubted(region, key)):
            return await self._loaded(tally, loader)
        session = self._session()
        body = self._local.get(region, key, session=session) if session else None
        if body is not None:
            tally.local += 1
            metrics.cache_asked("local")
            return body
        flight = self._flights.current((region, key), session)
        if flight is not None:
            tally.local += 1
            metrics.cache_asked("local")
        else:
            load = partial(self._loaded, tally, loader)
            flight = self._flights.begin((region, key), session, partial(self._fly, (region, key), load, ttl_s))
        # one who goes must not end the load of the others
        return await asyncio.shield(flight.task)

    async def _fly(self, place: Place, load: Callable[[], Awaitable[bytes]], ttl_s: float, flight: Flight) -> bytes:
        began = self._clock()
        if self._shared is None or not flight.session:
            found = Found(await load(), 0.0, loaded=True)
        else:
            found = await self._shared.get(*place, ttl_s=ttl_s, session=self._session, load=load)
        if not found.loaded:
            self._tallies[place[0]].shared += 1
            metrics.cache_asked("shared")
        if flight.session and not flight.outdated and len(found.body) <= LARGEST:
            self._local.put(*place, found.body, session=flight.session, until=began + ttl_s - found.age_s)
        return found.body

    async def _loaded(self, tally: _Tally, loader: Loader) -> bytes:
        if not WARMING.get():
            tally.loaded += 1
            metrics.cache_asked("loaded")
        return encoded(await loader())

    def _apply(self, change: Change) -> int:
        """Drop what a change is about, once: an own one is heard of, too."""
        self._doubts.pop(change, None)
        if change in self._applied:
            return self._applied[change]
        if self._shared is not None:
            self._shared.heard(change)
        self._flights.outdate(change)
        gone = self._local.forget(change) + self.members.forget(change)
        self._applied[change] = gone
        if len(self._applied) > _MOST_APPLIED:
            del self._applied[next(iter(self._applied))]
        return gone

    def _lost(self) -> None:
        self._flights.outdate(None)
        self._local.clear()
        if self._shared is not None:
            self._shared.lost(self._session)

    def _doubted(self, region: str, key: str) -> bool:
        now = self._clock()
        for change in [change for change, until in self._doubts.items() if until < now]:
            del self._doubts[change]
        return any(change.touches(region, key) for change in self._doubts)
