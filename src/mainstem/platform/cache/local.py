"""The first level of the cache: entries in the memory of a process, found by key and dropped by pattern.

The least recently used goes when there are too many; none lives longer than it was told to. One event loop, no I/O.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cachetools import TLRUCache

from mainstem.platform.cache.changes import ANY, Change, tenant_of

_ENTRY_BYTES: Final = 470
"""About what an entry costs beside its value and key: its places in the tables. Measured."""

Place = tuple[str, str]
"""Region and key."""


@dataclass(frozen=True, slots=True)
class _Entry:
    body: bytes
    session: int
    until: float


class _Entries(TLRUCache[Place, _Entry]):
    """As its parent, and tells of what it drops by itself."""

    def __init__(self, most: int, clock: Callable[[], float], on_gone: Callable[[Place, _Entry], None]) -> None:
        super().__init__(most, lambda _, entry, __: entry.until, clock)
        self._on_gone = on_gone

    def expire(self, time: float | None = None) -> list[tuple[Place, _Entry]]:
        gone = list(super().expire(time))
        for place, entry in gone:
            self._on_gone(place, entry)
        return gone

    def popitem(self) -> tuple[Place, _Entry]:
        place, entry = super().popitem()
        self._on_gone(place, entry)
        return place, entry


class Local:
    """Values as JSON, each with the session of the listener in which it was loaded."""

    def __init__(self, most: int, *, clock: Callable[[], float]) -> None:
        """Keep the greatest number of entries, and a clock in seconds that only grows."""
        self._entries = _Entries(most, clock, self._gone)
        # by region and tenant: patterns nearly always name both
        self._keys: dict[Place, set[str]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}

    def get(self, region: str, key: str, *, session: int) -> bytes | None:
        """Return a value that lives and was loaded in this session, or None."""
        try:
            entry = self._entries[region, key]
        except KeyError:
            return None
        return entry.body if entry.session == session else None

    def put(self, region: str, key: str, body: bytes, *, session: int, until: float) -> None:
        """Keep a value until a time of the clock; over already, it is not kept."""
        self._drop((region, key))
        self._entries[region, key] = entry = _Entry(body, session, until)
        if (region, key) in self._entries:
            self._keys.setdefault(_owner(region, key), set()).add(key)
            self._resize(region, 1, _bytes(key, entry))

    def forget(self, change: Change) -> int:
        """Drop the entries that a change is about; return how many there were."""
        gone = [
            (place[0], key)
            for place in self._owners(change)
            for key in self._keys[place]
            if change.touches(place[0], key)
        ]
        return sum(map(self._drop, gone))

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self._keys.clear()
        self._sizes.clear()

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Return, by region, the number of entries and about how many bytes they take."""
        self._entries.expire()
        return dict(self._sizes)

    def _drop(self, place: Place) -> bool:
        entry = self._entries.pop(place, None)
        if entry is None:
            return False
        self._gone(place, entry)
        return True

    def _gone(self, place: Place, entry: _Entry) -> None:
        region, key = place
        owner = _owner(region, key)
        keys = self._keys[owner]
        keys.remove(key)
        if not keys:
            del self._keys[owner]
        self._resize(region, -1, -_bytes(key, entry))

    def _resize(self, region: str, entries: int, size: int) -> None:
        known = self._sizes.get(region, (0, 0))
        self._sizes[region] = (known[0] + entries, known[1] + size)

    def _owners(self, change: Change) -> list[Place]:
        tenant = tenant_of(change.pattern)
        if tenant is not None and change.region != ANY:
            return [(change.region, tenant)] if (change.region, tenant) in self._keys else []
        return [
            place for place in self._keys if change.region in {ANY, place[0]} and (tenant is None or tenant == place[1])
        ]


def _owner(region: str, key: str) -> Place:
    return region, tenant_of(key) or ANY


def _bytes(key: str, entry: _Entry) -> int:
    return len(entry.body) + len(key) + _ENTRY_BYTES
