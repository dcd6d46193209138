"""`mainstem webhooks deliveries`, `resend` and `recover`: what became of deliveries, and the same sent again."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from mainstem.cli.bar import Bar
from mainstem.cli.context import DataDir, Json, TenantSlug, print_json, print_table
from mainstem.cli.failures import CliError
from mainstem.cli.webhook_desk import Desk, WebhookId, hook_of, run

if TYPE_CHECKING:
    from mainstem.webhooks.models import ReplayOut

_COLUMNS: Final = [
    *("id", "created_at", "event_kind", "status", "attempts", "last_status_code", "next_attempt_at", "last_error"),
]
_LISTED: Final = 50
_POLL_S: Final = 0.2
_FORMATS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]

DeliveryId = Annotated[int, typer.Argument(help="Id of the delivery, as `webhooks deliveries` prints it.", min=0)]
Kinds = Annotated[list[str] | None, typer.Option(help="A kind or pattern of kinds; may be given more than once.")]
Since = Annotated[datetime | None, typer.Option(formats=_FORMATS, help="Made then or later, in UTC.")]
Until = Annotated[datetime | None, typer.Option(formats=_FORMATS, help="Made before then, in UTC.")]
Begin = Annotated[datetime, typer.Option(formats=_FORMATS, help="Begin of the window, in UTC.")]


def deliveries(
    webhook: WebhookId,
    tenant: TenantSlug = "default",
    *,
    status: Annotated[
        Literal["pending", "retrying", "delivered", "failed"] | None, typer.Option(help="Those with this status alone.")
    ] = None,
    kind: Kinds = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(help="Most deliveries.", min=1, max=10_000)] = _LISTED,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List deliveries of a webhook, the latest first."""

    async def action(desk: Desk) -> None:
        from mainstem.platform.db import transaction
        from mainstem.webhooks.answers import delivery_out
        from mainstem.webhooks.deliveries import Wanted, page
        from mainstem.webhooks.draft import patterns

        tenant_id = desk.scope.tenant_id
        wanted = Wanted(
            status=status, kinds=patterns(kind or ["*"], field="kind"), since=_utc(since), until=_utc(until)
        )
        async with transaction(desk.pool, tenant_id=tenant_id) as connection:
            await hook_of(connection, desk.scope, webhook)
            rows = await page(connection, tenant_id, webhook, wanted, before=None, limit=limit, offset=0)
        found = [delivery_out(row) for row in rows]
        if as_json:
            print_json([one.model_dump(mode="json") for one in found])
        elif found:
            print_table(_COLUMNS, [{name: getattr(one, name) for name in _COLUMNS} for one in found])
        else:
            typer.echo("no deliveries", err=True)

    run(data_dir, tenant, action)


def resend(
    delivery: DeliveryId,
    tenant: TenantSlug = "default",
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Send a delivery again, under the same webhook-id; the worker does it at once."""

    async def action(desk: Desk) -> None:
        from mainstem.platform.db import transaction
        from mainstem.webhooks.answers import delivery_out
        from mainstem.webhooks.deliveries import read
        from mainstem.webhooks.deliveries import resend as send_again

        async with transaction(desk.pool, tenant_id=desk.scope.tenant_id) as connection:
            await send_again(connection, desk.scope.tenant_id, delivery)
            told = delivery_out(await read(connection, desk.scope.tenant_id, delivery))
        if as_json:
            print_json(told.model_dump(mode="json"))
        else:
            typer.echo(f"delivery {told.id} is {told.status}")

    run(data_dir, tenant, action)


def recover(
    webhook: WebhookId,
    since: Begin,
    tenant: TenantSlug = "default",
    *,
    until: Until = None,
    missing: Annotated[
        bool, typer.Option(help="Deliver events that the webhook never got, instead of dead letters.")
    ] = False,
    kind: Kinds = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Queue the dead letters of a window again, and wait until all are queued; the worker sends them."""

    async def action(desk: Desk) -> None:
        from mainstem.platform.db import transaction
        from mainstem.webhooks import replay

        async with transaction(desk.pool, tenant_id=desk.scope.tenant_id) as connection:
            made = await replay.begin(
                connection,
                desk.scope,
                webhook,
                mode="missing" if missing else "failed",
                since=since.replace(tzinfo=UTC),
                until=_utc(until),
                kinds=kind or ["*"],
            )
        told = await _recovered(desk, webhook, made)
        if as_json:
            print_json(told.model_dump(mode="json"))
        elif told.failure is None:
            typer.echo(f"{told.done:,} looked at, {told.requeued:,} queued")
        if told.failure is not None:
            raise CliError(told.failure)

    run(data_dir, tenant, action)


async def _recovered(desk: Desk, webhook: int, replay_id: int) -> "ReplayOut":
    """Do a replay, or watch a worker do it, to its end."""
    from mainstem.platform.db import transaction
    from mainstem.webhooks import replay
    from mainstem.webhooks.answers import replay_out

    with Bar() as bar:
        while True:
            async with transaction(desk.pool) as connection:
                more = await replay.step(connection, replay_id)
                told = replay_out(await replay.read(connection, desk.scope.tenant_id, webhook, replay_id))
            bar.step(told.done, max(told.total, told.done), f"{told.requeued:,} queued")
            if told.status != "running":
                return told
            if not more:
                # a worker is at it
                await asyncio.sleep(_POLL_S)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
