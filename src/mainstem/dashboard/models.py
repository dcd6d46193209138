"""What the dashboard API answers."""

from pydantic import BaseModel, Field

from mainstem.dashboard.anomalies import Metric, Severity
from mainstem.platform.answers import Moment


class Overview(BaseModel):
    """A tenant's deliveries, endpoints and events."""

    total_deliveries: int = Field(description="Ever made for the endpoints there are.")
    pending_deliveries: int = Field(description="Still to be sent, or sent again.")
    successful_deliveries: int
    failed_deliveries: int = Field(description="Given up: the dead letters.")
    success_rate_percent: float | None = Field(description="Of what was delivered or given up; null: nothing yet.")
    active_webhooks: int
    degraded_webhooks: int = Field(description="Active ones whose health is degraded or failing.")
    disabled_webhooks: int
    events_loaded: int
    events_rejected: int
    events_duplicate: int
    updated_at: Moment


class Performance(BaseModel):
    """How the whole installation answered lately; 0 where nothing was asked."""

    p50_latency_ms: float
    p95_latency_ms: float
    p99_latency_ms: float
    average_response_time_ms: float
    error_rate_percent: float = Field(description="Answers with a status from 500 on.")
    cache_hit_rate_percent: float
    requests: int
    window_minutes: int


class WebhookSummary(BaseModel):
    """One endpoint."""

    id: int
    name: str
    active: bool
    health_status: str = Field(examples=["healthy", "degraded", "failing", "disabled", "unknown"])
    health_since: Moment | None
    total_deliveries: int
    successful_deliveries: int
    failed_deliveries: int
    pending_deliveries: int
    success_rate_percent: float | None
    avg_response_time_ms: float | None
    consecutive_failures: int
    last_delivery_at: Moment | None = Field(description="The last attempt.")


class AnomalyOut(BaseModel):
    """Hours in which an endpoint was far from its own history."""

    webhook_id: int
    webhook_name: str
    metric: Metric
    severity: Severity
    started_at: Moment
    ended_at: Moment
    value: float = Field(description="Failed share (0 to 1) or attempts of the worst hour.")
    expected: float = Field(description="What its history makes likely.")
    score: float = Field(description="Standard deviations between the two.")


class Anomalies(BaseModel):
    """What was unusual."""

    total_anomalies: int
    critical_anomalies: int
    warning_anomalies: int
    recent_anomalies_count: int = Field(description="Of the last 24 hours.")
    affected_operations: list[str] = Field(description="Names of the endpoints.")
    items: list[AnomalyOut] = Field(description="The newest first, at most 100.")
    days: int


class Answered(BaseModel):
    """How old an answer is."""

    generated_at: Moment
    cache_hit: bool


class OverviewAnswer(Overview, Answered):
    """A tenant's deliveries, endpoints and events."""


class PerformanceAnswer(Performance, Answered):
    """How the whole installation answered lately."""


class WebhooksAnswer(Answered):
    """Endpoints, those that need a look first."""

    items: list[WebhookSummary]
    webhooks: list[WebhookSummary] = Field(description="The same list, under the contract's name.")
    total: int = Field(description="Endpoints in this list.")


class AnomaliesAnswer(Anomalies, Answered):
    """What was unusual."""


class Dashboard(Answered):
    """All four parts."""

    overview: Overview
    performance: Performance
    webhooks: list[WebhookSummary]
    anomalies: Anomalies
