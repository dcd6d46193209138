"""Attempts of an endpoint over time, from its figures by the minute. Percentiles are pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mainstem.platform.db import Connection, load_queries
from mainstem.webhooks.book import BUCKETS_MS

MOST_POINTS: Final = 1_500
_sql: Final = load_queries("mainstem.webhooks", "deliveries.sql")


class Interval(StrEnum):
    """Length of one point of a series."""

    MINUTE = "minute"
    HOUR = "hour"

    @property
    def length(self) -> timedelta:
        """The same as a time."""
        return timedelta(hours=1) if self is Interval.HOUR else timedelta(minutes=1)


@dataclass(slots=True)
class Figures:
    """Attempts of some time."""

    delivered: int = 0
    failed: int = 0
    ms_sum: int = 0
    ms_max: int | None = None
    ms_counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))

    @property
    def attempts(self) -> int:
        """How many there were."""
        return self.delivered + self.failed

    @property
    def success_rate_percent(self) -> float | None:
        """Share of those that succeeded; None without any."""
        return None if not self.attempts else round(100 * self.delivered / self.attempts, 2)

    @property
    def avg_ms(self) -> float | None:
        """Mean time; None without any."""
        return None if not self.attempts else round(self.ms_sum / self.attempts, 1)

    def percentile(self, share: float) -> float | None:
        """Return the time within which a share of the attempts ended, read off the buckets; None without any."""
        return None if self.ms_max is None else percentile(self.ms_counts, share, most=self.ms_max)

    def add(self, other: "Figures") -> None:
        """Add those of another time."""
        self.delivered += other.delivered
        self.failed += other.failed
        self.ms_sum += other.ms_sum
        if other.ms_max is not None:
            self.ms_max = max(self.ms_max or 0, other.ms_max)
        self.ms_counts = [mine + theirs for mine, theirs in zip(self.ms_counts, other.ms_counts, strict=True)]


def percentile(counts: Sequence[int], share: float, *, most: int) -> float:
    """Return the value below which a share of counted values lies; within a bucket they are taken as spread evenly.

    `counts` are those of BUCKETS_MS and of what is above the last; `most` is the largest value.
    """
    wanted = share * sum(counts)
    seen = 0
    low = 0
    for bound, count in zip((*BUCKETS_MS, max(most, BUCKETS_MS[-1])), counts, strict=True):
        if count and seen + count >= wanted:
            high = min(bound, most)
            return (
                round(min(low + (high - low) * max(wanted - seen, 0) / count, most), 1) if high > low else float(high)
            )
        seen += count
        low = bound
    return float(most)


def total(points: Iterable[Figures]) -> Figures:
    """Return the figures of all points together."""
    found = Figures()
    for point in points:
        found.add(point)
    return found


async def series(  # noqa: PLR0913 - of what, from when, until when, how fine
    connection: Connection,
    tenant_id: int,
    endpoint_id: int,
    *,
    start: datetime,
    end: datetime,
    interval: Interval,
) -> list[tuple[datetime, Figures]]:
    """Return a point for every minute or hour that the span touches, also where nothing was sent; `end` is not part of it."""
    length = interval.length
    first = _floor(start, interval)
    rows = await connection.fetch(_sql["series"], tenant_id, endpoint_id, first, end, length)
    known = {
        row["at"]: Figures(row["delivered"], row["failed"], row["ms_sum"], row["ms_max"], list(row["ms_counts"]))
        for row in rows
    }
    count = -(-(end - first) // length)
    return [(at, known.get(at, Figures())) for at in (first + number * length for number in range(count))]


def points_of(start: datetime, end: datetime, interval: Interval) -> int:
    """Return how many points a span has."""
    return -(-(end - _floor(start, interval)) // interval.length)


def _floor(moment: datetime, interval: Interval) -> datetime:
    whole = moment.replace(second=0, microsecond=0)
    return whole.replace(minute=0) if interval is Interval.HOUR else whole
