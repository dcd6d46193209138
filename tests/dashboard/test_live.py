"""The WebSocket contract, spoken by real clients to a real server."""

import asyncio
import json
import logging
import time
from datetime import timedelta
from uuid import UUID

import jwt
import pytest
from clusters import DurableCluster
from siting import load_all, loading
from watching import QUICK, Timing, Watcher, land, serving, until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mainstem.platform import sessions, users
from mainstem.platform.db import transaction
from mainstem.platform.tally import TALLY

ALERT = {"alert_id": 5, "severity": "CRITICAL", "message": "p99 is 800 ms", "webhook_id": None}
STATUS = {"webhook_id": 3, "webhook_name": "Orders", "health_status": "degraded", "success_rate_percent": 45.2}


@pytest.fixture
async def served(dsn):
    async with serving(dsn) as served:
        yield served


@pytest.fixture
async def key(served):
    return await served.key()


@pytest.fixture
async def loader(dsn):
    async with loading(dsn) as loader:
        yield loader


# subscriptions


async def test_a_subscription_is_confirmed_with_how_things_are(served, key):
    async with served.watching(key, "metrics", "webhooks", "events") as watcher:
        confirmation = watcher.confirmation
        assert confirmation["types"] == ["metrics", "webhooks", "events"]
        assert confirmation["subscriptions"] == ["events", "metrics", "webhooks"]
        assert confirmation["timestamp"].endswith("Z")
        assert confirmation["snapshot"]["webhooks"] == confirmation["snapshot"]["events"] == []
        metrics = await watcher.next()
        assert metrics["type"] == "metrics_update"
        assert metrics["data"] == confirmation["snapshot"]["metrics"]
        assert metrics["data"].keys() >= {
            "total_deliveries",
            "pending_deliveries",
            "failed_deliveries",
            "success_rate_percent",
            "active_webhooks",
            "degraded_webhooks",
            "p50_latency_ms",
            "p95_latency_ms",
            "p99_latency_ms",
            "error_rate_percent",
            "cache_hit_rate_percent",
            "average_response_time_ms",
        }


async def test_nothing_is_sent_before_somebody_subscribes(served, key):
    async with served.watching(key) as watcher, served.watching(key, "alerts") as other:
        await served.tell(1, "alert_new", ALERT)
        await other.next("alert_new")
        assert await watcher.until_pong() == []


async def test_j_alerts_and_webhooks_reach_who_subscribed_to_them(served, key):
    async with served.watching(key, "alerts") as alerts, served.watching(key, "webhooks") as webhooks:
        await served.tell(1, "alert_new", ALERT)
        await served.tell(1, "webhook_status_changed", STATUS)
        await served.tell(1, "alert_changed", {"alert_id": 5, "status": "acknowledged"})
        found = await alerts.next("alert_new")
        assert found["data"] == ALERT
        assert found["timestamp"].endswith("Z")
        assert (await alerts.next())["data"] == {"alert_id": 5, "status": "acknowledged"}
        assert (await webhooks.next())["data"] == STATUS
        assert [message["type"] for message in await webhooks.until_pong()] == []


async def test_unsubscribing_ends_it(served, key):
    async with served.watching(key, "alerts", "webhooks") as watcher, served.watching(key, "alerts") as other:
        await watcher.send(action="unsubscribe", types=["alerts"])
        confirmation = await watcher.next()
        assert (confirmation["type"], confirmation["types"]) == ("unsubscribe_confirmed", ["alerts"])
        assert confirmation["subscriptions"] == ["webhooks"]
        await served.tell(1, "alert_new", ALERT)
        await other.next("alert_new")
        assert await watcher.until_pong() == []
        await served.tell(1, "webhook_status_changed", STATUS)
        await watcher.next("webhook_status_changed")


