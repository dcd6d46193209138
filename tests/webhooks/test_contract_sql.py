"""The SQL of the deployment document and of the system before: relations, views and functions, from plain connections."""

import asyncio
import json
from collections import Counter

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webhooks.hooking import DOCUMENTED, add_deliveries, add_endpoint, counters

from mainstem.platform.clock import utc_now
from mainstem.platform.ids import uuid7
from mainstem.platform.tenants import create_tenant
from mainstem.webhooks.payload import Message, body_of
from mainstem.webhooks.retry import Policy

HEALTH = """select health_status, total_deliveries, successful_deliveries, failed_deliveries, consecutive_failures
            from webhook_health_metrics where webhook_id = $1"""


@pytest.fixture
async def sql(dsn):
    """Yield a connection as psql makes one: no tenant named, statements as the document has them."""
    connection = await psql(dsn)
    yield connection
    await connection.close()


async def psql(dsn: str, tenant: str | None = None) -> asyncpg.Connection:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"set search_path = {DOCUMENTED}")
    if tenant is not None:
        await connection.execute("select set_config('mainstem.tenant', $1, false)", tenant)
    return connection


async def ready(connection, limit: int = 10) -> list[asyncpg.Record]:
    return await connection.fetch("SELECT * FROM get_ready_deliveries($1)", limit)


async def test_everything_has_its_columns(sql):
    expected = {
        "webhook_health_metrics": """metric_id webhook_id total_deliveries successful_deliveries failed_deliveries
          avg_response_time_ms max_response_time_ms min_response_time_ms health_status last_check_at last_success_at
          last_failure_at consecutive_failures created_at updated_at""",
        "alert_delivery_queue": """delivery_id alert_id webhook_id message_body delivery_status retry_count max_retries
          next_retry_at created_at attempted_at delivered_at""",
        "v_webhook_health_dashboard": """health_status webhook_count avg_response_ms max_response_ms min_response_ms
          failures_1h failures_24h calculated_at""",
        "v_degraded_webhooks": """webhook_id health_status total_deliveries successful_deliveries failed_deliveries
          success_rate_percent consecutive_failures avg_response_ms last_check_at last_success_at last_failure_at
          minutes_since_check hours_since_success""",
        "v_webhook_performance": """webhook_id total_deliveries successful_deliveries failed_deliveries
          success_rate_percent avg_response_ms max_response_ms min_response_ms health_status last_check_at
          success_freshness calculated_at""",
        "get_ready_deliveries(0)": "delivery_id alert_id webhook_id message_body retry_count max_retries",
        "count_pending_by_status()": "pending_count retrying_count delivered_count failed_count total_count",
    }
    for relation, columns in expected.items():
        statement = await sql.prepare(f"SELECT * FROM {relation}")
        assert [attribute.name for attribute in statement.get_attributes()][: len(columns.split())] == columns.split()


async def test_health_follows_windows_and_not_single_answers(sql):
    """Defect k: one 200 made a webhook healthy, one 500 degraded it."""
    webhook = await add_endpoint(sql)
    assert tuple(await sql.fetchrow(HEALTH, webhook)) == ("unknown", 0, 0, 0, 0)
    assert await sql.fetchval("SELECT update_webhook_health($1, 200, 45, NULL)", webhook) is True
    for ms in (50, 60, 40):
        await sql.fetch("SELECT update_webhook_health($1, 200, $2, NULL)", webhook, ms)
    assert tuple(await sql.fetchrow(HEALTH, webhook)) == ("healthy", 4, 4, 0, 0)
    await sql.fetch("SELECT update_webhook_health($1, 500, 100, 'Internal Server Error')", webhook)
    assert tuple(await sql.fetchrow(HEALTH, webhook)) == ("degraded", 5, 4, 1, 1)
    for _ in range(5):
        await sql.fetch("SELECT update_webhook_health($1, 0, 5000, 'Timeout')", webhook)
    assert tuple(await sql.fetchrow(HEALTH, webhook)) == ("unavailable", 10, 4, 6, 6)
    worst = await sql.fetchrow("SELECT * FROM v_degraded_webhooks")
    assert (worst["webhook_id"], worst["success_rate_percent"]) == (webhook, 40)
    assert 0 <= worst["minutes_since_check"] < 1
    fast = await sql.fetchrow("SELECT * FROM v_webhook_performance")
    assert (fast["success_freshness"], fast["max_response_ms"], fast["min_response_ms"]) == ("healthy_recent", 5000, 40)
    board = await sql.fetchrow("SELECT * FROM v_webhook_health_dashboard")
    assert (board["health_status"], board["webhook_count"], board["failures_1h"]) == ("unavailable", 1, 1)
    for _ in range(2):
        await sql.fetch("SELECT update_webhook_health($1, 200, 50, NULL)", webhook)
    assert tuple(await sql.fetchrow(HEALTH, webhook)) == ("degraded", 12, 6, 6, 0)
    assert await sql.fetchval("SELECT update_webhook_health(999999, 200, 1)") is False
    kinds = [row["kind"] for row in await sql.fetch("select kind from raw.event order by raw_id")]
    assert kinds == ["webhook.failing", "webhook.recovered"]


