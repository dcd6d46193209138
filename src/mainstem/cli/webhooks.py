"""`mainstem webhooks`: webhooks made, listed, shown, tested, switched on and off, and their secrets rotated."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from mainstem.cli import listen, webhook_deliveries
from mainstem.cli.context import DataDir, Json, TenantSlug, print_json, print_table
from mainstem.cli.webhook_desk import Desk, WebhookId, hook_of, run

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mainstem.webhooks.models import EndpointOut

app = typer.Typer(help="Webhooks: endpoints and what is delivered to them.", no_args_is_help=True)

_COLUMNS: Final = ["id", "name", "url", "events", "health_status", "total_deliveries", "failed_deliveries"]


@app.command("list")
def list_(tenant: TenantSlug = "default", *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List webhooks, in the order they were made."""

    async def action(desk: Desk) -> None:
        from mainstem.platform.db import transaction
        from mainstem.webhooks import store
        from mainstem.webhooks.answers import endpoint_out

        async with transaction(desk.pool, tenant_id=desk.scope.tenant_id) as connection:
            rows, _ = await store.page(
                connection, desk.scope.tenant_id, store.Filter(), limit=desk.scope.most_endpoints, offset=0
            )
        hooks = [endpoint_out(row) for row in rows]
        if as_json:
            print_json([hook.model_dump(mode="json") for hook in hooks])
        elif hooks:
            print_table(_COLUMNS, [{name: getattr(hook, name) for name in _COLUMNS} for hook in hooks])
        else:
            typer.echo("no webhooks", err=True)

    run(data_dir, tenant, action)


@app.command("create")
def create(
    url: Annotated[str, typer.Argument(help="Where deliveries go: http or https.")],
    tenant: TenantSlug = "default",
    *,
    name: Annotated[str | None, typer.Option(help="Name of the webhook.", show_default="the address's host")] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="A kind or pattern of kinds, such as order.*; may be given more than once.")
    ] = None,
    secret: Annotated[str | None, typer.Option(help="whsec_… of your own.", show_default="a new one")] = None,
    signature: Annotated[Literal["hmac", "ed25519"], typer.Option(help="How deliveries are signed.")] = "hmac",
    envelope: Annotated[
        Literal["standard", "cloudevents", "bare"], typer.Option(help="Form of the body.")
    ] = "standard",
    fifo: Annotated[bool, typer.Option(help="One at a time, in order.")] = False,
    inactive: Annotated[bool, typer.Option(help="Make it switched off.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a webhook; prints its id and its secret, which is shown this once."""
    given: Mapping[str, object] = {
        "name": name or url.partition("://")[2].partition("/")[0] or url,
        "url": url,
        "events": event or None,
        "secret": secret,
        "signature": signature,
        "envelope": envelope,
        "fifo": fifo,
    }

    async def action(desk: Desk) -> None:
        from mainstem.platform.db import transaction
        from mainstem.webhooks import store
        from mainstem.webhooks.models import EndpointIn

        wanted = _checked(EndpointIn, {field: value for field, value in given.items() if value is not None})
        async with transaction(desk.pool, tenant_id=desk.scope.tenant_id) as connection:
            made, key = await store.create(
                connection, desk.scope, wanted.model_dump(exclude_unset=True), active=not inactive
            )
            hook = await hook_of(connection, desk.scope, made)
        _print_secret(hook, key.shown, as_json=as_json)

    run(data_dir, tenant, action)


@app.command("show")
def show(
    webhook: WebhookId, tenant: TenantSlug = "default", *, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Show one webhook and how its deliveries fare."""

    async def action(desk: Desk) -> None:
        from mainstem.platform.db import transaction

        async with transaction(desk.pool, tenant_id=desk.scope.tenant_id) as connection:
            hook = await hook_of(connection, desk.scope, webhook)
        _print(hook, as_json=as_json)

    run(data_dir, tenant, action)


@app.command("test")
def send_test(
    webhook: WebhookId, tenant: TenantSlug = "default", *, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Send a test now, also to a webhook that is switched off. Exit code 1 unless the answer was 2xx."""

    async def action(desk: Desk) -> None:
        from mainstem.webhooks.routes import test_out
        from mainstem.webhooks.trial import Tester

        tester = Tester(lambda: desk.pool, lambda: desk.outbound, lambda: desk.scope.keyring)
        told = test_out(await tester(desk.scope.tenant_id, webhook, desk.scope.by))
        if as_json:
            print_json(told.model_dump(mode="json"))
        else:
            typer.echo(
                told.message if told.error is None or told.status_code is not None else f"{told.message} {told.error}"
            )
        if not told.success:
            raise typer.Exit(1)

    run(data_dir, tenant, action)


@app.command("rotate")
def rotate(
    webhook: WebhookId,
    tenant: TenantSlug = "default",
    *,
    grace_hours: Annotated[float, typer.Option(help="How long the secret before signs, too.", min=0, max=168)] = 24,
    secret: Annotated[str | None, typer.Option(help="whsec_… of your own.", show_default="a new one")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a new secret; prints it, this once."""

    async def action(desk: Desk) -> None:
        from mainstem.platform.db import transaction
        from mainstem.webhooks import store

        async with transaction(desk.pool, tenant_id=desk.scope.tenant_id) as connection:
            made = await store.rotate(
                connection, desk.scope, webhook, grace=timedelta(hours=grace_hours), secret=secret
            )
            hook = await hook_of(connection, desk.scope, webhook)
        _print_secret(hook, made.shown, as_json=as_json)

    run(data_dir, tenant, action)


@app.command("enable")
def enable(
    webhook: WebhookId, tenant: TenantSlug = "default", *, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Switch a webhook on; what waited is sent."""
    _switch(webhook, tenant, data_dir, active=True, as_json=as_json)


@app.command("disable")
def disable(
    webhook: WebhookId, tenant: TenantSlug = "default", *, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Switch a webhook off; what waits for it stays."""
    _switch(webhook, tenant, data_dir, active=False, as_json=as_json)


app.command("deliveries")(webhook_deliveries.deliveries)
app.command("resend")(webhook_deliveries.resend)
app.command("recover")(webhook_deliveries.recover)
app.command("listen")(listen.listen)


def _switch(webhook: int, tenant: str, data_dir: Path | None, *, active: bool, as_json: bool) -> None:
    async def action(desk: Desk) -> None:
        from mainstem.platform.db import transaction
        from mainstem.webhooks import store

        async with transaction(desk.pool, tenant_id=desk.scope.tenant_id) as connection:
            await store.switch(connection, desk.scope, webhook, active=active)
            hook = await hook_of(connection, desk.scope, webhook)
        if as_json:
            print_json(hook.model_dump(mode="json"))
        else:
            typer.echo(f"webhook {hook.id} is {'on' if hook.is_active else 'off'}")

    run(data_dir, tenant, action)


def _checked(model: "type[BaseModel]", given: Mapping[str, object]) -> "BaseModel":
    from pydantic import ValidationError

    from mainstem.platform.problems import from_validation

    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise from_validation(error.errors()) from None


def _print(hook: "EndpointOut", *, as_json: bool) -> None:
    if as_json:
        print_json(hook.model_dump(mode="json"))
        return
    for name, value in hook.model_dump(mode="json").items():
        if value not in (None, [], ""):
            typer.echo(f"{name}: {value}")


def _print_secret(hook: "EndpointOut", secret: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**hook.model_dump(mode="json"), "secret": secret})
    else:
        typer.echo(f"webhook {hook.id}: {hook.name}\n{secret}")
