"""The outbox: in the transaction of a load, each loaded event gets a delivery for every endpoint that wants it.

Which endpoints want it is decided here, over what they are at that moment; what follows is one statement for all events of
the load. An endpoint that is slow or dead costs a load no more than any other.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog

from mainstem.events.catalogue import handed_out, matches
from mainstem.events.filters import Condition, Subject, parse
from mainstem.events.model import RawEvent
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import InvalidFieldError

DELIVER_CHANNEL: Final = "mainstem_deliver"
"""Told when something was queued; the payload means nothing."""
OWN_KINDS: Final = "webhook."
_MOST_KNOWN: Final = 10_000
_sql: Final = load_queries("mainstem.webhooks", "fanout.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """What decides whether an endpoint wants an event."""

    endpoint_id: int
    tenant_id: int
    version: int
    kinds: tuple[str, ...]
    condition: Condition | None


class Wanted:
    """Which of some endpoints want an event. Pure."""

    def __init__(self, targets: Iterable[Target]) -> None:
        """Keep the endpoints by tenant."""
        self._targets: dict[int, list[Target]] = {}
        for target in targets:
            self._targets.setdefault(target.tenant_id, []).append(target)
        self._by_kind: dict[tuple[int, str], list[Target]] = {}

    def by(self, event: RawEvent) -> list[int]:
        """Return the ids of the endpoints that want an event, in order."""
        known = self._by_kind.get((event.tenant_id, event.kind))
        if known is None:
            known = self._by_kind[event.tenant_id, event.kind] = [
                target
                for target in self._targets.get(event.tenant_id, ())
                if any(matches(pattern, event.kind) for pattern in target.kinds)
            ]
        own = event.kind.startswith(OWN_KINDS)
        if not own and all(target.condition is None for target in known):
            return [target.endpoint_id for target in known]
        data = _data(event.data)
        seen = Subject(event.kind, event.source, event.subject, data)
        return [
            target.endpoint_id
            for target in known
            if (target.condition is None or target.condition(seen))
            # news of an endpoint's trouble would only add to it
            and not (own and data.get("webhook_id") == target.endpoint_id)
        ]


class FanOut:
    """The hook of a loader; keeps what it has parsed of the endpoints."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[int, Target] = {}

    async def __call__(self, connection: Connection, events: Sequence[RawEvent]) -> int:
        """Queue deliveries of loaded events in the caller's transaction; return how many."""
        rows = await connection.fetch(_sql["targets"], sorted({event.tenant_id for event in events}))
        if not rows:
            return 0
        wanted = Wanted([self._target(row) for row in rows])
        return await queue(connection, [(event, ids) for event in events if (ids := wanted.by(event))])

    def _target(self, row: Any) -> Target:  # noqa: ANN401 - a row of the query `targets`
        known = self._known.get(row["endpoint_id"])
        if known is None or known.version != row["version"]:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[row["endpoint_id"]] = target_of(row)
        return known


def _read(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        # what PostgreSQL takes for JSON and msgspec does not: a lone surrogate, a number beyond all bounds
        return json.loads(text, parse_int=_int)


def _int(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:
        # Python reads no more than 4,300 digits
        return float(digits)


def _data(text: str) -> dict[str, Any]:
    try:
        found = _read(text)
    except RecursionError:
        # nested too deep to be read: nothing is in it that a filter could find, and the load goes on
        return {}
    return found if isinstance(found, dict) else {}


def target_of(row: Any) -> Target:  # noqa: ANN401 - a row with the columns of the query `targets`
    """Return what decides for an endpoint. A filter that can't be read lets everything through, and is logged."""
    condition = None
    if row["filter"] is not None:
        try:
            condition = parse(_read(row["filter"]))
        except InvalidFieldError as error:
            log.warning("webhook_filter_unreadable", webhook_id=row["endpoint_id"], reason=error.detail)
    return Target(row["endpoint_id"], row["tenant_id"], row["version"], tuple(row["kinds"]), condition)


async def queue(connection: Connection, wanted: Sequence[tuple[RawEvent, Sequence[int]]]) -> int:
    """Queue a delivery of each event to each of its endpoints, where there is none yet; return how many were made."""
    if not wanted:
        return 0
    events = [event for event, _ in wanted]
    row = await connection.fetchrow(
        _sql["fan_out"],
        [event.tenant_id for event in events],
        [event.event_uid for event in events],
        [event.kind for event in events],
        [event.source for event in events],
        [event.subject for event in events],
        [event.occurred_at for event in events],
        [event.received_at for event in events],
        [handed_out(event.kind, event.data) for event in events],
        [",".join(map(str, ids)) for _, ids in wanted],
    )
    return 0 if row is None else int(row[0])