async def test_defect_f_two_workers_never_get_the_same_delivery(sql, dsn):
    """Both got [1, 2, 3], because the locks ended with the statement and nothing said who had them."""
    webhook = await add_endpoint(sql)
    await add_deliveries(sql, webhook, 3)
    other = await psql(dsn)
    try:
        first, second = await ready(sql), await ready(other)
    finally:
        await other.close()
    assert (len(first), len(second)) == (3, 0)
    assert {row["retry_count"] for row in first} == {0}
    assert first[0]["max_retries"] == 9
    assert first[0]["webhook_url"] == await sql.fetchval("SELECT get_webhook_decrypted($1)", webhook)
    assert json.loads(first[0]["message_body"])["type"] == "order.paid"


async def test_many_workers_share_the_queue_with_ours(sql, dsn):
    hooks = [await add_endpoint(sql, f"hook {number}", rate_limit=[None, 100_000][number % 2]) for number in range(4)]
    for hook in hooks:
        await add_deliveries(sql, hook, 60)

    async def outside(seen: list[int]) -> None:
        connection = await psql(dsn)
        try:
            empty = 0
            while empty < 3:
                rows = await ready(connection, 7)
                empty = 0 if rows else empty + 1
                for row in rows:
                    seen.append(row["delivery_id"])
                    await connection.fetch(
                        "SELECT finish_delivery($1, $2, 200, 3)", row["delivery_id"], row["claim_id"]
                    )
        finally:
            await connection.close()

    async def ours(seen: list[int]) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            empty = 0
            while empty < 3:
                rows = await connection.fetch(
                    "select delivery_id from webhooks.claim(gen_random_uuid(), '1 minute', 9, 9, 8, '{}', '{}')"
                )
                empty = 0 if rows else empty + 1
                seen += [row["delivery_id"] for row in rows]
        finally:
            await connection.close()

    lists: list[list[int]] = [[] for _ in range(6)]
    await asyncio.gather(*(outside(seen) for seen in lists[:4]), *(ours(seen) for seen in lists[4:]))
    times = Counter(delivery for seen in lists for delivery in seen)
    assert (len(times), set(times.values())) == (240, {1})
    delivered = await sql.fetchval("select sum(delivered) from webhooks.endpoint_total")
    assert delivered == sum(map(len, lists[:4]))
    assert await sql.fetchval("select count(*) from webhooks.attempt") == delivered


@pytest.mark.parametrize("limits", [{"rate_limit": 100}, {"fifo": True}])
@pytest.mark.parametrize(
    "claim",
    [
        "SELECT * FROM get_ready_deliveries(10)",
        "select endpoint_id as webhook_id from webhooks.claim(gen_random_uuid(), '1 minute', 9, 9, 8, '{}', '{}')",
    ],
)
async def test_no_claim_waits_for_another(sql, dsn, claim, limits):
    """Each waited for what the other had, and PostgreSQL ended one of them."""
    busy, free = await add_endpoint(sql, "busy", **limits), await add_endpoint(sql, "free", **limits)
    for hook in (busy, free):
        await add_deliveries(sql, hook)
    other = await psql(dsn)
    try:
        async with other.transaction():
            await other.execute("select from webhooks.pace where endpoint_id = $1 for update", busy)
            await sql.execute("set lock_timeout = '2s'")
            assert [row["webhook_id"] for row in await sql.fetch(claim)] == [free]
    finally:
        await other.close()
    assert [row["webhook_id"] for row in await sql.fetch(claim)] == [busy]


