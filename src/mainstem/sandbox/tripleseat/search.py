"""The search of events: which of them fit the parameters of a request, in which order. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final

from mainstem.sandbox.tripleseat.model import Event

_DAY: Final = "%m/%d/%Y"
_RANGES: Final[Mapping[str, Callable[[Event], datetime]]] = {
    "event": lambda event: event.starts_at,
    "event_created": lambda event: event.created_at,
    "event_updated": lambda event: event.updated_at,
}
_ORDERS: Final[Mapping[str, Callable[[Event], tuple[object, ...]]]] = {
    "created_at": lambda event: (event.created_at,),
    "updated_at": lambda event: (event.updated_at,),
    "name": lambda event: (event.name,),
    "event_start": lambda event: (event.starts_at,),
}


class BadQueryError(Exception):
    """A parameter that the real service chokes on."""


def search(events: Iterable[Event], given: Sequence[tuple[str, str]]) -> list[Event]:
    """Return the events that fit, in order. Raises BadQueryError.

    A range of days needs both its ends, else it is ignored, as is every unknown parameter. Days are those of the site.
    """
    tests = [*_days(given), *_lists(given), *_texts(given)]
    found = [event for event in events if all(test(event) for test in tests)]
    last = dict(given)
    key = _ORDERS.get(last.get("order", "created_at"), _ORDERS["created_at"])
    found.sort(key=lambda event: (*key(event), event.event_id), reverse=last.get("sort_direction") == "desc")
    return found


def _values(given: Sequence[tuple[str, str]], name: str) -> set[str]:
    """Return a list, be it sent as `a,b`, as a repeated parameter or as `name[]`."""
    return {part.strip() for key, value in given if key in {name, f"{name}[]"} for part in value.split(",") if part}


def _days(given: Sequence[tuple[str, str]]) -> list[Callable[[Event], bool]]:
    last = dict(given)
    tests = []
    for name, moment in _RANGES.items():
        first, until = last.get(f"{name}_start_date"), last.get(f"{name}_end_date")
        if first and until:
            tests.append(_between(moment, _day(first), _day(until)))
    return tests


def _between(moment: Callable[[Event], datetime], first: date, until: date) -> Callable[[Event], bool]:
    return lambda event: first <= moment(event).astimezone(event.site.zone).date() <= until


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, _DAY).date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise BadQueryError(text) from None


def _lists(given: Sequence[tuple[str, str]]) -> list[Callable[[Event], bool]]:
    tests: list[Callable[[Event], bool]] = []
    if statuses := {status.upper() for status in _values(given, "status")}:
        tests.append(lambda event: event.status in statuses)
    if rooms := _values(given, "room_ids"):
        tests.append(lambda event: str(event.room.room_id) in rooms)
    if locations := _values(given, "location_ids"):
        tests.append(lambda event: str(event.site.location_id) in locations)
    return tests


def _texts(given: Sequence[tuple[str, str]]) -> list[Callable[[Event], bool]]:
    last = dict(given)
    tests: list[Callable[[Event], bool]] = []
    if query := last.get("query", "").casefold():
        tests.append(lambda event: query in event.name.casefold() or query == str(event.event_id))
    if contact := last.get("contact_id"):
        tests.append(lambda event: contact == str(event.booking_id + 7_000_000))
    if account := last.get("account_id"):
        tests.append(lambda event: account == str(event.booking_id + 7_000_001))
    return tests
