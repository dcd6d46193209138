"""The door of MCP: who may come in, by which name, how often. Knows nothing of the protocol behind it.

A refusal is a JSON-RPC error with a sentence, for that is what clients show; status and headers are those of HTTP and OAuth.
The credential ends here: nothing behind the door sees it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from mainstem.assistant.mcp import discovery
from mainstem.assistant.mcp.audience import audiences_of, meant_for
from mainstem.assistant.mcp.hosts import host_allowed, origin_allowed, parse_host
from mainstem.assistant.registry import Registry
from mainstem.platform.addresses import origin_allowed as listed_origin
from mainstem.platform.auth import MISSING, Caller, credentials, identify, limit_management
from mainstem.platform.errors import ForbiddenError, MainstemError, UnauthorizedError
from mainstem.platform.http import context_of, known
from mainstem.platform.problems import MethodNotAllowedError
from mainstem.platform.secrets import derive, secret_key
from mainstem.platform.settings import Settings

if TYPE_CHECKING:
    from mainstem.assistant.mcp.engine import Engine

CALLER: Final = "mainstem.caller"
"""Where the scope of an admitted request has its Caller."""
API_PORT: Final = "mainstem.api_port"
"""Where the scope of a request on MCP's own port has the port of the API."""
INVALID_REQUEST: Final = -32600
INTERNAL_ERROR: Final = -32603
_SERVER_ERROR: Final = 500


class WrongHostError(MainstemError):
    """This hub is not known by that name."""

    code = "wrong_host"
    status = 421


