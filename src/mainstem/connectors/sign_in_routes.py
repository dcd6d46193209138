"""Signing a connector in: begun by an operator, ended where the browser of an admin of the source comes back."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from mainstem.connectors.models import SignInOut
from mainstem.connectors.ports import UpstreamError
from mainstem.connectors.routes import PREFIX
from mainstem.connectors.running import Connectors
from mainstem.connectors.sign_in import SignIn, SignInError, connector_of
from mainstem.platform.auth import Caller
from mainstem.platform.errors import NotFoundError, UnavailableError

CALLBACK: Final = "/oauth/callback"
_DONE: Final = (
    "<!doctype html><html lang=en><title>Signed in</title><h1>Signed in</h1><p>You can close this page.</p></html>"
)


def build_sign_in_router(
    *, require: Callable[[str], Callable[..., Awaitable[Caller]]], connectors: Callable[[], Connectors]
) -> APIRouter:
    """Return the routes. Beginning needs the scope connectors; what ends a sign-in is its state, which serves once."""
    router = APIRouter(tags=["connectors"])
    Operator = Annotated[Caller, Depends(require("connectors"))]  # noqa: N806 - a type
    Text = Annotated[str, Query(max_length=2_048, pattern=r"^[^\x00]*$")]  # noqa: N806 - a type

    @router.post(PREFIX + "/{name}/authorize", summary="Begin a sign-in at the source")
    async def begin(caller: Operator, name: str) -> SignInOut:
        one = await connectors().get(name, caller.tenant)
        try:
            begun = await _of(one.connector.sign_in, name).begin(caller.subject)
        except UpstreamError as error:
            raise UnavailableError(str(error)) from error
        return SignInOut(url=begun.url, redirect_uri=begun.redirect_uri, expires_at=begun.expires_at)

    @router.get(
        CALLBACK,
        summary="Where the browser comes back after a sign-in at a source",
        response_class=HTMLResponse,
        responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
    )
    async def end(state: Text = "", code: Text = "") -> HTMLResponse:
        name = connector_of(state)
        if name not in connectors().all:
            raise SignInError
        try:
            one = await connectors().get(name)
            await _of(one.connector.sign_in, name).end(state, code)
        except UpstreamError as error:
            raise UnavailableError(str(error)) from error
        # the address of this page holds a code: it goes no further
        return HTMLResponse(_DONE, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"})

    return router


def _of(sign_in: SignIn | None, name: str) -> SignIn:
    if sign_in is None:
        raise NotFoundError(f"Connector {name!r} needs no sign-in.")
    return sign_in
