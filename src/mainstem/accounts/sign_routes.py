"""Sign-up, sign-in and sign-out under the contract's names: `/api/auth/…`."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from fastapi import APIRouter, Request, Response

from mainstem.accounts.desk import Desk
from mainstem.accounts.models import (
    DoneOut,
    SessionOut,
    SignedInOut,
    SignInIn,
    SignUpIn,
    WhoOut,
    person_of,
)
from mainstem.platform import sessions
from mainstem.platform.auth import (
    DOCUMENTED,
    WRONG,
    Authenticator,
    Caller,
    client_of,
    credentials,
    identify,
    limit_management,
)
from mainstem.platform.auth_routes import SIGN_IN_WINDOW_S, SIGN_INS_PER_ADDRESS, limit_address
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import ForbiddenError, NotFoundError, UnauthorizedError
from mainstem.platform.users import SignedIn, user_by_id

SIGN_UPS_PER_ADDRESS: Final = 20
SIGN_UP_WINDOW_S: Final = 3_600


def build_sign_router(*, pool: Callable[[], Pool], desk: Callable[[], Desk]) -> APIRouter:
    """Return the routes. `pool` runs under row-level security."""
    router = APIRouter(prefix="/api/auth", tags=["accounts"])

    @router.post("/signup", status_code=201, summary="Make an account")
    async def sign_up(request: Request, response: Response, body: SignUpIn) -> SignedInOut:
        """Make an account of SIGN_UP_ROLE where SIGN_UP allows it, and sign in. A taken e-mail is 400."""
        await limit_address(request, "signup", limit=SIGN_UPS_PER_ADDRESS, window_s=SIGN_UP_WINDOW_S)
        signed_in = await desk().sign_up(
            body.email, body.password.get_secret_value(), body.name, requested=str(request.base_url)
        )
        return await begin(request, response, signed_in)

    @router.post("/signin", summary="Sign in")
    async def sign_in(request: Request, response: Response, body: SignInIn) -> SignedInOut:
        """Begin a session. A wrong password is 401, whatever it looks like; ten in a row lock the e-mail for a while (429)."""
        await limit_address(request, "signin", limit=SIGN_INS_PER_ADDRESS, window_s=SIGN_IN_WINDOW_S)
        authenticator: Authenticator = request.app.state.authenticator
        signed_in = await authenticator.sign_in(body.email, body.password.get_secret_value())
        if signed_in is None:
            raise UnauthorizedError(WRONG)
        return await begin(request, response, signed_in)

    @router.post("/signout", summary="End this session", dependencies=DOCUMENTED)
    async def sign_out(request: Request, response: Response) -> DoneOut:
        """End the session of the token, in every process within two seconds."""
        caller = await _person(request, response)
        if caller.session_id is None or caller.user_id is None:
            return DoneOut(message="This credential has no session here.")
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            with suppress(NotFoundError):
                await sessions.end(connection, caller.tenant_id, caller.user_id, caller.session_id)
        authenticator: Authenticator = request.app.state.authenticator
        authenticator.forget(caller.session_id)
        return DoneOut(message="Signed out.")

    async def who(request: Request, response: Response) -> WhoOut:
        """Tell whom the token stands for."""
        caller = await _person(request, response)
        user = session = None
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            if caller.user_id is not None:
                user = await user_by_id(connection, caller.user_id)
                if caller.session_id is not None:
                    session = await sessions.one(connection, caller.tenant_id, caller.user_id, caller.session_id)
        if user is None:
            raise UnauthorizedError
        response.headers["Cache-Control"] = "no-store"
        return WhoOut(
            access_token=credentials(request.scope["headers"]) or "",
            user=person_of(user, caller.tenant),
            session=None if session is None else shown(session, caller),
        )

    router.add_api_route("/session", who, methods=["GET"], summary="This session", dependencies=DOCUMENTED)
    router.add_api_route("/me", who, methods=["GET"], summary="Who I am", dependencies=DOCUMENTED)
    return router


async def begin(request: Request, response: Response, signed_in: SignedIn) -> SignedInOut:
    """Begin a session for whoever makes this request, and return its token."""
    authenticator: Authenticator = request.app.state.authenticator
    token = await authenticator.issue(signed_in, client_of(request))
    response.headers["Cache-Control"] = "no-store"
    return SignedInOut(
        access_token=token,
        expires_in=int(authenticator.token_lifetime.total_seconds()),
        user=person_of(signed_in.user, signed_in.tenant),
    )


def shown(session: sessions.Session, caller: Caller) -> SessionOut:
    """Return a session as shown to its person."""
    return SessionOut(
        id=session.id,
        current=session.id == caller.session_id,
        user_agent=session.user_agent,
        address=session.address,
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
        expires_at=session.expires_at,
    )


async def _person(request: Request, response: Response) -> Caller:
    caller = await identify(request)
    await limit_management(request, response, caller)
    if caller.user_id is None:
        raise ForbiddenError("This key stands for no person.")
    return caller
