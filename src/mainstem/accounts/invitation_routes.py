"""Invitations, for owners: `/api/v1/invitations`."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from mainstem.accounts import invitations
from mainstem.accounts.desk import Desk
from mainstem.accounts.models import InvitationIn, InvitationOut, InvitationsOut
from mainstem.accounts.rules import check_sign_up, sign_up_of
from mainstem.platform.auth import Caller
from mainstem.platform.db import Pool, transaction


def build_invitation_router(
    *,
    pool: Callable[[], Pool],
    desk: Callable[[], Desk],
    require: Callable[[str], Callable[..., Awaitable[Caller]]],
) -> APIRouter:
    """Return the routes; all need the scope admin. `pool` runs under row-level security."""
    router = APIRouter(prefix="/api/v1/invitations", tags=["accounts"])
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type

    @router.get("", summary="Invitations")
    async def page(
        caller: Admin,
        *,
        closed: Annotated[bool, Query(description="Also those that were accepted or revoked.")] = False,
    ) -> InvitationsOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            found = await invitations.page(connection, caller.tenant_id, closed=closed)
        return InvitationsOut(items=[InvitationOut.model_validate(one) for one in found], total=len(found))

    @router.post("", status_code=201, summary="Invite somebody")
    async def invite(request: Request, caller: Admin, body: InvitationIn) -> InvitationOut:
        """Mail a link that makes an account of this tenant; it works once, for seven days."""
        check_sign_up(sign_up_of(desk().settings), invited=True)
        post = desk().post(str(request.base_url))
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            sent = await invitations.invite(
                connection, post, caller.tenant_id, body.email, body.role, by=caller.subject
            )
        return InvitationOut.model_validate(sent.invitation)

    @router.post("/{invitation_id}/resend", summary="Send an invitation again")
    async def resend(request: Request, caller: Admin, invitation_id: int) -> InvitationOut:
        """Mail a new link; the one before works no more."""
        check_sign_up(sign_up_of(desk().settings), invited=True)
        post = desk().post(str(request.base_url))
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            sent = await invitations.resend(connection, post, caller.tenant_id, invitation_id)
        return InvitationOut.model_validate(sent.invitation)

    @router.delete("/{invitation_id}", status_code=204, summary="Take an invitation back")
    async def revoke(caller: Admin, invitation_id: int) -> None:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await invitations.revoke(connection, caller.tenant_id, invitation_id)

    return router
