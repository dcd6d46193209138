"""Rules that make tasks of events: once for each event, safely named, by those who may."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from links.visiting import loaded

from mainstem.events.filters import Subject
from mainstem.events.record import record
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.keys import create_key
from mainstem.tasks.template import check, filled

RULES = "/api/v1/task-rules"
FAILED = {
    "connector": "tripleseat",
    "booking_id": "4711",
    "site_id": "1",
    "establishment": "7",
    "local_id": "Triple Seat_4711",
    "name": "Smith {reason}\nwedding",
    "reason": "UNMAPPED_ITEM",
    "version": 1,
}
RULE = {
    "name": "Failed orders",
    "events": ["order.failed"],
    "title": "Order of {name} failed: {reason}",
    "priority": "high",
    "labels": ["orders"],
    "due_minutes": 60,
}


async def made(office, count: int) -> list[dict]:
    """Return all tasks, once every match has become so many of them."""
    await loaded(office.connection, office.hub)
    while await office.connection.fetchval("select exists (select from tasks.match where made_at is null)"):
        office.hub.loader.nudge()
        await office.connection.fetchval("select pg_sleep(0.01)")
    rows = await office.connection.fetch("select * from tasks.tasks order by task_id")
    assert len(rows) == count
    return [dict(row) for row in rows]


class TestRules:
    async def test_a_failed_order_becomes_a_task_once(self, office) -> None:
        ann, bob = await office.person("ann", role="owner"), await office.person("bob")
        rule = await ann.send("POST", RULES, {**RULE, "assignee": bob.email})
        assert rule.status_code == 201, rule.text
        for _ in range(3):
            await record(office.connection, 1, "order.failed", FAILED, message_id="m1", source="connector:tripleseat")
        await record(office.connection, 1, "order.injected", FAILED, source="connector:tripleseat")
        (task,) = await made(office, 1)
        assert task["title"] == "Order of Smith {reason} wedding failed: UNMAPPED_ITEM"
        assert (task["created_by"], task["priority"], task["labels"]) == ("rule:1", "high", ["orders"])
        shown = (await bob.get("/api/tasks/1"))["links"]
        assert shown == [
            {"type": "booking", "id": "tripleseat/1/4711"},
            {"type": "order", "id": "tripleseat/7/Triple Seat_4711"},
        ]
        assert (await ann.titles(link="booking:tripleseat/1/4711")) == [task["title"]]
        assert (await ann.get(f"{RULES}/1"))["made"] == 1

    async def test_filters_decide_and_tasks_feed_no_rule(self, office) -> None:
        ann = await office.person("ann", role="owner")
        every = {"name": "All", "events": ["*"], "title": "{$kind} {guest.table} {nothing} {guest}"}
        assert (await ann.send("POST", RULES, {**every, "filter": {"guest.table": {"$gte": 5}}})).status_code == 201
        for table in (4, 5, 6):
            await record(office.connection, 1, "guest.seated", {"guest": {"table": table}})
        await ann.add("By hand")
        tasks = await made(office, 3)
        assert sorted(task["title"] for task in tasks) == ["By hand", "guest.seated 5 ? …", "guest.seated 6 ? …"]

    async def test_rules_are_changed_refused_and_deleted(self, office) -> None:
        ann, bob = await office.person("ann", role="owner"), await office.person("bob")
        assert (await bob.send("POST", RULES, RULE)).status_code == 403
        wrong = [
            ({"events": ["task.created"]}, "events"),
            ({"events": ["Order failed"]}, "events[0]"),
            ({"title": "{__class__.x"}, "title"),
            ({"title": "{a!r}"}, "title"),
            ({"filter": {"a": {"$near": 1}}}, "filter"),
            ({"filter": {"a": "\0"}}, "filter"),
            ({"name": " \0"}, "name"),
            ({"owner": "nobody@example.org\0"}, "owner"),
        ]
        for fields, field in wrong:
            answer = await ann.send("POST", RULES, {**RULE, **fields})
            assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
        key = (await create_key(office.connection, 1, scopes=["admin"], label="test")).key
        headers = {"authorization": f"Bearer {key}"}
        ownerless = await office.client.post(RULES, json=RULE, headers=headers)
        assert (ownerless.status_code, ownerless.json()["field"]) == (422, "owner")
        given = await office.client.post(RULES, json={**RULE, "owner": bob.email}, headers=headers)
        assert (given.status_code, given.json()["owner_id"]) == (201, bob.id)
        assert (await ann.send("POST", RULES, RULE)).status_code == 409
        changed = await ann.send("PATCH", f"{RULES}/1", {"enabled": False, "due_minutes": None})
        assert (changed.json()["enabled"], changed.json()["due_minutes"], changed.json()["title"]) == (
            False,
            None,
            RULE["title"],
        )
        await record(office.connection, 1, "order.failed", FAILED)
        await made(office, 0)
        assert (await ann.get(RULES))["total"] == 1
        assert (await ann.send("DELETE", f"{RULES}/1")).status_code == 204
        assert (await ann.send("GET", f"{RULES}/1")).status_code == 404

    async def test_a_rule_that_cant_be_followed_costs_nobody_else(self, office) -> None:
        ann, bob = await office.person("ann", role="owner"), await office.person("bob")
        await ann.send("POST", RULES, {**RULE, "assignee": bob.id})
        await ann.send("POST", RULES, {**RULE, "name": "Second"})
        await office.connection.execute("update platform.users set disabled_at = now() where user_id = $1", bob.uuid)
        await record(office.connection, 1, "order.failed", FAILED)
        (task,) = await made(office, 1)
        assert task["rule_id"] == 2
        failures = await office.connection.fetch("select failure from tasks.match order by rule_id")
        assert [row[0] for row in failures] == ["There is no such person here.", None]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None)
@given(st.text(alphabet="{}ab.$kind _!", max_size=40), st.dictionaries(st.sampled_from("ab"), values, max_size=2))
def test_any_template_is_filled_or_refused(text, data):
    event = Subject("x.y", "api", None, data)
    with suppress(InvalidFieldError):
        check(text, field="title")
    assert len(filled(text, event, 30)) <= 30


def test_what_is_filled_in_is_never_read_again():
    event = Subject("x.y", "api", None, {"a": "{b}", "b": "secret", "c": "ms1:sealed"})
    assert filled("{a} {c} {$kind} {$subject}", event, 200) == "{b} … x.y ?"