async def test_ping_and_misunderstandings_are_answered(served, key):
    async with served.watching(key) as watcher:
        await watcher.send(action="ping")
        pong = await watcher.next()
        assert (pong["type"], pong["data"]) == ("pong", {"total_connections": 1})
        for text, code in (
            ("{", "invalid_json"),
            ("[]", "invalid_message"),
            ('{"action":"dance"}', "unknown_action"),
            ('{"action":"subscribe","types":"alerts"}', "invalid_message"),
            ('{"action":"subscribe","types":["orders"]}', "unknown_type"),
        ):
            await watcher.connection.send(text)
            answer = await watcher.next()
            assert (answer["type"], answer["code"]) == ("error", code)
            assert answer["message"]
        await watcher.connection.send(b'{"action":"ping"}')
        assert (await watcher.next())["type"] == "pong"
        await watcher.send(action="subscribe", types=["orders", "alerts"])
        assert [(await watcher.next())["type"] for _ in range(2)] == ["error", "subscription_confirmed"]


async def test_the_alerts_address_subscribes_at_once_with_what_is_open(dsn):
    async def open_alerts(connection, tenant_id):
        return [{"alert_id": tenant_id * 10 + await connection.fetchval("select 1")}]

    async with serving(dsn, alerts=open_alerts) as served:
        key = await served.key()
        headers = {"Authorization": f"Bearer {key}"}
        async with connect(served.address.replace("dashboard", "alerts"), additional_headers=headers) as socket:
            watcher = Watcher(socket)
            confirmation = await watcher.next()
            assert (confirmation["type"], confirmation["types"]) == ("subscription_confirmed", ["alerts"])
            assert confirmation["snapshot"] == {"alerts": [{"alert_id": 11}]}
            await served.tell(1, "alert_new", ALERT)
            assert (await watcher.next())["data"] == ALERT
        async with connect(served.address.replace("/api/v1", ""), additional_headers=headers) as socket:
            assert await Watcher(socket).until_pong() == []


async def test_what_happens_while_the_state_is_read_comes_after_it(dsn):
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(_connection, _tenant_id):
        reading.set()
        await go_on.wait()
        return []

    async with serving(dsn, alerts=slowly) as served:
        key = await served.key()
        async with served.watching(key) as watcher, served.watching(key, "webhooks") as other:
            await watcher.send(action="subscribe", types=["alerts"])
            await reading.wait()
            await served.tell(1, "alert_new", ALERT)
            await served.tell(1, "webhook_status_changed", STATUS)
            await other.next("webhook_status_changed")
            go_on.set()
            assert [(await watcher.next())["type"] for _ in range(2)] == ["subscription_confirmed", "alert_new"]


async def test_a_fault_in_a_state_costs_only_the_state(dsn):
    async def broken(connection, _tenant_id):
        return await connection.fetchval("select 1 / 0")

    async with serving(dsn, alerts=broken) as served:
        key = await served.key()
        async with served.watching(key, "alerts") as watcher:
            assert "snapshot" not in watcher.confirmation
            assert (await watcher.next())["code"] == "internal"
            await served.tell(1, "alert_new", ALERT)
            assert (await watcher.next())["data"] == ALERT
            # nobody is told that the database is away, nor is it tried for ever
            assert await watcher.until_pong() == []


async def test_metrics_are_sent_when_they_changed_and_only_then(served, key, connection):
    async with served.watching(key, "metrics") as watcher:
        first = await watcher.next("metrics_update")
        await connection.execute(
            "insert into business.pipeline_total (tenant_id, loaded, updated_at) values (1, 41, now())"
        )
        changed = await watcher.next("metrics_update")
        assert (first["data"]["events_loaded"], changed["data"]["events_loaded"]) == (0, 41)
        # a later change proves that the ticks before it sent nothing
        await connection.execute("update business.pipeline_total set loaded = 42")
        await watcher.next("metrics_update")
        assert [
            message["data"]["events_loaded"] for message in watcher.seen if message["type"] == "metrics_update"
        ] == [
            0,
            41,
            42,
        ]


async def test_j_one_heartbeat_serves_everybody(dsn):
    """The original started one for each connection, and each of them told everybody."""
    async with serving(dsn, timing=Timing(heartbeat_s=0.3)) as served:
        other = await served.key(await served.tenant("other"))
        key = await served.key()
        async with served.watching(key) as one, served.watching(key) as two, served.watching(other) as foreign:
            beats = [await asyncio.gather(*(each.next() for each in (one, two, foreign))) for _ in range(3)]
        for mine, same, others in beats:
            assert mine["type"] == "heartbeat"
            assert mine == same
            assert (mine["active_connections"], others["active_connections"]) == (2, 1)


