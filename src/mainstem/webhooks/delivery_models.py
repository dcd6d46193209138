"""What the webhooks API answers about deliveries, attempts and figures."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from mainstem.platform.answers import Moment

Status = Literal["pending", "retrying", "delivered", "failed"]


class DeliveryOut(BaseModel):
    """One event for one endpoint, whatever the number of attempts."""

    id: int
    webhook_id: int
    message_id: str = Field(description="Its `webhook-id`: the same in every attempt.")
    event_id: str = Field(description="Id of the event.")
    event_kind: str
    status: Status = Field(description="failed: given up.")
    attempts: int
    last_status_code: int | None = Field(description="Null: no attempt yet, or no answer to the last one.")
    last_error: str | None
    next_attempt_at: Moment | None
    created_at: Moment
    attempted_at: Moment | None
    delivered_at: Moment | None
    finished_at: Moment | None = Field(description="When it was delivered or given up.")


class DeliveryList(BaseModel):
    """A page of deliveries, the latest first."""

    items: list[DeliveryOut]
    total: int
    total_is_exact: bool = Field(description="false: there are more than could be counted quickly.")
    page: int
    page_size: int
    pages: int
    next_cursor: str | None = Field(description="Ask again with it for the next page; null: this was the last.")


class AttemptOut(BaseModel):
    """One attempt."""

    id: int
    delivery_id: int
    number: int
    at: Moment
    duration_ms: int
    outcome: str = Field(
        description="delivered, or what went wrong: status, gone, redirect, timeout, connect, dns, tls, blocked, protocol, unopened."
    )
    status_code: int | None
    error: str | None
    response: str | None = Field(description="Beginning of the answer.")


class AttemptList(BaseModel):
    """A page of attempts, the latest first."""

    items: list[AttemptOut]
    next_cursor: str | None


class EventOut(BaseModel):
    """The event of a delivery; personal data stays sealed here and is opened when it is sent."""

    id: str
    kind: str
    source: str
    subject: str | None
    occurred_at: Moment
    data: Any


class DeliveryDetail(DeliveryOut):
    """A delivery with its event and attempts."""

    event: EventOut | None = Field(description="Null: no longer kept.")
    attempt_log: list[AttemptOut] = Field(description="The last hundred, the first of them first.")


class PointOut(BaseModel):
    """Attempts of one minute or hour."""

    at: Moment
    delivered: int
    failed: int
    avg_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: int | None


class TotalsOut(BaseModel):
    """Attempts of the whole span."""

    attempts: int
    delivered: int
    failed: int
    success_rate_percent: float | None
    avg_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: int | None


class StatsOut(BaseModel):
    """Attempts over time."""

    webhook_id: int
    from_: Moment = Field(serialization_alias="from")
    to: Moment
    interval: Literal["minute", "hour"]
    totals: TotalsOut
    series: list[PointOut]
