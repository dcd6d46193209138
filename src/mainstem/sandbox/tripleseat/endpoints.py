"""Endpoints of webhooks, one list per site."""

from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

TRIGGERS: Final = frozenset(
    "CREATE_EVENT UPDATE_EVENT DELETE_EVENT REASSIGN_EVENT_LOCATION REASSIGN_EVENT_AREAS STATUS_CHANGE_EVENT"
    " CHANGE_EVENT_GUEST_COUNTS CHANGE_EVENT_DATETIME REASSIGN_EVENT_OWNERSHIP REASSIGN_EVENT_CONTACT"
    " REASSIGN_EVENT_ACCOUNT UPDATE_EVENT_DOCUMENT CREATE_BOOKING STATUS_CHANGE_BOOKING CREATE_LEAD"
    " CREATE_INTERNAL_LEAD CONVERT_LEAD CONVERT_LEAD_TO_BOOKING LEAD_TURNED_DOWN CREATE_ROOM".split()
)


class EndpointFields(BaseModel):
    """What a caller may say about an endpoint."""

    model_config = ConfigDict(extra="ignore")

    target_url: str = Field(pattern=r"^https?://")
    include_event_financials: bool = False
    trigger_actions: list[str] = Field(min_length=1)

    @field_validator("trigger_actions")
    @classmethod
    def _known(cls, given: list[str]) -> list[str]:
        if unknown := set(given) - TRIGGERS:
            msg = f"unknown trigger: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        return given


@dataclass(slots=True)
class Endpoint:
    """An endpoint; `failed_count` are failures in a row."""

    endpoint_id: int
    site_id: int
    fields: EndpointFields
    created_at: datetime
    disabled_at: datetime | None = None
    failed_count: int = 0

    def shown(self) -> dict[str, Any]:
        """Return it for an answer."""
        return {
            "id": self.endpoint_id,
            "site_id": self.site_id,
            **self.fields.model_dump(),
            "disabled_at": None if self.disabled_at is None else self.disabled_at.isoformat(timespec="seconds"),
            "failed_count": self.failed_count,
            "created_at": self.created_at.isoformat(timespec="seconds"),
        }

    def succeeded(self) -> None:
        """Count a success: failures are counted in a row."""
        self.failed_count = 0

    def failed(self, most: int, now: datetime) -> None:
        """Count a failure; the one that reaches `most` switches the endpoint off."""
        self.failed_count += 1
        if self.failed_count >= most and self.disabled_at is None:
            self.disabled_at = now

    def enable(self) -> None:
        """Switch on, and forget the failures."""
        self.disabled_at, self.failed_count = None, 0


class Endpoints:
    """All endpoints."""

    def __init__(self) -> None:
        """Start empty."""
        self._endpoints: dict[int, Endpoint] = {}
        self._ids = count(3001)

    def add(self, site_id: int, fields: EndpointFields, now: datetime) -> Endpoint:
        """Make an endpoint, switched on."""
        endpoint = Endpoint(next(self._ids), site_id, fields, now)
        self._endpoints[endpoint.endpoint_id] = endpoint
        return endpoint

    def get(self, site_id: int, endpoint_id: int) -> Endpoint | None:
        """Return an endpoint of a site."""
        endpoint = self._endpoints.get(endpoint_id)
        return endpoint if endpoint is not None and endpoint.site_id == site_id else None

    def of_site(self, site_id: int) -> list[Endpoint]:
        """Return the endpoints of a site."""
        return [endpoint for endpoint in self._endpoints.values() if endpoint.site_id == site_id]

    def remove(self, endpoint_id: int) -> None:
        """Forget an endpoint."""
        self._endpoints.pop(endpoint_id, None)

    def clear(self) -> None:
        """Forget all."""
        self._endpoints.clear()
