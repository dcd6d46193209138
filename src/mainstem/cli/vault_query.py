"""`mainstem vault query`: SQL over the archive, and over what PostgreSQL still holds, by DuckDB."""

import asyncio
import csv
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mainstem.cli.archive import nothing_archived
from mainstem.cli.context import DataDir, Json, data_folder, database, load, print_table
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    import duckdb

    from mainstem.events.archive.query import Source
    from mainstem.platform.settings import Settings

_CONNECT_TIMEOUT_S: Final = 10
_FETCH_ROWS: Final = 1_000
_TABLE_ROWS: Final = 1_000
_TICK_S: Final = 0.1


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over archive.event, archive.batch, live.event, live.batch.")],
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Have live.event and live.batch: what came in since this day (UTC)."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="See this tenant alone; else all of them.")] = None,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Ask the archive in SQL (DuckDB's), read-only; the SQL reaches no other file and no network.

    You are the operator: without --tenant the tables show every tenant.
    """
    if as_csv and as_json:
        line = "say --csv or --json, not both"
        raise CliError(line, ExitCode.USAGE)
    import duckdb

    from mainstem.events.archive import archive_folder
    from mainstem.events.archive.query import archive_sources, empty_archive, open_session, require_select

    settings = load()
    folder = data_folder(settings, data_dir)
    archive = archive_folder(settings.archive_dir, folder)
    sources = archive_sources(archive)
    if not sources:
        typer.echo(nothing_archived(settings, archive), err=True)
        if since is None:
            # nothing to ask: no rows, in the form asked for
            _print([], iter(()), as_csv=as_csv, as_json=as_json)
            return
    with TemporaryDirectory(prefix="mainstem-query-") as name:
        tenant_id, live = _from_database(settings, folder, tenant, since, Path(name))
        session = open_session([*(sources or empty_archive(live)), *live], Path(name) / "spill", tenant_id)
        try:
            require_select(session, sql)
            names, rows = _ask(session, sql)
            _print(names, rows, as_csv=as_csv, as_json=as_json)
        except duckdb.Error as error:
            hint = ": live tables are there with --since" if since is None and "live" in str(error) else ""
            raise CliError(str(error).split("\n\n")[0] + hint) from error
        finally:
            session.close()


def _from_database(
    settings: "Settings", folder: Path, tenant: str | None, since: datetime | None, files: Path
) -> "tuple[int | None, list[Source]]":
    """Return the tenant's id and the live tables; asks no database when neither is wanted."""
    if tenant is None and since is None:
        return None, []
    with database(settings, folder) as dsn:
        return asyncio.run(_read(dsn, tenant, since, files))


async def _read(dsn: str, tenant: str | None, since: datetime | None, files: Path) -> "tuple[int | None, list[Source]]":
    import asyncpg

    from mainstem.events.archive.query import live_sources
    from mainstem.platform.db import SESSION_SETTINGS
    from mainstem.platform.tenants import get_tenant

    settings = {**SESSION_SETTINGS, "application_name": "mainstem-query"}
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=settings)
    try:
        tenant_id = None if tenant is None else (await get_tenant(connection, tenant)).id
        live = [] if since is None else await live_sources(connection, files, since.replace(tzinfo=UTC))
        return tenant_id, live
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)


def _ask(session: "duckdb.DuckDBPyConnection", sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Run the query with a progress bar; return the names of its columns and its rows."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("asking"), BarColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
        ThreadPoolExecutor(1) as thread,
    ):
        task = bar.add_task("asking", total=100)
        asked = thread.submit(session.execute, sql)
        try:
            while not asked.done():
                wait([asked], timeout=_TICK_S)
                bar.update(task, completed=max(session.query_progress(), 0))
        except BaseException:
            session.interrupt()
            raise
        result = asked.result()
    return [column[0] for column in result.description or ()], _rows(result)


def _rows(result: "duckdb.DuckDBPyConnection") -> Iterator[tuple[Any, ...]]:
    while found := result.fetchmany(_FETCH_ROWS):
        yield from found


def _print(names: Sequence[str], rows: Iterator[tuple[Any, ...]], *, as_csv: bool, as_json: bool) -> None:
    if as_json:
        _print_json(names, rows)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(map(_texts, rows))
    else:
        shown = [dict(zip(names, row, strict=True)) for row in islice(rows, _TABLE_ROWS)]
        print_table(names, shown)
        if next(rows, None) is not None:
            typer.echo(f"the first {_TABLE_ROWS:,} rows; --csv and --json print all", err=True)


def _print_json(names: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    """Print an array of objects, row by row: the whole may not fit into memory."""
    import msgspec

    encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode
    opening = "["
    for row in rows:
        typer.echo(opening + encode(dict(zip(names, row, strict=True))).decode(), nl=False)
        opening = ",\n "
    typer.echo("[]" if opening == "[" else "]")


def _texts(row: tuple[Any, ...]) -> list[object]:
    """Return a row for CSV: times as RFC 3339, NULL as nothing."""
    return [value.isoformat() if isinstance(value, datetime) else value for value in row]
