"""Counters for Prometheus: HTTP, intake, loader, limits, sign-in. Text form at `/metrics`.

Call the verbs (`http_request`, `intake_commit`, …); each is a few microseconds, children of labelled metrics
are kept. Labels hold closed words and route templates only, never a path, a tenant or a key, so that no
client can grow the number of series.

`serve --workers N`: before it starts the workers, the parent calls `share_between_processes()`; every worker
then keeps its figures in memory-mapped files of one folder, and any worker answers `/metrics` for all. In that
mode the `process_*` figures of a single worker would mislead and are left out.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client import generate_latest as _text
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from mainstem.platform.tally import TALLY, Requests

_FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PROBES: Final = ("/health", "/metrics", "/api/tracking-ingest/health")
_INGEST: Final = ("/api/v1/track", "/api/v1/events", "/api/tracking-ingest")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# the names below are untyped at their source
_collect_shared: Callable[[CollectorRegistry], object] = MultiProcessCollector
_mark_dead: Callable[[int], object] = mark_process_dead
_without_creation_times: Callable[[], object] = disable_created_metrics

REGISTRY: Final = CollectorRegistry()
_without_creation_times()
if _FOLDER_VARIABLE not in os.environ:
    ProcessCollector(registry=REGISTRY)

HTTP_REQUESTS: Final = Counter(
    "mainstem_http_requests", "Answered requests.", ["method", "route", "status"], registry=REGISTRY
)
HTTP_SECONDS: Final = Histogram(
    "mainstem_http_request_seconds", "Time to answer.", ["method", "route"], buckets=_SECONDS, registry=REGISTRY
)
INTAKE_GROUPS: Final = Counter("mainstem_intake_groups", "Group commits of the intake.", registry=REGISTRY)
INTAKE_EVENTS: Final = Counter(
    "mainstem_intake_events", "Events made durable, by where.", ["durable"], registry=REGISTRY
)
INTAKE_COMMIT_SECONDS: Final = Histogram(
    "mainstem_intake_commit_seconds", "Time of a group commit.", buckets=_SECONDS, registry=REGISTRY
)
INTAKE_REFUSED: Final = Counter(
    "mainstem_intake_refused", "Requests that could not be kept and were answered 503.", registry=REGISTRY
)
SPOOL_EVENTS: Final = Gauge(
    "mainstem_spool_events", "Events waiting in the local spool.", multiprocess_mode="livesum", registry=REGISTRY
)
LOADER_BATCHES: Final = Counter("mainstem_loader_batches", "Batches loaded into the vault.", registry=REGISTRY)
LOADER_EVENTS: Final = Counter(
    "mainstem_loader_events", "Events that left the raw layer, by outcome.", ["outcome"], registry=REGISTRY
)
LOADER_SECONDS: Final = Histogram(
    "mainstem_loader_seconds", "Time of a load transaction.", buckets=_SECONDS, registry=REGISTRY
)
LOADER_LAG_SECONDS: Final = Gauge(
    "mainstem_loader_lag_seconds",
    "Age of the newest loaded batch when it was loaded.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
REDIRECTS: Final = Counter(
    "mainstem_redirects", "Visits of short addresses, by what became of them.", ["fate"], registry=REGISTRY
)
CLICKS_LOST: Final = Counter(
    "mainstem_clicks_lost", "Clicks that neither PostgreSQL nor the spool could keep.", registry=REGISTRY
)
WEBHOOK_ATTEMPTS: Final = Counter(
    "mainstem_webhook_attempts", "Attempts to deliver, by what they met.", ["outcome"], registry=REGISTRY
)
WEBHOOK_SECONDS: Final = Histogram(
    "mainstem_webhook_seconds", "Time of an attempt to deliver.", buckets=_SECONDS, registry=REGISTRY
)
WEBHOOK_LAG_SECONDS: Final = Histogram(
    "mainstem_webhook_lag_seconds",
    "Time from queueing to delivery, of what was delivered at the first attempt.",
    buckets=_SECONDS,
    registry=REGISTRY,
)
CONNECTOR_REFUSED: Final = Counter(
    "mainstem_connector_refused",
    "Deliveries of sources whose signature does not hold, by why, and whether they were kept.",
    ["reason", "kept"],
    registry=REGISTRY,
)
CONNECTOR_DROPPED: Final = Counter(
    "mainstem_connector_dropped", "Refused deliveries and repetitions that made room for newer ones.", registry=REGISTRY
)
LIVE_CLIENTS: Final = Gauge(
    "mainstem_live_clients", "WebSocket clients of the live dashboard.", multiprocess_mode="livesum", registry=REGISTRY
)
LIVE_ENDED: Final = Counter(
    "mainstem_live_ended", "WebSocket connections that ended, by why.", ["reason"], registry=REGISTRY
)
CACHE_GETS: Final = Counter(
    "mainstem_cache_gets", "What was asked of the cache, by where it came from.", ["source"], registry=REGISTRY
)
RATE_LIMITED: Final = Counter("mainstem_rate_limited", "Requests refused by a limit.", ["limit"], registry=REGISTRY)
AUTH_FAILURES: Final = Counter("mainstem_auth_failures", "Refused credentials.", ["reason"], registry=REGISTRY)
ERRORS: Final = Counter("mainstem_errors", "Unexpected exceptions, by class.", ["kind"], registry=REGISTRY)


@lru_cache(maxsize=4096)
def _http_children(method: str, route: str, status: int) -> tuple[Counter, Histogram, Requests | None]:
    known = method if method in _METHODS else "OTHER"
    return HTTP_REQUESTS.labels(known, route, str(status)), HTTP_SECONDS.labels(known, route), _minute_of(method, route)


def _minute_of(method: str, route: str) -> Requests | None:
    """Return where a request counts in the minutes; probes, which come whether or not anybody does, count nowhere."""
    if route.startswith(_PROBES):
        return None
    return TALLY.ingest if method == "POST" and route.startswith(_INGEST) else TALLY.api


def http_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request under its route template (`/api/v1/webhooks/{id}`, or `unmatched`)."""
    requests, latency, minute = _http_children(method, route, status)
    requests.inc()
    latency.observe(seconds)
    if minute is not None:
        minute.count(status, seconds)


