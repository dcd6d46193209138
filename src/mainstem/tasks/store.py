"""Tasks in the database: add, get, list, update, complete, delete. No HTTP: routes and the assistant call the same functions.

The caller's transaction is bound to the actor's tenant and person: row-level security shows a task to its owner, its
assignee and whom it is shared with. Every change is an event `task.*` in the same transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import ForbiddenError, InvalidFieldError
from mainstem.platform.ids import uuid7
from mainstem.platform.web.text import clean
from mainstem.tasks import reminders, repeat, rows
from mainstem.tasks.draft import Due, description_of, labels_of, read_due, title_of
from mainstem.tasks.lists import list_
from mainstem.tasks.model import (
    Actor,
    Changes,
    Completed,
    NewTask,
    Priority,
    RepeatFrom,
    Status,
    Task,
    TaskNotFoundError,
)
from mainstem.tasks.record import record

__all__ = ["add", "complete", "delete", "get", "list_", "lock", "save", "update"]

_sql: Final = load_queries("mainstem.tasks")
_MOST_IDS: Final = 2**31
_NOTHING: Final = "There is nothing to change: give at least one field."


async def add(connection: Connection, actor: Actor, new: NewTask, *, now: datetime | None = None) -> Task:
    """Make a task of the actor's. Raises InvalidFieldError, naming the field that is wrong."""
    return await make(connection, actor, new, now=now or utc_now())


async def make(
    connection: Connection, actor: Actor, new: NewTask, *, now: datetime, rule_id: int | None = None
) -> Task:
    """Make a task, for a rule where one is given. Raises InvalidFieldError."""
    title, description, labels = title_of(new.title), description_of(new.description), labels_of(new.labels)
    due = None if new.due is None else read_due(new.due, now=now, zone=actor.zone)
    rule = _recurrence(new.recurrence, due)
    if new.assignee_id is not None:
        await person(connection, actor, str(new.assignee_id), field="assignee")
    uid = uuid7()
    done = new.status is Status.COMPLETED
    task_id: int = await connection.fetchval(_sql["next_id"], actor.tenant_id)
    task = Task(
        id=task_id,
        uid=uid,
        user_id=actor.user_id,
        assignee_id=new.assignee_id,
        shared_with=(),
        title=title,
        description=description,
        status=new.status,
        priority=new.priority,
        labels=tuple(labels),
        due_date=None if due is None else due.at,
        all_day=due is not None and due.all_day,
        due_words=None if due is None else due.words,
        zone=str(actor.zone),
        recurrence=rule,
        repeat_from=RepeatFrom.COMPLETION if due is not None and due.from_completion else new.repeat_from,
        repeat_start=None if due is None or rule is None else due.at,
        series_uid=None if rule is None else uid,
        occurrence=1,
        version=1,
        rule_id=rule_id,
        created_by=actor.name,
        created_at=now,
        updated_at=now,
        completed_at=now if done else None,
        completed_by=actor.name if done else None,
        links=tuple(sorted(set(new.links))),
    )
    await rows.insert(connection, actor, task)
    await reminders.add(connection, actor, task, new.reminders, now=now)
    await record(connection, actor, "created", task, now=now)
    for link in task.links:
        await record(connection, actor, "linked", task, now=now, link=link)
    return task


async def get(connection: Connection, actor: Actor, task_id: int) -> Task:
    """Return a task that the actor sees. Raises TaskNotFoundError."""
    row = None
    if 0 < task_id < _MOST_IDS:
        row = await connection.fetchrow(_sql["one"], actor.tenant_id, task_id)
    if row is None:
        raise TaskNotFoundError
    return (await rows.with_links(connection, actor.tenant_id, [row]))[0]


async def update(
    connection: Connection, actor: Actor, task_id: int, changes: Changes, *, now: datetime | None = None
) -> Task:
    """Change a task; `changes` are fields of NewTask by name, `due` or `recurrence` of None take it away.

    `add_labels` and `remove_labels` change some of its labels, whatever the others are.

    Raises TaskNotFoundError, ForbiddenError for who only sees it, InvalidFieldError, also when there is nothing to change.
    """
    if not changes:
        raise InvalidFieldError(_NOTHING, code="no_fields")
    now = now or utc_now()
    before = await lock(connection, actor, task_id)
    after = _changed(before, changes, actor, now)
    if "assignee_id" in changes and after.assignee_id is not None:
        await person(connection, actor, str(after.assignee_id), field="assignee")
    if after.status is not before.status:
        if after.completed:
            # everything else first, so that the next occurrence is like it
            after = replace(after, status=before.status, completed_at=before.completed_at)
            changed = await save(connection, actor, before, after, now=now)
            return (await complete(connection, actor, changed.id, done=True, now=now)).task
        if before.completed:
            after = replace(after, completed_at=None, completed_by=None)
            return await save(connection, actor, before, after, verb="reopened", now=now)
    verb = "assigned" if set(changes) == {"assignee_id"} else "updated"
    return await save(connection, actor, before, after, verb=verb, now=now)


