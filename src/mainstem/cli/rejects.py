"""`mainstem rejects`: events that were refused, with the reasons, and another try for them."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from mainstem.cli.context import DataDir, Json, TenantSlug, print_json, print_table, with_connection
from mainstem.cli.failures import CliError, ExitCode

if TYPE_CHECKING:
    from mainstem.platform.db import Connection
    from mainstem.vault.queries import Replayed

app = typer.Typer(help="Refused events, and another try for them.", no_args_is_help=True)

Code = Annotated[str | None, typer.Option(help="Only those refused with this code.")]
_COLUMNS: Final = ["rejected_id", "stage", "code", "reason", "kind", "origin", "rejected_at", "replayed_at"]


@app.command("list")
def list_(
    tenant: TenantSlug,
    code: Code = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the latest first.")] = 50,
    *,
    replayed: Annotated[bool, typer.Option("--replayed", help="Show those that were tried again, too.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List a tenant's refused events; with --json as they came."""
    from mainstem.platform.db import load_queries
    from mainstem.platform.tenants import get_tenant

    async def action(connection: "Connection") -> list[dict[str, object]]:
        found = await get_tenant(connection, tenant)
        query = load_queries("mainstem.cli")["list_rejects"]
        return [dict(row) for row in await connection.fetch(query, found.id, code, replayed, limit)]

    rows = with_connection(data_dir, action)
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, rows)


@app.command("replay")
def replay(
    tenant: TenantSlug,
    rejected_id: Annotated[list[int] | None, typer.Argument(help="Ids as `rejects list` shows them.")] = None,
    code: Code = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that the loader refused.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Give refused events to the loader again, after the cause is gone. One that was loaded meanwhile adds nothing."""
    if not (rejected_id or code or everything):
        line = "say which: ids, --code or --all"
        raise CliError(line, ExitCode.USAGE)
    from mainstem.platform.db import load_queries
    from mainstem.platform.tenants import get_tenant
    from mainstem.vault.queries import replay_rejected

    async def action(connection: "Connection") -> "list[Replayed]":
        found = await get_tenant(connection, tenant)
        queries = load_queries("mainstem.cli")
        if rejected_id:
            rows = await connection.fetch(queries["own_rejects"], found.id, rejected_id)
        else:
            rows = await connection.fetch(queries["replayable"], found.id, code)
        return await replay_rejected(connection, [row["rejected_id"] for row in rows])

    replayed = with_connection(data_dir, action)
    if as_json:
        print_json([{"rejected_id": one.rejected_id, "batch_id": one.batch_id} for one in replayed])
    else:
        typer.echo(f"{len(replayed)} given to the loader again")
    if left := sorted(set(rejected_id or ()) - {one.rejected_id for one in replayed}):
        line = f"not replayed: {', '.join(map(str, left))}. Only events that the loader refused can be, and once; the sender has to send others again"
        raise CliError(line)
