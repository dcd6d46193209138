"""Synchronous track: committed, loaded and answered, at a steady pace that does not wait for answers."""

from typing import Final

from bench.bench import Bench, require_all_good
from bench.figure import Bar, Figure
from bench.load_generator import Outcome, Plan, generate, request
from bench.process import server

_RATE: Final = 200.0
_CONNECTIONS: Final = 64
_DISTINCT: Final = 5_000
_P50: Final = Bar(sense="≤", value=15, unit="ms")
_P99: Final = Bar(sense="≤", value=60, unit="ms")


def run(bench: Bench) -> list[Figure]:
    """Measure `POST /api/v1/track` on the one process of `mainstem up`."""
    requests = [
        request("POST", "/api/v1/track", key=bench.cluster.key, body=body)
        for body in bench.traffic(4, _DISTINCT).events(_DISTINCT)
    ]
    outcomes: list[Outcome] = []
    bench.cluster.clear()
    with server(bench.cluster, "up") as found:
        total = bench.sizes.track_requests
        plan = Plan(port=found.port, requests=requests, total=total, connections=_CONNECTIONS, rate=_RATE)
        for number in range(bench.runs + 1):
            outcome = generate(plan)
            require_all_good(outcome)
            # the first one warms the plans and caches up
            if number:
                outcomes.append(outcome)
                bench.say(f"track: p50 {outcome.latency_ms(0.5):.1f} ms, p99 {outcome.latency_ms(0.99):.1f} ms")
    return [
        Figure(
            name=f"sync track at {_RATE:.0f}/s, {name}",
            runs=tuple(outcome.latency_ms(fraction) for outcome in outcomes),
            unit="ms",
            bar=bar,
        )
        for name, fraction, bar in (("p50", 0.5, _P50), ("p99", 0.99, _P99))
    ]
