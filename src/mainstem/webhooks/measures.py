"""Metrics of deliveries, by tenant; those of one endpoint carry its `webhook_id`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from mainstem.platform.db import Connection, load_queries
from mainstem.platform.measure import Metric, Sample, Scope

_sql: Final = load_queries("mainstem.webhooks", "measures.sql")


async def _failures(connection: Connection, since: datetime, until: datetime) -> Sequence[Sample]:
    rows = await connection.fetch(_sql["failures"], since.replace(second=0, microsecond=0), until)
    return [
        Sample(
            100 * row["failed"] / (row["delivered"] + row["failed"]),
            row["delivered"] + row["failed"],
            row["tenant_id"],
            {"webhook_id": str(row["endpoint_id"]), "webhook": row["name"]},
        )
        for row in rows
        if row["delivered"] + row["failed"]
    ]


async def _waiting(connection: Connection, since: datetime, until: datetime) -> Sequence[Sample]:
    del since  # what waits now is what counts
    rows = await connection.fetch(_sql["waiting"], until)
    return [Sample(row["seconds"] or 0.0, row["endpoints"], row["tenant_id"]) for row in rows]


async def _degraded(connection: Connection, since: datetime, until: datetime) -> Sequence[Sample]:
    del since, until  # health is judged by windows of its own
    rows = await connection.fetch(_sql["degraded"])
    return [Sample(float(row["degraded"]), row["endpoints"], row["tenant_id"]) for row in rows]


METRICS: Final = (
    Metric(
        "webhook_failure_percent",
        "%",
        Scope.TENANT,
        "Attempts of an endpoint that failed; the volume is attempts.",
        _failures,
    ),
    Metric(
        "webhook_queue_seconds",
        "s",
        Scope.TENANT,
        "Time by which the most overdue delivery is late; the volume is endpoints with something due.",
        _waiting,
    ),
    Metric(
        "webhooks_degraded",
        "",
        Scope.TENANT,
        "Endpoints whose health is degraded or failing; the volume is endpoints.",
        _degraded,
    ),
)
