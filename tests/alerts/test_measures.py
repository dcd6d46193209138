"""What rules are judged by: the metrics of each part, read from its tables, and the rules that come with the product."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from mainstem.alerts.decide import Comparison, NoData
from mainstem.alerts.defaults import SHIPPED, VERSION, seed
from mainstem.alerts.run import Alerting, one_round
from mainstem.features import METRICS
from mainstem.platform.db import Pool, load_queries
from mainstem.platform.mail import Mailer
from mainstem.platform.measure import Sample, Scope
from mainstem.platform.minute_writer import MinuteWriter
from mainstem.platform.outbox import Outbox
from mainstem.platform.settings import Settings
from mainstem.platform.tally import Tally
from mainstem.platform.tenants import create_tenant

NOW = datetime(2026, 5, 1, 12, 0, 50, tzinfo=UTC)
BY_NAME = {metric.name: metric for metric in METRICS}


async def read(connection: asyncpg.Connection, name: str, *, now: datetime = NOW, minutes: int = 5) -> list[Sample]:
    return list(await BY_NAME[name].read(connection, now - timedelta(minutes=minutes), now))


async def count(pool: Pool, tally: Tally, now: datetime = NOW) -> None:
    writer = MinuteWriter(pool, (), tally=tally, clock=lambda: now)
    writer.collect()
    await writer.flush()


async def test_nothing_is_known_before_a_process_has_told(connection) -> None:
    for metric in METRICS:
        found = await read(connection, metric.name)
        assert found == ([Sample(0.0, 1)] if metric.name == "loader_lag_seconds" else [])


async def test_metrics_of_the_minutes(worker_pool: Pool, connection) -> None:
    tally = Tally()
    for _ in range(97):
        tally.api.count(200, 0.02)
    for _ in range(3):
        tally.api.count(503, 0.9)
    tally.cache_hits, tally.cache_misses, tally.ws_disconnects = 60, 40, 12
    tally.spool_depth(9)
    await count(worker_pool, tally, NOW - timedelta(minutes=1))
    await count(worker_pool, Tally())
    (p99,) = await read(connection, "api_p99_ms")
    assert 750 < p99.value <= 1_000
    assert p99.volume == 100
    assert await read(connection, "api_error_percent") == [Sample(3.0, 100)]
    assert await read(connection, "cache_hit_percent") == [Sample(60.0, 100)]
    assert await read(connection, "websocket_disconnects") == [Sample(6.0, 2)]
    assert await read(connection, "spooled_events") == [Sample(9.0, 2)]
    assert await read(connection, "database_pool_percent") == [Sample(0.0, 2)]


async def test_lag_is_the_age_of_the_oldest_batch_that_waits(connection) -> None:
    for batch_id, age_s, done in ((1, 500, True), (2, 90, False), (3, 10, False)):
        await connection.execute(
            "insert into raw.batch (batch_id, tenant_id, events, origin, received_from, received_to, committed_at, "
            "loaded_at, loaded) values ($1, 1, 1, 'http', $2, $2, $2, $3, $4)",
            batch_id,
            NOW - timedelta(seconds=age_s),
            NOW if done else None,
            int(done),
        )
    assert await read(connection, "loader_lag_seconds") == [Sample(90.0, 1)]


async def add_endpoint(connection: asyncpg.Connection, tenant_id: int, name: str, *, active: bool = True) -> int:
    return await connection.fetchval(
        "insert into webhooks.endpoint (tenant_id, name, url, active, disabled_at) "
        "values ($1, $2, 'https://example.com/hook', $3, case when $3 then null else now() end) returning endpoint_id",
        tenant_id,
        name,
        active,
    )


async def attempts(connection, tenant_id: int, endpoint: int, delivered: int, failed: int, *, ago_s: int = 60) -> None:
    await connection.execute(
        "insert into webhooks.endpoint_minute (endpoint_id, minute, tenant_id, delivered, failed) "
        "values ($1, date_trunc('minute', $2::timestamptz), $3, $4, $5)",
        endpoint,
        NOW - timedelta(seconds=ago_s),
        tenant_id,
        delivered,
        failed,
    )


async def test_failures_of_each_endpoint_of_each_tenant(connection) -> None:
    other = (await create_tenant(connection, "other")).id
    mine = await add_endpoint(connection, 1, "Orders")
    theirs = await add_endpoint(connection, other, "Theirs")
    off = await add_endpoint(connection, 1, "Off", active=False)
    await attempts(connection, 1, mine, 45, 5)
    await attempts(connection, 1, mine, 45, 5, ago_s=120)
    await attempts(connection, 1, mine, 0, 900, ago_s=3_600)
    await attempts(connection, other, theirs, 10, 0)
    await attempts(connection, 1, off, 0, 10)
    assert await read(connection, "webhook_failure_percent") == [
        Sample(10.0, 100, 1, {"webhook_id": str(mine), "webhook": "Orders"}),
        Sample(0.0, 10, other, {"webhook_id": str(theirs), "webhook": "Theirs"}),
    ]


async def test_a_queue_is_late_by_what_is_due_not_by_what_is_planned(connection) -> None:
    other = (await create_tenant(connection, "other")).id
    mine, more = await add_endpoint(connection, 1, "Orders"), await add_endpoint(connection, 1, "More")
    await add_endpoint(connection, other, "Theirs")
    for delivery_id, (endpoint, lane, due_s) in enumerate(
        [(mine, 0, -10), (mine, 1, -300), (more, 0, -700), (more, 0, 3_600), (more, 1, 7_200)]
    ):
        await connection.execute(
            "insert into webhooks.queue (delivery_id, endpoint_id, lane, due_at) values ($1, $2, $3, $4)",
            delivery_id,
            endpoint,
            lane,
            NOW + timedelta(seconds=due_s),
        )
    assert await read(connection, "webhook_queue_seconds") == [Sample(700.0, 2, 1), Sample(0.0, 0, other)]


async def test_endpoints_that_do_not_do_well_are_counted(connection) -> None:
    for name, health in (("A", "healthy"), ("B", "degraded"), ("C", "failing"), ("D", "unknown")):
        endpoint = await add_endpoint(connection, 1, name)
        await connection.execute(
            "insert into webhooks.endpoint_total (endpoint_id, tenant_id, health) values ($1, 1, $2)", endpoint, health
        )
    await add_endpoint(connection, 1, "E")
    assert await read(connection, "webhooks_degraded") == [Sample(2.0, 5, 1)]


async def test_what_the_last_reconciliation_left_open_is_counted(connection) -> None:
    await connection.execute(
        "insert into connectors.schedule (tenant_id, connector, next_at) values (1, 'a', $1), (1, 'b', $1)", NOW
    )
    run = """insert into connectors.run (tenant_id, connector, mode, dry_run, correlation_id, finished_at, success,
               orders_read, by) values (1, $1, $2, false, 'c', $3, $4, 9, 'test') returning run_id"""
    differ = """insert into connectors.difference (tenant_id, run_id, kind, local_id, sentence, done)
                values (1, $1, 'missing', 'x', 'Not there.', $2)"""
    for hours_ago, dones in ((2, (None,) * 5), (1, (None, "INJECTED: REVEL_INJECTED", "FAILED: ORDER_REFUSED"))):
        run_id = await connection.fetchval(run, "a", "scheduled", NOW - timedelta(hours=hours_ago), True)
        for done in dones:
            await connection.execute(differ, run_id, done)
    await connection.fetchval(run, "a", "single", NOW, True)
    # one that is long over, of a connector that nobody runs any more
    await connection.execute(differ, await connection.fetchval(run, "b", "bulk", NOW - timedelta(days=3), True), None)
    assert await read(connection, "reconcile_differences") == [Sample(2.0, 9, 1, {"connector": "a"})]
    # after a run that failed nothing is known
    await connection.fetchval(run, "a", "bulk", NOW, False)
    assert await read(connection, "reconcile_differences") == []


def test_every_shipped_rule_looks_at_something_that_is_measured() -> None:
    for rule in SHIPPED:
        assert rule.everywhere is (BY_NAME[rule.metric].scope is Scope.TENANT), rule.name
        assert rule.since <= VERSION


@pytest.mark.parametrize(
    ("name", "comparison", "threshold"),
    [
        ("ApiErrorsHigh", ">", 1),
        ("DatabasePoolBusy", ">", 80),
        ("CacheHitRateLow", "<", 70),
        ("WebSocketDisconnects", ">", 5),
        ("ApiLatencyHigh", ">", 500),
        ("WebhookDeliveriesFailing", ">", 5),
    ],
)
def test_thresholds_are_those_of_the_deployment_document(name: str, comparison: str, threshold: float) -> None:
    rule = next(rule for rule in SHIPPED if rule.name == name)
    assert (rule.comparison, rule.threshold) == (Comparison(comparison), threshold)


def test_no_data_is_an_alert_unless_there_may_be_nothing_to_measure() -> None:
    assert {rule.name for rule in SHIPPED if rule.no_data is not NoData.ALERT} == {
        rule.name for rule in SHIPPED if rule.everywhere
    }


async def test_every_tenant_gets_the_rules_and_keeps_what_it_made_of_them(connection) -> None:
    assert await seed(connection) == len(SHIPPED)
    await connection.execute("delete from alerts.rule where name = 'LoaderLag'")
    await connection.execute("update alerts.rule set threshold = 9 where name = 'ApiErrorsHigh'")
    other = (await create_tenant(connection, "other")).id
    assert await seed(connection) == sum(rule.everywhere for rule in SHIPPED)
    assert await seed(connection) == 0
    rows = await connection.fetch("select tenant_id, name, threshold from alerts.rule where tenant_id <> $1", other)
    assert {row["name"] for row in rows} == {rule.name for rule in SHIPPED} - {"LoaderLag"}
    assert {row["threshold"] for row in rows if row["name"] == "ApiErrorsHigh"} == {9}


def the_product() -> Alerting:
    """Return what a process has that judges by the product's own metrics, without a mail server."""
    settings = Settings(_env_file=None)
    return Alerting.of(settings, METRICS, Outbox(Mailer(settings), ()))


