"""The webhooks API: endpoints made, changed, tested, rotated; deliveries read, sent again, replayed; figures."""

import asyncio
import base64
import json
import os
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from links.visiting import loaded, serving
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from webhooks.hooking import add_deliveries, add_endpoint, counters
from webhooks.receiver import Receiver, status, until

from mainstem.platform.db import create_pool
from mainstem.platform.keys import create_key
from mainstem.platform.tenants import create_tenant
from mainstem.webhooks.replay import Replayer

HOOKS = "/api/v1/webhooks"
URL = "https://hooks.example.com/in"
ANSWERED = """id uid name url events is_active active description health_status total_deliveries successful_deliveries
  failed_deliveries success_rate_percent avg_response_time_ms consecutive_failures disabled_reason created_at updated_at"""


@pytest.fixture
async def desk(dsn, tmp_path, connection):
    """Yield (client with an admin key of tenant default, hub); receivers on loopback may be reached."""
    async with serving(dsn, tmp_path, rate_limit_requests=100_000, outbound_allow=["127.0.0.0/8"]) as (client, hub):
        client.headers.update({"authorization": f"Bearer {await key(connection, 'admin')}", "accept": "*/*"})
        yield client, hub


async def key(connection, *scopes, tenant="default") -> str:
    tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = $1", tenant)
    return (await create_key(connection, tenant_id, scopes=list(scopes), label="test")).key


