"""Rounds against the database: episodes, tenants, no data, restarts, faults, two processes."""

import asyncio
import json
from datetime import timedelta

import asyncpg
import pytest
from alerts.watching import START, STEP, Gauge, add_rule, alerting, no_shipped_rules, rounds, told

from mainstem.alerts import run as rounds_of
from mainstem.alerts import store
from mainstem.alerts.run import one_round, run, watched
from mainstem.platform.db import Pool, create_pool, load_queries, transaction
from mainstem.platform.health import UnhealthyError
from mainstem.platform.measure import Sample, Scope
from mainstem.platform.tenants import create_tenant


@pytest.fixture
async def tenant(connection: asyncpg.Connection) -> int:
    """Return the tenant default, which has no shipped rules here."""
    await no_shipped_rules(connection)
    return await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")


async def alerts(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    return await connection.fetch("select * from alerts.alert order by alert_id")


async def test_an_episode_from_beginning_to_end(worker_pool: Pool, connection, tenant: int) -> None:
    gauge = Gauge("latency", samples=[Sample(900, 10, tenant, {"webhook_id": "7", "webhook": "Orders"})])
    rule = await add_rule(connection, tenant, "Slow", "latency", for_s=60, keep_firing_s=30, labels='{"team": "a"}')
    watch = alerting(gauge)
    assert (await rounds(worker_pool, watch, 0, 3)).raised == 0
    assert await alerts(connection) == []
    assert await connection.fetchval("select phase from alerts.instance") == "pending"
    assert (await rounds(worker_pool, watch, 4, 8)).raised == 1
    (alert,) = await alerts(connection)
    assert (alert["status"], alert["rule_id"], alert["webhook_id"], alert["value"]) == ("firing", rule, 7, 900)
    assert (alert["started_at"], alert["created_at"]) == (START, START + 4 * STEP)
    assert alert["message"] == "Slow: 900 ms, above 500 ms (webhook_id 7, webhook Orders)"
    assert json.loads(alert["labels"]) == {
        "alertname": "Slow",
        "severity": "warning",
        "tenant": "default",
        "team": "a",
        "webhook_id": "7",
        "webhook": "Orders",
    }
    gauge.samples = [Sample(100, 10, tenant, {"webhook_id": "7", "webhook": "Orders"})]
    assert (await rounds(worker_pool, watch, 9, 10)).resolved == 0
    assert (await rounds(worker_pool, watch, 11, 11)).resolved == 1
    (alert,) = await alerts(connection)
    assert (alert["status"], alert["resolved_at"], alert["resolved_by"]) == ("resolved", START + 11 * STEP, None)
    assert await connection.fetch("select from alerts.instance") == []
    (raised,) = await told(connection, "alert.raised")
    (resolved,) = await told(connection, "alert.resolved")
    assert raised["alert_id"] == resolved["alert_id"] == alert["alert_id"]
    assert (raised["status"], resolved["status"], raised["webhook_id"]) == ("firing", "resolved", 7)


async def test_a_new_occurrence_is_a_new_alert(worker_pool: Pool, connection, tenant: int) -> None:
    gauge = Gauge("latency")
    await add_rule(connection, tenant, "Slow", "latency")
    watch = alerting(gauge)
    for number, value in enumerate((900, 100, 900)):
        gauge.samples = [Sample(value, 10, tenant)]
        await rounds(worker_pool, watch, number, number)
    first, second = await alerts(connection)
    assert first["alert_id"] != second["alert_id"]
    assert first["fingerprint"] == second["fingerprint"]
    assert [first["status"], second["status"]] == ["resolved", "firing"]


async def test_each_thing_that_a_rule_looks_at_stands_for_itself(worker_pool: Pool, connection, tenant: int) -> None:
    gauge = Gauge("latency", samples=[Sample(900, 10, tenant, {"webhook_id": str(one)}) for one in (1, 2, 3)])
    await add_rule(connection, tenant, "Slow", "latency")
    watch = alerting(gauge)
    assert (await rounds(worker_pool, watch, 0, 0)).raised == 3
    # the second is well, the third is no more
    gauge.samples = [Sample(900, 10, tenant, {"webhook_id": "1"}), Sample(1, 10, tenant, {"webhook_id": "2"})]
    assert (await rounds(worker_pool, watch, 1, 1)).resolved == 2
    assert [(row["webhook_id"], row["status"]) for row in await alerts(connection)] == [
        (1, "firing"),
        (2, "resolved"),
        (3, "resolved"),
    ]


async def test_tenants_do_not_meet(worker_pool: Pool, api_pool: Pool, connection, tenant: int) -> None:
    other = (await create_tenant(connection, "other")).id
    await no_shipped_rules_of(connection, other)
    gauge = Gauge("latency", samples=[Sample(900, 10, tenant), Sample(900, 10, other)])
    for one in (tenant, other):
        await add_rule(connection, one, "Slow", "latency")
    assert (await rounds(worker_pool, alerting(gauge), 0, 0)).raised == 2
    for one in (tenant, other):
        async with transaction(api_pool, tenant_id=one) as request:
            rows = await request.fetch("select tenant_id from alerts.alert union all select tenant_id from alerts.rule")
        assert [row["tenant_id"] for row in rows] == [one, one]


async def no_shipped_rules_of(connection: asyncpg.Connection, tenant_id: int) -> None:
    await connection.execute("insert into alerts.seeded values ($1, 1000)", tenant_id)


async def test_figures_of_the_installation_are_for_those_who_run_it(worker_pool: Pool, connection, tenant: int) -> None:
    other = (await create_tenant(connection, "other")).id
    await no_shipped_rules_of(connection, other)
    gauge = Gauge("pool", Scope.INSTALLATION, [Sample(900, 10)])
    for one in (tenant, other):
        await add_rule(connection, one, "Busy", "pool")
    await rounds(worker_pool, alerting(gauge), 0, 0)
    assert [row["tenant_id"] for row in await alerts(connection)] == [tenant]


async def test_a_metric_is_read_once_a_round_for_each_window(worker_pool: Pool, connection, tenant: int) -> None:
    gauge = Gauge("latency", samples=[Sample(900, 10, tenant)])
    for number, window_s in enumerate((300, 300, 600)):
        await add_rule(connection, tenant, f"Slow{number}", "latency", window_s=window_s)
    await rounds(worker_pool, alerting(gauge), 0, 0)
    assert sorted(gauge.windows) == [timedelta(seconds=300), timedelta(seconds=600)]


class TestNoData:
    async def test_alerts_after_two_minutes_and_says_so(self, worker_pool: Pool, connection, tenant: int) -> None:
        await add_rule(connection, tenant, "Blind", "latency", no_data="alert")
        watch = alerting(Gauge("latency"))
        assert (await rounds(worker_pool, watch, 0, 7)).raised == 0
        assert (await rounds(worker_pool, watch, 8, 8)).raised == 1
        (alert,) = await alerts(connection)
        assert (alert["no_data"], alert["value"]) == (True, None)
        assert alert["message"] == "Blind: nothing is known of latency."

    async def test_of_a_metric_that_nobody_measures(self, worker_pool: Pool, connection, tenant: int) -> None:
        await add_rule(connection, tenant, "Blind", "reconcile_differences", no_data="alert")
        await add_rule(connection, tenant, "Patient", "reconcile_differences", no_data="ok")
        await rounds(worker_pool, alerting(), 0, 8)
        assert [row["alert_type"] for row in await alerts(connection)] == ["Blind"]

    async def test_of_a_metric_that_can_not_be_read(self, worker_pool: Pool, connection, tenant: int) -> None:
        await add_rule(connection, tenant, "Blind", "broken", no_data="alert")
        await add_rule(connection, tenant, "Slow", "latency")
        broken = Gauge("broken", error="select 1/0")
        watch = alerting(broken, Gauge("latency", samples=[Sample(900, 10, tenant)]))
        await rounds(worker_pool, watch, 0, 8)
        assert [row["alert_type"] for row in await alerts(connection)] == ["Slow", "Blind"]

    async def test_ends_with_data(self, worker_pool: Pool, connection, tenant: int) -> None:
        await add_rule(connection, tenant, "Blind", "latency", no_data="alert")
        gauge = Gauge("latency")
        watch = alerting(gauge)
        await rounds(worker_pool, watch, 0, 8)
        gauge.samples = [Sample(1, 10, tenant)]
        assert (await rounds(worker_pool, watch, 9, 9)).resolved == 1


async def test_a_rule_that_is_switched_off_or_deleted_ends_its_alerts(
    worker_pool: Pool, connection, tenant: int
) -> None:
    off = await add_rule(connection, tenant, "Off", "latency")
    gone = await add_rule(connection, tenant, "Gone", "latency")
    watch = alerting(Gauge("latency", samples=[Sample(900, 10, tenant)]))
    await rounds(worker_pool, watch, 0, 0)
    await connection.execute("update alerts.rule set enabled = false where rule_id = $1", off)
    await connection.execute("delete from alerts.rule where rule_id = $1", gone)
    assert (await rounds(worker_pool, watch, 1, 1)).resolved == 2
    assert [(row["status"], row["resolved_by"]) for row in await alerts(connection)] == [("resolved", "rule")] * 2
    assert await connection.fetch("select from alerts.instance") == []


async def test_acknowledged_alerts_go_on_and_end(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency")
    gauge = Gauge("latency", samples=[Sample(900, 10, tenant)])
    watch = alerting(gauge)
    await rounds(worker_pool, watch, 0, 0)
    (alert,) = await alerts(connection)
    async with transaction(worker_pool) as work:
        await store.acknowledge(work, tenant, [alert["alert_id"]], by="user:1", notes="looking", now=START)
    assert (await rounds(worker_pool, watch, 1, 3)).raised == 0
    assert (await alerts(connection))[0]["status"] == "acknowledged"
    gauge.samples = [Sample(1, 10, tenant)]
    await rounds(worker_pool, watch, 4, 4)
    (alert,) = await alerts(connection)
    assert (alert["status"], alert["acknowledged_by"], alert["notes"]) == ("resolved", "user:1", "looking")


async def test_what_somebody_ended_by_hand_begins_anew_while_it_lasts(
    worker_pool: Pool, connection, tenant: int
) -> None:
    await add_rule(connection, tenant, "Slow", "latency")
    watch = alerting(Gauge("latency", samples=[Sample(900, 10, tenant)]))
    await rounds(worker_pool, watch, 0, 0)
    async with transaction(worker_pool) as work:
        await store.resolve(work, tenant, [1], START, by="cli")
    await rounds(worker_pool, watch, 1, 1)
    assert [row["status"] for row in await alerts(connection)] == ["resolved", "firing"]


async def test_a_restart_changes_nothing(dsn: str, connection, tenant: int) -> None:
    """Every round by a new process: all that is known is in the database."""
    await add_rule(connection, tenant, "Slow", "latency", for_s=60, keep_firing_s=30)
    for number in range(12):
        value = 900 if number < 6 else 1
        pool = await create_pool(dsn, role="worker", max_size=1)
        await rounds(pool, alerting(Gauge("latency", samples=[Sample(value, 10, tenant)])), number, number)
        await pool.close()
    (alert,) = await alerts(connection)
    assert (alert["created_at"], alert["resolved_at"]) == (START + 4 * STEP, START + 8 * STEP)


async def test_two_processes_judge_once(worker_pool: Pool, dsn: str, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0)
    other = await create_pool(dsn, role="worker", max_size=2)
    watch = alerting(Gauge("latency", samples=[Sample(900, 10, tenant)]))
    both = await asyncio.gather(*(one_round(pool, watch, START) for pool in (worker_pool, other) * 3))
    assert [one is not None for one in both].count(True) == 1
    assert await one_round(other, watch, START + STEP / 2) is None
    assert await one_round(other, watch, START + STEP) is not None
    assert len(await alerts(connection)) == 1
    assert len(await told(connection, "alert.raised")) == len(await told(connection, "alert.notified")) == 1
    await other.close()


async def test_a_leader_that_dies_is_replaced(worker_pool: Pool, dsn: str, connection, tenant: int) -> None:
    leader = await asyncpg.connect(dsn)
    await leader.execute(load_queries("mainstem.alerts", "judge.sql")["try_lead"])
    watch = alerting()
    assert await one_round(worker_pool, watch, START) is None
    leader.terminate()
    async with asyncio.timeout(10):
        while await one_round(worker_pool, watch, START) is None:
            pass


async def test_a_leader_that_is_frozen_is_replaced(
    worker_pool: Pool, dsn: str, tenant: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds_of, "_FROZEN", "200ms")
    frozen = await create_pool(dsn, role="worker", max_size=1)
    async with frozen.acquire() as connection, rounds_of._leading(connection) as ours:
        assert ours
        assert await one_round(worker_pool, alerting(), START) is None
        # says nothing more, as a stopped process
        async with asyncio.timeout(10):
            while await one_round(worker_pool, alerting(), START) is None:
                pass
    await frozen.close()


async def test_a_round_of_a_clock_that_was_ahead_does_not_stop_the_others(worker_pool: Pool, tenant: int) -> None:
    watch = alerting()
    assert await one_round(worker_pool, watch, START + timedelta(days=1)) is not None
    assert await one_round(worker_pool, watch, START) is not None


async def test_a_tenant_that_can_not_be_judged_harms_no_other(worker_pool: Pool, connection, tenant: int) -> None:
    other = (await create_tenant(connection, "other")).id
    await no_shipped_rules_of(connection, other)
    for one in (tenant, other):
        await add_rule(connection, one, "Slow", "latency")
    await connection.execute(f"alter table alerts.alert add constraint no check (tenant_id <> {tenant})")
    gauge = Gauge("latency", samples=[Sample(900, 10, tenant), Sample(900, 10, other)])
    await rounds(worker_pool, alerting(gauge), 0, 0)
    assert [row["tenant_id"] for row in await alerts(connection)] == [other]
    await connection.execute("alter table alerts.alert drop constraint no")
    assert (await rounds(worker_pool, alerting(gauge), 1, 1)).raised == 1


async def test_a_round_that_is_killed_changes_nothing(worker_pool: Pool, dsn: str, connection, tenant: int) -> None:
    """Between the alert and its event: both or neither."""
    await add_rule(connection, tenant, "Slow", "latency")
    await connection.execute(
        "create function die() returns trigger language plpgsql as "
        "$$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$"
    )
    await connection.execute("create trigger die before insert on raw.batch for each row execute function die()")
    watch = alerting(Gauge("latency", samples=[Sample(900, 10, tenant)]))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await one_round(worker_pool, watch, START)
    assert await alerts(connection) == []
    await connection.execute("drop trigger die on raw.batch")
    assert (await rounds(worker_pool, watch, 1, 1)).raised == 1
    assert len(await told(connection, "alert.raised")) == 1


async def test_the_health_page_knows_when_nobody_judges(worker_pool: Pool, tenant: int) -> None:
    watch = alerting()
    with pytest.raises(UnhealthyError, match="not been judged yet"):
        await watched(worker_pool, watch, START)
    await one_round(worker_pool, watch, START)
    assert await watched(worker_pool, watch, START + STEP) == {"last_round_at": "2026-05-01T12:00:00.000000Z"}
    with pytest.raises(UnhealthyError, match="Rules are not judged"):
        await watched(worker_pool, watch, START + timedelta(minutes=3))


async def test_the_loop_judges_by_itself_and_survives_the_database(durable_cluster) -> None:
    pool = await create_pool(durable_cluster.dsn, role="worker", min_size=0, max_size=2)
    stop = asyncio.Event()
    loop = asyncio.create_task(run(pool, alerting(interval=timedelta(milliseconds=50)), stop))
    await rules_after(durable_cluster.dsn, 0)
    durable_cluster.restart()
    connection = await asyncpg.connect(durable_cluster.dsn)
    await connection.execute("update alerts.round set at = '-infinity'")
    await connection.execute("insert into platform.tenant (slug, name) values ('late', 'Late')")
    before = await connection.fetchval("select count(*) from alerts.rule")
    await connection.close()
    await rules_after(durable_cluster.dsn, before)
    stop.set()
    await asyncio.wait_for(loop, 10)
    await pool.close()


async def rules_after(dsn: str, before: int) -> None:
    connection = await asyncpg.connect(dsn)
    async with asyncio.timeout(20):
        while await connection.fetchval("select count(*) from alerts.rule") <= before:
            pass
    await connection.close()


@pytest.mark.parametrize("file", ["queries.sql", "rules.sql", "judge.sql"])
async def test_every_query_can_be_prepared(connection: asyncpg.Connection, file: str) -> None:
    for query in load_queries("mainstem.alerts", file).values():
        assert await connection.prepare(query)
