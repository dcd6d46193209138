"""Minutes of a process: what it counted goes to `platform.minute`, where the parts of all processes add up.

It counts in `mainstem.platform.tally` and adds up every ten seconds and when it ends. While the database is away it keeps an
hour. A process that is killed loses ten seconds; a commit whose answer was lost is counted twice: these are figures to
watch, not a ledger.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Pool, is_transient, load_queries, transaction
from mainstem.platform.tally import TALLY, Counts, Requests, Tally

FLUSH_S: Final = 10.0
MOST_MINUTES: Final = 60
"""Minutes that a process keeps while the database is away."""
_SAMPLE_S: Final = 1.0
_TIMEOUT_S: Final = 5.0
_FAREWELL_S: Final = 2.0
_sql: Final = load_queries("mainstem.platform", "minutes.sql")
_log = structlog.get_logger(__name__)

_Row = dict[str, Any]
_ADDED: Final = ("requests", "errors_4xx", "errors_5xx", "ms_sum", "cache_hits", "cache_misses", "ws_disconnects")


class MinuteWriter:
    """Adds up what this process counts; one per process."""

    def __init__(
        self,
        pool: Pool,
        watched: Sequence[Pool],
        *,
        tally: Tally = TALLY,
        clock: Callable[[], datetime] = utc_now,
        flush_s: float = FLUSH_S,
    ) -> None:
        """Keep a pool of the owner, and the pools whose use is watched. Nothing connects before the first flush."""
        self._pool = pool
        self._watched = tuple(watched)
        self._tally = tally
        self._clock = clock
        self._flush_s = flush_s
        self._uses: list[list[int]] = [[] for _ in self._watched]
        self._cache: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._cache_before = (0, 0)
        self._kept: dict[tuple[datetime, str], _Row] = {}
        self._task: asyncio.Task[None] | None = None
        self._flushing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to count; the database may be away."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="minutes")

    async def stop(self) -> None:
        """Stop, and add up what is left, for at most two seconds; safe to call twice."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        self.collect()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                if self._flushing is not None:
                    await self._flushing
                await self._flush()

    def watch_cache(self, counters: Callable[[], tuple[int, int]]) -> None:
        """Count hits and misses of a cache, too; `counters` returns those since the start of the process."""
        self._cache, self._cache_before = counters, counters()

    def sample(self) -> None:
        """Look at the pools."""
        for uses, pool in zip(self._uses, self._watched, strict=True):
            uses.append(pool.get_size() - pool.get_idle_size())

    def collect(self) -> None:
        """Take what was counted into the minutes that wait for the database."""
        hits, misses = self._cache()
        self._tally.cache_hits += hits - self._cache_before[0]
        self._tally.cache_misses += misses - self._cache_before[1]
        self._cache_before = (hits, misses)
        # most of it is older than this moment
        middle = self._clock() - timedelta(seconds=self._flush_s / 2)
        for row in _rows(middle.replace(second=0, microsecond=0), self._tally.take(), self._busiest()):
            self._keep(row)
        while len({minute for minute, _ in self._kept}) > MOST_MINUTES:
            oldest = min(self._kept)
            _log.warning("minute_dropped", minute=rfc3339(oldest[0]), kind=oldest[1])
            del self._kept[oldest]

    async def flush(self) -> None:
        """Add the waiting minutes to the table; they wait on when the database is away."""
        waiting, self._kept = self._kept, {}
        if not waiting:
            return
        try:
            rows = [{**row, "minute": rfc3339(row["minute"])} for row in waiting.values()]
            async with asyncio.timeout(_TIMEOUT_S), transaction(self._pool) as connection:
                await connection.execute(_sql["add"], msgspec.json.encode(rows).decode())
        except BaseException as error:
            for row in waiting.values():
                self._keep(row)
            if not is_transient(error):
                raise
            _log.debug("minutes_kept", reason=type(error).__name__, minutes=len(self._kept))

    def _keep(self, row: _Row) -> None:
        known = self._kept.get((row["minute"], row["kind"]))
        self._kept[row["minute"], row["kind"]] = row if known is None else _merged(known, row)

    def _busiest(self) -> tuple[int, int]:
        """Return the mean use and the size of the pool that was in use most since the last call."""
        found = (0, 0)
        for uses, pool in zip(self._uses, self._watched, strict=True):
            if uses:
                found = max(found, (round(sum(uses) / len(uses)), pool.get_max_size()), key=_share)
                uses.clear()
        return found

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._flush_s
        while True:
            await asyncio.sleep(min(_SAMPLE_S, self._flush_s))
            self.sample()
            if loop.time() < due:
                continue
            due = loop.time() + self._flush_s
            self.collect()
            # beside the sampling: a database that hangs must not hide how its pool fills up
            if self._flushing is None or self._flushing.done():
                self._flushing = asyncio.create_task(self._flush(), name="minutes flush")

    async def _flush(self) -> None:
        try:
            await self.flush()
        except Exception as error:  # noqa: BLE001 - the next flush must come
            _log.warning("minutes_not_kept", reason=f"{type(error).__name__}: {error}")


def _rows(minute: datetime, counts: Counts, pool: tuple[int, int]) -> list[_Row]:
    rows = [_row(minute, kind, requests) for kind, requests in counts.requests.items() if any(requests.ms_counts)]
    process = {
        **_row(minute, "process", None),
        "cache_hits": counts.cache_hits,
        "cache_misses": counts.cache_misses,
        "ws_disconnects": counts.ws_disconnects,
        "spooled": counts.spooled,
        "pool_in_use": pool[0],
        "pool_max": pool[1],
    }
    # written also when nothing happened: that is how readers tell no traffic from no process
    return [*rows, process]


def _row(minute: datetime, kind: str, requests: Requests | None) -> _Row:
    row: _Row = {
        **dict.fromkeys(_ADDED, 0),
        "minute": minute,
        "kind": kind,
        "ms_counts": [],
        "spooled": 0,
        "pool_in_use": 0,
        "pool_max": 0,
    }
    if requests is not None:
        row |= {
            "requests": sum(requests.ms_counts),
            "errors_4xx": requests.errors_4xx,
            "errors_5xx": requests.errors_5xx,
            "ms_sum": requests.seconds * 1_000,
            "ms_counts": requests.ms_counts,
        }
    return row


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> _Row:
    pool = max((one["pool_in_use"], one["pool_max"]), (other["pool_in_use"], other["pool_max"]), key=_share)
    return {
        **one,
        **{name: one[name] + other[name] for name in _ADDED},
        "ms_counts": [mine + theirs for mine, theirs in zip(one["ms_counts"], other["ms_counts"], strict=True)],
        "spooled": max(one["spooled"], other["spooled"]),
        "pool_in_use": pool[0],
        "pool_max": pool[1],
    }


def _share(pool: tuple[int, int]) -> tuple[float, int]:
    in_use, most = pool
    return in_use / max(most, 1), most