class McpDoor:
    """MCP of one process; loads its engine when the first caller is admitted."""

    def __init__(self, registry: Callable[[], Registry], settings: Settings) -> None:
        """Keep where the tools are; `settings` name the data folder in use."""
        self._registry = registry
        self._settings = settings
        public = () if settings.public_url is None else (settings.public_url.split("://", 1)[1].split("/", 1)[0],)
        self._hosts = (*settings.mcp_allowed_hosts, *public)
        self._engine: Engine | None = None
        self._opening = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Return what the application adds to its routes."""
        endpoints: dict[str, Callable[..., Any]] = {
            discovery.PATH: self,
            f"{discovery.PATH}/": self,
            discovery.RESOURCE_METADATA: self._resource,
            discovery.RESOURCE_METADATA_OF_ROOT: self._resource,
            discovery.ISSUER_METADATA: self._issuer,
        }
        return [Route(path, endpoint, include_in_schema=False) for path, endpoint in endpoints.items()]

    async def close(self) -> None:
        """End the engine, if there is one."""
        if self._engine is not None:
            await self._engine.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to `/mcp`."""
        context_of(scope).route = discovery.PATH
        answer = Response()
        try:
            self._check_host(scope)
            if scope["method"] != "POST":
                # no stream of messages from here, and no sessions to delete
                raise MethodNotAllowedError("MCP takes POST here.", headers={"Allow": "POST"})  # noqa: TRY301
            caller = await self._admitted(scope)
            await limit_management(Request(scope), answer, caller)
            engine = await self._opened()
        except Exception as error:  # noqa: BLE001 - each becomes an answer
            await self._refuse(scope, send, known(scope, error, debug=self._settings.debug))
            return

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [(name, value) for name, value in answer.raw_headers if name.startswith(b"ratelimit")]
                # its status is an enumeration, which the access line would spell out
                message = {**message, "status": int(message["status"])}
                message["headers"] = [*message.get("headers", ()), *given]
            await send(message)

        # white space around a value is no part of it (RFC 9110, 5.5), and not every HTTP parser takes it away
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"] if name not in _CREDENTIALS]
        await engine({**scope, "headers": headers, CALLER: caller}, receive, send_with_limits)

    async def _admitted(self, scope: Scope) -> Caller:
        base = self._base(scope)
        credential = credentials(scope["headers"])
        if credential is None:
            raise _unauthorized(MISSING, discovery.challenge(base, scope=" ".join(discovery.SCOPES)))
        try:
            caller = await identify(Request(scope))
        except UnauthorizedError as error:
            raise _unauthorized(error.detail, _invalid(base, error.detail)) from None
        # a key is made by this hub for this hub; a token says whom it is for
        of_token = caller.key_id is None and caller.user_id is not None
        if of_token and not meant_for(credential, audiences_of(self._settings, base)):
            told = "This token is meant for another system."
            raise _unauthorized(told, _invalid(base, told))
        if caller.public or caller.scopes.isdisjoint(discovery.SCOPES):
            scopes = " ".join(discovery.SCOPES)
            challenge = discovery.challenge(base, error="insufficient_scope", scope=scopes)
            raise ForbiddenError(
                f"This needs one of the scopes {', '.join(discovery.SCOPES)}.", headers={"WWW-Authenticate": challenge}
            )
        return caller

    def _check_host(self, scope: Scope) -> None:
        given = dict(scope["headers"])
        here = str(scope["server"][0]) if scope.get("server") else None
        host = given.get(b"host", b"").decode("latin-1")
        if not host_allowed(host, self._hosts, here):
            raise WrongHostError("This hub is not known by that name; MCP_ALLOWED_HOSTS has the names.", field="Host")
        origin = given.get(b"origin", b"").decode("latin-1")
        known_page = origin_allowed(origin, self._hosts, here) or listed_origin(origin, self._settings.cors_origins)
        if origin and not known_page:
            raise ForbiddenError("Pages of that origin may not use this hub.", field="Origin")

    async def _opened(self) -> "Engine":
        async with self._opening:
            if self._engine is None:
                # half a second of imports, which other requests must not wait for
                start = await asyncio.to_thread(_load)
                key = derive(secret_key(self._settings, self._settings.data_dir), "mcp")
                self._engine = await start(self._registry(), key)
            return self._engine

    async def _refuse(self, scope: Scope, send: Send, error: MainstemError) -> None:
        told = {"code": error.code, "request_id": context_of(scope).request_id}
        if error.field is not None:
            told["field"] = error.field
        code = INTERNAL_ERROR if error.status >= _SERVER_ERROR else INVALID_REQUEST
        body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": error.detail, "data": told}}
        answer = JSONResponse(body, error.status, headers={**error.headers, "Cache-Control": "no-store"})
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _resource(self, request: Request) -> Response:
        self._check_host(request.scope)
        base = self._base(request.scope)
        issuer = discovery.issuer_of(self._settings, self._api(request.scope))
        return _document(discovery.resource_metadata(base, issuer))

    async def _issuer(self, request: Request) -> Response:
        self._check_host(request.scope)
        return _document(discovery.issuer_metadata(self._api(request.scope)))

    def _base(self, scope: Scope) -> str:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        return discovery.base_url(scope["scheme"], host, self._settings.public_url)

    def _api(self, scope: Scope) -> str:
        """Return the address of the API, which MCP's own port does not serve."""
        base, port = self._base(scope), scope.get(API_PORT)
        host = parse_host(urlsplit(base).netloc)
        if port is None or host is None or base == self._settings.public_url:
            return base
        return f"{scope['scheme']}://{f'[{host.name}]' if ':' in host.name else host.name}:{port}"


_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"cookie"})


def _load() -> "Callable[[Registry, bytes], Awaitable[Engine]]":
    from mainstem.assistant.mcp.engine import start

    return start


def _unauthorized(detail: str, challenge: str) -> UnauthorizedError:
    error = UnauthorizedError(detail)
    error.headers["WWW-Authenticate"] = challenge
    return error


def _invalid(base: str, description: str) -> str:
    return discovery.challenge(base, error="invalid_token", description=description)


def _document(found: dict[str, object]) -> Response:
    return Response(json.dumps(found), media_type="application/json", headers={"Cache-Control": "max-age=3600"})
