"""The tools over HTTP: the five of the contract with their exact results, those of the hub, scopes, questions, the log."""

from contextlib import asynccontextmanager
from uuid import uuid4

from assistant.acting import person, token_of
from assistant.chatting import desk
from links.visiting import add_link

from mainstem.platform.keys import create_key

TOOLS = "/api/v1/tools"
TASKS = ["add_task", "complete_task", "delete_task", "list_tasks", "update_task"]
READING = ["customer_journey", "failing_webhooks", "link_stats", "list_alerts", "search_links"]
ADMIN = ["acknowledge_alert", "resend_delivery"]
CONNECTORS = ["explain_booking", "run_reconciliation"]


@asynccontextmanager
async def hub_with(dsn, folder, **settings):
    async with desk(dsn, folder, None, **settings) as made:
        yield made.client, made.hub


async def signed_in(hub, connection, email: str = "ann@example.org", **fields: str) -> dict[str, str]:
    """Make a person; return the headers of a request of theirs."""
    return await token_of(hub, await person(connection, email, **fields))


async def with_key(connection, *scopes: str) -> dict[str, str]:
    tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
    made = await create_key(connection, tenant_id, scopes=list(scopes), label="test")
    return {"authorization": f"Bearer {made.key}"}


async def use(client, headers, name: str, approval_id: str | None = None, **arguments: object):
    body = {"arguments": arguments, **({"approval_id": approval_id} if approval_id else {})}
    return await client.post(f"{TOOLS}/{name}", json=body, headers=headers)


async def result(client, headers, name: str, **arguments: object):
    answer = await use(client, headers, name, **arguments)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "ok"
    return answer.json()["result"]


async def test_each_sees_the_tools_of_its_scopes(dsn, tmp_path, connection) -> None:
    async with hub_with(dsn, tmp_path) as (client, hub):

        async def names(headers) -> list[str]:
            return [tool["name"] for tool in (await client.get(TOOLS, headers=headers)).json()["items"]]

        assert await names(await signed_in(hub, connection)) == sorted(TASKS + READING)
        assert await names(await signed_in(hub, connection, "v@example.org", role="viewer")) == READING
        assert await names(await with_key(connection, "read")) == READING
        assert await names(await with_key(connection, "admin")) == sorted(READING + ADMIN + CONNECTORS)
        assert await names(await with_key(connection, "ingest")) == []
        assert (await client.get(TOOLS)).status_code == 401
        for name in ("nothing", "add_task%00"):
            assert (
                await client.post(f"{TOOLS}/{name}", json={}, headers=await with_key(connection, "read"))
            ).status_code == 404
        assert (await use(client, await with_key(connection, "tasks"), "add_task", title="x")).status_code == 403


async def test_the_table_of_tools_is_pinned(dsn, tmp_path, connection) -> None:
    """What a tool does to the world is a promise to clients: a change of this table is a change of the API."""
    async with hub_with(dsn, tmp_path) as (client, hub):
        owner = await signed_in(hub, connection, role="owner")
        items = (await client.get(TOOLS, headers=owner)).json()["items"]
        told = {
            one["name"]: (*(one["hints"][name] for name in ("read_only", "destructive", "idempotent")), one["asks"])
            for one in items
        }
        assert told == {
            "acknowledge_alert": (False, False, True, True),
            "add_task": (False, False, False, False),
            "complete_task": (False, False, True, False),
            "customer_journey": (True, False, True, False),
            "delete_task": (False, True, False, True),
            "explain_booking": (True, False, True, False),
            "failing_webhooks": (True, False, True, False),
            "link_stats": (True, False, True, False),
            "list_alerts": (True, False, True, False),
            "list_tasks": (True, False, True, False),
            "resend_delivery": (False, False, False, True),
            "run_reconciliation": (False, False, False, False),
            "search_links": (True, False, True, False),
            "update_task": (False, False, True, False),
        }
        for one in items:
            assert not one["hints"]["open_world"]
            assert one["arguments"]["additionalProperties"] is False
            assert one["title"]
            assert one["description"].endswith(".")


