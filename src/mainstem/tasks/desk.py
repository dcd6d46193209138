"""What the routes of tasks share: who acts, in a transaction of theirs; bodies turned into what the store takes."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from mainstem.events.sealing import Sealer
from mainstem.pii.box import Keyring
from mainstem.platform.auth import Caller
from mainstem.platform.db import Connection, Pool, transaction
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.person import person_of
from mainstem.tasks import store
from mainstem.tasks.draft import link_of, read_due
from mainstem.tasks.model import Actor, Changes, NewReminder, NewTask, Status, TaskLink
from mainstem.tasks.models import LinkIn, ReminderIn, TaskIn, TaskPatch


class Desk:
    """Where requests meet the store."""

    def __init__(self, pool: Callable[[], Pool], sealer: Callable[[], Sealer], zone: str) -> None:
        """Keep the pool under row-level security, what seals personal data, and the zone of the installation."""
        self._pool = pool
        self._sealer = sealer
        self.zone = ZoneInfo(zone)

    @property
    def keyring(self) -> Keyring:
        """Return the key of the installation."""
        return self._sealer().keyring

    @asynccontextmanager
    async def acting(self, caller: Caller, zone: ZoneInfo | None = None) -> AsyncIterator[tuple[Connection, Actor]]:
        """Yield a connection bound to the caller's tenant and person, and who acts. Raises ForbiddenError for a key."""
        actor = Actor(caller.tenant_id, person_of(caller), self._sealer().subjects, zone or self.zone)
        async with transaction(self._pool(), tenant_id=actor.tenant_id, user_id=actor.user_id) as connection:
            yield connection, actor


async def new_task(connection: Connection, actor: Actor, body: TaskIn, now: datetime) -> NewTask:
    """Return the task that a body asks for. Raises InvalidFieldError."""
    status = body.status if body.completed is None else _status(done=body.completed, given=body.status)
    assignee = None if body.assignee is None else await who(connection, actor, body.assignee, "assignee")
    return NewTask(
        title=body.title,
        description=body.description,
        status=status,
        priority=body.priority,
        labels=body.labels,
        due=body.due,
        recurrence=body.recurrence,
        repeat_from=body.repeat_from,
        assignee_id=assignee,
        links=[link_of(one.type, str(one.id)) for one in body.links],
        reminders=[reminder_of(one, now, actor.zone) for one in body.reminders],
    )


async def changes_of(connection: Connection, actor: Actor, body: TaskPatch) -> Changes:
    """Return the changes that a body asks for. Raises InvalidFieldError."""
    given: dict[str, Any] = body.model_dump(exclude_unset=True, exclude={"timezone"})
    if given.get("completed") is not None:
        given["status"] = _status(done=given["completed"], given=given.get("status"))
    given.pop("completed", None)
    for name in ("title", "status", "priority", "repeat_from"):
        if name in given and given[name] is None:
            raise InvalidFieldError(f"{name} can't be null.", field=name)
    if "assignee" in given:
        wanted = given.pop("assignee")
        given["assignee_id"] = None if wanted is None else await who(connection, actor, wanted, "assignee")
    return given


async def who(connection: Connection, actor: Actor, wanted: str, field: str) -> UUID:
    """Return the id of a person of the tenant. Raises InvalidFieldError."""
    found: UUID = (await store.person(connection, actor, wanted, field=field))["user_id"]
    return found


def reminder_of(body: ReminderIn, now: datetime, zone: ZoneInfo) -> NewReminder:
    """Return the reminder that a body asks for. Raises InvalidFieldError."""
    at = None if body.at is None else read_due(body.at, now=now, zone=zone, field="reminders").at
    return NewReminder(at, body.minutes_before)


def link_in(body: LinkIn) -> TaskLink:
    """Return the link of a body. Raises InvalidFieldError."""
    return link_of(body.type, str(body.id))


def _status(*, done: bool, given: Status | None) -> Status:
    if done:
        return Status.COMPLETED
    return given if given is not None and given is not Status.COMPLETED else Status.PENDING
