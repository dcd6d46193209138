"""Rate limits, counted across processes: so many requests or events per subject and window.

A sliding window made of two fixed ones (the previous counts by the share that is still covered), kept in
`platform.rate_window`. Management calls use `take`, which is exact. The hot path uses leases: a process takes
a fiftieth of the limit at once and spends it without the database, so a subject may lose at most what other
processes hold unspent, and never gets more than the limit. While the database is away, each process counts
by itself: a limit must not stop events that can still be stored.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from mainstem.platform.db import Pool, borrow, is_transient, load_queries

LEASE_SHARE: Final = 50
_MOST_SUBJECTS: Final = 50_000
_TIMEOUT_S: Final = 2.0
_RETRY_S: Final = 1.0
_QUERIES: Final = load_queries("mainstem.platform")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether the cost was granted, and what is left; seconds are whole and rounded up."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int
    retry_after_s: int

    def headers(self) -> dict[str, str]:
        """Return the RateLimit-* headers, Reset in seconds from now (draft-ietf-httpapi-ratelimit-headers-06)."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }


class Window(NamedTuple):
    """The counters of one subject: the running fixed window, the one before it, and how far the running one is."""

    previous: int
    used: int
    elapsed_s: float


def room_in(window: Window, *, limit: int, window_s: int) -> int:
    """Return how much may still be spent now; negative when more was spent than the limit allows."""
    return math.floor(limit - window.used - window.previous * (1 - window.elapsed_s / window_s))


def allowance_of(window: Window, *, allowed: bool, cost: int, limit: int, window_s: int) -> Allowance:
    """Return what to tell the caller; `window` is as it stands after the cost was granted or refused.

    A cost above the limit never fits; its retry time is that of an empty window.
    """
    left_s = max(window_s - window.elapsed_s, 0.0)
    room = max(room_in(window, limit=limit, window_s=window_s), 0)
    if not allowed:
        # a refusal may have seen the counter before others raised it; less than the cost is left all the same
        room = min(room, cost - 1)
    retry_s = 0.0 if allowed else _wait_s(window, cost=min(cost, limit), limit=limit, window_s=window_s)
    return Allowance(
        allowed,
        limit,
        room,
        max(math.ceil(left_s), 1),
        0 if allowed else max(math.ceil(retry_s), 1),
    )


def _wait_s(window: Window, *, cost: int, limit: int, window_s: int) -> float:
    """Return the seconds until `cost` fits if nobody spends meanwhile."""
    room = limit - cost
    if window.used <= room:
        covered = (room - window.used) / window.previous if window.previous else 1.0
        return max(window_s * (1 - covered) - window.elapsed_s, 0.0)
    return window_s - window.elapsed_s + window_s * (1 - room / window.used)


@dataclass(slots=True)
class _Lease:
    left: int
    ends_at: float
    window: Window


class RateLimiter:
    """Counts for one process, on one event loop."""

    def __init__(self, pool: Pool, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep a pool of either role, and the clock (seconds) that leases and local counts go by."""
        self._pool = pool
        self._clock = clock
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        # a lock lives as long as somebody holds or awaits it
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._local: OrderedDict[str, tuple[int, Window]] = OrderedDict()
        self._away_until = 0.0

    async def take(self, subject: str, cost: int, *, limit: int, window_s: int) -> Allowance:
        """Spend `cost` (at least 1) for the subject if it fits; exact across processes, one round trip."""
        allowed, window = await self._spend(subject, cost, limit=limit, window_s=window_s)
        return allowance_of(window, allowed=allowed, cost=cost, limit=limit, window_s=window_s)

    def try_take_leased(self, subject: str, cost: int, *, limit: int, window_s: int) -> Allowance | None:
        """Spend from this process's lease without I/O; None when it has too little: call `take_leased`."""
        lease = self._leases.get(subject)
        if lease is None or lease.left < cost:
            return None
        now = self._clock()
        if now >= lease.ends_at:
            return None
        lease.left -= cost
        reset_s = max(math.ceil(lease.ends_at - now), 1)
        remaining = max(room_in(lease.window, limit=limit, window_s=window_s), 0) + lease.left
        return Allowance(allowed=True, limit=limit, remaining=remaining, reset_s=reset_s, retry_after_s=0)

    async def take_leased(self, subject: str, cost: int, *, limit: int, window_s: int) -> Allowance:
        """Spend from a lease, and take a new one of `max(cost, limit // 50)` when it is used up.

        A lease ends with its window. Near the limit only the cost itself is taken.
        """
        lock = self._locks.setdefault(subject, asyncio.Lock())
        # one at a time: requests that wait share the lease that the first one gets
        async with lock:
            allowance = self.try_take_leased(subject, cost, limit=limit, window_s=window_s)
            return allowance or await self._lease(subject, cost, limit=limit, window_s=window_s)

    async def _lease(self, subject: str, cost: int, *, limit: int, window_s: int) -> Allowance:
        size = max(cost, limit // LEASE_SHARE)
        allowed, window = await self._spend(subject, size, limit=limit, window_s=window_s)
        if not allowed and size > cost:
            size = cost
            allowed, window = await self._spend(subject, size, limit=limit, window_s=window_s)
        if allowed and size > cost:
            now = self._clock()
            old = self._leases.get(subject)
            unspent = old.left if old is not None and now < old.ends_at else 0
            lease = _Lease(size - cost + unspent, now + window_s - window.elapsed_s, window)
            _keep(self._leases, subject, lease)
        return allowance_of(window, allowed=allowed, cost=cost, limit=limit, window_s=window_s)

    async def _spend(self, subject: str, cost: int, *, limit: int, window_s: int) -> tuple[bool, Window]:
        if self._clock() >= self._away_until:
            try:
                return await self._spend_shared(subject, cost, limit=limit, window_s=window_s)
            except Exception as error:
                if not is_transient(error):
                    raise
                self._away_until = self._clock() + _RETRY_S
        return self._spend_local(subject, cost, limit=limit, window_s=window_s)

    async def _spend_shared(self, subject: str, cost: int, *, limit: int, window_s: int) -> tuple[bool, Window]:
        async with borrow(self._pool, timeout_s=_TIMEOUT_S) as connection:
            row = await connection.fetchrow(_QUERIES["spend"], subject, window_s, limit, cost, timeout=_TIMEOUT_S)
        if row is None:
            msg = "the query for rate limits always returns a row"
            raise RuntimeError(msg)
        used: int = row["spent"] or row["before"] or 0
        return row["spent"] is not None, Window(row["previous"], used, row["elapsed_s"])

    def _spend_local(self, subject: str, cost: int, *, limit: int, window_s: int) -> tuple[bool, Window]:
        number, elapsed_s = divmod(self._clock(), window_s)
        known_number, known = self._local.get(subject, (int(number), Window(0, 0, 0.0)))
        if known_number == number:
            window = Window(known.previous, known.used, elapsed_s)
        else:
            window = Window(known.used if known_number == number - 1 else 0, 0, elapsed_s)
        allowed = cost <= room_in(window, limit=limit, window_s=window_s)
        if allowed:
            window = window._replace(used=window.used + cost)
        _keep(self._local, subject, (int(number), window))
        return allowed, window


def _keep(entries: OrderedDict[str, T], key: str, value: T) -> None:
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > _MOST_SUBJECTS:
        entries.popitem(last=False)
