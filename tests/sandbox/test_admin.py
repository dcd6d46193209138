"""The admin API: bookings, orders, the log, and starting over."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from sandboxing import Town, cart, receiving, sandboxing

CART = "/specialresources/cart"


def today(zone: str = "America/New_York") -> date:
    return datetime.now(ZoneInfo(zone)).date()


async def test_an_empty_draft_is_an_event_of_today_with_mapped_items(box: Town, revel: httpx.AsyncClient):
    booked = await box.book()
    assert booked["event_date"] in {str(today()), str(today() - timedelta(days=1))}  # midnight may pass
    assert (booked["status"], booked["site_id"], booked["establishment"]) == ("DEFINITE", 15691, 4)
    assert booked["local_id"] == f"Triple Seat_{booked['id']}"
    assert len(booked["items"]) == 3
    for item in booked["items"]:
        product = (await revel.get(f"/resources/Product/{item['product']}/")).json()
        assert (product["name"], product["active"]) == (item["product_name"], True)
        assert product["establishment"] == "/enterprise/Establishment/4/"


async def test_fields_are_taken_as_far_as_they_are_given(box: Town):
    booked = await box.book(
        id=55500001,
        name="Gala",
        status="CLOSED",
        site_id=15702,
        days=1,
        start="17:15",
        guest_count=77,
        contact="Ada Lovelace",
        items=[{"name": "crab cakes", "quantity": "2.5"}, {"description": "Ice sculpture", "price": "250.00"}],
    )
    event = booked["event"]
    assert (booked["id"], event["name"], event["status"], event["guest_count"]) == (55500001, "Gala", "CLOSED", 77)
    assert event["event_date_iso8601"] in {str(today("America/Chicago") + timedelta(days=days)) for days in (0, 1)}
    assert event["event_start_time"] == "5:15 PM"
    assert event["contact"]["last_name"] == "Lovelace"
    assert [(item["description"], item["product"], item["total"]) for item in booked["items"]] == [
        ("Crab Cakes", 602, "60.00"),
        ("Ice sculpture", None, "250.00"),
    ]
    assert (await box.admin.post("/events", json={"id": 55500001})).status_code == 409


async def test_the_date_may_be_spelt_both_ways(box: Town):
    assert (await box.book(event_date="12/31/2026"))["event_date"] == "2026-12-31"
    assert (await box.book(date="2026-12-31"))["event"]["event_date"] == "12/31/2026"


async def test_a_foreign_site_has_no_products(box: Town):
    booked = await box.book(site_id=999)
    assert (booked["site_id"], booked["event"]["site_id"]) == (999, 999)
    assert {item["product"] for item in booked["items"]} == {None}


async def test_overrides_show_what_should_never_come(box: Town, tripleseat: httpx.AsyncClient):
    booked = await box.book(overrides={"event_date": "soon", "site_id": None})
    event = (await tripleseat.get(f"/v1/events/{booked['id']}.json")).json()["event"]
    assert (event["event_date"], event["site_id"]) == ("soon", None)


async def test_many_are_booked_at_once_and_all_differ(box: Town):
    made = await box.book(count=200)
    assert made["total"] == 200
    assert len({one["id"] for one in made["events"]}) == 200
    assert (await box.admin.post("/events", json={"count": 2, "id": 5})).status_code == 400


async def test_a_site_is_changed_at_the_same_hour(box: Town):
    booked = await box.book(start="18:00")
    changed = (await box.admin.patch(f"/events/{booked['id']}", json={"site_id": 15702})).json()["event"]
    assert (changed["event_start_time"], changed["event_timezone"]) == ("6:00 PM", "America/Chicago")


@pytest.mark.parametrize(
    "draft",
    [
        {"status": "MAYBE"},
        {"guest_count": -1},
        {"items": [{}]},
        {"date": "13/32/2026"},
        {"colour": 1},
        {"triggers": ["X"]},
    ],
)
async def test_a_wrong_draft_is_refused_and_named(box: Town, draft: dict):
    answer = await box.admin.post("/events", json=draft)
    assert answer.status_code == 422
    assert next(iter(draft)) in answer.json()["error"][0] or "trigger" in answer.json()["error"][0]


async def test_what_is_not_there_is_404(box: Town):
    for method, path in (
        ("GET", "events/1"),
        ("PATCH", "events/1"),
        ("DELETE", "events/1"),
        ("GET", "orders/1"),
        ("PATCH", "orders/1"),
        ("DELETE", "orders/1"),
        ("GET", "mapping.csv?site_id=1"),
    ):
        assert (await box.admin.request(method, f"/{path}", json={})).status_code == 404, path


async def test_a_body_that_is_no_object_is_400(box: Town):
    assert (await box.admin.post("/events", content=b"[1]")).status_code == 400


async def test_somebody_deletes_an_order_by_hand(box: Town, revel: httpx.AsyncClient):
    booked = await box.book()
    made = (await revel.post(f"{CART}/submit", json=cart(booked))).json()
    assert (await box.admin.delete(f"/orders/{made['orderId']}")).status_code == 204
    assert await box.orders() == []
    assert (await revel.get("/resources/OrderItem/")).json()["meta"]["total_count"] == 0
    assert (await revel.get(f"/resources/Order/{made['orderId']}/")).status_code == 404


async def test_somebody_changes_an_order_by_hand(box: Town, revel: httpx.AsyncClient):
    made = (await revel.post(f"{CART}/submit", json=cart(await box.book()))).json()
    path = f"/orders/{made['orderId']}"
    items = (await box.admin.patch(path, json={"items": [{"product": 509, "quantity": 2}]})).json()
    assert [(item["product"], item["quantity"], item["price"]) for item in items["items"]] == [(509, 2.0, 11.0)]
    assert items["subtotal"] == 22.0
    assert (await box.admin.patch(path, json={"final_total": 1.0})).json()["final_total"] == 1.0
    # even what is closed
    assert (await box.admin.patch(path, json={"closed": True})).json()["closed"] is True
    voided = (await box.admin.patch(path, json={"voided": True, "voided_reason": "mistake"})).json()
    assert {item["voided"] for item in voided["items"]} == {True}
    assert (await revel.get(f"/resources/Order/{made['orderId']}/")).json()["voided"] is True
    assert (await box.admin.patch(path, json={"items": [{"product": 1}]})).status_code == 422


async def test_somebody_rings_an_order_up_by_hand(box: Town):
    draft = {"local_id": "Triple Seat_1", "establishment": 5, "items": [{"product": 601, "quantity": 2}]}
    made = (await box.admin.post("/orders", json=draft)).json()
    assert (made["establishment_id"], made["subtotal"]) == (5, 84.0)
    found = (await box.admin.get("/orders", params={"local_id": "Triple Seat_1"})).json()
    assert [order["id"] for order in found["orders"]] == [made["id"]]
    assert (await box.admin.post("/orders", json={"establishment": 99})).status_code == 422


async def test_the_log_tells_calls_in_order(box: Town, tripleseat: httpx.AsyncClient, revel: httpx.AsyncClient):
    await box.admin.delete("/requests")
    booked = await box.book()
    await tripleseat.get(f"/v1/events/{booked['id']}.json", params={"show_financial": "true"})
    made = (await revel.post(f"{CART}/submit/", json=cart(booked))).json()
    first, second = await box.calls()
    assert (first["service"], first["method"], first["status"]) == ("tripleseat", "GET", 200)
    assert (first["path"], first["query"]) == (f"/v1/events/{booked['id']}.json", "show_financial=true")
    assert (second["path"], second["body"], second["answer"]) == (f"{CART}/submit/", cart(booked), made)
    assert len(await box.calls(path=f"{CART}/submit")) == 1
    assert len(await box.calls(service="revel", method="post")) == 1
    assert await box.calls(service="revel", method="GET") == []
    assert [call["number"] for call in await box.calls(limit="1")] == [second["number"]]
    assert (await box.admin.get("/requests", params={"limit": "x"})).status_code == 422


async def test_no_secret_gets_into_the_log(box: Town):
    await box.token(grant_type="authorization_code", code="abc")
    text = (await box.admin.get("/requests")).text
    assert box.settings["TRIPLESEAT_OAUTH_CLIENT_SECRET"] not in text
    assert "access_token" not in text


async def test_a_reset_starts_over_and_keeps_credentials_and_target(box: Town, tripleseat: httpx.AsyncClient):
    before = [one["id"] for one in (await box.admin.get("/events")).json()["events"]]
    async with receiving() as receiver:
        await box.admin.put("/target", json={"url": receiver.url})
        await box.book()
        await box.webhooks()
        receiver.requests.clear()
        await box.admin.post("/orders", json={})
        await box.fault("500")
        await box.config(tripleseat_page_size=1)
        assert (await box.admin.post("/reset")).json()["events"] == len(before)
        assert [one["id"] for one in (await box.admin.get("/events")).json()["events"]] == before
        assert await box.orders() == []
        assert await box.calls() == []
        assert await box.webhooks() == []
        assert len((await tripleseat.get("/v1/events/search.json")).json()["results"]) == len(before)
        await box.book()
        await box.webhooks()
        assert receiver.triggers == ["CREATE_EVENT"]


async def test_a_reset_may_leave_the_calendar_empty(box: Town):
    assert (await box.admin.post("/reset", json={"events": False})).json()["events"] == 0
    assert (await box.admin.get("/events")).json() == {"events": [], "total": 0}


async def test_the_mapping_names_every_item_of_the_menu(box: Town):
    text = (await box.admin.get("/mapping.csv")).text
    head, *rows = text.splitlines()
    assert head == "item,product,product_name"
    assert '"Oysters, one dozen",501,Oysters Dozen' in rows
    assert len(rows) == 16
    assert "601" in (await box.admin.get("/mapping.csv", params={"site_id": 15702})).text


async def test_the_calendar_looks_like_that_of_a_group_of_restaurants(box: Town):
    events = (await box.admin.get("/events")).json()["events"]
    assert {event["site_id"] for event in events} == {15691, 15702, 15733}
    assert len({event["status"] for event in events}) >= 4
    days = {date.fromisoformat(event["event_date"]) for event in events}
    assert min(days) < today() < max(days)
    assert len({event["name"] for event in events}) > 10
    assert all(item["product"] for event in events for item in event["items"])


async def test_one_seed_is_one_world():
    async def world(seed: int) -> tuple:
        async with sandboxing(seed=seed) as box:
            events = (await box.admin.get("/events")).json()["events"]
            token = (await box.token()).json()["access_token"]
            secrets = {name: value for name, value in box.settings.items() if "://" not in value}
            return [(event["id"], event["name"], event["status"], event["total"]) for event in events], token, secrets

    one, same, other = await world(3), await world(3), await world(4)
    assert one == same
    assert one[0] != other[0]
    assert one[1] != other[1]
    assert one[2] != other[2]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8900", "10.0.0.1"])
async def test_a_page_of_the_web_is_no_administrator(box: Town, host: str):
    answer = await box.admin.post("/events", json={}, headers={"Host": host})
    assert answer.status_code == 403
    assert (await box.admin.get("/events", headers={"Host": "localhost:1"})).status_code == 200


async def test_health_tells_that_it_runs(box: Town):
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{box.url}/health")).json()["status"] == "healthy"


@pytest.mark.parametrize(
    "change", [{"tripleseat_page_size": 0}, {"gravity": 9.81}, {"signature_form": "loud"}, {"revel_denied": "Order"}]
)
async def test_a_wrong_habit_is_refused_and_changes_nothing(box: Town, change: dict):
    before = (await box.admin.get("/config")).json()
    answer = await box.admin.patch("/config", json=change)
    assert (answer.status_code, next(iter(change)) in answer.json()["error"][0]) == (422, True)
    assert (await box.admin.get("/config")).json() == before


async def test_webhooks_are_aimed_at_nothing_but_addresses(box: Town):
    assert (await box.admin.put("/target", json={"url": "file:///etc/passwd"})).status_code == 422
    aimed = (await box.admin.put("/target", json={"url": "http://127.0.0.1:9/x", "site_ids": [15702]})).json()
    assert [(one["site_id"], one["target_url"]) for one in aimed["endpoints"]] == [(15702, "http://127.0.0.1:9/x")]
    assert (await box.admin.put("/target", json={"url": None})).json()["endpoints"] == []
