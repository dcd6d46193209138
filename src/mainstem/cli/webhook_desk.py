"""What the commands of `mainstem webhooks` share: a pool, who acts, and the client that calls endpoints."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mainstem.cli.context import data_folder, database, load

if TYPE_CHECKING:
    from mainstem.platform.db import Connection, Pool
    from mainstem.platform.outbound import Outbound
    from mainstem.webhooks.models import EndpointOut
    from mainstem.webhooks.store import Scope

WebhookId = Annotated[int, typer.Argument(help="Id of the webhook, as `webhooks list` prints it.", min=0)]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with."""

    pool: "Pool"
    scope: "Scope"
    outbound: "Outbound"


Action = Callable[[Desk], Awaitable[None]]


async def hook_of(connection: "Connection", scope: "Scope", webhook: int) -> "EndpointOut":
    """Return a webhook as it is shown. Raises NotFoundError."""
    from mainstem.webhooks import store
    from mainstem.webhooks.answers import endpoint_out

    return endpoint_out(await store.read(connection, scope.tenant_id, webhook))


def run(data_dir: Path | None, tenant: str, action: Action) -> None:
    """Do an action for a tenant."""
    from mainstem.platform import log

    settings = load()
    log.configure(settings.model_copy(update={"log_level": "WARNING"}))
    folder = data_folder(settings, data_dir)

    async def act(dsn: str) -> None:
        from mainstem.pii.box import Keyring
        from mainstem.platform.addresses import parse_networks
        from mainstem.platform.db import create_pool
        from mainstem.platform.outbound import Outbound
        from mainstem.platform.secrets import pii_keys
        from mainstem.platform.tenants import get_tenant
        from mainstem.webhooks.routes import scope

        outbound = Outbound(parse_networks(settings.outbound_allow))
        pool = await create_pool(dsn, role="worker", min_size=0, max_size=2)
        try:
            async with pool.acquire() as connection:
                tenant_id = (await get_tenant(connection, tenant)).id
            keyring = Keyring(*pii_keys(settings, folder))
            await action(Desk(pool, scope(settings, keyring, tenant_id=tenant_id, by="cli"), outbound))
        finally:
            await outbound.close()
            await pool.close()

    with database(settings, folder) as dsn:
        asyncio.run(act(dsn))
