"""Days in English words: `tomorrow`, `next friday`, `in 3 days`, `end of month`, `the 14th`, dates of the calendar. Pure."""

import calendar
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from mainstem.tasks.when_calendar import MONTHS, ordinal, whole_month, written
from mainstem.tasks.when_clock import PARTS, ends
from mainstem.tasks.when_periods import ENDS, Day, add_months, period
from mainstem.tasks.when_spans import SHORT_SPAN, count
from mainstem.tasks.when_tokens import Token, joined, phrase

_DAYS: Final = "monday tuesday wednesday thursday friday saturday sunday".split()
WEEKDAYS: Final = {name: place for place, name in enumerate(_DAYS)} | {
    "mon": 0, "tue": 1, "tues": 1, "wed": 2, "weds": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6,
}  # fmt: skip
_DOUBTFUL: Final = frozenset({"mon", "wed", "sat", "sun"})
"""Short names that are other words, too: they count only after "on", "by" and the like."""
_NAMING: Final = frozenset("black good cyber ash palm easter casual super fat holy man girl bloody".split())
"""Before a weekday they make a name of it: Black Friday."""
_ALIASES: Final = {
    "tmr": "tomorrow",
    "tmrw": "tomorrow",
    "tomorow": "tomorrow",
    "tommorow": "tomorrow",
    "tommorrow": "tomorrow",
}
_UNITS: Final = {"day": "day", "week": "week", "month": "month", "year": "year", "fortnight": "fortnight"}
_SHORT_UNITS: Final = {"d": "day", "w": "week", "wk": "week"}
_HALF_DAY: Final = re.compile(r"^\d{1,2}(?:[:.]\d{2})?[ap]\.?m\.?$")
DAY_BEGINNINGS: Final = (
    WEEKDAYS.keys()
    | MONTHS.keys()
    | _ALIASES.keys()
    | ENDS.keys()
    | frozenset(
        "the day today tonight tomorrow yesterday later this next coming upcoming in within end start beginning".split()
    )
)
"""Words that a day can begin with, apart from numbers."""


def day(tokens: Sequence[Token], position: int, today: date, *, lead: str, first: bool) -> tuple[Day, int] | None:
    """Return the day at `position` and where it ends.

    `lead` is the word before it that would make a doubtful one a date ("by", "on"), `first` whether that begins the text.
    """
    if position >= len(tokens):
        return None
    try:
        return (
            _near(tokens, position, today)
            or _weekday(tokens, position, today, lead=lead, first=first)
            or _shifted(tokens, position, today)
            or period(tokens, position, today)
            or _calendar(tokens, position, today, lead=lead)
            or _of_month(tokens, position, today, lead=lead)
        )
    except (OverflowError, ValueError):
        return None  # a day beyond the calendar


def _near(tokens: Sequence[Token], position: int, today: date) -> tuple[Day, int] | None:
    words = phrase(tokens, position, 4)
    first = _ALIASES.get(words[0], words[0])
    tomorrow = today + timedelta(days=1)
    if words[0] == "the" and words[1:4] == ["day", "after", "tomorrow"]:
        return Day(today + timedelta(days=2)), position + 4
    if words[:3] == ["day", "after", "tomorrow"]:
        return Day(today + timedelta(days=2)), position + 3
    if words[:2] == ["later", "today"]:
        return Day(today, fixed=True), position + 2
    if first == "this" and len(words) > 1 and words[1] in PARTS and words[1] != "night":
        return Day(today, PARTS[words[1]], fixed=True), position + 2
    if first == "tonight":
        return Day(today, PARTS["night"], fixed=True), position + 1
    plain = {
        "today": Day(today, fixed=True),
        "tomorrow": Day(tomorrow),
        "yesterday": Day(today - timedelta(days=1), fixed=True, said=True),
    }
    return (plain[first], position + 1) if first in plain else None


def _weekday(tokens: Sequence[Token], position: int, today: date, *, lead: str, first: bool) -> tuple[Day, int] | None:
    words = phrase(tokens, position, 3)
    at = 1 if words[0] in {"next", "this", "coming", "upcoming"} else 2 if words[:2] == ["the", "coming"] else 0
    wanted = WEEKDAYS.get(words[at]) if at < len(words) else None
    if wanted is None or not (at or _counts(tokens, position, lead=lead, first=first)):
        return None
    after = position + at + 1
    if joined(tokens, after, comma=True) and (dated := _calendar(tokens, after, today, lead=lead)):
        return dated  # with the date beside it, the date says which one
    if at == 0 and joined(tokens, after) and phrase(tokens, after, 2) == ["next", "week"]:
        return _week_after(today, wanted), after + 2
    if words[0] == "next":
        return _week_after(today, wanted), after
    # today's name means today only with "this" before it
    least = 0 if at else 1
    return Day(today + timedelta(days=(wanted - today.weekday() - least) % 7 + least)), after


def _week_after(today: date, weekday: int) -> Day:
    return Day(today + timedelta(days=7 + weekday - today.weekday()))


