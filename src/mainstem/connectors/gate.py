"""The time gate: an order is made on the day that its booking takes place, in the zone of the site, and on no other.

A function of the day, the zone and the time; it reads no clock. A day begins at the first moment whose local date it is,
which is not always midnight: clocks are put forward over it here and there, and one day in Samoa never was.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_SECOND: Final = timedelta(seconds=1)


class Closed(StrEnum):
    """Why the gate is closed, in the words of CONTRACTS part E after TIME_GATE_CLOSED_."""

    TOO_EARLY = "TOO_EARLY"
    EVENT_DAY_PASSED = "EVENT_DAY_PASSED"
    UNKNOWN_TIMEZONE = "UNKNOWN_TIMEZONE"
    INVALID_DATE_FORMAT = "INVALID_DATE_FORMAT"
    MISSING_DATA = "MISSING_DATA"

    @property
    def reason(self) -> str:
        """Return the whole word."""
        return f"TIME_GATE_CLOSED_{self.value}"


@dataclass(frozen=True, slots=True)
class Proceed:
    """It is the day."""


@dataclass(frozen=True, slots=True)
class TooEarly:
    """The day is still to come."""

    until: datetime
    """When to ask again: its first moment, in UTC."""


@dataclass(frozen=True, slots=True)
class DayPassed:
    """The day is over."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """It can't be told."""

    why: Closed


Gate = Proceed | TooEarly | DayPassed | Unknown


def time_gate(on: date | None, zone: str | None, now: datetime, *, on_text: str | None = None) -> Gate:
    """Return whether an order for a day is made now. Total: every input has an answer.

    `now` is aware. `on_text` is what stood where a date should be, when there is none.
    """
    if on is None:
        return Unknown(Closed.INVALID_DATE_FORMAT if on_text else Closed.MISSING_DATA)
    if not zone:
        return Unknown(Closed.MISSING_DATA)
    found = zone_named(zone)
    if found is None:
        return Unknown(Closed.UNKNOWN_TIMEZONE)
    today = _local_date(now, found)
    if today == on:
        return Proceed()
    return DayPassed() if today > on else TooEarly(_first_moment(on, found, now))


def reason_of(gate: Gate) -> str | None:
    """Return the reason of CONTRACTS part E; None when the gate is open."""
    match gate:
        case Proceed():
            return None
        case TooEarly():
            return Closed.TOO_EARLY.reason
        case DayPassed():
            return Closed.EVENT_DAY_PASSED.reason
        case Unknown(why):
            return why.reason


@lru_cache(maxsize=1_024)
def zone_named(name: str) -> ZoneInfo | None:
    """Return a zone of the IANA database, None for a name that is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError):
        # ZoneInfoNotFoundError is a KeyError; names may also be folders, or lead out of the database
        return None
    except KeyError:
        return None


def _local_date(moment: datetime, zone: ZoneInfo) -> date:
    try:
        return moment.astimezone(zone).date()
    except OverflowError:
        return moment.date()


def _first_moment(on: date, zone: ZoneInfo, now: datetime) -> datetime:
    """Return the first moment after `now` whose local date is `on`, or is later where clocks skip the day."""
    midnights = [datetime(on.year, on.month, on.day, tzinfo=zone, fold=fold) for fold in (0, 1)]
    try:
        late, early = (midnight.astimezone(UTC) for midnight in midnights)
    except OverflowError:
        return max(datetime(on.year, on.month, on.day, tzinfo=UTC), now + _SECOND)
    if late <= early:
        # an ordinary midnight, or one that comes twice: clocks may be put back from it to the day before
        return late if late > now else max(early, now + _SECOND)
    # clocks are put forward over midnight: the day begins when they are
    while late - early > _SECOND:
        middle = early + (late - early) / 2
        middle -= timedelta(microseconds=middle.microsecond)
        if middle <= early:
            break
        if _local_date(middle, zone) >= on:
            late = middle
        else:
            early = middle
    return late
