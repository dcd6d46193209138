"""Bodies of the tasks API, in and out."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from mainstem.platform.answers import Moment
from mainstem.platform.calendar import zone_of
from mainstem.tasks.draft import LONGEST_COMMENT, LONGEST_DESCRIPTION, LONGEST_DUE, LONGEST_TITLE, MOST_LINKS
from mainstem.tasks.model import Priority, RepeatFrom, Status, Task

# Todoist's: 4 is its p1
_PRIORITIES: Final[Mapping[object, str]] = {
    4: "high",
    3: "high",
    2: "medium",
    1: "low",
    "4": "high",
    "3": "high",
    "2": "medium",
    "1": "low",
    "p1": "high",
    "p2": "high",
    "p3": "medium",
    "p4": "low",
    "urgent": "high",
    "normal": "medium",
}


def _priority(value: object) -> object:
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, bool) or not isinstance(word, int | str):
        return value
    return _PRIORITIES.get(word, word)


def _due(value: object) -> object:
    """Return Todoist's object of a date as its text."""
    if isinstance(value, Mapping):
        return next((value[name] for name in ("datetime", "date", "string") if value.get(name)), "")
    return value


def _words(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


PriorityIn = Annotated[Priority, BeforeValidator(_priority)]
_DUE_NAMES: Final = AliasChoices("due", "due_string", "due_date", "due_datetime")
_TITLE_NAMES: Final = AliasChoices("title", "content")
DueIn = Annotated[str, BeforeValidator(_due), Field(max_length=LONGEST_DUE)]
LabelsIn = Annotated[list[str], BeforeValidator(_words)]


class LinkIn(BaseModel):
    """A thing of the hub that a task is about."""

    type: str = Field(description="booking, order, visitor, alert, webhook or link.", max_length=50)
    id: str | int = Field(description="As its type has it, such as `tripleseat/1/4711` for a booking.")


class ReminderIn(BaseModel):
    """When to remind: at a time, or minutes before the task is due."""

    at: str | None = Field(
        default=None, max_length=LONGEST_DUE, description="A time, or words such as `tomorrow at 9`."
    )
    minutes_before: int | None = Field(default=None, ge=0, le=525_600)


class _Body(BaseModel):
    model_config = ConfigDict(populate_by_name=True, str_strip_whitespace=True)

    timezone: str | None = Field(
        default=None, max_length=100, description="IANA zone in which words are read; TIMEZONE when absent."
    )

    def zone(self, usual: ZoneInfo) -> ZoneInfo:
        """Return the zone in which words are read. Raises InvalidFieldError."""
        return usual if self.timezone is None else zone_of(self.timezone)


class TaskIn(_Body):
    """A task to be made."""

    title: str = Field(min_length=1, max_length=LONGEST_TITLE, validation_alias=_TITLE_NAMES)
    description: str = Field(default="", max_length=LONGEST_DESCRIPTION)
    status: Status = Status.PENDING
    completed: bool | None = Field(default=None, description="Beats status.")
    priority: PriorityIn = Priority.MEDIUM
    due: DueIn | None = Field(
        default=None,
        validation_alias=_DUE_NAMES,
        description="ISO 8601, or words: `tomorrow at 9`, `every friday`. Also due_string.",
    )
    labels: LabelsIn = Field(default_factory=list)
    recurrence: str | None = Field(default=None, max_length=500, description="RRULE, such as FREQ=WEEKLY;BYDAY=FR.")
    repeat_from: RepeatFrom = Field(default=RepeatFrom.DUE, description="What the next date is counted from.")
    assignee: str | None = Field(
        default=None,
        max_length=254,
        validation_alias=AliasChoices("assignee", "assignee_id"),
        description="A person here, by id or e-mail.",
    )
    links: list[LinkIn] = Field(default_factory=list, max_length=MOST_LINKS)
    reminders: list[ReminderIn] = Field(default_factory=list, max_length=20)


class TaskPatch(_Body):
    """Fields of a task that change; null takes a date, a recurrence or an assignee away."""

    title: str | None = Field(default=None, min_length=1, max_length=LONGEST_TITLE, validation_alias=_TITLE_NAMES)
    description: str | None = Field(default=None, max_length=LONGEST_DESCRIPTION)
    status: Status | None = None
    completed: bool | None = Field(default=None, description="Beats status.")
    priority: PriorityIn | None = None
    due: DueIn | None = Field(default=None, validation_alias=_DUE_NAMES)
    labels: LabelsIn | None = None
    recurrence: str | None = Field(default=None, max_length=500)
    repeat_from: RepeatFrom | None = None
    assignee: str | None = Field(default=None, max_length=254, validation_alias=AliasChoices("assignee", "assignee_id"))


class TaskLinkOut(BaseModel):
    """A thing of the hub that a task is about."""

    type: str
    id: str


class TaskOut(BaseModel):
    """A task."""

    id: int
    uid: UUID
    user_id: UUID
    title: str
    description: str
    status: Status
    completed: bool
    priority: Priority
    due_date: Moment | None
    labels: list[str]
    created_at: Moment
    updated_at: Moment
    completed_at: Moment | None
    links: list[TaskLinkOut]
    assignee_id: UUID | None
    shared_with: list[UUID]
    all_day: bool = Field(
        description="No time of the day was said: due_date is the last second of the day in timezone."
    )
    due_words: str | None = Field(description="When it is due, in the words that were typed.")
    timezone: str
    recurrence: str | None
    repeat_from: RepeatFrom
    occurrence: int = Field(description="Number in its series, from 1.")
    version: int = Field(description="Grows with each change.")
    rule_id: int | None = Field(description="The rule that made it.")

    @classmethod
    def of(cls, task: Task) -> "TaskOut":
        """Return a task as the API shows it."""
        return cls(**fields_of(task))


class CompletedOut(TaskOut):
    """A task, and the next of its series where its completion made it."""

    next_task: TaskOut | None


class TaskList(BaseModel):
    """A part of a list of tasks."""

    success: Literal[True] = True
    tasks: list[TaskOut]
    items: list[TaskOut] = Field(description="The same.")
    count: int
    next_cursor: str | None = Field(description="Where the list goes on; null at its end.")


class CommentIn(BaseModel):
    """What is said about a task."""

    body: str = Field(min_length=1, max_length=LONGEST_COMMENT, validation_alias=AliasChoices("body", "content"))


class CommentOut(BaseModel):
    """What somebody said about a task."""

    id: int
    user_id: UUID
    body: str
    created_at: Moment


class CommentList(BaseModel):
    """Comments, the oldest first."""

    items: list[CommentOut]
    next_cursor: int | None


class WhoIn(BaseModel):
    """A person of the tenant."""

    user: str | None = Field(description="Id or e-mail of a person here; null assigns to nobody.", max_length=254)


class LabelOut(BaseModel):
    """A label and how many tasks have it."""

    label: str
    tasks: int
    open: int


class LabelList(BaseModel):
    """Labels of the tasks that you see."""

    items: list[LabelOut]


class ReminderOut(BaseModel):
    """A reminder of yours."""

    id: int
    minutes_before: int | None
    remind_at: Moment | None
    sent_at: Moment | None
    outcome: str | None


class ReminderList(BaseModel):
    """Your reminders of a task."""

    items: list[ReminderOut]


def fields_of(task: Task) -> dict[str, Any]:
    """Return the fields of TaskOut."""
    return {
        "id": task.id,
        "uid": task.uid,
        "user_id": task.user_id,
        "title": task.title,
        "description": task.description,
        "status": task.status,
        "completed": task.completed,
        "priority": task.priority,
        "due_date": task.due_date,
        "labels": list(task.labels),
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "completed_at": task.completed_at,
        "links": [TaskLinkOut(type=one.type, id=one.id) for one in task.links],
        "assignee_id": task.assignee_id,
        "shared_with": list(task.shared_with),
        "all_day": task.all_day,
        "due_words": task.due_words,
        "timezone": task.zone,
        "recurrence": task.recurrence,
        "repeat_from": task.repeat_from,
        "occurrence": task.occurrence,
        "version": task.version,
        "rule_id": task.rule_id,
    }
