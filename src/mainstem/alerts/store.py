"""Alerts in the database: raised, acknowledged, resolved, read. Every change is an event and a live message.

All of it in the caller's transaction, bound to the tenant or of the owner.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from mainstem.alerts.compose import event_data, group_of, live_data
from mainstem.alerts.labels import Labels, Matcher, matches
from mainstem.alerts.model import Alert, Route, Severity, alert_of
from mainstem.events.record import Change, record_all
from mainstem.platform.clock import rfc3339
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.live import tell

SOURCE: Final = "alerts"
SUMMARY_OF: Final = timedelta(days=30)
_LARGEST_ID: Final = 2**31 - 1
_sql: Final = load_queries("mainstem.alerts")
_rules_sql: Final = load_queries("mainstem.alerts", "rules.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """Something that is an alert from now on."""

    source: str
    """`rule` or `api`."""
    fingerprint: str
    alert_type: str
    severity: Severity
    message: str
    labels: Labels
    started_at: datetime
    route: Route
    rule_id: int | None = None
    value: float | None = None
    no_data: bool = False
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence that is in force."""

    silence_id: int
    matchers: tuple[Matcher, ...]


async def raise_all(
    connection: Connection, tenant_id: int, occurrences: Sequence[Occurrence], now: datetime
) -> list[Alert]:
    """Open an alert for each occurrence and return them in the same order; one that is open already is only counted.

    The fingerprints must differ. New ones join their group, and are told when that is due.
    """
    rows = [{**_row(one), "group_id": await _join(connection, tenant_id, one, now)} for one in occurrences]
    found = await connection.fetch(_sql["raise"], tenant_id, json.dumps(rows), now)
    by_fingerprint = {row["fingerprint"]: row for row in found}
    alerts = [alert_of(by_fingerprint[one.fingerprint]) for one in occurrences]
    new = [alert for alert in alerts if by_fingerprint[alert.fingerprint]["is_new"]]
    await _told(connection, tenant_id, "raised", new, now)
    return alerts


async def acknowledge(  # noqa: PLR0913 - who, what and why
    connection: Connection, tenant_id: int, ids: Sequence[int], *, by: str, notes: str | None, now: datetime
) -> list[Alert]:
    """Note who knows of alerts, and why; return those that nobody knew of before, the others stay as they were.

    Stops the repeats and ends nothing. One that is over may be acknowledged, too.
    """
    rows = await connection.fetch(_sql["acknowledge"], tenant_id, _known(ids), now, by, notes)
    alerts = sorted(map(alert_of, rows), key=lambda alert: alert.alert_id)
    await _told(connection, tenant_id, "acknowledged", alerts, now)
    return alerts


async def resolve(
    connection: Connection, tenant_id: int, ids: Sequence[int], now: datetime, *, by: str | None = None
) -> list[Alert]:
    """End alerts that are open, and return them; `by` is who did, None when they are over by themselves."""
    rows = await connection.fetch(_sql["resolve"], tenant_id, _known(ids), now, by)
    alerts = sorted(map(alert_of, rows), key=lambda alert: alert.alert_id)
    await _told(connection, tenant_id, "resolved", alerts, now)
    return alerts


async def find(connection: Connection, tenant_id: int, alert_id: int) -> Alert | None:
    """Return an alert, or None."""
    row = await connection.fetchrow(_sql["alert"], tenant_id, alert_id) if 0 < alert_id <= _LARGEST_ID else None
    return None if row is None else alert_of(row)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts a list has; None: all."""

    statuses: Sequence[str] | None = None
    delivery_statuses: Sequence[str] | None = None
    severities: Sequence[str] | None = None
    webhook_id: int | None = None
    alert_type: str | None = None

    @property
    def arguments(self) -> tuple[object, ...]:
        """The arguments of the queries."""
        return self.statuses, self.delivery_statuses, self.severities, self.webhook_id, self.alert_type


async def page(
    connection: Connection, tenant_id: int, wanted: Filter, *, limit: int, offset: int
) -> tuple[list[Alert], int]:
    """Return alerts of a tenant, the newest first, and how many there are in all."""
    total = await connection.fetchval(_sql["count"], tenant_id, *wanted.arguments)
    rows = await connection.fetch(_sql["alerts"], tenant_id, *wanted.arguments, limit, offset)
    return [alert_of(row) for row in rows], total


async def summary(connection: Connection, tenant_id: int, now: datetime) -> dict[str, Any]:
    """Return the figures of the last 30 days."""
    row = await connection.fetchrow(_sql["summary"], tenant_id, now - SUMMARY_OF, now)
    return dict(row or {})


async def active_silences(connection: Connection, tenant_id: int, now: datetime) -> list[Silence]:
    """Return the silences that are in force."""
    rows = await connection.fetch(_rules_sql["active_silences"], tenant_id, now)
    return [Silence(row["silence_id"], matchers_of(row["matchers"])) for row in rows]


def matchers_of(text: str) -> tuple[Matcher, ...]:
    """Return the matchers of a silence as it is kept."""
    return tuple(Matcher(**one) for one in json.loads(text))


def silenced_by(silences: Sequence[Silence], labels: Labels) -> list[int]:
    """Return the ids of the silences that mean an alert with these labels."""
    return [silence.silence_id for silence in silences if matches(silence.matchers, labels)]


async def prune(connection: Connection, before: datetime) -> int:
    """Delete alerts and silences that were over before `before`, and what was told then, in small transactions.

    The connection must be outside of a transaction. Returns how many alerts and notifications went.
    """
    gone = 0
    for query in ("prune_alerts", "prune_notifications"):
        while some := await connection.fetchval(_sql[query], before):
            gone += some
    await connection.execute(_sql["prune_silences"], before)
    return gone


def _known(ids: Sequence[int]) -> list[int]:
    return sorted({one for one in ids if 0 < one <= _LARGEST_ID})


def _row(one: Occurrence) -> dict[str, Any]:
    webhook_id = one.labels.get("webhook_id", "")
    known = webhook_id.isascii() and webhook_id.isdigit() and int(webhook_id) <= _LARGEST_ID
    return {
        "rule_id": one.rule_id,
        "source": one.source,
        "fingerprint": one.fingerprint,
        "alert_type": one.alert_type,
        "severity": one.severity,
        "message": one.message,
        "labels": dict(one.labels),
        "webhook_id": int(webhook_id) if known else None,
        "value": one.value,
        "no_data": one.no_data,
        "started_at": rfc3339(one.started_at),
        "created_by": one.created_by,
    }


async def _join(connection: Connection, tenant_id: int, one: Occurrence, now: datetime) -> int:
    group = group_of(one.route, one.labels)
    timing = one.route.timing
    group_id: int = await connection.fetchval(
        _sql["join_group"],
        tenant_id,
        group.key,
        json.dumps(dict(group.labels)),
        list(group.receivers),
        *(round(pause.total_seconds()) for pause in (timing.wait, timing.interval, timing.repeat)),
        now + timing.wait,
    )
    return group_id


async def _told(connection: Connection, tenant_id: int, verb: str, alerts: Sequence[Alert], now: datetime) -> None:
    if not alerts:
        return
    silences = await active_silences(connection, tenant_id, now)
    changes = [
        Change(
            f"alert.{verb}",
            event_data(alert, silenced_by(silences, alert.labels)),
            subject=f"alert:{alert.alert_id}",
            occurred_at=now,
        )
        for alert in alerts
    ]
    await record_all(connection, tenant_id, changes, source=SOURCE)
    message = "alert_new" if verb == "raised" else "alert_changed"
    for alert in alerts:
        await tell(connection, tenant_id, message, live_data(alert))
