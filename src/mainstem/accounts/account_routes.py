"""One's own account: password, sessions, keys. For people who signed in: a key can neither make keys nor end sessions."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from mainstem.accounts.desk import Desk
from mainstem.accounts.models import ChangeIn, EndedOut, OwnKeyIn, SessionsOut
from mainstem.accounts.sign_routes import shown
from mainstem.platform import keys, sessions
from mainstem.platform.auth import Authenticator, Caller, require_person
from mainstem.platform.auth_routes import KeyOut, KeysOut, NewKeyOut
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import ForbiddenError
from mainstem.platform.users import SCOPES_OF_ROLE

Person = Annotated[Caller, Depends(require_person())]


def build_account_router(*, pool: Callable[[], Pool], desk: Callable[[], Desk]) -> APIRouter:
    """Return the routes. `pool` runs under row-level security."""
    router = APIRouter(prefix="/api/v1/account", tags=["accounts"])

    @router.post("/password", status_code=204, summary="Change the password")
    async def change(request: Request, caller: Person, body: ChangeIn) -> None:
        """Set another password and end all other sessions; a wrong old one counts as a failed sign-in (401, then 429)."""
        old, new = body.old_password.get_secret_value(), body.new_password.get_secret_value()
        await desk().change(caller, old, new, requested=str(request.base_url))

    @router.get("/sessions", summary="My sessions")
    async def list_sessions(caller: Person) -> SessionsOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            found = await sessions.of_user(connection, caller.tenant_id, _id(caller))
        return SessionsOut(items=[shown(session, caller) for session in found], total=len(found))

    @router.delete("/sessions", summary="End my other sessions")
    async def end_others(caller: Person) -> EndedOut:
        """End all sessions but the one that asks, in every process within two seconds."""
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            ended = await sessions.end_others(connection, caller.tenant_id, _id(caller), but=caller.session_id)
        return EndedOut(ended=ended)

    @router.delete("/sessions/{session_id}", status_code=204, summary="End one of my sessions")
    async def end(request: Request, caller: Person, session_id: UUID) -> None:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await sessions.end(connection, caller.tenant_id, _id(caller), session_id)
        authenticator: Authenticator = request.app.state.authenticator
        authenticator.forget(session_id)

    @router.get("/keys", summary="My keys")
    async def list_keys(caller: Person) -> KeysOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            found = await keys.list_keys_of_user(connection, caller.tenant_id, _id(caller))
        return KeysOut(items=[KeyOut.model_validate(key) for key in found], total=len(found))

    @router.post("/keys", status_code=201, summary="Make a key that acts for me")
    async def create_key(response: Response, caller: Person, body: OwnKeyIn) -> NewKeyOut:
        """Make a key for a program that works for this person (an MCP client, a script). Its text is shown only now."""
        scopes = body.scopes or sorted(SCOPES_OF_ROLE[caller.role or ""])
        excess = sorted(set(keys.parse_scopes(scopes)) - caller.scopes)
        if excess:
            raise ForbiddenError(f"Your role does not give the scope {excess[0]}.", field="scopes")
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            new = await keys.create_key(
                connection, caller.tenant_id, scopes=scopes, label=body.label, user_id=_id(caller)
            )
        response.headers["Cache-Control"] = "no-store"
        return NewKeyOut(key=new.key, **KeyOut.model_validate(new.api_key).model_dump())

    @router.delete("/keys/{key_id}", status_code=204, summary="End one of my keys")
    async def revoke_key(caller: Person, key_id: int) -> None:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await keys.revoke_key_of_user(connection, caller.tenant_id, _id(caller), key_id)

    return router


def _id(caller: Caller) -> UUID:
    """Return the id of a caller whom `require_person` has let in."""
    if caller.user_id is None:
        raise ForbiddenError
    return caller.user_id
