"""Medians and percentiles of measured values."""

from collections.abc import Sequence
from math import ceil


def percentile(values: Sequence[float], fraction: float) -> float:
    """Return the smallest value that at least this fraction (0..1) of the values don't exceed (nearest rank)."""
    if not values:
        msg = "there is no percentile of nothing"
        raise ValueError(msg)
    return sorted(values)[max(ceil(fraction * len(values)), 1) - 1]


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two in the middle."""
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
