"""Revel as a sink, against the sandbox over HTTP: found, made by the cart, changed, voided; and what is known after a fault."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from connectors.clients import HASTY, NEW_YORK, item, plan_of, sink_at, wanted

from mainstem.connectors.ports import OutcomeUnknownError, RefusedError, UpstreamError
from mainstem.connectors.revel.desk import WriteApi

BOTH = pytest.mark.parametrize("api", list(WriteApi))
SUBMIT = "/specialresources/cart/submit"


@pytest.fixture
def sink(town, outbound):
    return sink_at(town, outbound)


async def live(town):
    return [order for order in await town.orders() if not order["voided"]]


async def all_of(sink, since, until, establishment="4"):
    return [order async for page in sink.orders(establishment, since, until) for order in page]


async def find(sink, plan):
    return await sink.find(plan.local_id, plan.uuid, plan.establishment)


@BOTH
async def test_an_order_is_made_whole_and_found(town, outbound, api):
    sink = sink_at(town, outbound, write_api=api)
    plan = plan_of(await town.book())
    assert await find(sink, plan) == []
    made = await sink.submit(plan)
    assert made.items == wanted(plan)
    assert (made.local_id, made.uuid, made.complete) == (plan.local_id, str(plan.uuid), True)
    assert (made.voided, made.closed) == (False, False)
    assert made.total == plan.total
    assert await find(sink, plan) == [made]
    (order,) = await town.orders()
    assert order["local_id"] == f"Triple Seat_{plan.local_id.removeprefix('Triple Seat_')}" == plan.local_id
    assert order["call_name"].startswith(plan.local_id)
    assert order["notes"] == plan.notes
    assert order["number_of_people"] == 40
    assert order["pickup_time"] == plan.starts_at.astimezone(NEW_YORK).replace(tzinfo=None).isoformat()


@BOTH
async def test_notes_and_names_of_items_arrive(town, outbound, api):
    sink = sink_at(town, outbound, write_api=api)
    plan = plan_of(
        await town.book(), items=(item(505, 3, "36.50", "Salmon", "no butter"), item(505, 1, None, "Salmon"))
    )
    made = await sink.submit(plan)
    assert made.items == {"505": Decimal(4)}
    (order,) = await town.orders()
    assert [(one["quantity"], one["price"], one["special_request"] or "") for one in order["items"]] == [
        (3, 36.5, "no butter"),
        # the source did not say: Revel's own price
        (1, 36, ""),
    ]


@BOTH
async def test_defect_2_3_g_a_product_is_chosen_by_its_id_and_never_by_a_name_like_it(town, outbound, api):
    sink = sink_at(town, outbound, write_api=api)
    plan = plan_of(await town.book(), items=(item(505, 1, 36, "Grilled Salmon"), item(509, 1, 11, "Grilled Salmon")))
    assert (await sink.submit(plan)).items == {"505": 1, "509": 1}
    missing = plan_of(await town.book(), items=(item(99_505, 1, 36, "Grilled Salmon"),))
    with pytest.raises(RefusedError):
        await sink.submit(missing)


async def test_the_cart_is_checked_and_worked_out_before_it_is_submitted(town, sink):
    await sink.submit(plan_of(await town.book()))
    calls = await town.calls(service="revel", method="POST")
    assert [call["path"].rstrip("/").rpartition("/")[2] for call in calls] == ["validate", "calculate", "submit"]


async def test_an_instance_that_takes_plain_text_only(town, outbound):
    await town.config(cart_text_plain_only=True)
    plan = plan_of(await town.book())
    with pytest.raises(UpstreamError):
        await sink_at(town, outbound).submit(plan)
    assert await sink_at(town, outbound, cart_content_type="text/plain").submit(plan)


@pytest.mark.parametrize(
    ("api", "items"),
    [
        (WriteApi.CART, (item(999, 1, 5),)),
        (WriteApi.CART, (item(516, 1, 5),)),
        (WriteApi.CART, (item(501, 1, 5), item(601, 1, 5))),
        (WriteApi.RESOURCE, (item(501, 1, 5), item(999, 1, 5))),
    ],
    ids=["unknown", "inactive", "foreign", "row by row"],
)
async def test_defect_2_3_f_what_is_refused_leaves_no_part_behind(town, outbound, api, items):
    sink = sink_at(town, outbound, write_api=api)
    plan = plan_of(await town.book(), items=items)
    with pytest.raises(RefusedError) as caught:
        await sink.submit(plan)
    assert "(400)" in str(caught.value)
    assert await live(town) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"items": ()},
        {"items": (item("a"),)},
        {"items": (item(501, 0),)},
        {"items": (item(501, -1),)},
        {"items": (item(501, 1, -5),)},
        {"items": (item("501/../502"),)},
        {"establishment": "x"},
        {"establishment": "../4"},
    ],
)
async def test_what_is_no_order_is_refused_before_anything_is_sent(town, sink, fields):
    plan = plan_of(await town.book(), **fields)
    with pytest.raises(RefusedError):
        await sink.submit(plan)
    assert await town.calls(service="revel") == []


# finding


async def test_names_compare_exactly(town, sink):
    plan = plan_of(await town.book())
    for local_id in (plan.local_id + "0", plan.local_id.lower(), f" {plan.local_id}"):
        await town.admin.post("/orders", json={"local_id": local_id, "call_name": local_id.strip() + "x"})
    assert await find(sink, plan) == []


async def test_an_order_is_found_by_its_uuid_or_by_what_it_is_called(town, outbound, sink):
    plan = plan_of(await town.book())
    made = await sink.submit(plan)
    async with town.revel() as client:
        # somebody renamed it; a cart API that keeps neither name nor uuid looks the same
        await client.patch(f"/resources/Order/{made.order_id}/", json={"local_id": "W1"})
        assert [order.order_id for order in await find(sink, plan)] == [made.order_id]
        await client.patch(f"/resources/Order/{made.order_id}/", json={"uuid": str(uuid4())})
    assert [(order.order_id, order.local_id) for order in await find(sink, plan)] == [(made.order_id, plan.local_id)]
    assert await find(sink, replace(plan, local_id="Triple Seat_1", uuid=uuid4())) == []


async def test_voided_orders_are_found_too(town, sink):
    plan = plan_of(await town.book())
    made = await sink.submit(plan)
    await sink.void(made, "cancelled")
    (found,) = await find(sink, plan)
    assert (found.order_id, found.voided, found.items) == (made.order_id, True, wanted(plan))


async def test_all_pages_of_a_name_are_read(town, sink):
    await town.config(revel_most_objects=2)
    plan = plan_of(await town.book())
    for _ in range(5):
        await town.admin.post("/orders", json={"local_id": plan.local_id, "call_name": "x"})
    assert len(await find(sink, plan)) == 5


@pytest.mark.parametrize("kind", ["500", "html", "garbage", "reset", "timeout", "503", "429"])
@pytest.mark.parametrize("route", ["/resources/Order", "/resources/OrderItem"])
async def test_defect_2_3_e_an_order_that_can_not_be_looked_for_is_not_absent(town, outbound, kind, route):
    # the original took every failure for "there is none", and made a second order
    sink = sink_at(town, outbound, patience=HASTY)
    plan = plan_of(await town.book())
    await sink_at(town, outbound).submit(plan)
    await town.fault(kind, service="revel", method="GET", route=f"{route}/*", retry_after_s=0)
    with pytest.raises(UpstreamError):
        await find(sink, plan)
    with pytest.raises(UpstreamError):
        await sink.submit(plan)
    assert len(await town.orders()) == 1


async def test_defect_2_3_e_a_key_that_may_not_look_finds_nothing_out(town, outbound, sink):
    plan = plan_of(await town.book())
    for one in (sink_at(town, outbound, key="wrong"), sink):
        await town.config(revel_denied=["OrderItem"])
        await town.admin.post("/orders", json={"local_id": plan.local_id})
        with pytest.raises(UpstreamError) as caught:
            await find(one, plan)
        assert caught.value.status == 401
    assert "wrong" not in str(caught.value)


# submitting, when something goes wrong


@pytest.mark.parametrize(
    "kind",
    ["timeout_after_commit", "reset_after_commit", "500_after_commit", "html_after_commit", "garbage_after_commit"],
)
async def test_an_order_whose_answer_was_lost_is_unknown_and_sent_once(town, outbound, kind):
    sink = sink_at(town, outbound, patience=HASTY)
    plan = plan_of(await town.book())
    await town.fault(kind, service="revel", route=SUBMIT, count=1)
    with pytest.raises(OutcomeUnknownError):
        await sink.submit(plan)
    assert len(await town.calls(service="revel", path=f"{SUBMIT}*")) == 1
    # and reading tells
    (found,) = await find(sink, plan)
    assert found.items == wanted(plan)
    # a second try by mistake makes no twin
    with pytest.raises(OutcomeUnknownError):
        await sink.submit(plan)
    assert len(await town.orders()) == 1


@pytest.mark.parametrize("kind", ["timeout", "reset", "500", "html", "garbage", "503"])
async def test_an_order_that_may_have_arrived_is_unknown_also_where_it_has_not(town, outbound, kind):
    sink = sink_at(town, outbound, patience=HASTY)
    plan = plan_of(await town.book())
    await town.fault(kind, service="revel", route=SUBMIT, count=1)
    with pytest.raises(OutcomeUnknownError):
        await sink.submit(plan)
    assert await find(sink, plan) == []
    assert (await sink.submit(plan)).items == wanted(plan)


async def test_an_order_that_was_put_off_is_sent_again(town, sink):
    plan = plan_of(await town.book())
    await town.fault("429", service="revel", route=SUBMIT, count=2, retry_after_s=0)
    assert (await sink.submit(plan)).items == wanted(plan)
    assert len(await town.orders()) == 1


async def test_an_order_that_is_put_off_for_long_was_not_made(town, sink):
    plan = plan_of(await town.book())
    await town.fault("429", service="revel", route=SUBMIT, retry_after_s=600)
    with pytest.raises(UpstreamError) as caught:
        await sink.submit(plan)
    assert (caught.value.status, caught.value.retry_after_s) == (429, 600)


@pytest.mark.parametrize("step", ["validate", "calculate"])
async def test_nothing_was_sent_when_the_checks_before_can_not_be_made(town, sink, step):
    plan = plan_of(await town.book())
    await town.fault("500", service="revel", route=f"/specialresources/cart/{step}")
    with pytest.raises(UpstreamError):
        await sink.submit(plan)
    assert await town.orders() == []


async def test_without_a_connection_nothing_was_sent(town, outbound):
    plan = plan_of(await town.book())
    town.settings["REVEL_BASE_URL"] = "http://127.0.0.1:9"
    with pytest.raises(UpstreamError):
        await sink_at(town, outbound).submit(plan)


async def test_a_made_order_that_can_not_be_read_back_is_unknown(town, outbound):
    sink = sink_at(town, outbound, patience=HASTY)
    plan = plan_of(await town.book())
    await town.fault("500", service="revel", method="GET", route="/resources/Order/1*")
    with pytest.raises(OutcomeUnknownError):
        await sink.submit(plan)
    await town.admin.delete("/faults")
    assert len(await find(sink, plan)) == 1


@BOTH
async def test_a_voided_order_makes_room_for_the_next_of_its_name(town, outbound, api):
    await town.config(unique_uuid=True)
    sink = sink_at(town, outbound, write_api=api)
    plan = plan_of(await town.book())
    for round_ in range(1, 4):
        made = await sink.submit(plan)
        assert [order.voided for order in await find(sink, plan)] == [True] * (round_ - 1) + [False]
        await sink.void(made, "cancelled")
    uuids = {order.uuid for order in await find(sink, plan)}
    assert len(uuids) == 3
    assert str(plan.uuid) in uuids


# changing


@BOTH
async def test_an_open_order_is_changed_to_a_new_plan(town, outbound, api):
    sink = sink_at(town, outbound, write_api=api)
    plan = plan_of(await town.book(), items=(item(501, 2, 42), item(505, 40, 36), item(509, 40, 11)))
    made = await sink.submit(plan)
    changed = replace(
        plan,
        title="Moved",
        guests=41,
        notes="41 guests",
        order_hash="1" * 64,
        items=(item(501, 2, 42), item(505, 41, 36), item(510, 3, None)),
    )
    found = await sink.replace(made, changed)
    assert (found.order_id, found.items, found.complete) == (made.order_id, wanted(changed), True)
    assert await find(sink, changed) == [found]
    (order,) = await live(town)
    assert (order["notes"], order["number_of_people"]) == ("41 guests", 41)
    # what stays is not touched, what is too much is void and not gone
    assert [one["voided"] for one in order["items"]] == [False, True, True, False, False]


async def test_changing_to_what_it_is_changes_nothing_but_its_words(town, sink):
    plan = plan_of(await town.book())
    made = await sink.submit(plan)
    await town.admin.delete("/requests")
    found = await sink.replace(made, replace(plan, notes="new words"))
    assert found.items == made.items
    writes = [call for call in await town.calls(service="revel") if call["method"] != "GET"]
    assert [call["method"] for call in writes] == ["PATCH"]


async def test_an_order_may_be_changed_there_and_back(town, sink):
    await town.config(unique_uuid=True)
    one = plan_of(await town.book(), items=(item(501, 2, 42),))
    other = replace(one, items=(item(501, 3, 42),), order_hash="1" * 64)
    made = await sink.submit(one)
    for plan in (other, one, other, one):
        made = await sink.replace(made, plan)
        assert made.items == wanted(plan)


@pytest.mark.parametrize("state", ["closed", "voided"])
async def test_what_is_closed_or_void_is_not_changed(town, sink, state):
    plan = plan_of(await town.book())
    made = await sink.submit(plan)
    await town.admin.patch(f"/orders/{made.order_id}", json={state: True})
    with pytest.raises(RefusedError):
        await sink.replace(made, replace(plan, items=(item(501, 9, 42),)))


async def test_what_is_gone_is_not_changed(town, sink):
    plan = plan_of(await town.book())
    made = await sink.submit(plan)
    await town.admin.delete(f"/orders/{made.order_id}")
    with pytest.raises(RefusedError):
        await sink.replace(made, plan)


async def test_a_change_that_is_refused_leaves_the_order_as_it_was(town, sink):
    plan = plan_of(await town.book(), items=(item(501, 2, 42),))
    made = await sink.submit(plan)
    with pytest.raises(RefusedError):
        await sink.replace(made, replace(plan, notes="x", items=(item(502, 1, 5), item(999, 1, 5))))
    (found,) = await find(sink, plan)
    assert (found.items, found.complete) == (wanted(plan), True)


@pytest.mark.parametrize(
    ("method", "route"),
    [("POST", "/resources/OrderItem"), ("PATCH", "/resources/OrderItem/*"), ("PATCH", "/resources/Order/*")],
)
@pytest.mark.parametrize("kind", ["500", "500_after_commit", "reset", "html_after_commit"])
async def test_a_change_that_fails_midway_can_be_made_again(town, outbound, method, route, kind):
    sink = sink_at(town, outbound, patience=HASTY)
    plan = plan_of(await town.book(), items=(item(501, 2, 42), item(502, 1, 24)))
    made = await sink.submit(plan)
    changed = replace(plan, order_hash="1" * 64, items=(item(501, 3, 42), item(503, 1, 68)))
    await town.fault(kind, service="revel", method=method, route=route, count=4)
    try:
        await sink.replace(made, changed)
    except OutcomeUnknownError:
        (found,) = await find(sink, plan)
        # somebody who reads it sees that it is neither the old nor the new order
        assert found.items != wanted(changed) or not found.complete
    except UpstreamError:
        assert [(one.items, one.complete) for one in await find(sink, plan)] == [(wanted(plan), True)]
    await town.admin.delete("/faults")
    found = await sink.replace(made, changed)
    assert (found.items, found.complete) == (wanted(changed), True)
    assert len(await live(town)) == 1


# voiding


@BOTH
async def test_an_order_is_voided_and_stays_so(town, outbound, api):
    sink = sink_at(town, outbound, write_api=api)
    plan = plan_of(await town.book())
    made = await sink.submit(plan)
    for _ in range(2):
        await sink.void(made, "booking cancelled")
    (order,) = await town.orders()
    assert (order["voided"], order["voided_reason"]) == (True, "booking cancelled")
    assert all(one["voided"] for one in order["items"])


async def test_what_is_gone_needs_no_voiding(town, sink):
    made = await sink.submit(plan_of(await town.book()))
    await town.admin.delete(f"/orders/{made.order_id}")
    await sink.void(made, "cancelled")


async def test_a_closed_order_is_not_voided(town, sink):
    made = await sink.submit(plan_of(await town.book()))
    await town.admin.patch(f"/orders/{made.order_id}", json={"closed": True})
    with pytest.raises(RefusedError) as caught:
        await sink.void(made, "cancelled")
    assert "closed" in str(caught.value)


@pytest.mark.parametrize("kind", ["500_after_commit", "reset_after_commit", "timeout_after_commit"])
async def test_a_void_whose_answer_was_lost_is_made_again(town, outbound, kind):
    sink = sink_at(town, outbound, patience=HASTY)
    made = await sink.submit(plan_of(await town.book()))
    await town.fault(kind, service="revel", method="PATCH", count=1)
    # the second try is told that a void order can't be changed; reading it settles the matter
    await sink.void(made, "cancelled")
    assert await live(town) == []


async def test_a_void_that_can_not_be_told_is_unknown(town, outbound):
    sink = sink_at(town, outbound, patience=HASTY)
    made = await sink.submit(plan_of(await town.book()))
    await town.fault("500", service="revel", method="PATCH")
    with pytest.raises(OutcomeUnknownError):
        await sink.void(made, "cancelled")


# listing


async def test_orders_of_some_days_are_those_of_this_connector(town, sink):
    plans = [plan_of(await town.book()) for _ in range(3)]
    made = [await sink.submit(plan) for plan in plans]
    await sink.void(made[2], "cancelled")
    await town.admin.post("/orders", json={"local_id": "W7"})
    await town.admin.post(
        "/orders", json={"local_id": "Triple Seat_1", "establishment": 5, "items": [{"product": 601}]}
    )
    today = datetime.now(NEW_YORK).date()
    found = await all_of(sink, today, today)
    assert [(one.local_id, one.voided) for one in found] == [
        (plans[0].local_id, False),
        (plans[1].local_id, False),
        (plans[2].local_id, True),
    ]
    assert found[:2] == made[:2]
    day = timedelta(days=1)
    assert await all_of(sink, today - 9 * day, today - day) == []
    assert await all_of(sink, today + day, today + 9 * day) == []


async def test_all_pages_of_orders_are_read(town, sink):
    await town.config(revel_most_objects=3)
    for number in range(8):
        await town.admin.post("/orders", json={"local_id": f"Triple Seat_{number}"})
    today = datetime.now(NEW_YORK).date()
    found = await all_of(sink, today, today)
    assert [one.local_id for one in found] == [f"Triple Seat_{number}" for number in range(8)]
    assert all(one.items for one in found)


@pytest.mark.parametrize("route", ["/resources/Order/*", "/resources/OrderItem/*"])
async def test_never_a_silent_part_of_the_orders(town, sink, route):
    await town.config(revel_most_objects=2)
    for number in range(5):
        await town.admin.post("/orders", json={"local_id": f"Triple Seat_{number}"})
    today = datetime.now(NEW_YORK).date()
    pages = sink.orders("4", today, today)
    assert len(await anext(pages)) == 2
    await town.fault("500", service="revel", route=route)
    with pytest.raises(UpstreamError):
        await anext(pages)


async def test_orders_that_come_and_go_while_they_are_read_are_noticed(town, sink):
    await town.config(revel_most_objects=2)
    made = [
        (await town.admin.post("/orders", json={"local_id": f"Triple Seat_{number}"})).json() for number in range(6)
    ]
    today = datetime.now(NEW_YORK).date()
    pages = sink.orders("4", today, today)
    await anext(pages)
    # one of the first page goes: the others move up, and one of them would be passed over
    await town.admin.delete(f"/orders/{made[0]['id']}")
    with pytest.raises(UpstreamError):
        async for _ in pages:
            pass


# products and permissions


async def test_products_by_id_and_name(town, sink):
    found = await sink.products("4")
    assert ("505", "Grilled Salmon") in found
    assert {key[0] for key, _ in found} == {"5"}


async def test_products_of_the_web_shop_where_the_others_may_not_be_read(town, sink):
    await town.config(revel_denied=["Product"])
    assert ("505", "Grilled Salmon") in await sink.products("4")
    await town.config(revel_denied=["Product", "weborders"])
    with pytest.raises(UpstreamError):
        await sink.products("4")


@BOTH
async def test_the_probe_looks_at_each_resource_in_use(town, outbound, api):
    sink = sink_at(town, outbound, write_api=api)
    assert all(probe.ok for probe in await sink.probe("4"))
    denied = ["OrderItem", "Cart", "PosStation"]
    await town.config(revel_denied=denied)
    refused = {probe.resource.strip("/").split("/")[-1] for probe in await sink.probe("4") if not probe.ok}
    assert refused == ({"OrderItem", "cart"} if api is WriteApi.CART else {"OrderItem", "PosStation"})
    assert await town.orders() == []


async def test_the_probe_never_raises_and_tells_no_secret(town, outbound):
    sink = sink_at(town, outbound, key="wr0ngkey", patience=HASTY)
    found = await sink.probe()
    assert all((probe.ok, probe.status) == (False, 401) for probe in found)
    await town.fault("reset", service="revel")
    found += await sink.probe()
    assert not any(probe.ok for probe in found)
    assert "wr0ngkey" not in str(found)
    assert town.settings["REVEL_API_SECRET"] not in str(found)


async def test_a_refusal_that_quotes_the_key_is_told_without_it(town, outbound, sink):
    secret = town.settings["REVEL_API_SECRET"]
    told = sink._client.sentence_of({"error": {"details": {"message": f"bad {secret}\nkey"}}})
    assert told == "bad … key"
    assert sink._client.sentence_of({"order": {"uuid": ["taken"], "x": {"y": "z"}}}) == "order: uuid: taken; x: y: z"
    assert len(sink._client.sentence_of("x" * 9_999)) == 300
    assert sink._client.sentence_of(None) == "no reason given"


async def test_many_orders_at_once(town, outbound):
    sink = sink_at(town, outbound)
    booked = (await town.book(count=20))["events"]
    plans = [plan_of(one) for one in booked]
    made = await asyncio.gather(*(sink.submit(plan) for plan in plans))
    assert sorted(order.local_id for order in made) == sorted(plan.local_id for plan in plans)
    assert len(await town.orders()) == 20
