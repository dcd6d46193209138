"""CONTRACTS part E, word by word: every reason, form and status of a delivery and of a sync, by Tripleseat's own bodies.

What went wrong in the public connector of this pair is tested under its letter where the part stands that answers for it (`test_flow`,
`test_inbound`, `test_sync`, `test_connectors_api`, `tripleseat/`, `revel/`); here is what belongs to no single part.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from connectors.trading import KEY, NOW, RULES, Desk, booking, sign, trading
from pydantic import SecretStr

from mainstem.api import create_api
from mainstem.connectors.wiring import reader, verifier
from mainstem.platform.mail import Mailer
from mainstem.platform.outbox import Outbox
from mainstem.platform.settings import Settings

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "connectors.md"
BAD = "SIGNATURE_VERIFICATION_FAILED_"
SHUT = "TIME_GATE_CLOSED_"
ALWAYS = {"ok", "processed", "reason", "trigger", "delivery_id"}
SETTINGS = Settings(_env_file=None, tripleseat_webhook_signing_key=SecretStr(KEY))


def judging(settings: Settings = SETTINGS) -> dict[str, Any]:
    """Return Tripleseat's verifier and reader, as fields of a connector."""
    return {"verify": verifier(settings), "read": reader(ZoneInfo("America/New_York"))}


@pytest.fixture
async def desk(worker_pool) -> AsyncIterator[Desk]:
    async with trading(worker_pool, **judging()) as one:
        yield one


def event(**more: Any) -> dict[str, Any]:
    """Return an event of today as Tripleseat writes it; a value of `...` leaves the field out."""
    given = {
        "id": 55521609,
        "name": "Spring gala",
        "site_id": 15691,
        "status": "DEFINITE",
        "event_date": "11/26/2026",
        "event_timezone": "America/New_York",
        "updated_at": "11/26/2026 12:56 PM",
        "guest_count": 40,
        "grand_total": "25.00",
        "documents": [{"line_items": [{"id": 1, "description": "Chicken Skewers", "quantity": 2, "price": "12.50"}]}],
        **more,
    }
    return {name: value for name, value in given.items() if value is not ...}


def body_of(trigger: str | None = "UPDATE_EVENT", **more: Any) -> bytes:
    told = {} if trigger is None else {"webhook_trigger_type": trigger}
    return json.dumps({**told, "event": event(**more)}).encode()


def thin(event_id: int = 55521609) -> bytes:
    """Return a body that names its event and tells nothing of it."""
    return json.dumps({"webhook_trigger_type": "UPDATE_EVENT", "event": {"id": event_id, "site_id": 15691}}).encode()


