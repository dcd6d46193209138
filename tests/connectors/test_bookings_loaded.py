"""Bookings and orders through the loader: what views show, the roll-up, versions out of order, checks."""

from datetime import date
from decimal import Decimal

import asyncpg
import pytest
from connectors.bookings import DAY, days, failed, ordered, told
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from siting import FEEDS, land, load_all, loading, raw_event

from mainstem.events.model import RawEvent
from mainstem.platform.db import load_queries
from mainstem.vault.loader import Loader

LATER = "2026-05-05"
CURRENT = (
    "select booking_name, takes_place_on::text, status, total::text, version from business.booking order by booking_id"
)


async def load(connection: asyncpg.Connection, dsn: str, *batches: list[RawEvent]) -> None:
    """Land each batch and load it before the next."""
    loader = Loader(dsn, FEEDS)
    for batch in batches:
        await land(connection, batch)
        while await loader.load_once() is not None:
            pass
    assert await connection.fetchval("select count(*) from staging.rejected") == 0


async def test_a_booking_and_its_order_are_shown(connection: asyncpg.Connection, dsn: str):
    await load(connection, dsn, [told(), ordered()])
    assert [tuple(row) for row in await connection.fetch(CURRENT)] == [("Spring party", DAY, "DEFINITE", "500", 1)]
    lines = await connection.fetch(
        "select line_id, line_name, quantity, unit_price from business.booking_line order by 1"
    )
    assert [tuple(row) for row in lines] == [
        ("1", "Taco bar", Decimal(40), Decimal("12.5")),
        ("2", "Lemonade", Decimal(3), None),
    ]
    order = await connection.fetchrow(
        "select connector, establishment, local_id, order_state, order_id, order_hash from business.pos_order"
    )
    assert tuple(order) == ("tripleseat", "12", "Triple Seat_77", "injected", "R1", "abc")
    both = await connection.fetchrow("select booking_id, local_id from business.booking_pos_order")
    assert tuple(both) == ("77", "Triple Seat_77")
    takes_place = await connection.fetchrow("select booking_id, site_id, day from business.booking_takes_place")
    assert takes_place["day"] == date(2026, 5, 4)
    assert await days(connection) == [("4", DAY, "DEFINITE", 1, 40, "500.00")]
    assert await connection.fetchval("select count(*) from vault.nhl_event") == 2
    assert await failed(dsn) == []


async def test_a_booking_that_moves_is_counted_where_it_is(connection: asyncpg.Connection, dsn: str):
    await load(
        connection,
        dsn,
        [told(), told(booking_id="78", guests=10, total=20)],
        [told("booking.updated", version=2, on=LATER, guests=50, total="625.50")],
    )
    assert await days(connection) == [
        ("4", DAY, "DEFINITE", 1, 10, "20.00"),
        ("4", LATER, "DEFINITE", 1, 50, "625.50"),
    ]
    held = await connection.fetch(
        """select day::text, valid_to is null as holds from business.booking_takes_place_history
           where booking_id = '77' order by valid_from"""
    )
    assert [tuple(row) for row in held] == [(DAY, False), (LATER, True)]
    assert await failed(dsn) == []


async def test_an_older_reading_that_comes_late_is_history_only(connection: asyncpg.Connection, dsn: str):
    await load(
        connection,
        dsn,
        [told("booking.updated", version=3, status="CLOSED", on=LATER, lines=[{"line_id": "9", "name": "Cake"}])],
        [told("booking.updated", version=2, name="Old name", total=1)],
        [told(version=1)],
    )
    assert [tuple(row) for row in await connection.fetch(CURRENT)] == [("Spring party", LATER, "CLOSED", "500", 3)]
    assert await connection.fetchval("select string_agg(line_name, ',') from business.booking_line") == "Cake"
    assert await connection.fetchval("select day::text from business.booking_takes_place") == LATER
    assert await connection.fetchval("select count(*) from business.booking_takes_place_history") == 1
    assert await days(connection) == [("4", LATER, "CLOSED", 1, 40, "500.00")]
    history = await connection.fetch(
        "select version, valid_from, valid_to from business.booking_history order by version"
    )
    assert [row["version"] for row in history] == [1, 2, 3]
    # what never was the newest held for no time at all
    assert [row["valid_to"] == row["valid_from"] for row in history] == [True, True, False]
    assert history[2]["valid_to"] is None
    assert await failed(dsn) == []


async def test_what_was_newest_until_a_newer_one_came_says_so(connection: asyncpg.Connection, dsn: str):
    await load(connection, dsn, [told(version=1)], [told(version=4, status="CLOSED")], [told(version=2)])
    rows = await connection.fetch("select version, valid_from, valid_to from business.booking_history order by version")
    first, late, newest = rows
    assert first["valid_to"] == newest["valid_from"] < late["valid_from"]
    assert late["valid_to"] == late["valid_from"]
    assert newest["valid_to"] is None


async def test_a_cancelled_booking_brings_no_revenue(connection: asyncpg.Connection, dsn: str):
    await load(connection, dsn, [told()], [told("booking.cancelled", version=2, lines=[])], [told(version=1)])
    assert await days(connection) == [("4", DAY, "CANCELLED", 1, 40, "500.00")]
    presence = await connection.fetchrow("select present, version from business.booking_presence")
    assert tuple(presence) == (False, 2)
    lines = await connection.fetch("select line_id, line_name from business.booking_line")
    assert [tuple(row) for row in lines] == [("", None)]
    assert await failed(dsn) == []


