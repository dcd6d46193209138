"""The words of alerts, and a rule as it is kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import asyncpg

from mainstem.alerts.decide import Comparison, NoData, Terms
from mainstem.alerts.grouping import Timing, Told

OPERATOR: Final = "default"
"""Slug of the tenant whose rules may look at the whole installation: its people run it."""
RESERVED: Final = frozenset({"alertname", "severity", "tenant"})
"""Labels that every alert has by itself."""


class Severity(StrEnum):
    """How bad it is."""

    CRITICAL = "CRITICAL"
    WARNING = "WARNING"
    INFO = "INFO"


class Status(StrEnum):
    """Where an alert stands."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Delivery(StrEnum):
    """Whether people have been told."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Route:
    """Who is told, of what together, and how often. Equal routes share their groups."""

    receivers: tuple[str, ...] = ()
    """Mail addresses; none: MAIL_TO."""
    group_by: tuple[str, ...] = ("alertname",)
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a tenant."""

    rule_id: int
    tenant_id: int
    tenant: str
    """Slug of the tenant."""
    name: str
    description: str
    metric: str
    window: timedelta
    severity: Severity
    terms: Terms
    labels: Mapping[str, str]
    route: Route

    @property
    def source(self) -> str:
        """The source of its alerts, which is part of their identity."""
        return f"rule:{self.rule_id}"

    def labels_of(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Return all labels of an alert about a sample with `labels`."""
        return {**self.labels, **labels, **own_labels(self.name, self.severity, self.tenant)}


def own_labels(name: str, severity: Severity, tenant: str) -> dict[str, str]:
    """Return the labels that every alert has; the severity in the small letters that receivers know."""
    return {"alertname": name, "severity": severity.lower(), "tenant": tenant}


def rule_of(row: asyncpg.Record) -> Rule:
    """Return the rule of a row of the query `enabled`."""
    return Rule(
        rule_id=row["rule_id"],
        tenant_id=row["tenant_id"],
        tenant=row["tenant"],
        name=row["name"],
        description=row["description"],
        metric=row["metric"],
        window=timedelta(seconds=row["window_s"]),
        severity=Severity(row["severity"]),
        terms=Terms(
            Comparison(row["comparison"]),
            row["threshold"],
            timedelta(seconds=row["for_s"]),
            timedelta(seconds=row["keep_firing_s"]),
            NoData(row["no_data"]),
            row["min_volume"],
        ),
        labels=json.loads(row["labels"]),
        route=Route(tuple(row["receivers"]), tuple(row["group_by"]), timing_of(row)),
    )


def timing_of(row: asyncpg.Record) -> Timing:
    """Return the pauses of a row of a rule or a group."""
    return Timing(
        timedelta(seconds=row["group_wait_s"]),
        timedelta(seconds=row["group_interval_s"]),
        timedelta(seconds=row["repeat_interval_s"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An episode, as it is kept."""

    alert_id: int
    tenant_id: int
    rule_id: int | None
    fingerprint: str
    alert_type: str
    severity: Severity
    message: str
    labels: Mapping[str, str]
    webhook_id: int | None
    value: float | None
    no_data: bool
    status: Status
    started_at: datetime
    created_at: datetime
    created_by: str
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    notes: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    occurrences: int
    last_seen_at: datetime
    told: Told
    delivery_status: Delivery
    delivery_error: str | None
    description: str = ""
    """Of its rule."""


def alert_of(row: asyncpg.Record) -> Alert:
    """Return the alert of a row."""
    plain = {name: row[name] for name in _ALERT_FIELDS if name in row}
    return Alert(
        **{
            **plain,
            "severity": Severity(row["severity"]),
            "status": Status(row["status"]),
            "told": Told(row["told"]),
            "delivery_status": Delivery(row["delivery_status"]),
            "labels": json.loads(row["labels"]),
        }
    )


_ALERT_FIELDS: Final = tuple(one.name for one in fields(Alert))
