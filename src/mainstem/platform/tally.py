"""What this process counts for its minutes: plain integers, told on the hot path, taken every few seconds.

Nothing here waits, looks at a clock or knows the database; `mainstem.platform.minute_writer` takes the counts and keeps them. For
one process and one event loop.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

BOUNDS_MS: Final = (1, 2.5, 5, 10, 25, 50, 100, 150, 200, 300, 400, 500, 750, 1_000, 2_500, 5_000, 10_000, 30_000)
"""Upper bounds of the latency buckets, in milliseconds; one more bucket holds what took longer."""
BUCKETS: Final = len(BOUNDS_MS) + 1
_BOUNDS_S: Final = tuple(bound / 1_000 for bound in BOUNDS_MS)
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500


class Requests:
    """Requests of one kind: by outcome, and by latency."""

    __slots__ = ("errors_4xx", "errors_5xx", "ms_counts", "seconds")

    def __init__(self) -> None:
        """Count from nothing."""
        self.ms_counts = [0] * BUCKETS
        self.seconds = 0.0
        self.errors_4xx = 0
        self.errors_5xx = 0

    def count(self, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.ms_counts[bisect_left(_BOUNDS_S, seconds)] += 1
        self.seconds += seconds
        if status >= _CLIENT_ERROR:
            if status >= _SERVER_ERROR:
                self.errors_5xx += 1
            else:
                self.errors_4xx += 1


@dataclass(slots=True)
class Counts:
    """What was counted since the last time that it was taken."""

    requests: dict[str, Requests] = field(default_factory=dict)
    """By kind: `api` or `ingest`."""
    cache_hits: int = 0
    cache_misses: int = 0
    ws_disconnects: int = 0
    spooled: int = 0
    """Most events that waited in the spool."""


class Tally:
    """The counts of a process."""

    def __init__(self) -> None:
        """Count from nothing."""
        self.api = Requests()
        """Requests that FastAPI answered, health checks and `/metrics` left out."""
        self.ingest = Requests()
        """Requests with events or clicks, answered by the hot path."""
        self.cache_hits = 0
        self.cache_misses = 0
        self.ws_disconnects = 0
        self._spooled = 0
        self._most_spooled = 0

    def spool_depth(self, events: int) -> None:
        """Set how many events wait in the spool."""
        self._spooled = events
        self._most_spooled = max(self._most_spooled, events)

    def take(self) -> Counts:
        """Return what was counted since the last call, and count from nothing; what waits in the spool goes on to."""
        taken = Counts(
            {"api": _taken(self.api), "ingest": _taken(self.ingest)},
            self.cache_hits,
            self.cache_misses,
            self.ws_disconnects,
            self._most_spooled,
        )
        self.cache_hits = self.cache_misses = self.ws_disconnects = 0
        self._most_spooled = self._spooled
        return taken


def _taken(requests: Requests) -> Requests:
    """Return the counts; the object itself stays where it is, because callers hold on to it."""
    taken = Requests()
    taken.ms_counts, requests.ms_counts = requests.ms_counts, taken.ms_counts
    taken.seconds, requests.seconds = requests.seconds, 0.0
    taken.errors_4xx, requests.errors_4xx = requests.errors_4xx, 0
    taken.errors_5xx, requests.errors_5xx = requests.errors_5xx, 0
    return taken


TALLY: Final = Tally()
"""The counts of this process."""
