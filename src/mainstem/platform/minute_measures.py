"""Metrics of the installation that the minutes of its processes give."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from mainstem.platform.db import Connection
from mainstem.platform.measure import Metric, Read, Sample, Scope
from mainstem.platform.minutes import Figures, window


def _reading(value: Callable[[Figures], float], volume: Callable[[Figures], int]) -> Read:
    async def read(connection: Connection, since: datetime, until: datetime) -> Sequence[Sample]:
        found = await window(connection, since, until)
        # no minute of any process: that is not known to be fine
        return [Sample(value(found), volume(found))] if found.minutes else []

    return read


def _requests(found: Figures) -> int:
    return found.requests


def _minutes(found: Figures) -> int:
    return found.minutes


def _lookups(found: Figures) -> int:
    return found.cache_hits + found.cache_misses


METRICS: Final = (
    Metric(
        "api_p99_ms",
        "ms",
        Scope.INSTALLATION,
        "Time within which 99 of 100 requests were answered; the volume is requests.",
        _reading(lambda found: found.p99_ms, _requests),
    ),
    Metric(
        "api_error_percent",
        "%",
        Scope.INSTALLATION,
        "Answers with a status of 500 and above; the volume is requests.",
        _reading(lambda found: found.error_rate_percent, _requests),
    ),
    Metric(
        "database_pool_percent",
        "%",
        Scope.INSTALLATION,
        "Connections in use of the busiest pool, in its ten busiest seconds; the volume is minutes.",
        _reading(lambda found: found.pool_use_percent, _minutes),
    ),
    Metric(
        "cache_hit_percent",
        "%",
        Scope.INSTALLATION,
        "Look-ups that the cache answered; the volume is look-ups.",
        _reading(lambda found: found.cache_hit_rate_percent, _lookups),
    ),
    Metric(
        "websocket_disconnects",
        "/min",
        Scope.INSTALLATION,
        "WebSockets that broke or were dropped; the volume is minutes.",
        _reading(lambda found: found.ws_disconnects / found.minutes, _minutes),
    ),
    Metric(
        "spooled_events",
        "",
        Scope.INSTALLATION,
        "Most events that waited in the spool of a process; the volume is minutes.",
        _reading(lambda found: float(found.spooled), _minutes),
    ),
)
