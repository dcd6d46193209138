"""Tastypie's filters, order, pages and choice of fields. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlencode

from mainstem.sandbox.revel.tables import Resource, Row

_NOT_FILTERS: Final = frozenset({"limit", "offset", "order_by", "fields", "format", "api_key", "api_secret"})
_DEFAULT_LIMIT: Final = 20


class QueryError(Exception):
    """A parameter that Tastypie refuses; the text is its own."""


def page(
    resource: Resource, rows: Iterable[Row], columns: frozenset[str], given: Sequence[tuple[str, str]], most: int
) -> dict[str, Any]:
    """Return the envelope of a list. `columns` are the fields the resource has; `most` objects of a page at most.

    A filter on a field that does not exist is ignored, as Tastypie does. `limit=0` is all. Raises QueryError.
    """
    last = dict(given)
    tests = [test for name, value in given if (test := _test(resource, columns, name, value)) is not None]
    found = [row for row in rows if all(test(row) for test in tests)]
    for name in reversed([name for name in last.get("order_by", "").split(",") if name]):
        _sort(found, name, columns)
    limit, offset = _number(last, "limit", _DEFAULT_LIMIT), _number(last, "offset", 0)
    limit = min(limit, most)
    end = offset + limit if limit else len(found)

    def link(to: int) -> str:
        kept = [(name, value) for name, value in given if name not in {"limit", "offset", "api_key", "api_secret"}]
        return f"/{resource.root}/{resource.name}/?{urlencode([*kept, ('limit', limit), ('offset', to)])}"

    return {
        "meta": {
            "limit": limit,
            "next": link(end) if end < len(found) else None,
            "offset": offset,
            "previous": link(max(0, offset - limit)) if offset else None,
            "total_count": len(found),
        },
        "objects": [chosen(row, last.get("fields")) for row in found[offset:end]],
    }


def chosen(row: Row, fields: str | None) -> Row:
    """Return the fields of a row that are wanted: all without a choice."""
    if not fields:
        return row
    wanted = {name.strip() for name in fields.split(",")}
    return {name: value for name, value in row.items() if name in wanted}


def _number(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        msg = f"Invalid {name} '{text}' provided. Please provide a positive integer."
        raise QueryError(msg)
    return int(text)


def _sort(rows: list[Row], name: str, columns: frozenset[str]) -> None:
    column = name.removeprefix("-")
    if column not in columns:
        msg = f"No matching '{column}' field for ordering on."
        raise QueryError(msg)
    rows.sort(key=lambda row: (row.get(column) is not None, row.get(column)), reverse=name.startswith("-"))


def _test(resource: Resource, columns: frozenset[str], name: str, value: str) -> Callable[[Row], bool] | None:
    column, _, operator = name.partition("__")
    if name in _NOT_FILTERS or column not in columns:
        return None
    if operator in {"", "id"}:
        operator = "exact"
    if operator not in _OPERATORS:
        msg = f"The '{column}' field does not allow filtering by '{operator}'."
        raise QueryError(msg)
    holds = _OPERATORS[operator]
    # a foreign key is compared by its id; a client may send its URI
    read = _key if column in resource.links else _same
    wanted = ",".join(str(_key(part)) for part in value.split(",")) if column in resource.links else value
    return lambda row: holds(read(row.get(column)), wanted)


def _same(value: object) -> object:
    return value


def _key(value: object) -> object:
    if isinstance(value, str) and value.startswith("/"):
        return int(value.rstrip("/").rpartition("/")[2])
    return value


def _as(sample: object, text: str) -> Any:  # noqa: ANN401 - whatever the column holds
    """Return the text of a filter as what the column holds."""
    if isinstance(sample, bool):
        return text.lower() in {"true", "1"}
    if isinstance(sample, int | float):
        try:
            return Decimal(text)
        except InvalidOperation:
            msg = f"Invalid value '{text}': a number is expected."
            raise QueryError(msg) from None
    return text


def _pair(value: object, text: str) -> tuple[Any, Any]:
    """Return both sides of a comparison by size: times as times, for `2026-11-01` is no text before `2026-11-01T00:00:00`."""
    if isinstance(value, str):
        one, other = _moment(value), _moment(text)
        return (value, text) if one is None or other is None else (one, other)
    if isinstance(value, float):
        return Decimal(str(value)), _as(value, text)
    return value, _as(value, text)


def _moment(text: str) -> datetime | None:
    """Return a time; its offset is passed over, for the rows have none."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _equal(value: object, text: str) -> bool:
    if text in {"None", "null"}:
        return value is None
    if value is None:
        return False
    one, other = _pair(value, text)
    return bool(one == other)


def _sized(compare: Callable[[Any, Any], bool]) -> Callable[[object, str], bool]:
    return lambda value, text: value is not None and compare(*_pair(value, text))


def _text(compare: Callable[[str, str], bool], *, fold: bool) -> Callable[[object, str], bool]:
    def holds(value: object, text: str) -> bool:
        if value is None:
            return False
        return compare(str(value).casefold(), text.casefold()) if fold else compare(str(value), text)

    return holds


def _in_range(value: object, text: str) -> bool:
    low, comma, high = text.partition(",")
    if not comma:
        msg = f"Invalid range '{text}': two values with a comma are expected."
        raise QueryError(msg)
    return _OPERATORS["gte"](value, low) and _OPERATORS["lte"](value, high)


_OPERATORS: Final[Mapping[str, Callable[[object, str], bool]]] = {
    "exact": _equal,
    "iexact": _text(lambda one, other: one == other, fold=True),
    "lt": _sized(lambda one, other: one < other),
    "lte": _sized(lambda one, other: one <= other),
    "gt": _sized(lambda one, other: one > other),
    "gte": _sized(lambda one, other: one >= other),
    "contains": _text(lambda one, other: other in one, fold=False),
    "icontains": _text(lambda one, other: other in one, fold=True),
    "startswith": _text(str.startswith, fold=False),
    "istartswith": _text(str.startswith, fold=True),
    "endswith": _text(str.endswith, fold=False),
    "iendswith": _text(str.endswith, fold=True),
    "in": lambda value, text: any(_equal(value, part) for part in text.split(",")),
    "range": _in_range,
    "isnull": lambda value, text: (value is None) is (text.lower() in {"true", "1"}),
}
