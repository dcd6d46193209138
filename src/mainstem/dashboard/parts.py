"""The parts of the dashboard as plain JSON objects: what the API answers, the cache keeps, and the live messages carry."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from mainstem.dashboard import figures
from mainstem.dashboard.anomalies import HISTORY_HOURS, HOUR, Anomaly, Point, Severity, find
from mainstem.platform.clock import rfc3339
from mainstem.platform.db import Connection

Part = dict[str, Any]
MOST_WEBHOOKS: Final = 100
_MOST_ANOMALIES: Final = 100
_RECENT: Final = timedelta(hours=24)


async def overview(connection: Connection, tenant_id: int) -> Part:
    """Return the figures of a tenant, without the time they are of."""
    found = await figures.overview(connection, tenant_id)
    return {**found._asdict(), "success_rate_percent": found.success_rate_percent}


async def performance(
    connection: Connection, window: figures.Window, now: datetime, span: timedelta = figures.WINDOW
) -> Part:
    """Return how the installation answered in the `span` before `now`."""
    found = await window(connection, now - span, now)
    return {
        "p50_latency_ms": round(found.p50_ms, 2),
        "p95_latency_ms": round(found.p95_ms, 2),
        "p99_latency_ms": round(found.p99_ms, 2),
        "average_response_time_ms": round(found.avg_ms, 2),
        "error_rate_percent": figures.percent(found.errors_5xx, found.requests) or 0.0,
        "cache_hit_rate_percent": figures.percent(found.cache_hits, found.cache_hits + found.cache_misses) or 0.0,
        "requests": found.requests,
        "window_minutes": span // timedelta(minutes=1),
    }


async def webhooks(connection: Connection, tenant_id: int, limit: int = MOST_WEBHOOKS) -> list[Part]:
    """Return the endpoints of a tenant, those that need a look first."""
    return [
        {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in one.items()}
        for one in await figures.webhooks(connection, tenant_id, limit)
    ]


async def anomalies(connection: Connection, tenant_id: int, days: int, now: datetime) -> Part:
    """Return what was unusual with the endpoints of a tenant in the last days."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    since = this_hour - timedelta(days=days)
    rows = await figures.hours(connection, tenant_id, since - HISTORY_HOURS * HOUR, now)
    # a millisecond for each endpoint: hundreds of them would hold up everybody else
    return await asyncio.to_thread(_judge, rows, since, days, now)


def _judge(rows: Sequence[figures.Hour], since: datetime, days: int, now: datetime) -> Part:
    found = []
    for (webhook_id, name), hours in groupby(rows, key=lambda row: (row.endpoint_id, row.name)):
        points = (Point(row.hour, row.attempts, row.failed) for row in hours)
        found += [(webhook_id, name, one) for one in find(points, since, now)]
    found.sort(key=lambda one: (one[2].started_at, one[0]), reverse=True)
    return _summed(found, days, now)


def _summed(found: list[tuple[int, str, Anomaly]], days: int, now: datetime) -> Part:
    critical = sum(one.severity is Severity.CRITICAL for _, _, one in found)
    return {
        "total_anomalies": len(found),
        "critical_anomalies": critical,
        "warning_anomalies": len(found) - critical,
        "recent_anomalies_count": sum(one.ended_at > now - _RECENT for _, _, one in found),
        "affected_operations": sorted({name for _, name, _ in found}),
        "items": [_anomaly(*one) for one in found[:_MOST_ANOMALIES]],
        "days": days,
    }


def _anomaly(webhook_id: int, name: str, one: Anomaly) -> Part:
    return {
        "webhook_id": webhook_id,
        "webhook_name": name,
        "metric": one.metric.value,
        "severity": one.severity.value,
        "started_at": rfc3339(one.started_at),
        "ended_at": rfc3339(one.ended_at),
        "value": one.value,
        "expected": one.expected,
        "score": one.score,
    }


def oldest(parts: Iterable[Part]) -> Part:
    """Return `generated_at` and `cache_hit` of an answer that is made of parts: as old as the oldest."""
    told = list(parts)
    return {
        "generated_at": min(part["generated_at"] for part in told),
        "cache_hit": all(part["cache_hit"] for part in told),
    }
