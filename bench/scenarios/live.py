"""Live: a thousand WebSocket clients of one tenant, and how long an event takes until the last of them has it."""

from typing import Final

from bench.bench import Bench
from bench.figure import Bar, Figure
from bench.live_clients import Plan, watch
from bench.process import memory_mb, server
from bench.stats import percentile

_RATE: Final = 10.0
_P99: Final = Bar(sense="≤", value=500, unit="ms")


def run(bench: Bench) -> list[Figure]:
    """Measure on the one process of `mainstem up`, which takes the events in, loads them, and sends them on."""
    clients = bench.sizes.live_clients
    p50: list[float] = []
    p99: list[float] = []
    memory: list[float] = []
    for _ in range(bench.runs):
        # the same names again would be repeats of events that are loaded
        bench.cluster.clear()
        with server(bench.cluster, "up") as found:
            plan = Plan(
                port=found.port, key=bench.cluster.key, clients=clients, events=bench.sizes.live_events, rate=_RATE
            )
            latencies = watch(plan)
            memory.append(memory_mb(found.pid))
        p50.append(percentile(latencies, 0.5) * 1_000)
        p99.append(percentile(latencies, 0.99) * 1_000)
        bench.say(f"live: p50 {p50[-1]:.0f} ms, p99 {p99[-1]:.0f} ms, {memory[-1]:.0f} MB")
    what = f"event sent → received by all of {clients:,} WebSocket clients, {_RATE:.0f} events/s"
    return [
        Figure(name=f"{what}, p50", runs=tuple(p50), unit="ms"),
        Figure(name=f"{what}, p99", runs=tuple(p99), unit="ms", bar=_P99),
        Figure(name=f"`mainstem up` with {clients:,} WebSocket clients, resident", runs=tuple(memory), unit="MB"),
    ]
