"""WebSockets: uvicorn's protocol, made fit for one message to a thousand clients and for clients that stop reading.

A broadcast hands the very same bytes to every connection, ready to go on the wire: no task, no queue and no encoding per
client. What a client has not read waits in its transport, whose size is known, and the transport can be cut at once;
uvicorn itself only closes in good order, which never ends while the client doesn't read.

Addresses and headers of a handshake may carry a token, so nothing of them is logged, at any level.
"""

import asyncio
import logging
import socket
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request
from websockets.protocol import OPEN

LINE: Final = "mainstem.line"
"""The extension of a WebSocket's scope that holds its protocol: `write_frame`, `buffered`, `end`."""

_KERNEL_BUFFER_BYTES: Final = 131_072
"""Bounds what the kernel, too, keeps for a client that doesn't read: it would take up to 4 MB by itself."""
_CLOSING_S: Final = 5.0

# not one of the registry: whoever configures logging sets the levels of all that stand there, and this one must stay
_quiet: Final = logging.Logger("uvicorn.error.websockets", logging.WARNING)  # noqa: LOG001 - see above
_quiet.parent = logging.getLogger("uvicorn.error")


class SocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin as uvicorn does, without its lines about addresses and frames."""
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _quiet
        self.conn.logger = _quiet
        self.conn.debug = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection of the handshake."""
        super().connection_made(transport)
        found = transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application of an end without a word by its code (RFC 6455, 7.1.5); uvicorn takes it for a good one."""
        if self.conn.close_rcvd is None and not self.close_sent:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Give the application, beside what ASGI says, this connection itself."""
        super().handle_connect(event)
        if not self.close_sent:
            # ASGI knows only dictionaries here
            cast("dict[str, object]", self.scope["extensions"])[LINE] = self

    def write_frame(self, frame: bytes) -> None:
        """Write a whole frame, or several, unless the connection is at its end; never blocks."""
        if self.handshake_complete and not self.disconnected and self.conn.state is OPEN:
            self.transport.write(frame)

    def buffered(self) -> int:
        """Return how many bytes wait for the client, beside what the kernel has taken."""
        return self.transport.get_write_buffer_size()

    def end(self, code: int, reason: str) -> None:
        """Close after what is written, and cut the connection if the client has not read that within seconds."""
        if self.disconnected or self.conn.state is not OPEN:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(_CLOSING_S, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """Cut a client that has not answered a ping: it may never read the close that uvicorn sends."""
        super().keepalive_timeout()
        self._cut_soon()

    def shutdown(self) -> None:
        """Close with the server; a client that doesn't read must not keep it."""
        super().shutdown()
        self._cut_soon()

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        """Cut a connection that outlives its application."""
        super().on_task_complete(task)
        if not self.disconnected:
            self._cut_soon(_CLOSING_S)

    def _cut_soon(self, seconds: float = 1.0) -> None:
        self.loop.call_later(seconds, self.transport.abort)
