"""Repetitions in English words: `every monday`, `every 2 weeks`, `every last friday`, `weekdays`, `daily`. Pure.

A `Repeat` is the rule; RFC 5545 calls what `rule` writes a RECUR value. Its ends (`3 times`, `until june 1`) are said beside it.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from typing import Final

from mainstem.tasks.when_calendar import MONTHS, ordinal
from mainstem.tasks.when_clock import PARTS, ends
from mainstem.tasks.when_days import WEEKDAYS
from mainstem.tasks.when_spans import count
from mainstem.tasks.when_tokens import Token, joined

CODES: Final = "MO TU WE TH FR SA SU".split()
_UNITS: Final = {
    "minute": "MINUTELY",
    "hour": "HOURLY",
    "day": "DAILY",
    "week": "WEEKLY",
    "month": "MONTHLY",
    "year": "YEARLY",
}
_ADVERBS: Final = {
    "hourly": ("HOURLY", 1),
    "daily": ("DAILY", 1),
    "weekly": ("WEEKLY", 1),
    "biweekly": ("WEEKLY", 2),
    "fortnightly": ("WEEKLY", 2),
    "monthly": ("MONTHLY", 1),
    "quarterly": ("MONTHLY", 3),
    "yearly": ("YEARLY", 1),
    "annually": ("YEARLY", 1),
}
_WHICH: Final = {"first": 1, "1st": 1, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": -1, "second": 2, "2nd": 2}
REPEAT_BEGINNINGS: Final = (
    _ADVERBS.keys() | {f"{day}s" for day in WEEKDAYS} | {"every", "each", "once", "weekdays", "workdays"}
)
"""Words that a repetition can begin with; "on" and "at" lead it."""
_SEARCHED: Final = timedelta(days=366 * 8 + 2)
"""Long enough for every rule that can be said: February 29 skips eight years at most."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """How something repeats. `days` are weekdays, 0 is Monday; `which` counts them in a month, -1 from its end."""

    frequency: str
    interval: int = 1
    days: tuple[int, ...] = ()
    which: int = 0
    month_days: tuple[int, ...] = ()
    month: int = 0
    part: time | None = None

    def rule(self) -> str:
        """Return the rule as RFC 5545 writes it, without its end."""
        parts = [f"FREQ={self.frequency}"]
        if self.interval > 1:
            parts.append(f"INTERVAL={self.interval}")
        if self.month:
            parts.append(f"BYMONTH={self.month}")
        if self.month_days:
            parts.append("BYMONTHDAY=" + ",".join(str(day) for day in self.month_days))
        if self.days:
            parts.append("BYDAY=" + ",".join(f"{self.which or ''}{CODES[day]}" for day in self.days))
        return ";".join(parts)

    def first(self, start: date) -> date | None:
        """Return the first day that the rule holds on, from `start` on."""
        for step in range(_SEARCHED.days):
            on = start + timedelta(days=step)
            if self._holds(on):
                return on
        return None

    def _holds(self, on: date) -> bool:
        if self.days and on.weekday() not in self.days:
            return False
        if self.month and on.month != self.month:
            return False
        length = calendar.monthrange(on.year, on.month)[1]
        if self.month_days and on.day not in {length + 1 + day if day < 0 else day for day in self.month_days}:
            return False
        if self.which < 0:
            return on.day > length - 7
        return not self.which or (on.day - 1) // 7 + 1 == self.which


def repeat(tokens: Sequence[Token], position: int) -> tuple[Repeat, int] | None:
    """Return the repetition at `position` and where it ends."""
    word = tokens[position].word
    if word in {"every", "each"} and joined(tokens, position + 1):
        return _every(tokens, position + 1)
    if word == "once" and joined(tokens, position + 2) and tokens[position + 1].word in {"a", "per", "every", "each"}:
        unit = _UNITS.get(tokens[position + 2].word)
        return (Repeat(unit), position + 3) if unit else None
    at = position + (word == "on" and joined(tokens, position + 1))
    return _adverb(tokens, at, led=at > position)


def _adverb(tokens: Sequence[Token], position: int, *, led: bool) -> tuple[Repeat, int] | None:
    """`weekdays`, `mondays`, `daily`: only where no noun follows, for a weekly report is a report."""
    word, after = tokens[position].word, position + 1
    if not (ends(tokens, after) or _part(tokens, after) or (led and position <= 1)):
        return None
    if not led and word in _ADVERBS:
        return _detail(tokens, after, Repeat(*_ADVERBS[word]))
    days: tuple[int, ...] = ()
    if word in {"weekdays", "workdays"}:
        days = (0, 1, 2, 3, 4)
    elif led and word == "weekends":
        days = (5, 6)
    elif word.endswith("s") and len(word) > 6 and word[:-1] in WEEKDAYS:
        days, after = _weekdays(tokens, position, plural=True)
    return _with_part(tokens, after, Repeat("WEEKLY", days=days)) if days else None


def _every(tokens: Sequence[Token], position: int) -> tuple[Repeat, int] | None:
    word, interval, at = tokens[position].word, 1, position
    which = _WHICH.get(word, 0)
    if word == "other":
        interval, at = 2, position + 1
    elif which and joined(tokens, position + 1):
        return _nth(tokens, position, which)
    elif (number := ordinal(word)) is not None:
        return _on_day(tokens, position + 1, number)
    elif (many := count(tokens, position)) and joined(tokens, many[1]):
        interval, at = many
    if at >= len(tokens) or (at > position and not joined(tokens, at)) or not 1 <= interval <= 999:
        return None
    return _unit(tokens, at, interval)


def _unit(tokens: Sequence[Token], position: int, interval: int) -> tuple[Repeat, int] | None:
    """Return what comes after "every" and a number: a unit, weekdays, a part of the day, a day of the year."""
    word, after = tokens[position].word, position + 1
    one = word.removesuffix("s") if interval > 1 else word
    if one in WEEKDAYS:
        days, after = _weekdays(tokens, position, plural=interval > 1)
        return _with_part(tokens, after, Repeat("WEEKLY", interval, days=days))
    if one in MONTHS and joined(tokens, after):
        number = ordinal(tokens[after].word) or _number(tokens[after].word)
        return (Repeat("YEARLY", interval, month=MONTHS[one], month_days=(number,)), after + 1) if number else None
    if one in _UNITS:
        return _detail(tokens, after, Repeat(_UNITS[one], interval))
    if one in PARTS:
        return Repeat("DAILY", interval, part=PARTS[one]), after
    named = {
        "weekday": Repeat("WEEKLY", interval, days=(0, 1, 2, 3, 4)),
        "workday": Repeat("WEEKLY", interval, days=(0, 1, 2, 3, 4)),
        "weekend": Repeat("WEEKLY", interval, days=(5, 6)),
        "quarter": Repeat("MONTHLY", 3 * interval),
        "fortnight": Repeat("WEEKLY", 2 * interval),
    }
    return _with_part(tokens, after, named[one]) if one in named else None


def _nth(tokens: Sequence[Token], position: int, which: int) -> tuple[Repeat, int] | None:
    """`last friday`, `2nd monday of the month`, `last day of the month`, `second week` (every other), `1st` (of the month)."""
    word, after = tokens[position + 1].word, position + 2
    of_month = [tokens[place].word for place in range(after, after + 3) if joined(tokens, place)] in (
        ["of", "the", "month"],
        ["of", "each", "month"],
        ["of", "every", "month"],
    )
    end = after + 3 if of_month else after
    if word in WEEKDAYS:
        found = Repeat("WEEKLY", 2, days=(WEEKDAYS[word],)) if which == 2 and not of_month else None
        return _with_part(tokens, end, found or Repeat("MONTHLY", days=(WEEKDAYS[word],), which=which))
    if (word, which > 0) == ("of", True) and [
        tokens[place].word for place in range(after, after + 2) if joined(tokens, place)
    ] in (
        ["the", "month"],
        ["each", "month"],
    ):
        return Repeat("MONTHLY", month_days=(which,)), after + 2
    if word == "day" and (of_month or which < 0):
        return Repeat("MONTHLY", month_days=(which,)), end
    if word in _UNITS and which > 1:
        return Repeat(_UNITS[word], which), after
    if (number := ordinal(tokens[position].word)) is not None:
        return _on_day(tokens, position + 1, number)
    return None


def _on_day(tokens: Sequence[Token], position: int, number: int) -> tuple[Repeat, int] | None:
    """After `every 15th`: `of the month`, `day` (an interval) or nothing."""
    following = [tokens[place].word for place in range(position, position + 3) if joined(tokens, place)]
    if following[:1] in (["and"], ["&"]) and len(following) > 1 and (more := ordinal(following[1])):
        return Repeat("MONTHLY", month_days=tuple(sorted({number, more}))), position + 2
    if following[:1] == ["day"]:
        return Repeat("DAILY", number), position + 1
    if following in (["of", "the", "month"], ["of", "each", "month"]):
        return Repeat("MONTHLY", month_days=(number,)), position + 3
    if len(following) > 1 and following[0] == "of" and following[1] in MONTHS:
        return Repeat("YEARLY", month=MONTHS[following[1]], month_days=(number,)), position + 2
    # "every 10th customer" is none, but what begins a text says when
    return (Repeat("MONTHLY", month_days=(number,)), position) if position == 2 or ends(tokens, position) else None


def _detail(tokens: Sequence[Token], position: int, found: Repeat) -> tuple[Repeat, int]:
    """`on friday`, `on the 1st`, `on the first monday`, `on june 1`: which day of the week, month or year it is."""
    if not joined(tokens, position + 1) or tokens[position].word != "on":
        return found, position
    at = position + 1
    if tokens[at].word == "the" and joined(tokens, at + 1):
        at += 1
    if found.frequency == "WEEKLY" and tokens[at].word.removesuffix("s") in WEEKDAYS:
        days, after = _weekdays(tokens, at, plural=True)
        return replace(found, days=days), after
    if found.frequency == "MONTHLY":
        return _of_month(tokens, at, found) or (found, position)
    if found.frequency == "YEARLY" and tokens[at].word in MONTHS and joined(tokens, at + 1):
        number = ordinal(tokens[at + 1].word) or _number(tokens[at + 1].word)
        if number:
            return replace(found, month=MONTHS[tokens[at].word], month_days=(number,)), at + 2
    return found, position


def _of_month(tokens: Sequence[Token], position: int, found: Repeat) -> tuple[Repeat, int] | None:
    """`1st`, `first monday`, `last day`."""
    word = tokens[position].word
    following = tokens[position + 1].word if joined(tokens, position + 1) else ""
    if word in _WHICH and following in WEEKDAYS:
        return replace(found, days=(WEEKDAYS[following],), which=_WHICH[word]), position + 2
    if (word, following) == ("last", "day"):
        return replace(found, month_days=(-1,)), position + 2
    number = ordinal(word) or _WHICH.get(word, 0)
    return (replace(found, month_days=(number,)), position + 1) if number > 0 else None


def _number(word: str) -> int:
    return int(word) if word.isdecimal() and len(word) < 3 and 1 <= int(word) <= 31 else 0


def _weekdays(tokens: Sequence[Token], position: int, *, plural: bool) -> tuple[tuple[int, ...], int]:
    """`monday, wednesday and friday` and where that ends, each day once and in the order of the week."""
    found, after = set(), position
    while True:
        word = tokens[after].word
        found.add(WEEKDAYS[word if word in WEEKDAYS else word[:-1]])
        after += 1
        step = after
        if joined(tokens, step, comma=True) and tokens[step].word in {"and", "&", "or"}:
            step += 1
        following = tokens[step].word if joined(tokens, step, comma=True) else ""
        if following not in WEEKDAYS and not (plural and len(following) > 6 and following[:-1] in WEEKDAYS):
            return tuple(sorted(found)), after
        after = step


def _part(tokens: Sequence[Token], position: int) -> time | None:
    return PARTS.get(tokens[position].word.removesuffix("s")) if joined(tokens, position) else None


def _with_part(tokens: Sequence[Token], position: int, found: Repeat) -> tuple[Repeat, int]:
    part = _part(tokens, position)
    return (replace(found, part=part), position + 1) if part else (found, position)
