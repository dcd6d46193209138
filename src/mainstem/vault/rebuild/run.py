"""A rebuild from beginning to end: make the shadow, replay, compare, swap where asked, clear away.

Loading goes on all the while. It is held up twice for as long as it takes to replay what came meanwhile: before the
comparison, whose snapshot then shows live and shadow at the same point, and before a swap. Upkeep of the landing waits
until the rebuild is done, so that no event goes before it is replayed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import perf_counter
from typing import Final

import asyncpg

from mainstem.events.retention import keep_off
from mainstem.platform.db import SESSION_SETTINGS, Connection
from mainstem.vault.feed import Feed
from mainstem.vault.rebuild import shadow, swap
from mainstem.vault.rebuild.compare import compare
from mainstem.vault.rebuild.history import NO_ARCHIVES, Archives, replay_archives
from mainstem.vault.rebuild.names import Names, RebuildError, quoted
from mainstem.vault.rebuild.replay import Progress, Replay
from mainstem.vault.rebuild.report import Report
from mainstem.vault.rebuild.scope import Scope, scope_of

Decide = Callable[[Report], bool]
"""Is shown what differs; returns whether to swap."""

_CONNECT_TIMEOUT_S: Final = 10
_SETTINGS: Final = {
    **SESSION_SETTINGS,
    "application_name": "mainstem rebuild",
    "search_path": "pg_catalog",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "0",
    "work_mem": "128MB",
}
_LOST: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
_MOST_ROUNDS: Final = 20
_LITTLE_EVENTS: Final = 2_000
_SWAP_ATTEMPTS: Final = 3
_PRUNED: Final = "select coalesce(sum(loaded + duplicates + rejected), 0)::bigint from raw.pruned_total"
_LOCK: Final = "select pg_try_advisory_lock(hashtextextended('mainstem.vault.rebuild', 0))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the operator asks for."""

    into: str = "rebuild"
    since: datetime | None = None
    keep: bool = False
    """Leave the shadow where it is when it is equal."""
    compare_only: bool = False


async def rebuild(  # noqa: PLR0913 - what to do, and whom to tell
    dsn: str,
    feeds: Sequence[Feed],
    plan: Plan,
    *,
    archives: Archives = NO_ARCHIVES,
    decide: Decide = lambda _: False,
    progress: Progress = lambda *_: None,
) -> Report:
    """Rebuild from the events, compare, and swap when live differs and `decide` says so.

    Raises RebuildError when another rebuild is running, the history does not reach back far enough, or a name is
    taken; whatever happens, live is as it was, and a shadow that is of no use any more is dropped.
    """
    names, scope = Names(plan.into), scope_of(feeds, plan.since)
    report = Report(plan.into, plan.since)
    started_s = perf_counter()
    async with _control(dsn) as control, _connected(dsn) as desk:
        await _begin(control, names, scope, archives, plan, report)
        days = archives.wanted(await _landed(control), plan.since)
        revision = await shadow.revision(control)
        renaming = scope.renaming(names, archives=bool(days))
        replay = Replay(dsn, desk, names, scope, renaming, progress)
        finished = False
        try:
            async with desk.transaction():
                await shadow.make(desk, names, scope, archives=bool(days))
            await replay_archives(replay, archives, days)
            await _compare(dsn, control, replay, report)
            if not report.equal and await _may_swap(report, plan, decide):
                await _swap(control, replay, report, revision)
            finished = True
        finally:
            replay.close()
            report.seconds = perf_counter() - started_s
            keep = finished and not report.swapped and (plan.keep or not report.equal)
            await _clear(dsn, names, report, keep=keep)
    return report


async def drop_old(dsn: str, into: str) -> list[str]:
    """Drop the schemas that a swap or a rebuild of this name left; return their names.

    Raises RebuildError while a rebuild is running.
    """
    async with _control(dsn) as control:
        left = await shadow.leftovers(control, Names(into))
        await shadow.drop(control, left)
        return left


@asynccontextmanager
async def _control(dsn: str) -> AsyncIterator[Connection]:
    """Yield the connection that holds the lock of the rebuild: one at a time in a database."""
    async with _connected(dsn) as control:
        if not await control.fetchval(_LOCK):
            msg = "another rebuild is running in this database"
            raise RebuildError(msg)
        yield control


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=_SETTINGS)
    try:
        yield connection
    finally:
        with suppress(*_LOST):
            await connection.close(timeout=_CONNECT_TIMEOUT_S)


