"""Revel in forms that the sandbox does not have: carts that answer otherwise, accounts that can't void an order as a whole."""

import json
from datetime import date
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from connectors.clients import HASTY, NEW_YORK, item
from peers import listening

from mainstem.connectors.ports import OutcomeUnknownError, Plan, RefusedError, SinkOrder, UpstreamError
from mainstem.connectors.revel.client import RevelClient, key_of
from mainstem.connectors.revel.desk import RevelRules
from mainstem.connectors.revel.orders import RevelSink
from mainstem.connectors.revel.shapes import call_name, order_id_of

PLAN = Plan(
    local_id="Triple Seat_1",
    uuid=uuid4(),
    establishment="4",
    title="Gala",
    on=date(2026, 11, 26),
    starts_at=None,
    guests=None,
    notes="Gala (#1)",
    items=(item(501, 2, 42),),
    total=Decimal(84),
    order_hash="0" * 64,
)


class Revel:
    """One order, kept as a list of a few rows; what its cart says is the test's to choose."""

    def __init__(self, submitted=None, **order):
        self.submitted = {"orderId": 7} if submitted is None else submitted
        self.order = {
            "id": 7,
            "local_id": "W7",
            "uuid": "x",
            "call_name": "",
            "closed": False,
            "final_total": 84,
            **order,
        }
        self.items = [
            {"id": 1, "order": "/resources/Order/7/", "product": "/resources/Product/501/", "quantity": 2, "price": 42}
        ]
        self.there = False
        self.refuses_voids = False
        self.sends_lists = None

    async def script(self, talk):
        while True:
            request = await talk.request()
            method, target, _ = request.line.split()
            status, body = self.answer(method, urlsplit(target).path, request.body)
            text = json.dumps(body).encode()
            await talk.send(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text))

    def answer(self, method, path, body):
        resource, _, key = path.strip("/").partition("resources/")[2].partition("/")
        if path.endswith("/submit/"):
            self.there = True
            answer = 200, self.submitted
        elif "/cart/" in path:
            answer = 200, {"status": "OK"}
        elif not key:
            # filters mean nothing to it: it sends everything, as Tastypie does for a filter that it does not know
            rows = (self.items if resource == "OrderItem" else [self.order]) if self.there else []
            answer = 200, self.sends_lists or {"meta": {"total_count": len(rows), "next": None}, "objects": rows}
        elif method == "GET":
            answer = 200, self.order
        else:
            answer = self.change(self.items[0] if resource == "OrderItem" else self.order, json.loads(body))
        return answer

    def change(self, row, given):
        if row is self.order and "voided" in given and self.refuses_voids:
            return 400, {"error": "no such field"}
        # what it does not know it passes over
        row |= {name: value for name, value in given.items() if name != "voided"}
        return 202, row


def sink_of(outbound, peer):
    client = RevelClient.made(
        outbound, base_url=peer.url(""), api_key="k3y", api_secret="s3cr3t", patience=HASTY, calls_per_s=1_000
    )
    return RevelSink(client, RevelRules(zone=NEW_YORK))


@pytest.mark.parametrize(
    "answer", [{"orderId": 7}, {"orderId": "7"}, {"data": {"orderId": 7}}, {"status": "OK", "data": {"order_id": "7"}}]
)
async def test_a_cart_that_keeps_no_name_has_its_order_named(outbound, answer):
    revel = Revel(answer)
    async with listening(revel.script) as peer:
        made = await sink_of(outbound, peer).submit(PLAN)
        assert (made.order_id, made.local_id, made.items) == ("7", PLAN.local_id, {"501": Decimal(2)})
        assert revel.order["local_id"] == PLAN.local_id
        assert peer.requests[0].all("API-AUTHENTICATION") == ["k3y:s3cr3t"]


