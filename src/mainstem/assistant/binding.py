"""Transactions of a caller: bound to the tenant, and to the person whose rows row-level security then shows."""

from contextlib import AbstractAsyncContextManager

from mainstem.platform.auth import Caller
from mainstem.platform.db import Connection, Pool, transaction


def bound(pool: Pool, caller: Caller) -> AbstractAsyncContextManager[Connection]:
    """Return a transaction of the caller's tenant and person; a key is no person. Raises as `transaction` does."""
    return transaction(pool, tenant_id=caller.tenant_id, user_id=caller.user_id)
