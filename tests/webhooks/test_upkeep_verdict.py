"""What becomes of an endpoint that only fails."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.webhooks.upkeep import WARN_AT, Disable, Warn, verdict

DAYS_5 = timedelta(days=5)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


@pytest.mark.parametrize(
    ("failed_for", "failures", "warned", "expected"),
    [
        # not for long enough
        (0, 5, 0, None),
        (59.99, 100, 0, None),
        # a warning at half of the time, another at nine tenths, each once
        (60, 5, 0, Warn(1)),
        (60, 5, 1, None),
        (107.99, 5, 1, None),
        (108, 5, 1, Warn(2)),
        (108, 5, 2, None),
        (119.99, 5, 2, None),
        # then it is switched off
        (120, 5, 2, Disable()),
        (1_000, 5, 2, Disable()),
        # but never without the warnings, whenever it is looked at
        (108, 5, 0, Warn(2)),
        (120, 5, 0, Warn(2)),
        (1_000, 5, 1, Warn(2)),
        # one or two failures far apart say nothing
        (1_000, 4, 0, None),
        (1_000, 4, 2, None),
        (1_000, 0, 2, None),
        # times that contradict each other: the last failure began before the first
        (-1, 100, 0, None),
    ],
)
def test_an_endpoint_that_fails_is_warned_about_twice_and_then_switched_off(failed_for, failures, warned, expected):
    assert verdict(hours(failed_for), failures, warned, DAYS_5) == expected


AFTERS = st.integers(1, 24 * 365).map(hours)
TIMES = st.timedeltas(hours(0), timedelta(days=900))


@given(TIMES, st.integers(0, 20), st.integers(0, 2), AFTERS)
def test_nothing_is_switched_off_without_two_warnings_and_its_time(failed_for, failures, warned, after):
    found = verdict(failed_for, failures, warned, after)
    if isinstance(found, Disable):
        assert warned == len(WARN_AT)
        assert failed_for >= after
        assert failures >= 5
    if isinstance(found, Warn):
        assert warned < found.number <= len(WARN_AT)
        assert failed_for >= after * WARN_AT[found.number - 1]


@given(st.lists(TIMES, max_size=30).map(sorted), AFTERS)
def test_whenever_it_is_looked_at_each_warning_goes_out_once_and_in_order(looks, after):
    warned, said = 0, []
    for failed_for in looks:
        found = verdict(failed_for, 5, warned, after)
        if found is not None:
            said.append(found)
        if isinstance(found, Warn):
            warned = found.number
        if isinstance(found, Disable):
            break
    numbers = [one.number for one in said if isinstance(one, Warn)]
    assert numbers in ([], [1], [2], [1, 2])
    assert [isinstance(one, Disable) for one in said].count(True) <= 1
    if said and isinstance(said[-1], Disable):
        assert numbers[-1] == 2


@given(TIMES, TIMES, st.integers(0, 2), AFTERS)
def test_more_time_is_never_better(failed_for, more, warned, after):
    def badness(found: Warn | Disable | None) -> int:
        return 0 if found is None else 3 if isinstance(found, Disable) else found.number

    sooner, later = (verdict(time, 9, warned, after) for time in (failed_for, failed_for + more))
    assert badness(sooner) <= badness(later)


@given(AFTERS)
def test_an_endpoint_that_goes_on_failing_is_switched_off_in_the_end(after):
    assert verdict(after, 5, 0, after) == Warn(2)
    assert verdict(after, 5, 2, after) == Disable()
