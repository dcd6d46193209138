"""Hours, days, weeks and months of time zones."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.platform.calendar import Compare, Span, Step, after, floor, starts, zone_of
from mainstem.platform.errors import InvalidFieldError

ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Africa/Cairo",
    ]
).map(ZoneInfo)
MOMENTS = st.datetimes(datetime(1995, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.sampled_from(Step), ZONES)
def test_every_moment_is_in_one_of_them(moment, step, zone):
    start = floor(moment, step, zone)
    assert start <= moment < after(start, step, zone)
    assert floor(start, step, zone) == start
    assert start.utcoffset() == timedelta()


@given(MOMENTS, st.sampled_from(Step), ZONES)
def test_they_follow_each_other_without_a_gap(moment, step, zone):
    end = after(floor(moment, step, zone), step, zone)
    assert floor(end, step, zone) == end
    assert floor(end - timedelta(microseconds=1), step, zone) == floor(moment, step, zone)


@given(MOMENTS, st.integers(1, 40), st.sampled_from([Step.DAY, Step.WEEK, Step.MONTH]), ZONES)
def test_beginnings_are_on_quarters_of_an_hour(moment, days, step, zone):
    found = list(starts(Span(moment, moment + timedelta(days=days)), step, zone))
    assert found == sorted(set(found))
    assert all(one.timestamp() % 900 == 0 for one in found)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_has_as_many_hours_as_the_clocks_say(day, hours):
    zone = ZoneInfo("Europe/Berlin")
    start = floor(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=zone), Step.DAY, zone)
    assert (after(start, Step.DAY, zone) - start) == timedelta(hours=hours)
    assert len(list(starts(Span(start, after(start, Step.DAY, zone)), Step.HOUR, zone))) == hours


def test_spans_are_compared_with_the_one_before_or_a_year_earlier():
    zone = ZoneInfo("Europe/Berlin")
    span = Span(datetime(2024, 2, 28, 23, tzinfo=UTC), datetime(2024, 3, 31, 22, tzinfo=UTC))
    assert span.before(Compare.NONE, zone) is None
    assert span.before(Compare.PREVIOUS, zone).end == span.start
    year = span.before(Compare.YEAR, zone)
    # the 29th of February is the 28th, and midnight stays midnight although the clocks were put on before
    assert year == Span(datetime(2023, 2, 27, 23, tzinfo=UTC), datetime(2023, 3, 31, 22, tzinfo=UTC))


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe/Berlin\x00"])
def test_an_unknown_zone_is_refused(name):
    with pytest.raises(InvalidFieldError):
        zone_of(name)
