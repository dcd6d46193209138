"""The search of events: its filters, its days, its pages."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandboxing import Town

from mainstem.sandbox.tripleseat.model import Event
from mainstem.sandbox.tripleseat.search import search
from mainstem.sandbox.venues import SITES


async def found(tripleseat: httpx.AsyncClient, *query: tuple[str, str]) -> list[dict]:
    answer = await tripleseat.get("/v1/events/search.json", params=list(query))
    assert answer.status_code == 200, answer.text
    return [one.get("event", one) for one in answer.json()["results"]]


async def names(tripleseat: httpx.AsyncClient, *query: tuple[str, str]) -> list[str]:
    return [event["name"] for event in await found(tripleseat, *query)]


@pytest.fixture
async def empty(box: Town) -> Town:
    """Return the sandbox with nothing booked."""
    await box.admin.post("/reset", json={"events": False})
    return box


async def test_pages_hold_fifty_and_every_event_is_on_one(empty: Town, tripleseat: httpx.AsyncClient):
    await empty.book(count=120)
    pages = [(await tripleseat.get("/v1/events/search.json", params={"page": page})).json() for page in (1, 2, 3, 4)]
    assert [len(page["results"]) for page in pages] == [50, 50, 20, 0]
    assert {page["total_pages"] for page in pages} == {3}
    ids = [one.get("event", one)["id"] for page in pages for one in page["results"]]
    assert len(set(ids)) == 120


async def test_some_results_are_wrapped_and_some_are_not(empty: Town, tripleseat: httpx.AsyncClient):
    await empty.book(count=6)
    results = (await tripleseat.get("/v1/events/search.json")).json()["results"]
    assert {"event" in one for one in results} == {True, False}


async def test_statuses_come_as_a_list_in_any_form(empty: Town, tripleseat: httpx.AsyncClient):
    for status in ("DEFINITE", "CLOSED", "LOST"):
        await empty.book(name=status, status=status)
    assert await names(tripleseat, ("status", "DEFINITE,CLOSED")) == ["DEFINITE", "CLOSED"]
    assert await names(tripleseat, ("status[]", "LOST"), ("status[]", "closed")) == ["CLOSED", "LOST"]


async def test_days_are_those_of_the_site_both_included(empty: Town, tripleseat: httpx.AsyncClient):
    await empty.book(name="last minute", date="2026-12-31", start="23:30")
    await empty.book(name="first minute", date="2027-01-01", start="00:10")
    # in UTC both are on 1 January
    last = ("event_start_date", "12/31/2026"), ("event_end_date", "12/31/2026")
    assert await names(tripleseat, *last) == ["last minute"]
    both = ("event_start_date", "12/31/2026"), ("event_end_date", "01/01/2027")
    assert await names(tripleseat, *both) == ["last minute", "first minute"]


async def test_a_range_with_one_end_is_ignored(empty: Town, tripleseat: httpx.AsyncClient):
    await empty.book(name="party")
    assert await names(tripleseat, ("event_updated_start_date", "01/01/2099")) == ["party"]
    ends = ("event_updated_start_date", "01/01/2099"), ("event_updated_end_date", "01/02/2099")
    assert await names(tripleseat, *ends) == []


async def test_a_change_moves_an_event_into_the_days_of_changes(box: Town, tripleseat: httpx.AsyncClient):
    today = (await box.book())["event_date"]
    old = next(one for one in (await box.admin.get("/events")).json()["events"] if one["site_id"] == 15691)
    day = datetime.fromisoformat(today).strftime("%m/%d/%Y")
    changed = ("event_updated_start_date", day), ("event_updated_end_date", day)
    assert old["id"] not in [event["id"] for event in await found(tripleseat, *changed)]
    await box.admin.patch(f"/events/{old['id']}", json={"guest_count": 9})
    assert old["id"] in [event["id"] for event in await found(tripleseat, *changed)]


@pytest.mark.parametrize("day", ["2026-12-31", "31/12/2026", "tomorrow"])
async def test_a_day_in_another_spelling_is_a_500_page(tripleseat: httpx.AsyncClient, day: str):
    query = {"event_start_date": day, "event_end_date": day}
    assert (await tripleseat.get("/v1/events/search.json", params=query)).status_code == 500


async def test_rooms_locations_names_and_contacts_choose(empty: Town, tripleseat: httpx.AsyncClient):
    one = await empty.book(name="Garden Wedding")
    await empty.book(name="Board Dinner", site_id=15702)
    event = one["event"]
    assert await names(tripleseat, ("query", "garden")) == ["Garden Wedding"]
    assert await names(tripleseat, ("location_ids", "20412")) == ["Board Dinner"]
    assert await names(tripleseat, ("location_ids", "20411,20412")) == ["Garden Wedding", "Board Dinner"]
    assert await names(tripleseat, ("room_ids", str(event["room_ids"][0]))) == ["Garden Wedding"]
    assert await names(tripleseat, ("contact_id", str(event["contact_id"]))) == ["Garden Wedding"]
    assert await names(tripleseat, ("account_id", str(event["account_id"]))) == ["Garden Wedding"]


async def test_results_have_the_order_that_was_asked_for(empty: Town, tripleseat: httpx.AsyncClient):
    for name, start in (("b", "12:00"), ("c", "10:00"), ("a", "11:00")):
        await empty.book(name=name, start=start)
    assert await names(tripleseat) == ["b", "c", "a"]
    assert await names(tripleseat, ("order", "name")) == ["a", "b", "c"]
    assert await names(tripleseat, ("order", "event_start"), ("sort_direction", "desc")) == ["b", "a", "c"]


async def test_deleted_events_are_not_found(empty: Town, tripleseat: httpx.AsyncClient):
    booked = await empty.book()
    await empty.admin.delete(f"/events/{booked['id']}")
    assert await found(tripleseat) == []


async def test_financials_are_shown_in_lists_too(empty: Town, tripleseat: httpx.AsyncClient):
    await empty.book(items=[{"name": "Lemon Tart", "quantity": 1}])
    (event,) = await found(tripleseat, ("show_financial", "true"))
    assert event["actual_amount"] == "11.0"


def an_event(number: int, starts_at: datetime, status: str) -> Event:
    site = SITES[number % len(SITES)]
    return Event(
        event_id=number,
        booking_id=number,
        name=f"Event {number}",
        status=status,
        site=site,
        room=site.rooms[0],
        starts_at=starts_at.astimezone(site.zone),
        ends_at=starts_at + timedelta(hours=3),
        guests=10,
        contact="A B",
        created_at=starts_at,
        updated_at=starts_at,
        lines=[],
    )


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
EVENTS = st.lists(st.tuples(MOMENTS, st.sampled_from(["DEFINITE", "CLOSED", "LOST"])), max_size=20).map(
    lambda drawn: [an_event(number, *one) for number, one in enumerate(drawn)]
)


@given(EVENTS, st.dates(datetime(2026, 1, 1).date(), datetime(2026, 12, 30).date()), st.integers(0, 60))
def test_two_neighbouring_ranges_find_what_one_over_both_does(events: list[Event], first, days: int):
    def between(start, end) -> set[int]:
        query = [("event_start_date", f"{start:%m/%d/%Y}"), ("event_end_date", f"{end:%m/%d/%Y}")]
        return {event.event_id for event in search(events, query)}

    middle, last = first + timedelta(days=days), first + timedelta(days=2 * days + 1)
    one, other = between(first, middle), between(middle + timedelta(days=1), last)
    assert one | other == between(first, last)
    assert not one & other


@given(EVENTS, st.sampled_from(["created_at", "updated_at", "name", "event_start", "nonsense"]))
def test_an_order_loses_and_doubles_nothing(events: list[Event], order: str):
    up = search(events, [("order", order)])
    down = search(events, [("order", order), ("sort_direction", "desc")])
    assert up == down[::-1]
    assert sorted(event.event_id for event in up) == [event.event_id for event in events]


def test_totals_are_of_the_lines():
    assert an_event(1, datetime(2026, 1, 1, tzinfo=UTC), "LOST").subtotal == Decimal(0)
