"""`mainstem vault plan|apply|backfill`: a vault model of one's own, from a file to tables, loads and views."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self, TypeVar

import typer

from mainstem.cli.context import DataDir, Json, data_folder, database, load, print_json
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mainstem.platform.db import Connection
    from mainstem.platform.settings import Settings
    from mainstem.vault.custom.backfill import Report
    from mainstem.vault.custom.model import Model
    from mainstem.vault.custom.plan import Plan

ModelFile = Annotated[
    Path | None, typer.Option("--model", help="The model file; else VAULT_MODEL, or vault.yaml in the data folder.")
]
_CONNECT_TIMEOUT_S: Final = 10
_GUIDE: Final = "docs/guides/own-vault-model.md shows how to write one"
T = TypeVar("T")


def plan(model: ModelFile = None, *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show the statements that would make the database fit the model file; changes nothing. Exit code 1 when refused."""
    from mainstem.vault.custom import catalogue
    from mainstem.vault.custom.plan import plan as make_plan

    settings, found = read_model(model, data_dir)

    async def action(connection: "Connection") -> "Plan":
        return make_plan(found, await catalogue.read(connection))

    made = _with_database(settings, data_dir, action)
    if as_json:
        print_json(_plan_row(made))
    else:
        _show(made)
    if made.refusals:
        raise typer.Exit(ExitCode.FAILED)


def apply(
    model: ModelFile = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    history: Annotated[bool, typer.Option(help="Fill new tables from the events that are stored.")] = True,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make the database fit the model file, and fill new tables from the events that are stored; twice does no harm."""
    from mainstem.vault.custom import catalogue
    from mainstem.vault.custom.apply import apply as apply_model
    from mainstem.vault.custom.plan import plan as make_plan

    settings, found = read_model(model, data_dir)

    async def action(connection: "Connection") -> "tuple[Plan, list[Report]]":
        made = make_plan(found, await catalogue.read(connection))
        if made.refusals:
            _show(made, as_error=True)
            raise typer.Exit(ExitCode.FAILED)
        if not made.is_empty:
            _confirm(made, yes=yes, as_json=as_json)
            async with connection.transaction():
                made = await apply_model(connection, found)
        return made, await _fill(connection, found, None, history=history)

    made, reports = _with_database(settings, data_dir, action)
    if as_json:
        print_json(_plan_row(made) | {"backfills": [_report_row(one) for one in reports]})
        return
    typer.echo("nothing to do" if made.is_empty and not reports else f"applied {found.path}")
    _tell(reports)


def backfill(
    feed: Annotated[str | None, typer.Argument(help="Name of the feed; without it all that wait.")] = None,
    model: ModelFile = None,
    *,
    history: Annotated[bool, typer.Option(help="Read the stored events; else the tables begin empty.")] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Empty the feed's tables first; loads wait meanwhile.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Fill applied tables that wait from the events that are stored, then let loads go on with them."""
    if again and feed is None:
        line = "say which feed is to be filled again"
        raise CliError(line, ExitCode.USAGE)
    from mainstem.vault.custom import catalogue

    settings, found = read_model(model, data_dir)
    if feed is not None and feed not in {one.name for one in found.feeds}:
        known = ", ".join(one.name for one in found.feeds) or "none"
        raise CliError(f"{found.path} has no feed {feed}; it has {known}", ExitCode.USAGE)

    async def action(connection: "Connection") -> "list[Report]":
        # tables are to be filled by the text that loads follow
        if (await catalogue.read(connection)).sha256 != found.sha256:
            line = f"{found.path} is not the model that is applied: run mainstem vault apply first"
            raise CliError(line)
        return await _fill(connection, found, feed, history=history, again=again)

    reports = _with_database(settings, data_dir, action)
    if as_json:
        print_json([_report_row(one) for one in reports])
        return
    if not reports:
        typer.echo("nothing to do")
    _tell(reports)


def read_model(given: Path | None, data_dir: Path | None) -> "tuple[Settings, Model]":
    """Return the settings and the model of the file. Raises CliError where there is none or it can't be used."""
    from mainstem.vault.custom import files

    settings = load()
    folder = data_folder(settings, data_dir)
    path = files.find(given or settings.vault_model, folder)
    if path is None:
        raise CliError(
            f"there is no {folder / 'vault.yaml'}, and neither --model nor VAULT_MODEL is set; {_GUIDE}", ExitCode.USAGE
        )
    return settings, read_file(path)


def read_file(path: Path) -> "Model":
    """Return the model of a file. Raises CliError with the last of its faults, after all others on standard error."""
    from mainstem.features import FEEDS
    from mainstem.vault.custom import files
    from mainstem.vault.custom.document import ModelError

    try:
        return files.load(path, FEEDS)
    except ModelError as error:
        *others, last = error.problems
        for problem in others:
            typer.echo(problem, err=True)
        raise CliError(last, ExitCode.USAGE) from error
    except UnicodeDecodeError as error:
        raise CliError(f"{path} is no text in UTF-8", ExitCode.USAGE) from error


def _with_database(settings: "Settings", data_dir: Path | None, action: "Callable[[Connection], Awaitable[T]]") -> T:
    import asyncpg

    from mainstem.vault.custom.apply import ModelBusyError
    from mainstem.vault.custom.document import ModelError

    async def run(dsn: str) -> T:
        server_settings = {"application_name": "mainstem-vault", "timezone": "UTC", "jit": "off"}
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=server_settings)
        try:
            return await action(connection)
        except ModelBusyError as error:
            raise CliError(str(error)) from error
        except ModelError as error:
            raise CliError("; ".join(error.problems)) from error
        except asyncpg.LockNotAvailableError as error:
            raise CliError("a table stayed locked; nothing was changed, try again") from error
        finally:
            await connection.close(timeout=_CONNECT_TIMEOUT_S)

    with database(settings, data_folder(settings, data_dir)) as dsn:
        return asyncio.run(run(dsn))


