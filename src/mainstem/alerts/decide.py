"""What a reading does to an alert: the one place that decides when something is raised and when it is over. Pure.

`decide` is called for one instance (a rule and the labels of what it looks at) in each round. It stores nothing, sends nothing
and reads no clock. What holds, whatever the readings:

- nothing is raised unless the condition held in every reading of the last `for_`, and readings came without a gap;
- nothing is resolved unless the condition was not met for `keep_firing`, again without a gap (hysteresis);
- raised and resolved alternate: a new occurrence after the end is a new episode;
- people acknowledge; deciding never takes that back, and acknowledging never ends anything.
"""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from mainstem.platform.measure import Sample

BLIND_FOR: Final = timedelta(minutes=2)
"""Shortest time without data that raises an alert: a restart of the hub takes less."""
GAP: Final = timedelta(minutes=2)
"""Time between two readings beyond which nobody knows what was between them."""


class Comparison(StrEnum):
    """How a value is compared with the threshold; the condition holds when that is true."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="


class NoData(StrEnum):
    """What it means that nothing is known."""

    ALERT = "alert"
    """As if the condition held: who can't see must not say that all is well."""
    OK = "ok"
    """As if it did not."""
    KEEP = "keep"
    """What fires goes on, and nothing begins."""


class Blank(StrEnum):
    """A reading without a value."""

    NO_DATA = "no data"
    """Nothing is known of the metric."""
    GONE = "gone"
    """Others have a value, what this one looked at has none any more."""


class Phase(StrEnum):
    """Where an instance stands."""

    CLEAR = "clear"
    PENDING = "pending"
    """The condition holds, not for long enough yet."""
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    """Firing, and somebody knows."""


class Step(StrEnum):
    """What changes beyond the instance itself."""

    RAISE = "raise"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rule says about when."""

    comparison: Comparison
    threshold: float
    for_: timedelta = timedelta()
    """How long the condition must hold."""
    keep_firing: timedelta = timedelta()
    """How long it must not be met before the alert is over."""
    no_data: NoData = NoData.ALERT
    min_volume: int = 0
    """Samples that stand on less don't meet the condition."""


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of an instance between two readings."""

    phase: Phase = Phase.CLEAR
    since: datetime | None = None
    """When the condition began to hold; None when clear."""
    clear_since: datetime | None = None
    """While firing: since when it is not met any more."""
    seen_at: datetime | None = None
    """When it was decided last."""

    @property
    def is_open(self) -> bool:
        """Whether there is an episode."""
        return self.phase in {Phase.FIRING, Phase.ACKNOWLEDGED}


CLEAR: Final = State()


@dataclass(frozen=True, slots=True)
class Decision:
    """The state from now on, and what else is to be done."""

    state: State
    step: Step | None = None


class _Verdict(StrEnum):
    MET = "met"
    BLIND = "blind"
    """Met, for the reason that nothing is known."""
    NOT_MET = "not met"
    UNKNOWN = "unknown"


_HOLDS: Final[Mapping[Comparison, Callable[[float, float], bool]]] = {
    Comparison.ABOVE: operator.gt,
    Comparison.AT_LEAST: operator.ge,
    Comparison.BELOW: operator.lt,
    Comparison.AT_MOST: operator.le,
}


def decide(terms: Terms, state: State, reading: Sample | Blank, now: datetime, *, gap: timedelta = GAP) -> Decision:
    """Return what a reading at `now` (aware) makes of an instance.

    After more than `gap` without a reading, what was under way (becoming an alert, becoming clear) begins anew.
    """
    verdict = _verdict(terms, reading)
    known = _without_gap(state, now, gap)
    match verdict:
        case _Verdict.MET:
            return _met(known, now, terms.for_)
        case _Verdict.BLIND:
            return _met(known, now, max(terms.for_, BLIND_FOR))
        case _Verdict.NOT_MET:
            return _not_met(known, now, terms.keep_firing)
        case _Verdict.UNKNOWN:
            # time in the dark counts neither for nor against: what was under way begins anew with the next value
            return Decision(replace(known if known.is_open else CLEAR, clear_since=None, seen_at=now))
        case _:
            assert_never(verdict)


def meets(terms: Terms, reading: Sample | Blank) -> bool:
    """Tell whether a reading meets the condition, also by there being no data: whether there is anything to decide."""
    return _verdict(terms, reading) in {_Verdict.MET, _Verdict.BLIND}


def _verdict(terms: Terms, reading: Sample | Blank) -> _Verdict:
    if reading is Blank.GONE:
        return _Verdict.NOT_MET
    if isinstance(reading, Blank) or math.isnan(reading.value):
        return {
            NoData.ALERT: _Verdict.BLIND,
            NoData.OK: _Verdict.NOT_MET,
            NoData.KEEP: _Verdict.UNKNOWN,
        }[terms.no_data]
    holds = reading.volume >= terms.min_volume and _HOLDS[terms.comparison](reading.value, terms.threshold)
    return _Verdict.MET if holds else _Verdict.NOT_MET


def _without_gap(state: State, now: datetime, gap: timedelta) -> State:
    if state.seen_at is None or now - state.seen_at <= gap:
        return state
    since = now if state.phase is Phase.PENDING else state.since
    return replace(state, since=since, clear_since=None)


def _met(state: State, now: datetime, for_: timedelta) -> Decision:
    if state.is_open:
        return Decision(replace(state, clear_since=None, seen_at=now))
    # clocks of two processes may differ: nothing began later than now
    since = min(state.since or now, now)
    if now - since >= for_:
        return Decision(State(Phase.FIRING, since, None, now), Step.RAISE)
    return Decision(State(Phase.PENDING, since, None, now))


def _not_met(state: State, now: datetime, keep_firing: timedelta) -> Decision:
    if not state.is_open:
        return Decision(replace(CLEAR, seen_at=now))
    clear_since = min(state.clear_since or now, now)
    if now - clear_since >= keep_firing:
        return Decision(replace(CLEAR, seen_at=now), Step.RESOLVE)
    return Decision(replace(state, clear_since=clear_since, seen_at=now))