Way = Callable[[Desk], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Case:
    """One reason: how it comes about, and what the sender is told with it."""

    way: Way
    status: int = 200
    ok: bool = True
    processed: bool = False


def told(body: bytes) -> Way:
    return lambda desk: desk.deliver(body)


def signed(headers: Callable[[bytes], dict[str, str]]) -> Way:
    return lambda desk: desk.deliver(body_of(), headers(body_of()))


def shifted(seconds: int) -> Callable[[bytes], dict[str, str]]:
    return lambda body: sign(body, at=NOW.fromtimestamp(NOW.timestamp() + seconds, NOW.tzinfo))


def by(change: Callable[[Desk], None], body: bytes | None = None) -> Way:
    async def way(desk: Desk) -> dict[str, Any]:
        change(desk)
        return await desk.deliver(body_of() if body is None else body)

    return way


def rules(desk: Desk, **fields: Any) -> None:
    connector = desk.flow.connector
    desk.flow.connector = replace(connector, rules=replace(connector.rules, **fields))


def unkeyed(desk: Desk) -> None:
    desk.flow.connector = replace(desk.flow.connector, **judging(Settings(_env_file=None)))


async def twice(desk: Desk, second: bytes) -> dict[str, Any]:
    await desk.deliver(body_of())
    return await desk.deliver(second)


CASES = {
    "CONNECTOR_DISABLED": Case(
        by(lambda desk: setattr(desk.flow, "connector", replace(desk.flow.connector, enabled=False)))
    ),
    f"{BAD}SIGNING_KEY_NOT_CONFIGURED": Case(by(unkeyed), 400, ok=False),
    f"{BAD}MISSING_SIGNATURE_HEADER": Case(signed(lambda _: {}), 400, ok=False),
    f"{BAD}MALFORMED_SIGNATURE_HEADER": Case(signed(lambda _: {"x-signature": "sha256=00"}), 400, ok=False),
    f"{BAD}MISMATCH": Case(signed(lambda body: sign(body, key="another")), 400, ok=False),
    f"{BAD}TOO_OLD": Case(signed(shifted(-301)), 400, ok=False),
    f"{BAD}TOO_NEW": Case(signed(shifted(301)), 400, ok=False),
    "TRIGGER_TYPE_NOT_ACTIONABLE": Case(told(b'{"webhook_trigger_type": "CREATE_LEAD", "lead": {"id": 1}}')),
    "MISSING_TRIGGER_TYPE": Case(told(body_of(None))),
    "DUPLICATE_DELIVERY": Case(lambda desk: twice(desk, body_of())),
    "NO_EVENT_DATA": Case(told(b'{"webhook_trigger_type": "UPDATE_EVENT"}')),
    "NO_EVENT_ID": Case(told(body_of(id="../../etc/passwd"))),
    "MISSING_SITE_ID": Case(told(body_of(site_id=...))),
    "LOCATION_NOT_ALLOWED": Case(told(body_of(site_id=999))),
    "INVALID_STATUS:TENTATIVE": Case(told(body_of(status="Tentative"))),
    f"{SHUT}TOO_EARLY": Case(told(body_of(event_date="11/27/2026"))),
    f"{SHUT}EVENT_DAY_PASSED": Case(told(body_of(event_date="11/25/2026"))),
    f"{SHUT}UNKNOWN_TIMEZONE": Case(by(lambda desk: rules(desk, zone=None), body_of(event_timezone="Mars/Olympus"))),
    f"{SHUT}INVALID_DATE_FORMAT": Case(told(body_of(event_date="the 26th"))),
    f"{SHUT}MISSING_DATA": Case(told(body_of(event_date=...))),
    "UNMAPPED_ITEM": Case(
        told(body_of(documents=[{"line_items": [{"id": 1, "description": "Fog machine", "quantity": 1}]}])), ok=False
    ),
    "REVEL_INJECTED": Case(told(body_of()), processed=True),
    "ALREADY_INJECTED": Case(lambda desk: twice(desk, body_of(description="saved again"))),
    "DRY_RUN": Case(by(lambda desk: setattr(desk.flow, "connector", replace(desk.flow.connector, dry_run=True)))),
    "UPSTREAM_UNAVAILABLE": Case(by(lambda desk: setattr(desk.source, "fails", 1), thin())),
    "OUTCOME_UNKNOWN": Case(by(lambda desk: desk.sink.faults.append("after"))),
}
NAMED = """CONNECTOR_DISABLED, SIGNATURE_VERIFICATION_FAILED_{SIGNING_KEY_NOT_CONFIGURED|MISSING_SIGNATURE_HEADER|
MALFORMED_SIGNATURE_HEADER|MISMATCH|TOO_OLD}, TRIGGER_TYPE_NOT_ACTIONABLE, MISSING_TRIGGER_TYPE, DUPLICATE_DELIVERY,
NO_EVENT_DATA, NO_EVENT_ID, MISSING_SITE_ID, LOCATION_NOT_ALLOWED, INVALID_STATUS:<s>,
TIME_GATE_CLOSED_{TOO_EARLY|EVENT_DAY_PASSED|UNKNOWN_TIMEZONE|INVALID_DATE_FORMAT|MISSING_DATA}, UNMAPPED_ITEM,
REVEL_INJECTED, ALREADY_INJECTED, DRY_RUN, UPSTREAM_UNAVAILABLE, OUTCOME_UNKNOWN"""
"""As the contract writes them."""


def spelt_out(text: str) -> set[str]:
    """Return the reasons of the contract, each whole."""
    found = set()
    for one in re.split(r",\s*(?![^{]*})", text):
        head, _, ends = one.partition("{")
        found |= {head.strip() + end.strip() for end in ends.rstrip("}").split("|")} if ends else {one.strip()}
    return found


class TestReasons:
    @pytest.mark.parametrize("reason", CASES)
    async def test_each_reason_has_its_answer_and_status(self, desk, reason) -> None:
        case = CASES[reason]
        answer = await case.way(desk)
        assert answer["reason"] == reason
        assert (answer["status"], answer["ok"], answer["processed"]) == (case.status, case.ok, case.processed)
        assert set(answer) >= ALWAYS
        assert isinstance(answer["delivery_id"], int)
        (row,) = await desk.rows(
            "select signature = 'valid' as valid, connector from connectors.delivery where delivery_id = $1",
            answer["delivery_id"],
        )
        assert row == {"valid": case.status != 400, "connector": "tripleseat"}

    def test_every_reason_of_the_contract_is_among_them(self) -> None:
        words = {reason.replace(":TENTATIVE", ":<s>") for reason in CASES}
        assert spelt_out(NAMED) | {f"{BAD}TOO_NEW"} == words

    def test_every_reason_is_explained_in_the_guide(self) -> None:
        guide = GUIDE.read_text()
        unknown = [one for one in CASES if one.removeprefix(BAD).removeprefix(SHUT).partition(":")[0] not in guide]
        assert unknown == []


class TestForms:
    async def test_an_order_is_named_twice_as_callers_of_old_and_of_other_sinks_know_it(self, desk) -> None:
        answer = await desk.deliver(body_of())
        assert answer["event_id"] == "55521609"
        assert (answer["revel_order_id"], answer["order_id"]) == ("1000", "1000")
        assert set(answer) - {"status"} == ALWAYS | {"event_id", "revel_order_id", "order_id"}
        assert [one.local_id for one in desk.sink.live()] == ["Triple Seat_55521609"]

    async def test_an_event_that_tripleseat_does_not_know_is_404(self, desk) -> None:
        answer = await desk.deliver(thin())
        assert (answer["status"], answer["ok"], answer["processed"], answer["event_id"]) == (
            404,
            False,
            False,
            "55521609",
        )

    async def test_a_whole_event_needs_no_call_and_is_never_404(self, desk) -> None:
        assert (await desk.deliver(body_of()))["status"] == 200
        assert desk.source.calls == 0

    @pytest.mark.parametrize("trigger", ["DELETE_EVENT", "EVENT_DELETED"])
    async def test_a_deletion_voids_whatever_else_the_body_says(self, desk, trigger) -> None:
        await desk.deliver(body_of())
        answer = await desk.deliver(body_of(trigger))
        assert (answer["reason"], answer["processed"]) == ("ORDER_VOIDED", True)
        assert desk.sink.live() == []

    async def test_a_deletion_of_what_never_was_an_order_is_no_fault(self, desk) -> None:
        answer = await desk.deliver(body_of("DELETE_EVENT"))
        assert (answer["status"], answer["ok"], answer["reason"]) == (200, True, "INVALID_STATUS:DELETED")

    async def test_a_body_that_tells_a_part_of_its_event_voids_nothing(self, desk) -> None:
        await desk.deliver(body_of())
        desk.source.put(booking("55521609", name="Spring gala"))
        answer = await desk.deliver(thin())
        assert (answer["reason"], desk.source.calls) == ("ALREADY_INJECTED", 1)
        desk.source.fails = 1
        answer = await desk.deliver(thin() + b" ")
        assert (answer["ok"], answer["reason"]) == (True, "UPSTREAM_UNAVAILABLE")
        assert len(desk.sink.live()) == 1

    @pytest.mark.parametrize("status", ["DEFINITE", "CLOSED", "closed"])
    async def test_the_statuses_that_make_orders(self, desk, status) -> None:
        assert (await desk.deliver(body_of(status=status)))["reason"] == "REVEL_INJECTED"

    async def test_the_statuses_may_be_set(self, worker_pool) -> None:
        async with trading(worker_pool, rules=replace(RULES, statuses=frozenset({"CLOSED"})), **judging()) as desk:
            assert (await desk.deliver(body_of()))["reason"] == "INVALID_STATUS:DEFINITE"


class TestSync:
    @pytest.mark.parametrize(
        ("fields", "status", "counted"),
        [
            ({}, "INJECTED", "injected"),
            ({"status": "LOST"}, "SKIPPED", "skipped"),
            ({"site_id": "999"}, "SKIPPED", "skipped"),
            ({"on": NOW.date().replace(day=27)}, "SKIPPED_TIME_GATE", "skipped"),
            ({"on": NOW.date().replace(day=25)}, "SKIPPED_TIME_GATE", "skipped"),
            ({"lines": None}, "FAILED", "failed"),
        ],
    )
    async def test_each_status_of_an_event_is_counted_where_it_belongs(self, desk, fields, status, counted) -> None:
        """Defect 5.4 (c): in single mode, failures were never counted."""
        desk.source.put(booking(**fields))
        report = await desk.sync.single("1", dry_run=False, by="test")
        assert report.events[0]["status"] == status
        assert {name for name, many in report.summary.items() if many} == {"queried", counted}


class TestMails:
    async def test_subjects_are_the_contract_s(self, worker_pool) -> None:
        outbox = Outbox(
            Mailer(Settings(_env_file=None, smtp_url="smtp://127.0.0.1:1", mail_from="hub@example.org")),
            ["ops@example.org"],
        )
        async with trading(worker_pool, outbox=outbox, **judging()) as desk:
            await desk.deliver(body_of())
            desk.sink.faults.append("refuse")
            await desk.deliver(body_of(id=7))
        subjects = [row["subject"] for row in await desk.rows("select subject from platform.mail order by mail_id")]
        assert subjects == [
            "Triple Seat Event Injected — Event #55521609",
            "FAILED: Triple Seat Event Injection — Event #7",
        ]


class TestDefectsOfTheOriginal:
    def test_j_nothing_is_open_that_shows_secrets_or_makes_orders(self) -> None:
        """Defects (j) and 5.4 (b): debug routes echoed tokens, and settings could be changed, by anybody."""
        paths = set(create_api(Settings(_env_file=None)).openapi()["paths"])
        assert not [path for path in paths if re.search(r"debug|/test/webhook|/api/settings|/toggle", path)]

    @pytest.mark.parametrize("event_id", ["../../etc/passwd", "a/b", "1;drop table", "1\n2", {"id": 1}, True, -1])
    async def test_j_an_id_that_is_none_names_nothing(self, desk, event_id) -> None:
        """Defect (j): a file was named by an id that nobody had looked at."""
        assert (await desk.deliver(body_of(id=event_id)))["reason"] == "NO_EVENT_ID"

    async def test_h_a_dry_run_is_no_success(self, desk) -> None:
        """Defect (h): a dry run was told, and counted, as an order that was made."""
        desk.flow.connector = replace(desk.flow.connector, dry_run=True)
        desk.source.put(booking())
        assert (await desk.deliver(body_of()))["processed"] is False
        report = await desk.sync.single("1", dry_run=False, by="test")
        assert report.summary == {"queried": 1, "injected": 0, "skipped": 1, "failed": 0}

    async def test_edits_within_one_minute_are_edits(self, desk) -> None:
        """Trigger, id and minute made the identity of a delivery: the second edit of a minute was lost."""
        await desk.deliver(body_of(guest_count=40))
        assert (await desk.deliver(body_of(guest_count=41)))["reason"] == "ORDER_UPDATED"
        assert desk.sink.plans["1000"].guests == 41
