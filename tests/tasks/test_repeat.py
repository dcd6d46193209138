"""When recurring tasks come next: RFC 5545 by properties, and clocks that change."""

import itertools
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.platform.errors import InvalidFieldError
from mainstem.tasks.model import RepeatFrom
from mainstem.tasks.repeat import check, dates, following, placed

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia")]
RULES = [
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=WEEKLY;BYDAY=MO,FR",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
]

patient = settings(deadline=None, max_examples=40)
starts = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1)).map(
    lambda one: one.replace(tzinfo=UTC, microsecond=0)
)


def local(text: str) -> datetime:
    return placed(datetime.fromisoformat(text), BERLIN)


def walk(rule: str, start: datetime, zone: ZoneInfo, most: int) -> list[datetime]:
    """Return the dates that are met by completing one occurrence after the other."""
    found = [start]
    while len(found) < most:
        due = following(rule, start=start, due=found[-1], occurrence=len(found), zone=zone)
        if due is None:
            break
        found.append(due)
    return found


@patient
@given(st.sampled_from(RULES), starts, st.sampled_from(ZONES))
def test_completing_one_after_the_other_walks_the_whole_series(rule, start, zone):
    series = dates(rule, start, zone, 6)
    walked = walk(rule, series[0], zone, 6)
    assert walked == series
    assert all(one < two for one, two in itertools.pairwise(walked))


@patient
@given(st.sampled_from(RULES), starts, st.integers(1, 6))
def test_count_is_how_many_are_done_at_all(rule, start, count):
    first = dates(rule, start, BERLIN, 1)[0]
    assert len(walk(f"{rule};COUNT={count}", first, BERLIN, 20)) == count


@patient
@given(st.sampled_from(RULES), starts, st.timedeltas(timedelta(days=1), timedelta(days=400)))
def test_nothing_comes_after_until(rule, start, length):
    until = start + length
    rule = f"{rule};UNTIL={until:%Y%m%dT%H%M%SZ}"
    first = dates(rule, start, BERLIN, 1)
    if first:
        walked = walk(rule, first[0], BERLIN, 40)
        assert walked[-1] <= until
        assert walked == dates(rule, start, BERLIN, 40)


@patient
@given(starts, st.sampled_from(ZONES))
def test_the_time_of_day_stays_when_clocks_change(start, zone):
    # no clock of these zones changes around noon
    start = datetime.combine(start.date(), time(12, start.minute), zone)
    hours = {one.astimezone(zone).strftime("%H:%M") for one in walk("FREQ=WEEKLY", start, zone, 30)}
    assert hours == {start.astimezone(zone).strftime("%H:%M")}


def test_nine_is_nine_on_both_sides_of_summer():
    walked = walk("FREQ=DAILY", local("2026-03-28T09:00:00"), BERLIN, 3)
    assert [one.isoformat() for one in walked] == [
        "2026-03-28T08:00:00+00:00",
        "2026-03-29T07:00:00+00:00",
        "2026-03-30T07:00:00+00:00",
    ]


def test_a_time_that_is_skipped_or_comes_twice_is_met_once():
    skipped = walk("FREQ=DAILY", local("2026-03-28T02:30:00"), BERLIN, 3)
    assert [one.astimezone(BERLIN).strftime("%d %H:%M") for one in skipped] == ["28 02:30", "29 03:30", "30 02:30"]
    twice = walk("FREQ=DAILY", local("2026-10-24T02:30:00"), BERLIN, 3)
    assert [one.isoformat() for one in twice] == [
        "2026-10-24T00:30:00+00:00",
        "2026-10-25T00:30:00+00:00",
        "2026-10-26T01:30:00+00:00",
    ]


def test_from_completion_counts_from_the_day_it_was_done():
    start, done = local("2026-05-01T08:00:00"), local("2026-05-20T23:10:00")
    rule = "FREQ=DAILY;INTERVAL=3"
    common = {"start": start, "due": start, "occurrence": 1, "zone": BERLIN}
    assert following(rule, **common) == local("2026-05-04T08:00:00")
    late = following(rule, **common, repeat_from=RepeatFrom.COMPLETION, completed_at=done)
    assert late == local("2026-05-23T08:00:00")


def test_an_occurrence_that_was_put_off_does_not_move_the_series():
    start = local("2026-05-01T08:00:00")
    put_off = local("2026-05-02T12:00:00")
    assert following("FREQ=WEEKLY;BYDAY=FR", start=start, due=put_off, occurrence=1, zone=BERLIN) == local(
        "2026-05-08T08:00:00"
    )
    assert following("FREQ=MONTHLY;BYMONTHDAY=31", start=start, due=put_off, occurrence=1, zone=BERLIN) == local(
        "2026-05-31T08:00:00"
    )


def test_a_rule_without_any_date_ends_at_once():
    start = local("2026-05-01T08:00:00")
    assert following("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", start=start, due=start, occurrence=1, zone=BERLIN) is None


@patient
@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_refused(text):
    with suppress(InvalidFieldError):
        rule = check(text)
        assert check(rule) == rule


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "FREQ=SECONDLY",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=2;UNTIL=20300101",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=DAILY;BYDAY=XX",
        "FREQ=DAILY;UNTIL=soon",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;BYSECOND=1",
        "FREQ=DAILY\nFREQ=WEEKLY",
        "DTSTART:20260101",
    ],
)
def test_what_is_no_rule_of_ours_is_refused(rule):
    with pytest.raises(InvalidFieldError):
        check(rule)
