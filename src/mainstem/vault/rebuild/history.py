"""Where the events of a replay are: in the landing, and before it in the days of an archive, brought back one by one."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol, TypeAlias

from mainstem.vault.engine.column import literal, quote
from mainstem.vault.rebuild.names import quoted
from mainstem.vault.rebuild.replay import LONG_AGO, Replay

_CLOCKS: Final = timedelta(hours=1)
"""By how much the clocks of intake and loader may differ."""
_BACKLOG: Final = timedelta(days=7)
"""By how much an event may have waited for its load."""


class Day(Protocol):
    """One archived day."""

    @property
    def day(self) -> date:
        """Return the day (UTC)."""

    @property
    def events(self) -> int:
        """Return how many events it has."""


RestoreDay: TypeAlias = Callable[..., Awaitable[int]]
"""Copies a day into two tables (`event_table`, `batch_table`), over a connection; returns how many events it has."""


@dataclass(frozen=True, slots=True)
class Archives:
    """Days that are no longer in the landing, and the way back."""

    days: Sequence[Day]
    restore: RestoreDay

    def wanted(self, landed: set[date], since: datetime | None) -> list[Day]:
        """Return the days to bring back, in order: none that the landing has; with `since`, from a week before on."""
        first = date.min if since is None else (since - _BACKLOG).date()
        return sorted((one for one in self.days if one.day >= first and one.day not in landed), key=lambda one: one.day)


async def _none(*_: object, **__: object) -> int:
    return 0


NO_ARCHIVES: Final = Archives((), _none)
"""No days but those of the landing."""


async def replay_archives(replay: Replay, archives: Archives, days: Sequence[Day]) -> None:
    """Replay the loads of archived days, in the order of load times; holds the events of a day or two at a time."""
    desk = replay.desk
    replay.total += sum(one.events for one in days)
    held: list[date] = []
    for one in days:
        replay.progress(replay.done, replay.total, f"bringing {one.day} back")
        await _restore(replay, archives, one)
        held.append(one.day)
        # its batches are counted as they are planned
        replay.total += await desk.fetchval(replay.sql("plan_restored"), replay.scope.since or LONG_AGO) - one.events
        # loads around midnight may hold events of the next day, too
        await replay.run(datetime.combine(one.day + timedelta(days=1), time(), UTC) - _CLOCKS)
        oldest = await desk.fetchval(replay.sql("oldest_waiting")) or date.max
        for day in [day for day in held if day < oldest]:
            await desk.execute(f"drop table {_partition(replay, day)}")
            held.remove(day)


async def _restore(replay: Replay, archives: Archives, one: Day) -> None:
    desk = replay.desk
    events, batches = (replay.names.scratch(name) for name in ("restored_event", "restored_batch"))
    start, end = (datetime.combine(one.day + timedelta(days=n), time(), UTC).isoformat() for n in (0, 1))
    async with desk.transaction():
        await desk.execute(f"truncate {quoted(batches)}")
        await desk.execute(
            f"create table {_partition(replay, one.day)} partition of {quoted(events)} "
            f"for values from ({literal(start)}) to ({literal(end)})"
        )
        await archives.restore(desk, one, event_table=events, batch_table=batches)
        await desk.execute(f"analyze {_partition(replay, one.day)}")


def _partition(replay: Replay, day: date) -> str:
    schema = replay.names.shadow("vault")
    return f"{quote(schema)}.{quote(f'rebuild_restored_{day:%Y%m%d}')}"
