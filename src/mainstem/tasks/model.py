"""What a task is made of: plain values that know no HTTP and no database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from mainstem.pii.store import Subjects
from mainstem.platform.errors import NotFoundError


class Status(StrEnum):
    """Where a task stands."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class Priority(StrEnum):
    """How much a task matters."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class RepeatFrom(StrEnum):
    """What the next date of a recurring task is counted from."""

    DUE = "due"
    """The date it was due: every Friday stays Friday."""
    COMPLETION = "completion"
    """The moment it was done: a week after the plants were watered."""


class LinkType(StrEnum):
    """Kinds of things of the hub that a task can be about."""

    BOOKING = "booking"
    ORDER = "order"
    VISITOR = "visitor"
    ALERT = "alert"
    WEBHOOK = "webhook"
    LINK = "link"


class Sort(StrEnum):
    """Orders of lists."""

    CREATED = "created"
    """The newest first."""
    DUE = "due"
    """The soonest first, those without a date last."""
    PRIORITY = "priority"
    """The highest first, then the newest."""


class TaskNotFoundError(NotFoundError):
    """Task not found"""  # noqa: D400 - the contract's words

    code = "task_not_found"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. The caller's transaction is bound to `tenant_id` and `user_id`."""

    tenant_id: int
    user_id: UUID
    subjects: Subjects
    """Keys of people: what tasks say is sealed in events."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """Where words such as `tomorrow` are read."""
    by: str = ""
    """How events name the one who acts: `user:<uuid>` when empty, else `cli`, `rule:3`, …"""

    @property
    def name(self) -> str:
        """Return how events name the one who acts."""
        return self.by or f"user:{self.user_id}"


@dataclass(frozen=True, slots=True, order=True)
class TaskLink:
    """A thing of the hub that a task is about."""

    type: LinkType
    id: str
    """Booking `connector/site/booking`, order `connector/establishment/local id`, visitor `v:…`, `u:…` or `h:…`, number
    of an alert or webhook, tracking id of a link."""


@dataclass(frozen=True, slots=True)
class NewReminder:
    """When to remind: at a time, or minutes before the task is due; exactly one of the two."""

    at: datetime | None = None
    minutes_before: int | None = None


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be made."""

    title: str
    description: str = ""
    status: Status = Status.PENDING
    priority: Priority = Priority.MEDIUM
    labels: Sequence[str] = ()
    due: datetime | str | None = None
    """A time, or words: an aware time is kept, words are read in the actor's zone."""
    recurrence: str | None = None
    """RRULE (RFC 5545, 3.3.10); words of `due` such as `every friday` bring their own."""
    repeat_from: RepeatFrom = RepeatFrom.DUE
    assignee_id: UUID | None = None
    links: Sequence[TaskLink] = ()
    reminders: Sequence[NewReminder] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One task as one person sees it."""

    id: int
    uid: UUID
    user_id: UUID
    assignee_id: UUID | None
    shared_with: tuple[UUID, ...]
    title: str
    description: str
    status: Status
    priority: Priority
    labels: tuple[str, ...]
    due_date: datetime | None
    all_day: bool
    due_words: str | None
    zone: str
    recurrence: str | None
    repeat_from: RepeatFrom
    repeat_start: datetime | None
    series_uid: UUID | None
    occurrence: int
    version: int
    rule_id: int | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    completed_by: str | None
    links: tuple[TaskLink, ...] = ()

    @property
    def completed(self) -> bool:
        """Tell whether it is done."""
        return self.status is Status.COMPLETED

    @property
    def people(self) -> list[UUID]:
        """Return who sees it."""
        everybody = (self.user_id, self.assignee_id, *self.shared_with)
        return [one for one in dict.fromkeys(everybody) if one is not None]


@dataclass(frozen=True, slots=True)
class Completed:
    """What became of a completion."""

    task: Task
    next: Task | None = None
    """The next occurrence, where this completion made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which tasks a list has; None asks for nothing."""

    completed: bool | None = None
    status: Status | None = None
    priority: Priority | None = None
    label: str | None = None
    search: str | None = None
    due_from: datetime | None = None
    due_before: datetime | None = None
    assignee_id: UUID | None = None
    link: TaskLink | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list."""

    tasks: list[Task]
    next_cursor: str | None


Changes = Mapping[str, Any]
"""Fields of NewTask that change, by name."""
