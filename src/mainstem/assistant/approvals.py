"""Calls that wait for a person's word: asked, answered once, or over. In the caller's transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from mainstem.platform.auth import Caller
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import ConflictError, GoneError, NotFoundError
from mainstem.platform.ids import uuid7

LIFETIME: Final = timedelta(minutes=15)
"""How long a question waits for its answer."""
_sql: Final = load_queries("mainstem.assistant")


@dataclass(frozen=True, slots=True)
class Approval:
    """A question that waits, or was answered."""

    approval_id: UUID
    tool: str
    arguments: dict[str, Any]
    question: str
    conversation_id: int | None
    created_at: datetime
    expires_at: datetime
    decision: str | None
    decided_at: datetime | None


async def ask(  # noqa: PLR0913 - the columns of a row
    connection: Connection,
    caller: Caller,
    tool: str,
    arguments: Mapping[str, Any],
    *,
    question: str,
    conversation_id: int | None,
    now: datetime,
) -> Approval:
    """Keep a call that a person has to say yes to."""
    approval_id, expires_at = uuid7(), now + LIFETIME
    await connection.execute(
        _sql["ask"],
        *(approval_id, caller.tenant_id, caller.user_id, caller.subject, tool, json.dumps(dict(arguments))),
        *(question, conversation_id, now, expires_at),
    )
    return Approval(approval_id, tool, dict(arguments), question, conversation_id, now, expires_at, None, None)


async def read(connection: Connection, caller: Caller, approval_id: UUID) -> Approval:
    """Return an approval that the caller asked for. Raises NotFoundError."""
    row = await connection.fetchrow(_sql["approval"], caller.tenant_id, caller.subject, approval_id)
    if row is None:
        raise NotFoundError("There is no such approval.")
    return _approval(row)


async def waiting(connection: Connection, caller: Caller, conversation_id: int, now: datetime) -> Approval | None:
    """Return what a conversation waits for, the latest question; None: nothing."""
    row = await connection.fetchrow(_sql["open_approval"], caller.tenant_id, caller.subject, conversation_id, now)
    return None if row is None else _approval(row)


async def take(connection: Connection, caller: Caller, approval_id: UUID, *, approved: bool, now: datetime) -> Approval:
    """Answer an approval and return it; of callers at the same time one gets it, whatever the others answer.

    Raises NotFoundError for one that is not the caller's, ConflictError for one that was answered, GoneError for one that
    is over.
    """
    decision = "approved" if approved else "denied"
    row = await connection.fetchrow(_sql["decide"], caller.tenant_id, caller.subject, approval_id, decision, now)
    if row is not None:
        return _approval(row)
    found = await read(connection, caller, approval_id)
    if found.decision is not None:
        raise ConflictError("This approval was answered already.", code="approval_used")
    raise GoneError("This approval has expired; ask again.", code="approval_expired")


async def prune(connection: Connection, before: datetime) -> int:
    """Delete approvals that were over before a time; return how many."""
    gone: int = await connection.fetchval(_sql["prune_approvals"], before)
    return gone


def _approval(row: asyncpg.Record) -> Approval:
    return Approval(**{**dict(row), "arguments": json.loads(row["arguments"])})
