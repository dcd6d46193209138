"""Single-event ingest: 64 connections, one page view a request, answered after commit.

The reference is the same server with a log that keeps nothing (`bench.serve`): all of the product's work for a
request but the storing. The bare server shows what HTTP itself costs, and is for information.
"""

from contextlib import ExitStack
from typing import Final

from bench.bench import Bench, require_all_good
from bench.figure import Bar, Figure, compared
from bench.load_generator import Outcome, Plan, generate, request
from bench.process import Server, server
from bench.scenarios.batch import await_loaded

_CONNECTIONS: Final = 64
_DISTINCT: Final = 20_000
_BAR: Final = Bar(sense="≥", value=0.3)
_P99: Final = Bar(sense="≤", value=30, unit="ms")


def run(bench: Bench) -> list[Figure]:
    """Measure without the loader, to which the bars apply, and with the loader in the same process."""
    traffic = bench.traffic(2, _DISTINCT)
    requests = [
        request("POST", "/api/v1/track/async", key=bench.cluster.key, body=body) for body in traffic.events(_DISTINCT)
    ]
    bare: list[Outcome] = []
    memory: list[Outcome] = []
    alone: list[Outcome] = []
    with ExitStack() as stack:
        servers = [stack.enter_context(server(bench.cluster, variant)) for variant in ("bare", "memory", "serve")]
        for found in servers:
            _send(bench, found, requests, share=0.1)
        for _ in range(bench.runs):
            bench.cluster.clear()
            for found, outcomes in zip(servers, (bare, memory, alone), strict=True):
                outcomes.append(_send(bench, found, requests))
            bench.say(_told("single", bare[-1], memory[-1], alone[-1]))
    beside = _with_loader(bench, requests)
    references = [outcome.per_second for outcome in memory]
    return [
        Figure(name="bare ASGI on the same HTTP server", runs=_rates(bare), unit="req/s"),
        Figure(name="the same server without a database", runs=_rates(memory), unit="req/s"),
        compared(
            f"single-event ingest, {_CONNECTIONS} connections, to the same server without a database",
            _rates(alone),
            references,
            unit="req/s",
            bar=_BAR,
        ),
        Figure(name="single-event ingest, p50", runs=_latencies(alone, 0.5), unit="ms"),
        Figure(name="single-event ingest, p99", runs=_latencies(alone, 0.99), unit="ms", bar=_P99),
        compared("single-event ingest with the loader running", _rates(beside), references, unit="req/s"),
        Figure(name="single-event ingest with the loader running, p99", runs=_latencies(beside, 0.99), unit="ms"),
    ]


def _with_loader(bench: Bench, requests: list[bytes]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with server(bench.cluster, "up") as found:
        for _ in range(bench.runs):
            bench.cluster.clear()
            outcomes.append(_send(bench, found, requests))
            await_loaded(bench, "up")
            bench.say(_told("single, with loader", outcomes[-1]))
    bench.cluster.clear()
    return outcomes


def _send(bench: Bench, found: Server, requests: list[bytes], *, share: float = 1.0) -> Outcome:
    total = int(bench.sizes.single_requests * share)
    outcome = generate(Plan(port=found.port, requests=requests, total=total, connections=_CONNECTIONS))
    require_all_good(outcome)
    return outcome


def _rates(outcomes: list[Outcome]) -> tuple[float, ...]:
    return tuple(outcome.per_second for outcome in outcomes)


def _latencies(outcomes: list[Outcome], fraction: float) -> tuple[float, ...]:
    return tuple(outcome.latency_ms(fraction) for outcome in outcomes)


def _told(name: str, *outcomes: Outcome) -> str:
    shown = (f"{outcome.per_second:,.0f} req/s p99 {outcome.latency_ms(0.99):.1f} ms" for outcome in outcomes)
    return f"{name}: {'; '.join(shown)}"
