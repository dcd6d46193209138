"""Words, numbers and times as Tripleseat writes them. Pure; whatever is none of them is None.

Days are "11/26/2026" or ISO 8601; times "11/26/2026 06:00 PM", ISO 8601 with or without offset, or "2026-11-26 23:00:00 UTC";
money comes as numbers or as texts ("132797.5", "$1,234.50").
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo

LONGEST_TEXT: Final = 2_000
_LONGEST_NUMBER: Final = 32
_MOST: Final = Decimal(10) ** 12
_SMALLEST_EXPONENT: Final = -8
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]+")
_NUMBER: Final = re.compile(
    r"(?P<sign>-?)\$?(?P<digits>[0-9]{1,3}(,[0-9]{3})+|[0-9]+)(?P<rest>(\.[0-9]*)?)|\.[0-9]+", re.ASCII
)
_US_DATE: Final = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", re.ASCII)
_ISO_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))? ?([AP]M)?", re.ASCII | re.IGNORECASE)


def text_of(value: object) -> str | None:
    """Return a text without control characters and blanks around it, cut to 2,000 characters; None for an empty one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    # the digits of a number have a limit of their own
    text = value if isinstance(value, str) else repr(value) if isinstance(value, float) or abs(value) < _MOST else ""
    return _CONTROL.sub(" ", text).strip()[:LONGEST_TEXT] or None


def number_of(value: object) -> Decimal | None:
    """Return a number or an amount of money: 12, 12.5, "12", "1,234.50", "$1,234.50", "-3". None: it is none, or not finite."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, str):
        text = value.strip()
        found = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
        if found is None:
            return None
        text = text.replace("$", "").replace(",", "")
    elif isinstance(value, int):
        text = str(value) if abs(value) < _MOST else "NaN"
    else:
        # a float that came by adding up is off in its last digits
        text = repr(round(value, 6)) if isinstance(value, float) else str(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(number) >= _MOST or exponent < _SMALLEST_EXPONENT:
        return None
    return number


def day_of(value: object) -> date | None:
    """Return a day out of "11/26/2026", "2026-11-26" or a time that begins with one of them; None: it is none."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    american, iso = _US_DATE.match(text), _ISO_DATE.match(text)
    found = american or iso
    if found is None or text[found.end() : found.end() + 1] not in {"", " ", "T"}:
        return None
    numbers = [int(part) for part in found.groups()]
    year, month, day = (numbers[2], numbers[0], numbers[1]) if american else numbers
    # near the ends of the calendar nothing takes place, and what is reckoned from there overflows
    if not 1900 < year < 9000:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def moment_of(value: object, zone: tzinfo) -> datetime | None:
    """Return a time, in UTC, out of "11/26/2026 06:00 PM", ISO 8601 with or without offset, or the like; None: it is none.

    A time without an offset is one of `zone`; where clocks are put back, the first of two.
    """
    day = day_of(value)
    if day is None or not isinstance(value, str):
        return None
    text = value.strip()
    moment = _iso_moment(text) if text[:4].isdigit() else _us_moment(day, text.partition(" ")[2].strip())
    if moment is None:
        return None
    # in UTC, for in a zone a time that is twice, or never, equals none but itself
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)


def _iso_moment(text: str) -> datetime | None:
    if len(text) <= len("2026-11-26"):
        return None
    try:
        return datetime.fromisoformat(f"{text[:-4]}+00:00" if text.endswith(" UTC") else text)
    except ValueError:
        return None


def _us_moment(day: date, text: str) -> datetime | None:
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        return None
    hour, half = int(clock[1]), (clock[4] or "").upper()
    if half:
        hour = hour % 12 + (12 if half == "PM" else 0) if 1 <= hour <= 12 else 24
    try:
        return datetime(day.year, day.month, day.day, hour, int(clock[2]), int(clock[3] or 0))  # noqa: DTZ001 - its zone follows
    except ValueError:
        return None


def days_around(since: datetime, until: datetime, zone: ZoneInfo) -> tuple[date, date]:
    """Return the first and the last day of a search for what was changed in a window.

    Searches know days only and the zone of these is not told, so that a day more on each side is looked at.
    """
    day = timedelta(days=1)
    return since.astimezone(zone).date() - day, until.astimezone(zone).date() + day