def intake_commit(events: int, seconds: float) -> None:
    """Count one group commit to PostgreSQL."""
    INTAKE_GROUPS.inc()
    INTAKE_EVENTS.labels("postgres").inc(events)
    INTAKE_COMMIT_SECONDS.observe(seconds)


def intake_spooled(events: int) -> None:
    """Count events that went to the local spool because PostgreSQL was away."""
    INTAKE_EVENTS.labels("spool").inc(events)


def intake_refused() -> None:
    """Count a request that neither PostgreSQL nor the spool could keep."""
    INTAKE_REFUSED.inc()


def spool_depth(events: int) -> None:
    """Set how many events this process's spool holds."""
    SPOOL_EVENTS.set(events)
    TALLY.spool_depth(events)


def load(*, batches: int, loaded: int, duplicates: int, rejected: int, seconds: float) -> None:
    """Count one committed load transaction."""
    LOADER_BATCHES.inc(batches)
    for outcome, events in (("loaded", loaded), ("duplicate", duplicates), ("rejected", rejected)):
        if events:
            LOADER_EVENTS.labels(outcome).inc(events)
    LOADER_SECONDS.observe(seconds)


def loader_lag(seconds: float) -> None:
    """Set the time from receiving to loading of the newest loaded batch."""
    LOADER_LAG_SECONDS.set(seconds)


def redirected(fate: str, visits: int) -> None:
    """Count visits of short addresses: `go`, `head`, `missed`, `unrecorded` or another closed word."""
    REDIRECTS.labels(fate).inc(visits)


def clicks_lost(clicks: int) -> None:
    """Count clicks whose visitors went on and that could not be kept."""
    CLICKS_LOST.inc(clicks)


def webhook_attempt(outcome: str, seconds: float) -> None:
    """Count one attempt to deliver: `delivered`, or a word for what was in the way."""
    WEBHOOK_ATTEMPTS.labels(outcome).inc()
    WEBHOOK_SECONDS.observe(seconds)


def webhook_lag(seconds: float) -> None:
    """Observe how long a delivery waited that arrived at the first attempt."""
    WEBHOOK_LAG_SECONDS.observe(seconds)


def connector_refused(reason: str, *, kept: bool) -> None:
    """Count a delivery of a source that was refused: `mismatch`, `no_signature`, …."""
    CONNECTOR_REFUSED.labels(reason, "yes" if kept else "no").inc()


def connector_dropped(deliveries: int) -> None:
    """Count deliveries that made room for newer ones."""
    CONNECTOR_DROPPED.inc(deliveries)


def live_clients(clients: int) -> None:
    """Set how many WebSocket clients this process has."""
    LIVE_CLIENTS.set(clients)


def live_ended(reason: str) -> None:
    """Count a WebSocket connection that ended: `left`, `slow`, `expired`, `revoked` or another closed word."""
    LIVE_ENDED.labels(reason).inc()


def cache_asked(source: str) -> None:
    """Count what was asked of the cache by where it came from: `local`, `shared` or `loaded`."""
    _cache_child(source).inc()


@lru_cache(maxsize=8)
def _cache_child(source: str) -> Counter:
    return CACHE_GETS.labels(source)


def rate_limited(limit: str) -> None:
    """Count a refusal by a limit: `api`, `ingest`, `public` or `sign_in`."""
    RATE_LIMITED.labels(limit).inc()


def auth_failed(reason: str) -> None:
    """Count refused credentials by a closed word: `missing`, `invalid`, `revoked`, `scope`, `tenant`, `origin`."""
    AUTH_FAILURES.labels(reason).inc()


def unexpected_error(error: BaseException) -> None:
    """Count an exception that nobody expected."""
    ERRORS.labels(type(error).__name__).inc()


def share_between_processes(folder: Path) -> None:
    """Make the workers started from now on keep their figures together in `folder`, which is emptied.

    To be called by the parent alone, before it starts workers: the environment tells them.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left_over in folder.glob("*.db"):
        left_over.unlink()
    os.environ[_FOLDER_VARIABLE] = str(folder)


def forget_process(process_id: int) -> None:
    """Drop the gauges of a worker that ended; its counters stay, so that no rate ever turns negative."""
    if _FOLDER_VARIABLE in os.environ:
        _mark_dead(process_id)


def render() -> tuple[bytes, str]:
    """Return the text of `/metrics`, of all workers, and its content type."""
    if _FOLDER_VARIABLE not in os.environ:
        return _text(REGISTRY), CONTENT_TYPE_LATEST
    shared = CollectorRegistry()
    _collect_shared(shared)
    return _text(shared), CONTENT_TYPE_LATEST


def router() -> APIRouter:
    """Return the route `GET /metrics`; the caller decides by METRICS_ENABLED whether to include it."""
    routes = APIRouter(tags=["health"])

    @routes.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def metrics() -> Response:
        """Return all counters in the Prometheus text format."""
        body, content_type = render()
        return Response(body, headers={"Content-Type": content_type})

    return routes
