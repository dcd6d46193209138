"""The HTTP kit: request ids, access lines, figures, error answers, CORS and security headers.

The composition root puts `edge(app, settings)` around everything it serves, the bare-ASGI hot path
included, and calls `install(fastapi, settings)` once. Both may be nested: the outermost edge does the work.
A hot path finds its `RequestContext` by `context_of(scope)`, tells it tenant and route, and answers errors
with `send_error(scope, send, error)`.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from errno import ENOENT
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

import asyncpg
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mainstem.platform import log, metrics
from mainstem.platform.db import is_transient
from mainstem.platform.errors import MainstemError, UnavailableError
from mainstem.platform.problems import (
    FieldError,
    InvalidFieldsError,
    Problem,
    Rendered,
    Shape,
    document_errors,
    from_status,
    from_validation,
    problem,
    problem_bytes,
    render,
    shape_for,
)
from mainstem.platform.settings import Settings

__all__ = [
    "FieldError",
    "InvalidFieldsError",
    "Problem",
    "RequestContext",
    "RequestEdge",
    "Shape",
    "context_of",
    "document_errors",
    "edge",
    "install",
    "known",
    "note_tenant",
    "problem",
    "problem_bytes",
    "problem_response",
    "request_id_of",
    "send_error",
]

_logger = structlog.get_logger(__name__)

_KEY: Final = "mainstem.request"
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_CLIENT_GONE_STATUS: Final = 499
_SLOW_MS: Final = 1_000.0
_SERVER_ERROR: Final = 500
_QUIET_PATHS: Final = ("/health", "/metrics")
_EXPOSED: Final = (
    "X-Request-ID",
    "X-Response-Time",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
)
_ACCEPTED: Final = (
    "Authorization",
    "Content-Type",
    "Content-Encoding",
    "X-API-Key",
    "X-Customer-ID",
    "X-Request-ID",
    "Idempotency-Key",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
)

_DATABASE_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    asyncio.TimeoutError,
)

_OWN_HEADERS: Final = frozenset({b"x-request-id", b"x-response-time"})
_SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"x-frame-options", b"DENY"),
)
_PAGE_POLICY: Final = (
    b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    b"connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
# Swagger UI is started inline, and draws its icons from data addresses
_DOCS_POLICY: Final = (
    b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
    b"object-src 'none'; base-uri 'self'; frame-ancestors 'none'"
)
_DOCS_PATHS: Final = ("/docs",)

Headers: TypeAlias = list[tuple[bytes, bytes]]


class RequestContext:
    """What is known of one request; the same object in every layer that the request passes."""

    __slots__ = ("quiet", "reported", "request_id", "route", "shapes", "started", "tenant")

    def __init__(self, request_id: str, shapes: Mapping[str, Shape]) -> None:
        """Start the request's clock."""
        self.request_id = request_id
        self.started = time.perf_counter()
        self.shapes = shapes
        self.tenant: str | None = None
        """Slug of the tenant, once the credentials are known."""
        self.route: str | None = None
        """Route template for the figures, set by hot paths; FastAPI's own is found in the scope."""
        self.reported: BaseException | None = None
        """The unexpected exception that is logged already."""
        self.quiet = False
        """Set by hot paths: log the access line at DEBUG unless the answer is slow or an error."""


def context_of(scope: Scope) -> RequestContext:
    """Return the request's context; a detached one outside an edge, so that parts can be tested alone."""
    found = scope.get(_KEY)
    return found if isinstance(found, RequestContext) else RequestContext(log.new_correlation_id(), {})


def request_id_of(request: Request) -> str:
    """Return the id of a request."""
    return context_of(request.scope).request_id


def note_tenant(scope: Scope, tenant: str) -> None:
    """Tell the access line and all later log lines of this request whose request it is."""
    context_of(scope).tenant = tenant
    structlog.contextvars.bind_contextvars(tenant=tenant)


async def problem_response(send: Send, error: MainstemError, request_id: str) -> None:
    """Send an error as problem+json over bare ASGI."""
    await _send(send, render(error, request_id))


async def send_error(scope: Scope, send: Send, error: MainstemError) -> None:
    """Send an error over bare ASGI, in the shape that is registered for the path."""
    await _send(send, _rendered(scope, error))


