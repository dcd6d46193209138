"""Tools about alerts: what is open, and saying that somebody knows."""

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from mainstem.alerts import store
from mainstem.alerts.model import Alert
from mainstem.assistant.ports import Arguments, Hints, Tool, ToolContext
from mainstem.assistant.tools.words import Id, Text
from mainstem.platform.answers import Moment
from mainstem.platform.errors import NotFoundError

_OPEN: Final = ("firing", "acknowledged")


class ListAlerts(Arguments):
    """Which alerts."""

    status: Literal["open", "firing", "acknowledged", "resolved", "all"] = "open"
    severity: Literal["CRITICAL", "WARNING", "INFO"] | None = None
    limit: int = Field(default=20, ge=1, le=100)


class AlertFound(BaseModel):
    """An alert."""

    alert_id: int
    alert_type: str
    severity: str
    message: str
    status: str
    started_at: Moment
    acknowledged_at: Moment | None


class AlertsFound(BaseModel):
    """Alerts, the newest first."""

    alerts: list[AlertFound]
    total: int


class AcknowledgeAlert(Arguments):
    """Which alert, and why."""

    alert_id: Id
    notes: Text | None = Field(default=None, max_length=500)


class AcknowledgedOut(BaseModel):
    """Somebody knows of the alert."""

    alert_id: int
    status: str
    acknowledged_at: Moment | None


async def list_alerts(context: ToolContext, given: ListAlerts) -> AlertsFound:
    """Return alerts of the tenant."""
    statuses = {"open": _OPEN, "all": None}.get(given.status, (given.status,))
    wanted = store.Filter(statuses=statuses, severities=None if given.severity is None else [given.severity])
    found, total = await store.page(context.connection, context.caller.tenant_id, wanted, limit=given.limit, offset=0)
    return AlertsFound(alerts=[_out(alert) for alert in found], total=total)


async def acknowledge_alert(context: ToolContext, given: AcknowledgeAlert) -> AcknowledgedOut:
    """Note that the caller knows of an alert."""
    await store.acknowledge(
        context.connection,
        context.caller.tenant_id,
        [given.alert_id],
        by=context.caller.subject,
        notes=given.notes,
        now=context.now,
    )
    alert = await _one(context, given.alert_id)
    return AcknowledgedOut(alert_id=alert.alert_id, status=str(alert.status), acknowledged_at=alert.acknowledged_at)


async def _ask_acknowledge(context: ToolContext, given: AcknowledgeAlert) -> str:
    alert = await _one(context, given.alert_id)
    return f"Acknowledge alert {alert.alert_id} ({alert.severity}, {alert.alert_type})? Nobody is reminded of it then."


async def _one(context: ToolContext, alert_id: int) -> Alert:
    alert = await store.find(context.connection, context.caller.tenant_id, alert_id)
    if alert is None:
        raise NotFoundError(f"Alert {alert_id} not found")
    return alert


def _out(alert: Alert) -> AlertFound:
    return AlertFound(
        alert_id=alert.alert_id,
        alert_type=alert.alert_type,
        severity=str(alert.severity),
        message=alert.message,
        status=str(alert.status),
        started_at=alert.started_at,
        acknowledged_at=alert.acknowledged_at,
    )


TOOLS: Final[tuple[Tool[Any], ...]] = (
    Tool(
        name="list_alerts",
        title="List alerts",
        description="List alerts, the newest first: open ones unless told otherwise.",
        arguments=ListAlerts,
        result=AlertsFound,
        scope="read",
        hints=Hints(read_only=True, idempotent=True),
        run=list_alerts,
    ),
    Tool(
        name="acknowledge_alert",
        title="Acknowledge an alert",
        description="Say that somebody knows of an alert, so that nobody is reminded of it. Asks a person first.",
        arguments=AcknowledgeAlert,
        result=AcknowledgedOut,
        scope="admin",
        hints=Hints(idempotent=True),
        run=acknowledge_alert,
        question=_ask_acknowledge,
    ),
)
