"""`mainstem links`: tracked links made, listed, shown, archived, imported and exported from the command line."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from mainstem.cli.bar import Bar
from mainstem.cli.context import DataDir, Json, TenantSlug, data_folder, database, load, print_json, print_table
from mainstem.cli.failures import CliError

if TYPE_CHECKING:
    from mainstem.links.models import LinkOut
    from mainstem.links.store import Scope
    from mainstem.platform.db import Pool

app = typer.Typer(help="Tracked links.", no_args_is_help=True)

_COLUMNS: Final = ["id", "short_url", "target_url", "title", "clicks", "created_at"]
_LISTED: Final = 50
_Action = Callable[["Pool", "Scope", str], Awaitable[None]]
LinkId = Annotated[int, typer.Argument(help="Id of the link, as `links list` prints it.", min=0)]


@app.command("create")
def create(
    target: Annotated[str, typer.Argument(help="Where the link leads.")],
    tenant: TenantSlug = "default",
    *,
    slug: Annotated[str | None, typer.Option(help="The path of the short address; made up when absent.")] = None,
    host: Annotated[str, typer.Option(help="One of the tenant's domains.", show_default="the hub's own address")] = "",
    title: Annotated[str | None, typer.Option(help="Title of the link.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given more than once.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a link; prints its short address."""
    given = {"target_url": target, "slug": slug, "host": host or None, "title": title, "tags": tag}

    async def action(pool: "Pool", scope: "Scope", base: str) -> None:
        from pydantic import ValidationError

        from mainstem.links import store
        from mainstem.links.models import LinkIn
        from mainstem.platform.db import transaction
        from mainstem.platform.errors import MainstemError
        from mainstem.platform.problems import from_validation

        try:
            wanted = LinkIn.model_validate({name: value for name, value in given.items() if value})
        except ValidationError as error:
            raise from_validation(error.errors()) from None
        async with transaction(pool, tenant_id=scope.tenant_id) as connection:
            made = (await store.create(connection, scope, [wanted.model_dump(exclude_unset=True)]))[0]
            if isinstance(made, MainstemError):
                raise made
            (link,) = await _links(connection, scope, [made], base)
        _print(link, as_json=as_json)

    _run(data_dir, tenant, action)


