"""Helpers of the tests of the assistant: people who call, and a registry on the test's database."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from pydantic import BaseModel, Field

from mainstem.assistant.ports import Arguments, Hints, Tool, ToolContext
from mainstem.assistant.registry import Registry
from mainstem.hub import Hub
from mainstem.platform.auth import Caller
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Pool
from mainstem.platform.ids import uuid7
from mainstem.platform.keys import effective_scopes
from mainstem.platform.users import SCOPES_OF_ROLE, SignedIn, User


async def token_of(hub: Hub, caller: Caller) -> dict[str, str]:
    """Return the headers of a request of a person, with the token that a sign-in would give."""
    user = User(caller.user_id, caller.tenant_id, "", "", caller.role, utc_now(), None)
    token = await hub.services.authenticator.issue(SignedIn(user, caller.tenant))
    return {"authorization": f"Bearer {token}"}


async def tenant_of(connection: asyncpg.Connection, slug: str = "default") -> int:
    return await connection.fetchval("select tenant_id from platform.tenant where slug = $1", slug)


async def person(
    connection: asyncpg.Connection, email: str = "ann@example.org", *, role: str = "member", tenant: str = "default"
) -> Caller:
    """Make a user, who has no password; return the caller that a token of theirs stands for."""
    tenant_id = await tenant_of(connection, tenant)
    user_id = uuid7()
    await connection.execute(
        "insert into platform.users (user_id, tenant_id, email, name, password_hash, role) values ($1, $2, $3, '', '-', $4)",
        *(user_id, tenant_id, email, role),
    )
    return Caller(
        tenant_id=tenant_id,
        tenant=tenant,
        scopes=effective_scopes(SCOPES_OF_ROLE[role]),
        key_id=None,
        user_id=user_id,
        role=role,
        public=False,
        allowed_origins=(),
        subject=f"user:{user_id}",
    )


def key_caller(tenant_id: int, *scopes: str, key_id: int = 1, public: bool = False) -> Caller:
    """Return the caller of an API key."""
    return Caller(
        tenant_id=tenant_id,
        tenant="default",
        scopes=effective_scopes(frozenset(scopes)),
        key_id=key_id,
        user_id=None,
        role=None,
        public=public,
        allowed_origins=(),
        subject=f"key:{key_id}",
    )


class Note(Arguments):
    """What to write."""

    text: str = Field(min_length=1, max_length=20)
    fail: bool = False


class Noted(BaseModel):
    """What was written."""

    text: str
    person: UUID | None


async def _write(context: ToolContext, given: Note) -> Noted:
    """Write a row that the test can count: an approval's table is at hand in every database."""
    await context.connection.execute(
        "insert into platform.rate_window (subject, window_at, used) values ($1, now(), 1)", given.text
    )
    if given.fail:
        await context.connection.execute("select 1/0")
    return Noted(text=given.text, person=await context.connection.fetchval("select platform.current_user_id()"))


async def _ask(context: ToolContext, given: Note) -> str:
    del context
    return f"Write {given.text}?"


def sample_tools() -> list[Tool[Any]]:
    """Return tools that write down that they ran: one at once, one that asks, one that needs admin, one of persons."""
    common = {"arguments": Note, "result": Noted, "hints": Hints(destructive=True), "run": _write}
    return [
        Tool(name="write", title="W", description="Writes.", scope="read", **common),
        Tool(name="ask_write", title="A", description="Asks.", scope="read", question=_ask, **common),
        Tool(name="admin_write", title="D", description="Admin.", scope="admin", **common),
        Tool(name="own_write", title="O", description="Personal.", scope="read", personal=True, **common),
    ]


def registry(pool: Pool, tools: list[Tool[Any]] | None = None) -> Registry:
    return Registry(sample_tools() if tools is None else tools, lambda: pool, zone=ZoneInfo("UTC"))


async def writes(connection: asyncpg.Connection) -> list[str]:
    """Return what the test tools have written, in order."""
    rows = await connection.fetch("select subject from platform.rate_window order by subject")
    return [row["subject"] for row in rows]
