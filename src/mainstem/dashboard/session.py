"""One WebSocket of the dashboard, from its handshake to its end, and the routes that lead here."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from mainstem.dashboard.admission import admit, check_origin, subprotocol
from mainstem.dashboard.clients import POLICY_VIOLATION, TRY_AGAIN_LATER, Client, RefusedError
from mainstem.dashboard.live import Live
from mainstem.dashboard.messages import Misunderstood, Ping, Subscribe, Topic, Unsubscribe, error, read
from mainstem.platform import metrics
from mainstem.platform.auth import Authenticator
from mainstem.platform.clock import utc_now
from mainstem.platform.errors import UnavailableError
from mainstem.platform.http import note_tenant
from mainstem.platform.settings import Settings
from mainstem.platform.tally import TALLY

MESSAGES_A_SECOND: Final = 10
_MESSAGES_AT_ONCE: Final = 50
_FURTHEST_S: Final = 366 * 86_400.0
_ENDS: Final = {1000: "left", 1001: "left", 1005: "left", 1006: "lost", 1011: "lost", 1012: "shutdown"}
"""What a close code (RFC 6455, 7.4.1, and the IANA registry) means here."""
_BROKEN: Final = frozenset({"slow", "lost", "failed"})
LINE: Final = "mainstem.line"
"""The extension of the scope that holds the connection (`clients.Line`)."""

log = structlog.get_logger(__name__)


def build_socket_router(
    *, live: Callable[[], Live], authenticator: Callable[[], Authenticator], settings: Settings
) -> APIRouter:
    """Return the WebSocket routes; all need the scope read."""
    router = APIRouter()

    @router.websocket("/api/v1/ws/dashboard")
    @router.websocket("/ws/dashboard")
    async def dashboard(socket: WebSocket) -> None:
        await Session(socket, live(), authenticator(), settings).run()

    @router.websocket("/api/v1/ws/alerts")
    async def alerts(socket: WebSocket) -> None:
        await Session(socket, live(), authenticator(), settings).run([Topic.ALERTS])

    return router


class Session:
    """One connection."""

    def __init__(self, socket: WebSocket, live: Live, authenticator: Authenticator, settings: Settings) -> None:
        """Keep the parts."""
        self._socket = socket
        self._live = live
        self._authenticator = authenticator
        self._settings = settings

    async def run(self, topics: Sequence[Topic] = ()) -> None:
        """Accept, find out who it is, subscribe to `topics`, and answer until the end."""
        scope = self._socket.scope
        line = scope["extensions"][LINE]
        await self._socket.accept(subprotocol(scope["subprotocols"]))
        try:
            client = await self._client(line)
        except RefusedError as refusal:
            metrics.live_ended(refusal.why)
            log.info("live_refused", path=scope["path"], reason=refusal.why)
            line.end(refusal.code, refusal.reason)
            return
        except UnavailableError as failure:
            metrics.live_ended("unavailable")
            line.end(TRY_AGAIN_LATER, failure.detail)
            return
        note_tenant(scope, client.caller.tenant)
        timer = self._end_with_the_token(client)
        self._live.clients.add(client)
        try:
            if topics:
                await self._live.subscribe(client, topics)
            await self._answer(client)
        except WebSocketDisconnect as end:
            _count_end(client.ended or _ENDS.get(end.code, "failed"))
        finally:
            self._live.clients.remove(client)
            if timer is not None:
                timer.cancel()

    async def _client(self, line: object) -> Client:
        clients = self._live.clients
        clients.require_room()
        check_origin(self._socket.scope, self._settings)
        admission = await admit(self._socket.scope, self._authenticator)
        clients.require_room(admission.caller.tenant_id)
        return Client(
            line,  # type: ignore[arg-type]  # the server's, which this package doesn't know
            admission.caller,
            expires_at=admission.expires_at,
            most_bytes=self._settings.live_buffer_kb * 1024,
        )

    def _end_with_the_token(self, client: Client) -> asyncio.TimerHandle | None:
        if client.expires_at is None:
            return None
        left_s = client.expires_at - time.time()
        if left_s > _FURTHEST_S:
            # the regular check will find it
            return None

        def expire() -> None:
            client.end(POLICY_VIOLATION, "The token has expired.", why="expired")

        return asyncio.get_running_loop().call_later(left_s, expire)

    async def _answer(self, client: Client) -> None:
        """Answer messages until the connection ends. Raises WebSocketDisconnect then."""
        allowance, since = float(_MESSAGES_AT_ONCE), time.monotonic()
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"], message.get("reason"))
            now = time.monotonic()
            allowance = min(float(_MESSAGES_AT_ONCE), allowance + (now - since) * MESSAGES_A_SECOND) - 1
            since = now
            if allowance < 0:
                client.reply(error("rate_limited", "Too many messages.", utc_now()))
                client.end(POLICY_VIOLATION, "Too many messages.", why="flood")
                continue
            await self._obey(client, message.get("text") or message.get("bytes") or b"")

    async def _obey(self, client: Client, text: str | bytes) -> None:
        match read(text):
            case Ping():
                self._live.pong(client)
            case Subscribe(topics=topics, unknown=unknown):
                self._refuse_words(client, unknown)
                if topics or not unknown:
                    await self._live.subscribe(client, topics)
            case Unsubscribe(topics=topics, unknown=unknown):
                self._refuse_words(client, unknown)
                if topics or not unknown:
                    self._live.unsubscribe(client, topics)
            case Misunderstood(code=code, message=sentence):
                client.reply(error(code, sentence, utc_now()))

    def _refuse_words(self, client: Client, unknown: Sequence[str]) -> None:
        if unknown:
            words = ", ".join(unknown)[:200]
            client.reply(error("unknown_type", f"Unknown types: {words}. Types are {', '.join(Topic)}.", utc_now()))


def _count_end(why: str) -> None:
    metrics.live_ended(why)
    if why in _BROKEN:
        TALLY.ws_disconnects += 1
    log.debug("live_ended", reason=why)
