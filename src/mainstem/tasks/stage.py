"""Turns events of tasks into rows on their stage. Pure.

Nothing is refused for what it says: an event without the uid of a task is kept as any other event is, and a value of a wrong
type counts as not told.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from mainstem.events.model import RawEvent
from mainstem.events.receive import RefusedError, parse_time
from mainstem.platform.web.text import clip, clip_key, read_object
from mainstem.tasks.model import LinkType
from mainstem.vault.engine import ZERO_KEY, hash_key
from mainstem.vault.keys import visitor_key
from mainstem.vault.model import CONNECTOR, EVENT_COLUMNS, LINK, POS, TASK, TASK_COLUMNS, stage_event

LINKED: Final = "task.linked"
_DELETED: Final = "task.deleted"
_KEY_CHARACTERS: Final = 200
_TEXT: Final = 500
_PARTS: Final = 3
_NOTHING: Final = dict.fromkeys((name for name, _ in TASK_COLUMNS[len(EVENT_COLUMNS) :]), None) | dict.fromkeys(
    ("task_hk", "booking_hk", "pos_order_hk", "visitor_hk", "tracked_link_hk"), ZERO_KEY
)


def stage_task(event: RawEvent) -> tuple[object, ...]:
    """Return the row of TASK_COLUMNS of an event. Raises RejectedError as `stage_event` does."""
    row = stage_event(event)
    found = read_object(event.data)
    said = {} if found is None else found[0]
    uid = clip_key(_text(said, "uid") or "", _KEY_CHARACTERS)
    if not uid:
        return *row, *_NOTHING.values()
    values = {
        **_NOTHING,
        "task_hk": hash_key(event.tenant_id, TASK, uid),
        "task_uid": uid,
        "tells_task": True,
        "task_id": _whole(said, "task_id", 2**31 - 1),
        "task_version": _whole(said, "version", 2**63 - 1) or 0,
        "task_status": _text(said, "status"),
        "task_priority": _text(said, "priority"),
        "task_due_at": _time(said, "due_date"),
        "recurrence": _text(said, "recurrence"),
        "occurrence": _whole(said, "occurrence", 2**31 - 1),
        "owner_id": _text(said, "user_id"),
        "assignee_id": _text(said, "assignee_id"),
        "task_completed_at": _time(said, "completed_at"),
        "task_deleted": event.kind == _DELETED,
        "acted_by": _text(said, "by"),
    }
    if event.kind == LINKED:
        values |= _linked(event.tenant_id, said.get("link"))
    return *row, *(values[name] for name in _NOTHING)


def _linked(tenant_id: int, link: object) -> dict[str, object]:
    """Return what says which thing a task is about; nothing for things that the vault does not know."""
    if not isinstance(link, Mapping):
        return {}
    type_, id_ = _text(link, "type"), clip_key(_text(link, "id") or "", _TEXT)
    parts = id_.split("/", _PARTS - 1)
    match type_:
        case LinkType.BOOKING if len(parts) == _PARTS:
            return {
                "tells_booking": True,
                "booking_hk": hash_key(tenant_id, CONNECTOR, *parts),
                **dict(zip(("connector", "site_id", "booking_id"), parts, strict=True)),
            }
        case LinkType.ORDER if len(parts) == _PARTS:
            return {
                "tells_order": True,
                "pos_order_hk": hash_key(tenant_id, POS, *parts),
                **dict(zip(("connector", "establishment", "local_id"), parts, strict=True)),
            }
        case LinkType.VISITOR if id_:
            visitor_hk, visitor_bk = visitor_key(tenant_id, id_)
            return {"tells_visitor": True, "visitor_hk": visitor_hk, "visitor_bk": visitor_bk}
        case LinkType.LINK if id_:
            return {"tells_link": True, "tracked_link_hk": hash_key(tenant_id, LINK, id_), "tracking_id": id_}
        case _:
            return {}


def _text(said: Mapping[str, object], name: str) -> str | None:
    return clip(said.get(name), _TEXT)


def _whole(said: Mapping[str, object], name: str, most: int) -> int | None:
    value = said.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def _time(said: Mapping[str, object], name: str) -> datetime | None:
    try:
        return parse_time(said.get(name), name)
    except RefusedError:
        return None
