"""The time gate over all zones and days: it opens with the day and closes with it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.connectors.gate import Closed, DayPassed, Proceed, TooEarly, Unknown, reason_of, time_gate

ZONES = sorted(available_timezones())
SECOND = timedelta(seconds=1)
days = st.dates(date(1970, 1, 2), date(2099, 12, 30))
moments = st.datetimes(datetime(1970, 1, 3), datetime(2099, 12, 29), timezones=st.just(UTC))


@given(days, st.sampled_from(ZONES), moments)
def test_it_is_open_exactly_on_the_local_day(on, zone, now) -> None:
    today = now.astimezone(ZoneInfo(zone)).date()
    expected = Proceed if today == on else DayPassed if today > on else TooEarly
    assert isinstance(time_gate(on, zone, now), expected)


@given(st.sampled_from(ZONES), moments, st.integers(0, 800))
def test_a_gate_that_is_too_early_says_when_its_day_begins(zone, now, ahead) -> None:
    on = now.astimezone(ZoneInfo(zone)).date() + timedelta(days=ahead)
    found = time_gate(on, zone, now)
    if not isinstance(found, TooEarly):
        return
    assert found.until > now
    local = found.until.astimezone(ZoneInfo(zone)).date()
    # a day that clocks skip is over when it would begin
    assert local >= on
    assert isinstance(time_gate(on, zone, found.until), Proceed | DayPassed)
    assert isinstance(time_gate(on, zone, found.until - SECOND), TooEarly) or found.until - SECOND <= now


@pytest.mark.parametrize("zone", ZONES)
def test_every_zone_has_every_day_of_this_year(zone) -> None:
    for number in range(0, 366, 61):
        on = date(2026, 1, 1) + timedelta(days=number)
        found = time_gate(on, zone, datetime(2025, 12, 1, tzinfo=UTC))
        assert isinstance(found, TooEarly)
        assert isinstance(time_gate(on, zone, found.until), Proceed)
        assert isinstance(time_gate(on, zone, found.until - SECOND), TooEarly)


@pytest.mark.parametrize(
    ("on", "zone", "until"),
    [
        # clocks are put forward at midnight: the day begins at one
        (date(2018, 11, 4), "America/Sao_Paulo", "2018-11-04T03:00:00+00:00"),
        # midnight comes twice: the day begins with the first
        (date(2026, 11, 1), "America/Havana", "2026-11-01T04:00:00+00:00"),
        # a day that never was
        (date(2011, 12, 30), "Pacific/Apia", "2011-12-30T10:00:00+00:00"),
        # half an hour before midnight, clocks went to half past
        (date(1919, 3, 31), "America/Toronto", "1919-03-31T04:30:00+00:00"),
        (date(2026, 11, 27), "Pacific/Kiritimati", "2026-11-26T10:00:00+00:00"),
        (date(2026, 11, 27), "Etc/GMT+12", "2026-11-27T12:00:00+00:00"),
    ],
)
def test_days_begin_where_the_clock_says(on, zone, until) -> None:
    now = datetime.fromisoformat(until) - timedelta(days=2)
    assert time_gate(on, zone, now) == TooEarly(datetime.fromisoformat(until))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((None, "Europe/Berlin"), "TIME_GATE_CLOSED_MISSING_DATA"),
        ((date(2026, 1, 1), None), "TIME_GATE_CLOSED_MISSING_DATA"),
        ((date(2026, 1, 1), ""), "TIME_GATE_CLOSED_MISSING_DATA"),
        ((date(2026, 1, 1), "Mars/Olympus"), "TIME_GATE_CLOSED_UNKNOWN_TIMEZONE"),
        ((date(2026, 1, 1), "../../etc/passwd"), "TIME_GATE_CLOSED_UNKNOWN_TIMEZONE"),
        ((date(2026, 1, 1), "Europe"), "TIME_GATE_CLOSED_UNKNOWN_TIMEZONE"),
        ((date(2026, 1, 1), "UTC"), "TIME_GATE_CLOSED_EVENT_DAY_PASSED"),
        ((date(2027, 1, 1), "UTC"), "TIME_GATE_CLOSED_TOO_EARLY"),
        ((date(2026, 11, 26), "UTC"), None),
    ],
)
def test_every_reason(arguments, reason) -> None:
    assert reason_of(time_gate(*arguments, datetime(2026, 11, 26, 12, tzinfo=UTC))) == reason


def test_a_day_that_can_t_be_read_says_so() -> None:
    found = time_gate(None, "UTC", datetime(2026, 1, 1, tzinfo=UTC), on_text="someday")
    assert found == Unknown(Closed.INVALID_DATE_FORMAT)


@given(
    st.none() | st.dates(),
    st.none() | st.text(max_size=30),
    st.datetimes(timezones=st.just(UTC)),
    st.none() | st.text(),
)
def test_every_input_has_an_answer(on, zone, now, text) -> None:
    assert time_gate(on, zone, now, on_text=text) is not None
