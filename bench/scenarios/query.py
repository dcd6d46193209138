"""The reading side after a backlog was loaded: dashboard and status, one reader."""

from typing import Final

from bench.bench import PENDING, Bench, require_all_good
from bench.figure import Bar, Figure
from bench.load_generator import Outcome, Plan, generate, request
from bench.process import await_zero, server, worker
from bench.scenarios.load import fill

_P99: Final = Bar(sense="≤", value=50, unit="ms")
_PATHS: Final = ("/api/v1/track/dashboard?limit=20", "/api/v1/track/status")
_STORED: Final = "select coalesce(sum(loaded), 0) from business.pipeline_total"


def run(bench: Bench) -> list[Figure]:
    """Query what the load scenario left behind; make it first when there is nothing."""
    cluster = bench.cluster
    if cluster.number(_STORED) < bench.sizes.backlog_events:
        cluster.clear()
        fill(bench, bench.sizes.backlog_events)
        with worker(cluster):
            await_zero(cluster, PENDING, timeout_s=bench.sizes.backlog_events / 1_000 + 60)
    stored = int(cluster.number(_STORED))
    figures: list[Figure] = []
    # the limit on reads is lifted: it would answer 429 after a hundred
    with server(cluster, "serve", RATE_LIMIT_REQUESTS="10000000") as found:
        for path in _PATHS:
            plan = Plan(
                port=found.port,
                requests=[request("GET", path, key=cluster.key)],
                total=bench.sizes.query_requests,
                connections=1,
            )
            outcomes: list[Outcome] = [generate(plan) for _ in range(bench.runs)]
            for outcome in outcomes:
                require_all_good(outcome)
            bench.say(f"GET {path}: p50 {outcomes[-1].latency_ms(0.5):.1f} ms, p99 {outcomes[-1].latency_ms(0.99):.1f}")
            figures += [
                Figure(
                    name=f"GET {path}, {stored:,} events stored, {name}",
                    runs=tuple(outcome.latency_ms(fraction) for outcome in outcomes),
                    unit="ms",
                    bar=bar,
                )
                for name, fraction, bar in (("p50", 0.5, None), ("p99", 0.99, _P99))
            ]
    return figures
