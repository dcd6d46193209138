"""Helpers of the spine's tests: make events, read the landing, wait for a condition."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from mainstem.events.intake import Intake
from mainstem.events.model import NewEvent, Reject
from mainstem.platform.ids import uuid7

StartIntake = Callable[..., Awaitable[Intake]]


def new_event(
    tenant_id: int = 1,
    *,
    data: str = '{"page_url":"https://example.com/"}',
    kind: str = "page.viewed",
    subject: str | None = None,
) -> NewEvent:
    """Return a valid event with an identity of its own."""
    now = datetime.now(UTC)
    return NewEvent(now, tenant_id, uuid7(), kind, now, "test", None, subject, "v:1", "192.0.2.0", "agent", 0, data)


def reject(payload: str = "{}", tenant_id: int = 1) -> Reject:
    """Return a refused event."""
    return Reject(tenant_id, None, "intake", "invalid_field", "kind is missing", "kind", None, "http", payload)


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 20.0) -> None:
    """Return when the condition holds; fail after the deadline."""
    async with asyncio.timeout(timeout_s):
        while True:
            holds = condition()
            if holds is True or (not isinstance(holds, bool) and await holds):
                return
            await asyncio.sleep(0.01)


async def stored_uids(dsn: str) -> list[UUID]:
    """Return the event_uids in the landing, in the order of raw ids."""
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch("select event_uid from raw.event order by raw_id")]
    finally:
        await connection.close()
