"""The rules that come with the product: the thresholds of the deployment documents, and what else must not go unnoticed.

`deployment-documents/webhooks-alerts.md`, "Alerting Rules", names latency, errors, pool, hit rate, disconnects and failed
deliveries. Each rule stands on a volume, so that one error of two requests at night wakes nobody.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final

from mainstem.alerts.decide import Comparison, NoData
from mainstem.alerts.model import OPERATOR, Severity
from mainstem.platform.db import Connection, load_queries

VERSION: Final = 1
"""Grows with each release that adds rules; a tenant gets those since the version that it has."""
_sql: Final = load_queries("mainstem.alerts", "rules.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """One rule; times in seconds."""

    name: str
    description: str
    metric: str
    comparison: Comparison = Comparison.ABOVE
    threshold: float
    window_s: int = 300
    for_s: int
    keep_firing_s: int = 120
    min_volume: int = 0
    severity: Severity
    no_data: NoData = NoData.ALERT
    everywhere: bool = False
    """For every tenant; otherwise for the one that runs the installation."""
    since: int = 1
    """Version that it came with."""


SHIPPED: Final = (
    Shipped(
        name="ApiLatencyHigh",
        description="One request of a hundred takes too long. Look for slow queries and a busy pool.",
        metric="api_p99_ms",
        threshold=500,
        for_s=120,
        min_volume=100,
        severity=Severity.WARNING,
    ),
    Shipped(
        name="ApiErrorsHigh",
        description="More than one answer of a hundred says that something broke here. The log has each with its request_id.",
        metric="api_error_percent",
        threshold=1,
        for_s=60,
        min_volume=100,
        severity=Severity.CRITICAL,
    ),
    Shipped(
        name="DatabasePoolBusy",
        description="Requests will soon wait for a connection. Raise DATABASE_POOL_SIZE, or find what holds connections.",
        metric="database_pool_percent",
        threshold=80,
        window_s=60,
        for_s=120,
        severity=Severity.WARNING,
    ),
    Shipped(
        name="CacheHitRateLow",
        description="The cache answers too little. Warm it, or give it more room or time.",
        metric="cache_hit_percent",
        comparison=Comparison.BELOW,
        threshold=70,
        window_s=600,
        for_s=600,
        min_volume=1_000,
        severity=Severity.WARNING,
    ),
    Shipped(
        name="WebSocketDisconnects",
        description="Dashboards lose their connection. Look at the network and the proxy.",
        metric="websocket_disconnects",
        threshold=5,
        for_s=0,
        severity=Severity.WARNING,
    ),
    Shipped(
        name="LoaderLag",
        description="Events wait to be loaded. Does a process work (mainstem up or work), and is the database slow?",
        metric="loader_lag_seconds",
        threshold=60,
        window_s=60,
        for_s=60,
        severity=Severity.CRITICAL,
    ),
    Shipped(
        name="SpoolInUse",
        description="PostgreSQL was away or slow for some process: events went to its spool. They are loaded when it is back.",
        metric="spooled_events",
        threshold=0,
        for_s=0,
        severity=Severity.CRITICAL,
    ),
    Shipped(
        name="WebhookDeliveriesFailing",
        description="Attempts at this endpoint fail. Its deliveries show the answers.",
        metric="webhook_failure_percent",
        threshold=5,
        window_s=600,
        for_s=60,
        keep_firing_s=300,
        min_volume=20,
        severity=Severity.WARNING,
        no_data=NoData.OK,
        everywhere=True,
    ),
    Shipped(
        name="WebhookQueueLate",
        description="Deliveries that are due are not sent. Does a process work, and does an endpoint hold up its queue?",
        metric="webhook_queue_seconds",
        threshold=600,
        window_s=60,
        for_s=120,
        severity=Severity.WARNING,
        no_data=NoData.OK,
        everywhere=True,
    ),
    Shipped(
        name="WebhooksDegraded",
        description="Endpoints answer late or with errors.",
        metric="webhooks_degraded",
        threshold=0,
        window_s=60,
        for_s=300,
        keep_firing_s=300,
        severity=Severity.WARNING,
        no_data=NoData.OK,
        everywhere=True,
    ),
    Shipped(
        name="ReconcileDifferences",
        description="Orders differ from the bookings that they were made of.",
        metric="reconcile_differences",
        threshold=0,
        window_s=300,
        for_s=0,
        severity=Severity.WARNING,
        # where no connector runs, there is nothing to differ
        no_data=NoData.OK,
        everywhere=True,
    ),
)


async def seed(connection: Connection) -> int:
    """Give every tenant the rules that it has not been given yet; return how many. One that was deleted stays deleted."""
    rules = json.dumps([asdict(rule) for rule in SHIPPED])
    given: int = await connection.fetchval(_sql["seed"], rules, VERSION, OPERATOR)
    return given