def _rendered(scope: Scope, error: MainstemError) -> Rendered:
    context = context_of(scope)
    return render(error, context.request_id, shape_for(scope["path"], context.shapes))


async def _send(send: Send, answer: Rendered) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


class RequestEdge:
    """ASGI middleware: one request id, one access line, one count and always an answer for each request."""

    def __init__(self, app: ASGIApp, *, shapes: Mapping[str, Shape] | None = None, debug: bool = False) -> None:
        """Wrap `app`; `shapes` maps path prefixes to the error shapes of their contracts."""
        self.app = app
        self.shapes = dict(shapes or {})
        self.debug = debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; lifespan events pass through."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        if _KEY in scope:
            await self._inner(scope, receive, send)
            return
        context = scope[_KEY] = RequestContext(_request_id(scope), self.shapes)
        tokens = structlog.contextvars.bind_contextvars(request_id=context.request_id)
        try:
            if scope["type"] == "http":
                await self._serve(scope, receive, send, context)
            else:
                await self._serve_socket(scope, receive, send)
        finally:
            structlog.contextvars.reset_contextvars(**tokens)
            structlog.contextvars.unbind_contextvars("tenant")

    async def _inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = scope[_KEY]
        context.shapes = context.shapes or self.shapes
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        await self._answered(scope, receive, send, [0])

    async def _serve(self, scope: Scope, receive: Receive, send: Send, context: RequestContext) -> None:
        status = [0]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_headers(scope["path"], context, message.get("headers", ()))
            await send(message)

        try:
            await self._answered(scope, receive, send_with_headers, status)
        finally:
            _record(scope, context, status[0] or _CLIENT_GONE_STATUS)

    async def _answered(self, scope: Scope, receive: Receive, send: Send, status: list[int]) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
            await send(message)

        try:
            await (self._head if scope["method"] == "HEAD" else self.app)(scope, receive, watch)
        except ClientDisconnect:
            _logger.debug("client left before the end of its request")
        except Exception as error:
            told = known(scope, error, debug=self.debug)
            if status[0]:  # headers are out: the server has to break the connection, or a cut body looks whole
                raise
            await send_error(scope, watch, told)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HEAD as GET without its body (RFC 9110, 9.3.2): routes are declared for GET only."""

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        inner = {**scope, "method": "GET"}
        try:
            await self.app(inner, receive, send_head)
        finally:
            # what routing found belongs to the request, and the figures ask for it
            scope.update({name: value for name, value in inner.items() if name not in scope})

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            known(scope, error, debug=False)
            raise


def known(scope: Scope, error: Exception, *, debug: bool) -> MainstemError:
    """Return the public form of any exception; unexpected ones are logged with their stack, and told to Sentry."""
    if isinstance(error, MainstemError):
        return error
    if _database_is_away(error):
        _logger.warning("database unavailable", error=type(error).__name__, exc_info=error)
        return UnavailableError("The database is not available right now; try again.")
    context = context_of(scope)
    if context.reported is not error:  # nested edges and handlers see the same exception
        context.reported = error
        _logger.error("unexpected error", error=type(error).__name__, exc_info=error)
        metrics.unexpected_error(error)
        log.capture(error)
    return MainstemError(f"{type(error).__name__}: {error}" if debug else "Something went wrong; quote the request id.")


def _database_is_away(error: Exception) -> bool:
    # narrower than is_transient: a missing file is an OSError too, and no reason to say "try again"; a socket that
    # PostgreSQL has taken away with it is one without a name
    no_socket = isinstance(error, FileNotFoundError) and error.errno == ENOENT and error.filename is None
    return no_socket or (isinstance(error, _DATABASE_ERRORS) and is_transient(error))


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _SANE_ID.fullmatch(value) else log.new_correlation_id()
    return log.new_correlation_id()


def _with_headers(path: str, context: RequestContext, given: Iterable[tuple[bytes, bytes]]) -> Headers:
    headers: Headers = [(name, value) for name, value in given if name.lower() not in _OWN_HEADERS]
    names = {name.lower() for name, _ in headers}
    headers += [header for header in _SECURITY_HEADERS if header[0] not in names]
    if b"content-security-policy" not in names and _is_html(headers):
        policy = _DOCS_POLICY if path.startswith(_DOCS_PATHS) else _PAGE_POLICY
        headers.append((b"content-security-policy", policy))
    elapsed_ms = (time.perf_counter() - context.started) * 1_000
    headers += [(b"x-request-id", context.request_id.encode()), (b"x-response-time", b"%.2fms" % elapsed_ms)]
    return headers


def _is_html(headers: Headers) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers)


def _record(scope: Scope, context: RequestContext, status: int) -> None:
    seconds = time.perf_counter() - context.started
    metrics.http_request(scope["method"], _route(scope, context), status, seconds)
    fine = status < _SERVER_ERROR and seconds * 1_000 < _SLOW_MS
    quiet = fine and (context.quiet or scope["path"].startswith(_QUIET_PATHS))
    line = _logger.debug if quiet else _logger.info
    query = scope.get("query_string", b"")
    line(
        "request",
        method=scope["method"],
        path=scope["path"],
        # names only: values of a query may be anything, secrets too
        **({"query": _query_names(query)} if query else {}),
        status=status,
        ms=round(seconds * 1_000, 2),
        **({"tenant": context.tenant} if context.tenant else {}),
    )


def _query_names(query: bytes) -> list[str]:
    try:
        return [name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=50)]
    except ValueError:
        return ["…"]


def _route(scope: Scope, context: RequestContext) -> str:
    if context.route is not None:
        return context.route
    # a route of an included router knows its own part of the path only; the effective one has the prefix
    effective = scope.get("fastapi", {}).get("effective_route_context")
    for found in (effective, scope.get("route")):
        path = getattr(found, "path_format", None)
        if isinstance(path, str):
            return path
    return "unmatched"


def edge(app: ASGIApp, settings: Settings, *, shapes: Mapping[str, Shape] | None = None) -> ASGIApp:
    """Return `app` inside the request edge and CORS: what the server is given to serve."""
    return RequestEdge(_with_cors(app, settings), shapes=shapes, debug=settings.debug)


def _with_cors(app: ASGIApp, settings: Settings) -> ASGIApp:
    if not settings.cors_origins:
        return app
    # the inner edge answers errors inside CORS, so that a page of a listed origin may read them
    return CORSMiddleware(
        RequestEdge(app, debug=settings.debug),
        allow_origins=settings.cors_origins,
        allow_methods=settings.cors_allow_methods,
        allow_headers=_ACCEPTED,
        allow_credentials=settings.cors_allow_credentials,
        expose_headers=_EXPOSED,
    )


def install(app: FastAPI, settings: Settings, *, shapes: Mapping[str, Shape] | None = None) -> None:
    """Give a FastAPI application our error answers, and the edge for when it is served without one around it.

    `shapes` maps path prefixes to error shapes of contracts: `{"/api/tracking-ingest": shape}`; a shape gets
    the error and the request id and returns the JSON object. Everything else is problem+json.
    """

    def answer(request: Request, error: MainstemError) -> Response:
        rendered = _rendered(request.scope, error)
        response = Response(rendered.body, rendered.status)
        response.raw_headers = rendered.headers
        return response

    async def on_known(request: Request, error: Exception) -> Response:
        return answer(request, known(request.scope, error, debug=settings.debug))

    async def on_http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return await on_known(request, error)
        return answer(request, from_status(error.status_code, error.detail, error.headers))

    async def on_invalid(request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else ()
        return answer(request, from_validation(found))

    app.add_exception_handler(MainstemError, on_known)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(Exception, on_known)
    app.add_middleware(_EdgeWithCors, settings=settings, shapes=shapes)


class _EdgeWithCors:
    """`edge()` in the form that `add_middleware` wants."""

    def __init__(self, app: ASGIApp, *, settings: Settings, shapes: Mapping[str, Shape] | None) -> None:
        self.inner = RequestEdge(app, shapes=shapes, debug=settings.debug)
        self.outermost = edge(app, settings, shapes=shapes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.inner if _KEY in scope else self.outermost)(scope, receive, send)
