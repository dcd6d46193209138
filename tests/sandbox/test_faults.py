"""Faults: each kind does what it says, where it was told to, as often as it was told to."""

import json
from time import perf_counter

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandboxing import Town, cart

from mainstem.sandbox.faults import Draft, Faults, Kind

SUBMIT = "/specialresources/cart/submit"


async def submit(revel: httpx.AsyncClient, booked: dict, timeout_s: float = 5) -> httpx.Response:
    return await revel.post(SUBMIT, json=cart(booked), timeout=timeout_s)


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("429", 429, "application/json"),
        ("500", 500, "application/json"),
        ("503", 503, "text/html"),
        ("html", 200, "text/html"),
        ("garbage", 200, "application/json"),
    ],
)
async def test_a_spoilt_answer_means_that_nothing_was_done(
    box: Town, revel: httpx.AsyncClient, kind: str, status: int, content_type: str
):
    await box.fault(kind, route=SUBMIT, count=1)
    booked = await box.book()
    answer = await submit(revel, booked)
    assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)
    if kind in {"html", "garbage"}:
        with pytest.raises(json.JSONDecodeError):
            answer.json()
    assert await box.orders() == []
    (call,) = await box.calls(path=SUBMIT)
    assert (call["status"], call["fault"], call["handled"]) == (status, kind, False)
    assert (await submit(revel, booked)).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status"), [("500_after_commit", 500), ("html_after_commit", 200), ("garbage_after_commit", 200)]
)
async def test_a_spoilt_answer_after_commit_means_that_it_was_done(
    box: Town, revel: httpx.AsyncClient, kind: str, status: int
):
    await box.fault(kind, route=SUBMIT, count=1)
    answer = await submit(revel, await box.book())
    assert answer.status_code == status
    assert "orderId" not in answer.text
    assert len(await box.orders()) == 1
    (call,) = await box.calls(path=SUBMIT)
    assert (call["status"], call["fault"], call["handled"]) == (status, kind, True)


@pytest.mark.parametrize(("kind", "orders"), [("reset", 0), ("reset_after_commit", 1)])
async def test_a_connection_is_reset_before_or_after(box: Town, revel: httpx.AsyncClient, kind: str, orders: int):
    await box.fault(kind, route=SUBMIT, count=1)
    booked = await box.book()
    with pytest.raises(httpx.ReadError):
        await submit(revel, booked)
    assert len(await box.orders()) == orders
    (call,) = await box.calls(path=SUBMIT)
    assert (call["status"], call["handled"]) == (None, bool(orders))


@pytest.mark.parametrize(("kind", "orders"), [("timeout", 0), ("timeout_after_commit", 1)])
async def test_an_answer_never_comes(box: Town, revel: httpx.AsyncClient, kind: str, orders: int):
    await box.fault(kind, route=SUBMIT, count=1)
    booked = await box.book()
    with pytest.raises(httpx.ReadTimeout):
        await submit(revel, booked, timeout_s=0.3)
    assert len(await box.orders()) == orders
    assert (await submit(revel, booked)).status_code == 200


async def test_who_waits_long_enough_is_hung_up_on(box: Town, revel: httpx.AsyncClient):
    await box.fault("timeout", route=SUBMIT, seconds=0.1)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await submit(revel, await box.book())


async def test_latency_delays_and_nothing_else(box: Town, revel: httpx.AsyncClient):
    await box.fault("latency", route=SUBMIT, seconds=0.3)
    started = perf_counter()
    assert (await submit(revel, await box.book())).status_code == 200
    assert perf_counter() - started >= 0.3
    (call,) = await box.calls(path=SUBMIT)
    assert (call["status"], call["fault"]) == (200, "latency")


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("503", 503)])
async def test_how_long_to_wait_is_said_or_not(box: Town, revel: httpx.AsyncClient, kind: str, status: int):
    await box.fault(kind, count=1, retry_after_s=7)
    answer = await revel.get("/resources/Order/")
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
    await box.fault(kind, count=1, retry_after_s=None)
    assert "retry-after" not in (await revel.get("/resources/Order/")).headers


async def test_a_fault_keeps_to_its_service_method_and_route(
    box: Town, tripleseat: httpx.AsyncClient, revel: httpx.AsyncClient
):
    await box.fault("500", service="tripleseat", method="get", route="/v1/events/*")
    assert (await tripleseat.get("/v1/events/search.json")).status_code == 500
    assert (await tripleseat.get("/v1/locations.json")).status_code == 200
    assert (await revel.get("/resources/Order/")).status_code == 200
    assert (await box.token()).status_code == 200


async def test_the_first_fault_that_fits_happens_until_it_is_used_up(box: Town, revel: httpx.AsyncClient):
    answer = await box.admin.post(
        "/faults", json={"faults": [{"kind": "503", "count": 2}, {"kind": "500", "count": 1}]}
    )
    assert [fault["kind"] for fault in answer.json()["faults"]] == ["503", "500"]
    statuses = [(await revel.get("/resources/Order/")).status_code for _ in range(4)]
    assert statuses == [503, 503, 500, 200]
    assert [fault["made"] for fault in (await box.admin.get("/faults")).json()["faults"]] == [2, 1]


async def test_faults_are_cleared_one_by_one_or_all(box: Town, revel: httpx.AsyncClient):
    one = await box.fault("503")
    await box.fault("500")
    assert (await box.admin.delete(f"/faults/{one['id']}")).status_code == 204
    assert (await revel.get("/resources/Order/")).status_code == 500
    assert (await box.admin.delete("/faults")).status_code == 204
    assert (await revel.get("/resources/Order/")).status_code == 200
    assert (await box.admin.delete("/faults/9")).status_code == 404


@pytest.mark.parametrize(
    "fields", [{"kind": "fire"}, {"kind": "500", "probability": 2}, {"kind": "500", "when": "now"}, {}]
)
async def test_a_fault_that_is_none_is_refused(box: Town, fields: dict):
    answer = await box.admin.post("/faults", json=fields)
    assert answer.status_code == 422
    assert (await box.admin.get("/faults")).json() == {"faults": []}


async def test_a_token_may_fail_to_come(box: Town):
    await box.fault("html", route="/oauth2/token", count=1)
    assert (await box.token()).headers["content-type"] == "text/html"
    assert (await box.token()).json()["access_token"]


KINDS = st.sampled_from([kind for kind in Kind if not kind.of_webhooks])


@given(KINDS, st.integers(1, 20), st.integers(0, 40))
def test_a_count_is_never_exceeded_and_always_used(kind: Kind, count: int, calls: int):
    faults = Faults(1)
    faults.add(Draft(kind=kind, count=count))
    drawn = [faults.draw("revel", "GET", "/x") for _ in range(calls)]
    assert sum(fault is not None for fault in drawn) == min(count, calls)


@given(KINDS, st.integers(0, 1000), st.floats(0, 1))
def test_dice_fall_alike_for_one_seed(kind: Kind, seed: int, probability: float):
    def thrown() -> list[bool]:
        faults = Faults(seed)
        faults.add(Draft(kind=kind, probability=probability))
        return [faults.draw("revel", "GET", "/x") is not None for _ in range(30)]

    assert thrown() == thrown()


@given(st.floats(0.05, 0.95))
def test_dice_fall_about_as_often_as_they_should(probability: float):
    faults = Faults(7)
    faults.add(Draft(kind=Kind.ERROR, probability=probability))
    share = sum(faults.draw("revel", "GET", "/x") is not None for _ in range(3000)) / 3000
    assert abs(share - probability) < 0.05
