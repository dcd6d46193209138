"""The demo's bookings and orders: stand-ins for Tripleseat and Revel beside `mainstem up`, and the settings for them.

Who has chosen anything about the connector, or runs in production, gets none. Bookings and orders are kept beside the
database; the settings are there for the commands of another terminal for as long as the stand-ins run.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mainstem.platform.settings import Environment, Settings, given_names

if TYPE_CHECKING:
    from mainstem.sandbox.box import Sandbox

_CHOICES: Final = ("ENABLE_CONNECTOR", "TRIPLESEAT_", "REVEL_", "CONNECTOR_")
_TOLD: Final = "demo-connector.json"
_PORT: Final = 900
"""How far above the hub's port the stand-ins' is, where it is free."""
_HOST: Final = "127.0.0.1"


class StandIns:
    """Both services in one sandbox, listening, and to be served on the hub's loop."""

    def __init__(self, box: "Sandbox", opened: socket.socket, address: str, kept: Path, *, fresh: bool) -> None:
        """Keep the parts; use `stand_ins`."""
        self._box, self._opened, self._kept, self._fresh = box, opened, kept, fresh
        self.address = address

    def beside(self) -> AbstractAsyncContextManager[None]:
        """Serve while the block runs."""
        from mainstem.sandbox.server import beside

        return beside(self._box, self._opened, self._kept)

    def begin(self, url: str) -> None:
        """Send webhooks to the hub at `url`; the first time, book an event of today, which becomes an order."""
        from mainstem.sandbox.tripleseat.desk import EventDraft

        self._box.aim(f"{url}/webhooks/tripleseat", self._box.target_sites)
        if self._fresh:
            self._box.desk.create(EventDraft())


def wanted(settings: Settings) -> bool:
    """Tell whether nobody has decided about the connector, and this is no production."""
    decided = any(name.removeprefix("MAINSTEM_").startswith(_CHOICES) for name in given_names())
    return not decided and settings.environment is not Environment.PRODUCTION


def near(host: str) -> bool:
    """Tell whether a hub that listens there is for this machine alone: to reach stand-ins it may call private addresses."""
    return host in {"localhost", "::1"} or host.startswith("127.")


@contextmanager
def stand_ins(settings: Settings, data_dir: Path, *, tenant: str, port: int) -> Iterator[tuple[StandIns, Settings]]:
    """Yield stand-ins that listen, and the settings of a hub whose connector works on them for a tenant.

    `port` is the hub's; theirs is near it, or any that is free. Raises OSError when none is.
    """
    from mainstem.platform.addresses import parse_networks
    from mainstem.sandbox.box import Sandbox
    from mainstem.sandbox.keeping import restore
    from mainstem.sandbox.pointing import settings as pointing

    box = Sandbox(allow=parse_networks(["127.0.0.0/8", "::1"]))
    kept = data_dir / "demo-bookings.json"
    fresh = not restore(box, kept)
    opened, address = _listen(port)
    given = {name.lower(): value for name, value in pointing(box, address).items() if name != "SANDBOX_URL"}
    changes: dict[str, Any] = {
        **given,
        "connector_timezone": given["timezone"],
        "timezone": settings.timezone,
        "connector_tenant": tenant,
        "outbound_allow": [*settings.outbound_allow, *given["outbound_allow"].split(",")],
    }
    told = data_dir / _TOLD
    try:
        _write(told, changes)
        yield StandIns(box, opened, address, kept, fresh=fresh), Settings(**changes)
    finally:
        told.unlink(missing_ok=True)
        opened.close()


def with_stand_ins(settings: Settings, data_dir: Path) -> Settings:
    """Return the settings of the `mainstem up` that serves stand-ins from a data folder; the given ones where none does."""
    if not wanted(settings):
        return settings
    try:
        changes: dict[str, Any] = json.loads((data_dir / _TOLD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return settings
    return Settings(**changes)


def _listen(port: int) -> tuple[socket.socket, str]:
    from mainstem.sandbox.server import listen

    near = port + _PORT
    if port and near < 65_536:
        try:
            return listen(_HOST, near)
        except OSError:
            pass
    return listen(_HOST, 0)


def _write(path: Path, changes: dict[str, Any]) -> None:
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(changes, file)
    draft.replace(path)
