"""The tools of the task contract: add, list, complete, delete, update. All act on the tasks that the caller sees."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, RootModel

from mainstem.assistant.ports import Arguments, Hints, Tool, ToolContext
from mainstem.assistant.tools.words import Id, Text
from mainstem.pii.store import Subjects
from mainstem.platform.answers import Moment
from mainstem.platform.errors import ForbiddenError, InvalidFieldError
from mainstem.tasks import store
from mainstem.tasks.model import Actor, Filter, NewTask, Priority, Sort, Task

SCOPE: Final = "tasks"
MOST_LISTED: Final = 100
_MAY_BE_NONE: Final = ("due", "recurrence")
_PriorityWord = Literal["low", "medium", "high"]
_DUE: Final = "A day (2026-12-01), a time (2026-12-01T09:00), or words such as `tomorrow at 9` or `every friday`."
_RECURRENCE: Final = "RRULE (RFC 5545) of a task that comes again; it needs a date to begin with."
_SPAN_FORM: Final = r"^(overdue|\d{4}-\d{2}-\d{2}(/\d{4}-\d{2}-\d{2})?)$"
_SPAN: Final = "A day (2026-12-01), days from and to (2026-12-01/2026-12-07), or overdue."


class AddTask(Arguments):
    """What is to be done."""

    title: Text = Field(min_length=1, max_length=200)
    description: Text | None = Field(default=None, max_length=1_024)
    due: Text | None = Field(default=None, max_length=200, description=_DUE)
    priority: _PriorityWord | None = Field(default=None, description="medium when absent.")
    labels: list[Text] | None = Field(default=None, max_length=50)
    recurrence: Text | None = Field(default=None, max_length=500, description=_RECURRENCE)


class ListTasks(Arguments):
    """Which tasks."""

    status: Literal["all", "pending", "completed"] = "all"
    priority: _PriorityWord | None = None
    label: Text | None = Field(default=None, max_length=50)
    due: str | None = Field(default=None, max_length=30, pattern=_SPAN_FORM, description=_SPAN)
    search: Text | None = Field(default=None, max_length=200, description="Words of title or description.")
    sort: Literal["created", "due", "priority"] = Field(
        default="created", description="The newest, the soonest due or the most important first."
    )
    limit: int = Field(default=50, ge=1, le=MOST_LISTED)


class TaskId(Arguments):
    """Which task."""

    task_id: Id


class UpdateTask(TaskId):
    """What changes; what is absent stays as it is."""

    title: Text | None = Field(default=None, min_length=1, max_length=200)
    description: Text | None = Field(default=None, max_length=1_024)
    due: Text | None = Field(default=None, max_length=200, description=_DUE + " null takes the date away.")
    priority: _PriorityWord | None = None
    labels: list[Text] | None = Field(default=None, max_length=50, description="All labels that it has then.")
    add_labels: list[Text] | None = Field(default=None, max_length=50, description="Labels that it has besides, then.")
    remove_labels: list[Text] | None = Field(
        default=None, max_length=50, description="Labels that it has no more, then."
    )
    recurrence: Text | None = Field(default=None, max_length=500, description=_RECURRENCE)
    status: Literal["pending", "in_progress", "completed"] | None = None


class TaskCreated(BaseModel):
    """The task that was made."""

    task_id: int
    status: Literal["created"] = "created"
    title: str


class TaskCompleted(BaseModel):
    """The task that is done."""

    task_id: int
    status: Literal["completed"] = "completed"
    title: str


class TaskDeleted(BaseModel):
    """The task that is gone."""

    task_id: int
    status: Literal["deleted"] = "deleted"
    title: str


class TaskUpdated(BaseModel):
    """The task that has changed."""

    task_id: int
    status: Literal["updated"] = "updated"
    title: str


class TaskRow(BaseModel):
    """A task in a list."""

    id: int
    title: str
    completed: bool
    description: str
    status: str
    priority: str
    due_date: Moment | None
    due: str | None = Field(description="The same for people, in the hub's time zone: a day, or a day with a time.")
    labels: list[str]

    @classmethod
    def of(cls, task: Task, zone: ZoneInfo) -> "TaskRow":
        """Return a task as lists show it."""
        here = None if task.due_date is None else task.due_date.astimezone(zone)
        return cls(
            id=task.id,
            title=task.title,
            completed=task.completed,
            description=task.description,
            status=str(task.status),
            priority=str(task.priority),
            due_date=task.due_date,
            due=None if here is None else f"{here:%Y-%m-%d}" if task.all_day else f"{here:%Y-%m-%d %H:%M}",
            labels=list(task.labels),
        )


class TaskRows(RootModel[list[TaskRow]]):
    """Tasks."""


def span_of(words: str | None, now: datetime, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return from when and before when tasks are due. Raises InvalidFieldError for days that are none."""
    if words is None:
        return None, None
    if words == "overdue":
        return None, now
    first, _, last = words.partition("/")
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last or first) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise InvalidFieldError("due names days that are none.", field="due") from None
    return datetime.combine(start, time(), zone), datetime.combine(end, time(), zone)


