"""Lists of tasks: filters, orders, pages, and what they read."""

import random
from datetime import UTC, datetime, timedelta

from mainstem.platform.db import transaction
from mainstem.tasks.lists import list_
from mainstem.tasks.model import Actor, Filter, Priority, Sort

PRIORITIES = ("low", "medium", "high")


async def everything(person, **params: object) -> list[dict]:
    found, cursor = [], None
    while True:
        page = await person.get("/api/tasks", limit=3, **({"cursor": cursor} if cursor else {}), **params)
        found += page["tasks"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


class TestLists:
    async def test_filters_and_orders_agree_with_what_they_say(self, office) -> None:
        ann, bob = await office.person("ann"), await office.person("bob")
        chance = random.Random(5)
        for number in range(20):
            due = {} if number % 4 == 0 else {"due": f"2031-05-{chance.randint(1, 5):02d}T12:00:00Z"}
            await ann.add(
                f"Task {number} {chance.choice(['alpha', 'beta'])}",
                priority=chance.choice(PRIORITIES),
                labels=chance.sample(["a", "b", "c"], 2),
                assignee=bob.id if number % 5 == 0 else None,
                links=[{"type": "webhook", "id": 1}] if number % 6 == 0 else [],
                **due,
            )
        for number in range(1, 20, 3):
            await ann.toggle(number)
        await ann.put(2, status="in_progress")
        every = await everything(ann)
        assert [task["id"] for task in every] == list(range(20, 0, -1))
        cases = {
            "pending": ({"status": "pending"}, lambda task: not task["completed"]),
            "completed": ({"status": "completed"}, lambda task: task["completed"]),
            "in progress": ({"status": "in_progress"}, lambda task: task["status"] == "in_progress"),
            "high": ({"priority": "high"}, lambda task: task["priority"] == "high"),
            "label": ({"label": "a"}, lambda task: "a" in task["labels"]),
            "search": ({"search": "alph task"}, lambda task: "alpha" in task["title"]),
            "nothing": ({"search": "!"}, lambda _: False),
            "assignee": ({"assignee": bob.email}, lambda task: task["assignee_id"] == bob.id),
            "link": ({"link": "webhook:1"}, lambda task: task["links"] != []),
            "due": (
                {"due_after": "2031-05-02T00:00:00Z", "due_before": "2031-05-04T00:00:00Z"},
                lambda task: task["due_date"] is not None and "2031-05-02" <= task["due_date"] < "2031-05-04",
            ),
            "both": ({"label": "b", "completed": False}, lambda task: "b" in task["labels"] and not task["completed"]),
        }
        orders = {
            "created": lambda task: -task["id"],
            "due": lambda task: (task["due_date"] or "9", task["id"]),
            "priority": lambda task: (-PRIORITIES.index(task["priority"]), -task["id"]),
        }
        for name, (params, fits) in cases.items():
            for sort, order in orders.items():
                found = await everything(ann, sort=sort, **params)
                assert found == sorted(filter(fits, every), key=order), (name, sort)
        labels = (await ann.get("/api/tasks/labels"))["items"]
        assert [one["label"] for one in labels] == ["a", "b", "c"]
        assert labels[0]["tasks"] == len([task for task in every if "a" in task["labels"]])
        refused = await ann.send("GET", "/api/tasks", cursor="bm9uc2Vuc2U")
        assert (refused.status_code, refused.json()["field"]) == (422, "cursor")

    async def test_no_common_list_reads_all_of_a_persons_tasks(self, office) -> None:
        ann = await office.person("ann")
        await office.connection.execute(
            """
            insert into tasks.tasks (tenant_id, task_id, uid, user_id, title, priority, labels, status, completed_at,
                                     due_date, created_by, created_at, updated_at)
            select 1, n, gen_random_uuid(), $1, 'Task ' || n, (array['low', 'medium', 'high'])[1 + n % 3],
                   array['l' || n % 200], case when n % 2 = 0 then 'completed' else 'pending' end,
                   case when n % 2 = 0 then now() end, now() + n * interval '1 hour', 'test', now(), now()
            from generate_series(1, 4000) n
            """,
            ann.uuid,
        )
        await office.connection.execute("analyze tasks.tasks, tasks.participant, tasks.label")
        actor = Actor(1, ann.uuid, office.hub.services.sealer.subjects)
        now = datetime.now(UTC)
        wanted = [
            (Filter(), Sort.CREATED),
            (Filter(completed=False), Sort.CREATED),
            (Filter(), Sort.DUE),
            (Filter(completed=False), Sort.DUE),
            (Filter(completed=False), Sort.PRIORITY),
            (Filter(label="l7"), Sort.CREATED),
            (Filter(completed=False, due_before=now + timedelta(hours=40)), Sort.DUE),
            (Filter(priority=Priority.HIGH), Sort.PRIORITY),
        ]
        read = (
            "select coalesce(sum(idx_tup_fetch + seq_tup_read), 0) "
            "from pg_stat_xact_all_tables where schemaname = 'tasks' and relname = 'participant'"
        )
        for filter_, sort in wanted:
            async with transaction(office.hub.pool, tenant_id=1, user_id=ann.uuid) as connection:
                page = await list_(connection, actor, filter_, sort=sort, limit=20)
                assert len(page.tasks) >= 10, (filter_, sort)
                assert await connection.fetchval(read) < 400, (filter_, sort)
