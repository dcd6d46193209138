"""Readings that may be over: the source is asked before anything is done by them, and its word holds."""

from dataclasses import replace
from decimal import Decimal

import pytest
from connectors.trading import RULES, Desk, body_of, booking, line, trading
from hypothesis import given
from hypothesis import strategies as st

from mainstem.connectors import deliveries
from mainstem.connectors.truth import changes, is_older, settled
from mainstem.platform.db import transaction

TOTALS = st.sampled_from([None, Decimal(25), Decimal(50)])
LINES = st.sampled_from([None, (line(),), (line(quantity=4),)])
READINGS = st.builds(
    lambda total, lines, guests: booking(total=total, lines=lines, guests=guests), TOTALS, LINES, st.integers(1, 2)
)


@pytest.fixture
async def desk(worker_pool):
    async with trading(worker_pool) as one:
        yield one


async def replayed(desk: Desk, delivery_id: int) -> dict:
    """Have a delivery worked on again, as an operator does; return what became of it."""
    async with transaction(desk.pool, tenant_id=desk.flow.tenant_id) as connection:
        assert await deliveries.replay(connection, desk.flow.tenant_id, "tripleseat", delivery_id)
        await connection.execute("update connectors.delivery set due_at = '2026-01-01' where finished_at is null")
    await desk.inbox.work_due()
    (row,) = await desk.rows("select outcome, error from connectors.delivery where delivery_id = $1", delivery_id)
    return row


class TestRepetitions:
    async def test_a_booking_that_was_changed_back_within_a_minute_is_changed_back(self, desk) -> None:
        """The body is the first one again, to the byte: as a repetition alone it would be passed over."""
        first = await desk.deliver(body_of())
        await desk.deliver(body_of(guests=55))
        desk.source.put(booking(guests=40))
        answer = await desk.deliver(body_of())
        assert (answer["reason"], answer["processed"]) == ("ORDER_UPDATED", True)
        assert desk.sink.plans["1000"].guests == 40
        (row,) = await desk.rows(
            "select repeats from connectors.delivery where delivery_id = $1", answer["delivery_id"]
        )
        assert row["repeats"] == first["delivery_id"]
        assert (await desk.deliver(body_of()))["reason"] == "DUPLICATE_DELIVERY"

    async def test_an_old_body_that_comes_again_late_undoes_nothing(self, desk) -> None:
        await desk.deliver(body_of())
        await desk.deliver(body_of(guests=55))
        desk.source.put(booking(guests=55))
        answer = await desk.deliver(body_of())
        assert (answer["ok"], answer["reason"]) == (True, "ALREADY_INJECTED")
        assert (desk.source.calls, desk.sink.plans["1000"].guests, desk.sink.replaces) == (1, 55, 1)

    async def test_while_the_source_is_away_it_is_kept_and_asked_for_later(self, desk) -> None:
        await desk.deliver(body_of())
        await desk.deliver(body_of(guests=55))
        desk.source.put(booking(guests=40))
        desk.source.fails = 1
        assert (await desk.deliver(body_of()))["reason"] == "UPSTREAM_UNAVAILABLE"
        assert (await desk.deliver(body_of()))["reason"] == "DUPLICATE_DELIVERY", "one of them is enough"
        assert desk.sink.plans["1000"].guests == 55
        await desk.settle()
        assert desk.sink.plans["1000"].guests == 40

    async def test_a_deletion_that_comes_again_is_believed_when_the_source_says_so(self, desk) -> None:
        await desk.deliver(body_of())
        gone = body_of(trigger="DELETE_EVENT")
        await desk.deliver(gone)
        await desk.deliver(body_of(note="restored"))
        desk.source.put(booking())
        assert (await desk.deliver(gone))["reason"] == "ALREADY_INJECTED"
        desk.source.bookings.clear()
        assert (await desk.deliver(gone))["reason"] == "ORDER_VOIDED"

    async def test_a_body_that_only_names_its_booking_is_no_repetition(self, desk) -> None:
        thin = b'{"trigger": "UPDATE_EVENT", "id": "77"}'
        assert (await desk.deliver(thin))["status"] == 404
        desk.source.put(booking("77"))
        assert (await desk.deliver(thin))["reason"] == "REVEL_INJECTED"
        assert (await desk.deliver(thin))["reason"] == "ALREADY_INJECTED"
        desk.source.put(booking("77", guests=41))
        assert (await desk.deliver(thin))["reason"] == "ORDER_UPDATED"