async def complete(
    connection: Connection, actor: Actor, task_id: int, *, done: bool | None = None, now: datetime | None = None
) -> Completed:
    """Complete a task, or open it again: the other of what it is where `done` is None.

    Completing an occurrence of a series makes the next one, once. Raises TaskNotFoundError and ForbiddenError.
    """
    now = now or utc_now()
    before = await lock(connection, actor, task_id)
    done = not before.completed if done is None else done
    if done == before.completed:
        return Completed(before)
    if not done:
        after = replace(before, status=Status.PENDING, completed_at=None, completed_by=None)
        return Completed(await save(connection, actor, before, after, verb="reopened", now=now))
    after = replace(before, status=Status.COMPLETED, completed_at=now, completed_by=actor.name)
    task = await save(connection, actor, before, after, verb="completed", now=now)
    return Completed(task, await _next(connection, actor, task, now))


async def delete(connection: Connection, actor: Actor, task_id: int, *, now: datetime | None = None) -> Task:
    """Delete a task, which only its owner may; its history stays in the vault. Return what it was.

    Raises TaskNotFoundError and ForbiddenError.
    """
    task = await lock(connection, actor, task_id)
    if task.user_id != actor.user_id:
        raise ForbiddenError("Only the owner of a task deletes it.", code="not_owner")
    await record(connection, actor, "deleted", replace(task, version=task.version + 1), now=now or utc_now())
    await connection.execute(_sql["delete"], actor.tenant_id, task_id)
    return task


async def lock(connection: Connection, actor: Actor, task_id: int) -> Task:
    """Return a task that the actor may change, kept from others until the transaction ends.

    Raises TaskNotFoundError, and ForbiddenError for one that the actor only sees.
    """
    row = None
    if 0 < task_id < _MOST_IDS:
        row = await connection.fetchrow(_sql["lock"], actor.tenant_id, task_id)
    if row is None:
        await get(connection, actor, task_id)
        raise ForbiddenError("Only its owner and its assignee change a task.", code="not_yours")
    return (await rows.with_links(connection, actor.tenant_id, [row]))[0]


async def save(  # noqa: PLR0913 - what a change is made of
    connection: Connection,
    actor: Actor,
    before: Task,
    after: Task,
    *,
    now: datetime,
    verb: str = "updated",
    **event: Any,  # noqa: ANN401 - parts of `record`
) -> Task:
    """Write a task whose row is locked and record why; one that is as it was is left alone. Return it."""
    changed = [name for name in _FIELDS if getattr(before, name) != getattr(after, name)]
    if not changed:
        return before
    if after.user_id != actor.user_id and {"assignee_id", "shared_with"} & set(changed):
        raise ForbiddenError("Only the owner of a task assigns and shares it.", code="not_owner")
    after = replace(after, updated_at=now)
    after = replace(after, version=await rows.write(connection, actor, after))
    if before.due_date != after.due_date:
        await reminders.move(connection, actor, after, now=now)
    await record(connection, actor, verb, after, now=now, changed=changed, **event)
    return after


async def person(connection: Connection, actor: Actor, who: str, *, field: str) -> asyncpg.Record:
    """Return user_id, email and name of a person of the tenant, by id or e-mail address. Raises InvalidFieldError."""
    try:
        user_id, address = UUID(who), None
    except ValueError:
        user_id, address = None, clean(who).strip().lower()
    row = await connection.fetchrow(_sql["person"], actor.tenant_id, user_id, address)
    if row is None:
        raise InvalidFieldError("There is no such person here.", field=field, code="unknown_person")
    return row


_FIELDS: Final = (
    *("title", "description", "status", "priority", "labels", "due_date", "all_day", "due_words", "zone", "recurrence"),
    *("repeat_from", "repeat_start", "assignee_id", "shared_with"),
)


