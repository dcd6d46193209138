"""record(): the event and the change are one transaction."""

import json
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from mainstem.events.record import record
from mainstem.platform.db import Pool, transaction
from mainstem.platform.ids import event_uid


async def test_is_an_event_of_its_own_batch(connection: asyncpg.Connection) -> None:
    at = datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)
    batch_id = await record(
        connection,
        1,
        "task.completed",
        {"title": "Überraschung", "n": 1},
        subject="7",
        message_id="m1",
        source="tasks",
        occurred_at=at,
    )
    row = await connection.fetchrow("select * from raw.event where raw_id = $1", batch_id)
    assert row is not None
    assert (row["tenant_id"], row["kind"], row["subject"], row["source"], row["message_id"]) == (
        1,
        "task.completed",
        "7",
        "tasks",
        "m1",
    )
    assert row["event_uid"] == event_uid(1, "tasks", "m1")
    assert row["occurred_at"] == at
    assert json.loads(row["data"]) == {"title": "Überraschung", "n": 1}
    ledger = await connection.fetchrow(
        "select tenant_id, events, origin, loaded_at from raw.batch where batch_id = $1", batch_id
    )
    assert ledger is not None
    assert tuple(ledger) == (1, 1, "record", None)


async def test_without_an_id_every_call_is_a_new_event_that_occurs_now(connection: asyncpg.Connection) -> None:
    for _ in range(2):
        await record(connection, 1, "task.completed", {})
    rows = await connection.fetch("select event_uid, occurred_at = received_at as now from raw.event")
    assert len({row["event_uid"] for row in rows}) == 2
    assert all(row["now"] for row in rows)
    assert {UUID(str(row["event_uid"])).version for row in rows} == {7}


async def test_rolls_back_with_the_callers_change(worker_pool: Pool, connection: asyncpg.Connection) -> None:
    async def change_and_fail() -> None:
        async with transaction(worker_pool) as caller:
            await caller.execute("insert into platform.tenant (slug, name) values ('new', 'New')")
            await record(caller, 1, "task.completed", {})
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await change_and_fail()
    assert await connection.fetchval("select count(*) from raw.event") == 0
    assert await connection.fetchval("select count(*) from raw.batch") == 0


async def test_works_for_the_api_role_within_its_tenant_only(api_pool: Pool, connection: asyncpg.Connection) -> None:
    async with transaction(api_pool, tenant_id=1) as caller:
        await record(caller, 1, "task.completed", {})
    async with transaction(api_pool, tenant_id=1) as caller:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await record(caller, 2, "task.completed", {})
    assert await connection.fetchval("select array_agg(tenant_id) from raw.event") == [1]
