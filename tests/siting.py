"""Helpers of the site feature's tests: make raw events, land them, load them as the loader does."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import asyncpg

from mainstem.events.model import RawEvent
from mainstem.features import FEEDS
from mainstem.platform.ids import uuid7
from mainstem.vault.loader import Loader
from mainstem.vault.model import SITE_COLUMNS

__all__ = ["FEEDS", "at", "land", "load_all", "loading", "named", "raw_event", "until"]

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
_COLUMN_NAMES = [name for name, _ in SITE_COLUMNS]
_raw_ids = count(1)


def raw_event(data: object = None, **fields: object) -> RawEvent:
    """Return a page view of https://example.com/ with whatever is given changed; `data` may be an object or text."""
    if data is None:
        data = {"page_url": "https://example.com/"}
    event = RawEvent(
        raw_id=next(_raw_ids),
        received_at=NOON,
        tenant_id=1,
        event_uid=uuid7(),
        kind="page.viewed",
        occurred_at=NOON,
        source="site",
        message_id=None,
        subject=None,
        visitor="v:1",
        ip="192.0.2.0",
        user_agent=FIREFOX,
        flags=0,
        data=data if isinstance(data, str) else json.dumps(data),
    )
    return event._replace(**fields)


def at(minutes: float, **fields: object) -> RawEvent:
    """Return an event so many minutes after NOON."""
    return raw_event(occurred_at=NOON + timedelta(minutes=minutes), **fields)


def named(row: tuple[object, ...]) -> dict[str, object]:
    """Return a stage row by column name."""
    return dict(zip(_COLUMN_NAMES, row, strict=True))


async def land(connection: asyncpg.Connection, events: Sequence[RawEvent]) -> int:
    """Append events of one tenant to the landing as one batch; return its id."""
    elements = [
        {
            "kind": event.kind,
            "data": json.loads(event.data),
            "event_uid": str(event.event_uid),
            "occurred_at": event.occurred_at.isoformat(),
            "source": event.source,
            "message_id": event.message_id,
            "subject": event.subject,
            "visitor": event.visitor,
            "ip": event.ip,
            "user_agent": event.user_agent,
            "flags": event.flags,
        }
        for event in events
    ]
    return await connection.fetchval(
        "select raw.append($1, $2::jsonb, 'http')", events[0].tenant_id, json.dumps(elements)
    )


@asynccontextmanager
async def loading(dsn: str) -> AsyncIterator[Loader]:
    """Yield a loader that runs in the background until the block ends."""
    loader = Loader(dsn, FEEDS)
    stop = asyncio.Event()
    running = asyncio.create_task(loader.run(stop))
    try:
        yield loader
    finally:
        stop.set()
        await running


async def until(connection: asyncpg.Connection, condition: str) -> None:
    """Return when an SQL condition holds; fail after the deadline."""
    async with asyncio.timeout(20):
        while True:
            if await connection.fetchval(f"select {condition}"):
                return
            await asyncio.sleep(0.003)


async def load_all(connection: asyncpg.Connection, loader: Loader) -> None:
    """Return when nothing waits any more."""
    loader.nudge()
    await until(connection, "not exists (select from raw.batch where loaded_at is null)")
