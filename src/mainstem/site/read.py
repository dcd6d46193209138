"""Reads of the site feature: the state of the pipeline, the newest events, traffic over time and by dimension.

One typed function per query of `queries.sql`, each within the caller's transaction, which is bound to the tenant.
Every figure comes from the ledger or a roll-up, so no read grows with the history. `process` opens its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from mainstem.platform.calendar import Bots
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, load_queries, transaction
from mainstem.vault import latency

PROCESS_WAIT_S: Final = 10.0
LATENCY_WINDOW: Final = timedelta(hours=1)
RATE_WINDOW: Final = timedelta(minutes=5)
_sql: Final = load_queries("mainstem.site")


class Dimension(StrEnum):
    """What traffic can be broken down by."""

    PAGE = "page"
    REFERRER = "referrer"
    CHANNEL = "channel"
    SOURCE = "source"
    MEDIUM = "medium"
    CAMPAIGN = "campaign"
    DEVICE = "device"
    OS = "os"
    BROWSER = "browser"
    EVENT_TYPE = "event_type"


class Interval(StrEnum):
    """Length of one point of a series; days are UTC days."""

    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        """Return it as a duration."""
        return timedelta(hours=1) if self is Interval.HOUR else timedelta(days=1)

    def floor(self, moment: datetime) -> datetime:
        """Return the beginning of the interval that an aware UTC time is in."""
        start = moment.replace(minute=0, second=0, microsecond=0)
        return start if self is Interval.HOUR else start.replace(hour=0)


@dataclass(frozen=True, slots=True)
class Totals:
    """All events of a tenant by outcome."""

    loaded: int
    duplicates: int
    rejected: int
    pending: int
    latest_at: datetime | None

    @property
    def stored(self) -> int:
        """Return the number of events, each counted once: duplicates apart."""
        return self.loaded + self.rejected + self.pending

    @property
    def error_rate(self) -> float:
        """Return the rejected share (0 to 1) of the events that were processed."""
        processed = self.loaded + self.rejected
        return self.rejected / processed if processed else 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the pipeline is: percentiles of the last hour, events of the last five minutes."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    events_per_minute: float


@dataclass(frozen=True, slots=True)
class EventRow:
    """One raw event and how far it came: the columns of `staging.pipeline_dashboard`."""

    event_id: str
    raw_event_id: int
    raw_event_type: str
    page_url: str | None
    session_id: str | None
    raw_load_date: datetime
    staging_status: str
    business_status: str
    processing_ms: float | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """What became of the batches that waited when processing was asked for."""

    triggered_at: datetime
    total_processed: int
    raw_to_staging: int
    """Valid events: loaded, and repeats of loaded ones."""
    staging_to_business: int
    errors: int
    pending: int
    """Events that were still not loaded when the wait ended."""
    summary: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """Traffic of one span of time."""

    visitors: int
    """Unique visitors per UTC day, summed over the days."""
    sessions: int
    page_views: int
    events: int
    bounces: int
    duration_ms: int

    @property
    def bounce_rate(self) -> float:
        """Return the share (0 to 1) of sessions with one event only."""
        return self.bounces / self.sessions if self.sessions else 0.0

    @property
    def average_duration_s(self) -> float:
        """Return the mean time between a session's first and last event, in seconds."""
        return self.duration_ms / 1000 / self.sessions if self.sessions else 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """Traffic of one value of a dimension."""

    value: str
    events: int
    page_views: int


NO_TRAFFIC: Final = Traffic(0, 0, 0, 0, 0, 0)


async def totals(connection: Connection, tenant_id: int) -> Totals:
    """Return the outcomes of all events of a tenant."""
    row = await connection.fetchrow(_sql["totals"], tenant_id)
    assert row is not None  # noqa: S101 - the query always has one row
    return Totals(row["loaded"], row["duplicates"], row["rejected"], row["pending"], row["latest_at"])


