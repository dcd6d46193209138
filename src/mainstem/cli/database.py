"""`mainstem db`: the way to the database for people and their tools, and its backup."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mainstem.cli.context import DataDir, Json, data_folder, database, load, print_json, with_connection
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.platform.db import Connection

app = typer.Typer(help="The database: its URL, psql, and backups.", no_args_is_help=True)

_API_ROLE: Final = "mainstem_api"


@app.command("url")
def url(*, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Print the connection URL: DATABASE_URL, or that of a running `mainstem up`."""
    from mainstem.platform.embedded import find_running
    from mainstem.platform.settings import database_dsn

    settings = load()
    folder = data_folder(settings, data_dir)
    dsn = database_dsn(settings) or find_running(folder)
    if dsn is None:
        line = f"no database runs on {folder}: start mainstem up, or set DATABASE_URL"
        raise CliError(line, ExitCode.DATABASE)
    if as_json:
        print_json({"url": dsn})
    else:
        typer.echo(dsn)


@app.command("psql", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context,
    tenant: Annotated[str | None, typer.Option(help="See this tenant alone, as its keys do.")] = None,
    *,
    data_dir: DataDir = None,
) -> None:
    """Open psql on the database; what follows `--` goes to psql.

    Without --tenant you are the owner: tables show every tenant.
    """
    settings = load()
    with database(settings, data_folder(settings, data_dir)) as dsn:
        command = [_program("psql"), dsn, *context.args]
        environment = dict(os.environ)
        if tenant is not None:
            environment["PGOPTIONS"] = f"{os.environ.get('PGOPTIONS', '')} {_as_tenant(tenant, data_dir)}".strip()
        # Ctrl-C is for psql alone, and our own server goes on until psql ends
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = subprocess.run(command, check=False, env=environment, preexec_fn=_listen_to_interrupts).returncode
        finally:
            signal.signal(signal.SIGINT, before)
    raise typer.Exit(code if code >= 0 else 128 - code)


@app.command("dump")
def dump(
    file: Annotated[Path, typer.Argument(help="The file to write; one that is there is replaced when all is well.")],
    *,
    data_dir: DataDir = None,
) -> None:
    """Write a backup of the database (pg_dump, custom format), while everything goes on."""
    settings = load()
    draft = file.with_name(file.name + ".new")
    with database(settings, data_folder(settings, data_dir)) as dsn:
        draft.unlink(missing_ok=True)
        # all tenants' data: for its owner alone
        draft.touch(mode=0o600)
        try:
            _run([_program("pg_dump"), dsn, "--format=custom", f"--file={draft}"])
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    typer.echo(f"{file}: {file.stat().st_size:,} bytes")


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A file of `db dump`.", exists=True, dir_okay=False)],
    *,
    data_dir: DataDir = None,
) -> None:
    """Bring a backup into an empty database; makes the embedded one when there is none. All or nothing."""
    from mainstem.platform import migrate

    settings = load()
    folder = data_folder(settings, data_dir)
    with database(settings, folder, make=True) as dsn:
        if migrate.status(dsn).current is not None:
            line = "there is data in this database: choose an empty one, or another --data-dir"
            raise CliError(line)
        # the backup names the roles that the migrations make, and holds the schema itself
        migrate.upgrade(dsn)
        migrate.downgrade(dsn, "base")
        whole = ["--clean", "--if-exists", "--single-transaction", "--exit-on-error"]
        _run([_program("pg_restore"), *whole, f"--dbname={dsn}", os.fspath(file)])
        revision = migrate.status(dsn).current
    typer.echo(f"restored, schema {revision}")


def _run(command: list[str]) -> None:
    """Run a program of PostgreSQL; its own words go to standard error. Raises CliError when it fails."""
    if subprocess.run(command, check=False).returncode:
        line = f"{Path(command[0]).name} failed: see the lines above"
        raise CliError(line)


def _as_tenant(slug: str, data_dir: Path | None) -> str:
    """Return the options of a connection that row-level security holds to one tenant. Raises NotFoundError."""
    from mainstem.platform.tenants import get_tenant

    async def action(connection: "Connection") -> str:
        return (await get_tenant(connection, slug)).slug

    return f"-c role={_API_ROLE} -c mainstem.tenant={with_connection(data_dir, action)}"


def _listen_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _program(name: str) -> str:
    from mainstem.platform.embedded import EmbeddedPostgresError, program

    try:
        return os.fspath(program(name))
    except EmbeddedPostgresError:
        found = shutil.which(name)
        if found is None:
            raise
        return found
