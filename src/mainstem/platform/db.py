"""The database: pools, transactions bound to a tenant, named queries from `.sql` files.

One request or job is one transaction, opened at the edge by `transaction()`; functions below the edge take
the connection first and never commit. Two kinds of pool exist:

- the *api* pool runs as role `mainstem_api`, under forced row-level security;
- the *worker* pool runs as the connecting role (owner), for intake, loader and maintenance.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Final, Literal, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy  # noqa: TC002 - named in the aliases below

# text, because the classes take parameters only in the eyes of the type checker
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

SESSION_SETTINGS: Final = {
    "timezone": "UTC",
    "jit": "off",
    # what a frozen process or a dead network leaves behind must not hold its locks for hours
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""What every connection of the product asks of its session; times have units or are in seconds."""

# names no tenant: what forgets to say for whom it acts sees nothing and is refused, instead of acting for `default`
_NO_TENANT: Final = {"mainstem.tenant": "(none)"}

_BIND_PERSON: Final = "select set_config('mainstem.tenant_id', $1, true), set_config('mainstem.user_id', $2, true)"

_NAME: Final = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)

_RELEASE_S: Final = 1.0
_LOST: Final = (asyncio.TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
_TRANSIENT_STATES: Final = ("08", "40", "53", "57P", "58", "25006", "55P03")


def load_queries(package: str, file: str = "queries.sql") -> dict[str, str]:
    """Return the queries of a package's SQL file by name: `-- name: claim_due` starts each one."""
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    parts = _NAME.split(text)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


async def create_pool(  # noqa: PLR0913 - one parameter per property of a pool
    dsn: str,
    *,
    role: Literal["api", "worker"],
    min_size: int = 1,
    max_size: int = 10,
    command_timeout_s: float = 30.0,
    application_name: str = "mainstem",
) -> Pool:
    """Open a pool. Raises OSError or asyncpg.PostgresError when the database can't be reached."""

    # once per connection is enough: the pool's RESET ALL leaves the role alone
    async def init(connection: Connection) -> None:
        if role == "api":
            await connection.execute("set role mainstem_api")

    return await asyncpg.create_pool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        init=init,
        command_timeout=command_timeout_s,
        server_settings={
            **SESSION_SETTINGS,
            **(_NO_TENANT if role == "api" else {}),
            "application_name": application_name,
        },
    )


@asynccontextmanager
async def transaction(
    pool: Pool, *, tenant_id: int | None = None, user_id: UUID | None = None, timeout_s: float = 5.0
) -> AsyncIterator[Connection]:
    """Yield a connection inside one transaction, bound to a tenant where one is given, and to a person of it.

    Rows of one person (tasks and the like) are seen by that person alone: without `user_id` there are none.

    Raises asyncio.TimeoutError when no connection comes free, or none begins a transaction, within `timeout_s`.
    """
    async with borrow(pool, timeout_s=timeout_s) as connection:
        transaction_ = connection.transaction()
        async with asyncio.timeout(timeout_s):
            await transaction_.start()
            if user_id is not None:
                await connection.execute(_BIND_PERSON, str(tenant_id or ""), str(user_id))
            elif tenant_id is not None:
                await connection.execute("select set_config('mainstem.tenant_id', $1, true)", str(tenant_id))
        try:
            yield connection
        except BaseException:
            # a server that answers no more keeps a ROLLBACK waiting, too; the connection is dropped then
            with suppress(*_LOST):
                async with asyncio.timeout(_RELEASE_S):
                    await transaction_.rollback()
            raise
        await transaction_.commit()


@asynccontextmanager
async def borrow(pool: Pool, *, timeout_s: float = 10.0) -> AsyncIterator[Connection]:
    """Yield a connection of the pool; one that can't be reset within a second afterwards is dropped.

    Raises asyncio.TimeoutError when none comes free within `timeout_s`.
    """
    connection = await pool.acquire(timeout=timeout_s)
    try:
        yield connection
    finally:
        # the pool has closed a connection that it could not reset; what was done with it stays done
        with suppress(*_LOST):
            await pool.release(connection, timeout=_RELEASE_S)


def is_transient(error: BaseException) -> bool:
    """Tell whether the database is away, full, restarting or asks to try again, as opposed to refusing the data."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "").startswith(_TRANSIENT_STATES)
    return isinstance(error, OSError | asyncio.TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError)
