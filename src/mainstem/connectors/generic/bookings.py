"""Bookings out of JSON, by the places that the file names; and what the body of a webhook says. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from mainstem.connectors.connector import Notice
from mainstem.connectors.generic.file import SourcePart
from mainstem.connectors.generic.place import Place
from mainstem.connectors.generic.values import FaultError, day_of, moment_of, number_of, text_of, whole_of
from mainstem.connectors.ports import Booking, Line

MOST_ID_CHARACTERS: Final = 100
T = TypeVar("T")


class Reader:
    """Reads what a source writes."""

    def __init__(self, part: SourcePart, zone: str | None) -> None:
        """Parse the places."""
        self._part = part
        self._zone = zone
        fields = part.fields
        self._at = _places(fields)
        self._line_at = _places(fields.line)
        self._trigger, self._bookings = Place.parse(part.trigger), Place.parse(part.bookings)

    def booking(self, given: Any) -> Booking | None:  # noqa: ANN401 - any JSON
        """Return a booking; None for what has no id. What can't be read of it is among its faults."""
        faults: list[str] = []

        def value(name: str, cast: Callable[[Any], T | None]) -> T | None:
            place = self._at.get(name)
            try:
                return None if place is None else cast(place.of(given))
            except FaultError:
                faults.append(name)
                return None

        booking_id = value("booking_id", _id)
        if booking_id is None:
            return None
        defaults = self._part.defaults
        on_text = value("on", text_of)
        faulty = len(faults)
        on = value("on", lambda said: day_of(said, self._zone))
        # a day that is no date is the time gate's business
        del faults[faulty:]
        lines = self._lines(self._at["lines"].of(given), faults)
        return Booking(
            booking_id=booking_id,
            site_id=value("site_id", text_of) or defaults.get("site_id", ""),
            name=value("name", text_of) or defaults.get("name", ""),
            status=(value("status", text_of) or defaults.get("status", "")).upper(),
            on=on,
            on_text=None if on is not None else on_text,
            zone=self._zone,
            starts_at=value("starts_at", lambda said: moment_of(said, self._zone)),
            ends_at=value("ends_at", lambda said: moment_of(said, self._zone)),
            guests=value("guests", whole_of),
            total=value("total", number_of),
            lines=lines,
            updated=value("updated", text_of),
            deleted=bool(value("deleted", bool)),
            faults=tuple(dict.fromkeys(faults)),
            raw=given if isinstance(given, dict) else {},
        )

    def notice(self, body: bytes) -> Notice:
        """Return what a webhook says. Never raises."""
        try:
            given = json.loads(body)
        except (ValueError, RecursionError):
            return Notice(trigger=None, reason="NO_EVENT_DATA")
        trigger = self._trigger.of(given)
        if not isinstance(trigger, str) or not trigger:
            return Notice(trigger=None, reason="MISSING_TRIGGER_TYPE")
        meaning = self._part.triggers.get(trigger, None if self._part.triggers else "changed")
        if meaning is None:
            return Notice(trigger=trigger, reason="TRIGGER_TYPE_NOT_ACTIONABLE")
        found = self._bookings.of(given)
        things = found if isinstance(found, list) else [found]
        if not any(isinstance(thing, dict) for thing in things):
            return Notice(trigger=trigger, reason="NO_EVENT_DATA")
        bookings = {one.booking_id: one for thing in things if (one := self.booking(thing)) is not None}
        if not bookings:
            return Notice(trigger=trigger, reason="NO_EVENT_ID")
        if meaning == "deleted":
            bookings = {name: _gone(one) for name, one in bookings.items()}
        return Notice(trigger=trigger, booking_ids=tuple(bookings), bookings=bookings, deleted=meaning == "deleted")

    def _lines(self, given: Any, faults: list[str]) -> tuple[Line, ...] | None:  # noqa: ANN401 - any JSON
        if given is None:
            return None
        if not isinstance(given, list):
            faults.append("lines")
            return None
        lines = []
        for number, one in enumerate(given, start=1):
            try:
                lines.append(self._line(one, number))
            except FaultError:
                faults.append(f"lines.{number}")
        return tuple(lines)

    def _line(self, given: Any, number: int) -> Line:  # noqa: ANN401 - any JSON
        def value(name: str) -> Any:  # noqa: ANN401 - any JSON
            place = self._line_at.get(name)
            return None if place is None else place.of(given)

        name, quantity = text_of(value("name")), number_of(value("quantity"))
        if name is None or quantity is None:
            raise FaultError
        return Line(
            line_id=text_of(value("line_id")) or str(number),
            name=name,
            quantity=quantity,
            unit_price=number_of(value("unit_price")),
            category=text_of(value("category")),
            note=text_of(value("note")),
        )


def _places(part: Any) -> Mapping[str, Place]:  # noqa: ANN401 - a part of the file
    texts = {name: getattr(part, name) for name in part.__struct_fields__}
    return {name: Place.parse(text) for name, text in texts.items() if isinstance(text, str)}


def _id(value: Any) -> str | None:  # noqa: ANN401 - any JSON
    text = text_of(value)
    return text if text is not None and text.isprintable() and len(text) <= MOST_ID_CHARACTERS else None


def _gone(booking: Booking) -> Booking:
    return replace(booking, deleted=True)
