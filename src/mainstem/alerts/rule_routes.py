"""The API of rules: what is an alert, and who is told; and a test of who is told."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Depends

from mainstem.alerts import rules
from mainstem.alerts.compose import Group
from mainstem.alerts.grouping import Reason, Told
from mainstem.alerts.labels import fingerprint
from mainstem.alerts.model import OPERATOR, Alert, Delivery, Severity, Status, own_labels
from mainstem.alerts.notify import Teller
from mainstem.alerts.rule_models import MetricList, MetricOut, RuleIn, RuleList, RuleOut, RulePatch, TestOut, row_of
from mainstem.platform.auth import Caller
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, transaction
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.measure import Metric, Scope


def build_rule_router(  # noqa: C901 - a list of routes
    *,
    pool: Callable[[], Pool],
    require: Callable[[str], Callable[..., Awaitable[Caller]]],
    metrics: Mapping[str, Metric],
    teller: Callable[[], Teller],
) -> APIRouter:
    """Return the routes, to be included before those of alerts; reading needs the scope read, changing admin."""
    router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type

    @router.get("/metrics", summary="What rules can look at")
    async def measured(caller: Reader) -> MetricList:
        return MetricList(
            items=[
                MetricOut(name=one.name, unit=one.unit, scope=one.scope, meaning=one.meaning)
                for one in metrics.values()
                if _is_allowed(one, caller)
            ]
        )

    @router.get("/rules", summary="Your rules and where they stand")
    async def all_rules(caller: Reader) -> RuleList:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows = await rules.all_of(connection, caller.tenant_id)
            items = await shown(connection, caller, rows)
        return RuleList(items=items, total=len(items))

    @router.post("/rules", status_code=201, summary="Add a rule")
    async def add(caller: Admin, body: RuleIn) -> RuleOut:
        check_metric(body.metric, caller)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            row = await rules.add(connection, caller.tenant_id, row_of(body.model_dump()), by=caller.subject)
            return (await shown(connection, caller, [row]))[0]

    @router.get("/rules/{rule_id}", summary="One rule and where it stands")
    async def get(caller: Reader, rule_id: int) -> RuleOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            row = await rules.one(connection, caller.tenant_id, rule_id)
            return (await shown(connection, caller, [row]))[0]

    @router.patch("/rules/{rule_id}", summary="Change a rule; in force with the next round")
    async def change(caller: Admin, rule_id: int, body: RulePatch) -> RuleOut:
        if body.metric is not None:
            check_metric(body.metric, caller)
        changes = row_of(body.model_dump(exclude_unset=True))
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            row = await rules.change(connection, caller.tenant_id, rule_id, changes)
            return (await shown(connection, caller, [row]))[0]

    @router.delete("/rules/{rule_id}", status_code=204, summary="Delete a rule; its alerts end with the next round")
    async def remove(caller: Admin, rule_id: int) -> None:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await rules.remove(connection, caller.tenant_id, rule_id)

    @router.post("/rules/{rule_id}/test", summary="Tell those who are told by a rule, as a test")
    async def test(caller: Admin, rule_id: int) -> TestOut:
        """Record `alert.notified` and queue the mails of a test alert; nothing is raised."""
        now = utc_now()
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            row = await rules.one(connection, caller.tenant_id, rule_id)
            alert = _test_alert(row, caller)
            group = Group(f"test:{rule_id}", {"alertname": row["name"]}, tuple(row["receivers"]))
            told = await teller().tell(connection, caller.tenant_id, group, [alert], reason=Reason.TEST, now=now)
        count = len(told.receivers)
        mails = (
            f"{count} mail{'' if count == 1 else 's'} queued" if count else "no mails: there is no server or no address"
        )
        return TestOut(
            notification_id=told.notification_id,
            receivers=list(told.receivers),
            message=f"The event alert.notified is recorded, {mails}.",
        )

    async def shown(connection: Connection, caller: Caller, rows: list[asyncpg.Record]) -> list[RuleOut]:
        found = await rules.instances(connection, caller.tenant_id, [row["rule_id"] for row in rows])
        units = {name: metric.unit for name, metric in metrics.items()}
        return [RuleOut.of(row, units.get(row["metric"]), found.get(row["rule_id"], [])) for row in rows]

    def check_metric(name: str, caller: Caller) -> None:
        metric = metrics.get(name)
        if metric is None or not _is_allowed(metric, caller):
            raise InvalidFieldError(
                "metric must be one of GET /api/v1/alerts/metrics.", field="metric", code="unknown_metric"
            )

    return router


def _is_allowed(metric: Metric, caller: Caller) -> bool:
    return metric.scope is Scope.TENANT or caller.tenant == OPERATOR


def _test_alert(row: asyncpg.Record, caller: Caller) -> Alert:
    """Return an alert that is none: its id is 0."""
    now = utc_now()
    severity = Severity(row["severity"])
    labels = {"test": "true", **own_labels(row["name"], severity, caller.tenant)}
    nothing: dict[str, Any] = dict.fromkeys(
        (
            "webhook_id",
            "value",
            "acknowledged_at",
            "acknowledged_by",
            "notes",
            "resolved_at",
            "resolved_by",
            "delivery_error",
        )
    )
    return Alert(
        **nothing,
        alert_id=0,
        tenant_id=caller.tenant_id,
        rule_id=row["rule_id"],
        fingerprint=fingerprint(f"test:{row['rule_id']}", labels),
        alert_type=row["name"],
        severity=severity,
        message=f"This is a test of the rule {row['name']}: nothing is wrong.",
        labels=labels,
        no_data=False,
        status=Status.FIRING,
        started_at=now,
        created_at=now,
        created_by=caller.subject,
        occurrences=1,
        last_seen_at=now,
        told=Told.NOTHING,
        delivery_status=Delivery.PENDING,
        description=row["description"],
    )
