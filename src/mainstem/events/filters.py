"""Which events an endpoint gets: patterns of kinds, and conditions on what is in them. Pure and total.

A filter is a JSON object; all of its conditions must hold. A key is a dotted path into the event's data
(`guest.vip`), or `$kind`, `$source`, `$subject`; its value is what must stand there, or an object of operators:

    {"status": "paid", "total": {"$gte": 100}, "$or": [{"site": "north"}, {"guest.vip": true}]}

Operators: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $startswith, $contains; $and, $or and $not combine filters.
What is not there equals nothing but null under $eq, and fails every comparison. true is not 1, inside of lists and objects, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any, Final, TypeAlias

from mainstem.platform.errors import InvalidFieldError

_DEEPEST: Final = 5
_MOST_CONDITIONS: Final = 50
_MOST_VALUES: Final = 200
_DEEPEST_VALUE: Final = 20
_LONGEST_PATH: Final = 200
_OWN: Final = ("$kind", "$source", "$subject")
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}


class _Missing:
    """What a path that leads nowhere finds."""


_MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Subject:
    """An event as filters see it."""

    kind: str
    source: str
    subject: str | None
    data: Mapping[str, Any]


Condition: TypeAlias = Callable[[Subject], bool]


def parse(given: object, *, field: str = "filter") -> Condition:
    """Return what decides whether an event passes. Raises InvalidFieldError naming the part that is wrong."""
    return _Parser(field).all_of(given, 1)


class _Parser:
    def __init__(self, field: str) -> None:
        self._field = field
        self._conditions = 0

    def _fault(self, sentence: str) -> InvalidFieldError:
        return InvalidFieldError(sentence, field=self._field)

    def all_of(self, given: object, depth: int) -> Condition:
        if not isinstance(given, Mapping):
            raise self._fault("A filter is an object of conditions.")
        if depth > _DEEPEST:
            raise self._fault(f"Filters are nested at most {_DEEPEST} deep.")
        parts = [self._one(str(key), value, depth) for key, value in given.items()]
        return lambda event: all(part(event) for part in parts)

    def _count(self, conditions: int) -> None:
        self._conditions += conditions
        if self._conditions > _MOST_CONDITIONS:
            raise self._fault(f"A filter has at most {_MOST_CONDITIONS} conditions.")

    def _one(self, key: str, value: object, depth: int) -> Condition:
        self._count(1)
        match key:
            case "$and" | "$or":
                if not isinstance(value, list) or not 0 < len(value) <= _MOST_CONDITIONS:
                    raise self._fault(f"{key} takes a list of at most {_MOST_CONDITIONS} filters.")
                parts = [self.all_of(one, depth + 1) for one in value]
                if key == "$and":
                    return lambda event: all(part(event) for part in parts)
                return lambda event: any(part(event) for part in parts)
            case "$not":
                inner = self.all_of(value, depth + 1)
                return lambda event: not inner(event)
            case _ if key.startswith("$") and key not in _OWN:
                raise self._fault(f"{key!r} is no condition; known: $and, $or, $not, {', '.join(_OWN)}.")
            case _:
                return self._at(key, value)

    def _at(self, path: str, value: object) -> Condition:
        if not path or len(path) > _LONGEST_PATH or "" in path.split("."):
            raise self._fault(f"{path!r} is no path.")
        find = _finder(path)
        if not isinstance(value, Mapping):
            self._check_depth(value)
            return lambda event: _equal(find(event), value)
        if not value:
            raise self._fault(f"{path!r} says nothing to compare with.")
        tests = [self._operator(str(name), operand) for name, operand in value.items()]
        self._count(len(tests) - 1)

        def holds(event: Subject) -> bool:
            found = find(event)
            return all(test(found) for test in tests)

        return holds

    def _check_depth(self, value: object) -> None:
        if not _is_flat(value, _DEEPEST_VALUE):
            raise self._fault(f"A value to compare with is nested at most {_DEEPEST_VALUE} deep.")

    def _operator(self, name: str, operand: object) -> Callable[[object], bool]:  # noqa: C901, PLR0911, PLR0912 - a table
        self._check_depth(operand)
        match name:
            case "$eq":
                return lambda found: _equal(found, operand)
            case "$ne":
                return lambda found: not _equal(found, operand)
            case "$in" | "$nin":
                if not isinstance(operand, list) or len(operand) > _MOST_VALUES:
                    raise self._fault(f"{name} takes a list of at most {_MOST_VALUES} values.")
                if name == "$in":
                    return lambda found: any(_equal(found, one) for one in operand)
                return lambda found: not any(_equal(found, one) for one in operand)
            case "$exists":
                if not isinstance(operand, bool):
                    raise self._fault("$exists takes true or false.")
                return lambda found: (found is not _MISSING) == operand
            case "$gt" | "$gte" | "$lt" | "$lte":
                if not _is_number(operand) and not isinstance(operand, str):
                    raise self._fault(f"{name} takes a number or a text.")
                return lambda found: _compare(name, found, operand)
            case "$startswith":
                if not isinstance(operand, str):
                    raise self._fault("$startswith takes a text.")
                return lambda found: isinstance(found, str) and found.startswith(operand)
            case "$contains":
                return lambda found: _contains(found, operand)
            case _:
                raise self._fault(f"{name!r} is no operator.")


def _finder(path: str) -> Callable[[Subject], object]:
    match path:
        case "$kind":
            return lambda event: event.kind
        case "$source":
            return lambda event: event.source
        case "$subject":
            return lambda event: event.subject
    words = path.split(".")

    def find(event: Subject) -> object:
        found: object = event.data
        for word in words:
            if not isinstance(found, Mapping) or word not in found:
                return _MISSING
            found = found[word]
        return found

    return find


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(found: object, wanted: object) -> bool:
    if found is _MISSING:
        return wanted is None
    return _same(found, wanted)


def _same(one: object, other: object) -> bool:
    """Tell whether two JSON values are equal: by value, but no boolean is a number, as Python has it."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    return one == other


def _is_flat(value: object, most: int) -> bool:
    """Tell whether a JSON value is nested at most so deep: comparing has no end of depth otherwise."""
    if not isinstance(value, list | Mapping):
        return True
    parts = value.values() if isinstance(value, Mapping) else value
    return most > 0 and all(_is_flat(part, most - 1) for part in parts)


def _compare(name: str, found: object, operand: object) -> bool:
    if (_is_number(found) and _is_number(operand)) or (isinstance(found, str) and isinstance(operand, str)):
        return bool(_COMPARISONS[name](found, operand))
    return False


def _contains(found: object, operand: object) -> bool:
    if isinstance(found, str):
        return isinstance(operand, str) and operand in found
    return isinstance(found, list) and any(_equal(one, operand) for one in found)
