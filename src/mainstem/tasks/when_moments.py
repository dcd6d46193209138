"""Moments in English words: a day, a time of the day, or both in either order, and the instant that they mean. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from mainstem.tasks.when_clock import Clock, clock, part
from mainstem.tasks.when_days import day
from mainstem.tasks.when_periods import Day
from mainstem.tasks.when_spans import minutes
from mainstem.tasks.when_tokens import Token, joined

DAY_ENDS: Final = time(23, 59, 59)
LEADS: Final = frozenset(
    "by on at due before for until till around @ from starting deadline over during early sometime".split()
)
HOUR_LEADS: Final = frozenset("by at due before until till around @".split())
_STRONG: Final = frozenset({"by", "due", "before", "deadline", "until", "till"})
_NO_HOURS: Final = frozenset(
    "look looks looking increase raise reduce cut lower multiply divide grow stare aim priced valued".split()
)
"""After these, "at 5" and "by 5" are amounts."""
_ISO: Final = re.compile(r"^\d{4}-\d{2}-\d{2}t\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:z|[+-]\d{2}:?\d{2})?$")
_LATEST_BARE_HOUR: Final = 22


@dataclass(frozen=True, slots=True)
class Moment:
    """A candidate: where it ends in the tokens, and what it says."""

    first: int
    after: int
    rank: int
    due: datetime | None
    all_day: bool
    recurrence: str | None = None


def _lead(tokens: Sequence[Token], position: int) -> tuple[str, int]:
    """Return the word that leads a date in ("by", "due on"), and where the date would begin."""
    lead, at = "", position
    while at < len(tokens) and at < position + 2 and tokens[at].word in LEADS:
        if at + 1 >= len(tokens) or tokens[at].after not in ("", ":") or tokens[at + 1].before:
            break
        # of "due on", the first says more
        lead = lead or tokens[at].word
        at += 1
    return lead, at


def moment(tokens: Sequence[Token], position: int, here: datetime, zone: ZoneInfo) -> Moment | None:
    """Return the moment at `position`, as seen at `here`, a time in `zone`; None when there is none or it doesn't exist."""
    lead, at = _lead(tokens, position)
    if at >= len(tokens):
        return None
    if span := minutes(tokens, at):
        then = instant(here.astimezone(UTC) + timedelta(minutes=span[0]), zone)
        return Moment(position, span[1], 2, then, all_day=False)
    if _ISO.match(tokens[at].word) and (written := _written(tokens[at].word, zone)) is not None:
        return Moment(position, at + 1, 2, written, all_day=False)
    dated = _dated(tokens, position, at, lead, here.date())
    if dated is None:
        return None
    on, at_clock, after = dated
    # a written-out day that is over today by its hour comes again: look from tomorrow on
    due, all_day = _resolve(on, at_clock, here, zone)
    if due is not None and on is not None and not (on.fixed or on.said) and due.astimezone(UTC) < here.astimezone(UTC):
        later = _dated(tokens, position, at, lead, here.date() + timedelta(days=1))
        due, all_day = _resolve(later[0], at_clock, here, zone) if later else (None, False)
    asked = position > 1 and tokens[position - 2].word == "remind" and tokens[position - 1].word == "me"
    rank = 3 if asked else 2 if lead in _STRONG and on else 1 if on else 0
    return None if due is None else Moment(position, after, rank, due, all_day)


def _written(word: str, zone: ZoneInfo) -> datetime | None:
    """Return the instant that ISO 8601 writes so; without an offset, of `zone`."""
    try:
        at = datetime.fromisoformat(word.upper())
        return (
            instant((at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC), zone)
            if 1900 <= at.year <= 2199
            else None
        )
    except (OverflowError, ValueError):
        return None


