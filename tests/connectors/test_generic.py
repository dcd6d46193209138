"""The connector by configuration, as `deploy/connector.example.yaml` has it, between two systems that speak HTTP."""

import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from connectors.shop import PAGE, TODAY, booked, shopping, signed
from connectors.trading import trading

from mainstem.connectors.mapping import Entry
from mainstem.connectors.ports import NotThereError, RefusedError, UpstreamError

MENU = (Entry("Soup", "S1", "Soup of the day"), Entry("Bread", "B1"))
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SINCE, UNTIL = NOW - timedelta(days=1), NOW


@asynccontextmanager
async def working(pool: Any, **changes: Any):
    """Yield the shop and a desk that works by the example's connector."""
    async with shopping(**changes) as (shop, made):
        fields = {
            name: getattr(made, name) for name in ("name", "tenant", "verify", "read", "title", "injected", "look_back")
        }
        async with trading(pool, source=made.source, sink=made.sink, rules=made.rules, menu=MENU, **fields) as desk:
            desk.now = NOW
            yield shop, desk


async def deliver(desk: Any, trigger: str = "booking.created", **said: Any) -> dict[str, Any]:
    body = json.dumps({"type": trigger, "data": booked(**said)}).encode()
    return await desk.deliver(body, signed(body, desk.now))


async def test_a_signed_webhook_becomes_the_order_that_the_file_describes(worker_pool):
    async with working(worker_pool) as (shop, desk):
        answer = await deliver(desk)
        assert (answer["reason"], answer["revel_order_id"]) == ("ORDER_INJECTED", "1")
        assert shop.orders == [
            {
                "number": 1,
                "state": "open",
                "reference": "venue_b1",
                "kitchen": "kitchen-1",
                "day": TODAY,
                "title": "Party b1 for 12",
                "total": 30.0,
                "lines": [
                    {"sku": "S1", "count": 4, "price": 5.0, "note": None},
                    {"sku": "B1", "count": 2.5, "price": 4, "note": "warm"},
                ],
            }
        ]
        assert await desk.events() == ["booking.received", "order.injected"]


async def test_the_same_booking_again_makes_nothing_and_a_changed_one_changes_its_order(worker_pool):
    async with working(worker_pool) as (shop, desk):
        await deliver(desk)
        assert (await deliver(desk, "booking.updated"))["reason"] == "ALREADY_INJECTED"
        more = [{"id": 1, "name": "Soup", "count": 9, "price": "5.00"}]
        assert (await deliver(desk, "booking.updated", items=more))["reason"] == "ORDER_UPDATED"
        (order,) = shop.orders
        assert [line["count"] for line in order["lines"]] == [9]


async def test_a_deleted_booking_voids_its_order(worker_pool):
    async with working(worker_pool) as (shop, desk):
        await deliver(desk)
        assert (await deliver(desk, "booking.deleted"))["reason"] == "ORDER_VOIDED"
        assert [order["state"] for order in shop.orders] == ["void"]


@pytest.mark.parametrize("fault", ["before", "after", "429"])
async def test_whatever_goes_wrong_on_the_way_there_is_one_order(worker_pool, fault: str):
    # doubt is settled by looking
    async with working(worker_pool) as (shop, desk):
        shop.faults.extend([fault])
        await deliver(desk)
        await desk.settle()
        assert len(shop.orders) == 1
        assert (await desk.states("b1"))[-1] == "confirmed"


async def test_a_call_that_may_be_repeated_is(worker_pool):
    keyed = '    headers: {Idempotency-Key: "{uuid}"}\n    may_repeat: true '
    async with working(worker_pool, texts={"    may_repeat: false ": keyed}) as (shop, desk):
        shop.faults.extend(["after"])
        assert (await deliver(desk))["reason"] == "ORDER_INJECTED"
        assert len(shop.orders) == 1
        assert [method for method, _ in shop.seen].count("POST") == 2


async def test_a_refusal_is_told_in_the_sinks_words(worker_pool):
    async with working(worker_pool) as (shop, desk):
        shop.faults.extend(["422"])
        answer = await deliver(desk)
        assert (answer["ok"], answer["reason"]) == (False, "ORDER_REFUSED")
        assert "Soup is out." in answer["error"]
        assert shop.orders == []


async def test_a_page_for_people_is_no_answer_about_the_order(worker_pool):
    async with working(worker_pool) as (shop, desk):
        shop.faults.extend(["html"])
        assert (await deliver(desk))["reason"] == "UPSTREAM_UNAVAILABLE"
        await desk.settle()
        assert len(shop.live()) == 1


async def test_a_sink_that_passes_over_filters_does_no_harm(worker_pool):
    async with working(worker_pool) as (shop, desk):
        shop.heeds_filters = False
        await deliver(desk, booking_id="b1")
        await deliver(desk, booking_id="b2")
        assert [order["reference"] for order in shop.orders] == ["venue_b1", "venue_b2"]


