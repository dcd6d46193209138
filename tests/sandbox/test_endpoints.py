"""The API of webhook endpoints."""

import json

import httpx
import pytest
from sandboxing import Town, receiving

ROOT = "/api/v1/sites/15691/webhook_endpoints"
WANTED = {"target_url": "https://hub.example/hook", "trigger_actions": ["CREATE_EVENT"]}


async def make(tripleseat: httpx.AsyncClient, **fields: object) -> dict:
    answer = await tripleseat.post(f"{ROOT}.json", json={**WANTED, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["webhook_endpoint"]


async def test_an_endpoint_is_made_read_changed_and_deleted(box: Town, tripleseat: httpx.AsyncClient):
    made = await make(tripleseat)
    assert (made["failed_count"], made["disabled_at"], made["include_event_financials"]) == (0, None, False)
    one = f"{ROOT}/{made['id']}"
    assert (await tripleseat.get(one)).json()["webhook_endpoint"] == made
    assert (await tripleseat.get(ROOT)).json()["webhook_endpoints"] == [made]
    changed = await tripleseat.put(one, json={"webhook_endpoint": {"include_event_financials": True}})
    assert changed.json()["webhook_endpoint"] == {**made, "include_event_financials": True}
    assert (await tripleseat.delete(one)).status_code == 204
    assert (await tripleseat.get(one)).status_code == 404


async def test_what_was_switched_off_gets_nothing_until_it_is_switched_on(box: Town, tripleseat: httpx.AsyncClient):
    async with receiving() as receiver:
        made = await make(tripleseat, target_url=receiver.url)
        off = (await tripleseat.post(f"{ROOT}/{made['id']}/disable")).json()["webhook_endpoint"]
        assert off["disabled_at"]
        assert (await box.book())["webhooks"] == []
        on = (await tripleseat.put(f"{ROOT}/{made['id']}/enable.json")).json()["webhook_endpoint"]
        assert (on["disabled_at"], on["failed_count"]) == (None, 0)
        booked = await box.book()
        ((body, _),) = await receiver.received(1)
        assert json.loads(body)["event"]["id"] == booked["id"]


async def test_lines_come_only_with_financials(box: Town, tripleseat: httpx.AsyncClient):
    async with receiving() as receiver:
        made = await make(tripleseat, target_url=receiver.url)
        await box.book()
        await receiver.received(1)
        await tripleseat.put(f"{ROOT}/{made['id']}", json={"include_event_financials": True})
        await box.book()
        await receiver.received(2)
    bare, full = (json.loads(body)["event"] for body, _ in receiver.requests)
    assert "line_items" not in bare["documents"][0]
    assert "grand_total" not in bare
    assert len(full["documents"][0]["line_items"]) == 3
    assert "grand_total" in full


async def test_an_endpoint_gets_its_triggers_alone(box: Town, tripleseat: httpx.AsyncClient):
    async with receiving() as receiver:
        await make(tripleseat, target_url=receiver.url, trigger_actions=["DELETE_EVENT"])
        booked = await box.book()
        await box.admin.delete(f"/events/{booked['id']}")
        await box.webhooks()
        assert receiver.triggers == ["DELETE_EVENT"]


@pytest.mark.parametrize(
    "fields", [{"target_url": "ftp://x"}, {"trigger_actions": []}, {"trigger_actions": ["EVENT_EXPLODED"]}]
)
async def test_a_wrong_field_is_named(tripleseat: httpx.AsyncClient, fields: dict):
    answer = await tripleseat.post(ROOT, json={**WANTED, **fields})
    assert answer.status_code == 422
    assert answer.json()["errors"][0].startswith(next(iter(fields)))
    assert (await tripleseat.post(ROOT, content=b"[]")).status_code == 400


async def test_other_sites_have_other_endpoints(tripleseat: httpx.AsyncClient):
    made = await make(tripleseat)
    assert (await tripleseat.get(f"/api/v1/sites/15702/webhook_endpoints/{made['id']}")).status_code == 404
    assert (await tripleseat.get("/api/v1/sites/15702/webhook_endpoints")).json() == {"webhook_endpoints": []}
    assert (await tripleseat.get("/api/v1/sites/1/webhook_endpoints")).status_code == 404
    assert (await tripleseat.post("/api/v1/sites/1/webhook_endpoints", json=WANTED)).status_code == 404


async def test_endpoints_need_a_token_with_their_scope(box: Town):
    access = (await box.token(scope="events:read")).json()["access_token"]
    async with httpx.AsyncClient(base_url=f"{box.url}/tripleseat") as client:
        assert (await client.get(ROOT)).status_code == 401
        answer = await client.get(ROOT, headers={"Authorization": f"Bearer {access}"})
        assert answer.status_code == 403
