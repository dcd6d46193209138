"""Events of people, as the front accepts them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from mainstem.events.model import NewEvent
from mainstem.platform.ids import uuid7


def custom(data: Mapping[str, object], *, tenant_id: int = 1, kind: str = "order.paid") -> NewEvent:
    """Return a custom event."""
    now = datetime.now(UTC)
    return NewEvent(
        now,
        tenant_id,
        uuid7(),
        kind,
        now,
        "api",
        None,
        None,
        None,
        None,
        None,
        0,
        json.dumps(data, separators=(",", ":")),
    )


def page(path: str, details: Mapping[str, object], *, visitor: str) -> NewEvent:
    """Return a page view."""
    now = datetime.now(UTC)
    data = json.dumps({"page_url": f"https://a.example{path}", "event_data": details})
    return NewEvent(now, 1, uuid7(), "page.viewed", now, "site", None, None, visitor, None, "Mozilla/5.0", 0, data)
