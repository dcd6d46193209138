"""The whole way once: a booking is read from Tripleseat, and its order made at Revel."""

import httpx
from sandboxing import Town, cart


async def test_a_booking_becomes_an_order(box: Town, tripleseat: httpx.AsyncClient, revel: httpx.AsyncClient):
    booked = await box.book(guest_count=40)
    read = (await tripleseat.get(f"/v1/events/{booked['id']}.json", params={"show_financial": "true"})).json()["event"]
    assert (read["status"], read["grand_total"]) == ("DEFINITE", booked["total"].rstrip("0"))

    assert (await revel.post("/specialresources/cart/validate", json=cart(booked))).json() == {"valid": True}
    total = (await revel.post("/specialresources/cart/calculate", json=cart(booked))).json()["final_total"]
    made = (await revel.post("/specialresources/cart/submit", json=cart(booked))).json()
    found = await revel.get("/resources/Order/", params={"establishment": 4, "local_id": booked["local_id"]})

    (order,) = found.json()["objects"]
    assert (order["id"], order["final_total"], total) == (
        made["orderId"],
        float(booked["total"]),
        float(booked["total"]),
    )
    assert [one["id"] for one in await box.orders()] == [made["orderId"]]
    assert len(await box.calls(service="revel", path="/specialresources/cart/submit")) == 1


async def test_an_answer_lost_after_commit_leaves_the_order(box: Town, revel: httpx.AsyncClient):
    booked = await box.book()
    await box.fault("timeout_after_commit", route="/specialresources/cart/submit", count=1)

    try:
        await revel.post("/specialresources/cart/submit", json=cart(booked), timeout=0.2)
    except httpx.ReadTimeout:
        found = await revel.get("/resources/Order/", params={"local_id": booked["local_id"]})
        assert found.json()["meta"]["total_count"] == 1
    else:
        raise AssertionError
