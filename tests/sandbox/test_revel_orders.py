"""Orders made, changed and voided by the resource API, row by row."""

import hmac
import json
from datetime import datetime
from hashlib import sha1
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from sandboxing import Town, receiving

STAFF = {
    "created_by": "/enterprise/User/41/",
    "updated_by": "/enterprise/User/41/",
    "created_at": "/resources/PosStation/41/",
    "last_updated_at": "/resources/PosStation/41/",
}


def order_body(**fields: object) -> dict:
    return {
        "establishment": "/enterprise/Establishment/4/",
        **STAFF,
        "uuid": str(uuid4()),
        "local_id": "Triple Seat_7",
        "dining_option": 0,
        "pos_mode": "T",
        **fields,
    }


def item_body(owner: dict, **fields: object) -> dict:
    return {
        "order": owner["resource_uri"],
        "product": "/resources/Product/509/",
        "uuid": str(uuid4()),
        "quantity": 3,
        "price": 11.0,
        **fields,
    }


async def made(revel: httpx.AsyncClient, path: str, body: dict) -> dict:
    answer = await revel.post(path, json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == answer.json()["resource_uri"]
    return answer.json()


@pytest.fixture
async def order(revel: httpx.AsyncClient) -> dict:
    """Return an open order without items."""
    return await made(revel, "/resources/Order/", order_body())


async def read(revel: httpx.AsyncClient, row: dict) -> dict:
    return (await revel.get(row["resource_uri"])).json()


async def test_an_order_grows_by_its_items(revel: httpx.AsyncClient, order: dict):
    assert (order["has_items"], order["items"], order["final_total"]) == (False, [], 0)
    item = await made(revel, "/resources/OrderItem/", item_body(order))
    now = await read(revel, order)
    assert now["items"] == [item["resource_uri"]]
    assert (now["subtotal"], now["tax"], now["final_total"]) == (33.0, 2.93, 35.93)
    assert now["remaining_due"] == now["final_total"]


async def test_times_are_naive_and_those_of_the_establishment(order: dict):
    moment = datetime.fromisoformat(order["created_date"])
    assert moment.tzinfo is None
    assert abs((datetime.now(ZoneInfo("America/New_York")).replace(tzinfo=None) - moment).total_seconds()) < 60


@pytest.mark.parametrize("name", ["id", "resource_uri"])
async def test_a_new_one_must_not_say_its_id(revel: httpx.AsyncClient, name: str):
    answer = await revel.post("/resources/Order/", json=order_body(**{name: 7}))
    assert answer.status_code == 400
    assert name in answer.json()["error"]
    assert (await revel.get("/resources/Order/")).json()["meta"]["total_count"] == 0


@pytest.mark.parametrize("name", ["establishment", "created_by", "created_at", "uuid", "dining_option"])
async def test_a_missing_field_is_named_under_its_resource(revel: httpx.AsyncClient, name: str):
    body = order_body()
    del body[name]
    answer = await revel.post("/resources/Order/", json=body)
    assert (answer.status_code, answer.json()) == (400, {"order": {name: ["This field is required."]}})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"product": 509}, "not a URI"),
        ({"product": "/resources/Product/1/"}, "Could not find"),
        ({"product": "/resources/Order/509/"}, "Could not find"),
        ({"order": "/resources/Order/1/"}, "Could not find"),
        ({"quantity": "three"}, "Enter a number."),
        ({"price": True}, "Enter a number."),
    ],
)
async def test_foreign_keys_are_uris_and_numbers_are_numbers(
    revel: httpx.AsyncClient, order: dict, fields: dict, told: str
):
    answer = await revel.post("/resources/OrderItem/", json=item_body(order, **fields))
    assert answer.status_code == 400
    assert told in json.dumps(answer.json())
    assert (await read(revel, order))["items"] == []


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"'])
async def test_what_is_no_object_is_400(revel: httpx.AsyncClient, body: bytes):
    assert (await revel.post("/resources/Order/", content=body)).status_code == 400


async def test_nothing_keeps_two_orders_from_having_one_name(box: Town, revel: httpx.AsyncClient, order: dict):
    await made(revel, "/resources/Order/", order_body(uuid=order["uuid"]))
    found = await revel.get("/resources/Order/", params={"establishment": 4, "local_id": "Triple Seat_7"})
    assert found.json()["meta"]["total_count"] == 2
    await box.config(unique_uuid=True)
    answer = await revel.post("/resources/Order/", json=order_body(uuid=order["uuid"]))
    assert (answer.status_code, list(answer.json()["order"])) == (400, ["uuid"])


