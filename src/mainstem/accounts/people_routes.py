"""The people of a tenant, for owners: `/api/v1/users`."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from mainstem.accounts import people
from mainstem.accounts.models import PersonOut, person_of
from mainstem.platform.auth import Caller
from mainstem.platform.db import Pool, transaction
from mainstem.platform.users import User, list_users


class MemberOut(PersonOut):
    """A user, as shown to owners."""

    disabled_at: datetime | None


class MembersOut(BaseModel):
    """The users of a tenant, by e-mail."""

    items: list[MemberOut]
    total: int


class MemberPatch(BaseModel):
    """What to change; absent fields stay."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["owner", "member", "viewer", "guest"] | None = None
    disabled: bool | None = Field(default=None, description="True ends all sessions, and keys for as long as it lasts.")


def build_people_router(
    *, pool: Callable[[], Pool], require: Callable[[str], Callable[..., Awaitable[Caller]]]
) -> APIRouter:
    """Return the routes; all need the scope admin. `pool` runs under row-level security."""
    router = APIRouter(prefix="/api/v1/users", tags=["accounts"])
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type

    @router.get("", summary="Users")
    async def members(caller: Admin) -> MembersOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            found = await list_users(connection, caller.tenant_id)
        return MembersOut(items=[_shown(user, caller) for user in found], total=len(found))

    @router.patch("/{user_id}", summary="Change a user's role, or keep the user out")
    async def change(caller: Admin, user_id: UUID, body: MemberPatch) -> MemberOut:
        """Change it in every process within two seconds. The last owner stays: 409 `last_owner`."""
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            user = await people.change(connection, caller.tenant_id, user_id, role=body.role, disabled=body.disabled)
        return _shown(user, caller)

    return router


def _shown(user: User, caller: Caller) -> MemberOut:
    return MemberOut(**person_of(user, caller.tenant).model_dump(), disabled_at=user.disabled_at)
