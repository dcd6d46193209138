"""What people do with a task beside changing it: comment, share, link, look back. The same rules as in `store`."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from mainstem.pii.opening import Opener
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import InvalidFieldError, NotFoundError
from mainstem.tasks import rows, store
from mainstem.tasks.draft import MOST_LINKS, comment_of
from mainstem.tasks.model import Actor, Task, TaskLink
from mainstem.tasks.record import PRIVATE, record

MOST_SHARED: Final = 100
_sql: Final = load_queries("mainstem.tasks")


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said about a task."""

    id: int
    user_id: UUID
    body: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Label:
    """A label and how many of the tasks that a person sees have it."""

    label: str
    tasks: int
    open: int


@dataclass(frozen=True, slots=True)
class Past:
    """One change of a task, as the vault has kept it."""

    kind: str
    at: datetime
    by: str
    version: int
    changed: tuple[str, ...]
    data: dict[str, Any]
    """What was said, with what was sealed opened."""


async def comment(
    connection: Connection, actor: Actor, task_id: int, body: str, *, now: datetime | None = None
) -> Comment:
    """Say something about a task that the actor sees. Raises TaskNotFoundError, InvalidFieldError."""
    now, body = now or utc_now(), comment_of(body)
    task = await store.get(connection, actor, task_id)
    comment_id: int = await connection.fetchval(_sql["add_comment"], actor.tenant_id, task_id, actor.user_id, body, now)
    more = {"comment_id": comment_id}
    await record(connection, actor, "commented", task, now=now, more=more, private={"comment": body})
    return Comment(comment_id, actor.user_id, body, now)


async def comments(
    connection: Connection, actor: Actor, task_id: int, *, after: int = 0, limit: int = 50
) -> list[Comment]:
    """Return what was said about a task, the oldest first. Raises TaskNotFoundError."""
    await store.get(connection, actor, task_id)
    found = await connection.fetch(_sql["comments"], actor.tenant_id, task_id, after, limit)
    return [Comment(row["comment_id"], row["user_id"], row["body"], row["created_at"]) for row in found]


async def share(connection: Connection, actor: Actor, task_id: int, user_id: UUID) -> Task:
    """Let a person of the tenant see a task. Raises TaskNotFoundError, ForbiddenError, InvalidFieldError."""
    task = await store.lock(connection, actor, task_id)
    if user_id in task.people:
        return task
    if len(task.shared_with) >= MOST_SHARED:
        raise InvalidFieldError(f"A task is shared with at most {MOST_SHARED} people.", field="user")
    await store.person(connection, actor, str(user_id), field="user")
    after = replace(task, shared_with=(*task.shared_with, user_id))
    return await store.save(connection, actor, task, after, now=utc_now(), verb="shared", more={"with": str(user_id)})


async def unshare(connection: Connection, actor: Actor, task_id: int, user_id: UUID) -> Task:
    """Let a person see a task no more. Raises TaskNotFoundError, ForbiddenError, and NotFoundError for who never did."""
    task = await store.lock(connection, actor, task_id)
    if user_id not in task.shared_with:
        raise NotFoundError("This task is not shared with that person.")
    after = replace(task, shared_with=tuple(one for one in task.shared_with if one != user_id))
    return await store.save(connection, actor, task, after, now=utc_now(), verb="unshared", more={"with": str(user_id)})


async def link(connection: Connection, actor: Actor, task_id: int, wanted: TaskLink) -> Task:
    """Say that a task is about a thing of the hub. Raises TaskNotFoundError, ForbiddenError, InvalidFieldError."""
    task = await store.lock(connection, actor, task_id)
    if wanted in task.links:
        return task
    if len(task.links) >= MOST_LINKS:
        raise InvalidFieldError(f"A task has at most {MOST_LINKS} links.", field="links")
    await rows.add_links(connection, actor, task_id, [wanted])
    task = replace(task, links=tuple(sorted((*task.links, wanted))))
    await record(connection, actor, "linked", task, now=utc_now(), link=wanted)
    return task


async def unlink(connection: Connection, actor: Actor, task_id: int, gone: TaskLink) -> Task:
    """Say that a task is about a thing no more. Raises TaskNotFoundError, ForbiddenError, NotFoundError."""
    task = await store.lock(connection, actor, task_id)
    if await connection.fetchval(_sql["remove_link"], actor.tenant_id, task_id, gone.type, gone.id) is None:
        raise NotFoundError("This task is not linked to that.")
    task = replace(task, links=tuple(one for one in task.links if one != gone))
    await record(connection, actor, "unlinked", task, now=utc_now(), link=gone)
    return task


async def labels(connection: Connection, actor: Actor) -> list[Label]:
    """Return the labels of the tasks that the actor sees, by name."""
    found = await connection.fetch(_sql["labels"], actor.tenant_id, actor.user_id)
    return [Label(row["label"], row["tasks"], row["open"]) for row in found]


async def history(
    connection: Connection, actor: Actor, task_id: int, opener: Opener, *, limit: int = 200
) -> list[Past]:
    """Return the changes of a task that the vault has loaded, the oldest first. Raises TaskNotFoundError."""
    task = await store.get(connection, actor, task_id)
    found = await connection.fetch(_sql["history"], actor.tenant_id, str(task.uid), limit)
    texts = await opener.open_texts(connection, actor.tenant_id, [row["data"] for row in found])
    past = []
    for row, text in zip(found, texts, strict=True):
        data = json.loads(text)
        data |= data.pop(PRIVATE, None) or {}
        past.append(
            Past(
                row["kind"],
                row["occurred_at"],
                data.pop("by", ""),
                data.get("version", 0),
                tuple(data.pop("changed", ())),
                data,
            )
        )
    return sorted(past, key=lambda one: (one.version, one.at))
