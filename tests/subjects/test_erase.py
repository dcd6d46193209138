"""Find, export and erase: what comes out, what goes, and that nobody else is touched."""

import asyncio
import json
from uuid import UUID, uuid4

import asyncpg
import pytest
from subjects.people import custom, page

from mainstem.events.group import PendingGroup
from mainstem.events.log import PostgresLog
from mainstem.events.sealing import Sealer
from mainstem.pii.box import Keyring, new_key
from mainstem.pii.store import Subjects
from mainstem.platform.db import Pool, load_queries, transaction
from mainstem.platform.errors import InvalidFieldError, NotFoundError
from mainstem.platform.ids import uuid7
from mainstem.platform.settings import Settings
from mainstem.site.feed import SITE_FEED
from mainstem.subjects.erase import erase, proof
from mainstem.subjects.export import export
from mainstem.subjects.find import find, get, identifiers_of
from mainstem.vault.loader import Loader
from mainstem.vault.model import EVENT_FEED

RING = Keyring(new_key())


class Hub:
    """A landing with a loader, both of which seal."""

    def __init__(self, dsn: str, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.sealer = Sealer(Settings(_env_file=None).pii_fields, RING)
        self.log = PostgresLog(dsn, self.sealer)
        self.loader = Loader(dsn, (SITE_FEED, EVENT_FEED), sealer=self.sealer)

    async def take(self, *events) -> None:
        await self.log.append([PendingGroup(event.tenant_id, "http", [self.sealer.mark(event)]) for event in events])
        while await self.loader.load_once() is not None:
            pass

    async def subject(self, tenant_id: int = 1, **given: str) -> UUID:
        (one,) = await find(self.connection, Subjects(RING), tenant_id, identifiers_of(**given))
        return one.subject_id

    async def export(self, subject: UUID, tenant_id: int = 1) -> dict:
        async with self.connection.transaction():
            return json.loads("".join([part async for part in export(self.connection, RING, tenant_id, subject)]))


@pytest.fixture
async def hub(dsn: str, connection: asyncpg.Connection):
    one = Hub(dsn, connection)
    yield one
    await one.log.close()


@pytest.mark.parametrize("name", load_queries("mainstem.subjects"))
async def test_every_query_fits_the_schema(connection: asyncpg.Connection, name: str) -> None:
    assert await connection.prepare(load_queries("mainstem.subjects")[name])


async def test_finds_by_each_identifier_and_by_none_other(hub: Hub) -> None:
    await hub.take(custom({"email": "Anna@Example.com", "phone": "+43 660 123456", "user_id": "u-42"}))
    subject = await hub.subject(email=" anna@example.com ")
    assert await hub.subject(phone="0043660123456") == await hub.subject(user_id="u-42") == subject
    found = await get(hub.connection, 1, subject)
    assert found.identifiers == {"email": 1, "phone": 1, "user": 1}
    assert await find(hub.connection, Subjects(RING), 1, identifiers_of(email="bob@example.com")) == []


@pytest.mark.parametrize("given", [{}, {"email": "anna"}, {"phone": "1"}, {"user_id": "guest"}])
def test_refuses_what_identifies_nobody(given: dict[str, str]) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        identifiers_of(**given)
    assert "anna" not in refused.value.detail


async def test_exports_attributes_events_and_visits(hub: Hub) -> None:
    await hub.take(
        custom({"email": "anna@example.com", "first_name": "Anna", "total": 10.5}),
        page("/form", {"email": "anna@example.com"}, visitor="v:1"),
        page("/before", {}, visitor="v:1"),
        page("/other", {"email": "bob@example.com"}, visitor="v:2"),
    )
    document = await hub.export(await hub.subject(email="anna@example.com"))
    assert document["counts"] == {"attributes": 2, "events": 1, "site_events": 2, "clicks": 0}
    assert document["events"][0]["data"] == {"email": "anna@example.com", "first_name": "Anna", "total": 10.5}
    assert document["attributes"][0]["sealed"] == {"email": ["anna@example.com"], "firstname": ["Anna"]}
    assert {one["page_url"] for one in document["site_events"]} == {
        "https://a.example/form",
        "https://a.example/before",
    }
    assert "bob" not in json.dumps(document)


async def test_visits_of_somebody_who_is_known_by_an_address_alone(hub: Hub) -> None:
    visit = page("/a", {"user_id": "anna@example.com"}, visitor="u:anna@example.com")
    await hub.take(visit, page("/b", {"user_id": "anna@example.com"}, visitor="u:anna@example.com"))
    document = await hub.export(await hub.subject(user_id="anna@example.com"))
    assert document["counts"]["site_events"] == 2
    assert document["attributes"][0]["sealed"] == {"email": ["anna@example.com"]}


async def test_an_unknown_person_has_no_export(hub: Hub) -> None:
    with pytest.raises(NotFoundError):
        await hub.export(uuid4())


async def test_erases_one_person_and_nobody_else(hub: Hub) -> None:
    await hub.connection.execute("insert into platform.tenant (slug, name) values ('two', 'Two')")
    anna, bob = {"email": "anna@example.com"}, {"email": "bob@example.com"}
    await hub.take(custom(anna), custom(bob), custom(anna, tenant_id=2))
    subject = await hub.subject(email="anna@example.com")
    async with hub.connection.transaction():
        done = await erase(hub.connection, RING, 1, subject, by="cli", ticket="DSR-1")
    assert (done.counts, done.repeated) == ({"refused_events": 0, "identifiers": 1, "keys": 1}, False)
    assert (await hub.export(subject))["events"][0]["data"] == {"email": "(erased)"}
    assert (await get(hub.connection, 1, subject)).erased_at is not None
    assert (await hub.export(await hub.subject(email="bob@example.com")))["events"][0]["data"] == bob
    assert (await hub.export(await hub.subject(2, email="anna@example.com"), 2))["events"][0]["data"] == anna
    with pytest.raises(NotFoundError):
        await get(hub.connection, 2, subject)
    event = await hub.connection.fetchrow("select subject, data from raw.event where kind = 'subject.erased'")
    assert event["subject"] == str(subject)
    assert json.loads(event["data"])["ticket"] == "DSR-1"


async def test_erasing_twice_is_erasing_once_also_at_the_same_moment(hub: Hub, worker_pool: Pool) -> None:
    await hub.take(custom({"email": "anna@example.com"}))
    subject = await hub.subject(email="anna@example.com")

    async def one() -> bool:
        async with transaction(worker_pool) as connection:
            return (await erase(connection, RING, 1, subject, by="cli")).repeated

    assert sorted(await asyncio.gather(*(one() for _ in range(4)))) == [False, True, True, True]
    assert (await proof(hub.connection, 1, subject)).repeated
    assert await hub.connection.fetchval("select count(*) from raw.event where kind = 'subject.erased'") == 1


async def test_what_is_rolled_back_has_erased_nobody(hub: Hub) -> None:
    await hub.take(custom({"email": "anna@example.com"}))
    subject = await hub.subject(email="anna@example.com")
    undone = hub.connection.transaction()
    await undone.start()
    await erase(hub.connection, RING, 1, subject, by="cli")
    await undone.rollback()
    assert (await hub.export(subject))["events"][0]["data"] == {"email": "anna@example.com"}
    with pytest.raises(NotFoundError):
        await proof(hub.connection, 1, subject)


async def test_blanks_refused_events_that_name_the_person(hub: Hub) -> None:
    await hub.take(custom({"email": "Anna@Example.com", "phone": "+43 660 123456"}))
    payloads = ["{cut ANNA@example.com", "GET /?x=anna%40example.com", "tel 43660123456", "bob@example.com"]
    for payload in payloads:
        await hub.connection.execute(
            "insert into staging.rejected (tenant_id, stage, code, reason, origin, payload) "
            "values (1, 'import', 'malformed_line', 'line 1: no', 'test', $1)",
            payload,
        )
    async with hub.connection.transaction():
        done = await erase(hub.connection, RING, 1, await hub.subject(email="anna@example.com"), by="cli")
    assert done.counts["refused_events"] == 3
    left = await hub.connection.fetch("select payload from staging.rejected order by rejected_id")
    assert [row[0] for row in left] == ["(erased)"] * 3 + ["bob@example.com"]


async def test_the_api_role_erases_in_its_tenant_only(hub: Hub, api_pool: Pool) -> None:
    await hub.connection.execute("insert into platform.tenant (slug, name) values ('two', 'Two')")
    await hub.take(custom({"email": "anna@example.com"}))
    subject = await hub.subject(email="anna@example.com")
    async with transaction(api_pool, tenant_id=2) as caller:
        with pytest.raises(NotFoundError):
            await erase(caller, RING, 1, subject, by="key:1")
    async with transaction(api_pool, tenant_id=1) as caller:
        assert not (await erase(caller, RING, 1, subject, by="key:1")).repeated


@pytest.mark.parametrize("ticket", ["", "x" * 201, "for anna@example.com"])
async def test_a_ticket_is_short_and_holds_no_address(hub: Hub, ticket: str) -> None:
    with pytest.raises(InvalidFieldError):
        await erase(hub.connection, RING, 1, uuid7(), by="cli", ticket=ticket)
