"""Rows of one person: who sees, changes and hands over what, over HTTP and in the database itself."""

import asyncio
import random

import asyncpg
import pytest

from mainstem.platform.db import transaction
from mainstem.platform.tenants import create_tenant

PEOPLE = 10


class TestPeople:
    async def test_ten_people_at_once_never_meet(self, office) -> None:
        people = [await office.person(f"p{number}") for number in range(PEOPLE)]

        async def work(number: int) -> None:
            mine = people[number]
            made = [await mine.add(f"mine {number} {count}", labels=[f"l{number}"]) for count in range(3)]
            await mine.toggle(made[0]["id"])
            theirs = random.choice([one for one in people if one is not mine])
            for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("PATCH", "/complete")):
                for task_id in range(made[0]["id"] - 3, made[0]["id"]):
                    answer = await theirs.send(method, f"/api/tasks/{made[1]['id']}{path}", {"title": "taken"})
                    assert answer.status_code == 404, (task_id, answer.text)
            listed = await mine.get("/api/tasks")
            assert {task["title"] for task in listed["tasks"]} == {f"mine {number} {count}" for count in range(3)}
            assert {task["user_id"] for task in listed["tasks"]} == {mine.id}
            assert await mine.titles(search="mine") == await mine.titles()
            assert await mine.titles(label=f"l{(number + 1) % PEOPLE}") == []

        await asyncio.gather(*(work(number) for number in range(PEOPLE)))
        ids = [row[0] for row in await office.connection.fetch("select task_id from tasks.tasks order by 1")]
        assert ids == list(range(1, 3 * PEOPLE + 1))

    async def test_tenants_count_for_themselves_and_never_meet(self, office) -> None:
        await create_tenant(office.connection, "other")
        ann, zoe = await office.person("ann"), await office.person("zoe", tenant="other")
        assert (await ann.add("a"))["id"] == (await zoe.add("z"))["id"] == 1
        assert (await ann.titles(), await zoe.titles()) == (["a"], ["z"])
        assert (await ann.send("PUT", "/api/tasks/1", {"assignee": zoe.email})).status_code == 422
        assert (await ann.send("PUT", "/api/tasks/1", {"assignee": zoe.id})).status_code == 422

    async def test_the_assignee_sees_and_changes_but_owns_nothing(self, office) -> None:
        ann, bob = await office.person("ann"), await office.person("bob")
        await ann.add("Call the caterer", assignee=bob.email)
        assert await bob.titles() == ["Call the caterer"]
        assert (await bob.put(1, status="in_progress"))["status"] == "in_progress"
        assert (await bob.toggle(1))["completed"]
        assert await ann.titles(completed=True, assignee=bob.id) == ["Call the caterer"]
        assert await bob.titles(assignee="me") == ["Call the caterer"]
        assert (await bob.send("DELETE", "/api/tasks/1")).json()["code"] == "not_owner"
        assert (await bob.send("PUT", "/api/tasks/1", {"assignee": None})).json()["code"] == "not_owner"
        await ann.put(1, assignee=None)
        assert (await bob.titles(), (await bob.send("GET", "/api/tasks/1")).status_code) == ([], 404)


@pytest.fixture
async def two(office):
    """Return two people, of whom the first has a task."""
    ann, bob = await office.person("ann"), await office.person("bob")
    await ann.add("Secret")
    return ann, bob


class TestDatabase:
    async def test_without_a_person_there_is_nothing(self, office, two) -> None:
        async with transaction(office.hub.pool, tenant_id=1) as connection:
            for table in ("tasks", "participant", "label", "task_link", "comment", "reminder"):
                assert await connection.fetchval(f"select count(*) from tasks.{table}") == 0
        async with transaction(office.hub.pool, tenant_id=1, user_id=two[0].uuid) as connection:
            assert await connection.fetchval("select count(*) from tasks.tasks") == 1
        async with transaction(office.hub.pool, tenant_id=1) as connection:
            assert await connection.fetchval("select platform.current_user_id()") is None

    @pytest.mark.parametrize(
        "statement",
        [
            """insert into tasks.tasks (tenant_id, task_id, uid, user_id, title, created_by, created_at, updated_at)
               values (1, 99, gen_random_uuid(), $1, 'x', 'x', now(), now())""",
            """insert into tasks.tasks (
                 tenant_id, task_id, uid, user_id, assignee_id, title, created_by, created_at, updated_at, series_uid,
                 occurrence, recurrence, repeat_start, due_date)
               values (1, 99, gen_random_uuid(), $1, platform.current_user_id(), 'x', 'x', now(), now(), gen_random_uuid(),
                       2, 'FREQ=DAILY', now(), now())""",
            """insert into tasks.participant (tenant_id, user_id, task_id, completed, rank, due_at)
               values (1, $1, 1, false, 1, now())""",
            """insert into tasks.comment (tenant_id, task_id, user_id, body, created_at)
               values (1, 1, $1, 'x', now())""",
            """insert into tasks.comment (tenant_id, task_id, user_id, body, created_at)
               select 1, 1, platform.current_user_id(), 'x', now() where $1::uuid is not null""",
            """insert into tasks.task_link (tenant_id, task_id, type, ref)
               select 1, 1, 'alert', '1' where $1::uuid is not null""",
            """insert into tasks.reminder (tenant_id, task_id, user_id, remind_at, created_at)
               values (1, 1, $1, now(), now())""",
        ],
    )
    async def test_nobody_writes_rows_of_somebody_else(self, office, two, statement) -> None:
        ann, bob = two
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with transaction(office.hub.pool, tenant_id=1, user_id=bob.uuid) as connection:
                await connection.execute(statement, ann.uuid)

    async def test_nobody_takes_a_task_over(self, office, two) -> None:
        ann, bob = two
        take = "update tasks.tasks set user_id = $1"
        async with transaction(office.hub.pool, tenant_id=1, user_id=bob.uuid) as connection:
            assert await connection.execute(take, bob.uuid) == "UPDATE 0"
            assert await connection.execute("delete from tasks.tasks") == "DELETE 0"
        await ann.put(1, assignee=bob.id)
        for statement in (take, "update tasks.tasks set shared_with = array[$1::uuid]"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with transaction(office.hub.pool, tenant_id=1, user_id=bob.uuid) as connection:
                    await connection.execute(statement, bob.uuid)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with transaction(office.hub.pool, tenant_id=1, user_id=ann.uuid) as connection:
                await connection.execute(take, bob.uuid)
        async with transaction(office.hub.pool, tenant_id=1, user_id=bob.uuid) as connection:
            assert await connection.execute("delete from tasks.tasks") == "DELETE 0"