async def test_a_worker_that_died_loses_its_claims_and_comes_too_late(sql):
    webhook = await add_endpoint(sql)
    await add_deliveries(sql, webhook)
    (first,) = await sql.fetch("SELECT * FROM get_ready_deliveries(10, '0 seconds')")
    (again,) = await ready(sql)
    assert (again["delivery_id"], again["message_id"]) == (first["delivery_id"], first["message_id"])
    assert again["retry_count"] == 1
    finish = "SELECT finish_delivery($1, $2, 200, 12)"
    assert await sql.fetchval(finish, first["delivery_id"], first["claim_id"]) is None
    assert await sql.fetchval("SELECT extend_delivery($1, $2)", first["delivery_id"], first["claim_id"]) is False
    assert await sql.fetchval("SELECT extend_delivery($1, $2)", again["delivery_id"], again["claim_id"]) is True
    assert await sql.fetchval(finish, again["delivery_id"], again["claim_id"]) == "delivered"
    assert await sql.fetchval(finish, again["delivery_id"], again["claim_id"]) is None
    assert await counters(sql, webhook) == (0, 1, 0)


async def test_what_fails_is_tried_again_by_the_policy_and_then_dies(sql):
    webhook = await add_endpoint(sql, retry_policy=json.dumps({"schedule": [0.001, 600]}))
    await add_deliveries(sql, webhook)
    statuses = []
    for code in (500, 0, 404):
        await sql.execute("update webhooks.queue set due_at = now()")
        (row,) = await ready(sql)
        statuses.append(
            await sql.fetchval(
                "SELECT finish_delivery($1, $2, $3, 20, null, 'no')", row["delivery_id"], row["claim_id"], code
            )
        )
        if code == 0:
            due = await sql.fetchval("select due_at - now() from webhooks.queue")
            assert 590 < due.total_seconds() < 730
            assert await ready(sql) == []
    assert statuses == ["retrying", "retrying", "failed"]
    assert await counters(sql, webhook) == (0, 0, 1)
    log = await sql.fetch("select number, outcome, status_code, response from webhooks.attempt order by attempt_id")
    assert [tuple(row) for row in log] == [
        (1, "status", 500, "no"),
        (2, "connect", None, "no"),
        (3, "status", 404, "no"),
    ]
    dead = await sql.fetchrow(
        "select kind, data::jsonb ->> 'last_error' as error from raw.event where kind like '%exhausted'"
    )
    assert tuple(dead) == ("webhook.exhausted", "The endpoint answered 404.")


async def test_410_switches_the_webhook_off_and_429_makes_it_pause(sql):
    gone, busy = await add_endpoint(sql, "gone"), await add_endpoint(sql, "busy")
    await add_deliveries(sql, gone)
    await add_deliveries(sql, busy, 2)
    rows = {row["webhook_id"]: row for row in await sql.fetch("SELECT * FROM get_ready_deliveries(2)")}
    finish = "SELECT finish_delivery($1, $2, $3, 5, p_retry_after_seconds => 90)"
    assert await sql.fetchval(finish, rows[gone]["delivery_id"], rows[gone]["claim_id"], 410) == "failed"
    assert await sql.fetchval(finish, rows[busy]["delivery_id"], rows[busy]["claim_id"], 429) == "retrying"
    assert await sql.fetchval("select disabled_reason from webhooks.endpoint where endpoint_id = $1", gone) is not None
    assert await ready(sql) == []
    pause = await sql.fetchval("select not_before - now() from webhooks.pace where endpoint_id = $1", busy)
    assert 80 < pause.total_seconds() <= 90


async def test_the_old_workers_own_statements_work(sql):
    """As the worker before spoke: it updated the queue and counted the health itself."""
    webhook = await add_endpoint(sql)
    await sql.execute(
        """INSERT INTO alert_delivery_queue (alert_id, webhook_id, message_body, delivery_status, retry_count, max_retries,
             created_at)
           VALUES (101, $1, jsonb_build_object('severity', 'WARNING'), 'pending', 0, 3, CURRENT_TIMESTAMP)""",
        webhook,
    )
    (row,) = await sql.fetch(
        "SELECT delivery_id, alert_id, webhook_id, message_body, retry_count, max_retries FROM get_ready_deliveries(10)"
    )
    assert (row["alert_id"], row["webhook_id"]) == (101, webhook)
    assert json.loads(row["message_body"])["data"] == {"severity": "WARNING"}
    await sql.execute(
        """UPDATE alert_delivery_queue SET delivery_status = 'retrying', retry_count = retry_count + 1,
             next_retry_at = NOW() + INTERVAL '1 second' * $1, attempted_at = NOW() WHERE delivery_id = $2""",
        5,
        row["delivery_id"],
    )
    assert await ready(sql) == []
    counted = await sql.fetchrow("SELECT * FROM count_pending_by_status()")
    assert tuple(counted) == (0, 1, 0, 0, 1)
    await sql.execute(
        "UPDATE alert_delivery_queue SET next_retry_at = NOW() WHERE delivery_id = $1", row["delivery_id"]
    )
    (again,) = await ready(sql)
    assert again["retry_count"] == 1
    await sql.execute(
        """UPDATE alert_delivery_queue SET delivery_status = 'delivered', delivered_at = NOW(), attempted_at = NOW()
           WHERE delivery_id = $1""",
        row["delivery_id"],
    )
    await sql.fetch("SELECT update_webhook_health($1, 200, 55, NULL)", webhook)
    assert tuple(await sql.fetchrow("SELECT * FROM count_pending_by_status()")) == (0, 0, 1, 0, 1)
    assert await counters(sql, webhook) == (0, 1, 0)
    shown = await sql.fetchrow("SELECT delivery_status, retry_count, delivered_at FROM alert_delivery_queue")
    assert (shown["delivery_status"], shown["retry_count"]) == ("delivered", 1)
    assert shown["delivered_at"] is not None


