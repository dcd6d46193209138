"""The decider: when something is raised and when it is over, case by case and for any readings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.alerts.decide import (
    BLIND_FOR,
    CLEAR,
    GAP,
    Blank,
    Comparison,
    Decision,
    NoData,
    Phase,
    State,
    Step,
    Terms,
    decide,
    meets,
)
from mainstem.platform.measure import Sample

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
STEP = timedelta(seconds=15)
BAD, GOOD = Sample(900, 1_000), Sample(100, 1_000)
TERMS = Terms(Comparison.ABOVE, 500, for_=timedelta(seconds=60), keep_firing=timedelta(seconds=30))
AT_ONCE = replace(TERMS, for_=timedelta())
Reading = Sample | Blank


def run(terms: Terms, readings: Sequence[Reading], step: timedelta = STEP) -> list[Decision]:
    """Return the decisions about readings that come regularly."""
    state, found = CLEAR, []
    for number, reading in enumerate(readings):
        found.append(decide(terms, state, reading, START + number * step))
        state = found[-1].state
    return found


def steps(decisions: Sequence[Decision]) -> list[Step | None]:
    return [one.step for one in decisions]


def phases(decisions: Sequence[Decision]) -> list[Phase]:
    return [one.state.phase for one in decisions]


def test_a_condition_must_hold_for_its_time() -> None:
    found = run(TERMS, [BAD] * 5)
    assert phases(found) == [Phase.PENDING] * 4 + [Phase.FIRING]
    assert steps(found) == [None] * 4 + [Step.RAISE]
    assert found[-1].state.since == START


def test_one_good_reading_begins_the_time_anew() -> None:
    found = run(TERMS, [BAD, BAD, BAD, GOOD, BAD, BAD, BAD, BAD])
    assert Step.RAISE not in steps(found)
    assert found[3].state == replace(CLEAR, seen_at=START + 3 * STEP)


def test_without_a_time_it_is_raised_at_once() -> None:
    assert steps(run(AT_ONCE, [BAD, BAD])) == [Step.RAISE, None]


def test_a_good_reading_between_bad_ones_ends_nothing() -> None:
    found = run(AT_ONCE, [BAD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD])
    assert steps(found) == [Step.RAISE, None, None, None, None, Step.RESOLVE, None]


def test_a_new_occurrence_after_the_end_is_raised_again() -> None:
    terms = replace(AT_ONCE, keep_firing=timedelta())
    assert steps(run(terms, [BAD, GOOD, BAD, GOOD])) == [Step.RAISE, Step.RESOLVE, Step.RAISE, Step.RESOLVE]


@pytest.mark.parametrize(
    ("comparison", "below", "equal", "above"),
    [
        (Comparison.ABOVE, False, False, True),
        (Comparison.AT_LEAST, False, True, True),
        (Comparison.BELOW, True, False, False),
        (Comparison.AT_MOST, True, True, False),
    ],
)
def test_comparisons(comparison: Comparison, below: bool, equal: bool, above: bool) -> None:
    terms = replace(TERMS, comparison=comparison)
    assert [meets(terms, Sample(value, 1)) for value in (499.9, 500, 500.1)] == [below, equal, above]


def test_one_error_of_two_requests_wakes_nobody() -> None:
    terms = replace(AT_ONCE, min_volume=100)
    assert steps(run(terms, [Sample(900, 2), Sample(900, 99), Sample(900, 100)])) == [None, None, Step.RAISE]


def test_an_alert_ends_when_the_traffic_does() -> None:
    terms = replace(AT_ONCE, min_volume=100)
    assert steps(run(terms, [BAD, Sample(900, 3), Sample(900, 3), Sample(900, 3)]))[-1] is Step.RESOLVE


def test_what_is_no_number_is_no_data() -> None:
    assert meets(TERMS, Sample(float("nan"), 1_000))
    assert not meets(replace(TERMS, no_data=NoData.OK), Sample(float("nan"), 1_000))


class TestNoData:
    blind = (Blank.NO_DATA,) * 12

    def test_is_an_alert_by_default_but_not_at_once(self) -> None:
        assert steps(run(AT_ONCE, self.blind)).index(Step.RAISE) == BLIND_FOR / STEP

    def test_goes_on_where_the_condition_held_before(self) -> None:
        found = run(TERMS, [BAD, BAD, BAD, BAD, *self.blind])
        assert steps(found).index(Step.RAISE) == BLIND_FOR / STEP

    def test_does_not_end_what_fires(self) -> None:
        assert steps(run(AT_ONCE, [BAD, *self.blind])) == [Step.RAISE, *([None] * 12)]

    def test_can_mean_that_all_is_well(self) -> None:
        terms = replace(AT_ONCE, no_data=NoData.OK)
        assert steps(run(terms, [*self.blind, BAD, *self.blind])).count(Step.RESOLVE) == 1
        assert Step.RAISE not in steps(run(terms, self.blind))

    def test_can_keep_things_as_they_are(self) -> None:
        found = run(replace(TERMS, no_data=NoData.KEEP), [BAD, BAD, BAD, *self.blind, BAD, BAD, BAD, BAD, BAD])
        assert steps(found).index(Step.RAISE) == 3 + 12 + 4
        fires = replace(AT_ONCE, no_data=NoData.KEEP)
        assert steps(run(fires, [BAD, GOOD, *self.blind, GOOD, GOOD])) == [Step.RAISE, *([None] * 15)]


def test_what_is_gone_is_over() -> None:
    assert steps(run(AT_ONCE, [BAD, Blank.GONE, Blank.GONE, Blank.GONE]))[-1] is Step.RESOLVE
    assert run(TERMS, [BAD, Blank.GONE])[-1].state.phase is Phase.CLEAR


def test_nobody_knows_what_was_in_a_gap() -> None:
    later = START + timedelta(hours=1)
    pending = decide(TERMS, CLEAR, BAD, START).state
    assert decide(TERMS, pending, BAD, later) == Decision(State(Phase.PENDING, later, None, later))
    clearing = State(Phase.FIRING, START, START, START)
    assert decide(TERMS, clearing, GOOD, later).step is None
    assert decide(TERMS, clearing, GOOD, START + GAP).step is Step.RESOLVE


def test_acknowledging_ends_nothing_and_is_not_taken_back() -> None:
    known = State(Phase.ACKNOWLEDGED, START, None, START)
    still = decide(TERMS, known, BAD, START + STEP)
    assert (still.step, still.state.phase) == (None, Phase.ACKNOWLEDGED)
    again = decide(TERMS, replace(still.state, clear_since=START), GOOD, START + 2 * STEP)
    assert (again.step, again.state.phase) == (Step.RESOLVE, Phase.CLEAR)


def test_a_clock_that_was_ahead_does_not_hold_an_alert_up_for_ever() -> None:
    ahead = State(Phase.PENDING, START + timedelta(hours=1), None, START + timedelta(hours=1))
    state = decide(TERMS, ahead, BAD, START).state
    assert state.since == START
    assert decide(TERMS, state, BAD, START + TERMS.for_).step is Step.RAISE


# --- for any readings

readings_ = st.one_of(
    st.builds(
        Sample, st.sampled_from([100.0, 499.0, 501.0, 900.0, float("nan")]), st.sampled_from([0, 50, 100, 1_000])
    ),
    st.sampled_from(Blank),
)
spans = st.sampled_from([timedelta(seconds=seconds) for seconds in (0, 15, 40, 120)])
terms_ = st.builds(
    Terms,
    st.sampled_from(Comparison),
    st.sampled_from([100.0, 500.0]),
    spans,
    spans,
    st.sampled_from(NoData),
    st.sampled_from([0, 100]),
)
pauses = st.sampled_from([1, 15, 30, 119, 120, 121, 3_600])


@dataclass
class Seen:
    """A reading as it was decided about."""

    at: datetime
    reading: Reading
    before: State
    decision: Decision


@st.composite
def histories(draw: st.DrawFn) -> tuple[Terms, list[Seen]]:
    terms = draw(terms_)
    state, now, seen = CLEAR, START, []
    for reading, pause, acknowledge in draw(st.lists(st.tuples(readings_, pauses, st.booleans()), max_size=40)):
        now += timedelta(seconds=pause)
        decision = decide(terms, state, reading, now)
        seen.append(Seen(now, reading, state, decision))
        state = decision.state
        if acknowledge and state.phase is Phase.FIRING:
            state = replace(state, phase=Phase.ACKNOWLEDGED)
    return terms, seen


def streak(seen: Sequence[Seen], terms: Terms, *, met: bool) -> timedelta:
    """Return for how long readings were the same way, without a gap, up to the last; worked out from all of them."""
    begin = seen[-1].at
    for one in reversed(seen):
        if begin - one.at > GAP or meets(terms, one.reading) is not met or _is_kept(terms, one.reading):
            break
        begin = one.at
    return seen[-1].at - begin


def _is_blind(reading: Reading) -> bool:
    return reading is Blank.NO_DATA or (isinstance(reading, Sample) and isnan(reading.value))


def _is_kept(terms: Terms, reading: Reading) -> bool:
    return terms.no_data is NoData.KEEP and _is_blind(reading)


@given(histories())
def test_nothing_is_raised_before_its_time(history: tuple[Terms, list[Seen]]) -> None:
    terms, seen = history
    for number, one in enumerate(seen):
        if one.decision.step is Step.RAISE:
            assert meets(terms, one.reading)
            lasts = streak(seen[: number + 1], terms, met=True)
            assert lasts >= (max(terms.for_, BLIND_FOR) if _is_blind(one.reading) else terms.for_)


@given(histories())
def test_nothing_is_raised_late(history: tuple[Terms, list[Seen]]) -> None:
    terms, seen = history
    for number, one in enumerate(seen):
        if meets(terms, one.reading) and not _is_blind(one.reading):
            due = streak(seen[: number + 1], terms, met=True) >= terms.for_
            assert one.decision.state.is_open or not due


@given(histories())
def test_nothing_ends_before_its_time(history: tuple[Terms, list[Seen]]) -> None:
    terms, seen = history
    for number, one in enumerate(seen):
        if one.decision.step is Step.RESOLVE:
            assert not meets(terms, one.reading)
            assert streak(seen[: number + 1], terms, met=False) >= terms.keep_firing


@given(histories())
def test_raised_and_resolved_alternate(history: tuple[Terms, list[Seen]]) -> None:
    _, seen = history
    found = [one.decision.step for one in seen if one.decision.step is not None]
    assert found == [Step.RAISE, Step.RESOLVE] * (len(found) // 2) + [Step.RAISE] * (len(found) % 2)
    for one in seen:
        went_on = one.before.is_open and one.decision.step is None
        assert one.decision.state.is_open is (went_on or one.decision.step is Step.RAISE)


@given(histories())
def test_a_reading_that_is_decided_about_twice_changes_nothing_more(history: tuple[Terms, list[Seen]]) -> None:
    terms, seen = history
    for one in seen:
        again = decide(terms, one.decision.state, one.reading, one.at)
        assert again.step is None
        assert again.state.phase is one.decision.state.phase


@given(histories())
def test_only_people_acknowledge_and_nothing_takes_it_back(history: tuple[Terms, list[Seen]]) -> None:
    for one in history[1]:
        if one.before.phase is Phase.ACKNOWLEDGED:
            assert one.decision.state.phase in {Phase.ACKNOWLEDGED, Phase.CLEAR}
            assert (one.decision.state.phase is Phase.CLEAR) == (one.decision.step is Step.RESOLVE)
        else:
            assert one.decision.state.phase is not Phase.ACKNOWLEDGED


@given(histories())
def test_states_say_what_belongs_to_them(history: tuple[Terms, list[Seen]]) -> None:
    for one in history[1]:
        state = one.decision.state
        assert state.seen_at == one.at
        assert (state.since is None) is (state.phase is Phase.CLEAR)
        assert state.clear_since is None or state.is_open
