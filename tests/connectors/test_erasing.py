"""People's rights reach what connectors keep: deliveries, bookings, orders, differences and mails."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from connectors.test_contract import event
from connectors.trading import KEY, KEYRING, Desk, booking, sign, trading
from pydantic import SecretStr

from mainstem.connectors import deliveries
from mainstem.connectors.documents import booking_of
from mainstem.connectors.erasing import KeptByConnectors
from mainstem.connectors.people import identifiers_in, names_beside
from mainstem.connectors.wiring import reader, verifier
from mainstem.pii.identify import Identifier, Kind
from mainstem.pii.store import Subjects
from mainstem.platform.db import transaction
from mainstem.platform.mail import Mailer
from mainstem.platform.outbox import Outbox
from mainstem.platform.settings import Settings
from mainstem.subjects.erase import erase
from mainstem.subjects.export import export
from mainstem.subjects.find import find_or_meet, identifiers_of

JANE, JOHN = "jane.whitfield@example.com", "john@example.com"
KEPT = (KeptByConnectors(KEYRING),)
SETTINGS = Settings(_env_file=None, tripleseat_webhook_signing_key=SecretStr(KEY))


def contact(first: str, last: str, address: str, phone: str = "") -> dict:
    numbers = [{"number": phone}] if phone else []
    return {
        "id": 7,
        "first_name": first,
        "last_name": last,
        "email_addresses": [{"address": address}],
        "phone_numbers": numbers,
    }


@pytest.fixture
async def desk(worker_pool):
    outbox = Outbox(
        Mailer(Settings(_env_file=None, smtp_url="smtp://127.0.0.1:1", mail_from="a@b.example")), ["c@d.example"]
    )
    parts = {"verify": verifier(SETTINGS), "read": reader(ZoneInfo("America/New_York"))}
    async with trading(worker_pool, outbox=outbox, **parts) as one:
        yield one


async def book(desk: Desk, **fields) -> dict:
    body = json.dumps({"webhook_trigger_type": "UPDATE_EVENT", "event": event(**fields)}).encode()
    return await desk.deliver(body, sign(body, at=desk.now))


async def everything(desk: Desk) -> str:
    """Return all that connectors and mails hold, bodies opened, in one text."""
    told = []
    for table in ("booking", "ledger", "run", "difference", "delivery"):
        told += await desk.rows(f"select t::text from connectors.{table} t")
    told += await desk.rows("select subject, body from platform.mail")
    kept = await desk.rows("select body from connectors.delivery where body is not null")
    opened = [deliveries.unseal(KEYRING, row["body"]).decode() for row in kept]
    return f"{told} {opened}"


async def person(connection, tenant_id: int, **given: str):
    return await find_or_meet(connection, Subjects(KEYRING), tenant_id, identifiers_of(**given), KEPT)


async def test_a_guest_is_found_told_and_erased_and_nobody_else_is(desk) -> None:
    await book(desk, id=1, name="Whitfield gala", contact=contact("Jane", "Whitfield", JANE, "+1 (212) 555-0100"))
    await book(desk, id=2, name="Smith party", contact=contact("John", "Smith", JOHN))
    await book(
        desk,
        id=3,
        name="Whitfield lunch",
        contact=contact("Jane", "Whitfield", JANE),
        documents=[
            {"line_items": [{"id": 1, "description": "Fog machine", "quantity": 1, "long_description": f"ask {JANE}"}]}
        ],
    )
    for row in await desk.rows("select doc::text as doc from connectors.booking"):
        desk.source.put(booking_of(row["doc"]))
    await desk.sync.bulk(desk.now - timedelta(days=1), desk.now, dry_run=False, by="test")
    tenant_id = desk.flow.tenant_id
    async with transaction(desk.pool, tenant_id=tenant_id) as connection:
        assert await person(connection, tenant_id, email="nobody@example.com") == []
        (jane,) = await person(connection, tenant_id, phone="+12125550100")
        (same,) = await person(connection, tenant_id, phone="+12125550100")
        assert jane.subject_id == same.subject_id
        parts = [part async for part in export(connection, KEYRING, tenant_id, jane.subject_id, kept=KEPT)]
        told = json.loads("".join(parts))
    # by the number: the one delivery that has it
    assert [row["booking_id"] for row in told["bookings"]] == ["1"]
    assert told["deliveries"][0]["body"]["event"]["contact"]["last_name"] == "Whitfield"
    assert (told["orders"][0]["order_id"], told["orders"][0]["plan"]["title"]) == ("1000", "Whitfield gala")
    assert [row["subject"] for row in told["mails"]] == ["Triple Seat Event Injected — Event #1"]
    assert told["counts"]["deliveries"] == 1
    before = await everything(desk)
    assert all(word in before for word in ("Whitfield gala", "Whitfield lunch", "Smith party", JANE, JOHN))
    async with transaction(desk.pool, tenant_id=tenant_id) as connection:
        known_as = identifiers_of(email=JANE)
        done = await erase(connection, KEYRING, tenant_id, jane.subject_id, by="test", known_as=known_as, kept=KEPT)
    assert (done.counts["deliveries"], done.counts["bookings"], done.counts["orders"]) == (2, 2, 2)
    after = await everything(desk)
    assert not [word for word in ("whitfield", "jane", "555-0100") if word in after.lower()]
    assert all(word in after for word in ("Smith party", JOHN))
    assert [one.order_id for one in desk.sink.live()] == ["1000", "1001"]
    # the kitchen's part stays, and is left alone
    writes = desk.sink.writes
    await desk.settle()
    assert (desk.sink.writes, await desk.states("1")) == (writes, ["confirmed"])


async def test_a_booking_that_a_run_alone_has_read_is_found_too(desk) -> None:
    desk.source.put(booking("9", name="Whitfield brunch", raw={"contact": {"email": JANE}}))
    await desk.sync.single("9", dry_run=False, by="test")
    async with transaction(desk.pool, tenant_id=desk.flow.tenant_id) as connection:
        (jane,) = await person(connection, desk.flow.tenant_id, email=JANE.upper())
        done = await erase(connection, KEYRING, desk.flow.tenant_id, jane.subject_id, by="test", kept=KEPT)
    assert (done.counts["bookings"], done.counts["deliveries"]) == (1, 0)
    assert "whitfield" not in (await everything(desk)).lower()


async def test_a_delivery_that_was_still_to_be_worked_on_is_over(desk) -> None:
    await book(desk, id=1, contact=contact("Jane", "Whitfield", JANE))
    await desk.rows(
        "update connectors.delivery set outcome = null, ok = null, processed = null, finished_at = null, due_at = 'infinity' returning 1"
    )
    async with transaction(desk.pool, tenant_id=desk.flow.tenant_id) as connection:
        (jane,) = await person(connection, desk.flow.tenant_id, email=JANE)
        await erase(connection, KEYRING, desk.flow.tenant_id, jane.subject_id, by="test", kept=KEPT)
    (row,) = await desk.rows("select body, outcome, finished_at is not null as done from connectors.delivery")
    assert row == {"body": None, "outcome": "NO_EVENT_DATA", "done": True}


async def test_the_api_may_do_it_too(desk, api_pool) -> None:
    """Requests run under row-level security, with rights of their own."""
    await book(desk, id=1, name="Whitfield gala", contact=contact("Jane", "Whitfield", JANE))
    async with transaction(api_pool, tenant_id=desk.flow.tenant_id) as connection:
        (jane,) = await person(connection, desk.flow.tenant_id, email=JANE)
        await erase(connection, KEYRING, desk.flow.tenant_id, jane.subject_id, by="test", kept=KEPT)
    assert "whitfield" not in (await everything(desk)).lower()


def test_identifiers_stand_anywhere() -> None:
    said = {
        "id": "2125550100",
        "note": f"call <{JANE}>, please",
        "contact": {"first_name": " Jane ", "last_name": "Whitfield", "phone_numbers": [{"number": "212-555-0100"}]},
        "account": {"name": "Acme", "emails": [JOHN]},
        "at": datetime.now(UTC).isoformat(),
    }
    phone = Identifier(Kind.PHONE, "2125550100")
    assert identifiers_in(said) == {Identifier(Kind.EMAIL, JANE), Identifier(Kind.EMAIL, JOHN), phone}
    assert names_beside(said, {phone}) == {"Jane Whitfield"}
    assert names_beside(said, {Identifier(Kind.EMAIL, JOHN)}) == set()
    deep: object = JANE
    for _ in range(100):
        deep = [deep]
    assert identifiers_in(deep) == set()
