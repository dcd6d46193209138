"""What is said about alerts: sentences, the data of events, the body of Alertmanager's webhooks, mails. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any, Final
from zoneinfo import ZoneInfo

from mainstem.alerts.decide import Blank, Comparison
from mainstem.alerts.labels import common
from mainstem.alerts.model import OPERATOR, Alert, Route, Rule, Severity, Status
from mainstem.platform.clock import rfc3339
from mainstem.platform.measure import Sample

VERSION: Final = "4"
"""Of the body of Alertmanager's webhooks."""
MOST_ALERTS: Final = 50
"""Alerts in one body or mail; how many more there are is told."""
_MOST_BYTES: Final = 50_000
"""Of the alerts of a body: receivers of webhooks take small ones."""
_NEVER: Final = "0001-01-01T00:00:00Z"
_WORDS: Final = {
    Comparison.ABOVE: "above",
    Comparison.AT_LEAST: "at least",
    Comparison.BELOW: "below",
    Comparison.AT_MOST: "at most",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where this hub is, and how people here read times."""

    url: str
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts that are told together."""

    key: str
    labels: Mapping[str, str]
    receivers: tuple[str, ...]


def sentence(rule: Rule, unit: str, reading: Sample | Blank) -> str:
    """Return what is wrong, with the figures."""
    if isinstance(reading, Blank):
        return f"{rule.name}: nothing is known of {rule.metric}."
    about = ", ".join(f"{name} {value}" for name, value in reading.labels.items())
    return (
        f"{rule.name}: {_number(reading.value, unit)}, {_WORDS[rule.terms.comparison]} "
        f"{_number(rule.terms.threshold, unit)}{f' ({about})' if about else ''}"
    )


def group_of(route: Route, labels: Mapping[str, str]) -> Group:
    """Return the group of an alert: equal routes and equal values of the labels that they group by."""
    grouped = {name: labels.get(name, "") for name in sorted(route.group_by)}
    timing = ":".join(
        f"{pause.total_seconds():.0f}" for pause in (route.timing.wait, route.timing.interval, route.timing.repeat)
    )
    who = ",".join(sorted(route.receivers)) or "default"
    shown = ",".join(f"{name}={_quoted(value)}" for name, value in grouped.items())
    return Group(f"{{{who}}}/{timing}:{{{shown}}}", grouped, route.receivers)


def event_data(alert: Alert, silenced_by: Sequence[int] = ()) -> dict[str, Any]:
    """Return the data of `alert.raised`, `alert.acknowledged` and `alert.resolved`."""
    told: dict[str, Any] = {
        "alert_id": alert.alert_id,
        "alert_type": alert.alert_type,
        "severity": alert.severity,
        "message": alert.message,
        "status": alert.status,
        "labels": dict(alert.labels),
        "fingerprint": alert.fingerprint,
        "rule_id": alert.rule_id,
        "webhook_id": alert.webhook_id,
        "value": alert.value,
        "no_data": alert.no_data,
        "suppressed_by": list(silenced_by),
        "started_at": rfc3339(alert.started_at),
        "created_at": rfc3339(alert.created_at),
    }
    if alert.acknowledged_at is not None:
        told |= {
            "acknowledged_at": rfc3339(alert.acknowledged_at),
            "acknowledged_by": alert.acknowledged_by,
            "notes": alert.notes,
        }
    if alert.resolved_at is not None:
        told |= {"resolved_at": rfc3339(alert.resolved_at), "resolved_by": alert.resolved_by}
    return told


def live_data(alert: Alert) -> dict[str, Any]:
    """Return the data of the live messages `alert_new` and `alert_changed`."""
    return {
        "alert_id": alert.alert_id,
        "alert_type": alert.alert_type,
        "severity": alert.severity,
        "message": alert.message,
        "webhook_id": alert.webhook_id,
        "status": alert.status,
        "acknowledged_by": alert.acknowledged_by,
    }


def alertmanager_body(group: Group, alerts: Sequence[Alert], place: Place) -> dict[str, Any]:
    """Return the body of a webhook of Alertmanager (version 4) about alerts, those that fire first.

    `alert_id` (of the first) and `alert_ids` are ours; receivers of that format pass over them.
    """
    entries = _fitting([_entry(alert, place) for alert in alerts[:MOST_ALERTS]])
    shown = alerts[: len(entries)]
    return {
        "version": VERSION,
        "groupKey": group.key,
        "truncatedAlerts": len(alerts) - len(shown),
        "status": _status(alerts),
        "receiver": ",".join(group.receivers) or "default",
        "groupLabels": dict(group.labels),
        "commonLabels": common([alert.labels for alert in alerts]),
        "commonAnnotations": common([_annotations(alert) for alert in alerts]),
        "externalURL": place.url,
        "alerts": entries,
        "alert_id": alerts[0].alert_id if alerts else 0,
        "alert_ids": [alert.alert_id for alert in shown],
    }


def subject(alerts: Sequence[Alert]) -> str:
    """Return the subject of a mail about alerts, at least one."""
    firing = [alert for alert in alerts if alert.resolved_at is None]
    head = f"[FIRING:{len(firing)}]" if firing else "[RESOLVED]"
    if not alerts[0].alert_id:
        head = "[TEST]"
    told = firing or list(alerts)
    names = list(dict.fromkeys(alert.alert_type for alert in told))
    severity = f" {min(told, key=_gravity).severity}" if firing else ""
    tenant = told[0].labels.get("tenant", "")
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{head}{severity} {names[0]}{more}{f' ({tenant})' if tenant else ''}"


def text(alerts: Sequence[Alert], place: Place) -> str:
    """Return the text of a mail about alerts, at least one."""
    shown = alerts[:MOST_ALERTS]
    parts = [
        f"{title} ({len(some)})\n\n" + "\n".join(_paragraph(alert, place) for alert in some)
        for title, some in (
            ("FIRING", [alert for alert in shown if alert.resolved_at is None]),
            ("RESOLVED", [alert for alert in shown if alert.resolved_at is not None]),
        )
        if some
    ]
    if len(alerts) > len(shown):
        parts.append(f"and {len(alerts) - len(shown)} more\n")
    open_ids = [str(alert.alert_id) for alert in shown if alert.alert_id and alert.resolved_at is None]
    if open_ids:
        tenant = shown[0].labels.get("tenant", OPERATOR)
        whose = "" if tenant == OPERATOR else f" --tenant {tenant}"
        parts.append(
            f"Somebody looks at it? mainstem alerts ack {' '.join(open_ids)}{whose} --notes '...' stops the repeats.\n"
        )
    return "\n".join(parts)


def _paragraph(alert: Alert, place: Place) -> str:
    lines = [f"{alert.severity} {alert.alert_type}", alert.message]
    since = f"since {_shown(alert.started_at, place.zone)}"
    if alert.resolved_at is not None:
        since += f" until {_shown(alert.resolved_at, place.zone)}"
    lines += [since, *([alert.description] if alert.description else [])]
    if alert.alert_id:
        lines.append(f"{place.url}/api/v1/alerts/{alert.alert_id}")
    return "".join(f"  {line}\n" for line in lines)


def _entry(alert: Alert, place: Place) -> dict[str, Any]:
    return {
        "status": "firing" if alert.resolved_at is None else "resolved",
        "labels": dict(alert.labels),
        "annotations": _annotations(alert),
        "startsAt": rfc3339(alert.started_at),
        "endsAt": _NEVER if alert.resolved_at is None else rfc3339(alert.resolved_at),
        "generatorURL": f"{place.url}/api/v1/alerts/{alert.alert_id}",
        "fingerprint": alert.fingerprint,
    }


def _fitting(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    sizes = accumulate(len(json.dumps(entry)) for entry in entries)
    return [entry for entry, size in zip(entries, sizes, strict=True) if size <= _MOST_BYTES]


def _annotations(alert: Alert) -> dict[str, str]:
    found = {"summary": alert.message}
    if alert.description:
        found["description"] = alert.description
    return found


def _status(alerts: Sequence[Alert]) -> str:
    return "firing" if any(alert.status is not Status.RESOLVED for alert in alerts) else "resolved"


def _gravity(alert: Alert) -> int:
    return list(Severity).index(alert.severity)


def _number(value: float, unit: str) -> str:
    shown = f"{value:,.2f}".rstrip("0").rstrip(".")
    return f"{shown}{unit}" if unit == "/min" else f"{shown} {unit}".rstrip()


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shown(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
