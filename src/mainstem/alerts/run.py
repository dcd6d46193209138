"""The loop that judges and tells: one process of the cluster at a time, whoever comes first.

A leader that dies or freezes is replaced: the lock is its session's, and the session ends with it, or when it has said nothing
for a minute.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import asyncpg
import structlog

from mainstem.alerts.compose import Place
from mainstem.alerts.decide import GAP
from mainstem.alerts.defaults import seed
from mainstem.alerts.judge import Outcome, judge
from mainstem.alerts.notify import Teller
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Connection, Pool, borrow, is_transient, load_queries
from mainstem.platform.health import UnhealthyError
from mainstem.platform.measure import Metric
from mainstem.platform.outbox import Outbox
from mainstem.platform.settings import Settings

_FROZEN: Final = "60s"
_OVERDUE: Final = timedelta(minutes=2)
_sql: Final = load_queries("mainstem.alerts", "judge.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Alerting:
    """What a process needs to judge and to tell."""

    metrics: Mapping[str, Metric]
    teller: Teller
    interval: timedelta
    judges: bool = True
    """False: only what is sent to the API is told."""

    @classmethod
    def of(cls, settings: Settings, metrics: Sequence[Metric], outbox: Outbox) -> "Alerting":
        """Return it as the settings say."""
        return cls(
            {metric.name: metric for metric in metrics},
            Teller(outbox, place_of(settings)),
            timedelta(seconds=settings.alert_interval_seconds),
            settings.alerts_enabled,
        )


def place_of(settings: Settings) -> Place:
    """Return where this hub is: PUBLIC_URL, else the address that it listens on."""
    url = settings.public_url or f"http://{settings.api_host}:{settings.api_port}"
    return Place(url, ZoneInfo(settings.timezone))


async def one_round(pool: Pool, alerting: Alerting, now: datetime) -> Outcome | None:
    """Judge and tell at `now`; None when another process is at it, or was just now."""
    async with borrow(pool) as connection, _leading(connection) as ours:
        # a little less than the interval: timers are late, never early
        if not ours or not await connection.fetchval(_sql["begin_round"], now, alerting.interval * 0.9):
            return None
        outcome = Outcome()
        if alerting.judges:
            async with connection.transaction():
                await seed(connection)
            outcome = await judge(connection, alerting.metrics, now, gap=max(GAP, 4 * alerting.interval))
        await alerting.teller.tell_due(connection, now)
        return outcome


async def watched(pool: Pool, alerting: Alerting, now: datetime) -> dict[str, object]:
    """Return when rules were judged last, by whichever process. Raises UnhealthyError when that is too long ago."""
    async with borrow(pool, timeout_s=1) as connection:
        at: datetime | None = await connection.fetchval(_sql["last_round"])
    if at is None:
        raise UnhealthyError("Rules have not been judged yet: does a process work?")
    if now - at > max(_OVERDUE, 4 * alerting.interval):
        raise UnhealthyError("Rules are not judged: does a process work?", last_round_at=rfc3339(at))
    return {"last_round_at": rfc3339(at)}


async def run(pool: Pool, alerting: Alerting, stop: asyncio.Event) -> None:
    """Take part in the rounds until `stop` is set; a database that is away is waited for."""
    while not stop.is_set():
        try:
            outcome = await one_round(pool, alerting, utc_now())
            if outcome is not None and (outcome.raised or outcome.resolved):
                log.info("alerts_judged", rules=outcome.rules, raised=outcome.raised, resolved=outcome.resolved)
        except Exception as error:
            if is_transient(error):
                log.warning("alerts_not_judged", reason=f"{type(error).__name__}: {error}")
            else:
                log.exception("alerts_not_judged")
        with suppress(TimeoutError):
            async with asyncio.timeout(alerting.interval.total_seconds()):
                await stop.wait()


@asynccontextmanager
async def _leading(connection: Connection) -> AsyncIterator[bool]:
    ours = bool(await connection.fetchval(_sql["try_lead"]))
    try:
        if ours:
            # the pool resets it with all else; a frozen process must not silence the cluster
            await connection.execute(f"set idle_session_timeout = '{_FROZEN}'")
        yield ours
    finally:
        # a lost connection has let go of the lock by itself
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            if ours:
                await connection.fetchval(_sql["stop_leading"])
                await connection.execute("reset idle_session_timeout")
