"""Every way into the landing seals what is personal, and leaves the rest as it was."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from events.landing import new_event, reject, until

from mainstem.events.group import PendingGroup
from mainstem.events.intake import Intake
from mainstem.events.log import PostgresLog
from mainstem.events.model import EventFlag, NewEvent
from mainstem.events.record import record
from mainstem.events.sealing import Sealer
from mainstem.events.spool import Spool
from mainstem.pii.box import Keyring, PiiKeyError, new_key
from mainstem.pii.opening import Opener
from mainstem.pii.token import tokens_in
from mainstem.platform.settings import Settings

NOWHERE = "postgresql://postgres@127.0.0.1:1/none"
RING = Keyring(new_key())
PERSON = '{"email":"Anna@Example.com","total":10.50,"first_name":"Anna"}'


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(Settings(_env_file=None).pii_fields, RING)


@pytest.fixture
async def log(dsn: str, sealer: Sealer) -> AsyncIterator[PostgresLog]:
    log = PostgresLog(dsn, sealer)
    yield log
    await log.close()


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def stored(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    return await connection.fetch("select * from raw.event order by raw_id")


async def test_what_is_marked_is_sealed_and_can_be_opened(
    log: PostgresLog, sealer: Sealer, connection: asyncpg.Connection
) -> None:
    event = sealer.mark(new_event(data=PERSON, kind="order.paid", subject="order-7"))
    assert event.flags == EventFlag.PII
    await log.append([PendingGroup(1, "http", [event])])
    (row,) = await stored(connection)
    assert "Anna" not in row["data"]
    assert "example" not in row["data"].lower()
    assert '"total":10.50' in row["data"]
    assert (row["flags"], row["subject"]) == (EventFlag.PII, "order-7")
    assert len({token.subject for token in tokens_in(row["data"])}) == 1
    assert await Opener(RING).open_texts(connection, 1, [row["data"]]) == [PERSON]


async def test_unmarked_events_are_untouched_byte_for_byte(log: PostgresLog, connection: asyncpg.Connection) -> None:
    # nobody has looked at it, so it is stored as it came
    await log.append([PendingGroup(1, "http", [new_event(data=PERSON)])])
    (row,) = await stored(connection)
    assert (row["data"], row["flags"]) == (PERSON, 0)
    assert await connection.fetchval("select count(*) from pii.subject") == 0


@pytest.mark.parametrize("data", ['{"a": "x@y", "b":1e400}', '{"label":"email", "n": 0.10}', '{"handle":"@anna"}'])
def test_a_false_suspicion_changes_nothing(sealer: Sealer, data: str) -> None:
    assert sealer.in_body(data.encode())


async def test_a_suspicion_that_proves_wrong_leaves_no_trace(
    log: PostgresLog, sealer: Sealer, connection: asyncpg.Connection
) -> None:
    data = '{"handle": "@anna",  "medium":"email", "n":0.10}'
    await log.append([PendingGroup(1, "http", [sealer.mark(new_event(data=data))])])
    (row,) = await stored(connection)
    assert (row["data"], row["flags"]) == (data, 0)
    assert await connection.fetchval("select count(*) from pii.subject") == 0


async def test_several_tenants_in_one_group_stay_apart(
    log: PostgresLog, sealer: Sealer, connection: asyncpg.Connection
) -> None:
    await connection.execute("insert into platform.tenant (slug, name) values ('two', 'Two')")
    plain = new_event(data='{"n":1}')
    groups = [
        PendingGroup(1, "http", [plain, sealer.mark(new_event(data=PERSON)), plain]),
        PendingGroup(2, "http", [sealer.mark(new_event(2, data=PERSON))]),
    ]
    await log.append(groups)
    rows = await stored(connection)
    assert [row["tenant_id"] for row in rows] == [1, 1, 1, 2]
    assert [row["data"] for row in (rows[0], rows[2])] == ['{"n":1}'] * 2
    one, two = (next(tokens_in(row["data"])).subject for row in (rows[1], rows[3]))
    assert one != two
    # the key of one tenant opens nothing of the other
    assert await Opener(RING).open_texts(connection, 2, [rows[1]["data"]], erased="null") == [
        '{"email":null,"total":10.50,"first_name":null}'
    ]


@pytest.mark.parametrize("who", ["Anna@Example.com", "+43 660 123 456"])
async def test_an_id_that_is_an_address_becomes_the_subject(
    log: PostgresLog, sealer: Sealer, connection: asyncpg.Connection, who: str
) -> None:
    event = new_event(data=json.dumps({"user_id": who}), subject=who)._replace(visitor=f"u:{who}", message_id=who)
    await log.append([PendingGroup(1, "http", [sealer.mark(event), sealer.mark(event)])])
    row, _ = await stored(connection)
    subject = str(await connection.fetchval("select subject_id from pii.subject"))
    data = json.loads(row["data"])
    assert (row["visitor"], row["subject"], data["user_id"]) == (f"u:{subject}", subject, subject)
    opened = await Opener(RING).open_texts(connection, 1, [row["data"]])
    assert json.loads(opened[0])["mainstem_known_as"] == [who]
    assert row["message_id"].startswith("h:")


async def test_a_message_id_that_is_an_address_is_hashed_alike_each_time(
    log: PostgresLog, sealer: Sealer, connection: asyncpg.Connection
) -> None:
    event = new_event(data="{}")._replace(message_id="anna@example.com")
    await log.append([PendingGroup(1, "http", [sealer.mark(event), sealer.mark(event)])])
    rows = await stored(connection)
    assert len({row["message_id"] for row in rows}) == 1
    assert "anna" not in str([tuple(row) for row in rows])


async def test_somebody_who_says_nothing_else_is_known_by_visitor(
    log: PostgresLog, sealer: Sealer, connection: asyncpg.Connection
) -> None:
    named = new_event(data='{"first_name":"Anna"}')._replace(visitor="v:7")
    known = new_event(data=PERSON)._replace(visitor="v:7")
    other = new_event(data='{"first_name":"Bob"}')._replace(visitor="h:8")
    await log.append([PendingGroup(1, "http", [sealer.mark(one) for one in (known, named, other, other)])])
    subjects = [next(tokens_in(row["data"])).subject for row in await stored(connection)]
    assert subjects[0] == subjects[1]
    assert len(set(subjects)) == 3


async def test_a_senders_own_words_that_look_sealed_are_sealed_once_more(
    log: PostgresLog, sealer: Sealer, connection: asyncpg.Connection
) -> None:
    await log.append([PendingGroup(1, "http", [sealer.mark(new_event(data=PERSON))])])
    (row,) = await stored(connection)
    token = str(next(tokens_in(row["data"])))
    forged = json.dumps({"note": token, "email": "mallory@example.com"})
    await log.append([PendingGroup(1, "http", [sealer.mark(new_event(data=forged))])])
    _, row = await stored(connection)
    assert token not in row["data"]
    opened = await Opener(RING).open_texts(connection, 1, [row["data"]])
    assert json.loads(opened[0]) == json.loads(forged)


async def test_refused_events_are_kept_masked(log: PostgresLog, sealer: Sealer, connection: asyncpg.Connection) -> None:
    refused = reject('{"email":"anna@example.com","kind":"?","x":{"first_name":"An')._replace(
        reason="page_url 'mailto:anna@example.com' is none."
    )
    await log.append([], [refused, reject('{"kind":"?"}')])
    rows = await connection.fetch("select payload, reason from staging.rejected order by rejected_id")
    assert [tuple(row) for row in rows] == [
        ('{"email":"***","kind":"?","x":{"first_name":"***"', "page_url 'mailto:***' is none."),
        ('{"kind":"?"}', "kind is missing"),
    ]


async def test_recorded_events_are_sealed_with_the_change(connection: asyncpg.Connection, sealer: Sealer) -> None:
    async with connection.transaction():
        await record(connection, 1, "task.made", {"email": "anna@example.com", "n": 1}, sealer=sealer)
    (row,) = await stored(connection)
    assert row["flags"] == EventFlag.PII
    assert await Opener(RING).open_texts(connection, 1, [row["data"]]) == ['{"n": 1, "email": "anna@example.com"}']


async def test_spooled_events_are_unreadable_until_they_are_drained(
    dsn: str, tmp_path: Path, sealer: Sealer, connection: asyncpg.Connection
) -> None:
    away = Intake(PostgresLog(sealer), Spool(tmp_path, keyring=RING), commit_timeout_s=1)
    await away.start()
    receipt = await away.commit([sealer.mark(new_event(data=PERSON))])
    plain = await away.commit([new_event(data='{"plain":"visible"}')])
    refused = await away.commit([], rejects=[reject('{"email":"anna@example.com"}')])
    await away.stop()
    assert (receipt.durable, plain.durable, refused.durable) == ("spool", "spool", "spool")
    files = contents(tmp_path)
    assert b"visible" in files
    assert b"nna@" not in files

    back = Intake(PostgresLog(dsn, sealer), Spool(tmp_path, keyring=RING))
    await back.start()
    await until(lambda: back.state.spooled_events == 0)
    await back.stop()
    rows = await stored(connection)
    assert await Opener(RING).open_texts(connection, 1, [rows[0]["data"]]) == [PERSON]
    assert await connection.fetchval("select payload from staging.rejected") == '{"email":"***"}'


async def test_a_spool_that_was_sealed_by_another_key_is_set_aside(tmp_path: Path, sealer: Sealer) -> None:
    before = Spool(tmp_path, keyring=Keyring(new_key()))
    await before.append([PendingGroup(1, "http", [sealer.mark(new_event(data=PERSON)), new_event()])])
    await before.append([PendingGroup(1, "http", [new_event()])])
    await before.close()
    after = Spool(tmp_path, keyring=RING)
    await after.open()
    chunk = await after.peek(10)
    assert chunk is not None
    assert [len(entry.groups[0].events) for entry in chunk.entries] == [1]
    await after.close()


async def test_without_the_right_key_nothing_personal_is_stored(
    dsn: str, log: PostgresLog, sealer: Sealer, connection: asyncpg.Connection
) -> None:
    event: NewEvent = sealer.mark(new_event(data=PERSON))
    await log.append([PendingGroup(1, "http", [event])])
    wrong = PostgresLog(dsn, Sealer(Settings(_env_file=None).pii_fields, Keyring(new_key())))
    with pytest.raises(PiiKeyError):
        await wrong.append([PendingGroup(1, "http", [event])])
    # what is not personal still gets in
    await wrong.append([PendingGroup(1, "http", [new_event()])])
    await wrong.close()
    assert len(await stored(connection)) == 2
