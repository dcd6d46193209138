"""What the vault's tests share: events that go straight into the landing, and a small stage of site events."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import asyncpg

from mainstem.events.model import NewEvent, RawEvent
from mainstem.platform.ids import event_uid, uuid7
from mainstem.vault.engine import ZERO_KEY, hash_key
from mainstem.vault.feed import Feed, RejectedError, base_row
from mainstem.vault.loader import Loader, LoadResult
from mainstem.vault.model import EVENT_FEED, SITE, SITE_COLUMNS, SITE_STRUCTURES

START = datetime.now(UTC).replace(microsecond=0)
_blocks = count(1)


def event(
    data: Mapping[str, object],
    *,
    tenant_id: int = 1,
    kind: str = "page.viewed",
    message_id: str | None = None,
    uid: UUID | None = None,
    occurred_s: float = 0,
) -> NewEvent:
    """Return one accepted event; `data` holds visitor, session, page, title, device as the stage below reads them."""
    return NewEvent(
        received_at=START,
        tenant_id=tenant_id,
        event_uid=uid or (uuid7() if message_id is None else event_uid(tenant_id, "test", message_id)),
        kind=kind,
        occurred_at=START + timedelta(seconds=occurred_s),
        source="test",
        message_id=message_id,
        subject=None,
        visitor=None,
        ip=None,
        user_agent=None,
        flags=0,
        data=json.dumps(data),
    )


async def append(connection: asyncpg.Connection, events: Sequence[NewEvent], origin: str = "test") -> int:
    """Commit events of one tenant as one batch; return its id."""
    first = await connection.fetchval("select nextval('raw.raw_id_block')")
    batch = (first, events[0].tenant_id, len(events), origin, START, START)
    rows = [(first + number, *row) for number, row in enumerate(events)]
    async with connection.transaction():
        await connection.copy_records_to_table(
            "batch",
            schema_name="raw",
            columns=["batch_id", "tenant_id", "events", "origin", "received_from", "received_to"],
            records=[batch],
        )
        await connection.copy_records_to_table(
            "event", schema_name="raw", columns=["raw_id", *NewEvent._fields], records=rows
        )
    return int(first)


def stage_site(event: RawEvent) -> tuple[object, ...]:
    """Return the row of SITE_COLUMNS of an event of `event()`; data {"fail": …} fails in the way it says."""
    data = json.loads(event.data)
    match data.get("fail"):
        case "reject":
            raise RejectedError("no_good", "It says so itself.", "fail")
        case "crash":
            msg = "not foreseen"
            raise KeyError(msg)
    values: dict[str, object] = {
        "visitor_hk": _key(event.tenant_id, data.get("visitor")),
        "visitor_bk": data.get("visitor"),
        "session_hk": _key(event.tenant_id, data.get("session")),
        "session_bk": data.get("session"),
        "page_hk": _key(event.tenant_id, data.get("page")),
        "page_bk": data.get("page"),
        "campaign_hk": ZERO_KEY,
        "page_title": data.get("title"),
        "device": data.get("device"),
        "is_bot": False,
        # too large for numeric: staged, copied as text by the driver, refused by PostgreSQL alone
        "properties": '{"n": 1e999999}' if data.get("fail") == "poison" else "{}",
        "screen": "\ud800" if data.get("fail") == "encoding" else None,
    }
    return (*base_row(event), *(values.get(name) for name, _ in SITE_COLUMNS[8:]))


def _key(tenant_id: int, name: str | None) -> bytes:
    return ZERO_KEY if name is None else hash_key(tenant_id, SITE, name)


SITE_FEED = Feed(
    name="site", kinds=("page.*", "site.*"), columns=SITE_COLUMNS, stage=stage_site, structures=SITE_STRUCTURES
)
FEEDS = (SITE_FEED, EVENT_FEED)


def loader(dsn: str, **options: int) -> Loader:
    """Return a loader of the test feeds."""
    return Loader(dsn, FEEDS, **options)


async def load_all(dsn: str, **options: int) -> list[LoadResult]:
    """Load until nothing waits; return what each load did."""
    one = loader(dsn, **options)
    results = []
    while (result := await one.load_once()) is not None:
        results.append(result)
    return results


async def balance(connection: asyncpg.Connection) -> tuple[int, int, int, int]:
    """Return (acknowledged, loaded, duplicates, rejected) of the ledger."""
    row = await connection.fetchrow(
        "select sum(events), sum(loaded), sum(duplicates), sum(rejected) from raw.batch where loaded_at is not null"
    )
    assert row is not None
    return tuple(value or 0 for value in row)  # type: ignore[return-value] - four sums
