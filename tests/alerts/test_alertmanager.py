"""Alerts by webhook: endpoints subscribe to `alert.*`; a bare one gets what a receiver of Alertmanager understands."""

from datetime import UTC, datetime

import asyncpg
import httpx
from links.visiting import loaded, serving
from standardwebhooks.webhooks import Webhook
from webhooks.receiver import receiving

from mainstem.alerts.run import one_round
from mainstem.hub import Hub
from mainstem.platform.keys import create_key

# the fields of Alertmanager's webhook, https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
BODY = {
    "version": str,
    "groupKey": str,
    "truncatedAlerts": int,
    "status": str,
    "receiver": str,
    "groupLabels": dict,
    "commonLabels": dict,
    "commonAnnotations": dict,
    "externalURL": str,
    "alerts": list,
}
ALERT = {
    "status": str,
    "labels": dict,
    "annotations": dict,
    "startsAt": str,
    "endsAt": str,
    "generatorURL": str,
    "fingerprint": str,
}


async def tell_now(connection: asyncpg.Connection, hub: Hub) -> None:
    """Let every group be due, and tell."""
    await connection.execute("update alerts.alert_group set due_at = now()")
    await connection.execute("update alerts.round set at = '-infinity'")
    assert await one_round(hub.worker_pool, hub.alerting, datetime.now(UTC)) is not None


async def test_a_receiver_of_alertmanager_gets_alerts_and_their_end(dsn, tmp_path, connection) -> None:
    settings = {"alerts_enabled": False, "outbound_allow": ["127.0.0.0/8"], "public_url": "https://hub.example.org"}
    async with receiving() as receiver, serving(dsn, tmp_path, **settings) as (client, hub):
        key = (await create_key(connection, 1, scopes=["admin"], label="test")).key
        client.headers.update({"authorization": f"Bearer {key}", "accept": "*/*"})
        hook = {"name": "on-call", "url": receiver.url(), "events": ["alert.notified"], "envelope": "bare"}
        made = (await client.post("/api/v1/webhooks", json=hook)).json()
        sent = {
            "alert_type": "backup_failed",
            "severity": "CRITICAL",
            "message": "No backup.",
            "labels": {"host": "db1"},
        }
        alert = (await client.post("/api/v1/alerts", json=sent)).json()
        await tell_now(connection, hub)
        await loaded(connection, hub)
        (request,) = await receiver.received(1)
        body = Webhook(made["secret"]).verify(request.body, request.headers)
        assert body == request.json
        assert_shape(body, BODY)
        (one,) = body["alerts"]
        assert_shape(one, ALERT)
        assert all(isinstance(value, str) for value in (*one["labels"].values(), *one["annotations"].values()))
        assert (body["status"], one["status"], body["alert_id"]) == ("firing", "firing", alert["id"])
        assert one["labels"]["host"] == "db1"
        assert one["generatorURL"] == f"https://hub.example.org/api/v1/alerts/{alert['id']}"
        await client.post(f"/api/v1/alerts/{alert['id']}/resolve")
        await tell_now(connection, hub)
        await loaded(connection, hub)
        _, second = await receiver.received(2)
        assert (second.json["status"], second.json["groupKey"]) == ("resolved", body["groupKey"])
        assert second.json["alerts"][0]["fingerprint"] == one["fingerprint"]
        assert second.json["alerts"][0]["endsAt"] > one["startsAt"]


async def test_alerts_are_in_the_delivery_queue_of_the_sql_contract(dsn, tmp_path, connection) -> None:
    settings = {"alerts_enabled": False, "outbound_allow": ["127.0.0.0/8"]}
    async with receiving() as receiver, serving(dsn, tmp_path, **settings) as (client, hub):
        key = (await create_key(connection, 1, scopes=["admin"], label="test")).key
        client.headers.update({"authorization": f"Bearer {key}", "accept": "*/*"})
        await client.post("/api/v1/webhooks", json={"name": "all", "url": receiver.url(), "events": ["alert.*"]})
        await raise_and_acknowledge(client)
        await tell_now(connection, hub)
        await loaded(connection, hub)
        await receiver.received(2)
    rows = await connection.fetch(
        "select alert_id, message_body ->> 'type' as type, message_body #> '{data,alert_id}' as told "
        "from api.alert_delivery_queue order by delivery_id"
    )
    assert [(row["alert_id"], row["type"], row["told"]) for row in rows] == [
        (1, "alert.raised", "1"),
        (1, "alert.acknowledged", "1"),
    ]


async def raise_and_acknowledge(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/alerts", json={"alert_type": "a", "severity": "INFO", "message": "m"})
    await client.post("/api/v1/alerts/1/ack", json={"notes": "known"})


def assert_shape(found: dict, wanted: dict[str, type]) -> None:
    assert set(found) >= set(wanted)
    assert {name: type(found[name]) for name in wanted} == wanted
