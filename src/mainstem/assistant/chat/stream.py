"""Server-sent events: what is told of an answer, with numbers to read on from, and a sign of life while nothing is."""

import time
from collections.abc import AsyncIterator
from typing import Final

HEARTBEAT_S: Final = 10.0
_ALIVE: Final = b": alive\n\n"


async def sse(told: AsyncIterator[tuple[int, str, str] | None]) -> AsyncIterator[bytes]:
    """Yield events as text/event-stream; `told` gives number, name and JSON on one line, None while there is nothing."""
    yield _ALIVE
    last = time.monotonic()
    async for one in told:
        now = time.monotonic()
        if one is not None:
            number, name, data = one
            yield f"id: {number}\nevent: {name}\ndata: {data}\n\n".encode()
            last = now
        elif now - last >= HEARTBEAT_S:
            yield _ALIVE
            last = now
