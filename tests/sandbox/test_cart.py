"""The cart API: checked, worked out, submitted; what is refused leaves nothing."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from sandboxing import Town, cart

CART = "/specialresources/cart"


async def test_what_calculate_says_is_what_the_order_has(box: Town, revel: httpx.AsyncClient):
    booked = await box.book(
        items=[{"name": "Lemon Tart", "quantity": 3}, {"name": "Beer and Wine Package", "quantity": 21}]
    )
    totals = (await revel.post(f"{CART}/calculate/", json=cart(booked))).json()
    assert totals == {"subtotal": 1041.0, "tax": 92.39, "final_total": 1133.39}
    assert await box.orders() == []
    made = (await revel.post(f"{CART}/submit/", json=cart(booked))).json()
    order = (await revel.get(f"/resources/Order/{made['orderId']}/")).json()
    assert {name: order[name] for name in totals} == totals
    assert (order["local_id"], order["call_name"], order["web_order"]) == (booked["local_id"], booked["name"], True)
    items = (await revel.get("/resources/OrderItem/", params={"order": made["orderId"]})).json()["objects"]
    assert [(item["product"], item["quantity"], item["price"]) for item in items] == [
        ("/resources/Product/509/", 3.0, 11.0),
        ("/resources/Product/515/", 21.0, 48.0),
    ]


async def test_an_item_without_a_price_has_that_of_the_menu(box: Town, revel: httpx.AsyncClient):
    sent = cart(await box.book(items=[{"name": "Lemon Tart", "quantity": 1, "price": "1.00"}]))
    del sent["items"][0]["price"]
    assert (await revel.post(f"{CART}/calculate", json=sent)).json()["subtotal"] == 11.0


async def test_the_order_has_the_uuid_that_was_sent(box: Town, revel: httpx.AsyncClient):
    uuid = "6fd00f1e-1b0c-5f0e-8d53-0c9d3dfb9a11"
    await revel.post(f"{CART}/submit", json=cart(await box.book(), uuid=uuid))
    assert [order["uuid"] for order in await box.orders()] == [uuid]


async def test_names_may_get_lost(box: Town, revel: httpx.AsyncClient):
    await box.config(cart_keeps_names=False)
    uuid = "6fd00f1e-1b0c-5f0e-8d53-0c9d3dfb9a11"
    booked = await box.book()
    await revel.post(f"{CART}/submit", json=cart(booked, uuid=uuid))
    (order,) = await box.orders()
    assert order["uuid"] != uuid
    assert order["local_id"] != booked["local_id"]
    assert order["call_name"] == booked["name"]


async def test_nobody_notices_that_a_cart_was_sent_before(box: Town, revel: httpx.AsyncClient):
    sent = cart(await box.book())
    answers = await asyncio.gather(*(revel.post(f"{CART}/submit", json=sent) for _ in range(5)))
    assert len({answer.json()["orderId"] for answer in answers}) == 5
    assert len(await box.orders()) == 5


async def test_unless_uuids_are_unique(box: Town, revel: httpx.AsyncClient):
    await box.config(unique_uuid=True)
    sent = cart(await box.book(), uuid="6fd00f1e-1b0c-5f0e-8d53-0c9d3dfb9a11")
    answers = await asyncio.gather(*(revel.post(f"{CART}/submit", json=sent) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    assert len(await box.orders()) == 1


def item(**fields: object) -> Callable[[dict], None]:
    return lambda sent: sent["items"][1].update(fields)


def info(**fields: object) -> Callable[[dict], None]:
    return lambda sent: sent["orderInfo"].update(fields)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda sent: sent.update(establishmentId=99), "Establishment not found"),
        (lambda sent: sent.pop("establishmentId"), "Establishment not found"),
        (lambda sent: sent.update(items=[]), "Cart is empty"),
        (lambda sent: sent.update(items=["tart"]), "Item 1 is not an object"),
        (lambda sent: sent.pop("orderInfo"), "orderInfo is required"),
        (info(dining_option=None), "orderInfo.dining_option is required"),
        (info(call_name=""), "orderInfo.call_name is required"),
        (item(product=1), "Product 1 not found"),
        (item(product=601), "Product 601 not found"),
        (item(product=None), "Product None not found"),
        (item(product=516), "Product Winter Punch is not available"),
        (item(quantity=0), "Item 2: quantity must be positive"),
        (item(quantity="many"), "Item 2: quantity must be a number"),
        (item(quantity=None), "Item 2: quantity must be a number"),
        (item(price=-1), "Item 2: price must not be negative"),
        (item(price="NaN"), "Item 2: price must be a number"),
    ],
)
async def test_a_wrong_cart_is_refused_in_the_same_words_at_every_step(
    box: Town, revel: httpx.AsyncClient, spoil: Callable[[dict], None], message: str
):
    sent = cart(await box.book())
    spoil(sent)
    for step in ("validate", "calculate", "submit"):
        answer = await revel.post(f"{CART}/{step}", json=sent)
        assert (answer.status_code, answer.json()) == (400, {"error": {"details": {"message": message}}}), step
    assert await box.orders() == []


async def test_what_is_no_json_is_refused(revel: httpx.AsyncClient):
    answer = await revel.post(f"{CART}/submit", content=b"<cart/>")
    assert answer.json() == {"error": {"details": {"message": "Malformed JSON"}}}


async def test_some_instances_take_text_plain_alone(box: Town, revel: httpx.AsyncClient):
    await box.config(cart_text_plain_only=True)
    body = httpx.Request("POST", "http://x", json=cart(await box.book())).content
    wrong = await revel.post(f"{CART}/submit", content=body, headers={"Content-Type": "application/json"})
    assert (wrong.status_code, wrong.json()) == (500, {"error": {"details": {"message": "Unhandled error"}}})
    right = await revel.post(f"{CART}/submit", content=body, headers={"Content-Type": "text/plain"})
    assert right.json()["orderId"]
    assert len(await box.orders()) == 1
