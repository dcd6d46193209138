"""The API of alerts: list, send, acknowledge, resolve, figures."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from mainstem.alerts import store
from mainstem.alerts.labels import fingerprint
from mainstem.alerts.model import Alert, Delivery, Route, Severity, Status, own_labels
from mainstem.alerts.models import AckIn, AckManyIn, AckManyOut, AlertIn, AlertList, AlertOut, AlertSummary
from mainstem.platform.auth import Caller
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, transaction
from mainstem.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from mainstem.platform.paging import PageQuery
from mainstem.platform.web.text import clean

_OPEN: Final = (Status.FIRING, Status.ACKNOWLEDGED)
_STATUS: Final = "A delivery status (pending, delivered, failed), or firing, acknowledged, resolved, or open for the first two of these."
_WEBHOOK: Final = "Alerts about this endpoint."


def build_router(*, pool: Callable[[], Pool], require: Callable[[str], Callable[..., Awaitable[Caller]]]) -> APIRouter:
    """Return the routes; reading needs the scope read, changing admin."""
    router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type

    @router.get("", summary="Alerts, the newest first")
    async def alerts(  # noqa: PLR0913, PLR0917 - the filters of a list
        caller: Reader,
        page: PageQuery,
        status_filter: Annotated[str | None, Query(description=_STATUS)] = None,
        status: Annotated[str | None, Query(description="The same as status_filter.")] = None,
        severity_filter: Annotated[str | None, Query(description="CRITICAL, WARNING or INFO.")] = None,
        alert_type: Annotated[str | None, Query()] = None,
        webhook_id: Annotated[int | None, Query(ge=0, le=2**31 - 1, description=_WEBHOOK)] = None,
    ) -> AlertList:
        kind = None if alert_type is None else clean(alert_type)
        wanted = wanted_of(status_filter or status, severity_filter, webhook_id=webhook_id, alert_type=kind)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            found, total = await store.page(connection, caller.tenant_id, wanted, limit=page.limit, offset=page.offset)
            shown = await _shown(connection, caller.tenant_id, found)
        return AlertList.model_validate({**page.answer(shown, total), "alerts": shown})

    @router.post("", status_code=201, summary="Send an alert")
    async def send(caller: Admin, body: AlertIn) -> AlertOut:
        """Raise an alert, or count it where the same one is open already: then that one is the answer."""
        now = utc_now()
        labels = {**body.labels, **own_labels(body.alert_type, body.severity, caller.tenant)}
        occurrence = store.Occurrence(
            source="api",
            fingerprint=fingerprint("api", labels, *([] if body.labels else [body.message])),
            alert_type=body.alert_type,
            severity=body.severity,
            message=body.message,
            labels=labels,
            started_at=now,
            route=Route(),
            created_by=caller.subject,
        )
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            (alert,) = await store.raise_all(connection, caller.tenant_id, [occurrence], now)
            return (await _shown(connection, caller.tenant_id, [alert]))[0]

    @router.post("/acknowledge", summary="Acknowledge alerts: somebody knows, stop telling")
    async def acknowledge_many(caller: Admin, body: AckManyIn) -> AckManyOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            known = await store.acknowledge(
                connection, caller.tenant_id, body.alert_ids, by=caller.subject, notes=body.notes, now=utc_now()
            )
        changed = [alert.alert_id for alert in known]
        return AckManyOut(acknowledged_count=len(changed), alert_ids=body.alert_ids, acknowledged_ids=changed)

    @router.get("/stats/summary", summary="Figures of the last 30 days")
    async def summary(caller: Reader) -> AlertSummary:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            return AlertSummary(**await store.summary(connection, caller.tenant_id, utc_now()))

    @router.get("/{alert_id}", summary="One alert")
    async def get(caller: Reader, alert_id: int) -> AlertOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            return await _one(connection, caller.tenant_id, alert_id)

    @router.post("/{alert_id}/ack", summary="Acknowledge an alert: somebody knows, stop telling")
    async def acknowledge(caller: Admin, alert_id: int, body: AckIn | None = None) -> AlertOut:
        """Note who knows, and why. One that is acknowledged already stays as it is."""
        notes = None if body is None else body.notes
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await store.acknowledge(
                connection, caller.tenant_id, [alert_id], by=caller.subject, notes=notes, now=utc_now()
            )
            return await _one(connection, caller.tenant_id, alert_id)

    @router.post("/{alert_id}/resolve", summary="End an alert that was sent")
    async def resolve(caller: Admin, alert_id: int) -> AlertOut:
        """End an alert that was sent here. One of a rule is over when its condition is: that is a 409."""
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            found = await _one(connection, caller.tenant_id, alert_id)
            if found.rule_id is not None and found.resolved_at is None:
                raise ConflictError(
                    "An alert of a rule is over when its condition is; acknowledge or silence it.", code="alert_of_rule"
                )
            await store.resolve(connection, caller.tenant_id, [alert_id], utc_now(), by=caller.subject)
            return await _one(connection, caller.tenant_id, alert_id)

    return router


def wanted_of(
    status: str | None, severity: str | None, *, webhook_id: int | None = None, alert_type: str | None = None
) -> store.Filter:
    """Return which alerts a list has by the words of its filters. Raises InvalidFieldError."""
    statuses, delivery_statuses = _statuses(status)
    severities = None if severity is None else [_word(Severity, severity.upper(), "severity_filter")]
    return store.Filter(statuses, delivery_statuses, severities, webhook_id, alert_type)


async def _one(connection: Connection, tenant_id: int, alert_id: int) -> AlertOut:
    found = await store.find(connection, tenant_id, alert_id)
    if found is None:
        raise NotFoundError(f"Alert {alert_id} not found")
    return (await _shown(connection, tenant_id, [found]))[0]


async def _shown(connection: Connection, tenant_id: int, alerts: Sequence[Alert]) -> list[AlertOut]:
    silences = await store.active_silences(connection, tenant_id, utc_now())
    return [AlertOut.of(alert, store.silenced_by(silences, alert.labels)) for alert in alerts]


def _statuses(wanted: str | None) -> tuple[Sequence[str] | None, Sequence[str] | None]:
    """Return the statuses and the delivery statuses that a filter names. Raises InvalidFieldError."""
    match None if wanted is None else wanted.lower():
        case None:
            return None, None
        case "open":
            return _OPEN, None
        case Status.FIRING | Status.ACKNOWLEDGED | Status.RESOLVED as status:
            return [status], None
        case other:
            return None, [_word(Delivery, other, "status_filter")]


def _word(kind: type[Severity] | type[Delivery], text: str, field: str) -> str:
    if text not in set(kind):
        allowed = ", ".join(kind)
        more = f", {', '.join(Status)}, open" if kind is Delivery else ""
        raise InvalidFieldError(f"{field} must be one of {allowed}{more}.", field=field)
    return text
