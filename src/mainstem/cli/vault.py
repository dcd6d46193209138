"""`mainstem vault`: the Data Vault and the proof that its engine is right."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mainstem.cli.context import DataDir, Json, data_folder, load, print_json, print_table
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.platform.settings import Settings
    from mainstem.vault.conform import Case, Report

app = typer.Typer(help="The Data Vault.", no_args_is_help=True)

_CONNECT_TIMEOUT_S: Final = 10
# nothing in a throw-away database is worth waiting for the disk
_THROW_AWAY: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@app.callback()
def _group() -> None:
    """Hold the commands of the Data Vault."""


@app.command("conform")
def conform(
    path: Annotated[list[Path], typer.Argument(help="Case files, or folders of them (*.json).", exists=True)],
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Run conformance cases (tables in, tables out) through the engine; exit code 1 when one fails.

    Takes the database of DATABASE_URL or of a running `up`, where every case is rolled back, else a new one.
    """
    from mainstem.vault.conform import CaseFileError, read_cases

    try:
        cases = read_cases(path)
    except CaseFileError as error:
        raise CliError(str(error), ExitCode.USAGE) from error
    settings = load()
    with _any_database(settings, data_folder(settings, data_dir)) as dsn:
        report = asyncio.run(_run(dsn, cases))
    _print(report, as_json=as_json)
    raise typer.Exit(ExitCode.FAILED if report.failed else ExitCode.DONE)


@contextmanager
def _any_database(settings: "Settings", folder: Path) -> Iterator[str]:
    """Yield the URL of the configured or running database, else of an empty one that lives as long as the command."""
    from mainstem.platform.embedded import EmbeddedPostgres, find_running
    from mainstem.platform.settings import database_dsn

    dsn = database_dsn(settings) or find_running(folder)
    if dsn is not None:
        yield dsn
        return
    with TemporaryDirectory(prefix="mainstem-conform-") as name:
        # the server may run as a user of its own, who has to pass through
        Path(name).chmod(0o711)
        with EmbeddedPostgres(Path(name), options=_THROW_AWAY) as server:
            yield server.dsn


async def _run(dsn: str, cases: "Sequence[Case]") -> "Report":
    import asyncpg

    from mainstem.vault.conform import Report, run_cases

    server_settings = {"application_name": "mainstem-conform", "timezone": "UTC"}
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=server_settings)
    try:
        return Report([result async for result in run_cases(connection, cases)])
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)


def _print(report: "Report", *, as_json: bool) -> None:
    kinds = [{"kind": kind, "passed": passed, "total": total} for kind, (passed, total) in report.kinds.items()]
    total = len(report.results)
    if as_json:
        failed = [{"id": one.id, "kind": one.kind, "title": one.title, "problem": one.problem} for one in report.failed]
        print_json({"passed": report.passed, "total": total, "kinds": kinds, "failed": failed})
        return
    for one in report.failed:
        typer.echo(f"{one.id} {one.title}: {one.problem}", err=True)
    print_table(["kind", "passed", "total"], [*kinds, {"kind": "all", "passed": report.passed, "total": total}])