class TestReplays:
    async def test_what_is_known_already_needs_no_call(self, desk) -> None:
        answer = await desk.deliver(body_of())
        assert (await replayed(desk, answer["delivery_id"]))["outcome"] == "ALREADY_INJECTED"
        assert desk.source.calls == 0

    async def test_one_of_a_booking_that_was_never_taken_is_not_believed(self, desk) -> None:
        """It was refused for its site, and cancelled since: that was refused, too, so nobody here knows."""
        answer = await desk.deliver(body_of(site_id="999"))
        rules = desk.flow.connector.rules
        desk.flow.connector = replace(desk.flow.connector, rules=replace(rules, site_id=None))
        desk.source.put(booking(site_id="999", status="LOST"))
        assert (await replayed(desk, answer["delivery_id"]))["outcome"] == "INVALID_STATUS:LOST"
        assert desk.sink.submits == 0

    async def test_one_that_failed_for_its_items_is_made_of_what_holds_now(self, desk) -> None:
        answer = await desk.deliver(body_of(lines=[["Fog machine", 1]]))
        desk.source.put(booking())
        await desk.deliver(body_of(note="mended"))
        assert (await replayed(desk, answer["delivery_id"]))["outcome"] == "ALREADY_INJECTED"
        assert desk.sink.live()[0].items == {"501": Decimal(2)}

    async def test_a_booking_that_is_gone_makes_no_order(self, desk) -> None:
        answer = await desk.deliver(body_of(site_id="999"))
        desk.flow.connector = replace(desk.flow.connector, rules=replace(desk.flow.connector.rules, site_id=None))
        row = await replayed(desk, answer["delivery_id"])
        assert (row["outcome"], row["error"]) == ("NO_EVENT_DATA", "The source does not know this booking.")


class TestOlder:
    async def test_a_body_that_says_that_it_is_older_than_what_is_known_is_checked(self, desk) -> None:
        """It could not be stored when it came first, and comes again after the next change."""
        await desk.deliver(body_of(guests=55, updated="2026-11-26T17:56:00+00:00"))
        desk.source.put(booking(guests=55))
        await desk.deliver(body_of(guests=40, updated="2026-11-26T17:55:00+00:00"))
        assert (desk.source.calls, desk.sink.plans["1000"].guests) == (1, 55)

    @pytest.mark.parametrize(
        ("told", "known", "older"),
        [
            ("2026-11-26T17:55:00+00:00", "2026-11-26T17:56:00+00:00", True),
            ("2026-11-26T12:55:00-05:00", "2026-11-26T17:56:00+00:00", True),
            ("2026-11-26T17:56:00+00:00", "2026-11-26T17:56:00+00:00", False),
            ("2026-11-26T17:57:00+00:00", "2026-11-26T17:56:00+00:00", False),
            ("2026-11-26T17:55:00", "2026-11-26T17:56:00+00:00", False),
            ("yesterday", "2026-11-26T17:56:00+00:00", False),
            (None, "2026-11-26T17:56:00+00:00", False),
            ("2026-11-26T17:55:00+00:00", None, False),
        ],
    )
    def test_only_what_can_be_compared_is(self, told, known, older) -> None:
        assert is_older(booking(updated=told), booking(updated=known)) is older
        assert not is_older(booking(updated=told), None)


class TestSettled:
    @given(READINGS, READINGS | st.none(), READINGS | st.none())
    def test_the_source_is_right_in_all_that_it_tells(self, truth, told, known) -> None:
        found = settled(truth, told, known)
        assert (found.total, found.guests, found.status) == (truth.total, truth.guests, truth.status)
        if truth.lines is not None:
            assert found.lines == truth.lines

    @given(READINGS, READINGS)
    def test_nothing_changes_by_a_reading_that_says_what_is_known(self, told, known) -> None:
        assert not changes(known, known)
        assert changes(told, None)

    def test_items_that_the_source_does_not_tell_are_those_that_cost_what_it_says(self) -> None:
        old, new = booking(lines=(line(),), total=Decimal(25)), booking(lines=(line(quantity=4),), total=Decimal(50))
        assert settled(booking(lines=None, total=Decimal(25)), old, new).lines == old.lines
        assert settled(booking(lines=None, total=Decimal(50)), old, new).lines is None, "those that are known hold"
        assert settled(booking(lines=None, total=Decimal(75)), old, None).lines is None, "nobody knows these"
        assert settled(booking(lines=None, total=None), old, None).lines == old.lines


class TestRecordsThatCantBeTrusted:
    @pytest.mark.parametrize(
        ("told", "reason", "error"),
        [
            ({"lines": None}, "NO_EVENT_DATA", "No reading of the booking has told its items yet."),
            ({"faults": ["total"]}, "NO_EVENT_DATA", "These fields can't be read: total."),
            ({"faults": ["lines", "guests"]}, "NO_EVENT_DATA", "These fields can't be read: lines, guests."),
        ],
    )
    async def test_they_make_no_order_and_are_told_with_their_reason(self, desk, told, reason, error) -> None:
        desk.source.put(booking(lines=None))
        answer = await desk.deliver(body_of(**told))
        assert (answer["ok"], answer["reason"], answer["error"]) == (False, reason, error)
        assert desk.sink.submits == 0
        assert "order.failed" in await desk.events()

    async def test_an_order_that_stands_is_left_by_a_reading_that_can_t_be_read(self, desk) -> None:
        await desk.deliver(body_of())
        answer = await desk.deliver(body_of(faults=["guests"], guests=None))
        assert answer["reason"] == "NO_EVENT_DATA"
        assert len(desk.sink.live()) == 1
        assert (await desk.deliver(body_of(note="mended")))["reason"] == "ALREADY_INJECTED"

    async def test_a_zone_that_is_corrected_opens_the_gate(self, worker_pool) -> None:
        async with trading(worker_pool, rules=replace(RULES, zone=None)) as desk:
            assert (await desk.deliver(body_of(zone="Mars/Olympus")))["reason"] == "TIME_GATE_CLOSED_UNKNOWN_TIMEZONE"
            assert (await desk.deliver(body_of(zone="America/New_York")))["reason"] == "REVEL_INJECTED"
