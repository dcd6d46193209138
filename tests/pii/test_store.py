"""Subjects in the database: one per person, whoever meets them first, and none after the erasure."""

import asyncio
from uuid import UUID

import asyncpg
import pytest
from events.landing import until

from mainstem.pii.assign import Person
from mainstem.pii.box import Keyring, PiiKeyError, SubjectKey, new_key
from mainstem.pii.identify import Identifier, Kind
from mainstem.pii.store import Subjects, lookups_of, not_current, rewrap
from mainstem.platform.db import Pool, load_queries, transaction

SOMEBODY_WAITS = "select exists (select from pg_locks where not granted)"
RING = Keyring(new_key())
ANNA = Identifier(Kind.EMAIL, "anna@example.com")
BOB = Identifier(Kind.EMAIL, "bob@example.com")
NUMBER = Identifier(Kind.PHONE, "43660123456")


async def resolve(
    connection: asyncpg.Connection,
    *people: tuple[Identifier, ...],
    subjects: Subjects | None = None,
    tenant_id: int = 1,
) -> list[SubjectKey]:
    store = subjects or Subjects(RING)
    key = await store.lookup_key(connection, tenant_id)
    return await store.resolve(connection, [Person(tenant_id, lookups_of(key, person)) for person in people])


async def erase(connection: asyncpg.Connection, subject: UUID) -> None:
    await connection.execute("delete from pii.subject_key where subject_id = $1", subject)


@pytest.mark.parametrize("name", load_queries("mainstem.pii"))
async def test_every_query_fits_the_schema(connection: asyncpg.Connection, name: str) -> None:
    assert await connection.prepare(load_queries("mainstem.pii")[name])


