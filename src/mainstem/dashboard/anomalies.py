"""Finds hours in which an endpoint was far from its own history: more failures, or more or fewer attempts. Pure.

An hour is judged by the hours before it only, at most a week of them, so what comes later never changes a finding.
Failures are judged as a share (how many standard deviations of a binomial they are beyond what the history makes likely),
attempts by median and quartiles, which single bursts don't move. Little history, or few attempts, says nothing.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import sqrt
from typing import Final, NamedTuple

HOUR: Final = timedelta(hours=1)
HISTORY_HOURS: Final = 168
_LEAST_HISTORY_HOURS: Final = 24
_LEAST_HISTORY_ATTEMPTS: Final = 50
_LEAST_ATTEMPTS: Final = 10
_LEAST_EXCESS: Final = 0.05
_FAILURE_SCORE: Final = 4.0
_CRITICAL_RATE: Final = 0.5
_VOLUME_SCORE: Final = 6.0
_CRITICAL_VOLUME_SCORE: Final = 12.0
_SILENCE_OF: Final = 20
"""A median from which on an hour without any attempt is critical."""
_QUARTILES_TO_DEVIATION: Final = 1.349


class Metric(StrEnum):
    """What was far from usual."""

    FAILURE_RATE = "failure_rate"
    VOLUME_HIGH = "volume_high"
    VOLUME_LOW = "volume_low"


class Severity(StrEnum):
    """How far."""

    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class Point(NamedTuple):
    """Attempts of one hour."""

    hour: datetime
    attempts: int
    failed: int


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One or several hours in a row; value, expected and score are those of the worst."""

    metric: Metric
    severity: Severity
    started_at: datetime
    ended_at: datetime
    """End of the last hour."""
    value: float
    """Failed share (0 to 1), or attempts."""
    expected: float
    score: float


def find(points: Iterable[Point], since: datetime, now: datetime) -> list[Anomaly]:
    """Return what was unusual in the hours that begin at `since` or later, by beginning; hours without a point had none.

    The hour of `now` is not over, so it can't be quiet yet.
    """
    found = [one for one in judged(points, now) if one.started_at >= since]
    return sorted(_joined(found), key=lambda one: (one.started_at, one.metric))


def judged(points: Iterable[Point], now: datetime) -> Iterator[Anomaly]:
    """Yield every single hour that was unusual, by time."""
    history = _History()
    for point in _without_gaps(points, now):
        running = point.hour + HOUR > now
        yield from filter(None, (history.failures(point), history.volume(point, running=running)))
        history.add(point)


class _History:
    """The hours before the one that is judged."""

    def __init__(self) -> None:
        self._hours: deque[Point] = deque()
        self._sorted: list[int] = []
        self._attempts = 0
        self._failed = 0

    def add(self, point: Point) -> None:
        self._count(point, 1)
        self._hours.append(point)
        insort(self._sorted, point.attempts)
        if len(self._hours) > HISTORY_HOURS:
            oldest = self._hours.popleft()
            self._count(oldest, -1)
            del self._sorted[bisect_left(self._sorted, oldest.attempts)]

    def _count(self, point: Point, sign: int) -> None:
        self._attempts += sign * point.attempts
        self._failed += sign * point.failed

    def failures(self, point: Point) -> Anomaly | None:
        if point.attempts < _LEAST_ATTEMPTS or self._attempts < _LEAST_HISTORY_ATTEMPTS:
            return None
        # as if one more had failed and one more had not: a clean history makes nothing impossible
        usual = (self._failed + 1) / (self._attempts + 2)
        rate = point.failed / point.attempts
        score = (rate - usual) / sqrt(usual * (1 - usual) / point.attempts)
        if score < _FAILURE_SCORE or rate - usual < _LEAST_EXCESS:
            return None
        severity = Severity.CRITICAL if rate >= _CRITICAL_RATE else Severity.WARNING
        return _anomaly(Metric.FAILURE_RATE, severity, point, value=rate, expected=usual, score=score)

    def volume(self, point: Point, *, running: bool) -> Anomaly | None:
        if len(self._sorted) < _LEAST_HISTORY_HOURS:
            return None
        lower, median, upper = (_quantile(self._sorted, fraction) for fraction in (0.25, 0.5, 0.75))
        deviation = max((upper - lower) / _QUARTILES_TO_DEVIATION, sqrt(median) + 1)
        score = (point.attempts - median) / deviation
        if score >= _VOLUME_SCORE:
            severity = Severity.CRITICAL if score >= _CRITICAL_VOLUME_SCORE else Severity.WARNING
            return _anomaly(Metric.VOLUME_HIGH, severity, point, value=point.attempts, expected=median, score=score)
        if running:
            return None
        silent = point.attempts == 0 and lower >= _SILENCE_OF
        if silent or score <= -_VOLUME_SCORE:
            severity = Severity.CRITICAL if silent else Severity.WARNING
            return _anomaly(Metric.VOLUME_LOW, severity, point, value=point.attempts, expected=median, score=-score)
        return None


def _anomaly(  # noqa: PLR0913 - the parts of one
    metric: Metric, severity: Severity, point: Point, *, value: float, expected: float, score: float
) -> Anomaly:
    return Anomaly(
        metric, severity, point.hour, point.hour + HOUR, round(value, 4), round(expected, 4), round(score, 2)
    )


def _quantile(ordered: Sequence[int], fraction: float) -> float:
    return float(ordered[round(fraction * (len(ordered) - 1))])


def _without_gaps(points: Iterable[Point], now: datetime) -> Iterator[Point]:
    by_hour = {point.hour: point for point in points if point.hour <= now}
    if not by_hour:
        return
    hour = min(by_hour)
    while hour <= now:
        yield by_hour.get(hour) or Point(hour, 0, 0)
        hour += HOUR


def _joined(found: Iterable[Anomaly]) -> Iterator[Anomaly]:
    """Make one of those that follow each other; they come by time."""
    last: dict[Metric, Anomaly] = {}
    for one in found:
        before = last.get(one.metric)
        if before is not None and before.ended_at == one.started_at:
            worst = max(before, one, key=lambda each: (each.severity is Severity.CRITICAL, each.score))
            last[one.metric] = replace(worst, started_at=before.started_at, ended_at=one.ended_at)
            continue
        if before is not None:
            yield before
        last[one.metric] = one
    yield from last.values()
