"""The connectors API over a stand-in for both ends: CONTRACTS part E, mappings, mails, and who may do what."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from links.visiting import serving
from postbox import mailing
from sandboxing import Town, sandboxing

from mainstem.connectors.tripleseat.signature import sign
from mainstem.hub import Hub
from mainstem.platform.keys import create_key
from mainstem.platform.tenants import create_tenant

SYNC = "/api/sync/tripleseat"
BASE = "/api/connectors/tripleseat"
SYNC_KEYS = {"success", "mode", "summary", "events", "run_id", "correlation_id"}
EVENT_KEYS = {"id", "name", "date", "status", "revel_order_id", "order_id", "reason", "error"}
NOTHING = {"queried": 0, "injected": 0, "skipped": 0, "failed": 0}


async def key(connection: asyncpg.Connection, *scopes: str, tenant: str = "default") -> str:
    tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = $1", tenant)
    return (await create_key(connection, tenant_id, scopes=list(scopes), label="test")).key


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with sandboxing() as opened:
        await opened.admin.post("/reset", json={"events": False})
        await opened.admin.put("/target", json={"url": None})
        yield opened


def told(town: Town, **more: object) -> dict[str, object]:
    """Return the settings that point at a town, as keywords of Settings."""
    given = {
        name.lower(): value for name, value in town.settings.items() if name not in {"SANDBOX_URL", "CONNECTOR_MAPPING"}
    }
    return {**given, "outbound_allow": ["127.0.0.0/8"], "rate_limit_requests": 100_000, **more}


@pytest.fixture
async def desk(dsn, tmp_path, connection, town) -> AsyncIterator[tuple[httpx.AsyncClient, Hub, Town]]:
    """Yield (client with a key for connectors, hub, town); nothing is worked on by itself."""
    async with serving(dsn, tmp_path, works=False, **told(town)) as (client, hub):
        client.headers.update({"authorization": f"Bearer {await key(connection, 'connectors')}"})
        answer = await client.post(f"{BASE}/items/import", content=(await town.admin.get("/mapping.csv")).text)
        assert answer.status_code == 200, answer.text
        yield client, hub, town


def delivery(town: Town, event: dict, trigger: str = "UPDATE_EVENT") -> tuple[bytes, dict[str, str]]:
    body = json.dumps({"webhook_trigger_type": trigger, "event": event}).encode()
    signature = sign(town.settings["TRIPLESEAT_WEBHOOK_SIGNING_KEY"], body, int(time.time()))
    return body, {"x-signature": signature, "content-type": "application/json"}


class TestDeliveries:
    @pytest.mark.parametrize("path", ["/webhooks/tripleseat", "/webhook"])
    async def test_a_delivery_needs_a_signature_and_no_key(self, desk, path) -> None:
        client, _, town = desk
        booked = await town.book(guest_count=20)
        body, headers = delivery(town, booked["event"])
        client.headers.pop("authorization")
        assert (await client.post(path, content=body)).status_code == 400
        answer = await client.post(path, content=body, headers=headers)
        assert answer.status_code == 200
        assert answer.json()["reason"] == "REVEL_INJECTED"
        assert set(answer.json()) >= {
            "ok",
            "processed",
            "reason",
            "trigger",
            "event_id",
            "revel_order_id",
            "delivery_id",
        }
        (order,) = await town.orders()
        assert (order["local_id"], str(order["id"])) == (booked["local_id"], answer.json()["revel_order_id"])

    @pytest.mark.parametrize("seconds", [-400, 400])
    async def test_b_a_signature_of_another_time_is_refused(self, desk, seconds) -> None:
        """Defect (b): the time in the signature was never looked at."""
        client, _, town = desk
        body, _ = delivery(town, {"id": 1})
        stamp = sign(town.settings["TRIPLESEAT_WEBHOOK_SIGNING_KEY"], body, int(time.time()) + seconds)
        answer = await client.post("/webhook", content=body, headers={"x-signature": stamp})
        assert answer.status_code == 400
        word = "TOO_OLD" if seconds < 0 else "TOO_NEW"
        assert answer.json()["reason"] == f"SIGNATURE_VERIFICATION_FAILED_{word}"

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b'{"webhook_trigger_type": "UPDATE_EVENT"}'])
    async def test_a_signed_body_that_says_nothing_is_answered(self, desk, body) -> None:
        client, _, town = desk
        headers = {"x-signature": sign(town.settings["TRIPLESEAT_WEBHOOK_SIGNING_KEY"], body, int(time.time()))}
        answer = await client.post("/webhook", content=body, headers=headers)
        assert answer.status_code == 200
        assert answer.json()["reason"] in {"NO_EVENT_DATA", "MISSING_TRIGGER_TYPE"}

    async def test_a_body_that_is_too_large_is_refused(self, dsn, tmp_path, town) -> None:
        async with serving(dsn, tmp_path, works=False, **told(town, max_body_bytes=1_000)) as (client, _):
            assert (await client.post("/webhook", content=b"x" * 1_001)).status_code == 413

    async def test_one_that_can_t_be_stored_is_500_so_that_it_is_sent_again(self, tmp_path, town) -> None:
        nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
        async with serving(nowhere, tmp_path, works=False, **told(town)) as (client, _):
            body, headers = delivery(town, {"id": 1})
            answer = await client.post("/webhook", content=body, headers=headers)
            assert answer.status_code == 500
            assert set(answer.json()) >= {"ok", "processed", "reason", "trigger", "delivery_id"}
            assert (answer.json()["ok"], answer.json()["reason"]) == (False, "NOT_STORED")

    async def test_it_is_switched_off_without_settings(self, dsn, tmp_path) -> None:
        async with serving(dsn, tmp_path, works=False) as (client, _):
            answer = await client.post("/webhook", content=b"{}")
            assert (answer.status_code, answer.json()["reason"]) == (200, "CONNECTOR_DISABLED")

    async def test_deliveries_are_listed_and_replayed(self, desk) -> None:
        client, hub, town = desk
        booked = await town.book(guest_count=20)
        body, headers = delivery(town, booked["event"])
        await client.post("/webhook", content=body, headers=headers)
        (one,) = (await client.get(f"{BASE}/deliveries")).json()["items"]
        assert (one["signature"], one["outcome"], one["booking_id"]) == ("valid", "REVEL_INJECTED", str(booked["id"]))
        assert (await client.post(f"{BASE}/deliveries/{one['id']}/replay")).status_code == 202
        running = await hub.connectors.get("tripleseat")
        assert await running.inbox.work_due() == 1
        (one,) = (await client.get(f"{BASE}/deliveries")).json()["items"]
        assert one["outcome"] == "ALREADY_INJECTED"
        assert (await client.post(f"{BASE}/deliveries/999/replay")).status_code == 404


class TestSync:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_one_booking(self, desk, method) -> None:
        client, _, town = desk
        booked = await town.book(guest_count=20)
        answer = await client.request(method, SYNC, params={"event_id": booked["id"]})
        assert answer.status_code == 200
        told_ = answer.json()
        assert set(told_) >= SYNC_KEYS
        assert (told_["success"], told_["mode"]) == (True, "single")
        assert told_["summary"] == {"queried": 1, "injected": 1, "skipped": 0, "failed": 0}
        (event,) = told_["events"]
        assert set(event) == EVENT_KEYS
        assert (event["id"], event["status"]) == (str(booked["id"]), "INJECTED")
        assert told_["correlation_id"].startswith("sync-")

    async def test_a_booking_that_nobody_knows_fails_with_all_keys(self, desk) -> None:
        client, _, _ = desk
        answer = await client.get(SYNC, params={"event_id": "1"})
        assert answer.status_code == 200
        told_ = answer.json()
        assert set(told_) >= SYNC_KEYS
        assert (told_["success"], told_["summary"]["failed"], told_["events"][0]["status"]) == (False, 1, "FAILED")

    async def test_an_upstream_that_is_away_fails_with_all_keys(self, dsn, tmp_path, connection, town) -> None:
        given = told(
            town,
            tripleseat_base_url="http://127.0.0.1:1",
            tripleseat_token_url="http://127.0.0.1:1/token",
            connector_lease_seconds=2,
        )
        async with serving(dsn, tmp_path, works=False, **given) as (client, _):
            client.headers.update({"authorization": f"Bearer {await key(connection, 'connectors')}"})
            for query in ({"event_id": "1"}, {"hours_back": 48}):
                told_ = (await client.get(SYNC, params=query)).json()
                assert set(told_) >= SYNC_KEYS
                assert told_["success"] is False
                assert told_["error"]

    async def test_a_window(self, desk) -> None:
        client, _, town = desk
        await town.book(count=3)
        dry = (await client.get(SYNC, params={"hours_back": 48, "dry_run": True})).json()
        assert (dry["mode"], dry["dry_run"], dry["differences"], dry["summary"]["queried"]) == ("bulk", True, 3, 3)
        assert await town.orders() == []
        wet = (await client.get(SYNC)).json()
        assert wet["summary"] == {"queried": 3, "injected": 3, "skipped": 0, "failed": 0}
        assert len(await town.orders()) == 3
        runs = (await client.get(f"{BASE}/runs")).json()
        assert [(one["mode"], one["dry_run"], one["differences"]) for one in runs["items"]] == [
            ("bulk", False, 3),
            ("bulk", True, 3),
        ]
        diff = (await client.get(f"{BASE}/diff")).json()
        assert diff["counts"] == {"missing": 3}
        assert {one["done"] for one in diff["items"]} == {"INJECTED: REVEL_INJECTED"}
        assert (await client.get(f"{BASE}/diff", params={"run_id": 999})).status_code == 404

    @pytest.mark.parametrize(
        "query", [{"hours_back": 0}, {"hours_back": "x"}, {"event_id": "../1"}, {"event_id": ""}, {"hours_back": 10**9}]
    )
    async def test_what_the_caller_did_wrong_is_422_with_all_keys(self, desk, query) -> None:
        client, _, _ = desk
        answer = await client.get(SYNC, params=query)
        assert answer.status_code == 422
        assert set(answer.json()) >= SYNC_KEYS | {"error", "code", "request_id"}
        assert (answer.json()["success"], answer.json()["summary"], answer.json()["events"]) == (False, NOTHING, [])

    async def test_5_4_b_it_needs_a_key_of_the_tenant_with_the_scope(self, desk, connection) -> None:
        """Defect 5.4 (b): anybody could have orders made, by GET."""
        client, _, _ = desk
        await create_tenant(connection, "other")
        for scopes, tenant, status in ((None, "", 401), (("read",), "default", 403), (("connectors",), "other", 404)):
            headers = (
                {"authorization": ""}
                if scopes is None
                else {"authorization": f"Bearer {await key(connection, *scopes, tenant=tenant)}"}
            )
            answer = await client.get(SYNC, headers=headers)
            assert (answer.status_code, answer.json()["success"]) == (status, False)
        assert (await client.get("/api/sync/nonsense")).status_code == 404

    async def test_it_says_that_it_is_switched_off(self, dsn, tmp_path, connection) -> None:
        async with serving(dsn, tmp_path, works=False) as (client, _):
            headers = {"authorization": f"Bearer {await key(connection, 'connectors')}"}
            told_ = (await client.get(SYNC, headers=headers)).json()
            assert (told_["success"], told_["events"]) == (False, [])


class TestState:
    async def test_connectors_and_orders_are_listed(self, desk) -> None:
        client, _, town = desk
        booked = await town.book(guest_count=20)
        await client.post(SYNC, params={"event_id": booked["id"]})
        (one,) = (await client.get("/api/connectors")).json()["items"]
        assert (one["name"], one["enabled"], one["bookings"], one["orders"]) == (
            "tripleseat",
            True,
            1,
            {"confirmed": 1},
        )
        (order,) = (await client.get(f"{BASE}/orders", params={"event_id": booked["id"]})).json()["items"]
        assert (order["state"], order["local_id"], order["attempts"]) == ("confirmed", booked["local_id"], 1)
        assert (await client.get(f"{BASE}/orders", params={"state": "failed"})).json()["total"] == 0
        steps = (await client.get(f"{BASE}/orders/{order['id']}/steps")).json()
        assert [step["state"] for step in steps] == ["planned", "submitting", "confirmed"]
        assert {step["by"].partition(":")[0] for step in steps} == {"key"}
        assert (await client.get(f"{BASE}/orders/999/steps")).status_code == 404


class TestMapping:
    async def test_entries_come_and_go(self, desk) -> None:
        client, _, _ = desk
        before = (await client.get(f"{BASE}/items")).json()["total"]
        body = {"items": [{"item": "Fog machine", "ignore": True}, {"item": "Taco bar", "product": "501"}]}
        assert (await client.put(f"{BASE}/items", json=body)).json()["total"] == before + 2
        exported = (await client.get(f"{BASE}/items/export")).text
        assert "Fog machine,,,yes\n" in exported
        assert (await client.delete(f"{BASE}/items", params={"item": "FOG  machine"})).status_code == 204
        assert (await client.delete(f"{BASE}/items", params={"item": "Fog machine"})).status_code == 404
        answer = await client.post(f"{BASE}/items/import", params={"replace": True}, content=exported)
        assert answer.json() == {"imported": before + 2, "deleted": 0}
        answer = await client.post(f"{BASE}/items/import", content="item,product\nA,\n")
        assert (answer.status_code, answer.json()["field"]) == (422, "file")

    @pytest.mark.parametrize("item", [{"item": "A"}, {"item": "A", "product": "5", "ignore": True}, {"item": " "}])
    async def test_an_entry_says_one_thing(self, desk, item) -> None:
        client, _, _ = desk
        assert (await client.put(f"{BASE}/items", json={"items": [item]})).status_code == 422

    async def test_g_what_is_not_mapped_is_told_with_proposals_and_not_decided(self, desk) -> None:
        """Defect (g): a name that was three quarters alike was taken for the same."""
        client, _, town = desk
        await client.delete(f"{BASE}/items", params={"item": "Grilled Salmon"})
        booked = await town.book()
        event = {**booked["event"], "documents": [_document("Grilled salmon fillet")]}
        body, headers = delivery(town, event)
        answer = (await client.post("/webhook", content=body, headers=headers)).json()
        assert (answer["ok"], answer["reason"]) == (False, "UNMAPPED_ITEM")
        (one,) = (await client.get(f"{BASE}/items/unmapped")).json()["items"]
        assert (one["item"], one["bookings"]) == ("Grilled salmon fillet", 1)
        assert one["proposals"][0]["product_name"] == "Grilled Salmon"
        assert await town.orders() == []


def _document(name: str) -> dict:
    line = {"id": 1, "description": name, "quantity": 2, "price": "36.00", "category": {"name": "Entrees"}}
    return {"id": 1, "title": "BEO", "line_items": [line]}


async def test_people_are_mailed_about_orders_and_differences(dsn, tmp_path, connection, town) -> None:
    with mailing() as postbox:
        given = told(town, smtp_url=postbox.url, mail_from="hub@example.org", connector_mail_to=["chef@example.org"])
        async with serving(dsn, tmp_path, **given) as (client, _):
            client.headers.update({"authorization": f"Bearer {await key(connection, 'connectors')}"})
            booked = await town.book(guest_count=20)
            await client.get(SYNC, params={"event_id": booked["id"]})
            await client.post(f"{BASE}/items/import", content=(await town.admin.get("/mapping.csv")).text)
            # the worker makes the order that waited for the mapping; with it under way a run could tell nothing
            await asyncio.to_thread(postbox.wait, 2, 20)
            (order,) = await town.orders()
            await town.admin.delete(f"/orders/{order['id']}")
            await client.get(SYNC)
            await asyncio.to_thread(postbox.wait, 4, 20)
            subjects = sorted(postbox.subjects())
    number = booked["id"]
    assert subjects == [
        f"FAILED: Triple Seat Event Injection — Event #{number}",
        f"Triple Seat Event Injected — Event #{number}",
        f"Triple Seat Event Injected — Event #{number}",
        "Triple Seat reconciliation: 1 missing",
    ]
