"""What becomes of a delivery after an attempt."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.outbound import Answer, OutboundError, Trouble
from mainstem.webhooks.retry import (
    DEFAULT_SCHEDULE_S,
    JITTER,
    LONGEST_DELAY_S,
    LONGEST_PAUSE_S,
    MOST_RETRIES,
    Delivered,
    GiveUp,
    Policy,
    RetryAt,
    SwitchOff,
    next_step,
    outcome_of,
    retry_after_s,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SHORT = Policy((5.0, 60.0, 600.0))


def answer(status: int, retry_after: str | None = None) -> Answer:
    headers = CIMultiDict({} if retry_after is None else {"retry-after": retry_after})
    return Answer(status, headers, b"", truncated=False)


def failure(trouble: Trouble = Trouble.CONNECT) -> OutboundError:
    return OutboundError(trouble, "No connection.")


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


# what an answer means


@pytest.mark.parametrize(
    ("met", "step", "outcome"),
    [
        (answer(200), Delivered(), "delivered"),
        (answer(201), Delivered(), "delivered"),
        (answer(204), Delivered(), "delivered"),
        (answer(299), Delivered(), "delivered"),
        (answer(410), SwitchOff(), "gone"),
        (answer(101), RetryAt(after(5)), "status"),
        (answer(199), RetryAt(after(5)), "status"),
        (answer(300), RetryAt(after(5)), "redirect"),
        (answer(301), RetryAt(after(5)), "redirect"),
        (answer(307), RetryAt(after(5)), "redirect"),
        (answer(399), RetryAt(after(5)), "redirect"),
        (answer(400), RetryAt(after(5)), "status"),
        (answer(401), RetryAt(after(5)), "status"),
        (answer(404), RetryAt(after(5)), "status"),
        (answer(409), RetryAt(after(5)), "status"),
        (answer(422), RetryAt(after(5)), "status"),
        (answer(500), RetryAt(after(5)), "status"),
        (answer(999), RetryAt(after(5)), "status"),
        # asked for less: nothing goes to the endpoint for a second at least
        (answer(429), RetryAt(after(5), 1.0), "status"),
        (answer(502), RetryAt(after(5), 1.0), "status"),
        (answer(503), RetryAt(after(5), 1.0), "status"),
        (answer(504), RetryAt(after(5), 1.0), "status"),
        # and says how much
        (answer(429, "3"), RetryAt(after(5), 3.0), "status"),
        (answer(429, "120"), RetryAt(after(120), 120.0), "status"),
        (answer(503, "Sun, 01 Nov 2026 12:02:00 GMT"), RetryAt(after(120), 120.0), "status"),
        (answer(429, "0"), RetryAt(after(5), 1.0), "status"),
        (answer(429, "soon"), RetryAt(after(5), 1.0), "status"),
        (answer(429, "99999999999"), RetryAt(after(3600), 3600.0), "status"),
        # only those that ask for less are asked how much
        (answer(500, "120"), RetryAt(after(5)), "status"),
        (answer(301, "120"), RetryAt(after(5)), "redirect"),
        (answer(200, "120"), Delivered(), "delivered"),
        *((failure(trouble), RetryAt(after(5)), str(trouble)) for trouble in Trouble),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_follows_from_a_first_attempt(met, step, outcome):
    assert next_step(SHORT, 1, met, now=NOW) == step
    assert outcome_of(met) == outcome


@pytest.mark.parametrize(
    ("attempt", "step"), [(1, RetryAt(after(5))), (2, RetryAt(after(60))), (3, RetryAt(after(600))), (4, GiveUp())]
)
def test_attempts_follow_the_schedule_and_end_with_it(attempt, step):
    assert next_step(SHORT, attempt, answer(500), now=NOW) == step


def test_without_retries_the_first_failure_is_the_last():
    assert next_step(Policy(()), 1, failure(), now=NOW) == GiveUp()


def test_the_last_answer_may_still_ask_for_less():
    assert next_step(SHORT, 4, answer(429, "120"), now=NOW) == GiveUp(120.0)
    assert next_step(SHORT, 4, answer(410), now=NOW) == SwitchOff()
    assert next_step(SHORT, 4, answer(200), now=NOW) == Delivered()


def test_each_further_answer_that_asks_for_less_doubles_the_pause_up_to_a_minute():
    steps = [next_step(SHORT, 1, answer(429), now=NOW, slowed=slowed) for slowed in range(9)]
    assert [step.pause_s for step in steps] == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert next_step(SHORT, 1, answer(429, "10"), now=NOW, slowed=2).pause_s == 10
    assert next_step(SHORT, 1, answer(429, "10"), now=NOW, slowed=5).pause_s == 32
    assert next_step(SHORT, 1, answer(500), now=NOW, slowed=5) == RetryAt(after(5))


def test_the_default_schedule_is_the_example_of_the_specification():
    minute, hour = 60, 3_600
    assert (5, 5 * minute, 30 * minute, *(count * hour for count in (2, 5, 10, 14, 20, 24))) == DEFAULT_SCHEDULE_S
    assert sum(DEFAULT_SCHEDULE_S) == 75 * hour + 35 * minute + 5


def test_an_endpoint_that_always_fails_gets_ten_attempts():
    attempt, steps = 0, []
    while not steps or isinstance(steps[-1], RetryAt):
        attempt += 1
        steps.append(next_step(Policy(), attempt, answer(500), now=NOW))
    assert (attempt, steps[-1]) == (10, GiveUp())


# policies

POLICIES = st.lists(st.floats(0.001, LONGEST_DELAY_S), max_size=MOST_RETRIES).map(tuple).map(Policy)
ANSWERS = st.builds(
    answer,
    st.integers(100, 599) | st.sampled_from([200, 410, 429, 502, 503, 504]),
    st.none() | st.integers(0, 10**12).map(str) | st.text(max_size=40),
)
MET = ANSWERS | st.sampled_from(Trouble).map(failure)


@pytest.mark.parametrize(
    ("given_", "delays"),
    [
        (None, DEFAULT_SCHEDULE_S),
        ({"schedule": [5, 60, 0.5]}, (5, 60, 0.5)),
        ({"schedule": []}, ()),
        ({"schedule": [LONGEST_DELAY_S] * MOST_RETRIES}, (LONGEST_DELAY_S,) * MOST_RETRIES),
        ({"max_retries": 4, "backoff_base": 2, "max_backoff": 3600}, (2, 4, 8, 16)),
        ({"max_retries": 4, "backoff_base": 2, "max_backoff": 5}, (2, 4, 5, 5)),
        ({"max_retries": 2, "backoff_base": 10, "max_backoff": 3}, (3, 3)),
        ({"max_retries": 0}, ()),
        ({"max_retries": 3}, (5, 10, 20)),
        ({"backoff_base": 1.5}, tuple(1.5 * 2**number for number in range(9))),
        ({"max_backoff": 60}, (5, 10, 20, 40, 60, 60, 60, 60, 60)),
        ({}, tuple(5 * 2**number for number in range(9))),
        ({"max_retries": 50}, tuple(min(5 * 2**number, 86_400) for number in range(50))),
    ],
    ids=repr,
)
def test_a_policy_is_a_list_of_delays(given_, delays):
    assert Policy.parse(given_).delays_s == delays


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"schedule": 5}, "at most 50 delays"),
        ({"schedule": None}, "at most 50 delays"),
        ({"schedule": {"0": 5}}, "at most 50 delays"),
        ({"schedule": [1] * 51}, "at most 50 delays"),
        ({"schedule": [0]}, "more than 0"),
        ({"schedule": [-1]}, "more than 0"),
        ({"schedule": [LONGEST_DELAY_S + 1]}, "at most 604800"),
        ({"schedule": [10**400]}, "at most 604800"),
        ({"schedule": [math.inf]}, "at most 604800"),
        ({"schedule": [math.nan]}, "more than 0"),
        ({"schedule": [True]}, "more than 0"),
        ({"schedule": ["5"]}, "more than 0"),
        ({"schedule": [None]}, "more than 0"),
        ({"schedule": [5], "max_retries": 3}, "'max_retries' can't stand here; known: schedule"),
        ({"max_retries": -1}, "from 0 to 50"),
        ({"max_retries": 51}, "from 0 to 50"),
        ({"max_retries": 3.0}, "from 0 to 50"),
        ({"max_retries": True}, "from 0 to 50"),
        ({"max_retries": "3"}, "from 0 to 50"),
        ({"max_retries": None}, "from 0 to 50"),
        ({"backoff_base": 0}, "backoff_base is more than 0"),
        ({"max_backoff": -5}, "max_backoff is more than 0"),
        ({"max_backoff": 604_801}, "max_backoff is more than 0 and at most 604800"),
        ({"retries": 3}, "'retries' can't stand here; known: backoff_base, max_backoff, max_retries"),
        ({"\ud800": 3}, r"'\\ud800' can't stand here"),
    ],
    ids=repr,
)
def test_what_is_no_policy_is_refused_with_the_reason(given_, sentence):
    with pytest.raises(InvalidFieldError, match=sentence) as caught:
        Policy.parse(given_, field="policy")
    assert caught.value.field == "policy"
    caught.value.detail.encode()


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)
_NAMES = st.sampled_from(["schedule", "max_retries", "backoff_base", "max_backoff", "x"])


@given(st.dictionaries(_NAMES, _ANYTHING | st.integers(0, 60) | st.lists(st.integers(0, 9))))
def test_whatever_is_given_is_a_policy_or_refused(given_):
    try:
        delays = Policy.parse(given_).delays_s
    except InvalidFieldError:
        return
    assert len(delays) <= MOST_RETRIES
    assert all(0 < delay <= LONGEST_DELAY_S for delay in delays)


@given(st.integers(0, MOST_RETRIES), st.floats(0.001, LONGEST_DELAY_S), st.floats(0.001, LONGEST_DELAY_S))
def test_delays_of_a_backoff_only_grow(retries, base, most):
    delays = Policy.parse({"max_retries": retries, "backoff_base": base, "max_backoff": most}).delays_s
    assert len(delays) == retries
    assert all(one <= other <= most for one, other in pairwise(delays))


# laws of the decision


@given(POLICIES, st.integers(1, 60), MET, st.integers(0, 1_000), st.floats(0, 1))
def test_every_attempt_has_one_consequence(policy, attempt, met, slowed, spread):
    step = next_step(policy, attempt, met, now=NOW, slowed=slowed, spread=spread)
    succeeded = isinstance(met, Answer) and 200 <= met.status < 300
    gone = isinstance(met, Answer) and met.status == 410
    assert isinstance(step, Delivered) is succeeded
    assert isinstance(step, SwitchOff) is gone
    assert isinstance(step, GiveUp) is (not succeeded and not gone and attempt > len(policy.delays_s))
    assert (outcome_of(met) == "delivered") is succeeded


@given(POLICIES.filter(lambda policy: policy.delays_s), st.data(), MET, st.floats(0, 1))
def test_jitter_only_adds_and_no_more_than_its_share(policy, data, met, spread):
    attempt = data.draw(st.integers(1, len(policy.delays_s)))
    step = next_step(policy, attempt, met, now=NOW, spread=spread)
    if isinstance(step, RetryAt):
        delay = (step.at - NOW).total_seconds()
        base, pause = policy.delays_s[attempt - 1], step.pause_s or 0.0
        assert delay >= max(base, pause) - 1e-6
        assert delay <= max(base * (1 + JITTER), pause) + 1e-6
        # what the endpoint asked for ends before the next attempt
        assert delay >= pause - 1e-6


@given(POLICIES.filter(lambda policy: policy.delays_s), st.floats(0, 1), st.floats(0, 1))
def test_more_spread_is_never_sooner(policy, one, other):
    sooner, later = (
        next_step(policy, 1, failure(), now=NOW, spread=spread).at for spread in (min(one, other), max(one, other))
    )
    assert sooner <= later


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 50), st.integers(0, 50))
def test_who_asks_for_more_gets_no_less(seconds, more, slowed, further):
    def pause(asked: int, before: int) -> float:
        return next_step(SHORT, 1, answer(429, str(asked)), now=NOW, slowed=before).pause_s

    assert pause(seconds, slowed) <= pause(seconds + more, slowed + further) <= LONGEST_PAUSE_S
    assert pause(seconds, slowed) >= 1


# Retry-After, RFC 9110, 10.2.3


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        (" ", None),
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("007", 7),
        ("0000000000000000000060", 60),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 5_000, 3600),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        ("0x10", None),
        ("10 s", None),
        ("²", None),
        ("١٢", None),
        # the three forms of HTTP-date
        ("Sun, 01 Nov 2026 12:01:40 GMT", 100),
        ("Sunday, 01-Nov-26 12:01:40 GMT", 100),
        ("Sun Nov  1 12:01:40 2026", 100),
        # of other zones, as mail has them
        ("Sun, 01 Nov 2026 13:01:40 +0100", 100),
        ("Sun, 01 Nov 2026 12:01:40 -0000", 100),
        ("Sun, 01 Nov 2026 12:01:40", 100),
        # the past, and years by mistake
        ("Sun, 01 Nov 2026 11:00:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 3600),
        ("Sun, 01 Nov 2062 12:00:00 GMT", 3600),
        ("Sun, 32 Nov 2026 12:00:00 GMT", None),
        ("Sun, 01 Nov 2026 25:00:00 GMT", None),
        ("Sun, 01 Nov 2026 12:00:00 +9999999999", None),
        ("Sun, 01 Nov 99999 12:00:00 GMT", None),
        ("2026-11-01T12:01:40Z", None),
        ("tomorrow", None),
    ],
)
def test_retry_after_in_both_forms(value, seconds):
    assert retry_after_s(value, NOW) == seconds


@given(st.text() | st.text("0123456789 :,-+GMTSunNovJa", max_size=40))
def test_whatever_is_asked_for_is_nothing_or_at_most_an_hour(value):
    found = retry_after_s(value, NOW)
    assert found is None or 0 <= found <= LONGEST_PAUSE_S


@given(st.integers(0, LONGEST_PAUSE_S))
def test_both_forms_say_the_same(seconds):
    date = format_datetime(after(seconds), usegmt=True)
    assert retry_after_s(str(seconds), NOW) == retry_after_s(date, NOW) == seconds