async def _fill(
    connection: "Connection", found: "Model", only: str | None, *, history: bool, again: bool = False
) -> "list[Report]":
    """Fill the waiting tables feed by feed, each in a transaction; return those that had any."""
    from mainstem.features import FEEDS
    from mainstem.vault.custom.backfill import backfill as fill
    from mainstem.vault.custom.backfill import empty

    reports = []
    feeds = [*FEEDS, *found.feeds]
    for feed in found.feeds:
        if only not in {None, feed.name}:
            continue
        with _Bar(feed.name) as bar:
            async with connection.transaction():
                if again:
                    await empty(connection, feed)
                report = await fill(connection, feed, feeds, history=history, progress=bar.show)
        if report.tables:
            reports.append(report)
    return reports


class _Bar:
    """A progress bar on standard error; nothing where that is no terminal."""

    def __init__(self, feed: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task(f"filling {feed}", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, total: int) -> None:
        """Show how many of the events are done."""
        self._bar.update(self._task, completed=done, total=total)


def _confirm(made: "Plan", *, yes: bool, as_json: bool) -> None:
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise CliError(
            "say --yes to apply without a question; mainstem vault plan shows what would be done", ExitCode.USAGE
        )
    _show(made)
    typer.confirm("Apply this?", abort=True)


def _show(made: "Plan", *, as_error: bool = False) -> None:
    if made.is_empty:
        typer.echo("nothing to do")
    for change in () if as_error else made.changes:
        typer.echo(f"-- {change.what}\n{change.sql}")
    for feed, table in () if as_error else made.add_loads:
        typer.echo(f"-- {table} is loaded from the feed {feed}")
    for feed, table in () if as_error else made.drop_loads:
        typer.echo(f"-- {table} is no longer loaded from the feed {feed}; it stays as it is")
    if made.new_file and not made.changes and not as_error:
        typer.echo("-- no statement; the loads follow the new file")
    for refusal in made.refusals:
        typer.echo(f"refused: {refusal}", err=True)


def _tell(reports: "list[Report]") -> None:
    for report in reports:
        typer.echo(f"{report.feed}: {len(report.tables)} tables filled from {report.facts:,} stored events")
        for reason, count in report.refused.most_common(10):
            typer.echo(f"{report.feed}: {count:,} events left out: {reason}", err=True)


def _plan_row(made: "Plan") -> dict[str, object]:
    return {
        "nothing_to_do": made.is_empty,
        "changes": [{"what": change.what, "sql": change.sql} for change in made.changes],
        "loads_added": [{"feed": feed, "table": table} for feed, table in made.add_loads],
        "loads_dropped": [{"feed": feed, "table": table} for feed, table in made.drop_loads],
        "new_file": made.new_file,
        "refusals": list(made.refusals),
    }


def _report_row(report: "Report") -> dict[str, object]:
    return {
        "feed": report.feed,
        "tables": list(report.tables),
        "events": report.facts,
        "left_out": [{"reason": reason, "events": count} for reason, count in report.refused.most_common()],
    }
