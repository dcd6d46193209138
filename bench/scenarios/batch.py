"""Batch ingest against PostgreSQL's own COPY of the same rows into the same table.

The reference is a server-side `COPY raw.event FROM file`, binary, after a truncation: one backend that reads rows it
wrote itself, with nobody to answer. The measurement is 500 page views a request over HTTP, each answered after commit.
"""

from typing import Final

from bench.bench import PENDING, Bench, require_all_good
from bench.figure import Bar, Figure, compared
from bench.load_generator import Plan, generate, request
from bench.process import Server, Variant, await_zero, server

_EVENTS: Final = 500
_CONNECTIONS: Final = 12
_BAR: Final = Bar(sense="≥", value=0.6)


def run(bench: Bench) -> list[Figure]:
    """Measure without the loader, to which the bar applies, and with the loader in the same process."""
    requests = _requests(bench)
    alone, copied = _measure(bench, "serve", requests)
    beside, copied_too = _measure(bench, "up", requests)
    return [
        Figure(name="server-side COPY of the same rows", runs=(*copied, *copied_too), unit="events/s"),
        compared(f"batch ingest, {_EVENTS} a request, to COPY", alone, copied, unit="events/s", bar=_BAR),
        compared("batch ingest with the loader running, to COPY", beside, copied_too, unit="events/s"),
    ]


def _requests(bench: Bench) -> list[bytes]:
    traffic = bench.traffic(1, bench.sizes.batch_events)
    return [
        request("POST", "/api/v1/track/bulk", key=bench.cluster.key, body=traffic.bulk(_EVENTS))
        for _ in range(bench.sizes.batch_events // _EVENTS)
    ]


def _measure(bench: Bench, variant: Variant, requests: list[bytes]) -> tuple[list[float], list[float]]:
    """Return (events/s of the product, events/s of COPY) per run, measured in turn."""
    cluster = bench.cluster
    events = len(requests) * _EVENTS
    measured: list[float] = []
    copied: list[float] = []
    with server(cluster, variant) as found:
        cluster.clear()
        _send(found, requests)
        await_loaded(bench, variant)
        cluster.keep("raw.event")
        for _ in range(bench.runs):
            cluster.clear()
            copied.append(events / cluster.put_back("raw.event"))
            cluster.clear()
            measured.append(_send(found, requests))
            await_loaded(bench, variant)
            bench.say(f"batch, {variant}: {measured[-1]:,.0f} events/s, COPY {copied[-1]:,.0f}")
    cluster.clear()
    return measured, copied


def _send(found: Server, requests: list[bytes]) -> float:
    outcome = generate(Plan(port=found.port, requests=requests, total=len(requests), connections=_CONNECTIONS))
    require_all_good(outcome)
    return outcome.per_second * _EVENTS


def await_loaded(bench: Bench, variant: Variant) -> None:
    """Wait until a server that loads has loaded all."""
    if variant == "up":
        await_zero(bench.cluster, PENDING, timeout_s=600)