async def test_defect_f_a_pending_delivery_can_be_put_off(sql):
    """Rescheduling had no effect on what was pending, so a limited webhook was polled in a hot loop."""
    webhook = await add_endpoint(sql)
    (delivery,) = await add_deliveries(sql, webhook)
    await ready(sql)
    await sql.execute(
        "UPDATE alert_delivery_queue SET next_retry_at = NOW() + INTERVAL '1 second' * $1 WHERE delivery_id = $2",
        60,
        delivery,
    )
    assert await ready(sql) == []
    status = await sql.fetchrow("SELECT delivery_status, next_retry_at > now() + '50 s' FROM alert_delivery_queue")
    assert tuple(status) == ("pending", True)
    await sql.execute("UPDATE alert_delivery_queue SET delivery_status = 'failed' WHERE delivery_id = $1", delivery)
    assert await counters(sql, webhook) == (0, 0, 1)
    await sql.execute("UPDATE alert_delivery_queue SET delivery_status = 'pending', next_retry_at = null")
    assert await counters(sql, webhook) == (1, 0, 0)
    assert [row["delivery_id"] for row in await ready(sql)] == [delivery]


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (
            "insert into alert_delivery_queue (webhook_id, message_body) values (999999, '{}')",
            asyncpg.ForeignKeyViolationError,
        ),
        ("insert into alert_delivery_queue (webhook_id) values (1)", asyncpg.CheckViolationError),
        ("update alert_delivery_queue set message_body = '{}'", asyncpg.FeatureNotSupportedError),
        ("update alert_delivery_queue set delivery_status = 'lost'", asyncpg.CheckViolationError),
    ],
)
async def test_what_can_not_be_written_is_refused(sql, statement, error):
    await add_deliveries(sql, await add_endpoint(sql))
    with pytest.raises(error):
        await sql.execute(statement)


async def test_an_ordered_webhook_is_handed_out_one_by_one(sql):
    webhook = await add_endpoint(sql, fifo=True, retry_policy=json.dumps({"schedule": [60]}))
    made = await add_deliveries(sql, webhook, 3)
    (head,) = await ready(sql)
    assert head["delivery_id"] == made[0]
    assert await ready(sql) == []
    assert (
        await sql.fetchval("SELECT finish_delivery($1, $2, 500, 5)", head["delivery_id"], head["claim_id"])
        == "retrying"
    )
    assert await ready(sql) == []
    await sql.execute("update webhooks.pace set not_before = '-infinity'")
    (head,) = await ready(sql)
    assert head["delivery_id"] == made[0]
    await sql.fetchval("SELECT finish_delivery($1, $2, 204, 5)", head["delivery_id"], head["claim_id"])
    assert [row["delivery_id"] for row in await ready(sql)] == [made[1]]


async def test_a_rate_limit_holds_for_outside_workers(sql):
    webhook = await add_endpoint(sql, rate_limit=3)
    await add_deliveries(sql, webhook, 10)
    assert len(await ready(sql)) == 3
    assert len(await ready(sql)) == 0


async def test_one_backlog_leaves_room_for_the_others(sql):
    full, small = await add_endpoint(sql, "full"), await add_endpoint(sql, "small")
    await add_deliveries(sql, full, 500)
    await add_deliveries(sql, small, 2)
    handed = Counter(row["webhook_id"] for row in await ready(sql, 10))
    assert handed == {full: 8, small: 2}


async def test_switched_off_and_deleted_webhooks_get_nothing(sql):
    off, gone = await add_endpoint(sql, "off", active=False), await add_endpoint(sql, "gone")
    await add_deliveries(sql, off)
    await add_deliveries(sql, gone)
    await sql.execute("update webhooks.endpoint set deleted_at = now() where endpoint_id = $1", gone)
    assert await ready(sql) == []
    assert [row["webhook_id"] for row in await sql.fetch("SELECT webhook_id FROM webhook_health_metrics")] == [off]


