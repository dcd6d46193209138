"""What handlers ask of a request: who calls, and how a failure is told."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final, TypeVar

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from starlette.requests import Request

from mainstem.assistant.mcp.door import CALLER
from mainstem.assistant.ports import Failed
from mainstem.platform.auth import Caller
from mainstem.platform.http import known, request_id_of

Context = ServerRequestContext[Any, Any]
A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")
_SERVER_ERROR: Final = 500


def request_of(context: Context) -> Request:
    """Return the HTTP request behind a message."""
    if not isinstance(context.request, Request):
        msg = "a message came in by no HTTP request"
        raise TypeError(msg)
    return context.request


def caller_of(context: Context) -> Caller:
    """Return whom the door has admitted."""
    caller = request_of(context).scope[CALLER]
    if not isinstance(caller, Caller):
        msg = "a request came in past the door"
        raise TypeError(msg)
    return caller


def guarded(
    handler: Callable[[T, Context, A], Awaitable[R]],
) -> Callable[[T, Context, A], Awaitable[R]]:
    """Have a handler's exceptions told as JSON-RPC errors with a sentence, none of which has internals."""

    @wraps(handler)
    async def guard(self: T, context: Context, params: A) -> R:
        try:
            return await handler(self, context, params)
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001 - each becomes an answer
            request = request_of(context)
            told = known(request.scope, error, debug=False)
            data = {"code": told.code, "request_id": request_id_of(request)}
            code = types.INTERNAL_ERROR if told.status >= _SERVER_ERROR else types.INVALID_PARAMS
            raise MCPError(code=code, message=told.detail, data=data) from None

    return guard


def refused(failed: Failed, **more: object) -> MCPError:
    """Return how a call ended as the JSON-RPC error that it is, where the protocol has no result for it."""
    code = types.INTERNAL_ERROR if failed.status >= _SERVER_ERROR else types.INVALID_PARAMS
    return MCPError(code=code, message=failed.detail, data={"code": failed.code, **more})


def one_page(params: types.PaginatedRequestParams | None) -> None:
    """Refuse a cursor: all lists come whole, so none was ever given out."""
    if params is not None and params.cursor is not None:
        raise MCPError(code=types.INVALID_PARAMS, message="There is no such cursor: lists come whole.")
