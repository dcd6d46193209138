"""The sales desk: events are made, changed and deleted here, and each change is announced by webhooks."""

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import count
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mainstem.platform.clock import utc_now
from mainstem.sandbox.config import Config
from mainstem.sandbox.pace import Pace
from mainstem.sandbox.sending import Delivery, Letter, Sender
from mainstem.sandbox.tripleseat.endpoints import TRIGGERS, Endpoint, Endpoints
from mainstem.sandbox.tripleseat.model import Event, Events, LineItem, StatusChange
from mainstem.sandbox.tripleseat.oauth import OAuth
from mainstem.sandbox.tripleseat.render import booking_json, event_json
from mainstem.sandbox.venues import GUESTS, MENU, OCCASIONS, SITES, Dish, Site, site_of

_LONGEST: Final = timedelta(hours=24)
_DISHES: Final = tuple(dish for dish in MENU if dish.active)
_ITEMS: Final = 3


def _read_day(value: object) -> object:
    """Take `12/31/2026`, too."""
    if isinstance(value, str) and "/" in value:
        return datetime.strptime(value, "%m/%d/%Y").date()  # noqa: DTZ007 - a day has no zone
    return value


Day = Annotated[date, BeforeValidator(_read_day)]


class ItemDraft(BaseModel):
    """A line that somebody wants: a dish of the menu by any of its names, or anything else, which is then not mapped."""

    model_config = ConfigDict(extra="forbid")

    description: str = Field(validation_alias=AliasChoices("description", "name"), min_length=1)
    quantity: Decimal = Field(default=Decimal(1), gt=0)
    price: Decimal | None = Field(default=None, validation_alias=AliasChoices("price", "unit_price"))
    category: str | None = None
    long_description: str = ""


class EventDraft(BaseModel):
    """An event that somebody wants, or the fields to change."""

    model_config = ConfigDict(extra="forbid")

    id: int | None = None
    name: str | None = None
    status: Literal["PROSPECT", "TENTATIVE", "DEFINITE", "CLOSED", "LOST", "WAITLIST"] | None = None
    site_id: int | None = None
    date: Day | None = Field(default=None, validation_alias=AliasChoices("date", "event_date", "event_date_iso8601"))
    days: int | None = Field(
        default=None, ge=-400, le=400, description="Instead of a date: days from today, at the site."
    )
    start: time | None = Field(default=None, description="In the zone of the site.")
    hours: float | None = Field(default=None, gt=0, le=24)
    guest_count: int | None = Field(default=None, ge=0)
    contact: str | None = None
    description: str | None = None
    booking_id: int | None = None
    items: list[ItemDraft] | None = None
    overrides: dict[str, Any] | None = Field(default=None, description="Shown like this, whatever is true.")
    triggers: list[str] | None = Field(default=None, description="Webhooks to send instead of the usual; [] is none.")
    count: int = Field(default=1, ge=1, le=5000)

    @model_validator(mode="after")
    def _known_triggers(self) -> "EventDraft":
        if unknown := set(self.triggers or ()) - TRIGGERS:
            msg = f"unknown trigger: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        return self


