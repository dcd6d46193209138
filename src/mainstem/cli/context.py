"""What the commands share: options, settings, the database to talk to, and how answers are printed."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar
from uuid import UUID

import typer

from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.platform.db import Connection
    from mainstem.platform.settings import Settings

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the embedded database, spool and secrets.", show_default="./data"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
TenantSlug = Annotated[str, typer.Option("--tenant", help="Slug of the tenant.")]

_OTHER_NAMES: Final = ("MAINSTEM_INTERNAL_DSN", "MAINSTEM_INTERNAL_DATA_DIR", "MAINSTEM_PASSWORD")
_STARTING_UP_S: Final = 30.0
_CONNECT_TIMEOUT_S: Final = 10
_PIPE_WIDTH: Final = 10_000

T = TypeVar("T")


def load() -> "Settings":
    """Return the settings, after a warning on standard error for each misspelt name. Raises SettingsError."""
    from mainstem.platform.settings import given_names, load_settings, misspelt

    for warning in misspelt(given_names(), also_known=_OTHER_NAMES):
        typer.echo(f"warning: {warning}", err=True)
    return load_settings()


def data_folder(settings: "Settings", given: Path | None) -> Path:
    """Return the data folder as an absolute path: the option, else the setting."""
    return (given or settings.data_dir).absolute()


@contextmanager
def database(settings: "Settings", data_dir: Path, *, make: bool = False) -> Iterator[str]:
    """Yield the URL of the database: DATABASE_URL, that of a running `up`, else an embedded one for as long as needed.

    Raises CliError when there is no data yet, unless `make` is set: a mistyped folder should not become a database.
    """
    from mainstem.platform.embedded import AlreadyServedError, EmbeddedPostgres, find_running
    from mainstem.platform.settings import database_dsn

    dsn = database_dsn(settings) or find_running(data_dir)
    if dsn is not None:
        yield dsn
        return
    if not make and not (data_dir / "postgres").exists():
        line = f"there is no database in {data_dir}: run mainstem up first, or set --data-dir or DATABASE_URL"
        raise CliError(line, ExitCode.DATABASE)
    server = EmbeddedPostgres(data_dir)
    try:
        server.start()
    except AlreadyServedError:
        # somebody is just starting it
        yield _await_running(data_dir)
        return
    server.supervise()
    try:
        yield server.dsn
    finally:
        server.stop()


def _await_running(data_dir: Path) -> str:
    from mainstem.platform.embedded import find_running

    deadline = time.monotonic() + _STARTING_UP_S
    while time.monotonic() < deadline:
        dsn = find_running(data_dir)
        if dsn is not None:
            return dsn
        time.sleep(0.05)
    line = f"{data_dir} is in use, but its database does not answer"
    raise CliError(line, ExitCode.DATABASE)


def with_connection(
    data_dir: Path | None, action: "Callable[[Connection], Awaitable[T]]", *, settings: "Settings | None" = None
) -> T:
    """Return what the action makes of one connection that runs as the owner, in one transaction.

    Settings that are not given are read, with their warnings.
    """
    import asyncpg

    async def run(dsn: str) -> T:
        session = {"application_name": "mainstem-cli", "timezone": "UTC"}
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=session)
        try:
            async with connection.transaction():
                return await action(connection)
        finally:
            await connection.close(timeout=_CONNECT_TIMEOUT_S)

    settings = settings or load()
    with database(settings, data_folder(settings, data_dir)) as dsn:
        return asyncio.run(run(dsn))


def print_json(value: object) -> None:
    """Print a value as JSON; times as RFC 3339."""
    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows for people; only the columns named."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(_shown(row[column]) for column in columns))
    # into a pipe no line is broken: whoever reads it counts on one line per row
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    console.print(table, markup=False)


def _plain(value: object) -> object:
    from mainstem.platform.clock import rfc3339

    match value:
        case datetime():
            return rfc3339(value)
        case UUID() | Path():
            return str(value)
        case set() | frozenset():
            return sorted(value)
        case _:
            msg = f"{type(value).__name__} has no JSON form"
            raise TypeError(msg)


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%SZ")
        case list() | tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
