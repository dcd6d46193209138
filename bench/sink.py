"""The cheapest receiver of webhooks: `python -m bench.sink PORT` answers 200 to everything, as fast as Python can.

`GET /times` returns, for each delivery whose data has a `sent` of its own, that and the arrival, as JSON; both in seconds by
the machine's monotonic clock. `GET /forget` forgets them.
"""

import asyncio
import json
import sys
from time import monotonic
from typing import Final, cast

import uvloop

_ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_LENGTH: Final = b"content-length:"
_SENT: Final = b'"sent":'


class Sink(asyncio.Protocol):
    """One connection."""

    times: Final[list[tuple[float, float]]] = []

    def __init__(self) -> None:
        """Hold nothing."""
        self._transport: asyncio.Transport | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].lower()
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            whole = end + 4 + length
            if len(self._read) < whole:
                return
            body, self._read = self._read[end + 4 : whole], self._read[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        answer = _ANSWER
        if head.startswith(b"get /times"):
            told = json.dumps(self.times).encode()
            answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(told), told)
        elif head.startswith(b"get /forget"):
            self.times.clear()
        elif (at := body.find(_SENT)) >= 0:
            number = body[at + len(_SENT) :].lstrip().split(b",", 1)[0].split(b"}", 1)[0]
            self.times.append((float(number), monotonic()))
        if self._transport is not None:
            self._transport.write(answer)


async def _main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
