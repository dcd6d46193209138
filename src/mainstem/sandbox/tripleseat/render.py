"""Events in Tripleseat's JSON: every date in several spellings, money as text."""

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from mainstem.sandbox.tripleseat.model import Event, LineItem
from mainstem.sandbox.venues import GROUP, Room, Site


def money(amount: Decimal) -> str:
    """Return money as Tripleseat spells it: no trailing zeros, one digit behind the point at least."""
    text = f"{amount.normalize():f}"
    return text if "." in text else f"{text}.0"


def _minute(moment: datetime) -> str:
    return moment.strftime("%m/%d/%Y %I:%M %p")


def _moments(name: str, moment: datetime) -> dict[str, str]:
    utc = moment.astimezone(UTC)
    return {
        name: _minute(moment),
        f"{name}_time": moment.strftime("%I:%M %p").removeprefix("0"),
        f"{name}_utc": utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{name}_iso8601": moment.isoformat(timespec="seconds"),
    }


def event_json(event: Event, *, financial: bool = False, lines: bool = False) -> dict[str, Any]:
    """Return an event; `financial` adds totals and payments, `lines` the lines of its document."""
    zone, starts = event.site.zone, event.starts_at
    first, _, last = event.contact.partition(" ")
    contact_id = event.booking_id + 7_000_000
    shown: dict[str, Any] = {
        "id": event.event_id,
        "name": event.name,
        "status": event.status,
        "event_date": starts.strftime("%m/%d/%Y"),
        "event_date_iso8601": starts.date().isoformat(),
        **_moments("event_start", starts),
        **_moments("event_end", event.ends_at),
        "start_date": starts.strftime("%m/%d/%Y"),
        "end_date": event.ends_at.strftime("%m/%d/%Y"),
        "event_timezone": event.site.timezone,
        "event_style": "Reception",
        "guest_count": event.guests,
        "guaranteed_guest_count": event.guests,
        "description": event.description,
        "post_as": event.name,
        "site_id": event.site.site_id,
        "location_id": event.site.location_id,
        "location": location_json(event.site),
        "room_ids": [event.room.room_id],
        "rooms": [room_json(event.room, event.site)],
        "booking_id": event.booking_id,
        "booking": {"id": event.booking_id, "name": event.name},
        "customer_id": 5120,
        "account_id": contact_id + 1,
        "account": {"id": contact_id + 1, "name": f"{last or first} family"},
        "contact_id": contact_id,
        "contact": {
            "id": contact_id,
            "first_name": first,
            "last_name": last,
            "email_addresses": [{"address": f"guest{event.event_id}@example.com"}],
            "phone_numbers": [{"number": f"+1 555 01{event.event_id % 100:02}"}],
        },
        "owned_by": 771,
        "custom_fields": [],
        "selected_lead_sources": [],
        "attachments": [],
        "documents": [document_json(event, lines=lines)],
        "status_changes": [
            {
                "status": change.status,
                "previous_status": change.previous,
                "created_at": _minute(change.at.astimezone(zone)),
                "created_by": 771,
            }
            for change in event.changes
        ],
        "created_at": _minute(event.created_at.astimezone(zone)),
        "updated_at": _minute(event.updated_at.astimezone(zone)),
        "deleted_at": None if event.deleted_at is None else _minute(event.deleted_at.astimezone(zone)),
    }
    if financial:
        shown |= _financials(event)
    return shown | event.overrides


def _financials(event: Event) -> dict[str, Any]:
    by_category: defaultdict[str, Decimal] = defaultdict(Decimal)
    for line in event.lines:
        by_category[line.category] += line.total
    total = event.subtotal + event.tax
    return {
        "food_and_beverage_min": money(Decimal("1500.00")),
        "price_per_person": money(Decimal("0.00")),
        "deposit_amount": money(Decimal("0.00")),
        "rental_fee": money(Decimal("0.00")),
        "actual_amount": money(event.subtotal),
        "grand_total": money(total),
        "amount_due": money(total),
        "category_totals": [{"name": name, "total": money(amount)} for name, amount in by_category.items()],
        "billing_totals": [
            {"name": "Subtotal", "total": money(event.subtotal)},
            {"name": "Tax", "total": money(event.tax)},
            {"name": "Grand Total", "total": money(total)},
        ],
        "payment_set": [],
    }


def document_json(event: Event, *, lines: bool) -> dict[str, Any]:
    """Return the event's order document, with its lines or without."""
    document: dict[str, Any] = {
        "id": event.event_id * 10 + 1,
        "title": "Banquet Event Order",
        "template_document_id": 90210,
        "deleted_at": None,
        "views": [{"name": "guest", "url": f"https://login.example.com/documents/{event.event_id * 10 + 1}"}],
    }
    if lines:
        document["line_items"] = [_line_json(line) for line in event.lines]
    return document


def _line_json(line: LineItem) -> dict[str, Any]:
    return {
        "id": line.line_id,
        "description": line.description,
        "long_description": line.long_description,
        "quantity": int(line.quantity) if line.quantity == line.quantity.to_integral_value() else str(line.quantity),
        "price": money(line.price),
        "total": money(line.total),
        "category": {"name": line.category, "internal_name": line.category.lower().replace(" ", "_")},
        "section": line.category,
    }


def room_json(room: Room, site: Site) -> dict[str, Any]:
    """Return a room."""
    return {
        "id": room.room_id,
        "name": room.name,
        "capacity": room.capacity,
        "location_id": site.location_id,
        "is_unassigned": False,
    }


def location_json(site: Site) -> dict[str, Any]:
    """Return a location."""
    return {"id": site.location_id, "name": site.name, "site_id": site.site_id, "time_zone": site.timezone}


def site_json(site: Site) -> dict[str, Any]:
    """Return a site with its location."""
    return {"id": site.site_id, "name": site.name, "group": GROUP, "locations": [location_json(site)]}


def booking_json(events: list[Event]) -> dict[str, Any]:
    """Return the booking that some events belong to: one at least."""
    first = min(events, key=lambda event: event.starts_at)
    return {
        "id": first.booking_id,
        "name": first.name,
        "status": first.status,
        "site_id": first.site.site_id,
        "location_id": first.site.location_id,
        "event_ids": [event.event_id for event in events],
        "start_date": first.starts_at.strftime("%m/%d/%Y"),
        "end_date": max(event.ends_at for event in events).strftime("%m/%d/%Y"),
        "total_event_actual_amount": money(sum((event.subtotal for event in events), Decimal("0.00"))),
        "total_grand_total": money(sum((event.subtotal + event.tax for event in events), Decimal("0.00"))),
        "events": [event_json(event) for event in events],
        "updated_at": _minute(first.updated_at.astimezone(first.site.zone)),
    }
