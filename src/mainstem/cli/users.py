"""`mainstem user`: the people who sign in."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mainstem.cli.context import DataDir, Json, TenantSlug, print_json, with_connection
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.platform.db import Connection
    from mainstem.platform.users import User

app = typer.Typer(help="People who sign in.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """People who sign in."""


@app.command("create")
def create(
    email: Annotated[str, typer.Argument(help="The e-mail address to sign in with.")],
    tenant: TenantSlug,
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    role: Annotated[str, typer.Option(help="owner, member or viewer.")] = "member",
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
        row = {"id": user.id, "tenant": tenant, "email": user.email, "name": user.name, "role": user.role}
        print_json({**row, "created_at": user.created_at})
    else:
        typer.echo(f"user {user.email} made, role {user.role} of tenant {tenant}")


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
