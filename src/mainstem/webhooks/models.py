"""What the webhooks API takes and answers about endpoints, field by field."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mainstem.platform.answers import Moment
from mainstem.webhooks.sign import SecretKind

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=2048)]
Description = Annotated[str, StringConstraints(max_length=1_000)]
Pattern = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=100)]
Headers = Annotated[dict[str, str], Field(max_length=20)]
Given = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Envelope = Literal["standard", "cloudevents", "bare"]
Health = Literal["healthy", "degraded", "failing", "disabled", "unknown"]

_EVENTS = "Patterns of event kinds: exact, `order.*`, or `*` for all."
_HEADERS = (
    "Sent with every delivery; kept sealed, their values are never shown again. Names of the protocol are refused."
)
_FILTER = 'Conditions on the event, such as `{"total": {"$gte": 100}}`; null: every event of the kinds.'
_RETRY = (
    "`{schedule: [seconds, …]}`, or `{max_retries, backoff_base, max_backoff}`; null: ten attempts within three days."
)
_RATE = "Most deliveries a second; null: no limit."
_FIFO = "One at a time, in order: what fails is tried again before the next is sent."
_ENVELOPE = "standard: `{type, timestamp, data}`; cloudevents: CloudEvents 1.0; bare: the event's data alone."


class _Switch(BaseModel):
    """A flag under both of its names; two that contradict each other are refused."""

    model_config = ConfigDict(extra="forbid")

    is_active: bool | None = Field(default=None, description="Whether events are delivered; also `active`.")
    active: bool | None = Field(default=None, description="The same as is_active.")

    @model_validator(mode="after")
    def _one_flag(self) -> Self:
        if self.active is not None and self.is_active is not None and self.active != self.is_active:
            msg = "is_active and active say different things"
            raise ValueError(msg)
        return self

    @property
    def wants_active(self) -> bool | None:
        """What the flag says under either name; None: nothing."""
        return self.active if self.is_active is None else self.is_active


class EndpointIn(_Switch):
    """A new endpoint."""

    name: Name
    url: Url = Field(description="http or https, a public address without credentials or #fragment.")
    events: Patterns = Field(default_factory=lambda: ["*"], description=_EVENTS)
    description: Description | None = None
    secret: Given | None = Field(
        default=None, description="`whsec_` and base64 of 24 to 64 random bytes; made when absent. Not for ed25519."
    )
    headers: Headers | None = Field(default=None, description=_HEADERS)
    filter: dict[str, Any] | None = Field(default=None, description=_FILTER)
    timeout_seconds: float = Field(default=15.0, ge=0.1, le=60, description="For the whole call.")
    retry_policy: dict[str, Any] | None = Field(default=None, description=_RETRY)
    rate_limit: int | None = Field(default=None, ge=1, le=100_000, description=_RATE)
    fifo: bool = Field(default=False, description=_FIFO)
    envelope: Envelope = Field(default="standard", description=_ENVELOPE)
    signature: SecretKind = Field(default=SecretKind.HMAC, description="How deliveries are signed.")
    ssl_verify: Literal[True] = Field(default=True, description="Certificates are always verified.")


class EndpointPatch(_Switch):
    """Changes of an endpoint; absent fields stay, null clears."""

    name: Name | None = None
    url: Url | None = None
    events: Patterns | None = Field(default=None, description=_EVENTS)
    description: Description | None = None
    headers: Headers | None = Field(default=None, description=_HEADERS + " They replace all that were there.")
    filter: dict[str, Any] | None = Field(default=None, description=_FILTER)
    timeout_seconds: float | None = Field(default=None, ge=0.1, le=60)
    retry_policy: dict[str, Any] | None = Field(default=None, description=_RETRY)
    rate_limit: int | None = Field(default=None, ge=1, le=100_000, description=_RATE)
    fifo: bool | None = Field(default=None, description=_FIFO)
    envelope: Envelope | None = Field(default=None, description=_ENVELOPE)
    ssl_verify: Literal[True] | None = None


class EndpointOut(BaseModel):
    """An endpoint, and how its deliveries fare."""

    id: int
    uid: UUID
    name: str
    url: str
    events: list[str]
    description: str | None
    is_active: bool
    active: bool = Field(description="The same as is_active.")
    filter: dict[str, Any] | None
    header_names: list[str] = Field(description="Further request headers; their values are never shown.")
    timeout_seconds: float
    retry_policy: dict[str, Any] | None
    rate_limit: int | None
    fifo: bool
    envelope: Envelope
    signature: SecretKind
    public_key: str | None = Field(description="`whpk_…` of an ed25519 endpoint.")
    rotating_until: Moment | None = Field(description="Until then the secret before the last rotation signs, too.")
    health_status: Health = Field(description="Judged by windows of attempts; disabled while it is not active.")
    disabled_reason: str | None
    total_deliveries: int = Field(description="Ever made, those that wait included.")
    successful_deliveries: int
    failed_deliveries: int = Field(description="Given up: the dead letters.")
    pending_deliveries: int = Field(description="Still to be sent, or sent again.")
    success_rate_percent: float | None = Field(description="Of what was delivered or given up; null: nothing yet.")
    avg_response_time_ms: float | None = Field(description="Of all attempts; null: none yet.")
    consecutive_failures: int = Field(description="Attempts that failed since the last success.")
    last_attempt_at: Moment | None
    last_success_at: Moment | None
    last_failure_at: Moment | None
    created_by: str
    created_at: Moment
    updated_at: Moment


class EndpointSecretOut(EndpointOut):
    """An endpoint with what its receiver verifies deliveries by; shown this once."""

    secret: str = Field(description="`whsec_…`, or `whpk_…` (the public key) of an ed25519 endpoint.")


class EndpointList(BaseModel):
    """A page of endpoints."""

    items: list[EndpointOut]
    webhooks: list[EndpointOut] = Field(description="The same as items.")
    total: int
    page: int
    page_size: int
    pages: int


class RotateIn(BaseModel):
    """A new secret."""

    model_config = ConfigDict(extra="forbid")

    grace_hours: float = Field(default=24, ge=0, le=168, description="How long the secret before signs, too.")
    secret: Given | None = Field(default=None, description="As at creation; made when absent.")
    signature: SecretKind | None = Field(default=None, description="Another way of signing from now on.")


class RecoverIn(BaseModel):
    """A window whose dead letters are to be sent again."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime
    until: AwareDatetime | None = Field(default=None, description="Now when absent.")
    mode: Literal["failed", "missing"] = Field(
        default="failed",
        description="failed: dead letters made in the window; missing: events of it that have no delivery here.",
    )
    kinds: Patterns = Field(default_factory=lambda: ["*"], description=_EVENTS)


