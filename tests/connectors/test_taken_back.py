"""Bookings that change, and change back, while what was sent for them is in doubt."""

import asyncio
from decimal import Decimal

import pytest
from connectors.trading import MENU, body_of, booking, trading

from mainstem.connectors import items
from mainstem.connectors.ports import SinkOrder
from mainstem.platform.db import transaction


@pytest.fixture
async def desk(worker_pool):
    async with trading(worker_pool) as one:
        yield one


async def come_right(desk) -> None:
    """Let what is on its way arrive, and enough time pass."""
    desk.sink.arrive()
    for _ in range(4):
        await desk.settle(300)


@pytest.mark.parametrize("fault", ["after", "late", "lost", "half", "before"])
async def test_a_change_that_is_taken_back_while_it_is_in_doubt_leaves_the_first_order(desk, fault) -> None:
    await desk.deliver(body_of())
    desk.sink.faults.append(fault)
    # the items don't show it: by its looks nobody can tell which of the two is there
    await desk.deliver(body_of(guests=55))
    await desk.deliver(body_of(note="back"))
    await come_right(desk)
    assert desk.sink.plans["1000"].guests == 40
    assert await desk.states() == ["confirmed", "superseded"]
    assert (desk.sink.submits, len(desk.sink.live())) == (1, 1)
    writes = desk.sink.writes
    desk.source.put(booking())
    await desk.deliver(body_of(note="once more"))
    await desk.settle()
    assert desk.sink.writes == writes, "once it is known to be right, it is left alone"


async def test_a_change_to_something_else_that_is_taken_back_in_turn(desk) -> None:
    await desk.deliver(body_of())
    desk.sink.faults.append("after")
    await desk.deliver(body_of(guests=55))
    desk.sink.find_fails = 2
    await desk.deliver(body_of(guests=56))
    await desk.deliver(body_of(note="back"))
    await come_right(desk)
    assert desk.sink.plans["1000"].guests == 40
    assert (await desk.states()).count("confirmed") == 1
    assert desk.sink.submits == 1


async def test_a_process_that_dies_between_a_change_and_its_taking_back(desk) -> None:
    await desk.deliver(body_of())
    desk.sink.faults.append("after")
    await desk.deliver(body_of(guests=55))
    async with transaction(desk.pool) as connection:
        await connection.execute("update connectors.booking set claim_id = gen_random_uuid(), due_at = '2026-01-01'")
    await desk.deliver(body_of(note="back"))
    await come_right(desk)
    assert desk.sink.plans["1000"].guests == 40


async def test_a_refused_change_that_is_taken_back_needs_no_other(desk) -> None:
    await desk.deliver(body_of())
    desk.sink.faults.append("refuse")
    assert (await desk.deliver(body_of(guests=55)))["reason"] == "ORDER_REFUSED"
    assert (await desk.deliver(body_of(note="back")))["reason"] == "ALREADY_INJECTED"
    assert desk.sink.replaces == 1
    assert await desk.states() == ["confirmed", "superseded"]


async def test_a_change_that_nobody_could_look_for_leaves_nothing_behind(desk) -> None:
    await desk.deliver(body_of())
    desk.sink.find_fails = 1
    await desk.deliver(body_of(guests=55))
    assert await desk.states() == ["confirmed", "blocked"]
    assert (await desk.deliver(body_of(note="back")))["reason"] == "ALREADY_INJECTED"
    assert await desk.states() == ["confirmed", "superseded"]
    assert desk.sink.replaces == 0


async def test_a_change_while_the_first_order_is_in_doubt_is_made_once_that_is_known(desk) -> None:
    desk.sink.faults.append("after")
    desk.sink.hide = True
    await desk.deliver(body_of())
    await desk.deliver(body_of(guests=55))
    assert await desk.states() == ["unknown"]
    desk.sink.hide = False
    await come_right(desk)
    assert desk.sink.plans["1000"].guests == 55
    assert (desk.sink.submits, desk.sink.replaces) == (1, 1)


async def test_a_run_tells_that_an_order_may_be_of_another_state(desk) -> None:
    await desk.deliver(body_of())
    desk.source.put(booking())
    desk.sink.faults.append("after")
    await desk.deliver(body_of(guests=55))
    async with transaction(desk.pool) as connection:
        await connection.execute("update connectors.ledger set state = 'planned' where state = 'unknown'")
        await connection.execute("update connectors.booking set due_at = 'infinity'")
    await desk.sync.bulk(desk.now, desk.now, dry_run=False, by="test")
    assert desk.sink.plans["1000"].guests == 40


async def test_repairs_make_room_for_themselves(desk) -> None:
    """An order that was changed by hand while another change waits: one row is on its way, and none in its place."""
    await desk.deliver(body_of())
    desk.sink.find_fails = 1
    await desk.deliver(body_of(guests=55))
    order = desk.sink.orders_by_id["1000"]
    desk.sink.orders_by_id["1000"] = SinkOrder(
        order_id="1000", local_id=order.local_id, uuid=order.uuid, items={"502": Decimal(9)}, total=Decimal(1)
    )
    desk.source.put(booking())
    report = await desk.sync.single("1", dry_run=False, by="test")
    assert report.success, report.events
    assert desk.sink.orders_by_id["1000"].items == {"501": Decimal(2)}
    assert await desk.states() == ["confirmed", "superseded"]


async def test_a_mapping_that_changes_while_a_change_is_in_doubt(desk) -> None:
    await desk.deliver(body_of())
    desk.sink.faults.append("after")
    await desk.deliver(body_of(guests=55))
    async with transaction(desk.pool) as connection:
        await items.delete(connection, desk.flow.tenant_id, "tripleseat", "4", "Chicken Skewers")
    await come_right(desk)
    assert len(desk.sink.live()) == 1
    async with transaction(desk.pool) as connection:
        await items.put(connection, desk.flow.tenant_id, "tripleseat", "4", MENU, by="test")
    await come_right(desk)
    assert desk.sink.plans["1000"].guests == 55
    assert (await desk.states()).count("confirmed") == 1


async def test_deliveries_runs_and_replays_at_once_end_as_one_right_order(desk) -> None:
    first = await desk.deliver(body_of())
    desk.source.put(booking(guests=57))
    desk.now = desk.now.replace(minute=1)
    async with transaction(desk.pool, tenant_id=desk.flow.tenant_id) as connection:
        await connection.execute(
            "update connectors.delivery set outcome = null, ok = null, processed = null, finished_at = null, replayed = true,"
            " due_at = '2026-01-01' where delivery_id = $1",
            first["delivery_id"],
        )
    await asyncio.gather(
        *(desk.deliver(body_of(guests=50 + number)) for number in range(7)),
        desk.deliver(body_of(guests=57)),
        desk.sync.bulk(desk.now, desk.now, dry_run=False, by="test"),
        desk.sync.single("1", dry_run=False, by="test"),
        desk.inbox.work_due(),
    )
    desk.now = desk.now.replace(minute=2)
    await desk.sync.single("1", dry_run=False, by="test")
    await come_right(desk)
    assert len(desk.sink.live()) == 1
    assert desk.sink.plans["1000"].guests == 57
    assert (await desk.states()).count("confirmed") == 1
    assert desk.sink.submits == 1
