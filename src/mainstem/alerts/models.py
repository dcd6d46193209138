"""What the alerts API takes and answers about alerts, field by field (CONTRACTS part C, and more)."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, field_validator

from mainstem.alerts.model import RESERVED, Alert, Delivery, Severity, Status
from mainstem.platform.answers import Moment
from mainstem.platform.web.text import clean

LabelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]


def _clean(value: Any) -> Any:  # noqa: ANN401 - whatever a caller sent
    return clean(value) if isinstance(value, str) else value


def _upper(value: Any) -> Any:  # noqa: ANN401
    return value.upper() if isinstance(value, str) else value


Cleaned = BeforeValidator(_clean)
"""What PostgreSQL can't hold goes before anything else is looked at."""
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), Cleaned]
Message = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000), Cleaned]
Notes = Annotated[str, StringConstraints(max_length=500), Cleaned]
LabelValue = Annotated[str, StringConstraints(max_length=500), Cleaned]
LabelSet = Annotated[dict[LabelName, LabelValue], Field(max_length=20)]
AnySeverity = Annotated[Severity, BeforeValidator(_upper)]


def check_labels(labels: dict[str, str]) -> dict[str, str]:
    """Return labels of which none is one that every alert has by itself. Raises ValueError."""
    taken = RESERVED & set(labels)
    if taken:
        msg = f"the label {min(taken)} is set by the hub"
        raise ValueError(msg)
    return labels


class AlertIn(BaseModel):
    """Something that is an alert, as others see it."""

    alert_type: Name = Field(examples=["backup_failed"])
    severity: AnySeverity
    message: Message
    labels: LabelSet = Field(
        default_factory=dict,
        description="What it is about: equal type, severity and labels are one alert while it is open. "
        "Without labels the message counts instead.",
    )

    @field_validator("labels")
    @classmethod
    def _none_of_ours(cls, labels: dict[str, str]) -> dict[str, str]:
        return check_labels(labels)


class AckIn(BaseModel):
    """Why nobody needs to be told any more."""

    notes: Notes | None = Field(default=None, description="Who looks at it, what is known.")


class AckManyIn(BaseModel):
    """Which alerts somebody knows of."""

    alert_ids: list[int] = Field(max_length=10_000, description="Ids that don't exist are passed over.")
    notes: Notes | None = None


class AckManyOut(BaseModel):
    """What was acknowledged."""

    status: str = "success"
    acknowledged_count: int = Field(description="Alerts that nobody knew of before.")
    alert_ids: list[int] = Field(description="The ids that were sent.")
    acknowledged_ids: list[int] = Field(description="Those of them that were changed.")


class AlertOut(BaseModel):
    """An alert: from when it was raised until it is over."""

    id: int
    rule_id: int | None
    webhook_id: int | None = Field(description="The endpoint that it is about, by its label.")
    alert_type: str
    severity: Severity
    message: str
    labels: dict[str, str]
    fingerprint: str = Field(description="Equal for equal source and labels; at most one open alert has it.")
    value: float | None = Field(description="What was measured when it was raised.")
    no_data: bool = Field(description="It was raised because nothing was known.")
    status: Status
    delivery_status: Delivery = Field(description="Whether people have been told, by mail where mails are sent.")
    delivery_error: str | None
    suppressed_by: list[int] = Field(description="Silences that keep people from being told.")
    acknowledged: bool
    acknowledged_at: Moment | None
    acknowledged_by: str | None
    notes: str | None
    started_at: Moment = Field(description="When the condition began to hold.")
    created_at: Moment = Field(description="When it was raised.")
    created_by: str
    occurrences: int = Field(description="How often the API was sent it while it was open.")
    last_seen_at: Moment
    resolved_at: Moment | None
    resolved_by: str | None = Field(description="Null: it was over by itself.")

    @classmethod
    def of(cls, alert: Alert, suppressed_by: list[int]) -> "AlertOut":
        """Return an alert as it is shown."""
        shown = {name: getattr(alert, name) for name in cls.model_fields if name in Alert.__dataclass_fields__}
        return cls(
            **shown,
            id=alert.alert_id,
            acknowledged=alert.acknowledged_at is not None,
            suppressed_by=suppressed_by if alert.resolved_at is None else [],
        )


class AlertList(BaseModel):
    """A page of alerts, the newest first."""

    items: list[AlertOut]
    alerts: list[AlertOut] = Field(description="The same as items.")
    total: int
    page: int
    page_size: int
    pages: int


class AlertSummary(BaseModel):
    """Alerts of the last 30 days."""

    total_alerts: int
    pending_alerts: int = Field(description="People are still to be told of them.")
    acknowledged_alerts: int
    failed_alerts: int = Field(description="Their mails were given up.")
    open_alerts: int = Field(description="Not resolved yet.")
    firing_alerts: int = Field(description="Neither resolved nor acknowledged.")
    resolved_alerts: int
    critical_count: int
    warning_count: int
    info_count: int
    avg_pending_hours: float
    oldest_pending_alert: Moment | None
    oldest_firing_alert: Moment | None