def actor_of(context: ToolContext, subjects: Subjects) -> Actor:
    """Return the caller as the one who acts on tasks. Raises ForbiddenError for a key, which is nobody."""
    if context.caller.user_id is None:
        raise ForbiddenError("Tasks belong to people; sign in.")
    return Actor(context.caller.tenant_id, context.caller.user_id, subjects, context.zone)


def tools(subjects: Callable[[], Subjects]) -> tuple[Tool[Any], ...]:
    """Return the tools; `subjects` gives the keys that seal what tasks say in events."""

    async def add_task(context: ToolContext, given: AddTask) -> TaskCreated:
        new = NewTask(
            title=given.title,
            description=given.description or "",
            priority=Priority(given.priority or Priority.MEDIUM),
            labels=given.labels or (),
            due=given.due or None,
            recurrence=given.recurrence or None,
        )
        task = await store.add(context.connection, actor_of(context, subjects()), new, now=context.now)
        return TaskCreated(task_id=task.id, title=task.title)

    async def list_tasks(context: ToolContext, given: ListTasks) -> TaskRows:
        since, before = span_of(given.due, context.now, context.zone)
        wanted = Filter(
            completed={"all": None, "pending": False, "completed": True}[given.status],
            due_from=since,
            due_before=before,
            priority=None if given.priority is None else Priority(given.priority),
            label=given.label,
            search=given.search or None,
        )
        page = await store.list_(
            context.connection, actor_of(context, subjects()), wanted, sort=Sort(given.sort), limit=given.limit
        )
        return TaskRows([TaskRow.of(task, context.zone) for task in page.tasks])

    async def complete_task(context: ToolContext, given: TaskId) -> TaskCompleted:
        actor = actor_of(context, subjects())
        done = await store.complete(context.connection, actor, given.task_id, done=True, now=context.now)
        return TaskCompleted(task_id=done.task.id, title=done.task.title)

    async def delete_task(context: ToolContext, given: TaskId) -> TaskDeleted:
        task = await store.delete(context.connection, actor_of(context, subjects()), given.task_id, now=context.now)
        return TaskDeleted(task_id=task.id, title=task.title)

    async def ask_delete(context: ToolContext, given: TaskId) -> str:
        task = await store.get(context.connection, actor_of(context, subjects()), given.task_id)
        return f"Delete task {task.id}, “{task.title}”?"

    async def update_task(context: ToolContext, given: UpdateTask) -> TaskUpdated:
        # null means "no date" for `due`, and nothing for what a task always has
        given_fields = given.model_dump(exclude_unset=True, exclude={"task_id"})
        changes = {name: value for name, value in given_fields.items() if value is not None or name in _MAY_BE_NONE}
        actor = actor_of(context, subjects())
        task = await store.update(context.connection, actor, given.task_id, changes, now=context.now)
        return TaskUpdated(task_id=task.id, title=task.title)

    common: dict[str, Any] = {"scope": SCOPE, "personal": True}
    return (
        Tool(
            name="add_task",
            title="Add a task",
            description="Add a task for the person: something to do or to remember, with a date, priority and labels.",
            arguments=AddTask,
            result=TaskCreated,
            hints=Hints(),
            run=add_task,
            **common,
        ),
        Tool(
            name="list_tasks",
            title="List tasks",
            description="List the person's tasks: all, pending or completed, by words, priority or label. Use it to find ids.",
            arguments=ListTasks,
            result=TaskRows,
            hints=Hints(read_only=True, idempotent=True),
            run=list_tasks,
            **common,
        ),
        Tool(
            name="complete_task",
            title="Complete a task",
            description="Mark a task as done, by its id.",
            arguments=TaskId,
            result=TaskCompleted,
            hints=Hints(idempotent=True),
            run=complete_task,
            **common,
        ),
        Tool(
            name="delete_task",
            title="Delete a task",
            description="Delete a task for good, by its id. Asks the person first.",
            arguments=TaskId,
            result=TaskDeleted,
            hints=Hints(destructive=True),
            run=delete_task,
            question=ask_delete,
            **common,
        ),
        Tool(
            name="update_task",
            title="Change a task",
            description="Change title, description, date, priority, labels or status of a task, by its id.",
            arguments=UpdateTask,
            result=TaskUpdated,
            hints=Hints(idempotent=True),
            run=update_task,
            **common,
        ),
    )
