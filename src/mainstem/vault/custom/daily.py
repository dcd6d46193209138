"""Daily snapshots: built once, when every load up to their time has ended, and never changed.

The time of a snapshot is the beginning of a UTC day. Before one is built, `vault.close_loads` waits for the loads under
way and sees to it that no later load gets a time up to it; so later loads of late events can't change what it said.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import structlog

from mainstem.platform.db import Connection
from mainstem.vault.custom.catalogue import sql
from mainstem.vault.engine.snapshot import PointInTime, Snapshot
from mainstem.vault.engine.snapshots import snapshot_statement

_log = structlog.get_logger(__name__)
_DAY: Final = timedelta(days=1)
_TIMES: Final = "snapshot_times"
_MAKE_TIMES: Final = "create temp table if not exists snapshot_times (as_of timestamptz) on commit delete rows"


def due(last: datetime | None, now: datetime) -> list[datetime]:
    """Return the times of the snapshots that are over and not built: all since the last one, at first only today's.

    `now` is in UTC; the time of a snapshot must be past.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    newest = today if today < now else today - _DAY
    first = newest if last is None else last + _DAY
    return [first + number * _DAY for number in range((newest - first).days + 1)]


async def build_due(connection: Connection, snapshots: Sequence[Snapshot], now: datetime | None = None) -> int:
    """Build the snapshots that are due, each in a transaction of its own; return how many. `now` is for tests.

    Stops where a load takes so long that the session's lock_timeout runs out: the next round goes on.
    """
    built = 0
    moment = now or await connection.fetchval(sql["clock"])
    pending = {row["table_name"] for row in await connection.fetch(sql["pending"])}
    for spec in snapshots:
        if pending.intersection(_sources(spec)):
            continue
        for as_of in due(await connection.fetchval(sql["closed"], spec.table), moment):
            try:
                await _build(connection, spec, as_of)
            except asyncpg.LockNotAvailableError:
                _log.info("snapshot_postponed", table=spec.table, as_of=as_of.isoformat())
                return built
            built += 1
    return built


async def _build(connection: Connection, spec: Snapshot, as_of: datetime) -> None:
    # in a transaction of its own, so that loads wait for the lock alone, not for the snapshot
    await connection.execute(sql["close_loads"], as_of)
    async with connection.transaction():
        await connection.execute(_MAKE_TIMES)
        await connection.copy_records_to_table(_TIMES, records=[(as_of,)])
        await connection.execute(sql["record_snapshot"], spec.table, as_of)
        await connection.execute(snapshot_statement(spec, _TIMES))


def _sources(spec: Snapshot) -> list[str]:
    if isinstance(spec, PointInTime):
        return [spec.hub, *(one.table for one in spec.satellites)]
    tables = [spec.hub, *(step.link for step in spec.walk)]
    return [*tables, *(step.effectivity.table for step in spec.walk if step.effectivity is not None)]
