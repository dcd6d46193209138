"""`mainstem vault check`: whether the rules of the vault and the ledger are kept."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mainstem.cli.bar import Bar
from mainstem.cli.context import DataDir, Json, data_folder, database, load, print_json, print_table
from mainstem.cli.failures import ExitCode

if TYPE_CHECKING:
    from mainstem.vault.check import Finding

_COLUMNS: Final = ["check", "subject", "state", "checked", "violations", "seconds", "note"]


def check(
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Look at all rows, not only at those since the last check.")
    ] = False,
    waiting_minutes: Annotated[
        int, typer.Option(min=1, help="A batch that waits longer for the loader is a failure.")
    ] = 15,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Verify keys, references, the gate, the ledger, partitions and roll-ups; exit code 1 when something is wrong.

    Reads one snapshot beside the running loaders. Rows that passed once are not read again without --full.
    """
    from mainstem.features import CHECKS, feeds_in_force
    from mainstem.vault.check import check as run
    from mainstem.vault.feed import structures_of

    settings = load()
    folder = data_folder(settings, data_dir)
    waiting = timedelta(minutes=waiting_minutes)
    with database(settings, folder) as dsn, Bar() as bar:
        structures = structures_of(asyncio.run(feeds_in_force(settings, dsn, folder)))
        findings = asyncio.run(run(dsn, structures, CHECKS, full=full, waiting=waiting, progress=bar.step))
    failed = [one for one in findings if one.state == "failed"]
    if as_json:
        print_json({"ok": not failed, "full": full, "checks": [_row(one) for one in findings]})
    else:
        print_table(_COLUMNS, [{**_row(one), "seconds": f"{one.seconds:.2f}"} for one in findings])
        for one in failed:
            for example in one.examples:
                typer.echo(f"{one.check} {one.subject}: {example}", err=True)
    raise typer.Exit(ExitCode.FAILED if failed else ExitCode.DONE)


def _row(one: "Finding") -> dict[str, object]:
    return {
        "check": one.check,
        "subject": one.subject,
        "state": one.state,
        "checked": one.checked,
        "violations": one.violations,
        "examples": list(one.examples),
        "seconds": round(one.seconds, 3),
        "note": one.note,
    }
