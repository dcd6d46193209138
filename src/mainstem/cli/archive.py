"""`mainstem archive`: days past their retention as Parquet files, written, listed and verified."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self

import typer

from mainstem.cli.context import DataDir, Json, data_folder, database, load, print_json, print_table
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.events.archive.run import DayOutcome
    from mainstem.platform.settings import Settings

app = typer.Typer(help="Raw events past their retention, as Parquet files.", no_args_is_help=True)

_CONNECT_TIMEOUT_S: Final = 10
_COLUMNS: Final = ["day", "events", "batches", "parts", "bytes", "archived_at"]


@app.command("run")
def run(
    before: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first day that stays; else RAW_RETENTION_DAYS ago."),
    ] = None,
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Archive and drop all loaded days before a day now, as the hourly upkeep does; exit code 1 when one has to stay."""
    settings = load()
    folder = data_folder(settings, data_dir)
    today = datetime.now(UTC).date()
    limit = before.date() if before else today - timedelta(days=settings.raw_retention_days)
    if limit > today:
        line = f"--before {limit} is in the future: only days that have ended can be archived (today is {today}, UTC)"
        raise CliError(line, ExitCode.USAGE)
    with database(settings, folder) as dsn:
        outcomes = asyncio.run(_run(dsn, _archive(settings, folder), limit))
    if as_json:
        print_json([{"day": str(one.day), "events": one.events, "kept": one.kept} for one in outcomes])
    elif not outcomes:
        typer.echo(f"nothing to archive before {limit}")
    for one in () if as_json else outcomes:
        typer.echo(f"{one.day}: {one.events:,} events archived" + (f", kept: {one.kept}" if one.kept else ""))
    if any(one.kept for one in outcomes):
        line = f"{sum(one.kept is not None for one in outcomes)} days stay in the database for the reasons given"
        raise CliError(line)


async def _run(dsn: str, folder: Path, before: date) -> "list[DayOutcome]":
    import asyncpg

    from mainstem.events.archive.run import archive_before
    from mainstem.events.retention import upkeep
    from mainstem.platform.db import SESSION_SETTINGS

    settings = {**SESSION_SETTINGS, "application_name": "mainstem-archive"}
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=settings)
    try:
        async with upkeep(connection) as ours:
            if not ours:
                line = "another process is at the upkeep of this database: try again in a minute"
                raise CliError(line)
            with _Bar() as bar:
                return await archive_before(connection, folder, before, done=lambda _: None, progress=bar)
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)


@app.command("list")
def list_(*, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the days that are in the archive."""
    from mainstem.events.archive.folder import archived_days, manifest_of

    settings = load()
    folder = _archive(settings, data_folder(settings, data_dir))
    rows = []
    for one in archived_days(folder):
        manifest = manifest_of(folder, one.day)
        rows.append(
            {
                "day": str(one.day),
                "events": one.events,
                "batches": one.batches,
                "parts": len(manifest.parts),
                "bytes": manifest.bytes,
                "archived_at": manifest.parts[-1].created_at,
                "path": one.path,
            }
        )
    if as_json:
        print_json(rows)
    elif rows:
        print_table(_COLUMNS, rows)
    else:
        typer.echo(nothing_archived(settings, folder))


@app.command("verify")
def verify(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="This day alone; else every day of the archive.")
    ] = None,
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Read the files again and compare bytes, counts and hash totals with what was written; exit code 1 when one differs."""
    from mainstem.events.archive.folder import day_names
    from mainstem.events.archive.verify import verify_day

    settings = load()
    folder = _archive(settings, data_folder(settings, data_dir))
    days = day_names(folder)
    if day is not None and day.date() not in days:
        raise CliError(f"{day.date()} is not in {folder}")
    results = []
    with _Bar() as bar:
        for one in [day.date()] if day else days:
            bar.begin(one, _events(folder, one))
            results.append({"day": str(one), "problems": verify_day(folder, one, bar.advance)})
    problems = [problem for result in results for problem in result["problems"]]
    if as_json:
        print_json(results)
    elif not results:
        typer.echo(nothing_archived(settings, folder))
    else:
        for problem in problems:
            typer.echo(problem)
        typer.echo(f"{len(results)} days read, {len(problems)} problems")
    if problems:
        line = "the archive is damaged: bring the files back from a backup (docs/guides/archive.md)"
        raise CliError(line)


def nothing_archived(settings: "Settings", folder: Path) -> str:
    """Return what to say where no day is archived."""
    if not settings.archive_enabled:
        return f"no day is archived in {folder}, and ARCHIVE_ENABLED is false"
    return f"no day is archived in {folder} yet: a day is, {settings.raw_retention_days} days after it (RAW_RETENTION_DAYS)"


def _archive(settings: "Settings", data_dir: Path) -> Path:
    from mainstem.events.archive import archive_folder

    return archive_folder(settings.archive_dir, data_dir)


def _events(folder: Path, day: date) -> int:
    from mainstem.events.archive import ArchiveDamagedError
    from mainstem.events.archive.folder import manifest_of

    try:
        return manifest_of(folder, day).events
    except ArchiveDamagedError:
        return 0


class _Bar:
    """A progress bar on standard error, one line per day; nothing where that is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("looking", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, day: date, events: int) -> None:
        """Show that a day of about so many events (0: unknown) is next."""
        self._bar.reset(self._task, description=str(day), total=events or None)

    def advance(self, events: int) -> None:
        """Show that so many more events are done."""
        self._bar.advance(self._task, events)
