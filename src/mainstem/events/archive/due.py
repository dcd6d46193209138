"""The archive's part of the hourly sweep: which days are due, what became of them, and what has to wait for them."""

from collections.abc import Sequence
from datetime import UTC, datetime, time

import structlog

from mainstem.events.archive.errors import ArchiveError
from mainstem.events.archive.queries import days_to_go
from mainstem.events.archive.run import DayOutcome
from mainstem.events.archive.spawn import Archiver
from mainstem.platform.db import Connection

_log = structlog.get_logger(__name__)


async def archive_due(connection: Connection, before: datetime, archiver: Archiver) -> tuple[DayOutcome, ...]:
    """Archive and drop the loaded days before the day of `before`; return what became of each.

    Starts the archiver only when there is such a day. When it fails, all of them count as kept, for its reason: those
    that it had done before are not due any more the next time.
    """
    due = await days_to_go(connection, before.date())
    if not due:
        return ()
    try:
        return tuple(await archiver(before.date()))
    except (ArchiveError, OSError) as error:
        return tuple(DayOutcome(day, kept=str(error)) for day in due)


def gone(days: Sequence[DayOutcome]) -> tuple[str, ...]:
    """Return the names of the partitions of the days that went."""
    return tuple(f"event_{one.day:%Y%m%d}" for one in days if one.kept is None)


def ledger_before(oldest: datetime, days: Sequence[DayOutcome]) -> datetime:
    """Return the time before which the ledger may go: events that stay keep their part of it, also late ones."""
    return min([oldest, *(datetime.combine(one.day, time(), UTC) for one in days if one.kept is not None)])


def log_days(days: Sequence[DayOutcome]) -> None:
    """Write a line for each day: a warning with the reason for one that had to stay."""
    for one in days:
        if one.kept is None:
            _log.info("day_archived", day=one.day.isoformat(), events=one.events)
        else:
            _log.warning("day_not_archived", day=one.day.isoformat(), reason=one.kept)
