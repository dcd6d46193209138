"""Customers in the vault: sealed values with a history, and links to the visitors who said who they are."""

import json
from collections.abc import Sequence
from uuid import uuid4

import asyncpg
import pytest
from vault.vaulting import append, event

from mainstem.events.model import EventFlag, NewEvent, RawEvent
from mainstem.events.sealing import Sealer
from mainstem.pii.box import Keyring, SubjectKey, new_key
from mainstem.pii.opening import Opener
from mainstem.platform.settings import Settings
from mainstem.site.feed import SITE_FEED
from mainstem.vault.customers import customer_key, customer_of
from mainstem.vault.loader import Loader
from mainstem.vault.model import EVENT_FEED

RING = Keyring(new_key())
ANNA = {"email": "anna@example.com", "first_name": "Anna"}


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(Settings(_env_file=None).pii_fields, RING)


async def sealed(connection: asyncpg.Connection, sealer: Sealer, events: Sequence[NewEvent]) -> list[NewEvent]:
    async with connection.transaction():
        return await sealer.seal(connection, events)


async def load(dsn: str, sealer: Sealer | None = None) -> None:
    one = Loader(dsn, (SITE_FEED, EVENT_FEED), sealer=sealer)
    while await one.load_once() is not None:
        pass


def page(number: int, data: dict[str, object], visitor: str) -> NewEvent:
    return event({"page_url": f"https://a.example/{number}", "event_data": data})._replace(visitor=visitor)


async def test_values_have_a_history_and_visitors_are_linked(
    connection: asyncpg.Connection, dsn: str, sealer: Sealer
) -> None:
    names = ["Anna", "Anna", "Anne", "Anna"]
    events = [page(number, {**ANNA, "first_name": name}, f"v:{number % 2}") for number, name in enumerate(names)]
    events.append(page(9, {}, "v:9"))
    await append(connection, await sealed(connection, sealer, events))
    await load(dsn)
    subject = await connection.fetchval("select subject_id from pii.subject")
    (hub,) = await connection.fetch("select * from vault.hub_customer where customer_bk <> '(unknown)'")
    assert (hub["customer_bk"], hub["customer_hk"]) == (str(subject), customer_key(1, str(subject)))
    rows = await connection.fetch(
        "select fields, sealed from vault.sat_customer_site_pii where fields <> '(unknown)' order by load_ts, raw_id"
    )
    # A, A, B, A: three rows
    assert {row["fields"] for row in rows} == {"email,firstname"}
    opened = await Opener(RING).open_texts(connection, 1, [row["sealed"] for row in rows])
    assert [json.loads(text)["firstname"] for text in opened] == [["Anna"], ["Anne"], ["Anna"]]
    linked = """select v.visitor_bk from vault.lnk_customer_visitor l
                join vault.hub_visitor v using (tenant_id, visitor_hk) order by 1"""
    assert [row[0] for row in await connection.fetch(linked)] == ["v:0", "v:1"]
    assert await connection.fetchval("select count(*) from vault.nhl_site_event") == 5


async def test_custom_events_know_their_customer(connection: asyncpg.Connection, dsn: str, sealer: Sealer) -> None:
    events = [event(ANNA, kind="order.paid"), event({"n": 1}, kind="order.paid"), event(ANNA, kind="order.sent")]
    await append(connection, await sealed(connection, sealer, events))
    await load(dsn)
    subject = str(await connection.fetchval("select subject_id from pii.subject"))
    query = "select customer_hk from vault.nhl_event order by raw_id"
    assert [row[0] for row in await connection.fetch(query)] == [
        customer_key(1, subject),
        bytes(32),
        customer_key(1, subject),
    ]
    # the same values again are no change
    assert await connection.fetchval("select count(*) from vault.sat_customer_pii where fields <> '(unknown)'") == 1
    joined = "select count(*) from vault.nhl_event join vault.hub_customer using (tenant_id, customer_hk)"
    assert await connection.fetchval(joined) == 3


async def test_different_sets_of_fields_have_histories_of_their_own(
    connection: asyncpg.Connection, dsn: str, sealer: Sealer
) -> None:
    short = {"email": ANNA["email"]}
    events = [event(data, kind="order.paid") for data in (ANNA, short, ANNA, short)]
    await append(connection, await sealed(connection, sealer, events))
    await load(dsn)
    query = "select fields from vault.sat_customer_pii where fields <> '(unknown)' order by fields"
    assert [row[0] for row in await connection.fetch(query)] == ["email", "email,firstname"]


async def test_events_by_sql_are_sealed_in_the_landing_before_they_are_loaded(
    connection: asyncpg.Connection, dsn: str, sealer: Sealer
) -> None:
    rows = [
        {"kind": "order.paid", "data": ANNA, "subject": "Anna@Example.com"},
        {"kind": "order.paid", "data": {"n": 1}},
    ]
    await connection.execute("select raw.append(1, $1::jsonb, 'sql')", json.dumps(rows))
    await connection.execute(
        "select api.track_site_event('192.0.2.1', 'Mozilla/5.0', 'https://a.example/?email=anna@example.com', 'page_view', $1)",
        json.dumps({**ANNA, "user_id": "anna@example.com"}),
    )
    await load(dsn, sealer)
    stored = await connection.fetch("select * from raw.event order by raw_id")
    assert [row["flags"] & EventFlag.PII for row in stored] == [16, 0, 16]
    everything = " ".join(str(tuple(row)) for row in stored)
    for table in (
        "vault.nhl_event",
        "vault.nhl_site_event",
        "vault.sat_customer_pii",
        "vault.hub_visitor",
        "business.session",
    ):
        everything += " ".join(str(tuple(row)) for row in await connection.fetch(f"select * from {table}"))
    assert "anna@" not in everything.lower()
    assert "Anna" not in everything
    assert await connection.fetchval("select count(*) from pii.subject") == 1
    assert await connection.fetchval("select sum(loaded) from raw.batch") == 3


async def test_what_is_sealed_already_is_not_sealed_again(
    connection: asyncpg.Connection, dsn: str, sealer: Sealer
) -> None:
    (one,) = await sealed(connection, sealer, [event(ANNA, kind="order.paid")])
    await append(connection, [one], origin="replay")
    await load(dsn, sealer)
    (row,) = await connection.fetch("select data, flags from raw.event")
    assert tuple(row) == (one.data, EventFlag.PII)
    assert await connection.fetchval("select count(*) from vault.sat_customer_pii where fields <> '(unknown)'") == 1


def test_staging_is_a_matter_of_the_event_alone() -> None:
    key = SubjectKey(1, uuid4(), new_key())

    def raw(flags: int, *values: tuple[str, str]) -> RawEvent:
        data = json.dumps({field: str(key.seal(field, value)) for field, value in values})
        return RawEvent(1, *event({}, kind="order.paid")._replace(flags=flags, data=data))

    one, again = (customer_of(raw(16, ("email", "a"), ("phone", "1"))) for _ in range(2))
    assert one[:4] == again[:4]
    assert one[4] != again[4]
    assert customer_of(raw(16, ("email", "b"), ("phone", "1")))[3] != one[3]
    # a sender's own words: not flagged, so they mean nothing
    assert customer_of(raw(0, ("email", "a"))) == (None,) * 5
    assert customer_of(raw(16, ("text", "a"))) == (None,) * 5
