"""What a load leaves for the endpoints."""

import asyncpg
import pytest
from vault.vaulting import FEEDS, append
from vault.vaulting import event as landed
from webhooks.receiver import add_endpoint, event, queue_events

from mainstem.events.filters import Subject, parse
from mainstem.vault.loader import Loader
from mainstem.webhooks.fanout import FanOut, Target, Wanted, target_of

QUEUED = """select d.endpoint_id, d.kind from webhooks.delivery d join webhooks.queue q using (delivery_id)
            order by d.delivery_id"""


def target(endpoint_id: int, *kinds: str, wants: dict | None = None, tenant_id: int = 1) -> Target:
    return Target(endpoint_id, tenant_id, 1, kinds or ("*",), None if wants is None else parse(wants))


@pytest.mark.parametrize(
    ("kinds", "kind", "wanted"),
    [
        (("*",), "order.paid", True),
        (("order.*",), "order.paid", True),
        (("order.*",), "order.line.added", True),
        (("order.*",), "order", False),
        (("order.paid", "order.sent"), "order.sent", True),
        (("page.*",), "order.paid", False),
    ],
)
def test_an_endpoint_gets_the_kinds_that_it_names(kinds, kind, wanted):
    assert (Wanted([target(5, *kinds)]).by(event(kind=kind)) == [5]) is wanted


def test_a_filter_looks_at_the_event():
    wanted = Wanted([target(1), target(2, wants={"total": {"$gte": 100}}), target(3, wants={"$source": "web"})])
    assert wanted.by(event({"total": 120})) == [1, 2]
    assert wanted.by(event({"total": 20}, source="web")) == [1, 3]


def test_no_tenant_gets_the_events_of_another():
    assert Wanted([target(1), target(2, tenant_id=2)]).by(event(tenant_id=2)) == [2]


def test_news_of_an_endpoints_trouble_goes_to_others_only():
    wanted = Wanted([target(1), target(2)])
    assert wanted.by(event({"webhook_id": 1}, kind="webhook.exhausted")) == [2]
    assert wanted.by(event({"webhook_id": 1}, kind="order.paid")) == [1, 2]


def test_what_msgspec_does_not_read_is_read_all_the_same():
    odd = event()._replace(data='{"name": "\\ud800", "total": 5}')
    assert Wanted([target(1, wants={"total": 5})]).by(odd) == [1]


@pytest.mark.parametrize(
    "value",
    ["9" * 5_000, "-" + "9" * 5_000, "1e999999", "[" * 30_000 + "]" * 30_000],
    ids=["digits", "less", "exponent", "depth"],
)
def test_no_data_stops_a_load(value):
    # 64 KB of anything are accepted as an event's data
    odd = event()._replace(data=f'{{"total": 5, "odd": {value}}}')
    wanted = Wanted([target(1), target(2, wants={"odd": {"$gt": 5}}), target(3, wants={"total": {"$exists": False}})])
    assert wanted.by(odd) in ([1], [1, 2], [1, 3])


def test_a_filter_of_absurd_numbers_is_read():
    row = {
        "endpoint_id": 1,
        "tenant_id": 1,
        "version": 1,
        "kinds": ["*"],
        "filter": f'{{"a": {{"$lt": {"9" * 5_000}}}}}',
    }
    condition = target_of(row).condition
    assert condition is not None
    assert condition(Subject("order.paid", "shop", None, {"a": 1}))


async def test_one_statement_queues_all_deliveries_of_a_load(connection: asyncpg.Connection):
    every = await add_endpoint(connection, "https://example.com/a")
    orders = await add_endpoint(connection, "https://example.com/b", kinds=["order.*"])
    await add_endpoint(connection, "https://example.com/c", active=False, disabled_at=event().received_at)
    made = await queue_events(connection, [event(), event(kind="page.viewed"), event()])
    assert made == 5
    assert [tuple(row) for row in await connection.fetch(QUEUED)] == [
        (every.id, "order.paid"),
        (orders.id, "order.paid"),
        (every.id, "page.viewed"),
        (every.id, "order.paid"),
        (orders.id, "order.paid"),
    ]
    counted = await connection.fetch("select endpoint_id, deliveries from webhooks.endpoint_created order by 1")
    assert [tuple(row) for row in counted] == [(every.id, 3), (orders.id, 2)]
    # three messages, whatever the number of endpoints
    assert await connection.fetchval("select count(*) from webhooks.message") == 3


async def test_the_same_event_is_queued_once(connection: asyncpg.Connection):
    await add_endpoint(connection, "https://example.com/a")
    one = event()
    assert [await queue_events(connection, [one]) for _ in range(3)] == [1, 0, 0]
    assert await connection.fetchval("select deliveries from webhooks.endpoint_created") == 1


async def load(dsn: str, outbox: FanOut) -> None:
    loader = Loader(dsn, FEEDS, outbox=outbox)
    while await loader.load_once() is not None:
        pass


async def test_a_storm_of_duplicates_makes_one_delivery(connection: asyncpg.Connection, dsn: str):
    await add_endpoint(connection, "https://example.com/a")
    for _ in range(10):
        await append(connection, [landed({}, kind="order.paid", message_id="one") for _ in range(100)])
    await load(dsn, FanOut())
    assert await connection.fetchval("select count(*) from webhooks.delivery") == 1


class Broken(FanOut):
    async def __call__(self, connection, events):
        await super().__call__(connection, events)
        msg = "the last moment"
        raise RuntimeError(msg)


async def test_a_load_that_fails_leaves_nothing(connection: asyncpg.Connection, dsn: str):
    await add_endpoint(connection, "https://example.com/a")
    await append(connection, [landed({}, kind="order.paid")])
    with pytest.raises(RuntimeError):
        await load(dsn, Broken())
    assert await connection.fetchval("select count(*) from webhooks.delivery") == 0
    await load(dsn, FanOut())
    assert await connection.fetchval("select count(*) from webhooks.delivery") == 1


async def test_rejected_events_and_history_are_not_delivered(connection: asyncpg.Connection, dsn: str):
    await add_endpoint(connection, "https://example.com/a")
    await append(connection, [landed({}, kind="order.paid", message_id="old")], origin="import")
    await append(connection, [landed({}, kind="order.paid", message_id="new"), landed({"fail": "reject"})])
    await load(dsn, FanOut())
    assert await connection.fetchval("select count(*) from staging.rejected") == 1
    assert [tuple(row)[1] for row in await connection.fetch(QUEUED)] == ["order.paid"]


async def test_a_large_load_takes_time_in_proportion(connection: asyncpg.Connection):
    for _ in range(3):
        await add_endpoint(connection, "https://example.com/a")
    await connection.execute("set enable_seqscan = off; set plan_cache_mode = force_generic_plan")
    # a plan that joins the events with the deliveries would need minutes for this
    assert await queue_events(connection, [event() for _ in range(8_000)]) == 24_000
