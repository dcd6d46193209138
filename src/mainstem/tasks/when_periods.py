"""Weeks, months and years in English words: `next week`, `this weekend`, `end of the month`, `eom`. Pure."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Final

from mainstem.tasks.when_tokens import Token, phrase

ENDS: Final = {"eod": "day", "eow": "week", "eom": "month", "eoy": "year"}


@dataclass(frozen=True, slots=True)
class Day:
    """A day, with the part of it that its words named. `fixed`: it is meant even when that part has passed; `said`: in full."""

    on: date
    part: time | None = None
    fixed: bool = False
    said: bool = False


def period(tokens: Sequence[Token], position: int, today: date) -> tuple[Day, int] | None:
    """Return `next week`, `this weekend`, `end of the month` or `eom` and where it ends."""
    words = phrase(tokens, position, 5)
    if words[0] in ENDS:
        return Day(_end_of(ENDS[words[0]], today), fixed=True), position + 1
    at = int(words[0] in {"the", "later"})
    match words[at : at + 2]:
        case ["next", unit] if not at and (on := _start_of_next(unit, today)):
            return Day(on), position + 2
        case ["this", "week" | "month" as unit]:
            return Day(_end_of(unit, today), fixed=True), position + at + 2
        case ["this", "weekend"] | ["weekend", *_] if at or words[0] == "this":
            saturday = max(today, today + timedelta(days=5 - today.weekday()))
            return Day(saturday, fixed=True), position + (2 if words[at] == "this" else at + 1)
        case ["end" | "start" | "beginning" as edge, "of"]:
            return _edge(words[at + 2 :], edge, today, position + at + 2)
    return None


def _edge(words: Sequence[str], edge: str, today: date, position: int) -> tuple[Day, int] | None:
    """Return the last or the first day of what `words` at `position` name: `the month`, `next week`, `year`."""
    following = words[:1] == ["next"]
    at = int(words[:1] in (["the"], ["this"], ["next"]))
    unit = words[at] if at < len(words) else ""
    begin = _start_of_next(unit, today) if following else today
    if unit not in {"day", "week", "month", "year"} or begin is None or not (edge == "end" or following):
        return None
    return Day(_end_of(unit, begin) if edge == "end" else begin, fixed=True), position + at + 1


def _start_of_next(unit: str, today: date) -> date | None:
    monday = today - timedelta(days=today.weekday())
    starts = {
        "week": monday + timedelta(days=7),
        "weekend": monday + timedelta(days=12),
        "month": add_months(today.replace(day=1), 1),
        "year": date(today.year + 1, 1, 1),
    }
    return starts.get(unit)


def _end_of(unit: str, on: date) -> date:
    """Return the last day of a period; a week ends on Friday, and on Sunday for those who ask at the weekend."""
    if unit == "week":
        return on + timedelta(days=(4 if on.weekday() <= 4 else 6) - on.weekday())
    if unit == "month":
        return on.replace(day=calendar.monthrange(on.year, on.month)[1])
    return date(on.year, 12, 31) if unit == "year" else on


def add_months(on: date, months: int) -> date:
    """Return the same day some months later, or the last one of a shorter month. Raises ValueError beyond the calendar."""
    year, month = divmod(on.year * 12 + on.month - 1 + months, 12)
    return date(year, month + 1, min(on.day, calendar.monthrange(year, month + 1)[1]))
