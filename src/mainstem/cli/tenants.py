"""`mainstem tenant`: the customers of the hub."""

from typing import TYPE_CHECKING, Annotated

import typer

from mainstem.cli.context import DataDir, Json, print_json, print_table, with_connection

if TYPE_CHECKING:
    from mainstem.platform.tenants import Tenant

app = typer.Typer(help="Tenants: the customers of the hub.", no_args_is_help=True)


@app.command("create")
def create(
    slug: Annotated[str, typer.Argument(help="Its name in commands and headers: a-z, 0-9, _ and -.")],
    name: Annotated[str, typer.Option(help="Its name for people; the slug when absent.")] = "",
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a tenant."""
    from mainstem.platform.tenants import create_tenant

    tenant = with_connection(data_dir, lambda connection: create_tenant(connection, slug, name))
    if as_json:
        print_json(_row(tenant))
    else:
        typer.echo(f"tenant {tenant.slug} made (id {tenant.id})")


@app.command("list")
def list_(*, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the tenants."""
    from mainstem.platform.tenants import list_tenants

    rows = [_row(tenant) for tenant in with_connection(data_dir, list_tenants)]
    if as_json:
        print_json(rows)
    else:
        print_table(["id", "slug", "name", "created_at"], rows)


def _row(tenant: "Tenant") -> dict[str, object]:
    return {"id": tenant.id, "slug": tenant.slug, "name": tenant.name, "created_at": tenant.created_at}
