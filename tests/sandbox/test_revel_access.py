"""Who may call Revel, and what."""

import asyncio
from collections import Counter

import httpx
import pytest
from sandboxing import Town, cart


@pytest.mark.parametrize("given", [None, "", "key", "key:secret", ":"])
async def test_a_wrong_key_is_401_with_an_empty_body(box: Town, given: str | None):
    headers = {} if given is None else {"API-AUTHENTICATION": given}
    async with httpx.AsyncClient(headers=headers) as client:
        answer = await client.get(f"{box.url}/revel/resources/Order/")
    assert (answer.status_code, answer.content) == (401, b"")


async def test_key_and_secret_may_stand_in_the_query(box: Town):
    query = {"api_key": box.settings["REVEL_API_KEY"], "api_secret": box.settings["REVEL_API_SECRET"], "limit": 1}
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{box.url}/revel/resources/Product/", params=query)
    assert answer.status_code == 200
    assert "api_" not in answer.json()["meta"]["next"]
    (call,) = await box.calls(service="revel")
    assert query["api_secret"] not in call["query"]
    assert query["api_key"] not in call["query"]


async def test_permissions_are_per_resource(box: Town, revel: httpx.AsyncClient):
    await box.config(revel_denied=["Product", "Order"])
    assert (await revel.get("/resources/Product/")).status_code == 401
    assert (await revel.get("/resources/Product/501/")).status_code == 401
    assert (await revel.get("/resources/Order/")).status_code == 401
    assert (await revel.get("/resources/OrderItem/")).status_code == 200
    shop = await revel.get("/weborders/products/", params={"establishment": 4, "limit": 500})
    assert shop.json()["count"] == len(shop.json()["results"]) == 15
    booked = await box.book()
    assert (await revel.post("/specialresources/cart/submit", json=cart(booked))).status_code == 200
    await box.config(revel_denied=["Cart"])
    assert (await revel.post("/specialresources/cart/submit", json=cart(booked))).status_code == 401


async def test_a_limit_of_requests_says_when_to_come_back(box: Town, revel: httpx.AsyncClient):
    await box.config(revel_per_minute=3)
    answers = await asyncio.gather(*(revel.get("/resources/Order/") for _ in range(5)))
    assert Counter(answer.status_code for answer in answers) == {200: 3, 429: 2}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 61


async def test_a_route_that_does_not_exist_is_a_404_page(revel: httpx.AsyncClient):
    answer = await revel.get("/resources/OrderAllInOne/")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


async def test_an_address_without_its_slash_is_redirected(box: Town, revel: httpx.AsyncClient):
    answer = await revel.get("/resources/Product", params={"limit": 1})
    assert answer.status_code == 301
    assert answer.headers["location"].endswith("/revel/resources/Product/?limit=1")
    assert (await revel.get(httpx.URL(box.url).join(answer.headers["location"]))).status_code == 200
