"""Bookings and orders: replayed to the byte, exported and erased with their person, beside models of users."""

import json
from uuid import UUID

import asyncpg
from connectors.bookings import days, failed, ordered, told
from siting import FEEDS
from vault.rebuilding import booked, land, load, rebuilt, rows, visit

from mainstem.events.group import PendingGroup
from mainstem.events.log import PostgresLog
from mainstem.events.model import NewEvent, RawEvent
from mainstem.events.sealing import Sealer
from mainstem.pii.box import Keyring, new_key
from mainstem.pii.store import Subjects
from mainstem.platform.settings import Settings
from mainstem.subjects.erase import erase
from mainstem.subjects.export import export
from mainstem.subjects.find import find, identifiers_of
from mainstem.vault.custom import files
from mainstem.vault.custom.active import ModelSource
from mainstem.vault.custom.apply import apply
from mainstem.vault.custom.backfill import backfill
from mainstem.vault.loader import Loader
from mainstem.vault.model import CONNECTOR_STRUCTURES, GENERAL
from mainstem.vault.rebuild import Plan, rebuild

TABLES = (
    *(spec.table for spec in CONNECTOR_STRUCTURES[len(GENERAL) :]),
    "business.booking_day",
    "business.booking_counted",
)


def accepted(event: RawEvent) -> NewEvent:
    return NewEvent(*event[1:])


async def history(connection: asyncpg.Connection, dsn: str) -> None:
    """Land and load bookings of two tenants: late versions, cancellations, lists that shrink, rows that are refused."""
    await connection.execute("insert into platform.tenant (slug, name) values ('two', 'Two')")
    for tenant_id in (1, 2):
        first = [booked("booking.received", n)._replace(tenant_id=tenant_id) for n in (1, 2, 3, 9)]
        await land(connection, first)
    await load(dsn)
    # 7 comes after 10, 8 is cancelled with no lines left, and 9 once more with another total
    late = [(10, "booking.updated", {}), (7, "booking.updated", {}), (8, "booking.cancelled", {"lines": []})]
    await land(connection, [booked(kind, number, **data) for number, kind, data in late])
    await load(dsn)
    await land(connection, [booked("booking.updated", 9, total=1, on=None), booked("order.unknown", 9)])
    # a half pair is refused by the database alone: the load is undone, and done again in halves
    await land(connection, [booked("booking.updated", 12, name="x\ud800"), booked("booking.updated", 13)])
    await land(connection, [booked("order.injected", n, order_id=f"R{n}") for n in (9, 8, 7)])
    await load(dsn, claim_events=1)
    await land(connection, [booked("booking.updated", 9, email=email) for email in ("a@example.com", "b@example.com")])
    await land(connection, [booked("booking.received", 1, connector=None), booked("order.failed", 1, local_id=None)])
    await load(dsn)
    # large enough for the other way of loading
    await land(connection, [booked("booking.updated", n % 60, booking_id=str(n % 40)) for n in range(700)])
    await load(dsn)


async def test_a_rebuild_of_bookings_equals_live_byte_for_byte(connection: asyncpg.Connection, dsn: str):
    await history(connection, dsn)
    report = await rebuilt(dsn, into="other", keep=True)
    assert report.differences == []
    assert (report.equal, report.lost, report.changed_batches) == (True, 0, 0)
    assert {one.table for one in report.compared} >= set(TABLES)
    for table in TABLES:
        live = await rows(connection, table)
        assert len(live) >= 2, table
        assert live == await rows(connection, f"other_{table}"), table
    assert await failed(dsn) == []


async def test_a_rebuild_puts_right_what_was_changed(connection: asyncpg.Connection, dsn: str):
    await history(connection, dsn)
    before = await rows(connection, "business.booking_day")
    await connection.execute("update business.booking_day set bookings = bookings + 5")
    await connection.execute("delete from business.booking_counted where version > 20")
    report = await rebuilt(dsn, decide=lambda _: True)
    assert {one.table for one in report.differences} == {"business.booking_day", "business.booking_counted"}
    assert await rows(connection, "business.booking_day") == before


async def test_a_persons_bookings_are_exported_and_erased(connection: asyncpg.Connection, dsn: str):
    ring = Keyring(new_key())
    sealer = Sealer(Settings(_env_file=None).pii_fields, ring)
    log = PostgresLog(dsn, sealer)
    contact = {"contact": {"email": "anna@example.com", "first_name": "Annabella"}}
    try:
        events = [accepted(told(**contact)), accepted(ordered(**contact)), accepted(told(booking_id="2"))]
        await log.append([PendingGroup(1, "record", [sealer.mark(event) for event in events])])
        loader = Loader(dsn, FEEDS, sealer=sealer)
        while await loader.load_once() is not None:
            pass
        stored = await connection.fetchval(
            """select (select string_agg(e::text, '') from vault.nhl_event e)
                      || (select string_agg(s::text, '') from vault.sat_customer_booking_pii s)
                      || (select string_agg(b::text, '') from vault.sat_booking b)"""
        )
        assert "anna" not in stored.lower()

        async def exported(subject: UUID) -> dict:
            async with connection.transaction():
                return json.loads("".join([part async for part in export(connection, ring, 1, subject)]))

        (one,) = await find(connection, Subjects(ring), 1, identifiers_of(email="anna@example.com"))
        before = await exported(one.subject_id)
        assert [event["data"]["contact"]["email"] for event in before["events"]] == ["anna@example.com"] * 2
        assert before["attributes"][0]["sealed"]["firstname"] == ["Annabella"]
        async with connection.transaction():
            await erase(connection, ring, 1, one.subject_id, by="cli")
        after = await exported(one.subject_id)
        assert after["events"][0]["data"]["contact"] == {"email": "(erased)", "first_name": "(erased)"}
        # what the kitchen and the books need stays
        assert (await days(connection))[0][3:] == (2, 80, "1000.00")
    finally:
        await log.close()


THEIRS = """\
feeds:
  - name: shop
    kinds: [order.*, booking.received]
    columns:
      number: {from: data.number, required: true}
    hubs:
      shop_order: {key: [number]}
"""


async def test_a_users_model_has_its_own_orders_and_none_of_connectors(connection: asyncpg.Connection, dsn: str):
    theirs = [visit(n, n, kind="order.injected", data=json.dumps({"number": n}), source="shop") for n in (1, 2)]
    await land(connection, [theirs[0], booked("order.injected", 1), booked("booking.received", 2)])
    await load(dsn)
    model = files.parse(THEIRS, "vault.yaml", "yaml", FEEDS)
    async with connection.transaction():
        await apply(connection, model)
    async with connection.transaction():
        report = await backfill(
            connection, model.feeds[0], [*FEEDS, *model.feeds], history=True, progress=lambda _done, _all: None
        )
    assert report.refused == {}
    ours = booked("order.injected", 4)
    ours = ours._replace(data=json.dumps({"number": 99, **json.loads(ours.data)}))
    await land(connection, [theirs[1], ours])
    loader = Loader(dsn, FEEDS, source=ModelSource(FEEDS, None))
    while await loader.load_once() is not None:
        pass
    numbers = await connection.fetch("select number from business.shop_order order by 1")
    assert [row["number"] for row in numbers] == ["1", "2"]
    assert await connection.fetchval("select count(*) from business.pos_order") == 1
    assert await connection.fetchval("select count(*) from staging.rejected") == 0
    assert (await rebuild(dsn, [*FEEDS, *model.feeds], Plan())).differences == []
