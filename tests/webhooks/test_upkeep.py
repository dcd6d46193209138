"""Endpoints that only fail, and history that is old."""

from datetime import timedelta

import asyncpg
import pytest
from webhooks.receiver import add_endpoint, event, queue_events

from mainstem.platform.clock import utc_now
from mainstem.platform.db import Pool
from mainstem.webhooks.upkeep import look_after, prune

AFTER = timedelta(hours=100)
NEWS = "select kind from raw.event where kind like 'webhook.%' order by raw_id"


async def failing(connection: asyncpg.Connection, endpoint_id: int, hours: float, failures: int = 50) -> None:
    await connection.execute(
        """insert into webhooks.endpoint_total (
             endpoint_id, tenant_id, attempts, failed_attempts, consecutive_failures, failing_since, last_failure_at)
           values ($1, 1, $2::integer, $2::integer, $2::integer, $3, now())
           on conflict (endpoint_id) do update set failing_since = excluded.failing_since, last_failure_at = now()""",
        endpoint_id,
        failures,
        utc_now() - timedelta(hours=hours),
    )


async def test_warnings_come_before_the_end(connection: asyncpg.Connection, worker_pool: Pool):
    endpoint = await add_endpoint(connection, "https://example.com/hook", name="Till")
    mails = []

    async def mail(_connection, tenant_id: int, subject: str, text: str) -> None:
        mails.append((tenant_id, subject))
        assert "https://example.com/hook" in text

    for hours, acts in ((49, 0), (51, 1), (60, 0), (91, 1), (99, 0), (101, 1), (120, 0)):
        await failing(connection, endpoint.id, hours)
        assert await look_after(worker_pool, AFTER, mail) == acts, hours
    assert mails == [
        (1, "Webhook Till keeps failing"),
        (1, "Webhook Till keeps failing"),
        (1, "Webhook Till was switched off"),
    ]
    active, reason = await connection.fetchrow("select active, disabled_reason from webhooks.endpoint")
    assert (active, reason) == (False, "It failed for 101 hours.")
    assert [row["kind"] for row in await connection.fetch(NEWS)] == [
        "webhook.endpoint_warned",
        "webhook.endpoint_warned",
        "webhook.endpoint_disabled",
    ]


async def test_nobody_is_switched_off_without_a_warning(connection: asyncpg.Connection, worker_pool: Pool):
    endpoint = await add_endpoint(connection, "https://example.com/hook")
    await failing(connection, endpoint.id, 500)
    assert [await look_after(worker_pool, AFTER) for _ in range(3)] == [1, 1, 0]
    assert [row["kind"] for row in await connection.fetch(NEWS)] == [
        "webhook.endpoint_warned",
        "webhook.endpoint_disabled",
    ]


async def test_a_mail_that_can_not_be_queued_undoes_its_warning(connection: asyncpg.Connection, worker_pool: Pool):
    endpoint = await add_endpoint(connection, "https://example.com/hook")
    await failing(connection, endpoint.id, 60)

    async def broken(*_arguments) -> None:
        msg = "no"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError):
        await look_after(worker_pool, AFTER, broken)
    assert await connection.fetchval("select warned from webhooks.endpoint_total") == 0
    assert await connection.fetch(NEWS) == []


async def test_history_goes_when_it_is_old(connection: asyncpg.Connection):
    endpoint = await add_endpoint(connection, "https://example.com/hook")
    await queue_events(connection, [event() for _ in range(4)])
    old = utc_now() - timedelta(days=40)
    # 1: finished and old; 2: waiting and old; 3: finished and new; 4: waiting and new
    await connection.execute("update webhooks.delivery set created_at = $1 where delivery_id in (1, 2)", old)
    await connection.execute("update webhooks.message set created_at = $1 where message_id in (1, 2)", old)
    await connection.execute(
        "update webhooks.delivery set status = 'delivered', finished_at = now() where delivery_id in (1, 3)"
    )
    await connection.execute("delete from webhooks.queue where delivery_id in (1, 3)")
    await connection.execute(
        """insert into webhooks.attempt (tenant_id, delivery_id, endpoint_id, number, at, duration_ms, outcome)
           values (1, 1, $1, 1, $2, 5, 'delivered'), (1, 3, $1, 1, now(), 5, 'delivered')""",
        endpoint.id,
        old,
    )
    # given up, then both deliveries, one attempt, two messages
    assert await prune(connection, 30) == 1 + 2 + 1 + 2
    left = [row[0] for row in await connection.fetch("select delivery_id from webhooks.delivery order by 1")]
    assert left == [3, 4]
    assert await connection.fetchval("select count(*) from webhooks.queue") == 1
    assert await connection.fetchval("select failed from webhooks.endpoint_total") == 1
    assert await prune(connection, 30) == 0


async def test_a_deleted_endpoint_goes_with_its_deliveries(connection: asyncpg.Connection):
    gone = await add_endpoint(connection, "https://example.com/gone")
    stays = await add_endpoint(connection, "https://example.com/stays")
    await queue_events(connection, [event() for _ in range(3)])
    await connection.execute("update webhooks.endpoint set deleted_at = now() where endpoint_id = $1", gone.id)
    await prune(connection, 30)
    for table in ("endpoint", "secret", "delivery", "queue", "endpoint_created"):
        rows = await connection.fetch(f"select distinct endpoint_id from webhooks.{table}")
        assert [row[0] for row in rows] == [stays.id], table
