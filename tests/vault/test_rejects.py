"""Poison stays alone: rejected with its reason, its neighbours loaded, its message free for a resend or a replay."""

import asyncpg
import pytest
from vault.vaulting import append, balance, event, load_all, loader

from mainstem.vault.queries import replay_rejected


async def rejects(connection: asyncpg.Connection) -> list[tuple[object, ...]]:
    """Return (raw_id, code, field) of all rejects."""
    rows = await connection.fetch("select raw_id, code, field from staging.rejected order by raw_id")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("fail", "code", "field"),
    [
        ("reject", "no_good", "fail"),
        ("crash", "staging_error", None),
        ("poison", "sql_22003", None),
        ("encoding", "unstorable_value", None),
    ],
)
async def test_a_bad_event_is_rejected_and_its_neighbours_load(
    connection: asyncpg.Connection, dsn: str, fail, code, field
):
    bad = {"visitor": "bad", "fail": fail}
    first = await append(connection, [event({"visitor": str(n)}) for n in range(5)])
    second = await append(connection, [event({"visitor": "5"}), event(bad), event({"visitor": "6"})], origin="import")
    await append(connection, [event({"any": 1}, kind="order.noted")])
    result = await loader(dsn).load_once()
    assert result is not None
    assert (result.batches, result.loaded, result.rejected) == (3, 8, 1)
    assert await rejects(connection) == [(second + 1, code, field)]
    reject = await connection.fetchrow("select * from staging.rejected")
    assert reject is not None
    assert (reject["stage"], reject["origin"], reject["kind"]) == ("load", "import", "page.viewed")
    assert fail in reject["payload"]
    assert reject["reason"]
    assert await balance(connection) == (9, 8, 0, 1)
    loaded = await connection.fetch("select raw_id from vault.nhl_site_event order by raw_id")
    assert [row["raw_id"] for row in loaded] == [*range(first, first + 5), second, second + 2]
    assert await connection.fetchval("select count(distinct load_ts) from vault.nhl_site_event") == 1


async def test_many_poison_events_among_many_good_ones(connection: asyncpg.Connection, dsn: str):
    poison = {0, 1, 2, 17, 50, 98, 99}
    events = [event({"visitor": str(n), "fail": "poison" if n in poison else None}) for n in range(100)]
    first = await append(connection, events)
    await load_all(dsn)
    assert [row[0] for row in await rejects(connection)] == [first + n for n in sorted(poison)]
    assert await balance(connection) == (100, 93, 0, 7)
    assert await connection.fetchval("select count(*) from vault.event_seen") == 93
    assert await connection.fetchval("select count(*) from vault.nhl_site_event") == 93


async def test_a_batch_of_nothing_but_poison_is_settled(connection: asyncpg.Connection, dsn: str):
    await append(connection, [event({"visitor": str(n), "fail": "poison"}) for n in range(3)])
    await load_all(dsn)
    assert await balance(connection) == (3, 0, 0, 3)


@pytest.mark.parametrize("fail", ["reject", "poison"])
async def test_a_resend_of_a_rejected_message_loads(connection: asyncpg.Connection, dsn: str, fail):
    await append(connection, [event({"visitor": "v", "fail": fail}, message_id="m")])
    await load_all(dsn)
    await append(connection, [event({"visitor": "v"}, message_id="m")])
    await load_all(dsn)
    assert await balance(connection) == (2, 1, 0, 1)


@pytest.mark.parametrize(("fail", "rejected"), [("reject", 0), ("poison", 2)])
async def test_a_good_copy_loads_beside_bad_ones_of_the_same_load(
    connection: asyncpg.Connection, dsn: str, fail, rejected
):
    copies = [{"visitor": "v", "fail": bad} for bad in (fail, fail, None, None)]
    first = await append(connection, [event(copy, message_id="m") for copy in copies])
    await load_all(dsn)
    # what the database refused was tried in earnest; what the stage refused turns out to be a repeat
    assert [row[0] for row in await rejects(connection)] == [first, first + 1][:rejected]
    assert await balance(connection) == (4, 1, 3 - rejected, rejected)
    assert await connection.fetchval("select raw_id from vault.nhl_site_event") == first + 2


@pytest.mark.parametrize("together", [True, False])
async def test_a_bad_copy_of_a_message_that_loaded_is_a_duplicate(connection: asyncpg.Connection, dsn: str, together):
    good, bad = event({"visitor": "v"}, message_id="m"), event({"visitor": "v", "fail": "reject"}, message_id="m")
    for events in [[good, bad]] if together else [[good], [bad]]:
        await append(connection, events)
        await load_all(dsn)
    assert await rejects(connection) == []
    assert await balance(connection) == (2, 1, 1, 0)


async def test_a_replay_brings_rejects_back_with_their_identity(connection: asyncpg.Connection, dsn: str):
    for tenant_id in (1, 2):
        events = [event({"visitor": "v", "fail": "reject"}, tenant_id=tenant_id, message_id=key) for key in "abc"]
        await append(connection, events)
    await load_all(dsn)
    # what was wrong is mended: here the sender's data, in real life the program
    await connection.execute('update raw.event set data = \'{"visitor": "v"}\'')
    await append(connection, [event({"visitor": "v"}, message_id="a")])
    await load_all(dsn)
    ids = [row["rejected_id"] for row in await connection.fetch("select rejected_id from staging.rejected order by 1")]
    replayed = await replay_rejected(connection, ids[:5])
    assert [pair.rejected_id for pair in replayed] == ids[:5]
    assert len({pair.batch_id for pair in replayed}) == 2
    await load_all(dsn)
    assert await connection.fetchval("select count(*) from vault.nhl_site_event") == 5
    assert await balance(connection) == (12, 5, 1, 6)
    batches = await connection.fetch(
        "select events, loaded, duplicates from raw.batch where origin = 'replay' order by tenant_id"
    )
    assert [tuple(row) for row in batches] == [(3, 2, 1), (2, 2, 0)]
    assert [pair.rejected_id for pair in await replay_rejected(connection, ids)] == ids[5:]
    assert await replay_rejected(connection, ids) == []


async def test_what_can_not_be_replayed_is_left_alone(connection: asyncpg.Connection, dsn: str):
    await connection.execute(
        """insert into staging.rejected (tenant_id, stage, code, reason, origin, payload)
           values (1, 'intake', 'x', 'x', 'http', '{}')"""
    )
    await append(connection, [event({"visitor": "v", "fail": "reject"})])
    await load_all(dsn)
    await connection.execute("delete from raw.event")
    ids = [row["rejected_id"] for row in await connection.fetch("select rejected_id from staging.rejected")]
    assert len(ids) == 2
    assert await replay_rejected(connection, [*ids, 999]) == []
    assert await connection.fetchval("select count(*) from staging.rejected where replayed_at is not null") == 0


async def test_a_replay_that_fails_again_is_rejected_again(connection: asyncpg.Connection, dsn: str):
    await append(connection, [event({"visitor": "v", "fail": "poison"}, message_id="m")])
    await load_all(dsn)
    (pair,) = await replay_rejected(connection, [await connection.fetchval("select rejected_id from staging.rejected")])
    await load_all(dsn)
    assert [row[0] for row in await rejects(connection)][-1] == pair.batch_id
    assert await balance(connection) == (2, 0, 0, 2)
