"""All days that are due, one after the other: which went, and which had to stay and why."""

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Protocol

import asyncpg
import msgspec

from mainstem.events.archive import queries
from mainstem.events.archive.errors import ArchiveError
from mainstem.events.archive.folder import writing
from mainstem.platform.db import Connection


class DayOutcome(msgspec.Struct, frozen=True):
    """What became of a day: how many events were written, and why it stays in PostgreSQL where it does."""

    day: date
    events: int = 0
    kept: str | None = None


class Progress(Protocol):
    """Is told how far the work has come."""

    def begin(self, day: date, events: int) -> None:
        """Take note that a day of about so many events (0: unknown) is next."""

    def advance(self, events: int) -> None:
        """Take note that so many more events were written."""


async def archive_before(
    connection: Connection, folder: Path, before: date, *, done: Callable[[DayOutcome], None], progress: Progress
) -> list[DayOutcome]:
    """Archive and drop the loaded days before `before`; return what became of each, which `done` is told at once.

    The caller holds the lock of the upkeep. A day that can't go stays and does not keep others; when the folder can't
    be written to, none of the rest is tried. Raises OSError or ArchiveError when the folder can't be used at all.
    """
    if not await queries.try_lock(connection):
        raise ArchiveError("another process of this database is writing archives")
    try:
        days = await queries.days_to_go(connection, before)
        if not days:
            return []
        with writing(folder):
            return await _each(connection, folder, days, done, progress)
    finally:
        if not connection.is_closed():
            await queries.release_lock(connection)


async def _each(
    connection: Connection, folder: Path, days: Iterable[date], done: Callable[[DayOutcome], None], progress: Progress
) -> list[DayOutcome]:
    outcomes: list[DayOutcome] = []
    unusable: str | None = None
    for day in days:
        kept = unusable
        events = 0
        if kept is None:
            try:
                events = await _one(connection, folder, day, progress)
            except OSError as error:
                kept = unusable = _line(error)
            except ArchiveError as error:
                kept = _line(error)
            except asyncpg.PostgresError as error:
                kept = f"the database says: {_line(error)}"
            if connection.is_closed():
                raise ArchiveError(f"the database went away: {kept}")
        outcomes.append(DayOutcome(day, events, kept))
        done(outcomes[-1])
    return outcomes


async def _one(connection: Connection, folder: Path, day: date, progress: Progress) -> int:
    # pyarrow is loaded when there is something to do
    from mainstem.events.archive.write import archive_day

    progress.begin(day, await queries.estimate(connection, day))
    return await archive_day(connection, folder, day, progress.advance)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
