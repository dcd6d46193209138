"""Retention: partitions are there before their day, and old landings go when they are loaded.

`sweep()` is one round of upkeep, `run()` repeats it hourly. A session's advisory lock lets one process per
cluster work at a time; every step is idempotent, so that a second round changes nothing. A day with events
that are not loaded yet is never dropped, however old it is. With an archiver, a day goes when it is archived.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import asyncpg
import structlog

from mainstem.events.archive.due import archive_due, gone, ledger_before, log_days
from mainstem.events.archive.run import DayOutcome
from mainstem.events.archive.spawn import Archiver
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, load_queries
from mainstem.platform.settings import Settings

DAYS_AHEAD: Final = 7
INTERVAL_S: Final = 3_600.0
RETRY_S: Final = 30.0
BLOCKED_RETRY_S: Final = 300.0
"""Pause after a lock was not to be had: each try lets intake wait for a moment, too."""
_PRUNE_ROWS: Final = 10_000
_RATE_WINDOW_AGE: Final = timedelta(days=1)
_TIMEOUT_S: Final = 120.0

Step = Callable[[Connection], Awaitable[object]]
"""More upkeep, of other modules: takes a connection of the owner, returns what it did, for the report."""

_NO_STEPS: Final[Mapping[str, Step]] = MappingProxyType({})
_sql: Final = load_queries("mainstem.events")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What one sweep did."""

    partitions_made: int
    partitions_dropped: tuple[str, ...]
    batches_pruned: int
    rejects_pruned: int
    rate_windows_pruned: int
    days: tuple[DayOutcome, ...] = ()
    """What the archive made of the days that were due; without an archive, none."""
    steps: Mapping[str, object] = field(default_factory=dict)


async def sweep(
    pool: Pool,
    *,
    retention_days: int,
    now: datetime | None = None,
    steps: Mapping[str, Step] = _NO_STEPS,
    archiver: Archiver | None = None,
) -> Report | None:
    """Do one round of upkeep as the owner; None when another process of the cluster is at it.

    Makes the day partitions from yesterday to a week ahead, prunes rejects older than `retention_days` and old
    rate windows, runs the steps of other modules by name, and drops loaded days with their part of the ledger; with
    an archiver only those that it has archived.
    Raises asyncpg.LockNotAvailableError when somebody else's transaction is in the way of the last.
    """
    moment = now or utc_now()
    oldest = moment - timedelta(days=retention_days)
    async with pool.acquire(timeout=_TIMEOUT_S) as connection, upkeep(connection) as ours:
        if not ours:
            return None
        try:
            # a dropped partition locks its parent: rather later than with every intake waiting behind it
            await connection.execute("set lock_timeout = '2s'")
            partitions_made = await ensure_partitions(connection, moment)
            rejects_pruned = await prune_rejected(connection, oldest)
            rate_windows_pruned = await prune_rate_windows(connection, moment - _RATE_WINDOW_AGE)
            done = {name: await step(connection) for name, step in steps.items()}
            # what may fail for a reader in the way comes last
            days = () if archiver is None else await archive_due(connection, oldest, archiver)
            dropped = await drop_partitions(connection, oldest) if archiver is None else gone(days)
            return Report(
                partitions_made=partitions_made,
                partitions_dropped=dropped,
                batches_pruned=await prune_batches(connection, ledger_before(oldest, days)),
                rejects_pruned=rejects_pruned,
                rate_windows_pruned=rate_windows_pruned,
                days=days,
                steps=done,
            )
        finally:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await connection.execute("reset lock_timeout")


@asynccontextmanager
async def upkeep(connection: Connection) -> AsyncIterator[bool]:
    """Hold the lock of the upkeep; yields False when another process of the cluster has it."""
    ours = bool(await connection.fetchval(_sql["try_maintenance_lock"]))
    try:
        yield ours
    finally:
        # a lost connection has let go of the lock by itself
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            if ours:
                await connection.fetchval(_sql["release_maintenance_lock"])


async def run(
    pool: Pool,
    settings: Settings,
    stop: asyncio.Event,
    *,
    steps: Mapping[str, Step] = _NO_STEPS,
    archiver: Archiver | None = None,
) -> None:
    """Sweep now and then hourly until `stop` is set; after a failure again in half a minute, or some minutes."""
    while not stop.is_set():
        pause_s = INTERVAL_S
        try:
            report = await sweep(pool, retention_days=settings.raw_retention_days, steps=steps, archiver=archiver)
            if report is not None:
                log_days(report.days)
                _log.info(
                    "retention_swept",
                    made=report.partitions_made,
                    dropped=report.partitions_dropped,
                    batches=report.batches_pruned,
                    rejects=report.rejects_pruned,
                )
        except Exception as error:  # noqa: BLE001 - whatever one round or a step of others met, the next must come
            _log.warning("retention_failed", reason=f"{type(error).__name__}: {error}")
            pause_s = BLOCKED_RETRY_S if isinstance(error, asyncpg.LockNotAvailableError) else RETRY_S
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await stop.wait()


async def keep_off(connection: Connection) -> None:
    """Have no upkeep done in the cluster until this session ends: nothing is dropped, pruned or made.

    Partitions are made a week ahead, so an hour or a day of it does no harm. Raises
    asyncpg.LockNotAvailableError when a sweep lasts longer than the session's lock_timeout.
    """
    await connection.execute(_sql["wait_for_maintenance_lock"])


async def ensure_partitions(connection: Connection, now: datetime) -> int:
    """Make the partitions of `raw.event` from yesterday to DAYS_AHEAD days ahead; return how many were new."""
    today = now.date()
    made: int = await connection.fetchval(
        _sql["ensure_partitions"], today - timedelta(days=1), today + timedelta(days=DAYS_AHEAD), timeout=_TIMEOUT_S
    )
    return made


async def drop_partitions(connection: Connection, before: datetime) -> tuple[str, ...]:
    """Drop the day partitions before the day of `before` whose events are all loaded; return their names."""
    return tuple(row[0] for row in await connection.fetch(_sql["drop_partitions"], before.date(), timeout=_TIMEOUT_S))


async def prune_batches(connection: Connection, before: datetime) -> int:
    """Delete ledger rows of batches whose days before that of `before` are dropped, in small transactions."""
    pruned = 0
    while gone := await connection.fetchval(_sql["prune_batches"], before.date(), _PRUNE_ROWS, timeout=_TIMEOUT_S):
        pruned += gone
    return pruned


async def prune_rejected(connection: Connection, before: datetime) -> int:
    """Delete rejects from before `before`, in small transactions; return how many."""
    pruned = 0
    while gone := await connection.fetchval(_sql["prune_rejected"], before, _PRUNE_ROWS, timeout=_TIMEOUT_S):
        pruned += gone
    return pruned


async def prune_rate_windows(connection: Connection, before: datetime) -> int:
    """Delete shared rate counters of windows that began before `before`; return how many."""
    pruned: int = await connection.fetchval(_sql["prune_rate_windows"], before, timeout=_TIMEOUT_S)
    return pruned
