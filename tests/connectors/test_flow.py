"""An order from its booking to the sink: what is sent when, and what is not."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from connectors.trading import MENU, NOW, RULES, TODAY, body_of, booking, trading

from mainstem.connectors import items
from mainstem.connectors.ports import SinkOrder
from mainstem.platform.db import transaction


@pytest.fixture
async def desk(worker_pool):
    async with trading(worker_pool) as one:
        yield one


class TestMaking:
    async def test_a_booking_of_today_is_injected_once(self, desk) -> None:
        answer = await desk.deliver(body_of())
        assert answer == {
            "status": 200,
            "ok": True,
            "processed": True,
            "reason": "REVEL_INJECTED",
            "trigger": "UPDATE_EVENT",
            "delivery_id": 1,
            "event_id": "1",
            "revel_order_id": "1000",
            "order_id": "1000",
        }
        (order,) = desk.sink.live()
        assert (order.local_id, order.items, order.total) == ("Triple Seat_1", {"501": Decimal(2)}, Decimal("25.00"))
        assert await desk.states() == ["confirmed"]
        assert await desk.events() == ["booking.received", "order.injected"]

    async def test_the_same_content_in_another_body_makes_nothing(self, desk) -> None:
        await desk.deliver(body_of())
        answer = await desk.deliver(body_of(note="saved again"))
        assert (answer["reason"], answer["revel_order_id"]) == ("ALREADY_INJECTED", "1000")
        assert desk.sink.submits == 1

    async def test_an_order_that_is_there_already_is_adopted(self, desk) -> None:
        await desk.deliver(body_of())
        async with transaction(desk.pool) as connection:
            await connection.execute("truncate connectors.booking, connectors.ledger cascade")
        answer = await desk.deliver(body_of(note="after the ledger was lost"))
        assert (answer["reason"], answer["revel_order_id"]) == ("ALREADY_INJECTED", "1000")
        assert len(desk.sink.live()) == 1
        assert desk.sink.submits == 1


class TestDoubt:
    async def test_e_an_existence_check_without_an_answer_blocks_and_never_injects(self, desk) -> None:
        """Defect (e): an existence check that failed counted as `not there`, and the order was made twice."""
        desk.sink.find_fails = 3
        answer = await desk.deliver(body_of())
        assert (answer["reason"], answer["ok"], answer["processed"]) == ("UPSTREAM_UNAVAILABLE", True, False)
        assert desk.sink.submits == 0
        assert await desk.states() == ["blocked"]
        for _ in range(3):
            await desk.settle()
        assert await desk.states() == ["confirmed"]
        assert desk.sink.submits == 1

    async def test_an_order_that_arrived_without_an_answer_is_found_and_not_sent_again(self, desk) -> None:
        desk.sink.faults.append("after")
        answer = await desk.deliver(body_of())
        assert answer["reason"] == "OUTCOME_UNKNOWN"
        assert await desk.states() == ["unknown"]
        await desk.settle(3)
        assert await desk.states() == ["confirmed"]
        assert (desk.sink.submits, len(desk.sink.live())) == (1, 1)
        assert await desk.events() == ["booking.received", "order.unknown", "order.injected"]

    async def test_an_order_that_can_t_be_found_is_not_sent_before_its_absence_proves_something(self, desk) -> None:
        desk.sink.faults.append("after")
        desk.sink.hide = True
        await desk.deliver(body_of())
        settle = desk.flow.connector.settle.total_seconds()
        for seconds in (3, 10, 30, settle - 50):
            await desk.settle(seconds)
            assert await desk.states() == ["unknown"]
        assert desk.sink.submits == 1
        desk.sink.hide = False
        await desk.settle(60)
        assert await desk.states() == ["confirmed"]
        assert desk.sink.submits == 1

    async def test_an_order_that_is_proven_to_be_lost_is_sent_again(self, desk) -> None:
        desk.sink.faults.append("lost")
        await desk.deliver(body_of())
        await desk.settle(10)
        assert await desk.states() == ["unknown"]
        await desk.settle(300)
        assert await desk.states() == ["confirmed"]
        assert (desk.sink.submits, len(desk.sink.live())) == (2, 1)

    async def test_f_a_half_made_order_is_made_whole(self, desk) -> None:
        """Defect (f): an order was written in five calls, and what failed between them was only logged."""
        desk.sink.faults.append("half")
        await desk.deliver(body_of())
        await desk.settle(600)
        (order,) = desk.sink.live()
        assert order.complete
        assert order.items == {"501": Decimal(2)}
        assert await desk.states() == ["confirmed"]

    async def test_an_upstream_that_did_nothing_is_tried_again(self, desk) -> None:
        desk.sink.faults.extend(["before", "before"])
        answer = await desk.deliver(body_of())
        assert answer["reason"] == "UPSTREAM_UNAVAILABLE"
        assert await desk.states() == ["planned"]
        await desk.settle()
        await desk.settle()
        assert await desk.states() == ["confirmed"]

    async def test_a_bug_while_sending_is_a_doubt_too(self, desk) -> None:
        desk.sink.faults.append("broken")
        assert (await desk.deliver(body_of()))["reason"] == "OUTCOME_UNKNOWN"
        await desk.settle()
        assert len(desk.sink.live()) == 1

    async def test_a_process_that_dies_while_it_sends_leaves_an_order_in_doubt(self, desk) -> None:
        await desk.deliver(body_of())
        # as a process leaves it that was killed after the order arrived
        async with transaction(desk.pool) as connection:
            await connection.execute("alter table connectors.ledger disable trigger note_step")
            await connection.execute("update connectors.ledger set state = 'submitting', order_id = null")
            await connection.execute("alter table connectors.ledger enable trigger note_step")
            await connection.execute(
                "update connectors.booking set due_at = '2026-01-01', claim_id = gen_random_uuid()"
            )
        await desk.worker.drain()
        assert await desk.states() == ["confirmed"]
        assert desk.sink.submits == 1

    async def test_a_refused_order_fails_and_waits_for_people(self, desk) -> None:
        desk.sink.faults.append("refuse")
        answer = await desk.deliver(body_of())
        assert (answer["ok"], answer["reason"], answer["error"]) == (
            False,
            "ORDER_REFUSED",
            "Product 501 is not sold here.",
        )
        await desk.settle()
        assert await desk.states() == ["failed"]
        assert desk.sink.submits == 1
        assert (await desk.deliver(body_of(note="again")))["reason"] == "ORDER_REFUSED"
        assert desk.sink.submits == 1

    async def test_more_orders_than_one_are_made_one(self, desk) -> None:
        await desk.deliver(body_of())
        first = desk.sink.orders_by_id["1000"]
        desk.sink.orders_by_id["9"] = replace(first, order_id="9")
        desk.source.put(booking())
        await desk.sync.single("1", dry_run=False, by="test")
        assert len(desk.sink.live()) == 1


class TestChanges:
    async def test_a_changed_booking_changes_its_order(self, desk) -> None:
        await desk.deliver(body_of())
        answer = await desk.deliver(body_of(lines=[["Chicken Skewers", 3], ["House Red", 4, "8"]]))
        assert (answer["reason"], answer["revel_order_id"]) == ("ORDER_UPDATED", "1000")
        (order,) = desk.sink.live()
        assert order.items == {"501": Decimal(3), "502": Decimal(4)}
        assert await desk.states() == ["superseded", "confirmed"]
        assert await desk.events() == ["booking.received", "order.injected", "booking.updated", "order.injected"]

    async def test_a_change_that_the_items_don_t_show_is_sent_too(self, desk) -> None:
        await desk.deliver(body_of())
        assert (await desk.deliver(body_of(guests=55)))["reason"] == "ORDER_UPDATED"
        assert desk.sink.plans["1000"].guests == 55

    async def test_back_to_what_it_was(self, desk) -> None:
        await desk.deliver(body_of())
        await desk.deliver(body_of(guests=55))
        answer = await desk.deliver(body_of(note="back"))
        assert answer["reason"] == "ORDER_UPDATED"
        assert desk.sink.plans["1000"].guests == 40
        assert await desk.states() == ["confirmed", "superseded"]

    async def test_a_change_whose_answer_is_lost_is_made_again(self, desk) -> None:
        await desk.deliver(body_of())
        desk.sink.faults.append("lost")
        await desk.deliver(body_of(guests=55))
        await desk.settle()
        await desk.settle()
        assert desk.sink.plans["1000"].guests == 55
        assert await desk.states() == ["superseded", "confirmed"]
        assert len(desk.sink.live()) == 1

    async def test_a_closed_order_is_flagged(self, desk) -> None:
        await desk.deliver(body_of())
        desk.sink.orders_by_id["1000"] = replace(desk.sink.orders_by_id["1000"], closed=True)
        answer = await desk.deliver(body_of(guests=55))
        assert (answer["ok"], answer["reason"]) == (False, "ORDER_CLOSED")
        assert await desk.states() == ["confirmed", "failed"]

    async def test_changes_may_be_flagged_only(self, worker_pool) -> None:
        async with trading(worker_pool, rules=replace(RULES, on_change="flag", on_cancel="flag")) as desk:
            await desk.deliver(body_of())
            assert (await desk.deliver(body_of(guests=55)))["reason"] == "ORDER_DIFFERS"
            assert (await desk.deliver(body_of(status="LOST")))["reason"] == "BOOKING_CANCELLED"
            assert desk.sink.plans["1000"].guests == 40
            assert len(desk.sink.live()) == 1


class TestCancelling:
    @pytest.mark.parametrize("told", [{"status": "LOST"}, {"status": "TENTATIVE"}])
    async def test_a_booking_that_is_off_voids_its_order(self, desk, told) -> None:
        await desk.deliver(body_of())
        answer = await desk.deliver(body_of(**told))
        assert (answer["reason"], answer["processed"]) == ("ORDER_VOIDED", True)
        assert desk.sink.live() == []
        assert await desk.states() == ["voided"]
        assert "order.voided" in await desk.events()

    async def test_a_deleted_booking_voids_its_order(self, desk) -> None:
        await desk.deliver(body_of())
        answer = await desk.deliver(body_of(trigger="DELETE_EVENT"))
        assert answer["reason"] == "ORDER_VOIDED"
        assert "booking.cancelled" in await desk.events()

    async def test_one_that_is_on_again_gets_a_new_order(self, desk) -> None:
        await desk.deliver(body_of())
        await desk.deliver(body_of(status="LOST"))
        answer = await desk.deliver(body_of(note="on again"))
        assert answer["reason"] == "REVEL_INJECTED"
        assert len(desk.sink.live()) == 1
        assert await desk.states() == ["confirmed"]

    async def test_a_cancellation_while_an_order_is_in_doubt_waits_for_it(self, desk) -> None:
        desk.sink.faults.append("after")
        desk.sink.hide = True
        await desk.deliver(body_of())
        await desk.deliver(body_of(status="LOST"))
        assert await desk.states() == ["unknown"]
        desk.sink.hide = False
        await desk.settle(60)
        assert desk.sink.live() == []
        assert await desk.states() == ["voided"]

    async def test_a_void_that_goes_wrong_is_done_again(self, desk) -> None:
        await desk.deliver(body_of())
        desk.sink.faults.extend(["before", "after"])
        assert (await desk.deliver(body_of(status="LOST")))["reason"] == "UPSTREAM_UNAVAILABLE"
        for _ in range(3):
            await desk.settle()
        assert desk.sink.live() == []
        assert await desk.states() == ["voided"]

    async def test_a_booking_that_never_was_an_order_needs_none_voided(self, desk) -> None:
        answer = await desk.deliver(body_of(status="PROSPECT"))
        assert (answer["ok"], answer["processed"], answer["reason"]) == (True, False, "INVALID_STATUS:PROSPECT")
        assert await desk.states() == []


class TestGate:
    async def test_h_an_order_for_tomorrow_fires_by_itself(self, desk) -> None:
        """Defect (h): deliveries that came too early were marked done, and nothing made their orders later."""
        answer = await desk.deliver(body_of(on=(TODAY + timedelta(days=1)).isoformat()))
        assert (answer["ok"], answer["processed"], answer["reason"]) == (True, False, "TIME_GATE_CLOSED_TOO_EARLY")
        assert await desk.states() == ["deferred"]
        (row,) = await desk.rows("select not_before from connectors.ledger")
        # midnight in New York
        assert row["not_before"].isoformat() == "2026-11-27T05:00:00+00:00"
        desk.now = row["not_before"] - timedelta(seconds=1)
        await desk.worker.drain()
        assert desk.sink.submits == 0
        desk.now += timedelta(seconds=1)
        await desk.worker.drain()
        assert await desk.states() == ["confirmed"]

    async def test_yesterday_is_over(self, desk) -> None:
        answer = await desk.deliver(body_of(on="2026-11-25"))
        assert (answer["ok"], answer["reason"]) == (True, "TIME_GATE_CLOSED_EVENT_DAY_PASSED")
        assert desk.sink.submits == 0

    async def test_an_order_that_waits_for_too_long_fails(self, desk) -> None:
        desk.sink.find_fails = 1
        await desk.deliver(body_of())
        await desk.settle(86_400)
        assert await desk.states() == ["failed"]
        assert "order.failed" in await desk.events()
        assert desk.sink.submits == 0

    async def test_a_booking_without_a_day_says_so(self, desk) -> None:
        assert (await desk.deliver(body_of(on=None)))["reason"] == "TIME_GATE_CLOSED_MISSING_DATA"


class TestMapping:
    async def test_h_no_item_mapped_is_a_failure(self, desk) -> None:
        """Defect (h): a booking of which no item was matched counted as injected."""
        answer = await desk.deliver(body_of(lines=[["Fog machine", 1]]))
        assert (answer["ok"], answer["processed"], answer["reason"]) == (False, False, "UNMAPPED_ITEM")
        assert answer["error"] == "No product is mapped to: Fog machine."
        assert await desk.states() == ["failed"]
        assert desk.sink.submits == 0

    async def test_f_some_items_unmapped_make_no_partial_order(self, desk) -> None:
        answer = await desk.deliver(body_of(lines=[["Chicken Skewers", 1], ["Fog machine", 1], ["Confetti", 1]]))
        assert answer["error"] == "No product is mapped to: Fog machine, Confetti."
        assert desk.sink.submits == 0

    async def test_g_a_likeness_never_chooses_a_product(self, desk) -> None:
        """Defect (g): names three quarters alike were taken for the same, and nobody was told."""
        answer = await desk.deliver(body_of(lines=[["Chicken Skewer", 1]]))
        assert answer["reason"] == "UNMAPPED_ITEM"

    async def test_only_ignored_items_make_no_order(self, desk) -> None:
        answer = await desk.deliver(body_of(lines=[["Room rental", 1]]))
        assert (answer["reason"], answer["error"]) == ("UNMAPPED_ITEM", "The booking has no item that makes an order.")

    async def test_ignored_items_are_left_out(self, desk) -> None:
        await desk.deliver(body_of(lines=[["room  RENTAL", 1], ["cheese board", 1]]))
        assert desk.sink.live()[0].items == {"503": Decimal(1)}

    async def test_a_new_mapping_fires_what_waited_for_it(self, desk) -> None:
        await desk.deliver(body_of(lines=[["Fog machine", 1]]))
        async with transaction(desk.pool) as connection:
            entry = replace(MENU[0], item="Fog machine", product="777")
            await items.put(connection, desk.flow.tenant_id, "tripleseat", "4", [entry], by="test")
        await desk.worker.drain()
        assert desk.sink.live()[0].items == {"777": Decimal(1)}
        assert "confirmed" in await desk.states()


class TestDryRun:
    async def test_i_nothing_is_written_to_the_sink(self, worker_pool) -> None:
        """Defect (i): DRY_RUN did not hold for every way in."""
        async with trading(worker_pool, dry_run=True) as desk:
            desk.source.put(booking(), booking("2"))
            answer = await desk.deliver(body_of())
            assert (answer["ok"], answer["processed"], answer["reason"]) == (True, False, "DRY_RUN")
            await desk.sync.single("2", dry_run=False, by="test")
            await desk.sync.bulk(NOW - timedelta(days=2), NOW, dry_run=False, by="test")
            await desk.settle()
            order = SinkOrder(order_id="5", local_id="Triple Seat_1", uuid=None, items={}, total=None)
            desk.sink.orders_by_id["5"] = order
            await desk.deliver(body_of(guests=1))
            await desk.deliver(body_of(status="LOST"))
            await desk.sync.bulk(NOW - timedelta(days=2), NOW, dry_run=False, by="test")
            assert (desk.sink.submits, desk.sink.replaces, desk.sink.writes) == (0, 0, 0)
            assert "confirmed" not in await desk.states()

    async def test_orders_that_it_held_back_are_made_once_it_is_off(self, worker_pool) -> None:
        async with trading(worker_pool, dry_run=True) as desk:
            await desk.deliver(body_of())
            (row,) = await desk.rows("select state, reason from connectors.ledger")
            assert row == {"state": "planned", "reason": "DRY_RUN"}
            desk.flow.connector = replace(desk.flow.connector, dry_run=False)
            await desk.worker._start()
            await desk.worker.drain()
            assert await desk.states() == ["confirmed"]