class ReplayOut(BaseModel):
    """Deliveries that are made again, and how far that has come."""

    id: int
    webhook_id: int
    mode: Literal["failed", "missing"]
    kinds: list[str]
    since: Moment
    until: Moment
    status: Literal["running", "finished", "failed"]
    total: int = Field(description="What was found to look at when it began.")
    done: int = Field(description="Looked at so far.")
    requeued: int = Field(description="Made to be sent again.")
    progress_percent: float
    failure: str | None
    created_by: str
    created_at: Moment
    finished_at: Moment | None


class ReplayList(BaseModel):
    """Replays of an endpoint, the latest first."""

    items: list[ReplayOut]


class TestOut(BaseModel):
    """What became of a test."""

    success: bool = Field(description="The answer was 2xx.")
    delivery_id: int
    message_id: str = Field(description="Its `webhook-id`.")
    is_active: bool = Field(description="Also an endpoint that is switched off can be tested.")
    status_code: int | None = Field(description="Null: there was no answer.")
    duration_ms: int
    error: str | None
    response: str | None = Field(description="Beginning of the answer.")
    message: str


class KindOut(BaseModel):
    """A kind of events."""

    kind: str = Field(description="A kind, or a family of kinds that ends in `*`.")
    meaning: str
    sent_by: str


class KindList(BaseModel):
    """The kinds of events that the product knows; others are welcome as custom events."""

    items: list[KindOut]