async def test_the_five_tools_of_the_contract(dsn, tmp_path, connection) -> None:
    async with hub_with(dsn, tmp_path) as (client, hub):
        ann = await signed_in(hub, connection)
        bob = await signed_in(hub, connection, "bob@example.org")

        assert await result(client, ann, "add_task", title=" Buy milk ") == {
            "task_id": 1,
            "status": "created",
            "title": "Buy milk",
        }
        await result(
            client, ann, "add_task", title="Call", due="2031-05-01", priority="high", labels=["home"], description="d"
        )
        rows = await result(client, ann, "list_tasks")
        assert [(row["id"], row["title"], row["completed"]) for row in rows] == [
            (2, "Call", False),
            (1, "Buy milk", False),
        ]
        assert rows[0]["priority"] == "high"
        assert rows[0]["labels"] == ["home"]
        assert rows[0]["due"] == "2031-05-01"
        assert await result(client, ann, "complete_task", task_id=1) == {
            "task_id": 1,
            "status": "completed",
            "title": "Buy milk",
        }
        assert [row["id"] for row in await result(client, ann, "list_tasks", status="pending")] == [2]
        assert [row["id"] for row in await result(client, ann, "list_tasks", status="completed")] == [1]
        assert await result(client, ann, "update_task", task_id=2, title="Call mom", due=None) == {
            "task_id": 2,
            "status": "updated",
            "title": "Call mom",
        }
        assert (await result(client, ann, "list_tasks", search="mom"))[0]["due_date"] is None

        await use(client, ann, "update_task", task_id=2, labels=["Home", "car"])
        await use(client, ann, "update_task", task_id=2, add_labels=["home", "bank"], remove_labels=["CAR", "no such"])
        assert (await result(client, ann, "list_tasks", search="mom"))[0]["labels"] == ["Home", "bank"]
        long = await use(client, ann, "update_task", task_id=2, add_labels=["x" * 51])
        assert (long.status_code, long.json()["field"]) == (422, "labels"), long.text

        nothing = await use(client, ann, "update_task", task_id=2)
        assert nothing.status_code == 422
        assert "at least one field" in nothing.json()["detail"]
        for name, more in (("complete_task", {}), ("delete_task", {}), ("update_task", {"title": "mine"})):
            foreign = await use(client, bob, name, task_id=2, **more)
            assert foreign.status_code == 404
            assert foreign.json()["detail"] == "Task not found"
        assert await result(client, bob, "list_tasks") == []
        assert (await use(client, ann, "add_task", title="x", user_id=str(uuid4()))).status_code == 422

        asked = (await use(client, ann, "delete_task", task_id=2)).json()
        assert asked["status"] == "approval_needed"
        assert asked["question"] == "Delete task 2, “Call mom”?"
        assert len(await result(client, ann, "list_tasks")) == 2
        assert (await use(client, bob, "delete_task", asked["approval_id"], task_id=2)).status_code == 404
        assert (await use(client, ann, "delete_task", asked["approval_id"], task_id=1)).status_code == 403
        done = await use(client, ann, "delete_task", asked["approval_id"], task_id=2)
        assert done.json()["result"] == {"task_id": 2, "status": "deleted", "title": "Call mom"}
        assert (await use(client, ann, "delete_task", asked["approval_id"], task_id=2)).status_code == 409


async def test_the_tools_of_the_hub(dsn, tmp_path, connection) -> None:
    async with hub_with(dsn, tmp_path) as (client, _):
        admin, reader = await with_key(connection, "admin"), await with_key(connection, "read")
        await add_link(connection, "summer", title="Summer party")
        found = await result(client, reader, "search_links", search="summer")
        assert [(one["slug"], one["title"], one["clicks"]) for one in found["links"]] == [("summer", "Summer party", 0)]
        link_id = found["links"][0]["link_id"]
        figures = await result(client, reader, "link_stats", link_id=link_id, days=7)
        assert (figures["title"], figures["clicks"], figures["clicks_before"]) == ("Summer party", 0, 0)
        assert (await result(client, reader, "link_stats"))["top_links"] == []
        assert (await use(client, reader, "link_stats", link_id=999)).status_code == 404

        alert = {"alert_type": "disk", "severity": "CRITICAL", "message": "Full."}
        assert (await client.post("/api/v1/alerts", json=alert, headers=admin)).status_code == 201
        listed = await result(client, reader, "list_alerts")
        assert (listed["total"], listed["alerts"][0]["message"]) == (1, "Full.")
        asked = (await use(client, admin, "acknowledge_alert", alert_id=1, notes="seen")).json()
        assert "CRITICAL" in asked["question"]
        done = await use(client, admin, "acknowledge_alert", asked["approval_id"], alert_id=1, notes="seen")
        assert done.json()["result"]["status"] == "acknowledged"
        assert (await use(client, admin, "acknowledge_alert", alert_id=7)).status_code == 404

        assert await result(client, reader, "failing_webhooks") == {"webhooks": []}
        hook = {"name": "shop", "url": "https://shop.example/hook", "events": ["*"]}
        made = await client.post("/api/v1/webhooks", json=hook, headers=admin)
        assert made.status_code == 201, made.text
        await client.post(f"/api/v1/webhooks/{made.json()['id']}/disable", headers=admin)
        assert (await use(client, admin, "resend_delivery", delivery_id=1)).status_code == 404

        journey = await result(client, reader, "customer_journey", customer="v:1")
        assert journey == {"customer": None, "visitors": 1, "steps": []}
        person_ = await result(client, reader, "customer_journey", customer=str(uuid4()))
        assert person_["visitors"] == 0
        by_mail = await use(client, reader, "customer_journey", email="ann@example.org")
        assert by_mail.status_code == 403
        assert (await use(client, admin, "customer_journey", email="ann@example.org")).status_code == 404
        assert (await use(client, reader, "customer_journey")).status_code == 422
        assert (await use(client, admin, "explain_booking", booking_id="1")).status_code == 404

        log = (await client.get("/api/v1/assistant/calls", headers=admin)).json()
        assert log["items"][0]["tool"] == "explain_booking"
        assert log["items"][0]["code"] == "not_found"
        some = await client.get("/api/v1/assistant/calls?limit=2&status=ok", headers=admin)
        assert len(some.json()["items"]) == 2
        assert some.json()["next_before"] == some.json()["items"][-1]["id"]
        assert (await client.get("/api/v1/assistant/calls", headers=reader)).status_code == 403
