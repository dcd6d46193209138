"""Servers to compare the product with: `python -m bench.serve VARIANT PORT DATA_DIR`, the database in DATABASE_URL.

- `memory` is the product's own server whose log keeps nothing: what it costs to answer without storing;
- `bare` is the smallest ASGI application on the product's own server settings: what the HTTP server itself costs.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from mainstem import app, hub
from mainstem.events.log import PendingGroup
from mainstem.events.model import Reject
from mainstem.events.sealing import Sealer
from mainstem.platform.settings import load_settings

_ANSWER: Final = b'{"success":true}'
_HEADERS: Final = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_ANSWER))]

Message = MutableMapping[str, Any]


class MemoryLog:
    """A `mainstem.events.log.Log` that says yes at once and keeps nothing."""

    def __init__(self, dsn: str, sealer: Sealer | None = None) -> None:
        """Take what PostgresLog takes."""
        del dsn, sealer
        self._ids = count(1)

    async def append(self, groups: Sequence[PendingGroup], rejects: Sequence[Reject] = ()) -> list[int]:
        """Return an id per group."""
        del rejects
        return [next(self._ids) for _ in groups]

    async def ping(self) -> None:
        """Be there."""

    async def close(self) -> None:
        """Hold nothing."""


class Bare:
    """Reads the body, answers 200."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take what Application takes."""

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Serve one connection, or the process's life."""
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _ANSWER})


def _main(variant: str, port: str, data_dir: str) -> int:
    settings = load_settings()
    dsn = "" if settings.database_url is None else settings.database_url.get_secret_value()
    replaced = (
        patch.object(hub, "PostgresLog", MemoryLog) if variant == "memory" else patch.object(app, "Application", Bare)
    )
    with replaced:
        return app.serve(settings, dsn, data_dir=Path(data_dir), host="127.0.0.1", port=int(port), workers=1)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
