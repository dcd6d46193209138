"""Turns events of connectors into rows on their stage: what is said of a booking, and of the order that was made of it. Pure.

Nothing is ever refused for what it says: an event without the names of a booking is kept as any other event is, and a
value of a wrong type counts as not told. Whoever sends `booking.*` or `order.*` under another source never comes here.
"""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from mainstem.events.model import RawEvent
from mainstem.platform.web.text import clean, clip, clip_key, read_object
from mainstem.vault.engine import ZERO_KEY, hash_key
from mainstem.vault.model import CONNECTOR, CONNECTOR_COLUMNS, DAY, EVENT_COLUMNS, POS, stage_event

CANCELLED: Final = "booking.cancelled"
NO_LINES: Final = ""
"""Id of the line that stands for a booking without lines: a set of no rows would not take the place of the one before."""

_KEY_CHARACTERS: Final = 200
_TEXT: Final = 1_000
_MOST_GUESTS: Final = 2**31 - 1
_LARGEST: Final = 2**63 - 1
_MOST: Final = Decimal(10) ** 12
_STEP: Final = Decimal("0.000001")
_CACHED: Final = 16_384
_NOTHING: Final = dict.fromkeys((name for name, _ in CONNECTOR_COLUMNS[len(EVENT_COLUMNS) :]), None) | dict.fromkeys(
    ("booking_hk", "booking_site_hk", "calendar_day_hk", "pos_order_hk"), ZERO_KEY
)


def stage_connector(event: RawEvent) -> tuple[object, ...]:
    """Return the row of CONNECTOR_COLUMNS of an event. Raises RejectedError as `stage_event` does."""
    # refuses what is no JSON at all, as the general feed does
    row = stage_event(event)
    found = read_object(event.data)
    said = {} if found is None else found[0]
    connector, booking_id = _key(said, "connector"), _key(said, "booking_id")
    if not connector or not booking_id:
        return *row, *_NOTHING.values()
    of_order = event.kind.startswith("order.")
    keys = (connector, _key(said, "site_id"), booking_id)
    told = _order(event, said, connector) if of_order else _booking(event, said)
    values = {
        **_NOTHING,
        **told,
        "booking_hk": _hash(event.tenant_id, CONNECTOR, *keys),
        "booking_site_hk": _hash(event.tenant_id, CONNECTOR, *keys[:2]),
        "connector": connector,
        "site_id": keys[1],
        "booking_id": booking_id,
        "version": _whole(said.get("version"), _LARGEST) or 0,
        "total": _number(said.get("total")),
    }
    return *row, *(values[name] for name in _NOTHING)


def _booking(event: RawEvent, said: Mapping[str, object]) -> dict[str, object]:
    on = _day(said.get("on"))
    cancelled = event.kind == CANCELLED
    return {
        "tells_booking": True,
        "calendar_day_hk": ZERO_KEY if on is None else _hash(event.tenant_id, DAY, on.isoformat()),
        "establishment": clip(said.get("establishment"), _KEY_CHARACTERS),
        "booking_name": clip(said.get("name"), _TEXT),
        "takes_place_on": on,
        "status": clip(said.get("status"), _KEY_CHARACTERS),
        "guests": _whole(said.get("guests"), _MOST_GUESTS),
        "cancelled": cancelled,
        "present": not cancelled,
        "lines": _lines(said.get("lines")),
    }


def _order(event: RawEvent, said: Mapping[str, object], connector: str) -> dict[str, object]:
    local_id, establishment = _key(said, "local_id"), _key(said, "establishment")
    if not local_id:
        return {}
    return {
        "tells_order": True,
        "pos_order_hk": _hash(event.tenant_id, POS, connector, establishment, local_id),
        "establishment": establishment,
        "local_id": local_id,
        "order_state": clip(event.kind.removeprefix("order."), _KEY_CHARACTERS),
        "order_id": clip(said.get("order_id"), _KEY_CHARACTERS),
        "order_hash": clip(said.get("order_hash"), _KEY_CHARACTERS),
        "reason": clip(said.get("reason"), _TEXT),
    }


def _lines(said: object) -> str | None:
    """Return the lines as text for `jsonb`; None where they are not told."""
    if not isinstance(said, list):
        return None
    lines: dict[str, dict[str, object]] = {}
    for place, line in enumerate(said, start=1):
        if isinstance(line, dict):
            wanted = _key(line, "line_id") or str(place)
            # an id that comes twice would lose a line
            line_id = wanted if wanted not in lines else f"{wanted}#{place}"
            lines[line_id] = {
                "line_id": line_id,
                "line_name": clip(line.get("name"), _TEXT),
                "quantity": _text(_number(line.get("quantity"))),
                "unit_price": _text(_number(line.get("unit_price"))),
            }
    return json.dumps(list(lines.values()) or [{"line_id": NO_LINES}], ensure_ascii=False)


def _key(said: Mapping[str, object], name: str) -> str:
    value = said.get(name)
    if isinstance(value, str):
        return clip_key(clean(value).strip(), _KEY_CHARACTERS)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _whole(value: object, most: int) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(most)):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def _number(value: object) -> Decimal | None:
    """Return a number to six places, equal numbers with equal digits; None for what is none, or none of this world."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) >= _MOST:
        return None
    # `normalize` makes 1E+1 of 10, which `f` writes out
    return Decimal(f"{number.quantize(_STEP).normalize():f}")


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


@lru_cache(maxsize=_CACHED)
def _hash(tenant_id: int, code: str, *parts: str) -> bytes:
    return hash_key(tenant_id, code, *parts)