@pytest.mark.parametrize(
    "answer", [{"error": {"details": {"message": "Product is sold out"}}}, {"error": "Product is sold out"}]
)
async def test_a_refusal_may_come_with_status_200(outbound, answer):
    async with listening(Revel(answer).script) as peer:
        with pytest.raises(RefusedError) as caught:
            await sink_of(outbound, peer).submit(PLAN)
    assert "Product is sold out" in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [{"error": {"details": {"message": "Unhandled error"}}}, {}, [], "OK", {"orderId": None}, {"orderId": "7/x"}],
)
async def test_an_answer_that_names_no_order_leaves_it_unknown(outbound, answer):
    async with listening(Revel(answer).script) as peer:
        with pytest.raises(OutcomeUnknownError):
            await sink_of(outbound, peer).submit(PLAN)


async def test_an_order_that_lacks_something_is_not_complete(outbound):
    revel = Revel(local_id=PLAN.local_id)
    revel.items[0]["quantity"] = 1
    async with listening(revel.script) as peer:
        made = await sink_of(outbound, peer).submit(PLAN)
    assert (made.items, made.complete) == ({"501": Decimal(1)}, False)


@pytest.mark.parametrize("refuses", [True, False])
async def test_where_an_order_can_not_be_voided_as_a_whole_its_items_are(outbound, refuses):
    revel = Revel()
    revel.there, revel.refuses_voids = True, refuses
    order = SinkOrder(order_id="7", local_id="x", uuid=None, items={}, total=None)
    async with listening(revel.script) as peer:
        await sink_of(outbound, peer).void(order, "cancelled")
        assert revel.items[0]["voided_reason"] == "cancelled"
        assert (await sink_of(outbound, peer).find("W7", PLAN.uuid, "4"))[0].voided


async def test_filters_that_mean_nothing_find_nothing_wrong(outbound):
    revel = Revel()
    revel.there = True
    async with listening(revel.script) as peer:
        sink = sink_of(outbound, peer)
        assert await sink.find(PLAN.local_id, PLAN.uuid, "4") == []
        assert [order.order_id for order in await sink.find("W7", PLAN.uuid, "4")] == ["7"]
        assert [page async for page in sink.orders("4", PLAN.on, PLAN.on)] == []


@pytest.mark.parametrize(
    "lists",
    [
        [1],
        {"a": 1},
        {"meta": {}, "objects": []},
        {"meta": {"total_count": None}, "objects": []},
        {"meta": {"total_count": 0, "next": None}},
        {"meta": {"total_count": 1, "next": None}, "objects": [7]},
        {"meta": {"total_count": 2, "next": None}, "objects": []},
        {"meta": {"total_count": 0, "next": "/x"}, "objects": []},
        {"meta": {"total_count": 10**6, "next": "/x"}, "objects": [{"id": 1}]},
        {"meta": {"total_count": 1, "next": None}, "objects": [{"local_id": "Triple Seat_1"}]},
    ],
)
async def test_something_else_than_a_list_is_no_answer(outbound, lists):
    revel = Revel()
    revel.sends_lists = lists
    async with listening(revel.script) as peer:
        with pytest.raises(UpstreamError):
            await sink_of(outbound, peer).find(PLAN.local_id, PLAN.uuid, "4")


async def test_another_order_than_the_one_asked_for_is_no_answer(outbound):
    async with listening(Revel(id=8).script) as peer:
        with pytest.raises(UpstreamError):
            await sink_of(outbound, peer).void(
                SinkOrder(order_id="7", local_id="x", uuid=None, items={}, total=None), "x"
            )


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("/resources/Product/501/", "501"),
        ("/resources/Product/501", "501"),
        ("501", "501"),
        (501, "501"),
        ("/resources/Product/x/", None),
        ("", None),
        (None, None),
        (True, None),
        (-1, None),
        ({}, None),
    ],
)
def test_keys_of_uris(uri, key):
    assert key_of(uri) == key


def test_an_order_is_called_by_its_name_first():
    assert call_name(PLAN) == "Triple Seat_1 Gala"
    assert order_id_of(None) is None
