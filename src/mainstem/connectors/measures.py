"""Metrics of connectors, by tenant; each carries the name of its connector."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from mainstem.platform.db import Connection, load_queries
from mainstem.platform.measure import Metric, Sample, Scope

_sql: Final = load_queries("mainstem.connectors", "measures.sql")


async def _differences(connection: Connection, since: datetime, until: datetime) -> Sequence[Sample]:
    del since  # what the last run left open is what counts
    rows = await connection.fetch(_sql["differences"], until)
    return [
        Sample(float(row["open"]), row["orders_read"], row["tenant_id"], {"connector": row["connector"]})
        for row in rows
    ]


METRICS: Final = (
    Metric(
        "reconcile_differences",
        "",
        Scope.TENANT,
        "Differences that the last reconciliation of a connector left open; the volume is orders read.",
        _differences,
    ),
)
