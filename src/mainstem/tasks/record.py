"""What the hub hears of tasks: an event for each change, in its transaction, and news for those who watch.

Events say ids, states and times in the open. What people wrote (title, description, labels, comments) stands in `private`,
sealed by the key of the task's owner: the log and the vault keep it unread, and webhooks never get it.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from mainstem.events.record import Change, record_all
from mainstem.pii.assign import Person
from mainstem.pii.box import SubjectKey
from mainstem.pii.identify import Identifier, Kind, email
from mainstem.pii.store import lookups_of
from mainstem.platform import live
from mainstem.platform.clock import rfc3339
from mainstem.platform.db import Connection, load_queries
from mainstem.tasks.model import Actor, Task, TaskLink

SOURCE: Final = "tasks"
PRIVATE: Final = "private"
_sql: Final = load_queries("mainstem.tasks")


async def record(  # noqa: PLR0913 - an event has these parts
    connection: Connection,
    actor: Actor,
    verb: str,
    task: Task,
    *,
    now: datetime,
    changed: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
    private: Mapping[str, Any] | None = None,
    link: TaskLink | None = None,
    quiet: bool = False,
) -> None:
    """Append `task.<verb>` and, unless `quiet`, tell those who see the task; `private` goes beside what it says."""
    key = await _key_of_owner(connection, actor, task)
    said = {"title": task.title, "description": task.description, "labels": list(task.labels), **(private or {})}
    data = {
        **open_data(task),
        "by": actor.name,
        "changed": list(changed),
        **({} if link is None else {"link": {"type": link.type, "id": link.id}}),
        **(more or {}),
        PRIVATE: {name: str(key.seal(f"task{name}", json.dumps(value))) for name, value in said.items() if value},
    }
    change = Change(f"task.{verb}", data, subject=str(task.uid), occurred_at=now, sealed=True)
    await record_all(connection, actor.tenant_id, [change], source=SOURCE)
    if not quiet:
        await tell(connection, actor.tenant_id, "task_changed", task, verb=verb, by=actor.name)


async def tell(
    connection: Connection,
    tenant_id: int,
    type_: str,
    task: Task,
    *,
    people: Sequence[UUID] | None = None,
    **more: Any,  # noqa: ANN401 - JSON
) -> None:
    """Tell those who see a task, or some of them, once the transaction commits."""
    data = {"task_id": task.id, "uid": str(task.uid), "title": task.title, **_states(task), **more}
    await live.tell(connection, tenant_id, type_, data, people=task.people if people is None else people)


def open_data(task: Task) -> dict[str, Any]:
    """Return what an event says of a task in the open: ids, states and times."""
    return {
        "task_id": task.id,
        "uid": str(task.uid),
        "version": task.version,
        "user_id": str(task.user_id),
        "assignee_id": None if task.assignee_id is None else str(task.assignee_id),
        "shared_with": [str(one) for one in task.shared_with],
        **_states(task),
        "all_day": task.all_day,
        "recurrence": task.recurrence,
        "occurrence": task.occurrence,
        "links": [{"type": one.type, "id": one.id} for one in task.links],
    }


def _states(task: Task) -> dict[str, Any]:
    return {
        "status": task.status,
        "completed": task.completed,
        "priority": task.priority,
        "due_date": _text(task.due_date),
        "created_at": _text(task.created_at),
        "updated_at": _text(task.updated_at),
        "completed_at": _text(task.completed_at),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


async def _key_of_owner(connection: Connection, actor: Actor, task: Task) -> SubjectKey:
    """Return the key of the owner, whom their e-mail address and their user id lead to."""
    row = await connection.fetchrow(_sql["email"], actor.tenant_id, task.user_id)
    address = None if row is None else email(row["email"])
    known_by = [*([] if address is None else [address]), Identifier(Kind.USER, str(task.user_id))]
    lookup_key = await actor.subjects.lookup_key(connection, actor.tenant_id)
    (key,) = await actor.subjects.resolve(connection, [Person(actor.tenant_id, lookups_of(lookup_key, known_by))])
    return key