async def test_a_person_is_one_subject_and_gets_further_identifiers(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        (first,) = await resolve(connection, (ANNA,))
        again, by_number, other, nobody, nobody_else = await resolve(
            connection, (ANNA, NUMBER), (NUMBER,), (BOB, NUMBER), (), ()
        )
    assert first.subject == again.subject == by_number.subject
    assert len({first.subject, other.subject, nobody.subject, nobody_else.subject}) == 4
    token = first.seal("email", '"x"')
    assert again.open(token) == '"x"'


async def test_a_number_of_somebody_else_stays_theirs(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        anna, bob = await resolve(connection, (ANNA, NUMBER), (BOB, NUMBER))
        (by_number,) = await resolve(connection, (NUMBER,))
    assert by_number.subject == anna.subject != bob.subject


async def test_equal_addresses_of_two_tenants_are_two_subjects(connection: asyncpg.Connection) -> None:
    await connection.execute("insert into platform.tenant (slug, name) values ('two', 'Two')")
    async with connection.transaction():
        (one,), (two,) = await resolve(connection, (ANNA,)), await resolve(connection, (ANNA,), tenant_id=2)
    assert one.subject != two.subject
    assert await connection.fetchval("select count(distinct lookup) from pii.subject_identifier") == 2


async def test_what_is_rolled_back_leaves_nothing_behind(connection: asyncpg.Connection) -> None:
    store = Subjects(RING)
    undone = connection.transaction()
    await undone.start()
    (lost,) = await resolve(connection, (ANNA,), subjects=store)
    await undone.rollback()
    async with connection.transaction():
        (found,) = await resolve(connection, (ANNA,), subjects=store)
    assert found.subject != lost.subject
    # the lookup key, too, is the one that was committed
    assert await Subjects(RING).find(connection, 1, [ANNA]) == [found.subject]


async def test_two_processes_that_meet_a_person_at_once_agree(worker_pool: Pool) -> None:
    people = [Identifier(Kind.EMAIL, f"{number}@example.com") for number in range(20)]

    async def one(shift: int) -> dict[Identifier, UUID]:
        # in another order each, with a number that is common to some
        mine = people[shift:] + people[:shift]
        async with transaction(worker_pool) as connection:
            keys = await resolve(connection, *((person, NUMBER) for person in mine), subjects=Subjects(RING))
        return {person: key.subject for person, key in zip(mine, keys, strict=True)}

    results = await asyncio.gather(*(one(shift) for shift in (0, 5, 10, 15, 3, 7)))
    assert all(result == results[0] for result in results)
    async with transaction(worker_pool) as connection:
        counts = "select (select count(*) from pii.subject), (select count(*) from pii.subject_key), count(*) from pii.subject_identifier"
        assert tuple(await connection.fetchrow(counts)) == (20, 20, 21)


async def test_the_second_waits_for_the_first_and_takes_its_subject(dsn: str, connection: asyncpg.Connection) -> None:
    other = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await Subjects(RING).lookup_key(connection, 1)
        first = connection.transaction()
        await first.start()
        (mine,) = await resolve(connection, (ANNA,))

        async def second() -> SubjectKey:
            async with other.transaction():
                return (await resolve(other, (ANNA, NUMBER)))[0]

        waiting = asyncio.create_task(second())
        await until(lambda: connection.fetchval(SOMEBODY_WAITS))
        await first.commit()
        assert (await waiting).subject == mine.subject
        assert await connection.fetchval("select count(*) from pii.subject") == 1
    finally:
        await other.close()


async def test_after_the_erasure_the_same_person_is_somebody_new(connection: asyncpg.Connection) -> None:
    store = Subjects(RING)
    async with connection.transaction():
        (before,) = await resolve(connection, (ANNA, NUMBER), subjects=store)
    await erase(connection, before.subject)
    assert await store.keys(connection, 1, [before.subject]) == {}
    async with connection.transaction():
        (after,) = await resolve(connection, (ANNA, NUMBER), subjects=store)
    assert after.subject != before.subject


async def test_nothing_is_added_to_a_person_who_is_just_being_erased(dsn: str, connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        (before,) = await resolve(connection, (ANNA,))
    other = await asyncpg.connect(dsn)
    try:
        erasure = other.transaction()
        await erasure.start()
        await erase(other, before.subject)

        async def add() -> SubjectKey:
            async with connection.transaction():
                return (await resolve(connection, (ANNA, NUMBER)))[0]

        waiting = asyncio.create_task(add())
        await until(lambda: other.fetchval(SOMEBODY_WAITS))
        await erasure.commit()
        assert (await waiting).subject != before.subject
        assert await connection.fetchval("select count(distinct subject_id) from pii.subject_identifier") == 1
    finally:
        await other.close()


async def test_the_key_of_the_installation_can_be_changed(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        (anna, bob) = await resolve(connection, (ANNA,), (BOB,))
    token = anna.seal("email", '"x"')
    new = new_key()
    with pytest.raises(PiiKeyError):
        await Subjects(Keyring(new)).find(connection, 1, [ANNA])
    old_key = new_key()
    ring = Keyring(old_key)
    await connection.execute("truncate pii.subject, pii.lookup_key cascade")
    async with connection.transaction():
        store = Subjects(ring)
        key = await store.lookup_key(connection, 1)
        (anna, bob) = await store.resolve(connection, [Person(1, lookups_of(key, (one,))) for one in (ANNA, BOB)])
    token = anna.seal("email", '"x"')
    both = Keyring(new, old_key)
    assert await not_current(connection, both) == 3
    async with connection.transaction():
        assert await rewrap(connection, both, 1) == 2
    async with connection.transaction():
        assert await rewrap(connection, both, 100) == 1
        assert await rewrap(connection, both, 100) == 0
    assert await not_current(connection, both) == 0
    only_new = Subjects(Keyring(new))
    assert await only_new.find(connection, 1, [ANNA]) == [anna.subject]
    keys = await only_new.keys(connection, 1, [anna.subject, bob.subject])
    assert keys[anna.subject].open(token) == '"x"'


async def test_the_api_sees_and_makes_subjects_of_its_tenant_only(
    api_pool: Pool, connection: asyncpg.Connection
) -> None:
    await connection.execute("insert into platform.tenant (slug, name) values ('two', 'Two')")
    async with transaction(api_pool, tenant_id=1) as caller:
        (one,) = await resolve(caller, (ANNA,))
    async with transaction(api_pool, tenant_id=2) as caller:
        assert await Subjects(RING).keys(caller, 1, [one.subject]) == {}
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await resolve(caller, (BOB,))
