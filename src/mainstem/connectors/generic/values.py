"""Values as others write them: texts, numbers, days and moments out of JSON; None for what is not there. Pure.

A value that is there and can't be read is a fault, which is something else than a value that is not there.
"""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo


class FaultError(ValueError):
    """A value is there and can't be read."""


def text_of(value: Any) -> str | None:  # noqa: ANN401 - any JSON
    """Return a text, or a whole number as one; None for nothing and for blanks. Raises FaultError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise FaultError
    return str(value).replace("\0", "").strip() or None


def number_of(value: Any) -> Decimal | None:  # noqa: ANN401 - any JSON
    """Return a number, also one that is written as text. Raises FaultError."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise FaultError
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise FaultError from None
    if not number.is_finite() or abs(number) >= Decimal(10) ** 12:
        raise FaultError
    return number


def whole_of(value: Any) -> int | None:  # noqa: ANN401 - any JSON
    """Return a whole number. Raises FaultError."""
    number = number_of(value)
    if number is None:
        return None
    if number != number.to_integral_value() or number < 0:
        raise FaultError
    return int(number)


def moment_of(value: Any, zone: str | None) -> datetime | None:  # noqa: ANN401 - any JSON
    """Return a moment; one without an offset is of the zone, of UTC where there is none. Raises FaultError."""
    text = text_of(value)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise FaultError from None
    if moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=ZoneInfo(zone) if zone else UTC)


def day_of(value: Any, zone: str | None) -> date | None:  # noqa: ANN401 - any JSON
    """Return a day; of a moment with an offset, its day in the zone. Raises FaultError."""
    text = text_of(value)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        moment = moment_of(text, zone)
    if moment is None:
        raise FaultError
    return moment.astimezone(ZoneInfo(zone)).date() if zone else moment.date()


def truth_of(value: Any, wanted: list[Any]) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether a value is among those wanted; none wanted: whether it is true."""
    return value in wanted if wanted else bool(value)