# events


async def test_events_are_shown_when_they_are_loaded(served, key, dsn, connection, loader):
    async with served.watching(key, "events") as watcher:
        await land(dsn, 1, message_id="order-7", source="shop", subject="7", data={"total": 12.5, "who": "Zoë"})
        event = await watcher.next("event")
        assert event["data"]["event_id"] == "order-7"
        assert (event["data"]["kind"], event["data"]["source"], event["data"]["subject"]) == ("order.paid", "shop", "7")
        assert event["data"]["data"] == {"total": 12.5, "who": "Zoë"}
        assert event["data"]["received_at"].endswith("Z")
        assert event["left_out"] == 0
    await load_all(connection, loader)
    async with served.watching(key, "events") as watcher:
        assert [one["event_id"] for one in watcher.confirmation["snapshot"]["events"]] == ["order-7"]


async def test_tell_can_bring_an_event_too(served, key):
    async with served.watching(key, "events") as watcher:
        await served.tell(1, "event", {"kind": "import.done"})
        assert (await watcher.next())["data"] == {"kind": "import.done"}


# whose


async def test_no_message_reaches_another_tenant(served, key, dsn, loader):
    other_id = await served.tenant("other")
    other = await served.key(other_id)
    topics = ("metrics", "alerts", "webhooks", "events")
    async with served.watching(key, *topics) as mine, served.watching(other, *topics) as foreign:
        for tenant_id in (1, other_id):
            await served.tell(tenant_id, "alert_new", {"alert_id": tenant_id})
            await served.tell(tenant_id, "webhook_status_changed", {"webhook_id": tenant_id})
            await land(dsn, 3, tenant_id=tenant_id, subject=f"of {tenant_id}")
        for watcher, tenant_id in ((mine, 1), (foreign, other_id)):
            events = [await watcher.next("event") for _ in range(3)]
            assert {event["data"]["subject"] for event in events} == {f"of {tenant_id}"}
            while not any((message.get("data") or {}).get("events_loaded") == 3 for message in watcher.seen):
                await watcher.next()
            for message in watcher.seen:
                data = message.get("data") or {}
                assert data.get("alert_id", tenant_id) == data.get("webhook_id", tenant_id) == tenant_id
            assert [one["type"] for one in watcher.seen].count("alert_new") == 1
            assert [one["type"] for one in watcher.seen].count("event") == 3


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ({"uri": "?token=KEY"}, None),
        ({"additional_headers": {"Authorization": "Bearer KEY"}}, None),
        ({"additional_headers": {"X-API-Key": "KEY"}}, None),
        ({"subprotocols": ["mainstem", "bearer.KEY"]}, None),
        ({"subprotocols": ["bearer.KEY"]}, None),
        ({}, 1008),
        ({"uri": "?token=nope"}, 1008),
        ({"uri": "?token=KEYx"}, 1008),
        ({"additional_headers": {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}}, 1008),
    ],
)
async def test_a_token_may_stand_where_a_client_can_put_it(served, key, place, code):
    options = json.loads(json.dumps(place).replace("KEY", key))
    uri = served.address + options.pop("uri", "")
    async with connect(uri, **options) as socket:
        watcher = Watcher(socket)
        if code is None:
            assert await watcher.until_pong() == []
            assert socket.subprotocol in {None, "mainstem", f"bearer.{key}"}
        else:
            assert (await watcher.closed())[0] == code


async def test_a_key_without_the_scope_is_refused(served):
    async with served.watching(await served.key(1, "ingest")) as watcher:
        assert await watcher.closed() == (1008, "This needs the scope read.")


async def test_a_page_of_elsewhere_is_refused(served, key):
    async with served.watching(key, additional_headers={"Origin": "https://evil.example"}) as watcher:
        assert await watcher.closed() == (1008, "Pages of this origin may not connect.")
    async with served.watching(key, additional_headers={"Origin": served.url}) as watcher:
        assert await watcher.until_pong() == []


