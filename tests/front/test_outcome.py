"""What a synchronous answer says of its event: processed, duplicate, or queued when nobody can know."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from mainstem.events.model import NewEvent
from mainstem.front.ingest import outcome
from mainstem.platform.db import Pool

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def event(message_id: str | None) -> NewEvent:
    return NewEvent(NOW, 1, uuid4(), "page.viewed", NOW, "site", message_id, None, "v:1", None, None, 0, "{}")


@pytest.fixture
async def lost_pool() -> AsyncIterator[Pool]:
    """Yield a pool whose database refuses every connection."""
    pool = await asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/nothing", min_size=0)
    yield pool
    pool.terminate()


async def test_an_event_is_not_called_failed_because_nobody_can_be_asked(lost_pool: Pool) -> None:
    assert await outcome(lost_pool, event("m-1"), 1) == "queued"


async def test_an_event_without_an_id_of_its_sender_is_no_repeat(lost_pool: Pool) -> None:
    assert await outcome(lost_pool, event(None), 1) == "processed"
