"""What counts as unusual: an endpoint's own history decides."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.dashboard.anomalies import HOUR, Anomaly, Metric, Point, Severity, find, judged

START = datetime(2026, 3, 1, tzinfo=UTC)


def hours(*attempts: int | tuple[int, int]) -> list[Point]:
    """Return one hour after the other: attempts, or (attempts, failed)."""
    pairs = [one if isinstance(one, tuple) else (one, 0) for one in attempts]
    return [Point(START + place * HOUR, *pair) for place, pair in enumerate(pairs)]


def found(points: list[Point], *, now: datetime | None = None) -> list[Anomaly]:
    return find(points, START, now or points[-1].hour + HOUR)


def shown(anomalies: list[Anomaly]) -> list[tuple[str, str, int, int]]:
    return [
        (one.metric, one.severity, (one.started_at - START) // HOUR, (one.ended_at - START) // HOUR)
        for one in anomalies
    ]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ((100, 0), []),
        ((100, 4), []),
        ((100, 20), [(Metric.FAILURE_RATE, Severity.WARNING, 30, 31)]),
        ((100, 60), [(Metric.FAILURE_RATE, Severity.CRITICAL, 30, 31)]),
        # one failure of two says nothing
        ((9, 9), [(Metric.VOLUME_LOW, Severity.WARNING, 30, 31)]),
        ((180, 0), [(Metric.VOLUME_HIGH, Severity.WARNING, 30, 31)]),
        ((1_000, 0), [(Metric.VOLUME_HIGH, Severity.CRITICAL, 30, 31)]),
        ((30, 0), [(Metric.VOLUME_LOW, Severity.WARNING, 30, 31)]),
        ((0, 0), [(Metric.VOLUME_LOW, Severity.CRITICAL, 30, 31)]),
    ],
)
def test_an_hour_is_judged_by_those_before_it(last, expected):
    assert shown(found(hours(*[100] * 30, last))) == expected


def test_an_endpoint_that_always_fails_a_little_is_not_unusual():
    assert found(hours(*[(100, 10)] * 40, (100, 15))) == []
    assert shown(found(hours(*[(100, 0)] * 40, (100, 15)))) == [(Metric.FAILURE_RATE, Severity.WARNING, 40, 41)]


def test_without_a_history_nothing_is_unusual():
    assert found(hours((40, 40))) == []
    assert found(hours(*[1] * 23, 5_000)) == []


def test_hours_in_a_row_are_one_finding():
    anomalies = found(hours(*[100] * 40, (100, 30), (100, 90), (100, 30), 100, (100, 40)))
    assert shown(anomalies) == [
        (Metric.FAILURE_RATE, Severity.CRITICAL, 40, 43),
        (Metric.FAILURE_RATE, Severity.WARNING, 44, 45),
    ]
    assert (anomalies[0].value, anomalies[0].expected) == (0.9, pytest.approx(0.0075, abs=0.01))


def test_the_running_hour_is_not_quiet_yet_but_may_fail():
    points = hours(*[100] * 40, (20, 15))
    half_past = points[-1].hour + timedelta(minutes=30)
    assert shown(found(points, now=half_past)) == [(Metric.FAILURE_RATE, Severity.CRITICAL, 40, 41)]
    assert {one.metric for one in found(points)} == {Metric.FAILURE_RATE, Metric.VOLUME_LOW}


def test_silence_after_the_last_point_is_seen():
    points = hours(*[100] * 40)
    assert shown(found(points, now=START + 43 * HOUR + HOUR / 2)) == [
        (Metric.VOLUME_LOW, Severity.CRITICAL, 40, 43),
    ]


def test_only_what_began_since_then_is_told():
    points = hours(*[100] * 40, (100, 50), *[100] * 5)
    assert find(points, START + 41 * HOUR, START + 46 * HOUR) == []
    assert len(find(points, START + 40 * HOUR, START + 46 * HOUR)) == 1


ATTEMPTS = st.integers(0, 400)
HISTORY = st.lists(
    st.tuples(ATTEMPTS, st.floats(0, 1)).map(lambda pair: (pair[0], int(pair[0] * pair[1]))), min_size=1, max_size=60
)


@given(HISTORY, st.randoms())
def test_the_order_of_the_points_does_not_matter(history, random):
    points = hours(*history)
    mixed = random.sample(points, len(points))
    now = points[-1].hour + HOUR
    assert find(mixed, START, now) == find(points, START, now)


@given(HISTORY, HISTORY)
def test_what_comes_later_changes_no_finding(before, after):
    points = hours(*before, *after)
    end = points[-1].hour + HOUR
    earlier = START + len(before) * HOUR - HOUR / 2
    first = [one for one in judged(points[: len(before)], earlier) if one.ended_at <= earlier]
    assert [one for one in judged(points, end) if one.ended_at <= earlier] == first


@given(HISTORY, st.integers(10, 400), st.integers(0, 400), st.integers(0, 400))
def test_more_failures_never_make_an_hour_look_better(history, attempts, one, other):
    fewer, more = sorted(min(failed, attempts) for failed in (one, other))

    def score(failed: int) -> float:
        points = hours(*history, (attempts, failed))
        last = [
            each
            for each in judged(points, points[-1].hour + HOUR)
            if each.metric is Metric.FAILURE_RATE and each.started_at == points[-1].hour
        ]
        return last[0].score if last else 0.0

    assert score(more) >= score(fewer)


@given(HISTORY, st.integers(0, 100))
def test_findings_lie_within_the_hours_that_were_asked_for(history, offset):
    points = hours(*history)
    since, now = START + offset * HOUR, points[-1].hour + HOUR
    for one in find(points, since, now):
        assert since <= one.started_at < one.ended_at <= now
        assert one.score > 0


@given(st.integers(0, 1_000), st.integers(1, 100))
def test_a_steady_endpoint_is_never_unusual(attempts, length):
    assert found(hours(*[attempts] * length)) == []
