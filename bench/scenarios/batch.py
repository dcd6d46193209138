"""Batch ingest against PostgreSQL's own COPY of the same rows into the same table.

The reference is a server-side `COPY raw.event FROM file` after a truncation: one backend that reads rows it wrote
itself, with nobody to answer. It is measured in both formats of COPY: text, PostgreSQL's default, to which the bar
applies, and binary. The measurement is 500 page views a request over HTTP, each answered after commit.
"""

from typing import Final

from bench.bench import PENDING, Bench, require_all_good
from bench.cluster import Form
from bench.figure import Bar, Figure, compared
from bench.load_generator import Plan, generate, request
from bench.process import Server, Variant, await_zero, server

_EVENTS: Final = 500
_CONNECTIONS: Final = 64
_FORMS: Final[tuple[Form, ...]] = ("text", "binary")
_BAR: Final = Bar(sense="≥", value=0.6)


def run(bench: Bench) -> list[Figure]:
    """Measure one and two serving processes, and the loader in the same process; the bar is for two without it."""
    requests = _requests(bench)
    both = _measure(bench, "serve", requests, processes=2)
    one = _measure(bench, "serve", requests, processes=1)
    beside = _measure(bench, "up", requests, processes=1)
    text, binary = (
        Figure(
            name=f"server-side COPY of the same rows, {form}",
            runs=tuple(run[form] for measured in (both, one, beside) for run in measured),
            unit="events/s",
        )
        for form in _FORMS
    )
    name = f"batch ingest, {_EVENTS} a request"
    return [
        text,
        binary,
        _ratio(f"{name}, 2 processes, to COPY in text", both, "text", _BAR),
        _ratio(f"{name}, 2 processes, to binary COPY", both, "binary"),
        _ratio(f"{name}, 1 process, to COPY in text", one, "text"),
        _ratio(f"{name}, with the loader in the process, to COPY in text", beside, "text"),
    ]


def _ratio(name: str, measured: list[dict[str, float]], form: Form, bar: Bar | None = None) -> Figure:
    ours, theirs = [run["ingest"] for run in measured], [run[form] for run in measured]
    return compared(name, ours, theirs, unit="events/s", bar=bar)


def _requests(bench: Bench) -> list[bytes]:
    traffic = bench.traffic(1, bench.sizes.batch_events)
    return [
        request("POST", "/api/v1/track/bulk", key=bench.cluster.key, body=traffic.bulk(_EVENTS))
        for _ in range(bench.sizes.batch_events // _EVENTS)
    ]


def _measure(bench: Bench, variant: Variant, requests: list[bytes], *, processes: int) -> list[dict[str, float]]:
    """Return per run the events/s of the product and of COPY in each format, measured in turn."""
    cluster = bench.cluster
    events = len(requests) * _EVENTS
    found: list[dict[str, float]] = []
    with server(cluster, variant, API_WORKERS=str(processes)) as serving:
        cluster.clear()
        _send(serving, requests)
        await_loaded(bench, variant)
        for form in _FORMS:
            cluster.keep("raw.event", form)
        for _ in range(bench.runs):
            run: dict[str, float] = {}
            for form in _FORMS:
                cluster.clear()
                run[form] = events / cluster.put_back("raw.event", form)
            cluster.clear()
            run["ingest"] = _send(serving, requests)
            await_loaded(bench, variant)
            found.append(run)
            told = ", ".join(f"{what} {rate:,.0f}" for what, rate in run.items())
            bench.say(f"batch, {variant} in {processes}: {told} events/s")
    cluster.clear()
    return found


def _send(found: Server, requests: list[bytes]) -> float:
    outcome = generate(Plan(port=found.port, requests=requests, total=len(requests), connections=_CONNECTIONS))
    require_all_good(outcome)
    return outcome.per_second * _EVENTS


def await_loaded(bench: Bench, variant: Variant) -> None:
    """Wait until a server that loads has loaded all."""
    if variant == "up":
        await_zero(bench.cluster, PENDING, timeout_s=600)
