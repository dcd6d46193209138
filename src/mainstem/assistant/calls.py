"""The log of calls: who called what, by which door, how it ended. Arguments by name alone, for what they say is personal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from mainstem.assistant.ports import Door
from mainstem.platform.auth import Caller
from mainstem.platform.db import Connection, load_queries

_sql: Final = load_queries("mainstem.assistant")
_LONGEST_NAME: Final = 64
_MOST_NAMES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, and how it ended."""

    door: Door
    tool: str
    status: str
    """ok, asked, denied, refused or failed."""
    code: str | None
    argument_names: Sequence[str]
    approval_id: UUID | None
    duration_ms: float
    called_at: datetime


async def note(connection: Connection, caller: Caller, call: Call) -> None:
    """Write a call down."""
    names = sorted(name[:_LONGEST_NAME].replace("\0", "") for name in call.argument_names)[:_MOST_NAMES]
    await connection.execute(
        _sql["note_call"],
        *(
            caller.tenant_id,
            caller.user_id,
            caller.subject,
            str(call.door),
            call.tool[:_LONGEST_NAME].replace("\0", ""),
        ),
        *(call.status, call.code, names, call.approval_id, call.duration_ms, call.called_at),
    )


async def latest(  # noqa: PLR0913 - the filters of a list
    connection: Connection, tenant_id: int, *, before: int | None, tool: str | None, status: str | None, limit: int
) -> list[asyncpg.Record]:
    """Return calls of a tenant, the latest first; `before` is the last id of the page before."""
    return await connection.fetch(_sql["calls"], tenant_id, before, tool, status, limit)


async def prune(connection: Connection, before: datetime) -> int:
    """Delete calls from before a time, in small transactions; the connection must be outside of one. Returns how many."""
    gone = 0
    while some := await connection.fetchval(_sql["prune_calls"], before):
        gone += some
    return gone