async def test_a_booking_without_a_day_counts_nowhere_until_it_has_one(connection: asyncpg.Connection, dsn: str):
    await load(connection, dsn, [told(on=None)])
    assert await days(connection) == []
    await load(connection, dsn, [told(version=2)])
    assert await days(connection) == [("4", DAY, "DEFINITE", 1, 40, "500.00")]
    await load(connection, dsn, [told(version=3, on=None)])
    assert await days(connection) == []
    assert await failed(dsn) == []


async def test_orders_follow_their_states(connection: asyncpg.Connection, dsn: str):
    await load(connection, dsn, [ordered("unknown", order_id=None)], [ordered("injected")], [ordered("voided")])
    states = "select order_state from business.pos_order_history order by valid_from"
    assert [row[0] for row in await connection.fetch(states)] == ["unknown", "injected", "voided"]
    assert await connection.fetchval("select order_state from business.pos_order") == "voided"
    # an order alone tells nothing of its booking
    assert await connection.fetchval("select status from business.booking") is None
    assert await days(connection) == []


async def test_the_same_event_again_counts_once(connection: asyncpg.Connection, dsn: str):
    one = told()
    await load(connection, dsn, [one], [one, one])
    assert await days(connection) == [("4", DAY, "DEFINITE", 1, 40, "500.00")]
    assert await connection.fetchval("select sum(duplicates) from raw.batch") == 2


async def test_orders_and_bookings_of_others_are_theirs(connection: asyncpg.Connection, dsn: str):
    mine = [
        raw_event({"total": 5}, kind="order.paid", source="shop"),
        raw_event({"booking_id": 7, "connector": "x"}, kind="booking.received", source="shop"),
        raw_event({"lines": "none"}, kind="order.failed", source="connector:mine"),
        raw_event([1], kind="booking.received", source="connector:mine"),
    ]
    await load(connection, dsn, mine)
    assert await connection.fetchval("select count(*) from business.event") == 4
    assert await connection.fetchval("select count(*) from business.booking") == 0


async def test_a_large_load_is_as_a_small_one(connection: asyncpg.Connection, dsn: str):
    await land(connection, [told(booking_id=str(n % 300), version=n, total=n, guests=n % 7) for n in range(900)])
    async with loading(dsn) as loader:
        await load_all(connection, loader)
    found = await days(connection)
    assert [(row[3], row[5]) for row in found] == [(300, f"{sum(range(600, 900))}.00")]
    assert await failed(dsn) == []


async def test_tenants_see_their_own_days(connection: asyncpg.Connection, dsn: str):
    await connection.execute("insert into platform.tenant (slug, name) values ('two', 'Two')")
    await load(connection, dsn, [told()], [told(event={"tenant_id": 2}, total=7)])
    await connection.execute("set role mainstem_api; set mainstem.tenant_id = '2'")
    assert await days(connection) == [("4", DAY, "DEFINITE", 1, 40, "7.00")]
    assert await connection.fetchval("select count(*) from business.booking_counted") == 1


async def test_the_check_finds_days_that_differ(connection: asyncpg.Connection, dsn: str):
    await load(connection, dsn, [told()])
    await connection.execute("update business.booking_day set revenue = revenue + 1")
    assert await failed(dsn) == ["business.booking_day"]


@pytest.mark.parametrize("name", load_queries("mainstem.connectors", "checks.sql"))
async def test_every_check_fits_the_schema(connection: asyncpg.Connection, name: str):
    assert await connection.prepare(load_queries("mainstem.connectors", "checks.sql")[name])


readings = st.lists(
    st.tuples(
        st.sampled_from(["1", "2"]),
        st.integers(1, 5),
        st.sampled_from([DAY, LATER, None]),
        st.sampled_from(["booking.updated", "booking.cancelled"]),
        st.sampled_from([None, "10.10", 7]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda reading: reading[:2],
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readings, st.data())
async def test_whatever_the_order_and_the_loads_the_newest_reading_counts(
    connection: asyncpg.Connection, dsn: str, told_of, data
):
    """Each version of a booking is one reading: any order, in any parts, ends as the newest of each."""
    tenant_id = await connection.fetchval(
        "insert into platform.tenant (slug, name) values (gen_random_uuid()::text, 'Any') returning tenant_id"
    )
    events = [
        told(kind, booking_id, version=version, on=on, total=total, event={"tenant_id": tenant_id})
        for booking_id, version, on, kind, total in data.draw(st.permutations(told_of))
    ]
    cut = data.draw(st.integers(0, len(events)))
    await load(connection, dsn, *(part for part in (events[:cut], events[cut:]) if part))
    expected: dict[tuple[str, str], list[Decimal]] = {}
    for _, _, on, kind, total in {reading[0]: reading for reading in sorted(told_of, key=lambda one: one[1])}.values():
        if on is not None:
            status = "CANCELLED" if kind == "booking.cancelled" else "DEFINITE"
            expected.setdefault((on, status), []).append(Decimal(str(total or 0)))
    found = await connection.fetch(
        "select day::text, status, bookings, revenue from business.booking_day where tenant_id = $1", tenant_id
    )
    assert {(row["day"], row["status"]): (row["bookings"], row["revenue"]) for row in found} == {
        key: (len(totals), sum(totals)) for key, totals in expected.items()
    }
    assert await failed(dsn) == []
