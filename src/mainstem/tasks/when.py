"""When a task is due, from what people write: "call mom tomorrow at 5pm" has a date, "upgrade to 24/7 support" has none. Pure.

`find` looks for the one phrase of a text that says when, by rules of its own (`when_days`, `when_clock`, `when_repeats`) which would
rather miss a date than see one in a name; `dateparser` then reads what a written-out date means. Nothing here reads a clock: `now` and
the person's zone are passed in.

What holds, whatever the text: nothing is raised, the same text gives the same answer, the span lies inside the text, and the
due date is not past unless the text says a past one outright (a year, "yesterday", "today at 9am" in the afternoon).
A whole day is due at its last second, 23:59:59. A wall time that a change of the clocks skips is the one as long after the change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from mainstem.tasks.when_clock import NUMBERS
from mainstem.tasks.when_days import DAY_BEGINNINGS
from mainstem.tasks.when_moments import LEADS, Moment, moment
from mainstem.tasks.when_repeats import REPEAT_BEGINNINGS
from mainstem.tasks.when_series import series
from mainstem.tasks.when_tokens import Token, split
from mainstem.tasks.when_words import words

__all__ = ["Found", "find", "load", "without", "words"]

_PUNCTUATION: Final = frozenset(",;:.!?)")
_MOST_TOKENS: Final = 250
_BEGINNINGS: Final = (
    LEADS | DAY_BEGINNINGS | REPEAT_BEGINNINGS | NUMBERS.keys() | frozenset("every each once the".split())
)
"""Words that a phrase about when can begin with, apart from numbers: most words of a text needn't be looked at twice."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a text says about when.

    `start` and `end` span the words to take out of a title, with a leading "by", "on", "at" or "due"; `words` are they, as typed.
    `due` is in the person's zone, and None when a repetition is over before it begins. `recurrence` is an RFC 5545 RRULE value
    without "RRULE:"; its UNTIL is in UTC. `all_day`: no time of the day was said, `due` is the day's last second.
    """

    start: int
    end: int
    due: datetime | None
    words: str
    recurrence: str | None
    all_day: bool


def find(text: str, *, now: datetime, zone: ZoneInfo) -> Found | None:
    """Return what `text` says about when, or None. Of several phrases, a repetition wins, then one after "by" or "due", then the last.

    Only the first 250 words are looked at.
    """
    tokens = split(text)[:_MOST_TOKENS]
    here = now.astimezone(zone)
    best: Moment | None = None
    position = 0
    while position < len(tokens):
        word = tokens[position].word
        if word not in _BEGINNINGS and not word[:1].isdigit():
            position += 1
            continue
        found = series(tokens, position, here, zone) or moment(tokens, position, here, zone)
        if found and (best is None or found.rank >= best.rank):
            best = found
        position = found.after if found else position + 1
    return None if best is None else _found(text, tokens, best)


def load() -> None:
    """Load what reads written-out dates, about 0.2 s, so that the first person who writes one needn't wait for it."""
    find("june 1", now=datetime(2000, 1, 1, tzinfo=UTC), zone=ZoneInfo("UTC"))


def without(text: str, found: Found) -> str:
    """`text` without the words of `found`, mended where they were taken out."""
    before, after = text[: found.start].rstrip(), text[found.end :].lstrip()
    if after[:1] in _PUNCTUATION and after:
        rest = before.rstrip(",;:-") + after if before else after[1:]
    else:
        rest = f"{before} {after}"
    rest = rest.strip(" ,;:-")
    return rest if any(letter.isalnum() for letter in rest) else ""


def _found(text: str, tokens: Sequence[Token], best: Moment) -> Found:
    start, end = tokens[best.first].start, tokens[best.after - 1].end
    if text[start - 1 : start] == "(" and text[end : end + 1] == ")":
        start, end = start - 1, end + 1
    return Found(start, end, best.due, text[start:end], best.recurrence, best.all_day)
