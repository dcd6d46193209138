"""Times of the day in English words: `5pm`, `17:00`, `at 9`, `half past 5`, `noon`, `in the morning`. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from typing import Final

from mainstem.tasks.when_tokens import Token, joined

PARTS: Final = {
    "morning": time(9),
    "lunch": time(12),
    "lunchtime": time(12),
    "afternoon": time(15),
    "evening": time(18),
    "night": time(20),
}
"""What the parts of a day mean, when no hour is said."""
_LATE: Final = frozenset({"afternoon", "evening", "night"})
_NAMED: Final = {"noon": time(12), "midday": time(12), "midnight": time(23, 59)}
_HALF: Final = re.compile(r"^(\d{1,2})(?:[:.](\d{2}))?([ap])\.?m\.?$")
_CLOCK: Final = re.compile(r"^(\d{1,2})[:.](\d{2})$")
_TWO_DIGITS: Final = re.compile(r"^\d{2}:\d[05]$")
_HOUR: Final = re.compile(r"^\d{1,2}$")
_MERIDIEM: Final = {"am": "a", "a.m": "a", "a.m.": "a", "pm": "p", "p.m": "p", "p.m.": "p"}
NUMBERS: Final = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split()
    )
} | {"a": 1, "an": 1}
_FOLLOWING: Final = frozenset(
    "at by on in for with about to before after until till and or from re because if when then so via as please starting "
    "unless but every each today tonight tomorrow this next due sharp is it i that which".split()
)


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of the day; `loose` when it doesn't say which half of the day it means."""

    at: time
    loose: bool = False


def ends(tokens: Sequence[Token], position: int) -> bool:
    """Whether the phrase that ends before `position` stands by itself: no noun follows it that it would describe."""
    if position >= len(tokens) or tokens[position - 1].after:
        return True
    token = tokens[position]
    return bool(token.before) or token.word in _FOLLOWING or not token.word[:1].isalnum()


def clock(tokens: Sequence[Token], position: int, *, led: bool, dated: bool) -> tuple[Clock, int] | None:
    """Return the time at `position` and where it ends.

    `led`: "at" or "by" stands before it, so that a bare hour counts. `dated`: a date stands beside it, so that `17:00` does.
    """
    if (
        position > 1
        and tokens[position - 1].word in {"and", "to", "or", "-"}
        and tokens[position - 2].word[:1].isdigit()
    ):
        return None  # the end of a range: its beginning would stay in the title
    found = _plain(tokens, position, led=led, dated=dated) or _spoken(tokens, position, led=led, dated=dated)
    if found is None:
        return None
    at, after = found
    if joined(tokens, after) and tokens[after].word == "sharp":
        after += 1
    part, later = _part_of_day(tokens, after)
    if part is None:
        return at, after
    return (_in_part(at, part) if at.loose else at), later


def part(tokens: Sequence[Token], position: int) -> tuple[time, int] | None:
    """Return the part of a day at `position`, after a day: `morning`, `in the morning`, `at night`."""
    if joined(tokens, position) and tokens[position].word in PARTS and ends(tokens, position + 1):
        return PARTS[tokens[position].word], position + 1
    name, after = _part_of_day(tokens, position)
    return None if name is None else (PARTS[name], after)


def _plain(tokens: Sequence[Token], position: int, *, led: bool, dated: bool) -> tuple[Clock, int] | None:
    if position >= len(tokens):
        return None
    word = tokens[position].word
    following = tokens[position + 1].word if joined(tokens, position + 1) else ""
    if half := _HALF.match(word):
        return _made(half[1], half[2], half[3], position + 1)
    if following in _MERIDIEM and (_HOUR.match(word) or _CLOCK.match(word)):
        hour, _, minute = word.replace(".", ":").partition(":")
        return _made(hour, minute, _MERIDIEM[following], position + 2)
    if following in {"o'clock", "oclock"} and (_HOUR.match(word) or word in NUMBERS):
        return _made(str(NUMBERS.get(word, word)), None, None, position + 2)
    if (whole := _CLOCK.match(word)) and (led or dated or _alone(tokens, position)) and (":" in word or led or dated):
        return _made(whole[1], whole[2], None, position + 1) if dated or ends(tokens, position + 1) else None
    # "at 5" is a time, "at 5 Main Street" is not, "monday at 5 yoga" is again
    bare = led and _HOUR.match(word) and (dated or ends(tokens, position + 1))
    return _made(word, None, None, position + 1) if bare else None


def _alone(tokens: Sequence[Token], position: int) -> bool:
    """Whether `21:30` stands at an edge of the text and looks like a time, not like a ratio."""
    edge = position in (0, len(tokens) - 1)
    return edge and bool(_TWO_DIGITS.match(tokens[position].word))


def _made(hour: str, minute: str | None, half: str | None, after: int) -> tuple[Clock, int] | None:
    hours, minutes = int(hour), int(minute or 0)
    if minutes > 59 or hours > 23 or (half and not 1 <= hours <= 12):
        return None
    if half:
        return Clock(time(hours % 12 + (12 if half == "p" else 0), minutes)), after
    loose = 1 <= hours <= 12 and not hour.startswith("0")
    return Clock(_waking(hours, minutes) if loose else time(hours, minutes), loose), after


def _waking(hour: int, minute: int) -> time:
    """Return the half of the day people are awake in: 1 to 6 are in the afternoon, 7 to 11 in the morning, 12 is noon."""
    return time(hour + 12 if hour < 7 else hour, minute)


def _spoken(tokens: Sequence[Token], position: int, *, led: bool, dated: bool) -> tuple[Clock, int] | None:
    if position >= len(tokens):
        return None
    word = tokens[position].word
    if (led or dated) and word in _NAMED and ends(tokens, position + 1):
        return Clock(_NAMED[word]), position + 1
    if not led or not joined(tokens, position + 2) or word not in {"half", "quarter"}:
        return None
    direction, hour = tokens[position + 1].word, tokens[position + 2].word
    value = NUMBERS.get(hour) or (int(hour) if _HOUR.match(hour) else 0)
    if not 1 <= value <= 12 or direction not in {"past", "to"} or (word == "half" and direction == "to"):
        return None
    minute = 30 if word == "half" else 15 if direction == "past" else 45
    hour_of = value if direction == "past" else (value - 2) % 12 + 1
    return Clock(_waking(hour_of, minute), loose=True), position + 3


def _part_of_day(tokens: Sequence[Token], position: int) -> tuple[str | None, int]:
    """`in the morning`, `at night` and where it ends; None and `position` when there is nothing of the kind."""
    for words, after in (("in the", position + 2), ("at", position + 1), ("during the", position + 2)):
        wanted = words.split()
        if not all(joined(tokens, position + place) for place in range(len(wanted) + 1)):
            continue
        if [tokens[position + place].word for place in range(len(wanted))] != wanted:
            continue
        name = tokens[after].word
        if name in PARTS and (name in {"night", "lunch", "lunchtime"}) == (words == "at") and ends(tokens, after + 1):
            return name, after + 1
    return None, position


def _in_part(at: Clock, name: str) -> Clock:
    hour = at.at.hour % 12
    return Clock(at.at.replace(hour=hour + 12 if name in _LATE and not (name == "night" and hour < 5) else hour))
