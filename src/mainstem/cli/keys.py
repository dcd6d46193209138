"""`mainstem key`: API keys, shown once and kept as hashes."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mainstem.cli.context import DataDir, Json, TenantSlug, print_json, print_table, with_connection
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.platform.db import Connection
    from mainstem.platform.keys import ApiKey, KeyKind, NewApiKey

app = typer.Typer(help="API keys of a tenant.", no_args_is_help=True)

Scopes = Annotated[
    list[str],
    typer.Option("--scope", help="ingest, read, admin, connectors, tasks; repeat it or separate by commas."),
]
Label = Annotated[str, typer.Option(help="What the key is for.")]
_COLUMNS = ["id", "prefix", "kind", "scopes", "label", "created_at", "revoked_at"]


@app.command("create")
def create(
    tenant: TenantSlug,
    scope: Scopes = [],  # noqa: B006 - Typer reads it and never changes it
    label: Label = "",
    *,
    user: Annotated[str, typer.Option(help="E-mail of a person of the tenant that the key acts for.")] = "",
    public: Annotated[bool, typer.Option("--public", help="For browsers: ingest only, bound to --origin.")] = False,
    origin: Annotated[list[str], typer.Option(help="Origin of the pages that use a public key; repeatable.")] = [],  # noqa: B006
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a key and show it: the only time that anybody sees it."""
    from mainstem.platform.keys import create_key
    from mainstem.platform.tenants import get_tenant
    from mainstem.platform.users import SCOPES_OF_ROLE, user_of_tenant

    async def action(connection: "Connection") -> "NewApiKey":
        found = await get_tenant(connection, tenant)
        person = await user_of_tenant(connection, found.id, user) if user else None
        scopes = _words(scope)
        if person is not None and not scopes:
            scopes = list(SCOPES_OF_ROLE[person.role])
        kind: KeyKind = "public" if public else "secret"
        origins = _words(origin)
        return await create_key(
            connection,
            found.id,
            scopes=scopes,
            kind=kind,
            label=label,
            allowed_origins=origins,
            user_id=None if person is None else person.id,
        )

    made = with_connection(data_dir, action)
    if as_json:
        print_json({"key": made.key, **_row(made.api_key, tenant)})
        return
    typer.echo(made.key)
    typer.echo(f"key {made.api_key.id} of tenant {tenant}; it is not shown again", err=True)


@app.command("list")
def list_(
    tenant: TenantSlug,
    *,
    revoked: Annotated[bool, typer.Option("--revoked", help="Show revoked ones, too.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List a tenant's keys, without their text."""
    from mainstem.platform.keys import list_keys
    from mainstem.platform.tenants import get_tenant

    async def action(connection: "Connection") -> "list[ApiKey]":
        found = await get_tenant(connection, tenant)
        return await list_keys(connection, found.id, revoked=revoked)

    rows = [_row(key, tenant) for key in with_connection(data_dir, action)]
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, rows)


@app.command("import")
def import_(
    tenant: TenantSlug,
    scope: Scopes,
    label: Label = "",
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Take over a key of another system, read from standard input so that no process list shows it."""
    from mainstem.platform.keys import import_key
    from mainstem.platform.tenants import get_tenant

    if sys.stdin.isatty():
        typer.echo("Paste the key, then press Enter:", err=True)
    text = sys.stdin.readline().strip()
    if not text:
        line = 'no key on standard input: echo "$KEY" | mainstem key import …'
        raise CliError(line, ExitCode.USAGE)

    async def action(connection: "Connection") -> "ApiKey":
        found = await get_tenant(connection, tenant)
        return await import_key(connection, found.id, text, scopes=_words(scope), label=label)

    key = with_connection(data_dir, action)
    if as_json:
        print_json(_row(key, tenant))
    else:
        typer.echo(f"key {key.id} taken over for tenant {tenant}")


@app.command("revoke")
def revoke(
    key_id: Annotated[int, typer.Argument(help="Its id, as `key list` shows it.")],
    tenant: TenantSlug,
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """End a key, in every process within seconds."""
    from mainstem.platform.keys import revoke_key
    from mainstem.platform.tenants import get_tenant

    async def action(connection: "Connection") -> "ApiKey":
        found = await get_tenant(connection, tenant)
        return await revoke_key(connection, found.id, key_id)

    key = with_connection(data_dir, action)
    if as_json:
        print_json(_row(key, tenant))
    else:
        typer.echo(f"key {key.id} revoked")


def _words(given: list[str]) -> list[str]:
    return [word.strip() for part in given for word in part.split(",") if word.strip()]


def _row(key: "ApiKey", tenant: str) -> dict[str, object]:
    return {
        "id": key.id,
        "tenant": tenant,
        "scopes": list(key.scopes),
        "kind": key.kind,
        "prefix": key.prefix,
        "label": key.label,
        "allowed_origins": list(key.allowed_origins),
        "user_id": key.user_id,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }
