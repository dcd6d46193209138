"""The tasks API of the contract: list, make, read, change, complete, delete; under /api/tasks and /api/{user_id}/tasks."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from mainstem.platform.auth import Caller
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection
from mainstem.platform.person import person_of
from mainstem.platform.web.text import clean
from mainstem.tasks import store
from mainstem.tasks.desk import Desk, changes_of, new_task, who
from mainstem.tasks.draft import link_of, read_due
from mainstem.tasks.lists import MOST_ROWS
from mainstem.tasks.model import Actor, Filter, Priority, Sort, Status, Task
from mainstem.tasks.models import CompletedOut, TaskIn, TaskList, TaskOut, TaskPatch, fields_of

Require = Callable[[str], Callable[..., Awaitable[Caller]]]
_STATUS: Final = "pending (all that is not done), in_progress, completed or all."
_LINK: Final = "A thing that tasks are about, as `booking:tripleseat/1/4711`."
_ASSIGNEE: Final = "A person here by id or e-mail, or `me`."
_Status = Literal["all", "pending", "in_progress", "completed"]


def build_router(*, desk: Desk, require: Require) -> APIRouter:
    """Return the routes under both paths; all need the scope tasks and a person."""
    allowed = require("tasks")

    async def named(user_id: str, caller: Annotated[Caller, Depends(allowed)]) -> Caller:
        person_of(caller, user_id)
        return caller

    router = APIRouter()
    router.include_router(_routes("/api/tasks", personal(require), desk))
    router.include_router(_routes("/api/{user_id:person}/tasks", named, desk))
    return router


def personal(require: Require) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency that gives a caller with the scope tasks who is a person. Raises ForbiddenError, too."""

    async def own(caller: Annotated[Caller, Depends(require("tasks"))]) -> Caller:
        # before the body is looked at
        person_of(caller)
        return caller

    return own


def _routes(prefix: str, person: Callable[..., Awaitable[Caller]], desk: Desk) -> APIRouter:
    router = APIRouter(prefix=prefix, tags=["tasks"])
    Person = Annotated[Caller, Depends(person)]  # noqa: N806 - a type

    @router.get("", summary="Tasks that you own, are assigned to or share")
    async def list_tasks(  # noqa: PLR0913, PLR0917 - the filters of a list
        caller: Person,
        status: Annotated[_Status, Query(description=_STATUS)] = "all",
        completed: Annotated[bool | None, Query(description="Beats status.")] = None,
        priority: Annotated[Priority | None, Query()] = None,
        label: Annotated[str | None, Query(max_length=50)] = None,
        search: Annotated[str | None, Query(max_length=200, description="Words of title and description.")] = None,
        due_after: Annotated[str | None, Query(max_length=200, description="From this time on.")] = None,
        due_before: Annotated[str | None, Query(max_length=200, description="Before this time.")] = None,
        assignee: Annotated[str | None, Query(max_length=254, description=_ASSIGNEE)] = None,
        link: Annotated[str | None, Query(max_length=350, description=_LINK)] = None,
        sort: Annotated[Sort, Query()] = Sort.CREATED,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> TaskList:
        async with desk.acting(caller) as (connection, actor):
            done = completed if completed is not None else None if status == "all" else status == "completed"
            wanted = Filter(
                completed=done,
                status=Status.IN_PROGRESS if completed is None and status == "in_progress" else None,
                priority=priority,
                label=None if label is None else clean(label),
                search=search,
                due_from=_moment(due_after, actor, "due_after"),
                due_before=_moment(due_before, actor, "due_before"),
                assignee_id=await _assignee(connection, actor, assignee),
                link=None if link is None else link_of(*link.partition(":")[::2]),
            )
            page = await store.list_(connection, actor, wanted, sort=sort, limit=limit, cursor=cursor)
        items = [TaskOut.of(task) for task in page.tasks]
        return TaskList(tasks=items, items=items, count=len(items), next_cursor=page.next_cursor)

    @router.post("", status_code=201, summary="Make a task")
    async def add(caller: Person, body: TaskIn) -> TaskOut:
        now = utc_now()
        async with desk.acting(caller, body.zone(desk.zone)) as (connection, actor):
            task = await store.add(connection, actor, await new_task(connection, actor, body, now), now=now)
        return TaskOut.of(task)

    @router.get("/{task_id}", summary="One task")
    async def get(caller: Person, task_id: int) -> TaskOut:
        async with desk.acting(caller) as (connection, actor):
            return TaskOut.of(await store.get(connection, actor, task_id))

    @router.put("/{task_id}", summary="Change the fields of a task that are given")
    async def change(caller: Person, task_id: int, body: TaskPatch) -> TaskOut:
        async with desk.acting(caller, body.zone(desk.zone)) as (connection, actor):
            changes = await changes_of(connection, actor, body)
            return TaskOut.of(await store.update(connection, actor, task_id, changes))

    @router.delete("/{task_id}", status_code=204, summary="Delete a task; its history stays", response_class=Response)
    async def remove(caller: Person, task_id: int) -> None:
        async with desk.acting(caller) as (connection, actor):
            await store.delete(connection, actor, task_id)

    @router.patch("/{task_id}/complete", summary="Complete a task, or open a completed one again")
    async def complete(caller: Person, task_id: int) -> CompletedOut:
        """Toggle. Completing a task that comes again makes the next one, once."""
        async with desk.acting(caller) as (connection, actor):
            done = await store.complete(connection, actor, task_id)
        return CompletedOut(**fields_of(done.task), next_task=_out(done.next))

    return router


def _out(task: Task | None) -> TaskOut | None:
    return None if task is None else TaskOut.of(task)


def _moment(text: str | None, actor: Actor, field: str) -> datetime | None:
    return None if text is None else read_due(text, now=utc_now(), zone=actor.zone, field=field).at


async def _assignee(connection: Connection, actor: Actor, wanted: str | None) -> UUID | None:
    if wanted is None or wanted == "me":
        return None if wanted is None else actor.user_id
    return await who(connection, actor, wanted, "assignee")