async def test_a_token_ends_the_connection_at_its_second(dsn):
    async with serving(dsn, timing=Timing(tokens_s=3_600)) as served:
        token = await served.token(await served.user(), timedelta(seconds=3))
        ends_at = int(jwt.decode(token, options={"verify_signature": False})["exp"])
        async with served.watching(token, "alerts") as watcher:
            assert await watcher.closed() == (1008, "The token has expired.")
            assert ends_at <= time.time() < ends_at + 1
        await served.clients(0)


async def test_a_token_ends_it_also_when_its_timer_does_not(served):
    """Clocks are set, and no timer runs for longer than a year."""
    token = await served.token(await served.user(), timedelta(hours=1))
    async with served.watching(token, "alerts") as watcher:
        next(iter(served.live.clients)).expires_at = 1
        assert await watcher.closed() == (1008, "The token has expired.")


async def test_an_expired_token_is_refused(served):
    token = await served.token(await served.user(), timedelta(seconds=-1))
    async with served.watching(token) as watcher:
        assert (await watcher.closed())[0] == 1008


async def test_a_revoked_key_is_closed_and_the_others_stay(served, key):
    revoked = await served.key()
    async with served.watching(revoked, "alerts") as watcher, served.watching(key, "alerts") as other:
        await served.revoke(revoked)
        assert await watcher.closed() == (1008, "This key or user may not read any more.")
        assert await other.until_pong() == []


async def test_a_disabled_user_is_closed(served):
    user_id = await served.user()
    async with served.watching(await served.token(user_id, timedelta(hours=1))) as watcher:
        assert await watcher.until_pong() == []
        async with transaction(served.owner_pool) as connection:
            await users.set_disabled(connection, user_id, disabled=True)
        assert (await watcher.closed())[0] == 1008


async def test_a_session_that_ends_is_closed_and_the_persons_others_stay(served):
    user_id = await served.user()
    first, second = [await served.token(user_id, timedelta(hours=1)) for _ in range(2)]
    ended = UUID(jwt.decode(first, options={"verify_signature": False})["sid"])
    async with served.watching(first) as watcher, served.watching(second) as other:
        assert await other.until_pong() == []
        async with transaction(served.owner_pool) as connection:
            await sessions.end(connection, 1, user_id, ended)
        assert await watcher.closed() == (1008, "This key or user may not read any more.")
        assert await other.until_pong() == []


async def test_a_token_is_in_no_log_line(served, key, caplog, capsys):
    token = await served.token(await served.user(), timedelta(hours=1))
    # the test's own client logs what it sends
    quiet = logging.getLogger("quiet")
    quiet.setLevel(logging.CRITICAL)
    # whoever configures logging may set every logger that is known
    logging.getLogger("uvicorn.error.websockets").setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        for secret in (key, token):
            for query, options in (
                (f"?token={secret}", {}),
                ("", {"subprotocols": [f"bearer.{secret}"]}),
                ("", {"additional_headers": {"Authorization": f"Bearer {secret}"}}),
            ):
                async with connect(served.address + query, logger=quiet, **options) as socket:
                    await Watcher(socket).until_pong()
            with pytest.raises(InvalidStatus):
                await connect(f"{served.address}x?token={secret}", logger=quiet)
    lines = caplog.text + capsys.readouterr().out
    assert "live_ended" in lines
    assert key not in lines
    assert token not in lines


# bounds


async def test_a_message_that_is_too_large_ends_the_connection(served, key):
    async with served.watching(key) as watcher:
        await watcher.connection.send('{"action":"ping","x":"' + "x" * 65_536 + '"}')
        assert (await watcher.closed())[0] == 1009


async def test_a_flood_of_messages_ends_the_connection(served, key):
    async with served.watching(key) as watcher, served.watching(key) as other:
        for _ in range(200):
            await watcher.send(action="ping")
        assert await watcher.closed() == (1008, "Too many messages.")
        assert await other.until_pong() == []


async def test_the_number_of_connections_is_bounded(dsn):
    async with serving(dsn, live_max_connections=3, live_max_connections_per_tenant=2) as served:
        key, other_id = await served.key(), await served.tenant("other")
        other = await served.key(other_id)
        async with served.watching(key, "alerts") as one, served.watching(key, "alerts"):
            async with served.watching(key) as refused:
                assert await refused.closed() == (1013, "Too many connections of this tenant.")
            async with served.watching(other, "alerts"), served.watching(other) as refused:
                assert await refused.closed() == (1013, "Too many connections; try again later.")
            await one.connection.close()
            await served.clients(1)
            async with served.watching(key) as again:
                assert await again.until_pong() == []