class Desk:
    """Tripleseat's data, and what may be done to it."""

    def __init__(self, seed: int, config: Config, sender: Sender, oauth: OAuth) -> None:
        """Start with nothing booked."""
        self.config, self._sender, self.oauth = config, sender, oauth
        self.events, self.endpoints = Events(), Endpoints()
        self.pace = Pace(1.0)
        self.signing_key = sha256(f"tripleseat signing key {seed}".encode()).hexdigest()
        self._made = count()

    def restore(self, events: Sequence[Event]) -> None:
        """Hold the events of an earlier desk, and no others."""
        for event in events:
            # a time that was written down has an offset, and a site a zone
            event.starts_at, event.ends_at = (at.astimezone(event.site.zone) for at in (event.starts_at, event.ends_at))
        self.events.restore(events)
        self._made = count(len(events))

    def create(self, draft: EventDraft) -> tuple[Event, list[Delivery]]:
        """Book an event: what the draft leaves open is today, in the evening, DEFINITE, with three dishes.

        Raises KeyError when the id is taken.
        """
        number, now = next(self._made), utc_now()
        site = SITES[0] if draft.site_id is None else site_of(draft.site_id)
        event_id, booking_id = self.events.next_ids(draft.id)
        day = _day(draft, site) or now.astimezone(site.zone).date()
        starts = datetime.combine(day, draft.start or time(18), site.zone)
        name = draft.name or f"{GUESTS[number % len(GUESTS)].split()[-1]} {OCCASIONS[number % len(OCCASIONS)]}"
        guests = 20 + number * 7 % 60 if draft.guest_count is None else draft.guest_count
        event = Event(
            event_id=event_id,
            booking_id=draft.booking_id or booking_id,
            name=name,
            status=draft.status or "DEFINITE",
            site=site,
            room=site.rooms[number % len(site.rooms)],
            starts_at=starts,
            ends_at=starts + min(timedelta(hours=draft.hours or 4), _LONGEST),
            guests=guests,
            contact=draft.contact or GUESTS[number % len(GUESTS)],
            created_at=now,
            updated_at=now,
            lines=self._lines(_usual(number, guests) if draft.items is None else draft.items),
            description=draft.description or "",
            overrides=draft.overrides or {},
        )
        event.changes.append(StatusChange(event.status, None, now))
        self.events.add(event)
        return event, self.announce(event, ["CREATE_EVENT"] if draft.triggers is None else draft.triggers)

    def change(self, event: Event, draft: EventDraft) -> list[Delivery]:
        """Change the fields that the draft has; the webhooks are those of the changes, and UPDATE_EVENT."""
        triggers, now = [], utc_now()
        if draft.status is not None and draft.status != event.status:
            event.set_status(draft.status, now)
            triggers.append("STATUS_CHANGE_EVENT")
        if draft.site_id is not None and draft.site_id != event.site.site_id:
            _relocate(event, site_of(draft.site_id))
            triggers.append("REASSIGN_EVENT_LOCATION")
        if {draft.date, draft.days, draft.start, draft.hours} != {None}:
            _move(event, draft)
            triggers.append("CHANGE_EVENT_DATETIME")
        if draft.guest_count is not None:
            event.guests = draft.guest_count
            triggers.append("CHANGE_EVENT_GUEST_COUNTS")
        if draft.items is not None:
            event.lines = self._lines(draft.items)
            triggers.append("UPDATE_EVENT_DOCUMENT")
        event.name = draft.name or event.name
        event.contact = draft.contact or event.contact
        event.description = event.description if draft.description is None else draft.description
        event.overrides = event.overrides if draft.overrides is None else draft.overrides
        event.updated_at = now
        return self.announce(event, [*triggers, "UPDATE_EVENT"] if draft.triggers is None else draft.triggers)

    def delete(self, event: Event) -> list[Delivery]:
        """Delete an event."""
        event.deleted_at = event.updated_at = utc_now()
        return self.announce(event, ["DELETE_EVENT"])

    def announce(self, event: Event, triggers: Sequence[str]) -> list[Delivery]:
        """Send webhooks about an event to the endpoints of its site that want them."""
        return [
            self._sender.send(self._letter(endpoint, trigger, event))
            for trigger in triggers
            for endpoint in self.endpoints.of_site(event.site.site_id)
            if endpoint.disabled_at is None and trigger in endpoint.fields.trigger_actions
        ]

    def body(self, trigger: str, event: Event, *, financials: bool) -> bytes:
        """Return the body of a webhook; its lines come only with financials."""
        key = "booking" if trigger.endswith("_BOOKING") else "event"
        if key == "booking":
            about = booking_json(self.events.of_booking(event.booking_id) or [event])
        else:
            about = event_json(event, financial=financials, lines=financials)
        return json.dumps({"webhook_trigger_type": trigger, key: about}, ensure_ascii=False).encode()

    def signed(self, body: bytes, timestamp: int, wrong: bool) -> Mapping[str, str]:  # noqa: FBT001 - a callback
        """Return the header that signs a body."""
        key = self.signing_key[::-1] if wrong else self.signing_key
        if self.config.signature_form == "bare":
            return {"X-Signature": hmac.new(key.encode(), body, sha256).hexdigest()}
        digest = hmac.new(key.encode(), b"%d.%b" % (timestamp, body), sha256).hexdigest()
        return {"X-Signature": f"t={timestamp},v1={digest}"}

    def _letter(self, endpoint: Endpoint, trigger: str, event: Event) -> Letter:
        def told(arrived: bool) -> None:  # noqa: FBT001 - a callback
            if arrived:
                endpoint.succeeded()
            else:
                endpoint.failed(self.config.webhook_disable_after, utc_now())

        return Letter(
            service="tripleseat",
            name=trigger,
            about=event.event_id,
            place=event.site.site_id,
            endpoint=endpoint.endpoint_id,
            url=endpoint.fields.target_url,
            body=self.body(trigger, event, financials=endpoint.fields.include_event_financials),
            sign=self.signed,
            accepts=lambda status: status == 200,
            wanted=lambda: endpoint.disabled_at is None,
            told=told,
        )

    def _lines(self, items: Sequence[ItemDraft]) -> list[LineItem]:
        return [self._line(item) for item in items]

    def _line(self, item: ItemDraft) -> LineItem:
        dish = find_dish(item.description)
        price = item.price if item.price is not None else (Decimal("10.00") if dish is None else dish.price)
        return LineItem(
            line_id=self.events.next_line(),
            description=item.description if dish is None else dish.described,
            quantity=item.quantity,
            price=price,
            category=item.category or ("Other" if dish is None else dish.category),
            long_description=item.long_description,
        )


def _day(draft: EventDraft, site: Site) -> date | None:
    if draft.days is None:
        return draft.date
    return utc_now().astimezone(site.zone).date() + timedelta(days=draft.days)


def _relocate(event: Event, site: Site) -> None:
    """Move an event to another site, at the same time of its clock."""
    event.site, event.room = site, site.rooms[0]
    event.starts_at, event.ends_at = (moment.replace(tzinfo=site.zone) for moment in (event.starts_at, event.ends_at))


def _move(event: Event, draft: EventDraft) -> None:
    lasts = event.ends_at - event.starts_at if draft.hours is None else timedelta(hours=draft.hours)
    day, at = _day(draft, event.site) or event.starts_at.date(), draft.start or event.starts_at.time()
    event.starts_at = datetime.combine(day, at, event.site.zone)
    event.ends_at = event.starts_at + lasts


def find_dish(text: str) -> Dish | None:
    """Return the dish that is called so in either system."""
    wanted = text.strip().casefold()
    return next((dish for dish in MENU if wanted in {dish.name.casefold(), dish.described.casefold()}), None)


def _usual(number: int, guests: int) -> list[ItemDraft]:
    """Return the dishes of an event for which none were named: different ones each time, as many as guests need."""
    wanted = [_DISHES[(number * _ITEMS + place) % len(_DISHES)] for place in range(_ITEMS)]
    quantities = [max(1, guests // divisor) for divisor in (4, 1, 2)]
    return [
        ItemDraft(description=dish.described, quantity=Decimal(quantity))
        for dish, quantity in zip(wanted, quantities, strict=True)
    ]
