"""Metrics of loading."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from mainstem.platform.db import Connection, load_queries
from mainstem.platform.measure import Metric, Sample, Scope

_sql: Final = load_queries("mainstem.vault", "measures.sql")


async def _lag(connection: Connection, since: datetime, until: datetime) -> Sequence[Sample]:
    del since  # what waits now is what counts
    seconds = await connection.fetchval(_sql["lag"], until)
    return [Sample(0.0 if seconds is None else seconds, 1)]


METRICS: Final = (
    Metric(
        "loader_lag_seconds",
        "s",
        Scope.INSTALLATION,
        "Age of the oldest batch of events that is not loaded yet.",
        _lag,
    ),
)