async def test_clients_that_leave_are_forgotten(served, key):
    lost = TALLY.ws_disconnects
    async with served.watching(key, "alerts"), served.watching(key, "alerts") as gone:
        await served.clients(2)
        gone.connection.transport.abort()
        await served.clients(1)
        assert TALLY.ws_disconnects == lost + 1
    await served.clients(0)
    # one that says goodbye is no disconnect
    assert TALLY.ws_disconnects == lost + 1


async def test_two_hundred_clients_get_every_message(served, key):
    async def watch(watcher):
        return [(await watcher.next("alert_new"))["data"]["alert_id"] for _ in range(20)]

    contexts = [served.watching(key, "alerts") for _ in range(200)]
    watchers = await asyncio.gather(*(context.__aenter__() for context in contexts))
    try:
        for number in range(20):
            await served.tell(1, "alert_new", {"alert_id": number})
        assert await asyncio.gather(*map(watch, watchers)) == [list(range(20))] * 200
    finally:
        await asyncio.gather(*(context.__aexit__(None, None, None) for context in contexts))


# the database


async def test_clients_outlive_the_database_and_get_the_state_anew(durable_cluster: DurableCluster):
    async with serving(durable_cluster.dsn, timing=QUICK) as served:
        key = await served.key()
        async with served.watching(key, "alerts", "metrics") as watcher, served.watching(key) as idle:
            durable_cluster.stop()
            away = await watcher.next("error")
            assert away["code"] == "database_unavailable"
            assert (await idle.next("error"))["code"] == "database_unavailable"
            # who subscribes now is confirmed without a state, and gets it later
            await idle.send(action="subscribe", types=["webhooks"])
            confirmation = await idle.next("subscription_confirmed")
            assert "snapshot" not in confirmation
            assert (await idle.next())["code"] == "database_unavailable"
            durable_cluster.start()
            again = await watcher.next("subscription_confirmed")
            assert (again["types"], set(again["snapshot"])) == (["alerts", "metrics"], {"alerts", "metrics"})
            assert (await idle.next("subscription_confirmed"))["snapshot"] == {"webhooks": []}
            await until(lambda: served.live._listener.up)
            await served.tell(1, "alert_new", ALERT)
            assert (await watcher.next("alert_new"))["data"] == ALERT
            errors = [message for message in watcher.seen if message["type"] == "error"]
            assert len(errors) == 1


async def test_a_lost_listener_brings_the_state_anew(dsn, connection):
    """Signals may have been missed, however short it was."""
    async with serving(dsn, timing=Timing(watch_s=1.5)) as served:
        key = await served.key()
        async with served.watching(key, "alerts") as watcher:
            killed = await connection.fetch(
                """select pg_terminate_backend(pid) from pg_stat_activity
                   where application_name = 'mainstem listener' and datname = current_database()"""
            )
            assert len(killed) == 1
            assert (await watcher.next("subscription_confirmed"))["snapshot"] == {"alerts": None}
            await served.tell(1, "alert_new", ALERT)
            await watcher.next("alert_new")


async def test_a_client_may_come_while_the_database_is_away(durable_cluster: DurableCluster):
    async with serving(durable_cluster.dsn, timing=QUICK) as served:
        key = await served.key()
        async with served.watching(key, "alerts"):
            durable_cluster.stop()
            await until(lambda: not served.live._listener.up)
            # known from a moment ago
            async with served.watching(key) as known:
                await known.send(action="subscribe", types=["alerts"])
                assert "snapshot" not in await known.next("subscription_confirmed")
                # never seen: whether it is good can't be told now
                async with connect(served.address + "?token=ms_live_unknown") as socket:
                    assert (await Watcher(socket).closed())[0] == 1013
                durable_cluster.start()
                assert (await known.next("subscription_confirmed"))["snapshot"] == {"alerts": None}
