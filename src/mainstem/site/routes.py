"""The site API beside ingest (CONTRACTS part B): state of the pipeline, load now, traffic over time and by dimension."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Depends, Query

from mainstem.platform.auth import Caller
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import InvalidFieldError
from mainstem.site import read
from mainstem.site.models import (
    BreakdownAnswer,
    BreakdownQuery,
    BreakdownRow,
    DashboardAnswer,
    DashboardSummary,
    EventStatus,
    LatencyPercentiles,
    OverviewAnswer,
    OverviewQuery,
    PipelineStatus,
    ProcessAnswer,
    ProcessCounts,
    ProcessOutcome,
    StatusAnswer,
    TrafficFigures,
    TrafficPoint,
)
from mainstem.site.read import Interval, ProcessResult, Traffic

RECENT_EVENTS: Final = 10
MAX_POINTS: Final = 1_500
"""Most intervals of one overview: two months of hours, four years of days."""
MAX_DAYS: Final = 3_660
DEFAULT_SPAN: Final = timedelta(days=30)

_Model = TypeVar("_Model", bound=TrafficFigures)


def build_router(
    *,
    pool: Callable[[], Pool],
    require: Callable[[str], Callable[..., Awaitable[Caller]]],
    process: Callable[[int], Awaitable[ProcessResult]],
) -> APIRouter:
    """Return the routes.

    `pool` gives the pool that runs under row-level security, `require` makes the dependency that yields the caller
    who has a scope, and `process` loads what waits for a tenant.
    """
    router = APIRouter(prefix="/api/v1", tags=["site tracking"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type
    Sender = Annotated[Caller, Depends(require("ingest"))]  # noqa: N806 - a type

    @router.get("/track/status", summary="State of the pipeline and the newest events")
    async def status(caller: Reader) -> StatusAnswer:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            totals = await read.totals(connection, caller.tenant_id)
            metrics = await read.metrics(connection)
            events = await read.recent_events(connection, caller.tenant_id, RECENT_EVENTS)
        state = _pipeline_status(totals, metrics)
        return StatusAnswer(pipeline_status=state, recent_events=list(map(_event, events)), timestamp=utc_now())

    @router.get("/track/dashboard", summary="Figures of the pipeline and the newest events")
    async def dashboard(caller: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> DashboardAnswer:
        now = utc_now()
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            totals = await read.totals(connection, caller.tenant_id)
            pace = await read.pace(connection, caller.tenant_id, now)
            events = await read.recent_events(connection, caller.tenant_id, limit)
        return DashboardAnswer(summary=_summary(totals, pace), events=list(map(_event, events)), timestamp=now)

    @router.post("/track/process", summary="Load what waits now")
    async def trigger(caller: Sender) -> ProcessAnswer:
        return ProcessAnswer(result=_outcome(await process(caller.tenant_id)), timestamp=utc_now())

    @router.get("/site/overview", summary="Traffic over time")
    async def overview(caller: Reader, query: Annotated[OverviewQuery, Query()]) -> OverviewAnswer:
        first, last = span(query.start, query.end, query.interval, utc_now())
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            points = await read.overview(
                connection, caller.tenant_id, first, last, interval=query.interval, bots=query.bots
            )
        return OverviewAnswer(
            from_=first,
            to=last,
            interval=query.interval,
            bots=query.bots,
            totals=_figures(TrafficFigures, read.total([traffic for _, traffic in points])),
            series=[_figures(TrafficPoint, traffic, at=at) for at, traffic in points],
            timestamp=utc_now(),
        )

    @router.get("/site/breakdown", summary="Traffic by page, referrer, campaign, device …")
    async def breakdown(caller: Reader, query: Annotated[BreakdownQuery, Query()]) -> BreakdownAnswer:
        first, last = span(query.start, query.end, Interval.DAY, utc_now(), most=MAX_DAYS)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            shares, total = await read.breakdown(
                connection,
                caller.tenant_id,
                query.dimension,
                first.date(),
                last.date(),
                bots=query.bots,
                limit=query.limit,
            )
        return BreakdownAnswer(
            dimension=query.dimension,
            from_=first,
            to=last,
            bots=query.bots,
            total_events=total.events,
            total_page_views=total.page_views,
            rows=[BreakdownRow(**asdict(share), share=share.events / total.events) for share in shares],
            timestamp=utc_now(),
        )

    return router


def span(
    start: datetime | None, end: datetime | None, interval: Interval, now: datetime, *, most: int = MAX_POINTS
) -> tuple[datetime, datetime]:
    """Return the span in whole intervals, both ends aware UTC: from that of `start` until `end` (not included).

    Times without an offset are UTC. Raises InvalidFieldError when it is empty, or longer than `most` intervals.
    """
    last = _utc(end) if end is not None else interval.floor(now) + interval.length
    first = interval.floor(_utc(start) if start is not None else last - DEFAULT_SPAN)
    if interval.floor(last) != last:
        last = interval.floor(last) + interval.length
    if first >= last:
        raise InvalidFieldError("from must be before to.", field="from")
    if (last - first) / interval.length > most:
        raise InvalidFieldError(f"from and to may be at most {most:,} {interval}s apart.", field="from")
    return first, last


def _utc(moment: datetime) -> datetime:
    # the ends of the calendar have no room for an offset or one more interval
    if not 1970 <= moment.year <= 9000:
        raise InvalidFieldError("from and to must be between the years 1970 and 9000.", field="from")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _event(row: read.EventRow) -> EventStatus:
    return EventStatus.model_validate(asdict(row))


def _pipeline_status(totals: read.Totals, metrics: dict[str, float]) -> PipelineStatus:
    return PipelineStatus(
        state="processing" if totals.pending else "idle",
        pending_events=totals.pending,
        unprocessed_to_business=int(metrics["unprocessed_to_business"]),
        events_today=int(metrics["events_today"]),
        avg_processing_time_minutes=metrics["avg_processing_time_minutes"],
        total_events=totals.stored,
        processed=totals.loaded,
        rejected=totals.rejected,
        duplicates=totals.duplicates,
        latest_event=totals.latest_at,
    )


def _summary(totals: read.Totals, pace: read.Pace) -> DashboardSummary:
    return DashboardSummary(
        total_events=totals.stored,
        processed_to_staging=totals.loaded,
        processed_to_business=totals.loaded,
        latest_event=totals.latest_at,
        rejected=totals.rejected,
        duplicates=totals.duplicates,
        error_rate=totals.error_rate,
        processing_latency_ms=LatencyPercentiles(p50=pace.p50_ms, p95=pace.p95_ms, p99=pace.p99_ms),
        events_per_minute=pace.events_per_minute,
    )


def _outcome(result: ProcessResult) -> ProcessOutcome:
    counts = ProcessCounts(
        total_processed=result.total_processed,
        raw_to_staging_count=result.raw_to_staging,
        staging_to_business_count=result.staging_to_business,
        total_success_count=result.raw_to_staging,
        total_error_count=result.errors,
        processing_summary=result.summary,
    )
    return ProcessOutcome(triggered_at=result.triggered_at, results=counts)


def _figures(model: type[_Model], traffic: Traffic, **more: object) -> _Model:
    return model.model_validate(
        {
            "visitors": traffic.visitors,
            "sessions": traffic.sessions,
            "page_views": traffic.page_views,
            "events": traffic.events,
            "bounce_rate": traffic.bounce_rate,
            "average_duration_s": traffic.average_duration_s,
            **more,
        }
    )