async def test_a_patch_changes_what_it_names(revel: httpx.AsyncClient, order: dict):
    answer = await revel.patch(order["resource_uri"], json={"notes": "by the door", "loyalty_account_id": 9})
    assert answer.status_code == 202
    changed = answer.json()
    assert (changed["notes"], changed["local_id"], changed["loyalty_account_id"]) == (
        "by the door",
        "Triple Seat_7",
        None,
    )
    assert (await revel.put(order["resource_uri"], json={"notes": "x"})).status_code == 200
    assert (await revel.patch("/resources/Order/1/", json={})).status_code == 404


async def test_items_of_an_open_order_change_and_go(revel: httpx.AsyncClient, order: dict):
    one = await made(revel, "/resources/OrderItem/", item_body(order))
    other = await made(revel, "/resources/OrderItem/", item_body(order, quantity=1))
    await revel.patch(one["resource_uri"], json={"quantity": 1})
    assert (await read(revel, order))["subtotal"] == 22.0
    assert (await revel.delete(other["resource_uri"])).status_code == 204
    now = await read(revel, order)
    assert (now["items"], now["subtotal"]) == ([one["resource_uri"]], 11.0)


@pytest.mark.parametrize("sign", [{"voided_reason": "wrong"}, {"voided_date": "2026-11-26T12:00:00"}])
async def test_a_void_item_stays_and_costs_nothing(revel: httpx.AsyncClient, order: dict, sign: dict):
    item = await made(revel, "/resources/OrderItem/", item_body(order))
    await revel.patch(item["resource_uri"], json=sign)
    now = await read(revel, order)
    assert (now["items"], now["final_total"]) == ([item["resource_uri"]], 0.0)
    assert (await read(revel, item))["voided_date"]


async def test_a_void_order_takes_its_items_with_it_and_stays(revel: httpx.AsyncClient, order: dict):
    item = await made(revel, "/resources/OrderItem/", item_body(order))
    answer = await revel.patch(order["resource_uri"], json={"voided": True, "voided_reason": "cancelled"})
    assert answer.status_code == 202
    now = await read(revel, order)
    assert (now["voided"], now["voided_reason"], now["final_total"]) == (True, "cancelled", 0.0)
    assert now["voided_date"]
    assert (await read(revel, item))["voided_reason"] == "cancelled"
    assert (await revel.delete(order["resource_uri"])).status_code == 405
    assert (await revel.get("/resources/Order/", params={"voided": "true"})).json()["meta"]["total_count"] == 1


@pytest.mark.parametrize("end", [{"closed": True}, {"voided": True}])
async def test_nothing_of_a_closed_or_void_order_changes(revel: httpx.AsyncClient, order: dict, end: dict):
    item = await made(revel, "/resources/OrderItem/", item_body(order))
    await revel.patch(order["resource_uri"], json=end)
    before = await read(revel, order)
    tries = [
        await revel.patch(order["resource_uri"], json={"notes": "x", "closed": False}),
        await revel.patch(item["resource_uri"], json={"quantity": 9}),
        await revel.delete(item["resource_uri"]),
        await revel.post("/resources/OrderItem/", json=item_body(order)),
    ]
    assert [answer.status_code for answer in tries] == [400] * 4
    assert await read(revel, order) == before


async def test_a_payment_lessens_what_is_due(revel: httpx.AsyncClient, order: dict):
    await made(revel, "/resources/OrderItem/", item_body(order))
    await made(revel, "/resources/Payment/", {"order": order["resource_uri"], "amount": 35.93, "payment_type": 236})
    assert (await read(revel, order))["remaining_due"] == 0.0


async def test_a_closed_order_is_told_signed(box: Town, revel: httpx.AsyncClient, order: dict):
    await made(revel, "/resources/OrderItem/", item_body(order))
    async with receiving(500) as receiver:
        await box.config(revel_webhook_url=receiver.url, webhook_resend_s=0.01)
        await revel.patch(order["resource_uri"], json={"closed": True})
        (_, _), (body, headers) = await receiver.received(2)
        await box.webhooks()
    secret = (await box.admin.get("/credentials")).json()["revel_webhook_secret"]
    assert headers["X-Revel-Signature"] == hmac.new(secret.encode(), body, sha1).hexdigest()
    assert headers["X-Revel-Event-Type"] == "order.finalized"
    assert headers["X-Revel-Establishment-Id"] == "4"
    told = json.loads(body)
    assert (told["orderInfo"]["id"], len(told["items"])) == (order["id"], 1)
