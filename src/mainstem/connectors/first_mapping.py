"""Where a mapping is taken from while there is none: a file, or an address."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from mainstem.platform.outbound import Outbound, OutboundError, Trouble

_TIMEOUT_S: Final = 10.0


def mapping_at(place: str, outbound: Outbound, name: str, folder: Path | None = None) -> Callable[[], Awaitable[str]]:
    """Return what reads the CSV at a place; `name` is what named it, `folder` where a file is looked for.

    Reading raises OSError, UnicodeDecodeError, OutboundError.
    """

    async def read() -> str:
        if not place.startswith(("http://", "https://")):
            return await asyncio.to_thread((folder or Path()).joinpath(place).read_text, "utf-8-sig")
        answer = await outbound.call("GET", place, None, {"Accept": "text/csv"}, timeout_s=_TIMEOUT_S)
        if answer.status != 200:
            raise OutboundError(Trouble.PROTOCOL, f"{name} answered {answer.status}.")
        return answer.body.decode("utf-8-sig")

    return read
