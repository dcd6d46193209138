"""The answers of the site API, field by field as CONTRACTS part B names them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from mainstem.platform.answers import Moment
from mainstem.platform.calendar import Bots
from mainstem.site.read import Dimension, Interval


class EventStatus(BaseModel):
    """One stored event and how far it came."""

    event_id: str = Field(description="The sender's id when it gave one.")
    raw_event_id: int
    raw_event_type: str
    page_url: str | None
    session_id: str | None
    raw_load_date: Moment
    staging_status: Literal["PENDING", "PROCESSED", "REJECTED", "DUPLICATE"]
    business_status: Literal["✅ Complete Pipeline", "Pending", "Rejected", "Duplicate"]
    processing_ms: float | None = Field(description="Milliseconds from received to loaded.")
    error_message: str | None = Field(description="Why it was rejected.")


class PipelineStatus(BaseModel):
    """The state of the pipeline."""

    state: Literal["idle", "processing"]
    pending_events: int = Field(description="Acknowledged and not yet loaded.")
    unprocessed_to_business: int
    events_today: int = Field(description="Loaded since midnight UTC.")
    avg_processing_time_minutes: float
    total_events: int
    processed: int
    rejected: int
    duplicates: int
    latest_event: Moment | None


class StatusAnswer(BaseModel):
    """State of the pipeline and the newest events."""

    status: Literal["success"] = "success"
    pipeline_status: PipelineStatus
    recent_events: list[EventStatus] = Field(max_length=10)
    timestamp: Moment


class LatencyPercentiles(BaseModel):
    """Milliseconds from received to loaded, over the last hour; null when nothing was loaded."""

    p50: float | None
    p95: float | None
    p99: float | None


class DashboardSummary(BaseModel):
    """Figures over all events of the tenant."""

    total_events: int = Field(description="Stored events, duplicates apart.")
    processed_to_staging: int
    processed_to_business: int
    latest_event: Moment | None
    rejected: int
    duplicates: int
    error_rate: float = Field(description="Rejected share of the processed events, 0 to 1.")
    processing_latency_ms: LatencyPercentiles
    events_per_minute: float = Field(description="Mean of the last five minutes.")


class DashboardAnswer(BaseModel):
    """Figures and the newest events."""

    status: Literal["success"] = "success"
    summary: DashboardSummary
    events: list[EventStatus]
    timestamp: Moment


class ProcessCounts(BaseModel):
    """What became of the events that waited."""

    total_processed: int
    raw_to_staging_count: int
    staging_to_business_count: int
    total_success_count: int
    total_error_count: int
    processing_summary: str


class ProcessOutcome(BaseModel):
    """When processing was asked for, and what it did."""

    triggered_at: Moment
    results: ProcessCounts


class ProcessAnswer(BaseModel):
    """Answer of the manual trigger."""

    status: Literal["success"] = "success"
    message: str = "Processing triggered successfully"
    result: ProcessOutcome
    timestamp: Moment


class PeriodQuery(BaseModel):
    """A span of time and whose traffic in it."""

    start: datetime | None = Field(None, alias="from", description="Beginning; default 30 days before `to`.")
    end: datetime | None = Field(None, alias="to", description="End, not included; default the end of this interval.")
    bots: Bots = Bots.EXCLUDE


class OverviewQuery(PeriodQuery):
    """What an overview shows."""

    interval: Interval = Interval.DAY


class BreakdownQuery(PeriodQuery):
    """What a breakdown shows."""

    dimension: Dimension
    limit: int = Field(20, ge=1, le=1000, description="Most values.")


class TrafficFigures(BaseModel):
    """Traffic of a span of time."""

    visitors: int = Field(description="Unique visitors per UTC day, summed over the days.")
    sessions: int = Field(description="Sessions that started in it.")
    page_views: int
    events: int
    bounce_rate: float = Field(description="Share of sessions with neither a second page view nor ten seconds, 0 to 1.")
    average_duration_s: float = Field(description="Mean seconds between a session's first and last event.")


class TrafficPoint(TrafficFigures):
    """Traffic of one interval."""

    at: Moment = Field(description="Beginning of the interval.")


class OverviewAnswer(BaseModel):
    """Traffic over time."""

    from_: Moment = Field(serialization_alias="from")
    to: Moment
    interval: Interval
    bots: Bots
    totals: TrafficFigures
    series: list[TrafficPoint]
    timestamp: Moment


class BreakdownRow(BaseModel):
    """Traffic of one value."""

    value: str
    events: int
    page_views: int
    share: float = Field(description="Share of the events of all values, 0 to 1.")


class BreakdownAnswer(BaseModel):
    """Traffic by the values of a dimension, greatest first."""

    dimension: Dimension
    from_: Moment = Field(serialization_alias="from")
    to: Moment
    bots: Bots
    total_events: int
    total_page_views: int
    rows: list[BreakdownRow]
    timestamp: Moment
