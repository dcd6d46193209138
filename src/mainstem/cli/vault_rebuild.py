"""`mainstem vault rebuild`: everything anew from the events, beside the running loaders."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mainstem.cli.bar import Bar
from mainstem.cli.context import DataDir, Json, data_folder, database, load, print_json, print_table
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.platform.settings import Settings
    from mainstem.vault.rebuild import Compared, Plan, Report

_COLUMNS: Final = ["table", "part", "rows live", "rows rebuilt", "differing"]
_DEFAULT: Final = "rebuild"


def rebuild(
    into: Annotated[
        str | None,
        typer.Option(
            help="Name for the schemas NAME_vault and NAME_business; when given, they stay.", show_default=_DEFAULT
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Replay only what was loaded since (UTC), on a copy of the vault before; without the business layer.",
        ),
    ] = None,
    swap: Annotated[
        bool | None,
        typer.Option(
            "--swap/--no-swap", help="Put the rebuilt tables in place when they differ, or only compare; else asks."
        ),
    ] = None,
    *,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Only drop what a swap or a rebuild of this name has left.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Replay all events into tables of their own, compare them with the live ones, and swap them where wanted.

    Loading goes on meanwhile. Exit code 0 when live is what the events say (or is now), 1 when it differs.
    """
    from mainstem.vault.rebuild import Plan, RebuildError

    plan = Plan(
        into=into or _DEFAULT,
        since=None if since is None else since.replace(tzinfo=UTC),
        keep=into is not None,
        compare_only=swap is False,
    )
    settings = load()
    folder = data_folder(settings, data_dir)
    try:
        with database(settings, folder) as dsn:
            if drop_old:
                _drop_old(dsn, plan.into, as_json=as_json)
                return
            with Bar() as bar:
                report = asyncio.run(_run(settings, dsn, folder, plan, bar, swap=swap))
    except RebuildError as error:
        raise CliError(str(error)) from error
    _print(report, as_json=as_json)
    raise typer.Exit(ExitCode.DONE if report.equal or report.swapped else ExitCode.FAILED)


async def _run(settings: "Settings", dsn: str, folder: Path, plan: "Plan", bar: Bar, *, swap: bool | None) -> "Report":
    from mainstem.events.archive import archive_folder, archived_days, restore_day
    from mainstem.features import feeds_in_force
    from mainstem.platform import log
    from mainstem.vault.rebuild import Archives
    from mainstem.vault.rebuild import rebuild as run

    def decide(report: "Report") -> bool:
        if swap is not None:
            return swap
        if not sys.stdin.isatty():
            return False
        with bar.paused():
            _print_differences(report)
            return typer.confirm("Put the rebuilt tables in the place of the live ones?", err=True)

    # refusals were told when the events were loaded; here they are counted
    log.configure(settings.model_copy(update={"log_level": "CRITICAL"}))
    archives = Archives(archived_days(archive_folder(settings.archive_dir, folder)), restore_day)
    feeds = await feeds_in_force(settings, dsn, folder)
    return await run(dsn, feeds, plan, archives=archives, decide=decide, progress=bar.step)


def _drop_old(dsn: str, into: str, *, as_json: bool) -> None:
    from mainstem.vault.rebuild import drop_old

    dropped = asyncio.run(drop_old(dsn, into))
    if as_json:
        print_json({"dropped": dropped})
    else:
        typer.echo(f"dropped {', '.join(dropped)}" if dropped else "nothing was left to drop")


def _print(report: "Report", *, as_json: bool) -> None:
    if as_json:
        print_json(_row(report))
        return
    typer.echo(f"replayed {report.events:,} events in {report.loads:,} loads, {report.seconds:,.1f} s", err=True)
    if report.equal:
        typer.echo("live is what the events say, byte for byte")
    else:
        _print_differences(report)
    if report.lost:
        typer.echo(f"{report.lost:,} events that were loaded are in the landing no more: not swapped", err=True)
    elif report.since is not None and report.changed_batches:
        typer.echo(
            "events are loaded or refused otherwise than before: only a rebuild of everything is swapped", err=True
        )
    if report.swapped:
        typer.echo(f"swapped; the old tables are in {', '.join(report.kept)} until mainstem vault rebuild --drop-old")
    elif report.kept:
        typer.echo(f"the rebuilt tables are in {', '.join(report.kept)} until mainstem vault rebuild --drop-old")


def _print_differences(report: "Report") -> None:
    rows = [
        {
            "table": one.table,
            "part": one.part,
            "rows live": one.live.rows,
            "rows rebuilt": one.rebuilt.rows,
            "differing": one.differing,
        }
        for one in report.differences
    ]
    print_table(_COLUMNS, rows)
    for one in report.differences:
        for example in one.examples:
            typer.echo(f"{one.part}: {example.difference}: {example.key}", err=True)
    if report.changed_batches:
        typer.echo(f"{report.changed_batches:,} batches came out otherwise than when they were loaded", err=True)


def _row(report: "Report") -> dict[str, object]:
    return {
        "equal": report.equal,
        "swapped": report.swapped,
        "into": report.into,
        "since": report.since,
        "events": report.events,
        "loads": report.loads,
        "seconds": round(report.seconds, 3),
        "history_from": None if report.history_from is None else report.history_from.isoformat(),
        "lost": report.lost,
        "changed_batches": report.changed_batches,
        "kept": report.kept,
        "tables": [_compared(one) for one in report.compared],
    }


def _compared(one: "Compared") -> dict[str, object]:
    return {
        "table": one.table,
        "part": one.part,
        "equal": one.equal,
        "rows_live": one.live.rows,
        "rows_rebuilt": one.rebuilt.rows,
        "differing": one.differing,
        "examples": [{"difference": example.difference, "key": example.key} for example in one.examples],
    }
