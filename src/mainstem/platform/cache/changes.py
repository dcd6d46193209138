"""What a cache may still use after a change: patterns of keys, snapshots of PostgreSQL, and changes heard of.

A value is as good as the snapshot it was loaded at. PostgreSQL says exactly which transactions a snapshot sees; a change
carries the id of its transaction. So whether a value is older than a change needs no clock, and no order in which processes
hear of things. Pure: no I/O, no clock.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

ANY: Final = "*"
MOST_CHANGES: Final = 5_000
"""Changes that a process keeps in mind; beyond that it forgets them, and with them what was loaded before."""

_ESCAPED: Final = str.maketrans({"%": "%25", ":": "%3A", "*": "%2A"})


def key(tenant_id: int, *parts: object) -> str:
    """Return the key of an entry of a tenant: `key(7, "webhook", 12, "config")` is `7:webhook:12:config`.

    What a colon or asterisk in a part could mean is escaped: no two lists of parts give the same key.
    """
    return ":".join((str(tenant_id), *(str(part).translate(_ESCAPED) for part in parts)))


def tenant_of(text: str) -> str | None:
    """Return the tenant part of a key or pattern; None for a pattern that may mean any tenant."""
    tenant = text.partition(":")[0]
    return None if ANY in tenant else tenant


@lru_cache(maxsize=1_024)
def _matcher(pattern: str) -> Callable[[str], object]:
    head, star, tail = pattern.partition(ANY)
    if not star:
        return pattern.__eq__
    if not tail:
        return lambda text: text.startswith(head)
    return re.compile(".*".join(re.escape(part) for part in pattern.split(ANY)), re.DOTALL).fullmatch


@dataclass(frozen=True, slots=True)
class Change:
    """Entries that are no longer true. `*` in the pattern stands for any text; the region may be `*`."""

    region: str
    pattern: str
    xid: int = 0
    """The transaction that changed them."""

    def touches(self, region: str, key: str) -> bool:
        """Tell whether an entry is meant. A pattern for any region may name it: `7:webhooks:*`."""
        matches = _matcher(self.pattern)
        if self.region != ANY:
            return self.region == region and bool(matches(key))
        tenant, _, rest = key.partition(":")
        return bool(matches(key) or matches(f"{tenant}:{region}:{rest}"))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions a query sees (PostgreSQL's pg_snapshot): those before `end` that were not running."""

    start: int
    end: int
    running: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the snapshot of PostgreSQL's text, `start:end:running,…`. Raises ValueError."""
        start, end, running = text.split(":")
        return cls(int(start), int(end), frozenset(int(xid) for xid in running.split(",") if xid))

    def sees(self, xid: int) -> bool:
        """Tell whether a committed transaction is seen."""
        return xid < self.end and xid not in self.running

    def covers(self, other: "Snapshot") -> bool:
        """Tell whether all that the other sees is seen here."""
        return other.end <= self.end and all(xid in other.running for xid in self.running if xid < other.end)


class Fence:
    """Decides whether a value that was loaded somewhere, some time ago, may be used in this process.

    `begin` says from where on every change is heard; all before that is seen by its snapshot. A value passes when its own
    snapshot covers that one and sees every change of its entry that was heard since.
    """

    def __init__(self, *, keep_s: float, most: int = MOST_CHANGES) -> None:
        """Keep for how long a value can live, and so for how long a change matters."""
        self._keep_s = keep_s
        self._most = most
        self._since: Snapshot | None = None
        self.ends = 0
        """How often it ended: a snapshot that was asked for before an end begins nothing."""
        self._order: deque[tuple[float, tuple[str, str]]] = deque()
        self._changes: dict[tuple[str, str], deque[Change]] = {}

    @property
    def begun(self) -> bool:
        """Tell whether anything can pass."""
        return self._since is not None

    def begin(self, since: Snapshot) -> None:
        """Let values pass from now on; the snapshot was taken while changes were being heard."""
        self._since = since

    def end(self) -> None:
        """Let nothing pass until the next `begin`: changes may have been missed."""
        self.ends += 1
        self._since = None
        self._order.clear()
        self._changes.clear()

    def heard(self, change: Change, now: float) -> None:
        """Keep a change in mind, at a time in seconds that only grows."""
        while self._order and now - self._order[0][0] > self._keep_s:
            self._forget_oldest()
        if len(self._order) >= self._most:
            # the next snapshot sees them all: dearer for the entries of before, and exact
            self.end()
        place = (change.region, tenant_of(change.pattern) or ANY)
        self._order.append((now, place))
        self._changes.setdefault(place, deque()).append(change)

    def admits(self, region: str, key: str, loaded_at: Snapshot) -> bool:
        """Tell whether a value of an entry, loaded at a snapshot, may be used."""
        if self._since is None or not loaded_at.covers(self._since):
            return False
        tenant = tenant_of(key) or ANY
        places = ((region, tenant), (region, ANY), (ANY, tenant), (ANY, ANY))
        return all(
            loaded_at.sees(change.xid) or not change.touches(region, key)
            for place in places
            for change in self._changes.get(place, ())
        )

    def _forget_oldest(self) -> None:
        _, place = self._order.popleft()
        changes = self._changes[place]
        changes.popleft()
        if not changes:
            del self._changes[place]
