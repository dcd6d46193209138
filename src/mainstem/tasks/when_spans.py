"""Numbers and spans of time in English words: `3`, `a couple of`, `in 2 hours`, `in half an hour`. Pure."""

import re
from collections.abc import Sequence
from typing import Final

from mainstem.tasks.when_clock import NUMBERS
from mainstem.tasks.when_tokens import Token, joined

SHORT_SPAN: Final = re.compile(r"^(\d{1,4})(minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|wks?|w)$")
_COUNT: Final = re.compile(r"^\d{1,4}$")
_HALVES: Final = re.compile(r"^\d{1,3}\.5$")
_MINUTES: Final = {"minute": 1, "min": 1, "m": 1, "hour": 60, "hr": 60, "h": 60}


def count(tokens: Sequence[Token], position: int) -> tuple[int, int] | None:
    """Return the number at `position` (`3`, `three`, `a couple of`) and where it ends."""
    if position >= len(tokens):
        return None
    words = [tokens[place].word for place in range(position, min(position + 3, len(tokens)))]
    if words[:2] == ["a", "couple"]:
        return 2, position + 2 + (words[2:] == ["of"])
    if _COUNT.match(words[0]):
        return int(words[0]), position + 1
    value = NUMBERS.get(words[0])
    return (value, position + 1) if value else None


def minutes(tokens: Sequence[Token], position: int) -> tuple[float, int] | None:
    """Return a span of hours or minutes from now at `position` (`in 2 hours`, `in half an hour`), in minutes, and where it ends."""
    if tokens[position].word != "in" or not joined(tokens, position + 1):
        return None
    words = [token.word for token in tokens[position + 1 : position + 4]]
    many: float
    if words[:3] == ["half", "an", "hour"]:
        return 30, position + 4
    if short := SHORT_SPAN.match(words[0]):
        many, unit, after = int(short[1]), short[2], position + 2
    elif len(words) > 1 and _HALVES.match(words[0]):
        many, unit, after = float(words[0]), words[1], position + 3
    elif (counted := count(tokens, position + 1)) and joined(tokens, counted[1]):
        many, unit, after = counted[0], tokens[counted[1]].word, counted[1] + 1
    else:
        return None
    factor = _MINUTES.get(unit.removesuffix("s"))
    if factor is None:
        return None
    if joined(tokens, after + 2) and [token.word for token in tokens[after : after + 3]] == ["and", "a", "half"]:
        many, after = many + 0.5, after + 3
    return many * factor, after
