"""The people of a tenant, as its owners see them: looked at, given another role, kept out."""

from typing import Final
from uuid import UUID

from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import ConflictError, NotFoundError
from mainstem.platform.users import User, check_role, set_disabled, user_by_id

_sql: Final = load_queries("mainstem.accounts", "people.sql")


class LastOwnerError(ConflictError):
    """The tenant would have no owner left."""

    code = "last_owner"


async def change(
    connection: Connection, tenant_id: int, user_id: UUID, *, role: str | None = None, disabled: bool | None = None
) -> User:
    """Give a user of the tenant another role, keep the user out, or let the user in again; None leaves it as it is.

    It counts in every process within two seconds. Raises NotFoundError, InvalidFieldError, and LastOwnerError where nobody
    would be left who can undo it.
    """
    # owners who demote each other at the same moment wait here
    owners = {row["user_id"] for row in await connection.fetch(_sql["lock_owners"], tenant_id)}
    user = await user_by_id(connection, user_id)
    if user is None or user.tenant_id != tenant_id:
        raise NotFoundError(f"User {user_id} not found")
    goes = disabled is True or (role is not None and check_role(role) != "owner")
    if goes and owners == {user_id}:
        raise LastOwnerError
    if role is not None:
        await connection.execute(_sql["set_role"], tenant_id, user_id, role)
    if disabled is not None:
        await set_disabled(connection, user_id, disabled=disabled)
    changed = await user_by_id(connection, user_id)
    return user if changed is None else changed
