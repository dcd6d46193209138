"""Raw events to stage rows: routes each event to its feed and keeps one event's failure to itself."""

from collections.abc import Iterable
from typing import NamedTuple

import asyncpg
import structlog

from mainstem.events.model import RawEvent, Reject
from mainstem.vault.feed import Feed, RejectedError, Route

_log = structlog.get_logger(__name__)

_REASON_CHARACTERS = 1_000
_PAYLOAD_CHARACTERS = 65_536
_DATA_STATES = ("22", "23", "54")


class Staged(NamedTuple):
    """An event with the row that stands for it on its feed's stage."""

    event: RawEvent
    feed: Feed
    row: tuple[object, ...]


class Refused(NamedTuple):
    """An event that can't be loaded, and why."""

    event: RawEvent
    code: str
    reason: str
    field: str | None = None


def stage(events: Iterable[RawEvent], route: Route) -> tuple[list[Staged], list[Refused]]:
    """Return the events as stage rows, in order, and apart from them those that their feed refused."""
    staged: list[Staged] = []
    refused: list[Refused] = []
    for event in events:
        feed = route(event.kind, event.source)
        if feed is None:
            refused.append(Refused(event, "unknown_kind", f"No feed takes events of kind {event.kind}.", "kind"))
            continue
        try:
            staged.append(Staged(event, feed, feed.stage(event)))
        except RejectedError as error:
            refused.append(Refused(event, error.code, error.reason, error.field))
        except Exception as error:  # noqa: BLE001 - what a stage function didn't foresee must not stop the others
            _log.exception("staging_failed", raw_id=event.raw_id, kind=event.kind, feed=feed.name)
            refused.append(Refused(event, "staging_error", f"Staging failed: {type(error).__name__}"))
    return staged, refused


def is_data_error(error: BaseException) -> bool:
    """Tell whether rows were refused for what they hold: by the server (classes 22, 23, 54) or while being encoded."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "").startswith(_DATA_STATES)
    # asyncpg encodes COPY rows bare: a number out of range or a lone surrogate shows as Python's own error
    return isinstance(error, ValueError | TypeError | ArithmeticError)


def refused_by_database(event: RawEvent, error: BaseException) -> Refused:
    """Return the refusal of an event whose row PostgreSQL (or the encoding of its values) did not take."""
    if isinstance(error, asyncpg.PostgresError):
        return Refused(event, f"sql_{error.sqlstate}", f"PostgreSQL refused it: {error}")
    return Refused(event, "unstorable_value", f"A value can't be stored: {error}")


def reject_row(refused: Refused, origin: str) -> Reject:
    """Return the row of `staging.rejected` of a refusal."""
    event = refused.event
    return Reject(
        tenant_id=event.tenant_id,
        raw_id=event.raw_id,
        stage="load",
        code=refused.code,
        reason=_storable(refused.reason, _REASON_CHARACTERS),
        field=refused.field,
        kind=event.kind,
        origin=origin,
        payload=_storable(event.data, _PAYLOAD_CHARACTERS),
    )


def _storable(text: str, characters: int) -> str:
    return text[:characters].replace("\0", "\ufffd").encode(errors="replace").decode()
