"""Rows of tasks, read and written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import asyncpg

from mainstem.platform.db import Connection, load_queries
from mainstem.tasks.model import Actor, LinkType, Priority, RepeatFrom, Status, Task, TaskLink

_sql: Final = load_queries("mainstem.tasks")


def task_of(row: asyncpg.Record | Mapping[str, Any], links: Iterable[TaskLink] = ()) -> Task:
    """Return the task of a row."""
    return Task(
        id=row["task_id"],
        uid=row["uid"],
        user_id=row["user_id"],
        assignee_id=row["assignee_id"],
        shared_with=tuple(row["shared_with"]),
        title=row["title"],
        description=row["description"],
        status=Status(row["status"]),
        priority=Priority(row["priority"]),
        labels=tuple(row["labels"]),
        due_date=row["due_date"],
        all_day=row["all_day"],
        due_words=row["due_words"],
        zone=row["zone"],
        recurrence=row["recurrence"],
        repeat_from=RepeatFrom(row["repeat_from"]),
        repeat_start=row["repeat_start"],
        series_uid=row["series_uid"],
        occurrence=row["occurrence"],
        version=row["version"],
        rule_id=row["rule_id"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        completed_at=row["completed_at"],
        completed_by=row["completed_by"],
        links=tuple(links),
    )


async def with_links(connection: Connection, tenant_id: int, rows: Sequence[asyncpg.Record]) -> list[Task]:
    """Return the tasks of rows with their links."""
    if not rows:
        return []
    found: dict[int, list[TaskLink]] = {}
    for one in await connection.fetch(_sql["links"], tenant_id, [row["task_id"] for row in rows]):
        found.setdefault(one["task_id"], []).append(TaskLink(LinkType(one["type"]), one["ref"]))
    return [task_of(row, found.get(row["task_id"], ())) for row in rows]


async def insert(connection: Connection, actor: Actor, task: Task) -> bool:
    """Write a new task with its links; False where its occurrence of a series is there already."""
    made = await connection.fetchval(
        _sql["insert"],
        *(actor.tenant_id, task.id, task.uid, task.user_id, task.assignee_id, list(task.shared_with)),
        *(task.title, task.description, task.status, task.priority, list(task.labels), task.due_date),
        *(task.all_day, task.due_words, task.zone, task.recurrence, task.repeat_from, task.repeat_start),
        *(task.series_uid, task.occurrence, task.rule_id, task.created_by, task.created_at),
        *(task.completed_at, task.completed_by),
    )
    if made is not None and task.links:
        await add_links(connection, actor, task.id, task.links)
    return made is not None


async def add_links(connection: Connection, actor: Actor, task_id: int, links: Iterable[TaskLink]) -> list[TaskLink]:
    """Link a task to things; return the links that are new."""
    some = list(links)
    rows = await connection.fetch(
        _sql["add_links"], actor.tenant_id, task_id, [one.type for one in some], [one.id for one in some]
    )
    return [TaskLink(LinkType(row["type"]), row["ref"]) for row in rows]


async def write(connection: Connection, actor: Actor, task: Task) -> int:
    """Write a task whose row is locked; return its new version."""
    version: int = await connection.fetchval(
        _sql["update"],
        *(actor.tenant_id, task.id, task.assignee_id, list(task.shared_with), task.title, task.description),
        *(task.status, task.priority, list(task.labels), task.due_date, task.all_day, task.due_words, task.zone),
        *(task.recurrence, task.repeat_from, task.repeat_start, task.series_uid, task.occurrence),
        *(task.completed_at, task.completed_by, task.updated_at),
    )
    return version
