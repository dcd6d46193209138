"""Spans of time as people ask for them: hours, days, weeks and months of a time zone. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mainstem.platform.errors import InvalidFieldError

_MONTHS_A_YEAR = 12


class Bots(StrEnum):
    """Whose traffic is counted."""

    EXCLUDE = "exclude"
    INCLUDE = "include"
    ONLY = "only"

    @property
    def sides(self) -> list[bool]:
        """Return the values of is_bot that count."""
        return {Bots.EXCLUDE: [False], Bots.INCLUDE: [False, True], Bots.ONLY: [True]}[self]


class Step(StrEnum):
    """Length of one point of a series; weeks begin on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Compare(StrEnum):
    """What a span is compared with."""

    NONE = "none"
    PREVIOUS = "previous"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Span:
    """From a time until another, which is not part of it; both aware."""

    start: datetime
    end: datetime

    def before(self, compare: Compare, zone: ZoneInfo) -> "Span | None":
        """Return the span that this one is compared with: the one before it, of the same length, or a year earlier."""
        match compare:
            case Compare.NONE:
                return None
            case Compare.PREVIOUS:
                return Span(self.start - (self.end - self.start), self.start)
            case Compare.YEAR:
                return Span(_a_year_before(self.start, zone), _a_year_before(self.end, zone))


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Raises InvalidFieldError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidFieldError("timezone must be an IANA name such as Europe/Berlin.", field="timezone") from None


def floor(moment: datetime, step: Step, zone: ZoneInfo) -> datetime:
    """Return the beginning of the hour, day, week or month that an aware time is in, as UTC."""
    if step is Step.HOUR:
        # an hour is an hour, also where clocks are put back; zones are off by quarters of an hour
        offset = moment.astimezone(zone).utcoffset() or timedelta()
        local = (moment.astimezone(UTC) + offset).replace(minute=0, second=0, microsecond=0)
        return local - offset
    return _midnight(_first_day(moment.astimezone(zone).date(), step), zone)


def after(start: datetime, step: Step, zone: ZoneInfo) -> datetime:
    """Return where the next one begins, as UTC; `start` is the beginning of one."""
    if step is Step.HOUR:
        return start.astimezone(UTC) + timedelta(hours=1)
    day = start.astimezone(zone).date()
    match step:
        case Step.DAY:
            day += timedelta(days=1)
        case Step.WEEK:
            day += timedelta(days=7)
        case Step.MONTH:
            day = date(day.year + day.month // _MONTHS_A_YEAR, day.month % _MONTHS_A_YEAR + 1, 1)
    return _midnight(day, zone)


def starts(span: Span, step: Step, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the beginnings of all that a span touches, as UTC."""
    start = floor(span.start, step, zone)
    while start < span.end:
        yield start
        start = after(start, step, zone)


def _first_day(day: date, step: Step) -> date:
    match step:
        case Step.WEEK:
            return day - timedelta(days=day.weekday())
        case Step.MONTH:
            return day.replace(day=1)
        case _:
            return day


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return when a day begins; where clocks jump over midnight, that is the first moment there is."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _a_year_before(moment: datetime, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    leap_day = (local.month, local.day) == (2, 29)
    return local.replace(year=local.year - 1, day=28 if leap_day else local.day).astimezone(UTC)