def _changed(task: Task, changes: Changes, actor: Actor, now: datetime) -> Task:
    """Return a task as it is after changes. Raises InvalidFieldError."""
    unknown = [name for name in changes if name not in _READERS.keys() | _DATES | _SOME_LABELS]
    if unknown:
        raise InvalidFieldError(f"{unknown[0]} can't be changed.", field=unknown[0])
    made = {name: _READERS[name](value) for name, value in changes.items() if name in _READERS}
    if not _DATES.isdisjoint(changes):
        made = {**_redated(task, changes, actor, now), **made}
    if not _SOME_LABELS.isdisjoint(changes):
        made["labels"] = _relabelled(made.get("labels", task.labels), changes)
    return replace(task, **made)


def _relabelled(labels: tuple[str, ...], changes: Changes) -> tuple[str, ...]:
    """Return labels with some more and some less, whatever their case. Raises InvalidFieldError."""
    gone = {label.casefold() for label in changes.get("remove_labels") or ()}
    had = {label.casefold() for label in labels}
    more = [label for label in changes.get("add_labels") or () if label.casefold() not in had]
    return tuple(labels_of([*(label for label in labels if label.casefold() not in gone), *more]))


_SOME_LABELS: Final = frozenset({"add_labels", "remove_labels"})
_DATES: Final = frozenset({"due", "recurrence"})
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "title": title_of,
    "description": lambda text: description_of(text or ""),
    "labels": lambda words: tuple(labels_of(words or ())),
    "status": Status,
    "priority": Priority,
    "repeat_from": RepeatFrom,
    "assignee_id": lambda user_id: user_id,
}


def _redated(task: Task, changes: Changes, actor: Actor, now: datetime) -> dict[str, Any]:
    """Return the fields of date and recurrence after changes of them. Raises InvalidFieldError."""
    made: dict[str, Any] = {}
    due: Due | None
    if "due" in changes:
        due = None if changes["due"] is None else read_due(changes["due"], now=now, zone=actor.zone)
        made = {
            "due_date": None if due is None else due.at,
            "all_day": due is not None and due.all_day,
            "due_words": None if due is None else due.words,
            "zone": str(actor.zone),
        }
        if due is not None and due.recurrence is not None and "repeat_from" not in changes:
            made["repeat_from"] = RepeatFrom.COMPLETION if due.from_completion else RepeatFrom.DUE
    else:
        due = None if task.due_date is None else Due(task.due_date, task.all_day, task.due_words)
    if "recurrence" in changes:
        rule = _recurrence(changes["recurrence"], due)
    elif due is None:
        # what has no date has none that comes again
        rule = None
    else:
        rule = due.recurrence or task.recurrence
    if rule == task.recurrence:
        return made
    start = due.at if due is not None and rule is not None else None
    series = None if rule is None else uuid7()
    return {**made, "recurrence": rule, "repeat_start": start, "series_uid": series, "occurrence": 1}


def _recurrence(given: str | None, due: Due | None) -> str | None:
    rule = given if given is not None else due.recurrence if due is not None else None
    if rule is None:
        return None
    if due is None:
        raise InvalidFieldError("A recurring task needs a date to begin with: give due.", field="due")
    return repeat.check(rule)


async def _next(connection: Connection, actor: Actor, task: Task, now: datetime) -> Task | None:
    """Make the next occurrence of a series, unless it is there or the series is over."""
    if task.recurrence is None or task.due_date is None or task.repeat_start is None:
        return None
    zone = ZoneInfo(task.zone)
    due = repeat.following(
        task.recurrence,
        start=task.repeat_start,
        due=task.due_date,
        occurrence=task.occurrence,
        zone=zone,
        repeat_from=task.repeat_from,
        completed_at=task.completed_at,
    )
    known = (actor.tenant_id, task.series_uid, task.occurrence + 1)
    if due is None or await connection.fetchval(_sql["has_occurrence"], *known):
        return None
    task_id: int = await connection.fetchval(_sql["next_id"], actor.tenant_id)
    made = replace(
        task,
        id=task_id,
        uid=uuid7(),
        status=Status.PENDING,
        due_date=due,
        occurrence=task.occurrence + 1,
        version=1,
        created_by=actor.name,
        created_at=now,
        updated_at=now,
        completed_at=None,
        completed_by=None,
    )
    if not await rows.insert(connection, actor, made):
        return None
    await reminders.repeat(connection, actor, task, made, now=now)
    await record(connection, actor, "created", made, now=now, more={"after_uid": str(task.uid)})
    for link in made.links:
        await record(connection, actor, "linked", made, now=now, link=link)
    return made