async def test_reconciliation_finds_what_is_missing_and_what_is_too_much(worker_pool):
    async with working(worker_pool) as (shop, desk):
        shop.bookings = {f"b{number}": booked(f"b{number}") for number in range(2 * PAGE + 1)}
        report = await desk.sync.bulk(SINCE, UNTIL, dry_run=False, by="test")
        assert report.success
        assert len(shop.live()) == 2 * PAGE + 1
        gone, kept, *_ = shop.orders  # in whichever order they were sent
        gone["state"] = "void"
        shop.orders.append({**kept, "number": 99, "reference": "venue_stranger"})
        found = await desk.sync.bulk(SINCE, UNTIL, dry_run=True, by="test")
        assert sorted((one.kind.value, one.local_id) for one, _ in found.differences) == [
            ("extra", "venue_stranger"),
            ("missing", gone["reference"]),
        ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "MISSING_SIGNATURE_HEADER"),
        ({"webhook-signature": "v1,AAAA"}, "MISMATCH"),
        ({"webhook-timestamp": "now"}, "MALFORMED_SIGNATURE_HEADER"),
        ({"webhook-timestamp": str(int(NOW.timestamp()) - 301)}, "TOO_OLD"),
        ({"webhook-timestamp": str(int(NOW.timestamp()) + 301)}, "TOO_NEW"),
    ],
)
async def test_what_is_not_signed_is_refused(worker_pool, change: dict[str, str], reason: str):
    async with working(worker_pool) as (shop, desk):
        body = json.dumps({"type": "booking.created", "data": booked()}).encode()
        given = {**signed(body, desk.now), **change} if change else {}
        answer = await desk.deliver(body, given)
        assert (answer["status"], answer["reason"]) == (400, f"SIGNATURE_VERIFICATION_FAILED_{reason}")
        assert shop.orders == []


async def test_without_a_secret_nothing_is_taken():
    async with shopping(texts={'["{env:VENUE_WEBHOOK_SECRET}"]': "[]"}) as (_, connector):
        body = b"{}"
        assert connector.verify(signed(body, NOW), body, NOW).value == "no_key"


async def test_the_source_tells_one_booking_or_that_there_is_none():
    async with shopping() as (shop, connector):
        shop.bookings["b1"] = booked()
        found = await connector.source.booking("b1")
        assert (found.site_id, found.status, found.total, found.guests) == ("v1", "CONFIRMED", Decimal("30.00"), 12)
        assert found.starts_at == datetime(2026, 11, 26, 18, tzinfo=UTC)
        assert [line.quantity for line in found.lines or ()] == [Decimal(4), Decimal("2.5")]
        with pytest.raises(NotThereError):
            await connector.source.booking("b2")
        shop.bookings["b3"] = booked("other")
        with pytest.raises(UpstreamError, match="another booking"):
            await connector.source.booking("b3")
        assert [one.ok for one in (*await connector.source.probe(), *await connector.sink.probe())] == [
            True,
            True,
            True,
        ]


async def test_a_list_that_is_not_whole_is_no_list():
    async with shopping() as (shop, connector):
        shop.bookings = {name: booked(name) for name in ("b1", "b2", "b3")}
        pages = [page async for page in connector.source.changed(SINCE, UNTIL)]
        assert [one.booking_id for page in pages for one in page] == ["b1", "b2", "b3"]
        shop.bookings["b3"]["id"] = None
        with pytest.raises(UpstreamError, match="no id"):
            [page async for page in connector.source.changed(SINCE, UNTIL)]
        shop.next_elsewhere = True
        with pytest.raises(UpstreamError, match="elsewhere"):
            [page async for page in connector.source.changed(SINCE, UNTIL)]
        assert all(not path.startswith("https://elsewhere") for _, path in shop.seen)


async def test_a_sink_without_calls_to_change_or_void_says_so():
    async with shopping() as (shop, connector):
        sink = connector.sink
        sink._part.replace = sink._part.void = None
        shop.orders.append({"number": 1, "reference": "venue_b1", "state": "open", "lines": []})
        (order,) = [one async for page in sink.orders("kitchen-1", NOW.date(), NOW.date()) for one in page]
        with pytest.raises(RefusedError, match="voids"):
            await sink.void(order, "gone")
        with pytest.raises(RefusedError, match=r"closed|changes"):
            await sink.replace(replace(order, closed=True), None)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"no json", "NO_EVENT_DATA"),
        (b"[]", "MISSING_TRIGGER_TYPE"),
        (b'{"type": "guest.created", "data": {}}', "TRIGGER_TYPE_NOT_ACTIONABLE"),
        (b'{"type": "booking.created"}', "NO_EVENT_DATA"),
        (b'{"type": "booking.created", "data": {"title": "x"}}', "NO_EVENT_ID"),
        (b'{"type": "booking.created", "data": {"id": {"a": 1}}}', "NO_EVENT_ID"),
    ],
)
async def test_bodies_that_say_nothing_have_a_reason(body: bytes, reason: str):
    async with shopping() as (_, connector):
        assert connector.read(body).reason == reason


async def test_what_cannot_be_read_is_a_fault_and_not_nothing():
    async with shopping() as (shop, connector):
        shop.bookings["b1"] = booked(guests="many", items=[{"name": "Soup", "count": "lots"}])
        shop.bookings["b2"] = booked("b2", date="soon", items=None, guests=None)
        assert (await connector.source.booking("b1")).faults == ("lines.1", "guests")
        odd = await connector.source.booking("b2")
        assert (odd.on, odd.on_text, odd.lines, odd.faults) == (None, "soon", None, ())


async def test_products_are_all_pages_of_them_or_none():
    async with shopping() as (shop, connector):
        shop.products = [{"sku": number, "name": f"Dish {number}"} for number in range(5)]
        assert await connector.products("kitchen-1") == [(str(number), f"Dish {number}") for number in range(5)]
        assert ("GET", "/api/products?kitchen=kitchen-1") in shop.seen
        shop.products[3] = {"name": "nameless"}
        with pytest.raises(UpstreamError, match="1 products have no id"):
            await connector.products("kitchen-1")
        assert [one.ok for one in await connector.sink.probe()] == [True, False]
