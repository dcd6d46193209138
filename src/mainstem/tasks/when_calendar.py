"""Dates of the calendar, written out: `june 1st 2027`, `the 3rd of March`, `2026-12-24`, `24.12.2026`. Pure.

Which words make a date is our own rule; what written-out ones mean is read by dateparser, which is loaded when it is first wanted.
Without a year the next such day is meant. With slashes the month comes first unless it can't; with dots, the day.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from mainstem.tasks.when_clock import ends
from mainstem.tasks.when_tokens import Token, joined

_NAMES: Final = "january february march april may june july august september october november december".split()
MONTHS: Final = {name: place for place, name in enumerate(_NAMES, 1)} | {
    short: place
    for place, shorts in enumerate("jan feb mar apr - jun jul aug sep|sept oct nov dec".split(), 1)
    for short in shorts.split("|")
    if short != "-"
}
_DOUBTFUL: Final = frozenset({"may", "march", "mar", "jan", "dec", "sep"})
"""Month names that are other words, too: they count only where nothing follows that they would go with."""
_ORDINAL: Final = re.compile(r"^(\d{1,2})(?:st|nd|rd|th)$")
_NUMBER: Final = re.compile(r"^\d{1,2}$")
_YEAR: Final = re.compile(r"^(?:19|20|21)\d\d$")
_ISO: Final = re.compile(r"^(\d{4})-(\d{2})-(\d{2})$")
_SLASHED: Final = re.compile(r"^(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?$")
_DOTTED: Final = re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})$")
_NUMBERED: Final = frozenset("version v release build revision rev section chapter paragraph clause ip".split())
_NO_DATES: Final = frozenset({"24/7", "9/11", "7/11", "50/50"})


def ordinal(word: str) -> int | None:
    """Return the day of the month that `14th` names, 1 to 31."""
    found = _ORDINAL.match(word)
    return int(found[1]) if found and 1 <= int(found[1]) <= 31 else None


def written(tokens: Sequence[Token], position: int, today: date, *, led: bool) -> tuple[date, bool, int] | None:
    """Return the date at `position`, whether its year was said, and where it ends. `led`: "by" or "on" stands before it."""
    return _numeric(tokens, position, today, led=led) or _named(tokens, position, today)


def whole_month(tokens: Sequence[Token], position: int, today: date) -> tuple[date, bool, int] | None:
    """Return the first day of the month at `position` (`june`, `june 2027`), after "in" or "by"."""
    month = MONTHS.get(tokens[position].word)
    if month is None:
        return None
    if joined(tokens, position + 1, comma=True) and _YEAR.match(tokens[position + 1].word):
        return date(int(tokens[position + 1].word), month, 1), True, position + 2
    if not ends(tokens, position + 1):
        return None
    return date(today.year + (month <= today.month), month, 1), False, position + 1


def _numeric(tokens: Sequence[Token], position: int, today: date, *, led: bool) -> tuple[date, bool, int] | None:
    word = tokens[position].word
    if iso := _ISO.match(word):
        return _placed(_valid(int(iso[1]), int(iso[2]), int(iso[3])), True, position + 1)
    if (dotted := _DOTTED.match(word)) and not (position and tokens[position - 1].word in _NUMBERED):
        return _placed(_valid(int(dotted[3]), int(dotted[2]), int(dotted[1])), True, position + 1)
    if (slashed := _SLASHED.match(word)) is None or word in _NO_DATES:
        return None
    first, second, said = int(slashed[1]), int(slashed[2]), slashed[3]
    month, day = (second, first) if first > 12 else (first, second)
    if said:
        return _placed(_valid(int(said) + (2000 if len(said) == 2 else 0), month, day), True, position + 1)
    if not led or not ends(tokens, position + 1):
        return None
    return _placed(_next(month, day, today), False, position + 1)


def _named(tokens: Sequence[Token], position: int, today: date) -> tuple[date, bool, int] | None:
    def word(place: int) -> str:
        return tokens[place].word if place == position or joined(tokens, place) else ""

    at = position + (word(position) == "the" and bool(word(position + 1)))
    if word(at) in MONTHS:
        month, day = word(at), word(at + 1)
        after = at + 2
        clear = month not in _DOUBTFUL
        if not (ordinal(day) or (_NUMBER.match(day) and 1 <= int(day) <= 31)):
            return None
    else:
        day, of = word(at), word(at + 1) == "of"
        month = word(at + 1 + of) if word(at + 1) else ""
        after = at + 2 + of
        clear = bool(ordinal(day) or month not in _DOUBTFUL)
        if month not in MONTHS or not (ordinal(day) or (_NUMBER.match(day) and 1 <= int(day) <= 31)):
            return None
    year = ""
    if joined(tokens, after, comma=True) and _YEAR.match(tokens[after].word):
        year, after = tokens[after].word, after + 1
    if not (clear or year or ends(tokens, after)):
        return None
    on = _read(f"{ordinal(day) or day} {_NAMES[MONTHS[month] - 1]} {year}".strip(), today)
    return _placed(on, year, after)


@lru_cache(maxsize=1024)
def _read(words: str, today: date) -> date | None:
    """Return what dateparser makes of a day and a month; None when there is no such day."""
    import dateparser

    found = dateparser.parse(
        words,
        languages=["en"],
        settings={
            # the day before, so that today itself still lies ahead
            "RELATIVE_BASE": datetime.combine(today - timedelta(days=1), time()),
            "PREFER_DATES_FROM": "future",
            "REQUIRE_PARTS": ["day", "month"],
            "PARSERS": ["absolute-time"],
            "RETURN_AS_TIMEZONE_AWARE": False,
        },
    )
    return found.date() if found else None


def _next(month: int, day: int, today: date) -> date | None:
    for year in range(today.year, today.year + 9):
        if (on := _valid(year, month, day)) and on >= today:
            return on
    return None


def _placed(on: date | None, said: object, after: int) -> tuple[date, bool, int] | None:
    return None if on is None else (on, bool(said), after)


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if 1900 <= year <= 2199 else None
    except ValueError:
        return None
