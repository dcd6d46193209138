"""Deliveries of a source: every form of answer, reason and status of CONTRACTS part E, and what is stored of them."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from connectors.trading import KEYRING, NOW, RULES, DictSink, body_of, booking, trading

from mainstem.connectors import deliveries
from mainstem.connectors.connector import Signature

KEYS = {"ok", "processed", "reason", "trigger", "delivery_id"}
BAD = "SIGNATURE_VERIFICATION_FAILED_"


@pytest.fixture
async def desk(worker_pool):
    async with trading(worker_pool) as one:
        yield one


class TestSignatures:
    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ({}, "MISSING_SIGNATURE_HEADER"),
            ({"x-signature": "nonsense"}, "MALFORMED_SIGNATURE_HEADER"),
            ({"x-signature": "t=1,v1=00"}, "MISMATCH"),
        ],
    )
    async def test_a_a_delivery_without_a_signature_that_holds_is_refused(self, desk, headers, reason) -> None:
        """Defect (a): without the header, nothing was verified."""
        answer = await desk.deliver(body_of(), headers)
        assert set(answer) == KEYS | {"status"}
        assert (answer["status"], answer["ok"], answer["reason"]) == (400, False, BAD + reason)
        assert desk.sink.submits == 0
        (row,) = await desk.rows("select signature, body, outcome, header_names from connectors.delivery")
        assert row["body"] is None
        assert row["signature"] != "valid"

    @pytest.mark.parametrize("found", [one for one in Signature if one is not Signature.VALID])
    async def test_every_fault_of_a_signature_has_its_reason(self, worker_pool, found) -> None:
        async with trading(worker_pool, verify=lambda *_: found) as desk:
            answer = await desk.deliver(body_of())
            assert answer["status"] == 400
            assert answer["reason"].startswith(BAD)
            assert "None" not in answer["reason"]

    async def test_an_invalid_delivery_does_not_stand_in_the_way_of_the_true_one(self, desk) -> None:
        await desk.deliver(body_of(), {"x-signature": "t=1,v1=00"})
        assert (await desk.deliver(body_of()))["reason"] == "REVEL_INJECTED"


class TestReasons:
    @pytest.mark.parametrize(
        ("body", "reason", "ok"),
        [
            (body_of(trigger=None), "MISSING_TRIGGER_TYPE", True),
            (body_of(trigger="CREATE_LEAD"), "TRIGGER_TYPE_NOT_ACTIONABLE", True),
            (body_of(site_id="999"), "LOCATION_NOT_ALLOWED", True),
            (body_of(site_id=""), "MISSING_SITE_ID", True),
            (body_of(status="PROSPECT"), "INVALID_STATUS:PROSPECT", True),
            (body_of(on="2030-01-01"), "TIME_GATE_CLOSED_TOO_EARLY", True),
            (body_of(on="2020-01-01"), "TIME_GATE_CLOSED_EVENT_DAY_PASSED", True),
            (body_of(on=None), "TIME_GATE_CLOSED_MISSING_DATA", True),
            (body_of(on=None, on_text="soon"), "TIME_GATE_CLOSED_INVALID_DATE_FORMAT", True),
            (body_of(lines=[["Fog machine", 1]]), "UNMAPPED_ITEM", False),
            (body_of(lines=[]), "UNMAPPED_ITEM", False),
            (body_of(faults=["documents"]), "NO_EVENT_DATA", False),
        ],
    )
    async def test_what_is_skipped_or_fails_says_why(self, desk, body, reason, ok) -> None:
        answer = await desk.deliver(body)
        assert (answer["status"], answer["reason"], answer["ok"], answer["processed"]) == (200, reason, ok, False)
        assert set(answer) >= KEYS
        assert desk.sink.submits == 0
        (row,) = await desk.rows("select outcome, finished_at is not null as done from connectors.delivery")
        assert row == {"outcome": reason, "done": True}

    async def test_an_unknown_zone_says_so(self, worker_pool) -> None:
        async with trading(worker_pool, rules=replace(RULES, zone="Mars/Olympus")) as desk:
            assert (await desk.deliver(body_of()))["reason"] == "TIME_GATE_CLOSED_UNKNOWN_TIMEZONE"

    async def test_a_connector_that_is_switched_off_says_so_and_notes_it(self, worker_pool) -> None:
        async with trading(worker_pool, enabled=False) as desk:
            answer = await desk.deliver(body_of())
            assert (answer["status"], answer["ok"], answer["reason"]) == (200, True, "CONNECTOR_DISABLED")
            assert (await desk.deliver(body_of(), {}))["reason"] == "CONNECTOR_DISABLED"
            assert len(await desk.rows("select 1 from connectors.delivery")) == 1

    async def test_a_foreign_site_is_nobody_s_booking(self, desk) -> None:
        await desk.deliver(body_of(site_id="999"))
        assert await desk.rows("select 1 from connectors.booking") == []
        assert await desk.events() == []

    async def test_a_booking_that_the_source_does_not_know_is_404(self, desk) -> None:
        body = json.dumps({"trigger": "UPDATE_EVENT", "id": "77"}).encode()
        answer = await desk.deliver(body)
        assert (answer["status"], answer["ok"], answer["event_id"]) == (404, False, "77")

    async def test_a_booking_that_is_only_named_is_read_from_the_source(self, desk) -> None:
        desk.source.put(booking("77"))
        answer = await desk.deliver(json.dumps({"trigger": "UPDATE_EVENT", "id": "77"}).encode())
        assert (answer["reason"], answer["revel_order_id"]) == ("REVEL_INJECTED", "1000")

    async def test_a_whole_booking_never_needs_a_call(self, desk) -> None:
        await desk.deliver(body_of())
        assert desk.source.calls == 0

    async def test_lines_that_a_delivery_does_not_tell_are_those_that_are_known(self, desk) -> None:
        await desk.deliver(body_of())
        answer = await desk.deliver(body_of(lines=None, note="status only"))
        assert answer["reason"] == "ALREADY_INJECTED"
        assert desk.source.calls == 0

    async def test_a_source_that_is_away_is_waited_for(self, desk) -> None:
        desk.source.put(booking("77"))
        desk.source.fails = 2
        answer = await desk.deliver(json.dumps({"trigger": "UPDATE_EVENT", "id": "77"}).encode())
        assert (answer["status"], answer["ok"], answer["reason"]) == (200, True, "UPSTREAM_UNAVAILABLE")
        await desk.settle()
        await desk.settle()
        assert await desk.states("77") == ["confirmed"]
        (row,) = await desk.rows("select outcome, order_id from connectors.delivery")
        assert row == {"outcome": "REVEL_INJECTED", "order_id": "1000"}


class TestRepetitions:
    async def test_c_a_body_that_comes_again_does_nothing(self, desk, worker_pool) -> None:
        """Defect (c): repetitions were known from the memory of one process."""
        first = await desk.deliver(body_of())
        async with trading(worker_pool, source=desk.source, sink=desk.sink, menu=()) as other:
            answer = await other.deliver(body_of())
        assert (answer["status"], answer["ok"], answer["processed"]) == (200, True, False)
        assert (answer["reason"], answer["revel_order_id"]) == ("DUPLICATE_DELIVERY", "1000")
        assert answer["delivery_id"] != first["delivery_id"]
        rows = await desk.rows("select repeats, body is null as empty from connectors.delivery order by delivery_id")
        assert rows == [{"repeats": None, "empty": False}, {"repeats": 1, "empty": True}]

    async def test_two_edits_within_a_minute_are_two(self, desk) -> None:
        await desk.deliver(body_of(guests=40, updated="12/28/2025 12:56 PM"))
        assert (await desk.deliver(body_of(guests=41, updated="12/28/2025 12:56 PM")))["reason"] == "ORDER_UPDATED"

    async def test_many_equal_deliveries_at_once_make_one_order(self, worker_pool) -> None:
        sink = DictSink()
        async with trading(worker_pool, sink=sink) as one, trading(worker_pool, sink=sink, menu=()) as two:
            answers = await asyncio.gather(*(desk.deliver(body_of()) for _ in range(20) for desk in (one, two)))
        assert {answer["status"] for answer in answers} == {200}
        assert [answer["reason"] for answer in answers].count("REVEL_INJECTED") == 1
        assert [answer["reason"] for answer in answers].count("DUPLICATE_DELIVERY") == 39
        assert (sink.submits, len(sink.live())) == (1, 1)

    async def test_many_different_deliveries_of_one_booking_at_once_make_one_order(self, worker_pool) -> None:
        sink = DictSink()
        async with trading(worker_pool, sink=sink) as one, trading(worker_pool, sink=sink, menu=()) as two:
            bodies = [body_of(note=str(number)) for number in range(20)]
            answers = await asyncio.gather(*((one, two)[n % 2].deliver(body) for n, body in enumerate(bodies)))
            await one.settle(1)
        assert {answer["reason"] for answer in answers} <= {"REVEL_INJECTED", "ALREADY_INJECTED", "ACCEPTED"}
        assert (sink.submits, len(sink.live())) == (1, 1)


class TestTime:
    async def test_5_4_a_a_slow_sink_does_not_keep_the_sender_waiting(self, worker_pool) -> None:
        """Defect 5.4 (a): the sender waited for 30 s, was told ok:false, and the order was made after all."""
        sink = DictSink(gate=asyncio.Event())
        async with trading(worker_pool, sink=sink, budget_s=0.05) as desk:
            answer = await desk.deliver(body_of())
            assert (answer["status"], answer["ok"], answer["processed"]) == (200, True, False)
            assert answer["reason"] == "ACCEPTED"
            await asyncio.wait_for(sink.sending.wait(), 5)
            sink.gate.set()
            await desk.inbox.finish()
            assert await desk.states() == ["confirmed"]
            (row,) = await desk.rows("select outcome, order_id from connectors.delivery")
            assert row == {"outcome": "REVEL_INJECTED", "order_id": "1000"}

    async def test_a_delivery_that_a_dead_process_left_behind_is_worked_on(self, desk) -> None:
        body = body_of()
        given = deliveries.Delivery(tenant_id=1, connector="tripleseat", received_at=NOW, header_names=[], body=body)
        await desk.rows(
            """insert into connectors.delivery (tenant_id, connector, received_at, signature, header_names, body_sha256,
                                                body_bytes, body, due_at, claim_id, leased_until)
               values ($1, 'tripleseat', $2, 'valid', '{}', $3, $4, $5, $2, gen_random_uuid(), now() - interval '1 second')
               returning 1""",
            desk.flow.tenant_id,
            NOW - timedelta(minutes=1),
            given.digest,
            len(body),
            deliveries.seal(KEYRING, body),
        )
        await desk.worker.drain()
        assert await desk.states() == ["confirmed"]

    async def test_an_older_reading_never_overwrites_a_newer_one(self, desk) -> None:
        await desk.deliver(body_of(guests=41))
        desk.now -= timedelta(minutes=5)
        await desk.deliver(body_of(guests=40, note="late"))
        assert desk.sink.plans["1000"].guests == 41


async def test_j_what_is_stored_shows_nobody_s_data(desk) -> None:
    """Defect (j): deliveries lay about in files, with personal data, named by what they said."""
    body = body_of(contact="jane.smith@example.com")
    await desk.deliver(body)
    (row,) = await desk.rows("select body from connectors.delivery")
    assert b"jane" not in row["body"]
    assert deliveries.unseal(KEYRING, row["body"]) == body
    (row,) = await desk.rows("select doc::text from connectors.booking")
    assert "jane" not in row["doc"]
    assert not [one for one in await desk.rows("select data::text as data from raw.event") if "jane" in one["data"]]
