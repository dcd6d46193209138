"""The ASGI front: the hot path answered without a framework, everything else handed to FastAPI.

Measured on one core of the reference machine, a bare ASGI answer costs 25 µs and a FastAPI one 85 µs; events and
redirects are most of the traffic, so they don't pay for routing, dependency injection and response models.
Errors, request ids, metrics and CORS are the same as behind FastAPI.
"""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, Final

import structlog

import mainstem
from mainstem.front.body import ClientGoneError, Message, Receive
from mainstem.front.clicks import BATCH, HEALTH, TEST, ClickIngest, shape
from mainstem.front.ingest import Ingest
from mainstem.front.redirect import Redirect, is_visit
from mainstem.front.request import Reply, Request
from mainstem.front.services import Services
from mainstem.platform import metrics
from mainstem.platform.addresses import origin_allowed
from mainstem.platform.errors import MainstemError, RateLimitedError, UnauthorizedError, UnavailableError
from mainstem.platform.log import capture
from mainstem.platform.problems import MethodNotAllowedError, Shape, render
from mainstem.site.tracker import Asset, answer, tracker_asset

__all__ = ["Front", "Services"]

Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
Handler = Callable[[Request], Awaitable[Reply]]

log = structlog.get_logger(__name__)

_PREFLIGHT: Final = [
    (b"access-control-allow-methods", b"POST"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, content-encoding, x-api-key, x-customer-id, x-request-id",
    ),
    (b"access-control-max-age", b"86400"),
]
_EXPOSED: Final = (
    b"access-control-expose-headers",
    b"x-request-id, x-response-time, retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset",
)


class Front:
    """The ASGI application of a process."""

    def __init__(self, app: App, services: Services) -> None:
        """Put the hot path in front of `app`, which gets every other request, the lifespan and WebSockets."""
        ingest = Ingest(services)
        self._app = app
        self._redirect = Redirect(services)
        self._mask = services.sealer.mask_sentence
        self._cors_origins = tuple(services.settings.cors_origins)
        self._tracker = tracker_asset(services.settings)
        clicks = ClickIngest(ingest, mainstem.__version__)
        self._gets: dict[str, Handler] = {HEALTH: clicks.health}
        self._shapes: dict[str, Shape] = dict.fromkeys((HEALTH, TEST, BATCH), shape)
        self._posts: dict[str, Handler] = {
            TEST: clicks.test,
            BATCH: clicks.batch,
            "/api/v1/track": ingest.track,
            "/api/v1/track/async": ingest.track_async,
            "/api/v1/track/bulk": ingest.track_bulk,
            "/api/v1/events": ingest.event,
            "/api/v1/events/batch": ingest.event_batch,
        }

    def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request. No coroutine itself: each one more is paid by every step of every request."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        path, method = scope["path"], scope["method"]
        if method == "GET":
            link = self._redirect.plain(scope)
            if link is not None:
                return self._redirect.go(link, scope, send)
        handler = self._posts.get(path) or self._gets.get(path)
        if handler is not None:
            return self._answer(handler, Request(scope, receive), send)
        if path == "/t.js" and method in {"GET", "HEAD"}:
            return _send(send, _script(self._tracker, Request(scope, receive)))
        if is_visit(scope) if path != "/" else self._redirect.owns_root(scope):
            return self._redirect.visit(scope, receive, send)
        return self._app(scope, receive, send)

    async def _answer(self, handler: Handler, request: Request, send: Send) -> None:
        started = perf_counter()
        path, method = request.scope["path"], request.scope["method"]
        try:
            if method == "OPTIONS":
                reply = Reply(204, b"", list(_PREFLIGHT))
            elif method == ("POST" if path in self._posts else "GET"):
                reply = await handler(request)
            else:
                takes = "POST" if path in self._posts else "GET"
                raise MethodNotAllowedError(f"This address takes {takes}.", headers={"Allow": f"{takes}, OPTIONS"})  # noqa: TRY301
        except ClientGoneError:
            return
        except MainstemError as error:
            reply = self._refused(error, request, path)
        except Exception as error:
            metrics.unexpected_error(error)
            capture(error)
            log.exception("unexpected_error", request_id=request.request_id, path=path)
            reply = self._refused(MainstemError(), request, path)
        origin = request.headers.get(b"origin")
        if origin is not None:
            self._allow_origin(reply, request, origin)
        seconds = perf_counter() - started
        reply.headers += (
            (b"x-request-id", request.request_id.encode()),
            (b"x-response-time", b"%.2fms" % (seconds * 1000)),
            (b"x-content-type-options", b"nosniff"),
        )
        metrics.http_request(method, path, reply.status, seconds)
        await _send(send, reply)

    def _refused(self, error: MainstemError, request: Request, path: str) -> Reply:
        _count_refusal(error)
        status, headers, body = render(error, request.request_id, self._shapes.get(path))
        # the sender may read what it wrote, a log may not keep it
        detail = self._mask(error.detail)
        log.info("refused", request_id=request.request_id, path=path, status=status, code=error.code, detail=detail)
        return Reply(status, body, headers)

    def _allow_origin(self, reply: Reply, request: Request, origin: bytes) -> None:
        """Let the page read the answer. A public key's origin was checked; a secret key's needs CORS_ORIGINS.

        The preflight carries no key, so it is answered for every origin; it gives nothing away.
        """
        preflight = request.scope["method"] == "OPTIONS"
        if preflight or request.public or origin_allowed(origin.decode("latin-1"), self._cors_origins):
            reply.headers += ((b"access-control-allow-origin", origin), (b"vary", b"Origin"), _EXPOSED)


def _script(asset: Asset, request: Request) -> Reply:
    found = answer(
        asset,
        if_none_match=request.text(b"if-none-match"),
        accept_encoding=request.text(b"accept-encoding"),
    )
    body = b"" if request.scope["method"] == "HEAD" else found.body
    return Reply(found.status, body, list(found.headers))


def _count_refusal(error: MainstemError) -> None:
    if error.status == UnauthorizedError.status:
        metrics.auth_failed(error.code)
    elif error.status == RateLimitedError.status:
        metrics.rate_limited("ingest")
    elif error.status == UnavailableError.status:
        metrics.intake_refused()


async def _send(send: Send, reply: Reply) -> None:
    headers = reply.headers
    if not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
