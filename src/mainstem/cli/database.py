"""`mainstem db`: the way to the database for people and their tools."""

import os
import shutil
import signal
import subprocess

import typer

from mainstem.cli.context import DataDir, data_folder, database, load
from mainstem.cli.failures import CliError, ExitCode

app = typer.Typer(help="The database: its URL, and psql.", no_args_is_help=True)


@app.command("url")
def url(*, data_dir: DataDir = None) -> None:
    """Print the connection URL: DATABASE_URL, or that of a running `mainstem up`."""
    from mainstem.platform.embedded import find_running
    from mainstem.platform.settings import database_dsn

    settings = load()
    folder = data_folder(settings, data_dir)
    dsn = database_dsn(settings) or find_running(folder)
    if dsn is None:
        line = f"no database runs on {folder}: start mainstem up, or set DATABASE_URL"
        raise CliError(line, ExitCode.DATABASE)
    typer.echo(dsn)


@app.command("psql", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, *, data_dir: DataDir = None) -> None:
    """Open psql on the database; what follows `--` goes to psql."""
    settings = load()
    with database(settings, data_folder(settings, data_dir)) as dsn:
        command = [_psql(), dsn, *context.args]
        # Ctrl-C is for psql alone, and our own server goes on until psql ends
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = subprocess.run(command, check=False, preexec_fn=_listen_to_interrupts).returncode
        finally:
            signal.signal(signal.SIGINT, before)
    raise typer.Exit(code if code >= 0 else 128 - code)


def _listen_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _psql() -> str:
    from mainstem.platform.embedded import EmbeddedPostgresError, program

    try:
        return os.fspath(program("psql"))
    except EmbeddedPostgresError:
        found = shutil.which("psql")
        if found is None:
            raise
        return found