async def _begin(  # noqa: PLR0913, PLR0917 - what is asked for, and where
    control: Connection,
    names: Names,
    scope: Scope,
    archives: Archives,
    plan: Plan,
    report: Report,
) -> None:
    """See to it that the rebuild can lead somewhere, keep the upkeep off, and drop what a killed rebuild left."""
    try:
        await keep_off(control)
    except asyncpg.LockNotAvailableError as error:
        msg = "the upkeep of the landing is at work: try again in a minute"
        raise RebuildError(msg) from error
    if plan.since is not None and plan.since > await control.fetchval("select now()"):
        msg = f"{plan.since.isoformat()} is in the future"
        raise RebuildError(msg)
    landed = await _landed(control)
    report.history_from = min({*landed, *(one.day for one in archives.days)}, default=None)
    if not plan.compare_only:
        await swap.refuse_bound(control, scope)
        await swap.refuse_old(control, names, scope)
        await _refuse_gaps(control, plan, report, sum(one.events for one in archives.wanted(landed, None)))
    old = {names.old(table.split(".", 1)[0]) for table in scope.made}
    await shadow.drop(control, [name for name in await shadow.leftovers(control, names) if name not in old])


async def _refuse_gaps(control: Connection, plan: Plan, report: Report, archived: int) -> None:
    """Raise RebuildError when loads have left the ledger that the archive, with so many events, can't give back."""
    pruned = await control.fetchval(_PRUNED)
    if report.history_from is None or not pruned:
        return
    # which events those are shows in the replay; here it is enough that they may all be there
    if plan.since is None and pruned <= archived:
        return
    # a load just after midnight may have taken events of the day before
    sure = report.history_from + timedelta(days=1)
    if plan.since is None or plan.since < datetime.combine(sure, time(), UTC):
        msg = (
            f"events are there from {report.history_from} on, and what was loaded before can't be made anew: "
            f"use --since {sure}, or --no-swap to compare all the same"
        )
        raise RebuildError(msg)


async def _landed(control: Connection) -> set[date]:
    return {row["day"] for row in await control.fetch("select day from raw.days()")}


async def _compare(dsn: str, control: Connection, replay: Replay, report: Report) -> None:
    """Catch up to one point in time, and compare at that point while loads go on."""
    await _approach(replay)
    for table in replay.scope.made:
        await replay.desk.execute(f"analyze {quoted(replay.names.shadow_table(table))}")
    async with _connected(dsn) as reader:
        snapshot = reader.transaction(isolation="repeatable_read", readonly=True)
        async with control.transaction():
            await swap.quiesce(control)
            await shadow.add_ghosts(replay.desk, replay.names, replay.scope)
            await replay.finish()
            await snapshot.start()
            # the first query takes the snapshot
            report.changed_batches = await reader.fetchval(replay.sql("changed"))
        try:
            report.lost = await reader.fetchval(replay.sql("lost"))
            if replay.scope.since is None:
                report.lost += await reader.fetchval(replay.sql("unknown"))
            replay.progress(replay.done, replay.total, "comparing")
            report.compared = await compare(reader, replay.names, replay.scope)
        finally:
            with suppress(*_LOST):
                await snapshot.rollback()
    report.events, report.loads = replay.done, replay.loads


async def _approach(replay: Replay) -> None:
    """Catch up until little is left, so that loads need not wait long for the rest."""
    for _ in range(_MOST_ROUNDS):
        if await replay.catch_up() < _LITTLE_EVENTS:
            return


async def _may_swap(report: Report, plan: Plan, decide: Decide) -> bool:
    # what is lost from the landing would be lost from the vault; and without the business layer, an event that is
    # loaded now and was not before would be in the one and not in the other
    if plan.compare_only or report.lost or (plan.since is not None and report.changed_batches):
        return False
    return await asyncio.to_thread(decide, report)


async def _swap(control: Connection, replay: Replay, report: Report, revision: str) -> None:
    for attempt in range(_SWAP_ATTEMPTS):
        await _approach(replay)
        try:
            async with control.transaction():
                await swap.quiesce(control)
                if await shadow.revision(control) != revision:
                    msg = "the schema or the model changed meanwhile: rebuild again"
                    raise RebuildError(msg)
                await shadow.add_ghosts(replay.desk, replay.names, replay.scope)
                await replay.finish()
                report.kept = await swap.swap(control, replay.names, replay.scope)
            report.swapped = True
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if attempt == _SWAP_ATTEMPTS - 1:
                raise
        else:
            return


async def _clear(dsn: str, names: Names, report: Report, *, keep: bool) -> None:
    """Drop the shadow, or mark it as kept; what can't be dropped now is dropped by the next rebuild."""
    with suppress(*_LOST):
        async with _connected(dsn) as connection:
            left = await shadow.leftovers(connection, names)
            shadows = [name for name in left if not name.startswith(names.old(""))]
            if keep:
                report.kept = shadows
            else:
                await shadow.drop(connection, shadows)
