"""`mainstem import`: old data through the real intake."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self

import typer

from mainstem.cli.context import DataDir, Json, data_folder, database, load, print_json
from mainstem.cli.failures import CliError

if TYPE_CHECKING:
    from mainstem.hub import Hub
    from mainstem.platform.settings import Settings
    from mainstem.site.access_log import ImportReport, Progress

app = typer.Typer(help="Bring old data in.", no_args_is_help=True)

_POLL_S: Final = 0.1


@app.callback()
def _group() -> None:
    """Bring old data in."""


@app.command("access-log")
def access_log(
    file: Annotated[str, typer.Argument(help="The log, plain or gzip; - reads standard input.")],
    tenant: Annotated[str, typer.Option(help="Slug of the tenant.")] = "default",
    site: Annotated[str | None, typer.Option(help="https://host of the pages, where the log has no host.")] = None,
    *,
    wait: Annotated[bool, typer.Option(help="Wait until everything is loaded.")] = True,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Import an Apache or nginx access log (common or combined format); the same lines twice add nothing."""
    settings = load()
    folder = data_folder(settings, data_dir)
    from mainstem.platform import log

    # between the report and the progress bar only what needs attention
    log.configure(settings.model_copy(update={"log_level": "WARNING"}))
    with database(settings, folder) as dsn:
        report = asyncio.run(_run(settings, dsn, folder, file=file, tenant=tenant, site=site, wait=wait))
    if as_json:
        print_json(_row(report))
        return
    for line in report.malformed:
        typer.echo(f"malformed: {line}", err=True)
    typer.echo(
        f"{report.lines:,} lines: {report.accepted:,} events ({report.page_views:,} page views), "
        f"{report.known:,} known already, {report.rejected:,} malformed"
    )
    if report.rejected and not (report.accepted or report.known):
        line = "no line could be read: is this an access log in the common or combined format?"
        raise CliError(line)


async def _run(
    settings: "Settings", dsn: str, folder: Path, *, file: str, tenant: str, site: str | None, wait: bool
) -> "ImportReport":
    from mainstem.hub import open_hub
    from mainstem.platform.secrets import secret_key
    from mainstem.platform.tenants import get_tenant
    from mainstem.site.access_log import import_access_log
    from mainstem.site.access_log.events import log_sender

    # loads by itself too: whether another process does so need not be known, a batch is loaded once
    async with open_hub(settings, dsn, folder, serves=True, works=wait) as hub:
        async with hub.worker_pool.acquire() as connection:
            tenant_id = (await get_tenant(connection, tenant)).id
        sender = log_sender(settings, tenant_id=tenant_id, secret=secret_key(settings, folder))
        with _Bar() as bar:
            report = await import_access_log(
                sys.stdin.buffer if file == "-" else Path(file),
                intake=hub.services.intake,
                pool=hub.worker_pool,
                sender=sender,
                site=site,
                sealer=hub.services.sealer,
                progress=bar.show,
            )
        if wait:
            await _loaded(hub, tenant_id)
    return report


async def _loaded(hub: "Hub", tenant_id: int) -> None:
    from mainstem.platform.db import load_queries

    query = load_queries("mainstem.cli")["waiting_events"]
    with _Bar() as bar:
        while waiting := await hub.worker_pool.fetchval(query, tenant_id):
            bar.say(f"loading, {waiting:,} events wait")
            await asyncio.sleep(_POLL_S)


class _Bar:
    """A progress bar on standard error; nothing where that is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("reading", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: "Progress") -> None:
        """Show how far the import has come."""
        text = f"{progress.lines:,} lines, {progress.accepted:,} events, {progress.rejected:,} malformed"
        self._bar.update(self._task, description=text, completed=progress.bytes_read, total=progress.total_bytes)

    def say(self, text: str) -> None:
        """Show a text where the end is not known."""
        self._bar.update(self._task, description=text)


def _row(report: "ImportReport") -> dict[str, object]:
    return {
        "lines": report.lines,
        "accepted": report.accepted,
        "known": report.known,
        "rejected": report.rejected,
        "page_views": report.page_views,
        "first_at": report.first_at,
        "last_at": report.last_at,
        "malformed": report.malformed,
    }
