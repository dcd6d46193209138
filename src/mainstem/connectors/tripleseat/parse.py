"""JSON of a Tripleseat event → a `Booking`. Pure, and total but for `UnreadableError`.

An event tells its day as `event_date` (MM/DD/YYYY) or `event_date_iso8601`, its times as `event_start` ("MM/DD/YYYY hh:mm AM", in
its zone), `event_start_utc` and `event_start_iso8601`; money comes as numbers or as texts ("132797.5"). Line items stand in
`documents[].line_items[]`, and come with webhooks only: an event read by the API has documents without them, or none.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final

from mainstem.connectors.ports import Booking, Line
from mainstem.connectors.tripleseat.values import day_of, moment_of, number_of, text_of
from mainstem.connectors.tripleseat.webhook import clean_id, unwrapped
from mainstem.connectors.tripleseat.zones import zone_of

_PRICES: Final = ("unit_price", "price", "rate")
_QUANTITIES: Final = ("quantity", "qty")


class UnreadableError(ValueError):
    """What should be an event is none: it is no object, or has no id."""


def booking_of(given: object, zone: tzinfo) -> Booking:
    """Return a booking as an event tells it. `zone`: the site's, for times without one. Raises UnreadableError.

    What is there and can't be read is None and named in `faults` (a day: told in `on_text`); what is not there is None (a
    site: an empty text).
    """
    event = unwrapped(given, "event")
    if event is None:
        raise UnreadableError("There is no event in it.")
    booking_id = clean_id(event.get("id"))
    if booking_id is None:
        raise UnreadableError("The event has no id.")
    faults: list[str] = []
    site_id = clean_id(event.get("site_id"))
    if site_id is None and _given(event.get("site_id")):
        faults.append("site_id")
    named = zone_of(event.get("event_timezone"))
    place = named or zone
    starts_at = _moment(event, "event_start", place)
    ends_at = _moment(event, "event_end", place)
    on, on_text = _day(event, starts_at, place)
    return Booking(
        booking_id=booking_id,
        group_id=clean_id(event.get("booking_id")),
        site_id=site_id or "",
        location_id=clean_id(event.get("location_id")),
        name=text_of(event.get("name")) or f"Event {booking_id}",
        status=(text_of(event.get("status")) or "").upper(),
        on=on,
        on_text=on_text,
        # a name that nobody knows is told on: its day can't be known then
        zone=named.key if named is not None else text_of(event.get("event_timezone")),
        starts_at=starts_at,
        ends_at=ends_at,
        guests=_guests(event, faults),
        contact=_contact(event.get("contact")),
        total=_total(event, faults),
        lines=_lines(event.get("documents"), faults),
        updated=_updated(event, place),
        deleted=bool(event.get("deleted_at")),
        faults=tuple(faults),
        raw=event,
    )


def _day(event: Mapping[str, Any], starts_at: datetime | None, zone: tzinfo) -> tuple[date | None, str | None]:
    """Return the day, or what is written in its place."""
    told = [event.get(name) for name in ("event_date", "event_date_iso8601", "start_date")]
    for value in told:
        day = day_of(value)
        if day is not None:
            return day, None
    written = next((value for value in told if _given(value)), None)
    if written is not None:
        return None, text_of(written) or "(no text)"
    return (None if starts_at is None else starts_at.astimezone(zone).date()), None


def _moment(event: Mapping[str, Any], name: str, zone: tzinfo) -> datetime | None:
    for end, place in (("_iso8601", zone), ("_utc", UTC), ("", zone)):
        moment = moment_of(event.get(name + end), place)
        if moment is not None:
            return moment
    return None


def _updated(event: Mapping[str, Any], zone: tzinfo) -> str | None:
    """Return when it was changed, in UTC where that can be read: good for telling older from newer, never for equality."""
    moment = moment_of(event.get("updated_at"), zone)
    return text_of(event.get("updated_at")) if moment is None else moment.isoformat()


def _guests(event: Mapping[str, Any], faults: list[str]) -> int | None:
    for name in ("guaranteed_guest_count", "guest_count"):
        number = number_of(event.get(name))
        if number is not None and number > 0:
            return int(number)
        if _given(event.get(name)) and (number is None or number < 0):
            faults.append("guests")
            return None
    return None


def _contact(value: object) -> str | None:
    if not isinstance(value, Mapping):
        return None
    names = (text_of(value.get("first_name")), text_of(value.get("last_name")))
    return " ".join(name for name in names if name) or text_of(value.get("name"))


def _total(event: Mapping[str, Any], faults: list[str]) -> Decimal | None:
    for name in ("grand_total", "total_grand_total", "actual_amount"):
        if _given(event.get(name)):
            number = number_of(event[name])
            if number is None:
                faults.append("total")
            return number
    return None


def _lines(documents: object, faults: list[str]) -> tuple[Line, ...] | None:
    """Return the items of all documents; an id that stands in several counts once. None: no document tells its items."""
    if not isinstance(documents, list):
        return None
    lists = [
        document["line_items"]
        for document in documents
        if isinstance(document, Mapping) and not document.get("deleted_at") and document.get("line_items") is not None
    ]
    if not lists:
        return None
    lines: dict[str, Line] = {}
    try:
        items = [_item(item) for listed in lists for item in _list(listed)]
        ids = {clean_id(item.get("id")) for item in items}
        for place, item in enumerate(items, start=1):
            line = _line(item, f"#{place}" if str(place) in ids else str(place))
            if line is not None:
                lines.setdefault(line.line_id, line)
    except UnreadableError:
        # some of the items would be a wrong order
        faults.append("lines")
        return None
    return tuple(lines.values())


def _list(items: object) -> list[Any]:
    if not isinstance(items, list):
        raise UnreadableError("Line items are no list.")
    return items


def _item(given: object) -> Mapping[str, Any]:
    item = unwrapped(given, "line_item")
    if item is None:
        raise UnreadableError("A line item is no object.")
    return item


def _line(item: Mapping[str, Any], place: str) -> Line | None:
    """Return an item; None for one that asks for nothing. Raises UnreadableError."""
    name = text_of(item.get("description")) or text_of(item.get("name")) or text_of(item.get("long_description"))
    quantity = _number(item, _QUANTITIES)
    if quantity is None:
        # a service or a fee, which is not counted
        quantity = Decimal(1)
    if quantity == 0:
        return None
    if quantity < 0 or name is None:
        raise UnreadableError("A line item has no name, or less than nothing is asked for.")
    note = text_of(item.get("long_description"))
    return Line(
        line_id=clean_id(item.get("id")) or place,
        name=name,
        quantity=quantity,
        unit_price=_number(item, _PRICES),
        category=_category(item.get("category")),
        note=note if note != name else None,
    )


def _number(item: Mapping[str, Any], names: Sequence[str]) -> Decimal | None:
    """Return the first of some numbers that an item gives. Raises UnreadableError where that is none."""
    given = next((item[name] for name in names if _given(item.get(name))), None)
    number = None if given is None else number_of(given)
    if given is not None and number is None:
        raise UnreadableError("A number of a line item can't be read.")
    return number


def _given(value: object) -> bool:
    return value is not None and value != ""


def _category(value: object) -> str | None:
    if isinstance(value, Mapping):
        return text_of(value.get("name")) or text_of(value.get("internal_name"))
    return text_of(value)
