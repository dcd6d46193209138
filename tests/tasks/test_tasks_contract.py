"""The tasks API: CONTRACTS part D."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mainstem.platform.keys import create_key
from mainstem.platform.person import RESERVED

FIELDS = {
    *("id", "uid", "user_id", "title", "description", "status", "completed", "priority", "due_date", "labels"),
    *("created_at", "updated_at", "completed_at", "links"),
}


class TestContract:
    async def test_a_task_has_every_field_under_both_paths(self, office) -> None:
        ann = await office.person("ann")
        made = await ann.add("  Buy groceries ", description="Milk", labels=["home"], priority="high")
        assert set(made) >= FIELDS
        assert (made["id"], made["title"], made["status"], made["completed"]) == (1, "Buy groceries", "pending", False)
        assert (made["priority"], made["labels"], made["due_date"], made["links"]) == ("high", ["home"], None, [])
        assert made["user_id"] == ann.id
        assert made["created_at"].endswith("Z")
        uuid.UUID(made["uid"])
        for base in ("/api/tasks", f"/api/{ann.id}/tasks"):
            assert await ann.get(f"{base}/1") == made
            listed = await ann.get(base)
            assert (listed["tasks"], listed["items"], listed["count"]) == ([made], [made], 1)
        second = await ann.send("POST", f"/api/{ann.id}/tasks", {"title": "Pay bills"})
        assert (second.status_code, second.json()["id"]) == (201, 2)

    async def test_a_task_is_changed_completed_opened_and_deleted(self, office) -> None:
        ann = await office.person("ann")
        await ann.add("test task")
        changed = await ann.put(1, title="Call mom tonight", description="x", completed=False)
        assert (changed["title"], changed["version"]) == ("Call mom tonight", 2)
        done = await ann.toggle(1)
        assert (done["status"], done["completed"], done["next_task"]) == ("completed", True, None)
        assert done["completed_at"].endswith("Z")
        opened = (await ann.send("PATCH", f"/api/{ann.id}/tasks/1/complete")).json()
        assert (opened["status"], opened["completed"], opened["completed_at"]) == ("pending", False, None)
        gone = await ann.send("DELETE", f"/api/{ann.id}/tasks/1")
        assert (gone.status_code, gone.content) == (204, b"")
        for method, path in (("GET", "1"), ("PUT", "1"), ("DELETE", "1"), ("PATCH", "1/complete"), ("GET", str(2**40))):
            answer = await ann.send(method, f"/api/tasks/{path}", {"title": "x"} if method == "PUT" else None)
            assert (answer.status_code, answer.json()["detail"]) == (404, "Task not found"), method

    async def test_what_is_wrong_is_refused_by_field(self, office) -> None:
        ann = await office.person("ann")
        wrong = [
            ({}, "title"),
            ({"title": "   "}, "title"),
            ({"title": "x" * 201}, "title"),
            ({"title": "x", "description": "x" * 1025}, "description"),
            ({"title": "x", "priority": "soon"}, "priority"),
            ({"title": "x", "due": "no day at all"}, "due"),
            ({"title": "x", "status": "gone"}, "status"),
            ({"title": "x", "labels": [""]}, "labels"),
            ({"title": "x", "recurrence": "FREQ=DAILY"}, "due"),
            ({"title": "x", "recurrence": "FREQ=NEVER", "due": "2030-01-01"}, "recurrence"),
            ({"title": "x", "assignee": "nobody@example.org"}, "assignee"),
            ({"title": "x", "assignee": "a\0b"}, "assignee"),
            ({"title": "\0"}, "title"),
            ({"title": "x", "due": "\0"}, "due"),
            ({"title": "x", "timezone": "Mars/Base"}, "timezone"),
            ({"title": "x", "links": [{"type": "planet", "id": "1"}]}, "type"),
            ({"title": "x", "links": [{"type": "alert", "id": "one"}]}, "id"),
        ]
        for body, field in wrong:
            answer = await ann.send("POST", "/api/tasks", body)
            assert (answer.status_code, answer.json()["field"]) == (422, field), (body, answer.text)
        await ann.add()
        nothing = await ann.send("PUT", "/api/tasks/1", {})
        assert nothing.status_code == 422
        assert "at least one" in nothing.json()["detail"]
        assert (await ann.send("PUT", "/api/tasks/1", {"title": None})).status_code == 422

    async def test_aliases_of_other_programs_are_taken(self, office) -> None:
        ann = await office.person("ann")
        made = (
            await ann.send(
                "POST",
                "/api/tasks",
                {"content": "Water plants", "due_string": "2031-03-01T09:00:00+01:00", "priority": 4, "labels": "a, b"},
            )
        ).json()
        assert (made["title"], made["priority"], made["labels"]) == ("Water plants", "high", ["a", "b"])
        assert made["due_date"] == "2031-03-01T08:00:00.000000Z"
        made = await ann.add(due={"date": "2031-03-01"}, priority="p4", timezone="Europe/Berlin")
        assert (made["due_date"], made["all_day"], made["priority"]) == ("2031-03-01T22:59:59.000000Z", True, "low")
        made = await ann.add(due="tomorrow at 9am", timezone="Europe/Berlin")
        assert made["due_words"] == "tomorrow at 9am"
        assert datetime.fromisoformat(made["due_date"]) - datetime.now(UTC) < timedelta(days=2)

    async def test_nobody_acts_for_somebody_else(self, office) -> None:
        ann, bob = await office.person("ann"), await office.person("bob")
        await ann.add()
        foreign = await bob.send("GET", f"/api/{ann.id}/tasks")
        sentence = "User ID in path does not match authenticated user"
        assert (foreign.status_code, foreign.json()["detail"]) == (403, sentence)
        assert (await bob.send("GET", "/api/somebody/tasks/1")).status_code == 403
        assert (await bob.send("GET", "/api/tasks/1")).status_code == 404
        assert (await office.client.get("/api/tasks")).status_code == 401
        assert (await office.client.get(f"/api/{ann.id}/tasks")).status_code == 401
        key = (await create_key(office.connection, 1, scopes=["admin"], label="test")).key
        answer = await office.client.get("/api/tasks", headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 403
        assert "sign in" in answer.json()["detail"]

    async def test_words_of_other_paths_are_no_user_ids(self, office) -> None:
        ann = await office.person("ann")
        for word in ("v1", "auth", "tracking", "webhooks", "connectors"):
            answer = await ann.send("POST", f"/api/{word}/tasks", {"title": "x"})
            assert answer.status_code in {404, 405}, word


def test_every_first_word_of_the_api_is_reserved() -> None:
    document = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())
    first = {path.split("/")[2] for path in document["paths"] if path.startswith("/api/")} - {"{user_id}"}
    assert first <= set(RESERVED)
