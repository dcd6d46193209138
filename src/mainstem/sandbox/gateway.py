"""Before both servers: the log of calls, and the faults that befall requests. Plain ASGI."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mainstem.platform.clock import rfc3339, utc_now
from mainstem.sandbox.box import Sandbox
from mainstem.sandbox.calls import Call
from mainstem.sandbox.faults import Fault, Kind

SERVICES: Final = ("tripleseat", "revel", "openai")
_PARTS_BEFORE_CUT: Final = 3
_MOST_BODY: Final = 8 * 1024 * 1024
_SECRETS: Final = frozenset({"api_key", "api_secret", "client_secret", "code"})
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: closing sends RST at once."""

Transports = dict[tuple[str, int], asyncio.Transport]


class Gateway:
    """Passes requests on to the app, and does to them what the faults say."""

    def __init__(self, app: ASGIApp, box: Sandbox, transports: Transports, closing: asyncio.Event) -> None:
        """Keep the app.

        `transports` are the open connections by the client's address, for hanging up; `closing` lets held requests go.
        """
        self._app, self._box, self._transports, self._closing = app, box, transports, closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        service, path = _split(scope.get("path", ""))
        if scope["type"] != "http" or service not in SERVICES:
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        method = scope["method"]
        call = self._box.calls.begin(
            at=rfc3339(utc_now()),
            service=service,
            method=method,
            path=path,
            query=_without_secrets(scope["query_string"]),
            body=_json(body, scope),
        )
        fault = self._box.faults.draw(service, method, path)
        call.fault = None if fault is None else str(fault.kind)
        if fault is None:
            await self._handled(call, scope, body, send)
        else:
            await self._with(fault, call, _Request(scope, receive, body, send))

    async def _with(self, fault: Fault, call: Call, request: "_Request") -> None:
        if fault.kind is Kind.LATENCY:
            await self._hold(self._closing.wait(), fault.lasts_s)
            await self._handled(call, request.scope, request.body, request.send)
            return
        if fault.kind is Kind.CUT:
            await self._cut(call, request)
            return
        if fault.kind.after_commit:
            await self._handled(call, request.scope, request.body, _swallow)
            call.status = None
        match fault.kind:
            case Kind.TIMEOUT | Kind.TIMEOUT_AFTER_COMMIT:
                await self._hold(_gone(request.receive), fault.lasts_s)
                await self._hang_up(request)
            case Kind.RESET | Kind.RESET_AFTER_COMMIT:
                await self._hang_up(request)
            case _:
                call.status = await _send_spoilt(fault, request.send)

    async def _cut(self, call: Call, request: "_Request") -> None:
        """Hang up in the middle of an answer: after the first parts of one that is streamed, else half-way through."""
        parts = 0

        async def cutting(message: Message) -> None:
            nonlocal parts
            if message["type"] == "http.response.body":
                parts += 1
                if parts > _PARTS_BEFORE_CUT:
                    return
                if not message.get("more_body"):
                    body = message.get("body", b"")
                    message = {**message, "body": body[: len(body) // 2], "more_body": True}
            await request.send(message)

        await self._handled(call, request.scope, request.body, cutting)
        await self._hang_up(request)

    async def _handled(self, call: Call, scope: Scope, body: bytes, send: Send) -> None:
        """Have the service answer a request, and note how."""
        parts: list[bytes] = []

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            else:
                parts.append(message.get("body", b""))
            await send(message)

        call.handled = True
        await self._app(scope, _replay(body), noting)
        if call.method != "GET":
            call.answer = _json(b"".join(parts), scope)

    async def _hold(self, until: Coroutine[Any, Any, object], most_s: float) -> None:
        """Return when something has come true, after `most_s`, or when the server closes."""
        waits = {asyncio.create_task(until), asyncio.create_task(self._closing.wait())}
        try:
            await asyncio.wait(waits, timeout=most_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _hang_up(self, request: "_Request") -> None:
        client = request.scope.get("client")
        transport = self._transports.get(tuple(client)) if client else None
        if transport is None:
            return
        # a copy of the descriptor: what asyncio calls the socket of a transport has no setsockopt on every loop
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as copy:
            copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
        # the server takes a request for forgotten until it has heard of the end of its connection
        await _gone(request.receive)


@dataclass(frozen=True, slots=True)
class _Request:
    scope: Scope
    receive: Receive
    body: bytes
    send: Send


def _split(path: str) -> tuple[str, str]:
    service, slash, rest = path.removeprefix("/").partition("/")
    return service, slash + rest


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body") or len(body) > _MOST_BODY:
            return bytes(body)


def _replay(body: bytes) -> Receive:
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        for message in messages:
            return message
        # whoever asks again waits for the client to go, which nobody here needs to know
        await asyncio.Event().wait()
        raise AssertionError

    return receive


async def _swallow(_message: Message) -> None:
    """Lose an answer."""


async def _gone(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


_PAGE: Final = (
    b"<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body>Checking your browser.</body></html>\n"
)
_GARBAGE: Final = b'{"meta": {"limit": 20, "total_count": 3}, "objects": [{"id": 18400'
_SPOILT: Final[dict[Kind, tuple[int, str, bytes]]] = {
    Kind.TOO_MANY: (429, "application/json", b'{"error": "Rate limit exceeded"}'),
    Kind.ERROR: (500, "application/json", b'{"error": "Internal Server Error"}'),
    Kind.ERROR_AFTER_COMMIT: (500, "application/json", b'{"error": "Internal Server Error"}'),
    Kind.UNAVAILABLE: (503, "text/html", b"<html><body><h1>503 Service Unavailable</h1></body></html>\n"),
    Kind.HTML: (200, "text/html", _PAGE),
    Kind.HTML_AFTER_COMMIT: (200, "text/html", _PAGE),
    Kind.GARBAGE: (200, "application/json", _GARBAGE),
    Kind.GARBAGE_AFTER_COMMIT: (200, "application/json", _GARBAGE),
}


async def _send_spoilt(fault: Fault, send: Send) -> int:
    """Send the answer of a fault; return its status."""
    status, kind, body = _SPOILT[fault.kind]
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    if fault.kind in {Kind.TOO_MANY, Kind.UNAVAILABLE} and fault.retry_after_s is not None:
        headers.append((b"retry-after", str(fault.retry_after_s).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return status


def _json(body: bytes, scope: Scope) -> Any:  # noqa: ANN401 - JSON
    """Return a body as JSON for the log; None where it is none or a form."""
    if dict(scope["headers"]).get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded"):
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


def _without_secrets(query: bytes) -> str:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, "…" if name in _SECRETS else value) for name, value in pairs], safe="…/:,")
