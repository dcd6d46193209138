"""Latency histograms: fixed buckets, counted by the loader, read as percentiles."""

from bisect import bisect_left
from collections.abc import Sequence

BUCKETS_MS: tuple[float, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000, float("inf"))
"""Upper bounds (inclusive) in milliseconds. Stored arrays have one count per bound, so the list only ever grows."""


def bucket(latency_ms: float) -> int:
    """Return the index of the bucket of a latency; negative ones (clocks of two machines) count as 0."""
    return bisect_left(BUCKETS_MS, latency_ms)


def empty() -> list[int]:
    """Return a histogram without a count."""
    return [0] * len(BUCKETS_MS)


def percentile(counts: Sequence[int], fraction: float) -> float | None:
    """Return an estimate in milliseconds of the latency that `fraction` (0..1) of the events don't exceed.

    Linear within a bucket. The last bucket has no upper bound, so its lower bound is returned for it.
    None when nothing was counted. Raises ValueError for a fraction outside 0..1.
    """
    if not 0 <= fraction <= 1:
        msg = f"a fraction is from 0 to 1, not {fraction}"
        raise ValueError(msg)
    total = sum(counts)
    if total == 0:
        return None
    wanted = fraction * total
    seen = 0
    lower = 0.0
    for upper, count in zip(BUCKETS_MS, counts, strict=True):
        if count and seen + count >= wanted:
            share = max(0.0, wanted - seen) / count
            return lower if upper == float("inf") else lower + share * (upper - lower)
        seen += count
        lower = upper
    return lower
