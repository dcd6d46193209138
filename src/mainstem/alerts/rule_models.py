"""What the API of rules takes and answers, field by field."""

import json
from typing import Annotated, Any, Literal

import asyncpg
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from mainstem.alerts.decide import Comparison, NoData
from mainstem.alerts.model import Severity
from mainstem.alerts.models import AnySeverity, Cleaned, LabelName, LabelSet, Name, check_labels
from mainstem.platform.answers import Moment
from mainstem.platform.measure import Scope
from mainstem.platform.smtp import is_address

Description = Annotated[str, StringConstraints(max_length=1_000), Cleaned]
Number = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
Window = Annotated[int, Field(ge=60, le=86_400)]
Pause = Annotated[int, Field(ge=0, le=86_400)]
Volume = Annotated[int, Field(ge=0, le=2**53)]
Wait = Annotated[int, Field(ge=0, le=3_600)]
Interval = Annotated[int, Field(ge=15, le=86_400)]
Repeat = Annotated[int, Field(ge=60, le=2_592_000)]

_METRIC = "A name of GET /api/v1/alerts/metrics."
_WINDOW = "Seconds that are looked at."
_FOR = "Seconds that the condition must hold."
_KEEP = "Seconds that it must not be met before the alert is over."
_VOLUME = "Values that stand on less (requests, attempts, …) never meet the condition."
_NO_DATA = "What it means that nothing is known: alert, ok, or keep things as they are."
_GROUP = "Labels: alerts with equal values of these are told together."
_WAIT = "Seconds that the first notification of a group waits for others."
_INTERVAL = "Seconds between notifications about a group that changes."
_REPEAT = "Seconds after which what goes on is told again."
_RECEIVERS = "Mail addresses; none: those of MAIL_TO."


def _address(text: str) -> str:
    if not is_address(text):
        msg = "must be a mail address"
        raise ValueError(msg)
    return text


Receiver = Annotated[str, StringConstraints(max_length=254), AfterValidator(_address)]
Receivers = Annotated[list[Receiver], Field(max_length=50)]
Names = Annotated[list[LabelName], Field(max_length=10)]


class RuleIn(BaseModel):
    """A new rule."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="Also the alert's type and its label alertname.", examples=["OrdersFailing"])
    description: Description = Field(default="", description="What to do about it; told with every alert.")
    metric: str = Field(description=_METRIC, examples=["webhook_failure_percent"])
    comparison: Comparison = Comparison.ABOVE
    threshold: Number
    window_seconds: Window = Field(default=300, description=_WINDOW)
    for_seconds: Pause = Field(default=60, description=_FOR)
    keep_firing_seconds: Pause = Field(default=60, description=_KEEP)
    min_volume: Volume = Field(default=0, description=_VOLUME)
    severity: AnySeverity
    no_data: NoData = Field(default=NoData.ALERT, description=_NO_DATA)
    labels: LabelSet = Field(default_factory=dict)
    group_by: Names = Field(default_factory=lambda: ["alertname"], description=_GROUP)
    group_wait_seconds: Wait = Field(default=30, description=_WAIT)
    group_interval_seconds: Interval = Field(default=300, description=_INTERVAL)
    repeat_interval_seconds: Repeat = Field(default=14_400, description=_REPEAT)
    receivers: Receivers = Field(default_factory=list, description=_RECEIVERS)
    enabled: bool = True

    @field_validator("labels")
    @classmethod
    def _none_of_ours(cls, labels: dict[str, str]) -> dict[str, str]:
        return check_labels(labels)


class RulePatch(BaseModel):
    """Changes of a rule; absent fields stay."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    description: Description | None = None
    metric: str | None = Field(default=None, description=_METRIC)
    comparison: Comparison | None = None
    threshold: Number | None = None
    window_seconds: Window | None = Field(default=None, description=_WINDOW)
    for_seconds: Pause | None = Field(default=None, description=_FOR)
    keep_firing_seconds: Pause | None = Field(default=None, description=_KEEP)
    min_volume: Volume | None = Field(default=None, description=_VOLUME)
    severity: AnySeverity | None = None
    no_data: NoData | None = Field(default=None, description=_NO_DATA)
    labels: LabelSet | None = None
    group_by: Names | None = Field(default=None, description=_GROUP)
    group_wait_seconds: Wait | None = Field(default=None, description=_WAIT)
    group_interval_seconds: Interval | None = Field(default=None, description=_INTERVAL)
    repeat_interval_seconds: Repeat | None = Field(default=None, description=_REPEAT)
    receivers: Receivers | None = Field(default=None, description=_RECEIVERS)
    enabled: bool | None = None

    @field_validator("labels")
    @classmethod
    def _none_of_ours(cls, labels: dict[str, str] | None) -> dict[str, str] | None:
        return None if labels is None else check_labels(labels)


_COLUMNS = {name: name.removesuffix("econds") if name.endswith("_seconds") else name for name in RuleIn.model_fields}
"""Columns by field: `for_seconds` is `for_s`."""


def row_of(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of fields that are set."""
    return {_COLUMNS[name]: value for name, value in fields.items() if value is not None}


class InstanceOut(BaseModel):
    """Something that a rule looks at and that is not clear."""

    labels: dict[str, str]
    phase: Literal["pending", "firing"]
    since: Moment
    value: float | None
    alert_id: int | None


class RuleOut(BaseModel):
    """A rule, and where it stands."""

    id: int
    name: str
    description: str
    metric: str
    unit: str | None = Field(description="Null: nobody measures this metric.")
    comparison: Comparison
    threshold: float
    window_seconds: int
    for_seconds: int
    keep_firing_seconds: int
    min_volume: int
    severity: Severity
    no_data: NoData
    labels: dict[str, str]
    group_by: list[str]
    group_wait_seconds: int
    group_interval_seconds: int
    repeat_interval_seconds: int
    receivers: list[str]
    enabled: bool
    shipped: bool = Field(description="It came with the product.")
    state: Literal["disabled", "clear", "pending", "firing"]
    instances: list[InstanceOut]
    created_by: str
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, row: asyncpg.Record, unit: str | None, instances: list[asyncpg.Record]) -> "RuleOut":
        """Return a rule as it is shown."""
        phases = {one["phase"] for one in instances}
        return cls.model_validate(
            {
                **{name: row[column] for name, column in _COLUMNS.items()},
                **{name: row[name] for name in ("shipped", "created_by", "created_at", "updated_at")},
                "id": row["rule_id"],
                "unit": unit,
                "labels": json.loads(row["labels"]),
                "state": _state(phases) if row["enabled"] else "disabled",
                "instances": [{**dict(one), "labels": json.loads(one["labels"])} for one in instances],
            }
        )


def _state(phases: set[str]) -> str:
    return next((phase for phase in ("firing", "pending") if phase in phases), "clear")


class RuleList(BaseModel):
    """All rules of a tenant, by name."""

    items: list[RuleOut]
    total: int


class MetricOut(BaseModel):
    """Something that rules can look at."""

    name: str
    unit: str
    scope: Scope = Field(description="installation: for the tenant that runs it alone.")
    meaning: str


class MetricList(BaseModel):
    """All that rules can look at."""

    items: list[MetricOut]


class TestOut(BaseModel):
    """What a test notification came to."""

    status: str = "success"
    notification_id: int
    receivers: list[str] = Field(description="To whom a mail is queued; nobody without SMTP_URL or addresses.")
    message: str
