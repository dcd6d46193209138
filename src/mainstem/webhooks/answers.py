"""Rows of endpoints, deliveries, attempts and replays as the API shows them."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from mainstem.platform.clock import utc_now
from mainstem.platform.errors import InvalidFieldError
from mainstem.webhooks.delivery_models import (
    AttemptOut,
    DeliveryDetail,
    DeliveryOut,
    EventOut,
    PointOut,
    StatsOut,
    TotalsOut,
)
from mainstem.webhooks.models import EndpointOut, ReplayOut
from mainstem.webhooks.sign import message_id
from mainstem.webhooks.stats import Figures, Interval, total

_PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def endpoint_out(row: asyncpg.Record) -> EndpointOut:
    """Return an endpoint of `store.read`."""
    return EndpointOut.model_validate(endpoint_fields(row))


def endpoint_fields(row: asyncpg.Record) -> dict[str, Any]:
    """Return the fields of EndpointOut."""
    finished = row["delivered"] + row["failed"]
    return {
        **dict(row),
        "id": row["endpoint_id"],
        "events": row["kinds"],
        "is_active": row["active"],
        "filter": None if row["filter"] is None else json.loads(row["filter"]),
        "retry_policy": None if row["retry_policy"] is None else json.loads(row["retry_policy"]),
        "timeout_seconds": row["timeout_ms"] / 1_000,
        "health_status": row["health"] if row["active"] else "disabled",
        "total_deliveries": row["deliveries"],
        "successful_deliveries": row["delivered"],
        "failed_deliveries": row["failed"],
        "pending_deliveries": max(row["deliveries"] - finished, 0),
        "success_rate_percent": round(100 * row["delivered"] / finished, 2) if finished else None,
        "avg_response_time_ms": round(row["ms_sum"] / row["attempts"], 1) if row["attempts"] else None,
    }


def delivery_out(row: asyncpg.Record) -> DeliveryOut:
    """Return a delivery of a list."""
    return DeliveryOut.model_validate(_delivery_fields(row))


def delivery_detail(row: asyncpg.Record, attempts: Sequence[asyncpg.Record]) -> DeliveryDetail:
    """Return a delivery with its event and attempts."""
    event = None
    if row["data"] is not None:
        event = EventOut(
            id=str(row["event_uid"]),
            kind=row["kind"],
            source=row["source"],
            subject=row["subject"],
            occurred_at=row["occurred_at"],
            data=json.loads(row["data"]),
        )
    fields = _delivery_fields(row)
    return DeliveryDetail.model_validate(
        {**fields, "event": event, "attempt_log": [attempt_out(one) for one in attempts]}
    )


def attempt_out(row: asyncpg.Record) -> AttemptOut:
    """Return an attempt."""
    return AttemptOut.model_validate({**dict(row), "id": row["attempt_id"]})


def replay_out(row: asyncpg.Record) -> ReplayOut:
    """Return a replay; one that is over is complete, whatever it had been expected to find."""
    failed, finished = row["failure"] is not None, row["finished_at"] is not None
    expected = row["total"] or 0
    share = 100.0 if finished and not failed else 100 * row["done"] / expected if expected else 0.0
    return ReplayOut.model_validate(
        {
            **dict(row),
            "id": row["replay_id"],
            "webhook_id": row["endpoint_id"],
            "status": "failed" if failed else "finished" if finished else "running",
            "total": expected,
            "progress_percent": round(min(share, 100.0), 1),
        }
    )


def stats_out(
    endpoint_id: int, points: Sequence[tuple[datetime, Figures]], end: datetime, interval: Interval
) -> StatsOut:
    """Return the figures of a series; points that begin later than now are left out."""
    now = utc_now()
    seen = [(at, figures) for at, figures in points if at <= now]
    everything = total(figures for _, figures in seen)
    return StatsOut(
        webhook_id=endpoint_id,
        from_=points[0][0],
        to=end,
        interval=interval.value,
        totals=TotalsOut(
            attempts=everything.attempts,
            success_rate_percent=everything.success_rate_percent,
            **_figures(everything),
        ),
        series=[PointOut(at=at, **_figures(figures)) for at, figures in seen],
    )


def cursor_of(number: int) -> str:
    """Return the cursor after an id."""
    return base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def number_of(cursor: str | None) -> int | None:
    """Return the id that a cursor stands for. Raises InvalidFieldError."""
    if cursor is None:
        return None
    try:
        number = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
    except ValueError:
        number = -1
    if not 0 <= number < 2**63:
        raise InvalidFieldError("cursor must be the next_cursor of a list.", field="cursor")
    return number


def _delivery_fields(row: asyncpg.Record) -> dict[str, Any]:
    return {
        **dict(row),
        "id": row["delivery_id"],
        "webhook_id": row["endpoint_id"],
        "message_id": message_id(row["event_uid"]),
        "event_id": str(row["event_uid"]),
        "event_kind": row["kind"],
        "delivered_at": row["finished_at"] if row["status"] == "delivered" else None,
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "delivered": figures.delivered,
        "failed": figures.failed,
        "avg_ms": figures.avg_ms,
        "max_ms": figures.ms_max,
        **{name: figures.percentile(share) for name, share in _PERCENTILES.items()},
    }
