"""When a recurring task comes next: RRULE (RFC 5545, 3.3.10), in the wall time of the person's zone. Pure.

Dates are counted without a zone and only then placed in it, so that nine o'clock stays nine o'clock when clocks change. A time
that does not exist on its day (the hour that is skipped) is read as if the clock had not changed, as RFC 5545 has it
(3.3.5); of a time that comes twice the first is meant.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from mainstem.platform.errors import InvalidFieldError
from mainstem.tasks.model import RepeatFrom

LONGEST: Final = 500
_PARTS: Final = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "BYWEEKNO", "BYYEARDAY"}
    | {"BYHOUR", "BYMINUTE", "WKST"}
)
_FREQUENCIES: Final = frozenset({"HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_MOST_COUNT: Final = 1_000
_MOST_INTERVAL: Final = 1_000
_SAMPLE: Final = datetime(2026, 1, 1, 9)  # noqa: DTZ001 - a wall time
_HORIZON: Final = timedelta(days=366 * 30)
"""A rule that has no date within this has none."""


def check(text: str, *, field: str = "recurrence") -> str:
    """Return a rule in its one form, without `RRULE:`. Raises InvalidFieldError for what is none."""
    rule = text.strip().upper().removeprefix("RRULE:")
    parts = [part.partition("=") for part in rule.split(";")] if rule else []
    names = [name for name, _, _ in parts]
    if not parts or len(rule) > LONGEST or len(set(names)) < len(names) or not set(names) <= _PARTS:
        raise InvalidFieldError("A recurrence is an RRULE such as FREQ=WEEKLY;BYDAY=FR.", field=field)
    values = {name: value for name, _, value in parts}
    if values.get("FREQ") not in _FREQUENCIES:
        raise InvalidFieldError("FREQ is one of HOURLY, DAILY, WEEKLY, MONTHLY and YEARLY.", field=field)
    if "COUNT" in values and "UNTIL" in values:
        raise InvalidFieldError("A recurrence has COUNT or UNTIL, not both.", field=field)
    for name, most in (("COUNT", _MOST_COUNT), ("INTERVAL", _MOST_INTERVAL)):
        value = values.get(name, "1")
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= most):
            raise InvalidFieldError(f"{name} is a number from 1 to {most:,}.", field=field)
    try:
        _rule(rule, _SAMPLE)
        _until_of(rule, ZoneInfo("UTC"))
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidFieldError("This recurrence is no valid RRULE.", field=field) from error
    return rule


def following(  # noqa: PLR0913 - what a date hangs on
    rule: str,
    *,
    start: datetime,
    due: datetime,
    occurrence: int,
    zone: ZoneInfo,
    repeat_from: RepeatFrom = RepeatFrom.DUE,
    completed_at: datetime | None = None,
) -> datetime | None:
    """Return when a series comes next, in UTC; None when it is over.

    `start` is its first date, `due` that of the occurrence with number `occurrence` (from 1). From completion, the next
    one is counted from the day of `completed_at`, at the time of day of `start`.
    """
    count = _count(rule)
    if count is not None and occurrence >= count:
        return None
    first, last = _local(start, zone), _local(due, zone)
    if repeat_from is RepeatFrom.COMPLETION and completed_at is not None:
        last = first = datetime.combine(_local(completed_at, zone).date(), first.time())
    elif "FREQ=HOURLY" in rule:
        # the hours since the beginning may be many
        first = last
    for found in _dates(rule, first, zone, last + _HORIZON):
        if found > last:
            return placed(found, zone)
    return None


def placed(local: datetime, zone: ZoneInfo) -> datetime:
    """Return a wall time of a zone in UTC."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def dates(rule: str, start: datetime, zone: ZoneInfo, most: int) -> list[datetime]:
    """Return the first dates of a series, in UTC, at most so many."""
    first = _local(start, zone)
    count = _count(rule)
    found = _dates(rule, first, zone, first + _HORIZON)
    return [placed(one, zone) for one in islice(found, most if count is None else min(most, count))]


def _dates(rule: str, first: datetime, zone: ZoneInfo, last: datetime) -> Iterator[datetime]:
    """Yield the wall times of a series up to `last`; COUNT is the caller's, for it counts what was done."""
    until = _until_of(rule, zone)
    return iter(_rule(rule, first).replace(until=last if until is None else min(until, last)))


def _rule(rule: str, first: datetime) -> rrule:
    """Return a rule without its end. Raises ValueError and what the parser raises."""
    parts = [part for part in rule.split(";") if not part.startswith(("UNTIL=", "COUNT="))]
    parsed = rrulestr(";".join(parts), dtstart=first)
    if not isinstance(parsed, rrule):
        msg = "a line of RRULE is one rule"
        raise TypeError(msg)
    return parsed


def _until_of(rule: str, zone: ZoneInfo) -> datetime | None:
    """Return the last wall time of a rule that counts. Raises ValueError."""
    text = next((part.removeprefix("UNTIL=") for part in rule.split(";") if part.startswith("UNTIL=")), None)
    return None if text is None else _until(text, zone)


def _until(text: str, zone: ZoneInfo) -> datetime:
    """Return the last wall time that counts: a day means its end. Raises ValueError."""
    if "T" not in text:
        return datetime.strptime(text, "%Y%m%d").replace(hour=23, minute=59, second=59)  # noqa: DTZ007 - a wall time
    if text.endswith("Z"):
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return _local(moment, zone)
    return datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - a wall time


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _count(rule: str) -> int | None:
    return next((int(part.removeprefix("COUNT=")) for part in rule.split(";") if part.startswith("COUNT=")), None)