def _counts(tokens: Sequence[Token], position: int, *, lead: str, first: bool) -> bool:
    """Whether a weekday without "next" is a date: a name (Black Friday) and an adjective (the monday meeting) aren't."""
    word = tokens[position].word
    if _in_range(tokens, position):
        return False
    if lead in {"by", "due", "before", "until", "till"}:
        return word not in _DOUBTFUL or _goes_on(tokens, position + 1)
    if lead:
        return _goes_on(tokens, position + 1) or (first and word not in _DOUBTFUL)
    if position and tokens[position - 1].word in _NAMING:
        return False
    if word in _DOUBTFUL:
        return joined(tokens, position + 1) and bool(_HALF_DAY.match(tokens[position + 1].word))
    return _goes_on(tokens, position + 1)


def _in_range(tokens: Sequence[Token], position: int) -> bool:
    """Whether it is one of two, as in `saturday or sunday` and `monday to friday`: neither says when."""
    for link, other in ((position + 1, position + 2), (position - 1, position - 2)):
        if (
            0 <= other < len(tokens)
            and joined(tokens, max(link, other))
            and tokens[link].word in {"or", "to", "and", "through", "-"}
            and tokens[other].word in WEEKDAYS
        ):
            return True
    return False


def _goes_on(tokens: Sequence[Token], position: int) -> bool:
    """Whether nothing follows, or something that goes on about when."""
    return (
        ends(tokens, position)
        or tokens[position].word in PARTS
        or tokens[position].word[:1].isdigit()
        or tokens[position].word == "noon"
    )


def _shifted(tokens: Sequence[Token], position: int, today: date) -> tuple[Day, int] | None:
    """`in 3 days`, `3 days from now`, `a week from friday`."""
    started = tokens[position].word in {"in", "within"}
    at = position + started
    if started and not joined(tokens, at):
        return None
    short = SHORT_SPAN.match(tokens[at].word)
    if short and short[2].rstrip("s") in {"day", "d", "week", "wk", "w"}:
        unit, many, after = short[2].rstrip("s"), int(short[1]), at + 1
    elif (found := count(tokens, at)) and joined(tokens, found[1]):
        many, after = found[0], found[1] + 1
        unit = tokens[found[1]].word.rstrip("'").removesuffix("s")
    else:
        return None
    unit = _SHORT_UNITS.get(unit, unit)
    if unit not in _UNITS:
        return None
    base = today
    if started:
        after += joined(tokens, after) and tokens[after].word == "time"
    elif joined(tokens, after + 1) and tokens[after].word in {"from", "after"}:
        anchor = _anchor(tokens, after + 1, today)
        if anchor is None:
            return None
        base, after = anchor[0].on, anchor[1]
    else:
        return None
    steps = {"day": 1, "week": 7, "fortnight": 14}
    on = (
        base + timedelta(days=many * steps[unit])
        if unit in steps
        else add_months(base, many * (12 if unit == "year" else 1))
    )
    return (Day(on), after) if on.year < 2200 else None


def _anchor(tokens: Sequence[Token], position: int, today: date) -> tuple[Day, int] | None:
    """Return the day that a span is counted from: `now`, `tomorrow`, `friday`, `june 1`."""
    if tokens[position].word == "now":
        return Day(today), position + 1
    return (
        _near(tokens, position, today)
        or _weekday(tokens, position, today, lead="by", first=False)
        or _calendar(tokens, position, today, lead="by")
    )


def _calendar(tokens: Sequence[Token], position: int, today: date, *, lead: str) -> tuple[Day, int] | None:
    found = written(tokens, position, today, led=bool(lead))
    if found is None and tokens[position].word == "in" and joined(tokens, position + 1):
        found = whole_month(tokens, position + 1, today)
    if found is None and lead in {"by", "before", "until", "till"}:
        found = whole_month(tokens, position, today)
    return None if found is None else (Day(found[0], said=found[1]), found[2])


def _of_month(tokens: Sequence[Token], position: int, today: date, *, lead: str) -> tuple[Day, int] | None:
    """Return `the 14th`, `the 3rd of next month`: the next month that has the day."""
    at = position + (tokens[position].word == "the" and joined(tokens, position + 1))
    number = 1 if lead and at > position and tokens[at].word == "first" else ordinal(tokens[at].word)
    if number is None or (at == position and not lead):
        return None
    after = at + 1
    tail = phrase(tokens, after, 3) if joined(tokens, after) else []
    month = today.replace(day=1)
    if tail in (["of", "the", "month"], ["of", "this", "month"]):
        after += 3
    elif tail == ["of", "next", "month"]:
        month, after = add_months(month, 1), after + 3
    elif not ends(tokens, after):
        return None
    for _ in range(4):
        if number <= calendar.monthrange(month.year, month.month)[1] and (on := month.replace(day=number)) >= today:
            return Day(on), after
        month = add_months(month, 1)
    return None
