"""`mainstem user`: the people who sign in."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mainstem.cli.context import DataDir, Json, TenantSlug, print_json, print_table, with_connection
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.platform.db import Connection
    from mainstem.platform.users import User

app = typer.Typer(help="People who sign in.", no_args_is_help=True)
Email = Annotated[str, typer.Argument(help="The e-mail address to sign in with.")]
_COLUMNS = ["email", "name", "role", "created_at", "email_verified_at", "disabled_at"]


@app.callback()
def _group() -> None:
    """People who sign in."""


@app.command("create")
def create(
    email: Email,
    tenant: TenantSlug,
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    role: Annotated[str, typer.Option(help="owner, member, viewer or guest.")] = "member",
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a user. The password is asked for, or read from standard input or MAINSTEM_PASSWORD."""
    from mainstem.platform.tenants import get_tenant
    from mainstem.platform.users import check_email, check_password, create_user

    check_email(email)
    password = check_password(_password())

    async def action(connection: "Connection") -> "User":
        found = await get_tenant(connection, tenant)
        return await create_user(connection, found.id, email, password, name=name, role=role)

    user = with_connection(data_dir, action)
    if as_json:
        print_json(_row(user, tenant))
    else:
        typer.echo(f"user {user.email} made, role {user.role} of tenant {tenant}")


@app.command("list")
def list_(tenant: TenantSlug, *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List a tenant's users, disabled ones too."""
    from mainstem.platform.tenants import get_tenant
    from mainstem.platform.users import list_users

    async def action(connection: "Connection") -> "list[User]":
        found = await get_tenant(connection, tenant)
        return await list_users(connection, found.id)

    rows = [_row(user, tenant) for user in with_connection(data_dir, action)]
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, rows)


@app.command("disable")
def disable(email: Email, tenant: TenantSlug, *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Keep a user out: sessions and keys end in every process within seconds."""
    _able(email, tenant, data_dir, disabled=True, as_json=as_json)


@app.command("enable")
def enable(email: Email, tenant: TenantSlug, *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Let a user in again, with the same password and keys."""
    _able(email, tenant, data_dir, disabled=False, as_json=as_json)


def _able(email: str, tenant: str, data_dir: DataDir, *, disabled: bool, as_json: bool) -> None:
    from mainstem.platform.tenants import get_tenant
    from mainstem.platform.users import set_disabled, user_of_tenant

    async def action(connection: "Connection") -> "User":
        found = await get_tenant(connection, tenant)
        user = await user_of_tenant(connection, found.id, email)
        return await set_disabled(connection, user.id, disabled=disabled)

    user = with_connection(data_dir, action)
    if as_json:
        print_json(_row(user, tenant))
    else:
        typer.echo(f"user {user.email} {'disabled' if disabled else 'enabled'}")


def _row(user: "User", tenant: str) -> dict[str, object]:
    return {
        "id": user.id,
        "tenant": tenant,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "created_at": user.created_at,
        "email_verified_at": user.email_verified_at,
        "disabled_at": user.disabled_at,
    }


def _password() -> str:
    given = os.environ.get("MAINSTEM_PASSWORD")
    if given is not None:
        return given
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        line = "no password on standard input"
        raise CliError(line, ExitCode.USAGE)
    return text
