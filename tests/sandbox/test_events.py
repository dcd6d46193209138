"""Events as Tripleseat's API shows them."""

import asyncio
from collections import Counter
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import pytest
from sandboxing import Town

NEW_YORK = ZoneInfo("America/New_York")


async def read(tripleseat: httpx.AsyncClient, event_id: int, **query: str) -> dict:
    answer = await tripleseat.get(f"/v1/events/{event_id}.json", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["event"]


async def test_dates_come_in_every_spelling(box: Town, tripleseat: httpx.AsyncClient):
    booked = await box.book(date="2026-07-04", start="18:30", hours=3)
    event = await read(tripleseat, booked["id"])
    assert event["event_date"] == "07/04/2026"
    assert event["event_date_iso8601"] == "2026-07-04"
    assert event["event_start"] == "07/04/2026 06:30 PM"
    assert event["event_start_time"] == "6:30 PM"
    assert event["event_start_utc"] == "2026-07-04T22:30:00Z"
    assert event["event_start_iso8601"] == "2026-07-04T18:30:00-04:00"
    assert event["event_end"] == "07/04/2026 09:30 PM"
    assert event["event_timezone"] == "America/New_York"


async def test_the_time_of_a_change_has_minutes_and_no_zone(box: Town, tripleseat: httpx.AsyncClient):
    booked = await box.book()
    first = (await read(tripleseat, booked["id"]))["updated_at"]
    assert (
        abs(datetime.now(NEW_YORK) - datetime.strptime(first, "%m/%d/%Y %I:%M %p").replace(tzinfo=NEW_YORK)).seconds
        < 90
    )
    # two changes within a minute look the same
    await box.admin.patch(f"/events/{booked['id']}", json={"guest_count": 5})
    await box.admin.patch(f"/events/{booked['id']}", json={"guest_count": 6})
    event = await read(tripleseat, booked["id"])
    assert event["guest_count"] == 6
    assert len(event["updated_at"]) == len("07/04/2026 06:30 PM")


async def test_money_is_text_and_comes_with_financials_alone(box: Town, tripleseat: httpx.AsyncClient):
    booked = await box.book(items=[{"name": "Lemon Tart", "quantity": 10}, {"name": "Short Rib", "quantity": 2}])
    bare = await read(tripleseat, booked["id"])
    assert "grand_total" not in bare
    assert "line_items" not in bare["documents"][0]

    full = await read(tripleseat, booked["id"], show_financial="true")
    assert full["actual_amount"] == "189.0"
    assert full["grand_total"] == "205.77"
    assert {total["name"]: total["total"] for total in full["category_totals"]} == {
        "Desserts": "110.0",
        "Entrees": "79.0",
    }
    lines = full["documents"][0]["line_items"]
    assert [(line["description"], line["quantity"], line["price"]) for line in lines] == [
        ("Lemon Tart", 10, "11.0"),
        ("Braised short rib", 2, "39.5"),
    ]
    assert lines[0]["category"] == {"name": "Desserts", "internal_name": "desserts"}


async def test_line_items_may_be_kept_from_the_api(box: Town, tripleseat: httpx.AsyncClient):
    booked = await box.book()
    await box.config(line_items_in_api=False)
    event = await read(tripleseat, booked["id"], show_financial="true")
    assert "line_items" not in event["documents"][0]
    assert Decimal(event["grand_total"]) == Decimal(booked["total"])


async def test_the_suffix_may_be_left_out(box: Town, tripleseat: httpx.AsyncClient):
    booked = await box.book()
    with_it = (await tripleseat.get(f"/v1/events/{booked['id']}.json")).json()
    assert (await tripleseat.get(f"/v1/events/{booked['id']}")).json() == with_it
    assert with_it["documents"] == with_it["event"]["documents"]


async def test_what_was_deleted_or_never_was_is_404_in_json(box: Town, tripleseat: httpx.AsyncClient):
    booked = await box.book()
    await box.admin.delete(f"/events/{booked['id']}")
    for event_id in (booked["id"], 1):
        answer = await tripleseat.get(f"/v1/events/{event_id}.json")
        assert (answer.status_code, answer.json()) == (404, {"error": "Event not found"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/parties.json"), ("POST", "/v1/events/search.json"), ("GET", "/v1/events/12x.json")],
)
async def test_a_route_that_does_not_exist_is_a_500_page(tripleseat: httpx.AsyncClient, method: str, path: str):
    answer = await tripleseat.request(method, path)
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")


async def test_more_than_ten_requests_a_second_are_429(box: Town, tripleseat: httpx.AsyncClient):
    answers = await asyncio.gather(*(tripleseat.get("/v1/events/search.json") for _ in range(15)))
    assert Counter(answer.status_code for answer in answers) == {200: 10, 429: 5}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "retry-after" not in refused.headers
    assert "error" in refused.json()


async def test_the_limit_can_be_lifted(box: Town, tripleseat: httpx.AsyncClient):
    await box.config(tripleseat_per_second=0)
    answers = await asyncio.gather(*(tripleseat.get("/v1/events/search.json") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}


async def test_a_booking_holds_its_events(box: Town, tripleseat: httpx.AsyncClient):
    first = await box.book()
    booking_id = (await read(tripleseat, first["id"]))["booking_id"]
    second = await box.book(booking_id=booking_id, days=1)
    booking = (await tripleseat.get(f"/v1/bookings/{booking_id}.json")).json()["booking"]
    assert booking["event_ids"] == [first["id"], second["id"]]
    assert booking["total_grand_total"] == str(float(first["total"]) + float(second["total"]))
    assert (await tripleseat.get("/v1/bookings/1.json")).status_code == 404


async def test_sites_and_locations_are_listed(tripleseat: httpx.AsyncClient):
    sites = (await tripleseat.get("/v1/sites.json")).json()["results"]
    locations = (await tripleseat.get("/v1/locations.json")).json()["results"]
    assert [site["id"] for site in sites] == [15691, 15702, 15733]
    assert [place["site_id"] for place in locations] == [15691, 15702, 15733]
