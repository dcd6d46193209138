"""`mainstem task`: the tasks of a person, from the command line of whoever runs the hub."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar
from zoneinfo import ZoneInfo

import typer

from mainstem.cli.context import DataDir, Json, TenantSlug, data_folder, database, load, print_json, print_table
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.platform.db import Connection
    from mainstem.tasks.model import Actor

app = typer.Typer(help="Tasks of a person.", no_args_is_help=True)
T = TypeVar("T")

UserEmail = Annotated[str, typer.Option("--user", help="E-mail address of the person.")]
TaskId = Annotated[int, typer.Argument(help="Number of the task.", min=1)]
_COLUMNS: Final = ["id", "title", "status", "priority", "due_date", "labels"]
_CONNECT_TIMEOUT_S: Final = 10
_Action = Callable[["Connection", "Actor"], Awaitable[T]]


@app.command("list")
def list_tasks(
    user: UserEmail,
    tenant: TenantSlug = "default",
    *,
    status: Annotated[str, typer.Option(help="pending, completed or all.")] = "pending",
    label: Annotated[str | None, typer.Option(help="Only tasks with this label.")] = None,
    search: Annotated[str | None, typer.Option(help="Words of title and description.")] = None,
    sort: Annotated[str, typer.Option(help="created, due or priority.")] = "created",
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List what a person owns, is assigned to or shares; open tasks, unless told otherwise."""
    if status not in {"all", "pending", "completed"} or sort not in {"created", "due", "priority"}:
        raise CliError("--status is pending, completed or all; --sort is created, due or priority", ExitCode.USAGE)

    async def action(connection: "Connection", actor: "Actor") -> list[dict[str, Any]]:
        from mainstem.tasks import store
        from mainstem.tasks.model import Filter, Sort

        done = None if status == "all" else status == "completed"
        wanted = Filter(completed=done, label=label, search=search)
        page = await store.list_(connection, actor, wanted, sort=Sort(sort), limit=limit)
        return [_shown(task) for task in page.tasks]

    found = _run(data_dir, tenant, user, action)
    if as_json:
        print_json(found)
    else:
        print_table(_COLUMNS, found)


@app.command("add")
def add(
    title: Annotated[str, typer.Argument(help="What there is to do.")],
    user: UserEmail,
    tenant: TenantSlug = "default",
    *,
    description: Annotated[str, typer.Option(help="More about it.")] = "",
    due: Annotated[str | None, typer.Option(help="When: 2026-12-01, tomorrow at 9, every friday.")] = None,
    priority: Annotated[str, typer.Option(help="low, medium or high.")] = "medium",
    label: Annotated[list[str] | None, typer.Option(help="A label; may be given several times.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a task of a person."""
    if priority not in {"low", "medium", "high"}:
        raise CliError("--priority is low, medium or high", ExitCode.USAGE)

    async def action(connection: "Connection", actor: "Actor") -> dict[str, Any]:
        from mainstem.tasks import store
        from mainstem.tasks.model import NewTask, Priority

        new = NewTask(title, description, priority=Priority(priority), labels=label or (), due=due)
        return _shown(await store.add(connection, actor, new))

    _told(_run(data_dir, tenant, user, action), as_json=as_json)


@app.command("done")
def done(
    task: TaskId, user: UserEmail, tenant: TenantSlug = "default", *, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Complete a task; one that comes again comes again."""

    async def action(connection: "Connection", actor: "Actor") -> dict[str, Any]:
        from mainstem.tasks import store

        found = await store.complete(connection, actor, task, done=True)
        return {**_shown(found.task), "next_task": None if found.next is None else _shown(found.next)}

    _told(_run(data_dir, tenant, user, action), as_json=as_json)


@app.command("rm")
def remove(
    task: TaskId, user: UserEmail, tenant: TenantSlug = "default", *, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Delete a task; its history stays in the vault."""

    async def action(connection: "Connection", actor: "Actor") -> dict[str, Any]:
        from mainstem.tasks import store

        return _shown(await store.delete(connection, actor, task))

    _told(_run(data_dir, tenant, user, action), as_json=as_json)


def _told(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        print_table(_COLUMNS, [found])


def _shown(task: Any) -> dict[str, Any]:  # noqa: ANN401 - a Task
    from mainstem.tasks.models import TaskOut

    return TaskOut.of(task).model_dump(mode="json")


def _run(data_dir: Path | None, tenant: str, email: str, action: "_Action[T]") -> T:
    """Return what the action makes of a connection bound to a person, under row-level security."""
    from mainstem.pii.box import Keyring
    from mainstem.pii.store import Subjects
    from mainstem.platform.db import create_pool, transaction
    from mainstem.platform.secrets import pii_keys
    from mainstem.platform.tenants import get_tenant
    from mainstem.platform.users import user_by_email
    from mainstem.tasks.model import Actor

    settings = load()
    folder = data_folder(settings, data_dir)

    async def run(dsn: str) -> T:
        owner = await create_pool(dsn, role="worker", min_size=0, max_size=1, application_name="mainstem-cli")
        people = await create_pool(dsn, role="api", min_size=0, max_size=1, application_name="mainstem-cli")
        try:
            async with transaction(owner, timeout_s=_CONNECT_TIMEOUT_S) as connection:
                where = await get_tenant(connection, tenant)
                who = await user_by_email(connection, email)
            if who is None or who.tenant_id != where.id:
                raise CliError(f"there is no user {email} in the tenant {tenant}")
            subjects = Subjects(Keyring(*pii_keys(settings, folder)))
            actor = Actor(where.id, who.id, subjects, ZoneInfo(settings.timezone), by="cli")
            async with transaction(people, tenant_id=where.id, user_id=who.id) as connection:
                return await action(connection, actor)
        finally:
            await people.close()
            await owner.close()

    with database(settings, folder) as dsn:
        return asyncio.run(run(dsn))