async def test_a_hub_without_traffic_alerts_nobody(worker_pool: Pool, connection) -> None:
    """Also just after its start, when no minute has been told yet."""
    watch = the_product()
    for number in range(40):
        now = NOW + number * timedelta(seconds=15)
        if number >= 2:
            await count(worker_pool, Tally(), now)
        assert await one_round(worker_pool, watch, now) is not None
    assert await connection.fetch("select alert_type from alerts.alert") == []


async def test_when_no_process_tells_its_minutes_that_is_an_alert(worker_pool: Pool, connection) -> None:
    watch = the_product()
    await count(worker_pool, Tally())
    for number in range(60):
        await one_round(worker_pool, watch, NOW + number * timedelta(seconds=15))
    assert await connection.fetchval("select count(*) from alerts.notification") > 0
    rows = await connection.fetch("select alert_type, no_data from alerts.alert order by alert_type")
    assert all(row["no_data"] for row in rows)
    assert "ApiErrorsHigh" in {row["alert_type"] for row in rows}


async def test_one_error_at_night_wakes_nobody_and_a_hundred_do(worker_pool: Pool, connection) -> None:
    watch = the_product()
    raised = []
    for number in range(40):
        now = NOW + number * timedelta(seconds=15)
        tally = Tally()
        tally.api.count(500, 0.01)
        for _ in range(1 if number < 20 else 100):
            tally.api.count(500 if number >= 20 else 200, 0.01)
        await count(worker_pool, tally if number % 4 == 0 else Tally(), now)
        outcome = await one_round(worker_pool, watch, now)
        assert outcome is not None
        raised += [number] * outcome.raised
    rows = await connection.fetch("select alert_type from alerts.alert")
    assert [row["alert_type"] for row in rows] == ["ApiErrorsHigh"]
    assert raised[0] > 20


@pytest.mark.parametrize("package", ["mainstem.vault", "mainstem.webhooks"])
async def test_every_query_of_the_metrics_can_be_prepared(connection, package: str) -> None:
    for query in load_queries(package, "measures.sql").values():
        assert await connection.prepare(query)
