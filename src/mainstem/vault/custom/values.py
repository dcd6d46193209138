"""JSON values to the values of a column's type. Pure: what can't be cast says what it is and what was expected."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from types import MappingProxyType
from typing import Final
from uuid import UUID

from mainstem.vault.clean import clean_json, clean_text

_INT8: Final = 2**63
_MOST_DIGITS: Final = 1_000
"""Digits of a number before or after the point: far fewer than PostgreSQL takes."""
_TRUTH: Final = MappingProxyType({"true": True, "false": False})


def parse(data: str) -> object:
    """Return the JSON of an event with exact numbers (int, Decimal)."""
    return json.loads(data, parse_float=Decimal)


def cast(value: object, type_: str) -> object:
    """Return a JSON value as Python value of a column type; None for null.

    Texts that spell a value of the type are taken for it. Raises ValueError with the rest of a sentence that
    begins with the name of the field.
    """
    if value is None:
        return None
    result = CASTS[type_](value)
    if result is None:
        raise ValueError(f"must be {EXPECTED[type_]}, not {_shown(value)}")
    return result


def plain(value: object, type_: str) -> object:
    """Return a cast value as JSON from which PostgreSQL makes the same value of the type."""
    if value is None or isinstance(value, bool):
        return value
    return json.loads(str(value)) if type_ == "jsonb" else text_of(value)


def text_of(value: object) -> str:
    """Return the one text of a cast value: part of a hash key."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)


def _text(value: object) -> str | None:
    match value:
        case str():
            return clean_text(value)
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            number = _numeric(value)
            return None if number is None else format(number, "f")
        case _:
            return None


def _int8(value: object) -> int | None:
    number = _numeric(value)
    if number is None or number != number.to_integral_value() or not -_INT8 <= number < _INT8:
        return None
    return int(number)


def _numeric(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS or int(number.as_tuple().exponent) < -_MOST_DIGITS:
        return None
    # a zero has no sign in PostgreSQL
    return number or abs(number)


def _float8(value: object) -> float | None:
    number = _numeric(value)
    result = None if number is None else float(number)
    return result if result is not None and isfinite(result) else None


def _bool(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return _TRUTH.get(value.strip().lower()) if isinstance(value, str) else None


def _timestamptz(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    try:
        # a time without offset is not known to the hour: better refused than guessed
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None


def _date(value: object) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _uuid(value: object) -> UUID | None:
    if not isinstance(value, str):
        return None
    try:
        return UUID(value)
    except ValueError:
        return None


def _jsonb(value: object) -> str:
    return clean_json(_dumped(value))


def _dumped(value: object) -> str:
    """Return exact JSON: the encoder of the standard library knows no Decimal."""
    match value:
        case Decimal():
            return str(value)
        case list():
            return f"[{','.join(map(_dumped, value))}]"
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{_dumped(item)}" for key, item in value.items()) + "}"
        case _:
            return json.dumps(value)


CASTS: Final[Mapping[str, Callable[[object], object]]] = MappingProxyType(
    {
        "text": _text,
        "int8": _int8,
        "numeric": _numeric,
        "float8": _float8,
        "bool": _bool,
        "timestamptz": _timestamptz,
        "date": _date,
        "uuid": _uuid,
        "jsonb": _jsonb,
    }
)
"""Types that a column of a user may have, with what makes such a value of JSON; None: it can't be made."""
EXPECTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "text": "a text, a number or true/false",
        "int8": "a whole number of at most 19 digits",
        "numeric": "a number",
        "float8": "a number",
        "bool": "true or false",
        "timestamptz": "a time with offset, like 2026-05-31T12:00:00Z",
        "date": "a day like 2026-05-31",
        "uuid": "a UUID",
        "jsonb": "JSON",
    }
)


def _shown(value: object) -> str:
    match value:
        case list():
            return "a list"
        case dict():
            return "an object"
        case str():
            return repr(value[:40])
        case _:
            return str(value)[:40]
