"""What the commands of `mainstem connector` share: the connectors of the settings, opened on the database."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mainstem.cli.context import data_folder, database, load
from mainstem.cli.failures import CliError

if TYPE_CHECKING:
    from mainstem.connectors.running import Connectors, Running
    from mainstem.platform.db import Pool

Name = Annotated[str, typer.Argument(metavar="CONNECTOR", help="Name of the connector, as `connector list` prints it.")]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with."""

    pool: "Pool"
    connectors: "Connectors"

    async def one(self, name: str) -> "Running":
        """Return a connector. Raises CliError for a name that none has."""
        if name not in self.connectors.all:
            line = f"there is no connector {name!r}; there are {', '.join(self.connectors.all)}"
            raise CliError(line)
        return await self.connectors.get(name)


def run(data_dir: Path | None, action: Callable[[Desk], Awaitable[T]]) -> T:
    """Return what an action makes of the connectors of the settings."""
    from mainstem.cli.demo_bookings import with_stand_ins
    from mainstem.platform import log

    given = load()
    log.configure(given.model_copy(update={"log_level": "ERROR"}))
    folder = data_folder(given, data_dir)
    settings = with_stand_ins(given, folder)

    async def act(dsn: str) -> T:
        from mainstem.connectors.running import Connectors
        from mainstem.connectors.wiring import connectors_of
        from mainstem.pii.box import Keyring
        from mainstem.platform.addresses import parse_networks
        from mainstem.platform.db import create_pool
        from mainstem.platform.mail import Mailer
        from mainstem.platform.outbound import Outbound
        from mainstem.platform.outbox import Outbox
        from mainstem.platform.secrets import pii_keys

        outbound = Outbound(parse_networks(settings.outbound_allow))
        pool = await create_pool(dsn, role="worker", min_size=0, max_size=8)
        try:
            keyring = Keyring(*pii_keys(settings, folder))
            outbox = Outbox(Mailer(settings), settings.mail_to)
            desk = Desk(pool, Connectors(connectors_of(settings, outbound), pool, pool, keyring, outbox))
            return await action(desk)
        finally:
            await outbound.close()
            await pool.close()

    with database(settings, folder) as dsn:
        return asyncio.run(act(dsn))
