"""Sends reminders that are due, once each: a mail of the outbox, a live message and an event, in the transaction that says so.

Whoever asks first has a reminder (SKIP LOCKED); a process that dies before it commits has sent nothing. What became due
while nobody worked is sent when somebody does; reminders of tasks that are done by then are skipped.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import asyncpg
import structlog

from mainstem.pii.store import Subjects
from mainstem.platform.db import Connection, Pool, is_transient, load_queries, transaction
from mainstem.platform.outbox import Outbox
from mainstem.tasks import rows
from mainstem.tasks.model import Actor, Task
from mainstem.tasks.record import record, tell
from mainstem.tasks.when import words

_sql: Final = load_queries("mainstem.tasks")
log = structlog.get_logger(__name__)
_reminders: Final = load_queries("mainstem.tasks", "reminders.sql")


class Reminders:
    """What a process needs to remind people."""

    def __init__(self, subjects: Subjects, outbox: Outbox, url: str) -> None:
        """Keep the keys of people, where mails go, and the address of this hub."""
        self._subjects = subjects
        self._outbox = outbox
        self._url = url

    async def send_due(self, pool: Pool, now: Callable[[], datetime]) -> int:
        """Send the reminder that is due longest; return how many were done with: one or none."""
        async with transaction(pool) as connection:
            moment = now()
            row = await connection.fetchrow(_reminders["claim"], moment)
            if row is not None and row["outcome"] == "sent":
                await self._try(connection, row, moment)
        return int(row is not None)

    async def _try(self, connection: Connection, row: asyncpg.Record, now: datetime) -> None:
        try:
            # another one's trouble is no trouble of this one
            async with connection.transaction():
                await self._send(connection, row, now)
        except Exception as error:
            if is_transient(error):
                raise
            # tried again for ever, it would keep all others waiting
            log.exception("reminder_failed", reminder_id=row["id"])
            await connection.execute(_reminders["fail"], row["id"])

    async def _send(self, connection: Connection, reminder: asyncpg.Record, now: datetime) -> None:
        tenant_id, reminder_id = reminder["tenant_id"], reminder["id"]
        row = await connection.fetchrow(_sql["one"], tenant_id, reminder["task_id"])
        person = await connection.fetchrow(_sql["person"], tenant_id, reminder["user_id"], None)
        if row is None or person is None:
            return
        (task,) = await rows.with_links(connection, tenant_id, [row])
        actor = Actor(tenant_id, task.user_id, self._subjects, ZoneInfo(task.zone), by="reminder")
        subject, text = mail_of(task, now, self._url)
        await self._outbox.put(
            connection, tenant_id, [person["email"]], subject, text, ref=f"reminder:{reminder_id}", now=now
        )
        await record(connection, actor, "reminded", task, now=now, more={"of": str(person["user_id"])}, quiet=True)
        await tell(connection, tenant_id, "task_reminder", task, people=[person["user_id"]], reminder_id=reminder_id)


def mail_of(task: Task, now: datetime, url: str) -> tuple[str, str]:
    """Return subject and text of the mail that reminds of a task. Pure."""
    lines = [task.title]
    if task.due_date is not None:
        due = words(task.due_date, now=now, zone=ZoneInfo(task.zone), all_day=task.all_day)
        lines.append(f"Due {due} ({task.zone}).")
    if task.description:
        lines += ["", task.description]
    lines += ["", f"Task {task.id}: {url}/api/tasks/{task.id}"]
    return f"Reminder: {task.title}", "\n".join(lines) + "\n"
