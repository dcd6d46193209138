"""Minutes of the whole installation, as readers see them: figures of a window, from one small query.

Every process adds its part to `platform.minute` (`mainstem.platform.minute_writer`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from mainstem.platform.db import Connection, load_queries
from mainstem.platform.tally import BOUNDS_MS

KEPT: Final = timedelta(days=30)
_sql: Final = load_queries("mainstem.platform", "minutes.sql")


@dataclass(frozen=True, slots=True)
class Figures:
    """A window of all processes. Requests are those of the API and with events; redirects and health checks are none."""

    minutes: int
    """Minutes of the window that any process has told of; 0: nothing is known, which is not the same as no traffic."""
    requests: int
    errors_4xx: int
    errors_5xx: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    avg_ms: float
    """0.0, as the percentiles, where there was no request."""
    cache_hits: int
    cache_misses: int
    pool_in_use_max: int
    """Connections in use of the busiest pool, the mean of its ten busiest seconds."""
    pool_max: int
    """Most connections that this pool may have."""
    spooled: int
    """Most events that waited in the spool of a process."""
    ws_disconnects: int

    @property
    def error_rate_percent(self) -> float:
        """Answers with a status of 500 and above, in percent of all; 0.0 where there was none."""
        return 100 * self.errors_5xx / self.requests if self.requests else 0.0

    @property
    def cache_hit_rate_percent(self) -> float:
        """Look-ups that the cache answered, in percent of all; 0.0 where there was none."""
        asked = self.cache_hits + self.cache_misses
        return 100 * self.cache_hits / asked if asked else 0.0

    @property
    def pool_use_percent(self) -> float:
        """Connections in use of the busiest pool, in percent of its most."""
        return 100 * self.pool_in_use_max / self.pool_max if self.pool_max else 0.0


async def window(connection: Connection, since: datetime, until: datetime) -> Figures:
    """Return the figures of the minutes that begin at `since` (rounded down to the minute) or later, and before `until`.

    The last ten seconds may be missing: processes add up that often.
    """
    row = await connection.fetchrow(_sql["window"], since.replace(second=0, microsecond=0), until)
    if row is None:
        msg = "an aggregate returns a row"
        raise RuntimeError(msg)
    counts = row["ms_counts"]
    ((in_use, most),) = row["pool"]
    return Figures(
        minutes=row["minutes"],
        requests=row["requests"],
        errors_4xx=row["errors_4xx"],
        errors_5xx=row["errors_5xx"],
        p50_ms=percentile(counts, 0.50),
        p95_ms=percentile(counts, 0.95),
        p99_ms=percentile(counts, 0.99),
        avg_ms=row["ms_sum"] / row["requests"] if row["requests"] else 0.0,
        cache_hits=row["cache_hits"],
        cache_misses=row["cache_misses"],
        pool_in_use_max=in_use,
        pool_max=most,
        spooled=row["spooled"],
        ws_disconnects=row["ws_disconnects"],
    )


def percentile(counts: Sequence[int], share: float) -> float:
    """Return the latency (ms) below which `share` (0 to 1) of the requests lie, by the buckets of BOUNDS_MS.

    Within a bucket they count as evenly spread; beyond the last bound the answer is that bound. 0.0 without requests.
    """
    total = sum(counts)
    wanted = share * total
    seen = 0
    for (low, high), count in zip(pairwise((0, *BOUNDS_MS)), counts, strict=False):
        if count and seen + count >= wanted:
            return low + (high - low) * max(wanted - seen, 0) / count
        seen += count
    return float(BOUNDS_MS[-1]) if total else 0.0


async def prune(connection: Connection, now: datetime) -> int:
    """Delete minutes older than KEPT; return how many rows."""
    status: str = await connection.execute(_sql["prune"], now - KEPT)
    return int(status.rpartition(" ")[2])