async def pace(connection: Connection, tenant_id: int, now: datetime) -> Pace:
    """Return how fast the events of a tenant were loaded lately."""
    rows = await connection.fetch(_sql["minutes"], tenant_id, now - LATENCY_WINDOW)
    counts = [sum(column) for column in zip(*(row["latency_buckets"] for row in rows), strict=True)] or latency.empty()
    recent = sum(row["loaded"] for row in rows if row["minute"] > now - RATE_WINDOW)
    p50, p95, p99 = (latency.percentile(counts, fraction) for fraction in (0.5, 0.95, 0.99))
    return Pace(p50, p95, p99, recent / (RATE_WINDOW.total_seconds() / 60))


async def metrics(connection: Connection) -> dict[str, float]:
    """Return the figures of `staging.get_pipeline_status()` by metric name."""
    return {row["metric_name"]: float(row["metric_value"]) for row in await connection.fetch(_sql["metrics"])}


async def recent_events(connection: Connection, tenant_id: int, limit: int) -> list[EventRow]:
    """Return the newest events of a tenant, newest first."""
    return [EventRow(*row) for row in await connection.fetch(_sql["recent_events"], tenant_id, limit)]


async def process(pool: Pool, tenant_id: int, *, wait_s: float = PROCESS_WAIT_S) -> ProcessResult:
    """Wait until all committed events of a tenant are loaded, at most `wait_s`; return what became of them."""
    triggered_at = utc_now()
    async with transaction(pool, tenant_id=tenant_id) as connection:
        row = await connection.fetchrow(_sql["process"], tenant_id, timedelta(seconds=wait_s), timeout=wait_s + 5)
    assert row is not None  # noqa: S101 - the query always has one row
    return ProcessResult(
        triggered_at, row["total"], row["staged"], row["loaded"], row["rejected"], row["pending"], row["summary"]
    )


async def overview(  # noqa: PLR0913 - one parameter per choice of the reader
    connection: Connection, tenant_id: int, start: datetime, end: datetime, *, interval: Interval, bots: Bots
) -> list[tuple[datetime, Traffic]]:
    """Return (beginning, traffic) of every interval from `start` until before `end`, empty ones too.

    Both are aware UTC times at the beginning of an interval.
    """
    rows = await connection.fetch(_sql["overview"], tenant_id, start, end, interval.length, _kinds(bots))
    found: Mapping[datetime, Traffic] = {row["at"]: Traffic(*row[1:]) for row in rows}
    points = range((end - start) // interval.length)
    moments = (start + point * interval.length for point in points)
    return [(moment, found.get(moment, NO_TRAFFIC)) for moment in moments]


def total(points: Sequence[Traffic]) -> Traffic:
    """Return the sum of the traffic of several spans."""
    return Traffic(
        sum(point.visitors for point in points),
        sum(point.sessions for point in points),
        sum(point.page_views for point in points),
        sum(point.events for point in points),
        sum(point.bounces for point in points),
        sum(point.duration_ms for point in points),
    )


async def breakdown(  # noqa: PLR0913 - one parameter per choice of the reader
    connection: Connection,
    tenant_id: int,
    dimension: Dimension,
    start: date,
    end: date,
    *,
    bots: Bots,
    limit: int,
) -> tuple[list[Share], Share]:
    """Return the values of a dimension with most events on the UTC days from `start` until before `end`, and the sum.

    The sum, of value `*`, is over all values, those beyond `limit` included.
    """
    rows = await connection.fetch(_sql["breakdown"], tenant_id, dimension, start, end, _kinds(bots), limit)
    shares = [Share(row["value"], row["events"], row["page_views"]) for row in rows]
    return shares, Share("*", rows[0]["all_events"], rows[0]["all_page_views"]) if rows else Share("*", 0, 0)


def _kinds(bots: Bots) -> list[bool]:
    match bots:
        case Bots.EXCLUDE:
            return [False]
        case Bots.ONLY:
            return [True]
        case Bots.INCLUDE:
            return [False, True]