@app.command("list")
def list_(
    tenant: TenantSlug = "default",
    *,
    search: Annotated[str | None, typer.Option(help="Beginning of a slug, words of title or description.")] = None,
    tag: Annotated[str | None, typer.Option(help="Links with this tag alone.")] = None,
    archived: Annotated[bool, typer.Option(help="Archived links instead of the others.")] = False,
    by_clicks: Annotated[bool, typer.Option(help="Those with most clicks first; clicked ones alone.")] = False,
    limit: Annotated[int, typer.Option(help="Most links.", min=1, max=10_000)] = _LISTED,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List links, newest first."""

    async def action(pool: "Pool", scope: "Scope", base: str) -> None:
        from mainstem.links import store
        from mainstem.platform.db import transaction

        wanted = store.Filter(search=search, tag=tag, archived=archived)
        async with transaction(pool, tenant_id=scope.tenant_id) as connection:
            places = await store.ids_of(
                connection, scope.tenant_id, wanted, by_clicks=by_clicks, after=None, limit=limit
            )
            links = await _links(connection, scope, [link_id for _, link_id in places], base)
        if as_json:
            print_json([link.model_dump(mode="json") for link in links])
        elif links:
            print_table(_COLUMNS, [{name: getattr(link, name) for name in _COLUMNS} for link in links])
        else:
            typer.echo("no links", err=True)

    _run(data_dir, tenant, action)


@app.command("show")
def show(link: LinkId, tenant: TenantSlug = "default", *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show one link and its clicks."""

    async def action(pool: "Pool", scope: "Scope", base: str) -> None:
        from mainstem.platform.db import transaction

        async with transaction(pool, tenant_id=scope.tenant_id) as connection:
            found = await _links(connection, scope, [link], base)
        if not found:
            line = f"tenant {tenant} has no link {link}"
            raise CliError(line)
        if as_json:
            print_json(found[0].model_dump(mode="json"))
            return
        for name, value in found[0].model_dump(mode="json").items():
            if value not in (None, [], ""):
                typer.echo(f"{name}: {value}")

    _run(data_dir, tenant, action)


@app.command("archive")
def archive(link: LinkId, tenant: TenantSlug = "default", *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Take a link out of the lists; it still redirects."""

    async def action(pool: "Pool", scope: "Scope", base: str) -> None:
        from mainstem.links import store
        from mainstem.platform.db import transaction
        from mainstem.platform.errors import MainstemError

        async with transaction(pool, tenant_id=scope.tenant_id) as connection:
            changed = (await store.change(connection, scope, [(link, {"archived": True})]))[0]
            if isinstance(changed, MainstemError):
                raise changed
            (found,) = await _links(connection, scope, [link], base)
        _print(found, as_json=as_json)

    _run(data_dir, tenant, action)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV of Mainstem, Bitly, Dub or Shlink; - reads standard input.")],
    tenant: TenantSlug = "default",
    *,
    source: Annotated[
        Literal["auto", "mainstem", "bitly", "dub", "shlink"], typer.Option("--from", help="Whose export it is.")
    ] = "auto",
    update: Annotated[
        bool, typer.Option(help="Change links whose slug is there already, instead of passing over them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Check everything, keep nothing.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Take links over; rows that can't be are named by their line. Exit code 1 when there was one."""

    async def action(pool: "Pool", scope: "Scope", base: str) -> None:
        from mainstem.links import csv_import

        del base
        rows = 0 if str(file) == "-" else sum(1 for _ in _lines(file)) - 1
        with Bar() as bar:
            told = await csv_import.take(
                pool,
                scope,
                _lines(file),
                format_=source,
                update=update,
                dry_run=dry_run,
                progress=lambda done: bar.step(done, max(rows, done), "links"),
            )
        if as_json:
            print_json(told.model_dump(mode="json"))
        else:
            for fault in told.errors:
                typer.echo(f"line {fault.line}: {fault.error}", err=True)
            would = "would be " if dry_run else ""
            typer.echo(
                f"{told.rows:,} rows of {told.format}: {told.created:,} {would}created, {told.updated:,} {would}updated, "
                f"{told.skipped:,} there already, {told.failed:,} refused"
            )
        if told.failed:
            raise typer.Exit(1)

    _run(data_dir, tenant, action)


@app.command("export")
def export(
    tenant: TenantSlug = "default",
    *,
    file: Annotated[Path | None, typer.Option(help="File to write; else standard output.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write all links as CSV, passwords left out."""

    async def action(pool: "Pool", scope: "Scope", base: str) -> None:
        from mainstem.links import csv_export

        parts = csv_export.export(pool, scope.tenant_id, base)
        if file is None:
            async for part in parts:
                sys.stdout.write(part)
            return
        draft = file.with_name(file.name + ".new")
        with draft.open("w", encoding="utf-8", newline="") as stream:
            async for part in parts:
                stream.write(part)
        draft.replace(file)

    _run(data_dir, tenant, action)


def _lines(file: Path) -> Iterator[str]:
    if str(file) == "-":
        yield from sys.stdin
        return
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            yield from stream
    except OSError as error:
        line = f"{file} can't be read: {error.strerror}"
        raise CliError(line) from error


async def _links(connection: Any, scope: "Scope", ids: list[int], base: str) -> "list[LinkOut]":  # noqa: ANN401 - a connection
    from mainstem.links import store
    from mainstem.links.answers import link_out

    return [link_out(row, base) for row in await store.read(connection, scope.tenant_id, ids)]


def _print(link: "LinkOut", *, as_json: bool) -> None:
    if as_json:
        print_json(link.model_dump(mode="json"))
    else:
        typer.echo(link.short_url)


def _run(data_dir: Path | None, tenant: str, action: _Action) -> None:
    from mainstem.platform import log

    settings = load()
    log.configure(settings.model_copy(update={"log_level": "WARNING"}))
    folder = data_folder(settings, data_dir)

    async def run(dsn: str) -> None:
        from mainstem.links.store import Scope
        from mainstem.platform.db import create_pool
        from mainstem.platform.tenants import get_tenant

        base = settings.public_url or f"http://{settings.api_host}:{settings.api_port}"
        pool = await create_pool(dsn, role="worker", min_size=0, max_size=2)
        try:
            async with pool.acquire() as connection:
                tenant_id = (await get_tenant(connection, tenant)).id
            host = base.partition("://")[2].partition("/")[0].lower()
            await action(pool, Scope(tenant_id, "cli", settings.link_schemes, (host,)), base)
        finally:
            await pool.close()

    with database(settings, folder) as dsn:
        asyncio.run(run(dsn))
