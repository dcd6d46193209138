"""What a sandbox holds, kept in a file: bookings and orders are there again at its next start."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from mainstem.sandbox.box import Sandbox
from mainstem.sandbox.revel.tables import Row
from mainstem.sandbox.tripleseat.model import Event

_DELAY_S: Final = 0.2
"""A burst of requests is written once."""
_KEPT: Final = ("Order", "OrderItem", "Payment")


class Kept(msgspec.Struct, frozen=True):
    """The calendar and the till."""

    events: list[Event]
    """Deleted ones too."""
    rows: dict[str, list[Row]]
    """Orders, their items and payments."""


def restore(box: Sandbox, path: Path) -> bool:
    """Put what a file keeps in place of the box's bookings and orders; False where there is none, or none that can be read."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return False
    box.desk.restore(kept.events)
    for name in _KEPT:
        for row in kept.rows.get(name, ()):
            box.till.tables.restore(name, row)
    return True


class Keeper:
    """Writes a box to a file after requests that may have changed it. Plain ASGI, before the whole application."""

    def __init__(self, app: ASGIApp, box: Sandbox, path: Path) -> None:
        """Keep where to write."""
        self._app, self._box, self._path = app, box, path
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD"} and self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(_DELAY_S, self.write)

    def write(self) -> None:
        """Write now. A full disk keeps the old file, and the sandbox going."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tables = self._box.till.tables
        kept = Kept(self._box.desk.events.all(), {name: _plain(list(tables.all(name))) for name in _KEPT})
        draft = self._path.with_name(self._path.name + ".new")
        with suppress(OSError):
            draft.write_bytes(msgspec.json.encode(kept))
            draft.replace(self._path)


def _plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]