async def test_sessions_see_and_change_their_tenants_webhooks_alone(sql, dsn):
    other = await create_tenant(sql, "other")
    mine, theirs = await add_endpoint(sql), await add_endpoint(sql, "theirs", tenant=other.id)
    await add_deliveries(sql, mine)
    (delivery,) = await add_deliveries(sql, theirs)
    assert {row["webhook_id"] for row in await ready(sql)} == {mine}
    assert await sql.fetchval("SELECT update_webhook_health($1, 200, 1)", theirs) is False
    assert await sql.fetchval("SELECT get_webhook_decrypted($1)", theirs) is None
    assert (
        await sql.execute("UPDATE alert_delivery_queue SET delivery_status = 'failed' WHERE webhook_id = $1", theirs)
        == "UPDATE 0"
    )
    for role in (None, "mainstem_api"):
        connection = await psql(dsn, "other")
        try:
            if role is not None:
                await connection.execute(f"set role {role}")
            assert [row["webhook_id"] for row in await connection.fetch("SELECT * FROM webhook_health_metrics")] == [
                theirs
            ]
            (row,) = await connection.fetch("SELECT * FROM get_ready_deliveries(10, '0 seconds')")
            assert row["delivery_id"] == delivery
            assert await connection.fetchval("SELECT update_webhook_health($1, 500, 1)", theirs) is True
            assert (await connection.fetchrow("SELECT * FROM count_pending_by_status()"))["total_count"] == 1
        finally:
            await connection.close()


async def test_whoever_idles_in_a_transaction_does_not_hold_up_the_workers(sql):
    webhook = await add_endpoint(sql)
    async with sql.transaction():
        await sql.fetch("SELECT update_webhook_health($1, 200, 1)", webhook)
        assert await sql.fetchval("show idle_in_transaction_session_timeout") == "20s"
    assert await sql.fetchval("show idle_in_transaction_session_timeout") == "0"


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
in_the_database = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_the_database
@given(
    envelope=st.sampled_from(["standard", "cloudevents", "bare"]),
    data=st.dictionaries(TEXT, JSON, max_size=4),
    source=TEXT.filter(bool),
    subject=st.none() | TEXT,
)
async def test_outside_workers_get_the_bodies_that_ours_sends(sql, envelope, data, source, subject):
    message = Message(uuid7(), "order.paid", source, subject, utc_now(), json.dumps(data))
    _, body = body_of(message, envelope, "default")
    told = await sql.fetchval(
        "select webhooks.body($1, 'default', $2, $3, $4, $5, $6, $7::json)",
        *(
            envelope,
            message.event_uid,
            message.kind,
            message.source,
            message.subject,
            message.occurred_at,
            message.data,
        ),
    )
    assert json.loads(told) == json.loads(body)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r'{"a": "x\u0000y"}', {"a": "x\ufffdy"}),
        (r'{"a": "\u0000\u0000"}', {"a": "\ufffd\ufffd"}),
        (r'{"a": "\ud83d\ude00\u0000"}', {"a": "\U0001f600\ufffd"}),
        (r'{"a": "\ud800!"}', {"a": "\ufffd!"}),
        (r'{"a": "\udc00\u0000"}', {"a": "\ufffd\ufffd"}),
        (r'{"a": "\\u0000\u0000"}', {"a": "\\u0000\ufffd"}),
        ('{"a": 1e999999}', '{"a": 1e999999}'),
    ],
)
async def test_a_body_that_jsonb_can_not_hold_is_handed_out_all_the_same(sql, text, shown):
    (delivery,) = await add_deliveries(sql, await add_endpoint(sql))
    await sql.execute("update webhooks.message set data = $1::json", text)
    (row,) = await ready(sql)
    assert row["delivery_id"] == delivery
    assert json.loads(row["message_body"])["data"] == shown


POLICIES = st.one_of(
    st.none(),
    st.builds(
        lambda delays: {"schedule": delays}, st.lists(st.integers(1, 604_800) | st.floats(0.5, 1000), max_size=8)
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "max_retries": st.integers(0, 50),
            "backoff_base": st.integers(1, 600),
            "max_backoff": st.integers(1, 604_800),
        },
    ),
)


@in_the_database
@given(policy=POLICIES)
async def test_outside_workers_follow_the_policy_that_ours_follows(sql, policy):
    told = await sql.fetchval("select webhooks.delays($1::jsonb)", None if policy is None else json.dumps(policy))
    assert told == pytest.approx(list(Policy.parse(policy).delays_s))
