"""Reconciliation: what differs is found, mended, told, and found once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from connectors.trading import NOW, TODAY, DictSink, body_of, booking, line, trading

from mainstem.connectors.ports import SinkOrder
from mainstem.connectors.sync import OverlapError
from mainstem.connectors.work import ConnectorWorker, next_turn, window

SINCE = NOW - timedelta(hours=48)
KEYS = {"id", "name", "date", "status", "revel_order_id", "order_id", "reason", "error"}


@pytest.fixture
async def desk(worker_pool):
    async with trading(worker_pool) as one:
        yield one


async def bulk(desk, *, dry_run: bool = False):
    return await desk.sync.bulk(SINCE, desk.now, dry_run=dry_run, by="test")


def kinds(report) -> list[str]:
    return sorted(one.kind.value for one, _ in report.differences)


class TestOne:
    async def test_a_booking_is_injected(self, desk) -> None:
        desk.source.put(booking())
        report = await desk.sync.single("1", dry_run=False, by="test")
        assert report.success
        assert report.summary == {"queried": 1, "injected": 1, "skipped": 0, "failed": 0}
        (event,) = report.events
        assert set(event) == KEYS
        assert (event["status"], event["revel_order_id"], event["date"]) == ("INJECTED", "1000", "2026-11-26")
        again = await desk.sync.single("1", dry_run=False, by="test")
        assert (again.events[0]["status"], again.events[0]["reason"]) == ("SKIPPED", "ALREADY_INJECTED")

    async def test_5_4_c_what_failed_is_counted(self, desk) -> None:
        """Defect 5.4 (c): the summary of a single sync never counted a failure."""
        report = await desk.sync.single("404", dry_run=False, by="test")
        assert not report.success
        assert report.summary == {"queried": 1, "injected": 0, "skipped": 0, "failed": 1}
        assert (report.events[0]["status"], report.events[0]["reason"]) == ("FAILED", "NO_EVENT_DATA")
        desk.source.fails = 1
        report = await desk.sync.single("1", dry_run=False, by="test")
        assert (report.success, report.events[0]["reason"]) == (False, "UPSTREAM_UNAVAILABLE")

    async def test_a_dry_run_tells_and_changes_nothing(self, desk) -> None:
        desk.source.put(booking())
        report = await desk.sync.single("1", dry_run=True, by="test")
        assert (report.events[0]["status"], report.events[0]["reason"]) == ("SKIPPED", "DRY_RUN")
        assert desk.sink.writes == 0
        assert await desk.rows("select 1 from connectors.booking") == []

    async def test_an_operator_tries_a_refused_order_again(self, desk) -> None:
        desk.source.put(booking())
        desk.sink.faults.append("refuse")
        assert (await desk.sync.single("1", dry_run=False, by="test")).failed == 1
        assert (await desk.sync.single("1", dry_run=False, by="test")).injected == 1


class TestWindow:
    async def test_d_bookings_that_no_delivery_told_of_are_injected(self, desk) -> None:
        """Defect (d): the reconciliation asked for nothing and found nothing."""
        desk.source.put(*(booking(str(n)) for n in range(120)))
        report = await bulk(desk)
        assert report.success
        assert report.summary == {"queried": 120, "injected": 120, "skipped": 0, "failed": 0}
        assert (report.bookings_read, report.bookings_taken) == (120, 120)
        assert kinds(report) == ["missing"] * 120
        assert len(desk.sink.live()) == 120
        second = await bulk(desk)
        assert kinds(second) == []
        assert second.summary == {"queried": 120, "injected": 0, "skipped": 120, "failed": 0}

    async def test_deleted_and_changed_orders_are_all_found_and_the_second_run_finds_none(self, desk) -> None:
        desk.source.put(*(booking(str(n)) for n in range(100)))
        await bulk(desk)
        gone, fewer, dearer = list(desk.sink.orders_by_id)[:3]
        del desk.sink.orders_by_id[gone]
        desk.sink.orders_by_id[fewer] = replace(desk.sink.orders_by_id[fewer], items={"501": Decimal(1)})
        desk.sink.orders_by_id[dearer] = replace(desk.sink.orders_by_id[dearer], total=Decimal(1))
        report = await bulk(desk)
        assert kinds(report) == ["amount_differs", "amount_differs", "missing"]
        assert {done for _, done in report.differences} == {"UPDATED: ORDER_UPDATED", "INJECTED: REVEL_INJECTED"}
        assert len(desk.sink.live()) == 100
        assert {one.items["501"] for one in desk.sink.live()} == {Decimal(2)}
        assert kinds(await bulk(desk)) == []

    async def test_a_dry_run_finds_the_same_and_mends_nothing(self, desk) -> None:
        desk.source.put(*(booking(str(n)) for n in range(10)))
        found = await bulk(desk, dry_run=True)
        assert kinds(found) == ["missing"] * 10
        assert found.summary == {"queried": 10, "injected": 0, "skipped": 10, "failed": 0}
        assert desk.sink.writes == 0
        assert await desk.rows("select 1 from connectors.booking") == []

    async def test_an_order_that_was_voided_by_hand_is_told_once_and_left(self, desk) -> None:
        desk.source.put(booking())
        await bulk(desk)
        desk.sink.orders_by_id["1000"] = replace(desk.sink.orders_by_id["1000"], voided=True)
        report = await bulk(desk)
        assert kinds(report) == ["missing"]
        assert report.differences[0][1] == "SKIPPED: VOIDED_BY_HAND"
        assert kinds(await bulk(desk)) == []
        assert desk.sink.live() == []

    async def test_a_cancelled_booking_s_order_is_extra_and_voided(self, desk) -> None:
        desk.source.put(booking())
        await bulk(desk)
        desk.source.put(booking(status="LOST"))
        assert kinds(await bulk(desk)) == ["extra"]
        assert desk.sink.live() == []
        assert kinds(await bulk(desk)) == []

    async def test_orders_of_nobody_are_told_and_left(self, desk) -> None:
        desk.sink.orders_by_id["7"] = SinkOrder(
            order_id="7", local_id="Triple Seat_unheard", uuid=None, items={}, total=None
        )
        report = await bulk(desk)
        assert kinds(report) == ["extra"]
        assert len(desk.sink.live()) == 1

    async def test_unmapped_items_are_told_and_their_bookings_counted_as_failed(self, desk) -> None:
        desk.source.put(booking(lines=(line("Fog machine"),)), booking("2"))
        report = await bulk(desk)
        assert kinds(report) == ["missing", "unmapped"]
        assert report.summary == {"queried": 2, "injected": 1, "skipped": 0, "failed": 1}
        assert not report.success

    async def test_a_booking_of_another_day_is_no_difference(self, desk) -> None:
        desk.source.put(booking(on=TODAY + timedelta(days=1)))
        report = await bulk(desk)
        assert kinds(report) == []
        assert report.events[0]["status"] == "SKIPPED_TIME_GATE"


class TestWholeness:
    async def test_a_list_that_breaks_off_proves_nothing(self, desk) -> None:
        desk.source.put(*(booking(str(n)) for n in range(120)))
        await bulk(desk)
        desk.source.breaks_after = 1
        report = await bulk(desk)
        assert (report.success, report.error) == (False, "HTML instead of JSON")
        assert report.differences == []
        assert len(desk.sink.live()) == 120

    async def test_a_sink_that_can_t_be_read_proves_nothing(self, desk) -> None:
        desk.source.put(booking())
        desk.sink.find_fails = 1
        report = await bulk(desk)
        assert (report.success, report.differences) == (False, [])

    async def test_a_booking_that_is_gone_is_believed_when_the_source_says_so(self, desk) -> None:
        desk.source.put(booking(), booking("2"))
        await bulk(desk)
        del desk.source.bookings["1"]
        report = await bulk(desk)
        assert kinds(report) == ["extra"]
        assert [one.local_id for one in desk.sink.live()] == ["Triple Seat_2"]
        assert "booking.cancelled" in await desk.events()

    async def test_a_booking_that_a_list_only_misses_stays(self, desk) -> None:
        desk.source.put(booking(), booking("2"))
        await bulk(desk)
        hidden = desk.source.bookings["1"]

        async def changed(since, until):
            yield [desk.source.bookings["2"]]

        desk.source.changed = changed
        report = await bulk(desk)
        assert kinds(report) == []
        assert hidden.booking_id in desk.source.bookings
        assert len(desk.sink.live()) == 2

    async def test_one_booking_that_goes_wrong_stops_no_other(self, desk) -> None:
        desk.source.put(*(booking(str(n)) for n in range(5)))
        whole = desk.flow.advance

        async def advance(key: int, *, by: str):
            if key == 3:
                raise TimeoutError
            return await whole(key, by=by)

        desk.flow.advance = advance
        report = await bulk(desk)
        assert report.summary == {"queried": 5, "injected": 4, "skipped": 0, "failed": 1}
        assert not report.success
        desk.flow.advance = whole
        assert (await bulk(desk)).success
        assert len(desk.sink.live()) == 5

    async def test_a_run_that_breaks_off_says_so(self, desk) -> None:
        async def changed(since, until):
            yield [booking()]
            raise ValueError("a bug")

        desk.source.changed = changed
        with pytest.raises(ValueError, match="a bug"):
            await bulk(desk)
        (row,) = await desk.rows("select success, error, finished_at is not null as done from connectors.run")
        assert row == {"success": False, "error": "It broke off: ValueError; see the log.", "done": True}


class TestTurns:
    async def test_5_4_b_one_run_at_a_time(self, worker_pool) -> None:
        """Defect 5.4 (b): every process ran a schedule of its own."""
        sink = DictSink(gate=asyncio.Event())
        async with trading(worker_pool, sink=sink) as one, trading(worker_pool, sink=sink, menu=()) as two:
            one.source.put(booking())
            first = asyncio.create_task(bulk(one))
            await asyncio.wait_for(sink.sending.wait(), 5)
            with pytest.raises(OverlapError):
                await bulk(two)
            sink.gate.set()
            assert (await first).success

    async def test_the_first_turn_waits_one_interval_and_missed_ones_are_caught_up_once(self, desk) -> None:
        desk.source.put(booking())
        worker: ConnectorWorker = desk.worker
        await worker._turn()
        assert await desk.rows("select 1 from connectors.run") == []
        desk.now += timedelta(minutes=44)
        await worker._turn()
        assert await desk.rows("select 1 from connectors.run") == []
        desk.now += timedelta(minutes=1)
        await worker._turn()
        await worker._turn()
        assert [row["mode"] for row in await desk.rows("select mode from connectors.run")] == ["scheduled"]
        assert len(desk.sink.live()) == 1
        desk.now += timedelta(minutes=45 * 10)
        await worker._turn()
        await worker._turn()
        rows = await desk.rows("select since, until from connectors.run order by run_id")
        assert len(rows) == 2
        # from what was read whole before, less the look-back
        assert rows[1]["since"] == rows[0]["until"] - timedelta(days=2)

    async def test_a_failed_run_moves_nothing_on(self, desk) -> None:
        desk.source.put(booking())
        await desk.worker._turn()
        desk.now += timedelta(minutes=45)
        desk.source.breaks_after = 0
        await desk.worker._turn()
        (row,) = await desk.rows("select read_until from connectors.schedule")
        assert row["read_until"] is None

    def test_the_next_turn_is_in_step_and_in_the_future(self) -> None:
        every = timedelta(minutes=45)
        assert next_turn(NOW, NOW, every) == NOW + every
        assert next_turn(NOW, NOW + every * 3.5, every) == NOW + every * 4

    def test_a_window_reads_again_what_was_read_last(self) -> None:
        day = timedelta(days=1)
        assert window(None, NOW, 2 * day) == NOW - 2 * day
        assert window(NOW - 3 * day, NOW, 2 * day) == NOW - 5 * day
        assert window(NOW - 300 * day, NOW, 2 * day) == NOW - 31 * day


async def test_a_delivery_and_a_run_at_once_make_one_order(desk) -> None:
    desk.source.put(*(booking(str(n)) for n in range(20)))
    await asyncio.gather(bulk(desk), *(desk.deliver(body_of(str(n))) for n in range(20)))
    await desk.settle(1)
    assert len(desk.sink.live()) == 20
    assert desk.sink.submits == 20
