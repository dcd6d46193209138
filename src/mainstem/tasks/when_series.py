"""Repetitions with their time, their beginning and their end: `every monday at 9 starting next week until june 1`. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from mainstem.tasks.when_clock import Clock, clock
from mainstem.tasks.when_days import day
from mainstem.tasks.when_moments import DAY_ENDS, HOUR_LEADS, Moment, instant, local, time_after
from mainstem.tasks.when_repeats import Repeat, repeat
from mainstem.tasks.when_spans import count
from mainstem.tasks.when_tokens import Token, joined


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is said around a repetition: its time, its first day, its COUNT or the last instant of it, and where all that ends."""

    after: int
    at_clock: Clock | None = None
    start: date | None = None
    times: int = 0
    last: datetime | None = None


def series(tokens: Sequence[Token], position: int, here: datetime, zone: ZoneInfo) -> Moment | None:
    """Return the repetition at `position` and its first time, as seen at `here`, a time in `zone`; None when there is none."""
    at_clock: Clock | None = None
    at = position
    if led := tokens[position].word in HOUR_LEADS and joined(tokens, position + 1):
        at = position + 1
    if (timed := clock(tokens, at, led=led, dated=True)) and joined(tokens, timed[1]):
        at_clock, at = timed
    elif led:
        at = position
    found = repeat(tokens, at)
    if found is None:
        return None
    rule, after = found
    frame = _framed(tokens, _Frame(after, at_clock), here, zone)
    said = frame.at_clock.at if frame.at_clock else rule.part
    if said and rule.part and frame.at_clock and frame.at_clock.loose and rule.part.hour >= 12 and said.hour < 12:
        said = said.replace(hour=said.hour + 12)
    due = _first(rule, said, frame.start, here, zone)
    text = rule.rule()
    if frame.last is not None:
        text += f";UNTIL={frame.last.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        due = None if due is None or due.astimezone(UTC) > frame.last.astimezone(UTC) else due
    elif frame.times:
        text += f";COUNT={frame.times}"
    all_day = said is None and rule.frequency not in {"HOURLY", "MINUTELY"}
    return Moment(position, frame.after, 4, due, all_day, text)


def _framed(tokens: Sequence[Token], frame: _Frame, here: datetime, zone: ZoneInfo) -> _Frame:
    """Return `frame` with what is said after the repetition, in any order."""
    while joined(tokens, frame.after, comma=True):
        at, word = frame.after, tokens[frame.after].word
        if frame.at_clock is None and (timed := time_after(tokens, at)):
            frame = replace(frame, at_clock=timed[0], after=timed[1])
        elif word in {"starting", "from", "beginning"} and (begin := _day_after(tokens, at, here.date())):
            frame = replace(frame, start=begin[0], after=begin[1])
        elif word in {"until", "till", "through", "ending"} and (end := _day_after(tokens, at, here.date())):
            frame = replace(frame, last=local(end[0], DAY_ENDS, zone), after=end[1])
        elif counted := _counted(tokens, at):
            times, days, after = counted
            until = local((frame.start or here.date()) + timedelta(days=days - 1), DAY_ENDS, zone) if days else None
            frame = replace(frame, times=times, last=until, after=after)
        else:
            break
    return frame


def _day_after(tokens: Sequence[Token], position: int, today: date) -> tuple[date, int] | None:
    at = position + 1
    if joined(tokens, at + 1) and tokens[at].word in {"on", "from"}:
        at += 1
    found = day(tokens, at, today, lead="by", first=False) if joined(tokens, at) else None
    return (found[0].on, found[1]) if found else None


def _counted(tokens: Sequence[Token], position: int) -> tuple[int, int, int] | None:
    """`3 times` as times, `for 6 weeks` as days, and where it ends."""
    at = position + (tokens[position].word == "for" and joined(tokens, position + 1))
    many = count(tokens, at)
    if many is None or not joined(tokens, many[1]) or not 1 <= many[0] < 1000:
        return None
    unit = tokens[many[1]].word.removesuffix("s")
    if unit == "time":
        return many[0], 0, many[1] + 1
    length = {"day": 1, "week": 7, "month": 30, "year": 365}.get(unit)
    return (0, many[0] * length, many[1] + 1) if length and at > position else None


def _first(rule: Repeat, said: time | None, start: date | None, here: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first time, not past, that the repetition comes round."""
    now = here.astimezone(UTC)
    if rule.frequency in {"HOURLY", "MINUTELY"} and said is None and start is None:
        return instant(now + timedelta(minutes=rule.interval * (60 if rule.frequency == "HOURLY" else 1)), zone)
    begin = max(start or here.date(), here.date())
    due = _on_first(rule, begin, said, zone)
    if due is not None and due.astimezone(UTC) < now:
        due = _on_first(rule, begin + timedelta(days=1), said, zone)
    return due


def _on_first(rule: Repeat, begin: date, said: time | None, zone: ZoneInfo) -> datetime | None:
    try:
        on = rule.first(begin)
    except OverflowError:
        return None
    return None if on is None else local(on, said or DAY_ENDS, zone)
