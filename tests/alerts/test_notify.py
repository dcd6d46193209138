"""What people are told: groups, repeats, silences, mails that survive a dead server and a killed process."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from alerts.watching import START, STEP, Gauge, add_rule, alerting, no_shipped_rules, rounds, told
from hypothesis import given
from hypothesis import strategies as st
from postbox import mailing

from mainstem.alerts import store
from mainstem.alerts.notify import mailed
from mainstem.alerts.run import Alerting, one_round
from mainstem.platform import outbox
from mainstem.platform.db import Pool, load_queries, transaction
from mainstem.platform.mail import Mailer
from mainstem.platform.measure import Sample
from mainstem.platform.settings import Settings

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def tenant(connection: asyncpg.Connection) -> int:
    """Return the tenant default, which has no shipped rules here."""
    await no_shipped_rules(connection)
    return await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")


def mailer_to(url: str) -> Mailer:
    return Mailer(Settings(_env_file=None, smtp_url=url, mail_from="alerts@hub.example.org"))


async def send(pool: Pool, url: str, at=START) -> int:
    """Send what is due at a time."""
    return await outbox.send_due(pool, mailer_to(url), now=lambda: at, on_outcome=mailed)


async def deliveries(connection: asyncpg.Connection) -> list[tuple]:
    rows = await connection.fetch("select delivery_status, delivery_error from alerts.alert order by alert_id")
    return [tuple(row) for row in rows]


def endpoints(tenant_id: int, *ids: int, value: float = 900) -> list[Sample]:
    return [Sample(value, 10, tenant_id, {"webhook_id": str(one)}) for one in ids]


async def test_alerts_of_a_group_are_told_together_as_alertmanager_would(
    worker_pool: Pool, connection, tenant: int
) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=30, description="Look at the endpoint.")
    gauge = Gauge("latency", samples=endpoints(tenant, 1, 2))
    watch = alerting(gauge)
    await rounds(worker_pool, watch, 0, 1)
    assert await told(connection, "alert.notified") == []
    gauge.samples = endpoints(tenant, 1, 2, 3)
    await rounds(worker_pool, watch, 2, 2)
    (body,) = await told(connection, "alert.notified")
    assert (body["version"], body["status"], body["receiver"], body["truncatedAlerts"]) == ("4", "firing", "default", 0)
    assert (body["groupLabels"], body["commonLabels"]) == (
        {"alertname": "Slow"},
        {"alertname": "Slow", "severity": "warning", "tenant": "default"},
    )
    assert body["commonAnnotations"] == {"description": "Look at the endpoint."}
    assert body["externalURL"] == "https://hub.example.org"
    assert (body["alert_id"], body["alert_ids"]) == (1, [1, 2, 3])
    first = body["alerts"][0]
    assert first == {
        "status": "firing",
        "labels": {"alertname": "Slow", "severity": "warning", "tenant": "default", "webhook_id": "1"},
        "annotations": {
            "summary": "Slow: 900 ms, above 500 ms (webhook_id 1)",
            "description": "Look at the endpoint.",
        },
        "startsAt": "2026-05-01T12:00:00.000000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://hub.example.org/api/v1/alerts/1",
        "fingerprint": first["fingerprint"],
    }
    assert set(body) >= {"groupKey"}


async def test_the_end_is_told_after_the_interval_with_what_goes_on(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0, group_interval_s=60)
    gauge = Gauge("latency", samples=endpoints(tenant, 1, 2))
    watch = alerting(gauge)
    await rounds(worker_pool, watch, 0, 0)
    gauge.samples = endpoints(tenant, 1)
    await rounds(worker_pool, watch, 1, 4)
    first, second = await told(connection, "alert.notified")
    assert (first["status"], second["status"]) == ("firing", "firing")
    assert [one["status"] for one in second["alerts"]] == ["firing", "resolved"]
    gauge.samples = endpoints(tenant, 1, value=1)
    await rounds(worker_pool, watch, 5, 8)
    last = (await told(connection, "alert.notified"))[-1]
    assert (last["status"], [one["status"] for one in last["alerts"]]) == ("resolved", ["resolved"])
    assert last["alerts"][0]["endsAt"] == "2026-05-01T12:01:15.000000Z"
    assert await connection.fetch("select from alerts.alert_group") == []


async def test_what_goes_on_is_repeated_until_somebody_acknowledges(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0, group_interval_s=15, repeat_interval_s=60)
    watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)))
    await rounds(worker_pool, watch, 0, 8)
    assert len(await told(connection, "alert.notified")) == 3
    async with transaction(worker_pool) as work:
        await store.acknowledge(work, tenant, [1], by="user:1", notes=None, now=START)
    await rounds(worker_pool, watch, 9, 40)
    assert len(await told(connection, "alert.notified")) == 3
    assert await connection.fetchval("select count(*) from alerts.alert") == 1
    reasons = await connection.fetch("select reason from alerts.notification order by notification_id")
    assert [row["reason"] for row in reasons] == ["new", "repeat", "repeat"]


async def test_a_silence_keeps_people_from_being_told_until_it_ends(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0, group_interval_s=15)
    await connection.execute(
        "insert into alerts.silence (tenant_id, matchers, starts_at, ends_at, created_by, comment) "
        """values ($1, '[{"name": "webhook_id", "value": "1", "is_equal": true}]', $2, $3, 'cli', 'works')""",
        tenant,
        START - MINUTE,
        START + MINUTE,
    )
    watch = alerting(Gauge("latency", samples=endpoints(tenant, 1, 2)))
    await rounds(worker_pool, watch, 0, 3)
    (body,) = await told(connection, "alert.notified")
    assert [one["labels"]["webhook_id"] for one in body["alerts"]] == ["2"]
    raised = await told(connection, "alert.raised")
    assert [one["suppressed_by"] for one in raised] == [[1], []]
    assert [status for status, _ in await deliveries(connection)] == ["pending", "delivered"]
    await rounds(worker_pool, watch, 4, 5)
    body = (await told(connection, "alert.notified"))[-1]
    assert [one["labels"]["webhook_id"] for one in body["alerts"]] == ["1", "2"]


async def test_what_was_over_before_its_time_is_told_to_nobody(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=60)
    gauge = Gauge("latency", samples=endpoints(tenant, 1))
    watch = alerting(gauge)
    await rounds(worker_pool, watch, 0, 0)
    gauge.samples = endpoints(tenant, 1, value=1)
    await rounds(worker_pool, watch, 1, 8)
    assert await told(connection, "alert.notified") == []
    assert await deliveries(connection) == [("delivered", None)]
    assert await connection.fetch("select from alerts.alert_group") == []


async def test_rules_that_are_told_alike_share_a_group(worker_pool: Pool, connection, tenant: int) -> None:
    shared = {"group_by": [], "group_wait_s": 0}
    await add_rule(connection, tenant, "Slow", "latency", **shared)
    await add_rule(connection, tenant, "VerySlow", "latency", **shared, severity="CRITICAL")
    await add_rule(connection, tenant, "Other", "latency", **shared, receivers=["ana@example.com"])
    with mailing() as box:
        watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)), smtp=box.url, mail_to=["ops@example.com"])
        await rounds(worker_pool, watch, 0, 0)
        await send(worker_pool, box.url)
    assert sorted((mail["to"], mail["subject"]) for _, mail in box.mails) == [
        ("ana@example.com", "[FIRING:1] WARNING Other (default)"),
        ("ops@example.com", "[FIRING:2] CRITICAL Slow and 1 more (default)"),
    ]


async def test_a_mail_says_what_is_wrong_since_when_and_what_to_do(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0, description="Look at the endpoint.")
    with mailing() as box:
        watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)), smtp=box.url, mail_to=["ops@example.com"])
        await rounds(worker_pool, watch, 0, 0)
        assert await deliveries(connection) == [("pending", None)]
        assert await send(worker_pool, box.url) == 1
        assert await send(worker_pool, box.url) == 0
    ((_, mail),) = box.mails
    text = mail.get_content().replace("\r\n", "\n")
    assert "Slow: 900 ms, above 500 ms (webhook_id 1)" in text
    assert "since 2026-05-01 14:00:00 CEST" in text
    assert "Look at the endpoint." in text
    assert "https://hub.example.org/api/v1/alerts/1" in text
    assert "mainstem alerts ack 1" in text
    assert await deliveries(connection) == [("delivered", None)]


async def test_a_dead_mail_server_loses_nothing(worker_pool: Pool, connection, tenant: int) -> None:
    with mailing() as box:
        url = box.url
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0)
    watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)), smtp=url, mail_to=["ops@example.com"])
    await rounds(worker_pool, watch, 0, 0)
    assert await send(worker_pool, url) == 1
    ((status, error),) = await deliveries(connection)
    assert status == "pending"
    assert "can't be reached" in error
    # not again before its time
    assert await send(worker_pool, url, START + timedelta(seconds=5)) == 0
    with mailing(port=int(url.rpartition(":")[2])) as box:
        assert await send(worker_pool, url, START + MINUTE) == 1
    assert box.subjects() == ["[FIRING:1] WARNING Slow (default)"]
    assert await deliveries(connection) == [("delivered", None)]


async def test_after_a_day_a_mail_is_given_up_and_the_alert_says_so(worker_pool: Pool, connection, tenant: int) -> None:
    with mailing() as box:
        url = box.url
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0)
    watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)), smtp=url, mail_to=["ops@example.com"])
    await rounds(worker_pool, watch, 0, 0)
    now, tries = START, 0
    while await connection.fetchval("select status from platform.mail") == "pending":
        now = await connection.fetchval("select next_attempt_at from platform.mail")
        tries += await send(worker_pool, url, now)
    assert timedelta(hours=23) < now - START <= timedelta(days=1)
    assert 90 < tries < 130
    ((status, error),) = await deliveries(connection)
    assert (status, "can't be reached" in error) == ("failed", True)


async def test_a_refused_receiver_does_not_keep_the_others_waiting(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0)
    with mailing() as box:
        box.refused["gone@example.com"] = "550 no such user"
        both = ["gone@example.com", "ops@example.com"]
        watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)), smtp=box.url, mail_to=both)
        await rounds(worker_pool, watch, 0, 0)
        await send(worker_pool, box.url)
    rows = await connection.fetch("select receiver, status from platform.mail order by receiver")
    assert [tuple(row) for row in rows] == [("gone@example.com", "failed"), ("ops@example.com", "delivered")]
    assert (await deliveries(connection))[0][0] == "delivered"


async def test_when_every_receiver_is_refused_delivery_failed(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0)
    with mailing(refuse="550 no such user") as box:
        watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)), smtp=box.url, mail_to=["gone@example.com"])
        await rounds(worker_pool, watch, 0, 0)
        await send(worker_pool, box.url)
    assert await deliveries(connection) == [("failed", "The mail server answered 550 no such user")]


async def test_without_a_mail_server_nothing_is_queued(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0, receivers=["ana@example.com"])
    await rounds(worker_pool, alerting(Gauge("latency", samples=endpoints(tenant, 1))), 0, 0)
    assert await connection.fetch("select from platform.mail") == []
    assert await deliveries(connection) == [("delivered", None)]


async def test_killed_between_the_change_and_the_mail(worker_pool: Pool, connection, tenant: int) -> None:
    """Whoever has claimed a mail and dies leaves it to the next one, with the same Message-ID."""
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0)
    with mailing() as box:
        watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)), smtp=box.url, mail_to=["ops@example.com"])
        await rounds(worker_pool, watch, 0, 0)
        claimed = await connection.fetch(
            load_queries("mainstem.platform", "outbox.sql")["claim"], START, 8, START + outbox.LEASE
        )
        assert len(claimed) == 1
        assert await send(worker_pool, box.url, START + outbox.LEASE - STEP) == 0
        assert await send(worker_pool, box.url, START + outbox.LEASE) == 1
    assert [mail["message-id"] for _, mail in box.mails] == [claimed[0]["message_id"]]


async def test_a_change_that_is_rolled_back_sends_no_mail(worker_pool: Pool, connection, tenant: int) -> None:
    """The notification and its mails are one transaction."""
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0)
    await connection.execute("alter table platform.mail add constraint no check (receiver <> 'ops@example.com')")
    with mailing() as box:
        watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)), smtp=box.url, mail_to=["ops@example.com"])
        await rounds(worker_pool, watch, 0, 0)
        assert await told(connection, "alert.notified") == []
        await connection.execute("alter table platform.mail drop constraint no")
        await rounds(worker_pool, watch, 1, 1)
        assert len(await told(connection, "alert.notified")) == 1
        assert await send(worker_pool, box.url, START + MINUTE) == 1


async def test_two_senders_send_each_mail_once(worker_pool: Pool, connection, tenant: int) -> None:
    receivers = [f"r{number}@example.com" for number in range(20)]
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0, receivers=receivers)
    with mailing() as box:
        watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)), smtp=box.url)
        await rounds(worker_pool, watch, 0, 0)
        while any(await asyncio.gather(*(send(worker_pool, box.url) for _ in range(4)))):
            pass
    assert sorted(mail["to"] for _, mail in box.mails) == sorted(receivers)
    assert await deliveries(connection) == [("delivered", None)]


async def test_the_sender_sends_by_itself(worker_pool: Pool, connection, tenant: int) -> None:
    stop = asyncio.Event()
    with mailing() as box:
        settings = Settings(_env_file=None, smtp_url=box.url, mail_from="a@example.com", mail_to=["ops@example.com"])
        mails = outbox.Outbox(Mailer(settings), settings.mail_to)
        async with transaction(worker_pool) as work:
            await mails.to_operators(work, tenant, "Webhook Orders keeps failing", "text")
        loop = asyncio.create_task(outbox.run(worker_pool, Mailer(settings), stop, on_outcome=mailed))
        await asyncio.to_thread(box.wait, 1)
        stop.set()
        await asyncio.wait_for(loop, 10)
    assert box.subjects() == ["Webhook Orders keeps failing"]


async def test_with_judging_off_rules_rest(worker_pool: Pool, connection, tenant: int) -> None:
    """With judging off, what is sent to the API is told all the same."""
    watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)))
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0)
    off = Alerting(watch.metrics, watch.teller, watch.interval, judges=False)
    outcome = await one_round(worker_pool, off, START)
    assert outcome is not None
    assert outcome.raised == 0
    assert await connection.fetch("select from alerts.alert") == []


async def test_old_mails_go(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0)
    with mailing() as box:
        watch = alerting(Gauge("latency", samples=endpoints(tenant, 1)), smtp=box.url, mail_to=["ops@example.com"])
        await rounds(worker_pool, watch, 0, 0)
        assert await outbox.prune(connection, START + timedelta(days=400)) == 0
        await send(worker_pool, box.url)
    assert await outbox.prune(connection, START) == 0
    assert await outbox.prune(connection, START + STEP) == 1


async def test_old_alerts_go_with_what_was_told_of_them(worker_pool: Pool, connection, tenant: int) -> None:
    await add_rule(connection, tenant, "Slow", "latency", group_wait_s=0, group_interval_s=15)
    gauge = Gauge("latency", samples=endpoints(tenant, 1))
    watch = alerting(gauge)
    await rounds(worker_pool, watch, 0, 1)
    assert await store.prune(connection, START + timedelta(days=400)) == 0
    gauge.samples = endpoints(tenant, 1, value=1)
    await rounds(worker_pool, watch, 2, 4)
    assert await store.prune(connection, START) == 0
    assert await store.prune(connection, START + timedelta(days=1)) == 3
    assert await connection.fetchval("select count(*) from alerts.notification") == 0


async def test_every_query_of_the_outbox_can_be_prepared(connection: asyncpg.Connection) -> None:
    for query in load_queries("mainstem.platform", "outbox.sql").values():
        assert await connection.prepare(query)


@given(st.integers(1, 200), st.integers(0, 2 * 86_400), st.floats(0, 1))
def test_attempts_come_later_and_later_and_end_after_a_day(attempts: int, age_s: int, luck: float) -> None:
    now = START + timedelta(seconds=age_s)
    again = outbox.next_attempt(attempts, START, now, luck=luck)
    if again is None:
        assert age_s > 86_400 - 1.2 * outbox.LONGEST_PAUSE.total_seconds()
        return
    assert again <= START + outbox.GIVEN_UP_AFTER
    assert outbox.FIRST_PAUSE * 0.8 <= again - now <= outbox.LONGEST_PAUSE * 1.2
    later = outbox.next_attempt(attempts + 1, START, now, luck=luck)
    assert later is None or later >= again