async def made(client: httpx.AsyncClient, **fields: object) -> dict:
    answer = await client.post(HOOKS, json={"name": "shop", "url": URL, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def got(client: httpx.AsyncClient, path: str, **query: object) -> dict:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def sent(client: httpx.AsyncClient, connection, hub, *events: dict) -> None:
    """Send custom events and return when they are loaded, with their deliveries queued."""
    answer = await client.post("/api/v1/events/batch", json={"events": list(events)})
    assert answer.status_code == 200, answer.text
    await loaded(connection, hub)


async def settled(connection, endpoint_id: int) -> tuple[int, int, int]:
    """Return the counters of an endpoint as soon as nothing waits for it."""
    await until(connection, "select not exists (select from webhooks.queue where endpoint_id = $1)", endpoint_id)
    return await counters(connection, endpoint_id)


async def attempted(connection, endpoint_id: int, attempts: int) -> None:
    """Return as soon as so many attempts are written down."""
    await until(
        connection, "select attempts >= $2 from webhooks.endpoint_total where endpoint_id = $1", endpoint_id, attempts
    )


# endpoints


async def test_an_endpoint_is_made_found_changed_and_deleted(desk, connection):
    client, _ = desk
    secret = "whsec_" + base64.b64encode(os.urandom(24)).decode()
    hook = await made(
        client,
        events=["order.*", "page.viewed", "order.*"],
        description="Orders",
        secret=secret,
        headers={"Authorization": "Bearer hidden-value", "X-Shop": "7"},
        timeout_seconds=2.5,
        retry_policy={"max_retries": 3},
        rate_limit=50,
        filter={"total": {"$gte": 100}},
        is_active=True,
    )
    assert hook.pop("secret") == secret
    assert set(ANSWERED.split()) <= set(hook)
    assert (hook["events"], hook["header_names"]) == (["order.*", "page.viewed"], ["Authorization", "X-Shop"])
    assert (hook["timeout_seconds"], hook["is_active"], hook["active"]) == (2.5, True, True)
    assert (hook["health_status"], hook["total_deliveries"], hook["success_rate_percent"]) == ("unknown", 0, None)
    path = f"{HOOKS}/{hook['id']}"
    assert await got(client, path) == hook
    changed = (await client.put(path, json={"name": "orders", "filter": None, "headers": {"X-New": "1"}})).json()
    assert (changed["name"], changed["filter"], changed["header_names"]) == ("orders", None, ["X-New"])
    assert (changed["description"], changed["rate_limit"], changed["url"]) == ("Orders", 50, URL)
    cleared = (await client.patch(path, json={"description": None, "rate_limit": None, "timeout_seconds": None})).json()
    assert (cleared["description"], cleared["rate_limit"], cleared["timeout_seconds"]) == (None, None, 15)
    listed = await got(client, HOOKS)
    assert (listed["total"], listed["page"], listed["pages"], listed["items"]) == (1, 1, 1, [cleared])
    assert listed["webhooks"] == listed["items"]
    assert "secret" not in listed["items"][0]
    assert (await client.delete(path)).status_code == 204
    gone = await client.get(path)
    assert (gone.status_code, gone.json()["detail"], gone.json()["code"]) == (
        404,
        f"Webhook {hook['id']} not found",
        "not_found",
    )
    assert (await client.delete(path)).status_code == 404
    assert (await got(client, HOOKS))["total"] == 0
    events = await connection.fetch("select kind, subject, data::text as data from raw.event order by raw_id")
    assert [row["kind"].rpartition("_")[2] for row in events] == ["created", "updated", "updated", "deleted"]
    assert {row["subject"] for row in events} == {f"webhook:{hook['id']}"}
    assert json.loads(events[1]["data"])["changed"] == ["filter", "header_names", "headers", "name"]
    kept = str(await connection.fetch("select row_to_json(e)::text, data::text from webhooks.endpoint e, raw.event"))
    for hidden in (secret, secret[10:], "hidden-value"):
        assert hidden not in kept


async def test_a_change_that_changes_nothing_is_no_event(desk, connection):
    client, _ = desk
    hook = await made(client, headers={"X-A": "1"})
    again = await client.patch(f"{HOOKS}/{hook['id']}", json={"name": "shop", "events": ["*"], "active": True})
    assert again.json()["updated_at"] == hook["updated_at"]
    assert await connection.fetchval("select count(*) from raw.event") == 1


async def test_every_change_is_told_to_all_processes(desk, connection, dsn):
    client, _ = desk
    told: list[str] = []
    await connection.add_listener("mainstem_webhooks", lambda *message: told.append(message[-1]))
    hook = await made(client)
    path = f"{HOOKS}/{hook['id']}"
    await client.patch(path, json={"name": "other"})
    await client.post(f"{path}/disable")
    await client.post(f"{path}/rotate-secret")
    await client.delete(path)
    await connection.execute("select")
    assert told == [str(hook["id"])] * 5


async def test_what_can_not_be_is_said_with_its_field(desk):
    client, _ = desk
    hook = await made(client)
    short = "whsec_" + base64.b64encode(bytes(23)).decode()
    good = "whsec_" + base64.b64encode(bytes(32)).decode()
    for fields, field, code in [
        ({"name": ""}, "name", "string_too_short"),
        ({"name": None}, "name", None),
        ({"url": "https://user:pw@example.com/in"}, "url", "invalid_field"),
        ({"events": ["order.paid", "order.**"]}, "events[1]", "invalid_field"),
        ({"headers": {"webhook-id": "1"}}, "headers", "invalid_field"),
        ({"filter": {"name": "\ud800"}}, "filter", "invalid_field"),
        ({"retry_policy": {"tries": 3}}, "retry_policy", "invalid_field"),
        ({"secret": short}, "secret", None),
        ({"secret": good, "signature": "ed25519"}, "secret", None),
        ({"colour": "red"}, "colour", "extra_forbidden"),
    ]:
        json_body = {"headers": {"content-type": "application/json"}}
        answer = await client.post(HOOKS, content=json.dumps({"name": "shop", "url": URL, **fields}), **json_body)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
        changed = await client.patch(f"{HOOKS}/{hook['id']}", content=json.dumps(fields), **json_body)
        assert (changed.status_code, changed.json()["field"]) == (422, next(iter(fields)) if code is None else field)
        if code is not None:
            assert answer.json()["errors"][0]["code"] if "errors" in answer.json() else answer.json()["code"] == code
    assert (await got(client, HOOKS))["items"] == [{name: hook[name] for name in hook if name != "secret"}]


@pytest.mark.parametrize(
    "url",
    [
        *(
            "javascript:alert(1)",
            "http://10.0.0.7/in",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]:8000/in",
        ),
        *("http://[fe80::1]/in", "http://localhost:8000/in"),
    ],
)
async def test_defect_e_dangerous_addresses_are_refused(dsn, tmp_path, connection, url):
    """`javascript:alert(1)` was taken, and so was any address inside."""
    async with serving(dsn, tmp_path) as (client, _):
        client.headers["authorization"] = f"Bearer {await key(connection, 'admin')}"
        answer = await client.post(HOOKS, json={"name": "bad", "url": url})
        assert (answer.status_code, answer.json()["field"]) == (422, "url"), answer.text
        unknown = await client.post(HOOKS, json={"name": "later", "url": "https://not-yet.invalid/in"})
        assert unknown.status_code == 201


@pytest.mark.parametrize("flag", ["is_active", "active"])
async def test_defect_e_an_endpoint_is_made_switched_off(desk, flag):
    """`is_active: false` was ignored, the answer said active."""
    client, _ = desk
    hook = await made(client, **{flag: False})
    assert (hook["is_active"], hook["active"], hook["health_status"]) == (False, False, "disabled")
    on = (await client.put(f"{HOOKS}/{hook['id']}", json={flag: True})).json()
    assert (on["is_active"], on["active"], on["health_status"], on["disabled_reason"]) == (True, True, "unknown", None)
    both = await client.put(f"{HOOKS}/{hook['id']}", json={"is_active": True, "active": False})
    assert both.status_code == 422


async def test_endpoints_are_limited_listed_and_filtered(dsn, tmp_path, connection):
    settings = {"rate_limit_requests": 100_000, "webhook_endpoints_max": 5}
    async with serving(dsn, tmp_path, **settings) as (client, _):
        client.headers["authorization"] = f"Bearer {await key(connection, 'admin')}"
        hooks = [await made(client, name=f"hook {number}", is_active=number != 2) for number in range(5)]
        full = await client.post(HOOKS, json={"name": "more", "url": URL})
        assert (full.status_code, full.json()["code"]) == (409, "too_many_endpoints")
        page = await got(client, HOOKS, page=2, page_size=2)
        assert ([one["name"] for one in page["items"]], page["total"], page["pages"]) == (["hook 2", "hook 3"], 5, 3)
        off = await got(client, HOOKS, is_active="false")
        assert ([one["id"] for one in off["items"]], off["total"]) == ([hooks[2]["id"]], 1)
        assert (await got(client, HOOKS, health_status="disabled"))["total"] == 1
        assert (await got(client, HOOKS, health_status="failing"))["total"] == 0
        await client.delete(f"{HOOKS}/{hooks[0]['id']}")
        assert (await client.post(HOOKS, json={"name": "more", "url": URL})).status_code == 201


async def test_endpoints_are_switched_off_and_on(desk, connection, receiver: Receiver):
    client, hub = desk
    hook = await made(client, url=receiver.url(), events=["order.paid"])
    path = f"{HOOKS}/{hook['id']}"
    receiver.answers["/hook"] = status(500)
    await sent(client, connection, hub, {"kind": "order.paid", "data": {}})
    await attempted(connection, hook["id"], 1)
    off = (await client.post(f"{path}/disable")).json()
    assert (off["is_active"], off["disabled_reason"], off["pending_deliveries"]) == (
        False,
        "Switched off by hand.",
        1,
    )
    assert (await client.post(f"{path}/disable")).status_code == 200
    await connection.execute("update webhooks.endpoint_total set failing_since = now(), warned = 2")
    await connection.execute("update webhooks.queue set due_at = now()")
    receiver.answers.clear()
    on = (await client.post(f"{path}/enable")).json()
    assert (on["is_active"], on["disabled_reason"]) == (True, None)
    await settled(connection, hook["id"])
    assert len(receiver.requests) == 2
    total = await connection.fetchrow("select failing_since, warned from webhooks.endpoint_total")
    assert tuple(total) == (None, 0)
    kinds = [
        row["kind"] for row in await connection.fetch("select kind from raw.event where kind like 'webhook.endpoint%'")
    ]
    assert kinds == ["webhook.endpoint_created", "webhook.endpoint_disabled", "webhook.endpoint_enabled"]


# secrets and signatures


async def test_defect_g_deliveries_are_signed_and_have_an_id(desk, connection, receiver: Receiver):
    """There was no signature, no id, and redirects were followed."""
    client, _ = desk
    hook = await made(client, url=receiver.url(), headers={"X-Shop": "7"})
    receiver.answers["/hook"] = status(302, Location=receiver.url("/elsewhere"))
    await client.post(f"{HOOKS}/{hook['id']}/test")
    receiver.answers.clear()
    told = (await client.post(f"{HOOKS}/{hook['id']}/test")).json()
    first, second = receiver.requests
    assert {first.path, second.path} == {"/hook"}
    assert second.headers["x-shop"] == "7"
    assert second.headers["webhook-id"] == told["message_id"] != first.headers["webhook-id"]
    body = Webhook(hook["secret"]).verify(second.body, second.headers)
    assert body["type"] == "webhook.test"
    with pytest.raises(WebhookVerificationError):
        Webhook(hook["secret"]).verify(second.body.replace(b"test", b"best"), second.headers)


async def test_a_test_tells_what_came_of_it(desk, connection, receiver: Receiver):
    client, _ = desk
    hook = await made(client, url=receiver.url(), events=["order.paid"], is_active=False)
    receiver.answers["/hook"] = status(503, "not today")
    told = (await client.post(f"{HOOKS}/{hook['id']}/test")).json()
    assert (told["success"], told["status_code"], told["response"]) == (False, 503, "not today")
    assert told["is_active"] is False
    assert "switched off" in told["message"]
    shown = await got(client, f"/api/v1/deliveries/{told['delivery_id']}")
    assert (shown["status"], shown["event_kind"], shown["attempts"]) == ("failed", "webhook.test", 1)
    receiver.answers.clear()
    assert (await client.post(f"{HOOKS}/{hook['id']}/test")).json()["success"] is True
    await client.patch(f"{HOOKS}/{hook['id']}", json={"url": "http://127.0.0.1:1/hook"})
    away = (await client.post(f"{HOOKS}/{hook['id']}/test")).json()
    assert (away["success"], away["status_code"]) == (False, None)
    assert "No connection" in away["error"]
    assert await counters(connection, hook["id"]) == (0, 1, 2)
    assert (await client.post(f"{HOOKS}/999999/test")).status_code == 404


async def test_a_rotated_secret_signs_until_its_grace_is_over(desk, connection, receiver: Receiver):
    client, _ = desk
    hook = await made(client, url=receiver.url())
    path = f"{HOOKS}/{hook['id']}"
    new = (await client.post(f"{path}/rotate-secret", json={"grace_hours": 1})).json()
    assert new["secret"] != hook["secret"]
    until = datetime.fromisoformat(new["rotating_until"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < until <= timedelta(hours=1)
    await client.post(f"{path}/test")
    for secret in (hook["secret"], new["secret"]):
        Webhook(secret).verify(receiver.requests[-1].body, receiver.requests[-1].headers)
    own = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    last = (await client.post(f"{path}/rotate-secret", json={"grace_hours": 0, "secret": own})).json()
    assert last["secret"] == own
    await client.post(f"{path}/test")
    signatures = receiver.requests[-1].headers["webhook-signature"].split()
    assert len(signatures) == 2
    Webhook(own).verify(receiver.requests[-1].body, receiver.requests[-1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new["secret"]).verify(receiver.requests[-1].body, receiver.requests[-1].headers)
    for _ in range(7):
        await client.post(f"{path}/rotate-secret")
    assert await connection.fetchval("select count(*) from webhooks.secret") == 5
    assert (await client.post(f"{path}/rotate-secret", json={"grace_hours": 169})).status_code == 422


async def test_ed25519_endpoints_show_their_public_key(desk, receiver: Receiver):
    client, _ = desk
    hook = await made(client, url=receiver.url(), signature="ed25519")
    assert hook["secret"] == hook["public_key"]
    assert hook["public_key"].startswith("whpk_")
    await client.post(f"{HOOKS}/{hook['id']}/test")
    (request,) = receiver.requests
    version, _, signature = request.headers["webhook-signature"].partition(",")
    assert version == "v1a"
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(hook["public_key"].removeprefix("whpk_")))
    public.verify(base64.b64decode(signature), signed)
    hmac = (await client.post(f"{HOOKS}/{hook['id']}/rotate-secret", json={"signature": "hmac"})).json()
    assert (hmac["signature"], hmac["public_key"], hmac["rotating_until"]) == ("hmac", None, None)
    await client.post(f"{HOOKS}/{hook['id']}/test")
    Webhook(hmac["secret"]).verify(receiver.requests[-1].body, receiver.requests[-1].headers)


# deliveries


async def test_deliveries_are_listed_with_totals_filters_and_cursors(desk, connection, receiver: Receiver):
    client, hub = desk
    hook = await made(client, url=receiver.url(), events=["order.*"], retry_policy={"schedule": [3600]})
    path = f"{HOOKS}/{hook['id']}/deliveries"
    await sent(client, connection, hub, *({"kind": "order.paid", "data": {"n": n}} for n in range(5)))
    await settled(connection, hook["id"])
    receiver.answers["/hook"] = status(400)
    await sent(client, connection, hub, {"kind": "order.lost", "data": {}}, {"kind": "lead.made", "data": {}})
    await attempted(connection, hook["id"], 6)
    listed = await got(client, path)
    assert (listed["total"], listed["total_is_exact"], listed["next_cursor"]) == (6, True, None)
    last, first = listed["items"][0], listed["items"][-1]
    assert (last["status"], last["event_kind"], last["last_status_code"]) == ("retrying", "order.lost", 400)
    assert last["next_attempt_at"] is not None
    assert (first["webhook_id"], first["status"], first["attempts"]) == (hook["id"], "delivered", 1)
    assert first["delivered_at"] == first["finished_at"]
    assert first["message_id"] == receiver.requests[0].headers["webhook-id"]
    for query, count in [
        ({"status": "delivered"}, 5),
        ({"status": "retrying"}, 1),
        ({"status": "pending"}, 0),
        ({"status": "failed"}, 0),
        ({"kind": "order.lost"}, 1),
        ({"kind": ["order.lost", "order.paid"]}, 6),
        ({"kind": "*.paid", "status": "delivered"}, 5),
        ({"kind": "lead.*"}, 0),
        ({"since": first["created_at"]}, 6),
        ({"until": first["created_at"]}, 0),
        ({"since": last["created_at"], "until": "2100-01-01T00:00:00Z"}, 1),
    ]:
        found = await got(client, path, **query)
        assert (len(found["items"]), found["total"]) == (count, count), query
    seen, cursor = [], None
    while True:
        page = await got(client, path, page_size=4, **({"cursor": cursor} if cursor else {}))
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [one["id"] for one in listed["items"]]
    second = await got(client, path, page=2, page_size=4)
    assert [one["id"] for one in second["items"]] == seen[4:]
    assert (await client.get(path, params={"cursor": "nonsense"})).status_code == 422
    assert (await client.get(path, params={"kind": "Order"})).json()["field"] == "kind[0]"
    assert (await client.get(f"{HOOKS}/999999/deliveries")).status_code == 404


async def test_a_long_history_is_neither_counted_nor_searched_from_its_end(desk, connection):
    client, _ = desk
    hook = await made(client)
    old, new = [
        await add_deliveries(connection, hook["id"], 3_000, status="delivered", made=f"now() - interval '{age}'")
        for age in ("20 days", "1 day")
    ]
    await connection.execute("update webhooks.endpoint_created set deliveries = 90000000")
    await connection.execute("analyze webhooks.delivery")
    path = f"{HOOKS}/{hook['id']}/deliveries"
    assert (await got(client, path))["total"] == 90_000_000
    until = (datetime.now(UTC) - timedelta(days=10)).isoformat()
    before = await got(client, path, until=until, page_size=1)
    assert (before["items"][0]["id"], before["total"]) == (old[-1], 3_000)
    since = await got(client, path, since=until, page_size=1)
    assert (since["items"][0]["id"], since["total"]) == (new[-1], 3_000)


async def test_a_delivery_is_shown_with_its_event_and_attempts(desk, connection, receiver: Receiver):
    client, hub = desk
    hook = await made(client, url=receiver.url(), events=["order.paid"])
    receiver.answers["/hook"] = status(500, "broken")
    event = {"kind": "order.paid", "data": {"total": 5, "email": "anna@example.com"}, "subject": "o-1"}
    await sent(client, connection, hub, event)
    await attempted(connection, hook["id"], 1)
    (listed,) = (await got(client, f"{HOOKS}/{hook['id']}/deliveries"))["items"]
    shown = await got(client, f"/api/v1/deliveries/{listed['id']}")
    assert {name: shown[name] for name in listed} == listed
    assert (shown["event"]["kind"], shown["event"]["subject"], shown["event"]["data"]["total"]) == (
        "order.paid",
        "o-1",
        5,
    )
    assert "anna@example.com" not in str(shown)
    (attempt,) = shown["attempt_log"]
    assert (attempt["number"], attempt["outcome"], attempt["status_code"], attempt["response"]) == (
        1,
        "status",
        500,
        "broken",
    )
    assert "anna@example.com" in receiver.requests[0].body.decode()
    attempts = await got(client, f"{HOOKS}/{hook['id']}/attempts")
    assert attempts == {"items": [attempt], "next_cursor": None}
    assert (await got(client, f"{HOOKS}/{hook['id']}/attempts", outcome="timeout"))["items"] == []
    receiver.answers.clear()
    again = await client.post(f"/api/v1/deliveries/{listed['id']}/resend")
    assert again.status_code == 200, again.text
    await settled(connection, hook["id"])
    page = await got(client, f"{HOOKS}/{hook['id']}/attempts", limit=1)
    assert page["items"][0]["outcome"] == "delivered"
    rest = await got(client, f"{HOOKS}/{hook['id']}/attempts", cursor=page["next_cursor"])
    assert rest["items"] == [attempt]
    for path in ("/api/v1/deliveries/999999", f"/api/v1/deliveries/{10**19}"):
        assert (await client.get(path)).status_code in {404, 422}


async def test_deliveries_are_sent_again_under_the_same_id(desk, connection, receiver: Receiver):
    client, hub = desk
    hook = await made(client, url=receiver.url(), retry_policy={"max_retries": 0}, events=["order.paid"])
    receiver.answers["/hook"] = status(500)
    await sent(client, connection, hub, {"kind": "order.paid", "data": {}})
    assert await settled(connection, hook["id"]) == (0, 0, 1)
    (dead,) = (await got(client, f"{HOOKS}/{hook['id']}/deliveries", status="failed"))["items"]
    path = f"/api/v1/deliveries/{dead['id']}/resend"
    receiver.answers.clear()
    told = (await client.post(path)).json()
    assert (told["status"], told["attempts"], len(told["attempt_log"])) == ("pending", 1, 1)
    await receiver.received(2)
    assert await settled(connection, hook["id"]) == (0, 1, 0)
    assert (await client.post(path)).status_code == 200
    await receiver.received(3)
    assert await settled(connection, hook["id"]) == (0, 1, 0)
    assert {request.headers["webhook-id"] for request in receiver.requests} == {dead["message_id"]}
    numbers = [one["number"] for one in (await got(client, f"/api/v1/deliveries/{dead['id']}"))["attempt_log"]]
    assert numbers == [1, 2, 3]
    await client.post(f"{HOOKS}/{hook['id']}/disable")
    off = await client.post(path)
    assert (off.status_code, off.json()["code"]) == (409, "webhook_disabled")
    await connection.execute("delete from webhooks.message")
    gone = await client.post(path)
    assert (gone.status_code, gone.json()["code"]) == (410, "event_gone")
    assert (await got(client, f"/api/v1/deliveries/{dead['id']}"))["event"] is None
    assert (await client.post("/api/v1/deliveries/999999/resend")).status_code == 404


async def test_two_callers_send_a_delivery_again_once(desk, connection):
    client, _ = desk
    endpoint_id = await add_endpoint(connection, url="https://not-there.invalid/in")
    # many, because callers and worker have to meet in the middle of their work to lock each other out
    for dead in await add_deliveries(connection, endpoint_id, 25, status="failed"):
        answers = await asyncio.gather(*(client.post(f"/api/v1/deliveries/{dead}/resend") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
        assert await connection.fetchval("select count(*) from webhooks.queue where delivery_id = $1", dead) <= 1
    await counters(connection, endpoint_id)


# replays


async def test_dead_letters_of_a_window_are_recovered_with_progress(dsn, tmp_path, connection):
    """The worker is elsewhere: what the answer leaves is done by slices that anybody may do."""
    endpoint_id = await add_endpoint(connection, url="https://hooks.example/in")
    since = datetime.now(UTC) - timedelta(days=2)
    await add_deliveries(connection, endpoint_id, 5, status="failed", made="now() - interval '3 days'")
    dead = await add_deliveries(connection, endpoint_id, 2_500, status="failed", made="now() - interval '1 day'")
    await add_deliveries(connection, endpoint_id, 7, status="delivered", made="now() - interval '1 day'")
    await add_deliveries(connection, endpoint_id, 4, status="failed", kind="lead.made")
    async with serving(dsn, tmp_path, works=False) as (client, _):
        client.headers["authorization"] = f"Bearer {await key(connection, 'admin')}"
        path = f"{HOOKS}/{endpoint_id}"
        body = {"since": since.isoformat(), "kinds": ["order.*"]}
        told = (await client.post(f"{path}/recover", json=body)).json()
        assert (told["mode"], told["status"], told["total"], told["done"]) == ("failed", "running", 2_500, 1_000)
        assert told["progress_percent"] == 40
        assert (await got(client, f"{path}/replays"))["items"] == [told]
        assert await got(client, f"{path}/replays/{told['id']}") == told
        second = (await client.post(f"{path}/recover", json=body)).json()
        assert (second["total"], second["requeued"]) == (1_500, 1_000)
    await finish_replays(dsn)
    rows = await connection.fetch(
        "select done, requeued, finished_at is not null from webhooks.replay order by replay_id"
    )
    # between them each was queued once
    assert (sum(row["requeued"] for row in rows), [row[2] for row in rows]) == (2_500, [True, True])
    assert await counters(connection, endpoint_id) == (2_500, 7, 9)
    queued = await connection.fetch("select delivery_id, lane, attempt from webhooks.queue order by 1")
    assert ([row["delivery_id"] for row in queued], {row["lane"] for row in queued}) == (list(dead), {1})
    assert {row["attempt"] for row in queued} == {0}


async def finish_replays(dsn: str, callers: int = 4) -> None:
    """Do what is left of all replays, by several callers at once."""
    pool = await create_pool(dsn, role="worker", max_size=callers)
    try:
        await asyncio.gather(*(Replayer(pool).do_all() for _ in range(callers)))
        await Replayer(pool).do_all()
    finally:
        await pool.close()


async def test_events_that_were_never_sent_are_delivered(desk, connection, dsn, receiver: Receiver):
    client, hub = desk
    orders = [{"kind": "order.paid", "data": {"total": n}, "message_id": f"m-{n}"} for n in range(20)]
    await sent(client, connection, hub, *orders, {"kind": "lead.made", "data": {}})
    # a repeat of an earlier event is no event
    await sent(client, connection, hub, orders[19])
    hook = await made(client, url=receiver.url(), events=["order.*"], filter={"total": {"$gte": 10}})
    await sent(client, connection, hub, {"kind": "order.paid", "data": {"total": 99}})
    await settled(connection, hook["id"])
    assert len(receiver.requests) == 1
    body = {"mode": "missing", "since": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    answer = await client.post(f"{HOOKS}/{hook['id']}/replays", json=body)
    assert answer.status_code == 201, answer.text
    await receiver.received(11)
    await until(connection, "select not exists (select from webhooks.replay where finished_at is null)")
    told = await got(client, f"{HOOKS}/{hook['id']}/replays/{answer.json()['id']}")
    assert (told["requeued"], told["progress_percent"]) == (10, 100)
    assert await settled(connection, hook["id"]) == (0, 11, 0)
    totals = sorted(json.loads(request.body)["data"]["total"] for request in receiver.requests)
    assert totals == [*range(10, 20), 99]
    # a second look finds nothing that is missing
    again = (await client.post(f"{HOOKS}/{hook['id']}/replays", json=body)).json()
    await finish_replays(dsn)
    told = await got(client, f"{HOOKS}/{hook['id']}/replays/{again['id']}")
    assert (told["status"], told["requeued"]) == ("finished", 0)


# figures, scopes, tenants


async def test_figures_over_time_come_from_the_minutes(desk, connection):
    client, _ = desk
    endpoint_id = await add_endpoint(connection)
    day = f"{datetime.now(UTC) - timedelta(days=2):%F}"
    counts = "{0,0,0,8,2,0,0,0,0,0,0,0}"
    await connection.execute(
        """insert into webhooks.endpoint_minute (endpoint_id, minute, tenant_id, delivered, failed, ms_sum, ms_max, ms_counts)
           select $1, m, 1, 9, 1, 1000, 200, $2::text::integer[]
           from unnest($3::text[]::timestamptz[]) m""",
        endpoint_id,
        counts,
        [f"{day} {clock}Z" for clock in ("10:00", "10:02", "11:00")],
    )
    path = f"{HOOKS}/{endpoint_id}/stats"
    told = await got(client, path, **{"from": f"{day}T10:00:30Z", "to": f"{day}T10:03:00Z"})
    assert [(point["at"][11:16], point["delivered"], point["failed"]) for point in told["series"]] == [
        ("10:00", 9, 1),
        ("10:01", 0, 0),
        ("10:02", 9, 1),
    ]
    assert (told["totals"]["attempts"], told["totals"]["success_rate_percent"], told["totals"]["avg_ms"]) == (
        20,
        90,
        100,
    )
    point = told["series"][0]
    assert (point["p50_ms"], point["max_ms"]) == (pytest.approx(81, abs=1), 200)
    assert 100 < point["p95_ms"] < point["p99_ms"] <= 200
    assert told["series"][1]["p50_ms"] is None
    hours = await got(client, path, interval="hour", **{"from": f"{day}T10:30:00Z", "to": f"{day}T12:00:00Z"})
    assert [(point["at"][11:16], point["delivered"]) for point in hours["series"]] == [("10:00", 18), ("11:00", 9)]
    assert len((await got(client, path))["series"]) == 61
    for query in ({"from": "2026-01-01T00:00:00Z"}, {"to": "2026-05-01T10:00:00Z", "from": "2026-05-01T10:00:00Z"}):
        assert (await client.get(path, params=query)).json()["field"] == "from"
    assert (await client.get(path, params={"from": "0001-01-01T00:00:00+14:00"})).status_code == 422


async def test_the_kinds_of_events_are_told(desk):
    client, _ = desk
    kinds = {one["kind"]: one for one in (await got(client, f"{HOOKS}/event-kinds"))["items"]}
    assert {"page.viewed", "link.clicked", "webhook.endpoint_created", "webhook.test", "*"} <= set(kinds)
    assert all(one["meaning"] and one["sent_by"] for one in kinds.values())


ROUTES = [
    ("GET", "", "read"),
    ("POST", "", "admin"),
    ("GET", "/event-kinds", "read"),
    *((method, "/{id}", scope) for method, scope in (("GET", "read"), ("PUT", "admin"), ("PATCH", "admin"))),
    *(("GET", "/{id}/" + name, "read") for name in ("deliveries", "attempts", "stats", "replays", "replays/1")),
    *(
        ("POST", "/{id}/" + name, "admin")
        for name in ("test", "rotate-secret", "enable", "disable", "recover", "replays")
    ),
    ("DELETE", "/{id}", "admin"),
]


async def test_defect_h_nothing_is_open_and_tenants_never_meet(desk, connection):
    """Whoever came could read figures and empty caches, and every user saw the webhooks of all."""
    client, _ = desk
    await create_tenant(connection, "other")
    hook = await made(client)
    (delivery,) = await add_deliveries(connection, hook["id"], status="failed")
    await connection.execute(
        "insert into webhooks.replay (tenant_id, endpoint_id, mode, since, until, finished_at) "
        "values (1, $1, 'failed', now() - interval '1 day', now(), now())",
        hook["id"],
    )
    routes = [(method, HOOKS + path.format(id=hook["id"]), scope) for method, path, scope in ROUTES]
    routes += [
        ("GET", f"/api/v1/deliveries/{delivery}", "read"),
        ("POST", f"/api/v1/deliveries/{delivery}/resend", "admin"),
    ]
    reader = {"authorization": f"Bearer {await key(connection, 'read')}"}
    foreign = {"authorization": f"Bearer {await key(connection, 'admin', tenant='other')}"}
    for method, path, scope in routes:
        body = {"since": "2026-05-01T00:00:00Z"} if path.endswith(("recover", "replays")) else {}
        body = {"name": "x", "url": URL} if path == HOOKS else body
        call = {} if method in {"GET", "DELETE"} else {"json": body}
        nobody = await client.request(method, path, headers={"authorization": ""}, **call)
        assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer"), (method, path)
        weak = await client.request(method, path, headers=reader, **call)
        assert (weak.status_code == 403) == (scope == "admin"), (method, path)
        stranger = await client.request(method, path, headers=foreign, **call)
        if path not in {HOOKS, f"{HOOKS}/event-kinds"}:
            assert stranger.status_code == 404, (method, path, stranger.text)
    assert [one["id"] for one in (await got(client, HOOKS))["items"]] == [hook["id"]]
    assert (await client.get(HOOKS, headers=foreign)).json()["total"] == 1
    figures = {"total_deliveries": 1, "failed_deliveries": 1, "success_rate_percent": 0.0}
    unharmed = {name: value for name, value in {**hook, **figures}.items() if name != "secret"}
    assert await got(client, f"{HOOKS}/{hook['id']}") == unharmed


async def test_a_replay_that_can_not_go_on_says_so_and_holds_up_no_other(connection, dsn):
    broken, fine = [await add_endpoint(connection, name) for name in ("broken", "fine")]
    for endpoint_id in (broken, fine):
        await add_deliveries(connection, endpoint_id, 3, status="failed")
        await connection.execute(
            """insert into webhooks.replay (tenant_id, endpoint_id, mode, since, until, total)
               values (1, $1, 'failed', now() - interval '1 day', now() + interval '1 day', 3)""",
            endpoint_id,
        )
    await connection.execute(f"alter table webhooks.queue add check (endpoint_id <> {broken})")
    await finish_replays(dsn, callers=2)
    first, second = await connection.fetch("select failure, requeued from webhooks.replay order by replay_id")
    assert tuple(first) == ("CheckViolationError: see the log.", 0)
    assert tuple(second) == (None, 3)
    assert await counters(connection, broken) == (0, 0, 3)
    assert await counters(connection, fine) == (3, 0, 0)
