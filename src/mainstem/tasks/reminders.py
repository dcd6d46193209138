"""Reminders: when to remind whom of a task. Each is sent once, by mail and live; see `remind`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import InvalidFieldError, NotFoundError
from mainstem.tasks.draft import MOST_REMINDERS, remind_at
from mainstem.tasks.model import Actor, NewReminder, Task

_MOST_MINUTES: Final = 525_600
_MOST_IDS: Final = 2**63
_sql: Final = load_queries("mainstem.tasks", "reminders.sql")


@dataclass(frozen=True, slots=True)
class Reminder:
    """One reminder of one person."""

    id: int
    minutes_before: int | None
    remind_at: datetime | None
    """None: minutes before a date that the task does not have."""
    sent_at: datetime | None
    outcome: str | None
    """`sent`, `skipped`: the task was done by then, or `failed`."""


async def add(
    connection: Connection, actor: Actor, task: Task, wanted: Sequence[NewReminder], *, now: datetime
) -> list[Reminder]:
    """Remind the actor of a task. Raises InvalidFieldError."""
    if not wanted:
        return []
    known = await all_of(connection, actor, task.id)
    if len(known) + len(wanted) > MOST_REMINDERS:
        raise InvalidFieldError(f"A task has at most {MOST_REMINDERS} reminders of a person.", field="reminders")
    times = [_time(one, task) for one in wanted]
    rows = await connection.fetch(
        _sql["add"],
        *(actor.tenant_id, task.id, actor.user_id, [one.minutes_before for one in wanted], times, now),
    )
    return [Reminder(**dict(row)) for row in rows]


async def all_of(connection: Connection, actor: Actor, task_id: int) -> list[Reminder]:
    """Return the actor's reminders of a task."""
    rows = await connection.fetch(_sql["all"], actor.tenant_id, actor.user_id, task_id)
    return [Reminder(**dict(row)) for row in rows]


async def remove(connection: Connection, actor: Actor, task_id: int, reminder_id: int) -> None:
    """Take a reminder of the actor's away. Raises NotFoundError."""
    known = (actor.tenant_id, actor.user_id, task_id, reminder_id)
    if not 0 < reminder_id < _MOST_IDS or await connection.fetchval(_sql["remove"], *known) is None:
        raise NotFoundError("Reminder not found")


async def move(connection: Connection, actor: Actor, task: Task, *, now: datetime) -> None:
    """Move the reminders of a task whose date has changed: those that count minutes before it, sent or not."""
    await connection.execute(_sql["move"], actor.tenant_id, task.id, task.due_date, now)


async def repeat(connection: Connection, actor: Actor, task: Task, following: Task, *, now: datetime) -> None:
    """Give the next occurrence of a task its reminders, everybody's that count minutes before the date."""
    await connection.execute(_sql["repeat"], actor.tenant_id, task.id, following.id, following.due_date, now)


def _time(wanted: NewReminder, task: Task) -> datetime | None:
    if (wanted.at is None) == (wanted.minutes_before is None):
        raise InvalidFieldError("A reminder has a time, or minutes before the date.", field="reminders")
    if wanted.minutes_before is None:
        return wanted.at
    if not 0 <= wanted.minutes_before <= _MOST_MINUTES:
        raise InvalidFieldError(f"minutes_before lies between 0 and {_MOST_MINUTES:,}.", field="reminders")
    return remind_at(task.due_date, wanted.minutes_before)