def _dated(
    tokens: Sequence[Token], position: int, at: int, lead: str, today: date
) -> tuple[Day | None, Clock | None, int] | None:
    """Return a day with or without a time, or a time with or without a day, whichever comes first."""
    first = position == 0 or bool(tokens[position - 1].after)
    if found := day(tokens, at, today, lead=lead, first=first):
        on, after = found
        timed = time_after(tokens, after)
        return on, timed[0] if timed else None, timed[1] if timed else after
    hours = lead in HOUR_LEADS and not any(token.word in _NO_HOURS for token in tokens[max(0, position - 4) : position])
    if not (lead in {"", "for", "starting", "from"} or hours):
        return None
    timed = clock(tokens, at, led=hours, dated=False)
    if timed is None:
        return None
    at_clock, after = timed
    step = after + 1 if joined(tokens, after + 1) and tokens[after].word in {"on", "by", "due"} else after
    if joined(tokens, step, comma=True) and (found := day(tokens, step, today, lead="on", first=False)):
        return found[0], at_clock, found[1]
    if hours and at_clock.loose and joined(tokens, after) and tokens[after].word in {"on", "for", "in"} and not lead:
        return None
    return None, at_clock, after


def time_after(tokens: Sequence[Token], position: int) -> tuple[Clock, int] | None:
    """Return the time that follows a day: `at 5`, `5pm`, `, 17:00`, `morning`, `in the evening`, `morning at 9`."""
    if not joined(tokens, position, comma=True):
        return None
    if found := part(tokens, position):
        named, after = Clock(found[0]), found[1]
        more = _hour_after(tokens, after)
        if more is None:
            return named, after
        late = named.at.hour >= 12 and more[0].loose and more[0].at.hour < 12
        return Clock(more[0].at.replace(hour=more[0].at.hour + 12) if late else more[0].at), more[1]
    return _hour_after(tokens, position)


def _hour_after(tokens: Sequence[Token], position: int) -> tuple[Clock, int] | None:
    if not joined(tokens, position, comma=True):
        return None
    led = tokens[position].word in {"at", "by", "@", "around", "before"} and joined(tokens, position + 1)
    return clock(tokens, position + led, led=led, dated=True)


def _resolve(on: Day | None, at_clock: Clock | None, here: datetime, zone: ZoneInfo) -> tuple[datetime | None, bool]:
    """Return the due date in the person's zone and whether it is a whole day."""
    now = here.astimezone(UTC)
    if on is None:
        return (_next_time(at_clock, here, zone), False) if at_clock else (None, False)
    said = at_clock.at if at_clock else on.part
    if said is None:
        return local(on.on, DAY_ENDS, zone), True
    if at_clock and at_clock.loose and on.part and on.part.hour >= 12 and said.hour < 12:
        said = said.replace(hour=said.hour + 12)
    due = local(on.on, said, zone)
    if due is None or due.astimezone(UTC) >= now or on.on != here.date():
        return due, False
    if at_clock and at_clock.loose and said.hour < 12:
        evening = local(on.on, said.replace(hour=said.hour + 12), zone)
        if evening is not None and evening.astimezone(UTC) >= now:
            return evening, False
    # tonight, said at night, is what is left of it
    return (due, False) if at_clock else (local(on.on, DAY_ENDS, zone), True)


def _next_time(at_clock: Clock, here: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the next time the clock shows that; a bare hour may mean the evening of today."""
    today, now = here.date(), here.astimezone(UTC)
    times = [at_clock.at]
    if at_clock.loose and at_clock.at.hour < 12 and at_clock.at.hour + 12 <= _LATEST_BARE_HOUR:
        times.append(at_clock.at.replace(hour=at_clock.at.hour + 12))
    for said in times:
        due = local(today, said, zone)
        if due is not None and due.astimezone(UTC) >= now:
            return due
    return local(today + timedelta(days=1), at_clock.at, zone)


def local(on: date, at: time, zone: ZoneInfo) -> datetime | None:
    """Return that time of that day in `zone`, never a wall time that a change of the clocks skips; None beyond the calendar."""
    try:
        return instant(datetime.combine(on, at, zone).astimezone(UTC), zone)
    except (OverflowError, ValueError):
        return None


def instant(at: datetime, zone: ZoneInfo) -> datetime:
    """Return `at` as the clocks of `zone` show it, to the second."""
    return at.astimezone(zone).replace(microsecond=0)
