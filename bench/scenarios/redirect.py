"""Redirects: one hot link and a million distinct ones, clicks durable before the answer, against the bare server.

The links are made in the database; visitors have some hundred browsers. "Cached" keeps all links in memory and meets each
of them before it is measured; "uncached" keeps a hundred, so that nearly every visit is looked up.
"""

from collections.abc import Sequence
from random import Random
from time import perf_counter
from typing import Final

from bench.bench import Bench, require_all
from bench.figure import Bar, Figure, compared
from bench.load_generator import Outcome, Plan, generate
from bench.process import Server, server
from bench.stats import percentile
from bench.traffic import browsers

_CONNECTIONS: Final = 256
_BAR: Final = Bar(sense="≥", value=0.5)
_LOOKUP: Final = Bar(sense="≤", value=5, unit="ms")
_SEED: Final = 5
_LINKS: Final = """
insert into links.tracked_link (tenant_id, slug, tracking_id, target_url)
select t.tenant_id, 'k' || n, 'k' || n, 'https://shop.example.com/offers/' || n || '?from=letter'
from platform.tenant t cross join generate_series(1, {links}) n where t.slug = 'default'
"""
_LOOKED_UP: Final = "select target_url from links.tracked_link where host = '' and slug = 'k{number}'"


def run(bench: Bench) -> list[Figure]:
    """Measure the hot link first and last, so that a slow-down by its own clicks would show."""
    cluster, links = bench.cluster, bench.sizes.links
    cluster.clear()
    cluster.execute("truncate links.tracked_link cascade")
    cluster.execute(_LINKS.format(links=links))
    cluster.execute("vacuum analyze links.tracked_link")
    many = _requests(bench, links)
    hot = _requests(bench, 1)
    found: dict[str, list[Outcome]] = {name: [] for name in ("bare", "hot", "million cached", "million uncached")}
    with (
        server(cluster, "bare") as bare,
        server(cluster, "serve", LINK_CACHE_SIZE=str(links * 3), LINK_CACHE_TTL_SECONDS="3600") as roomy,
        server(cluster, "serve", LINK_CACHE_SIZE="100") as narrow,
    ):
        for warmed in (roomy, narrow, bare):
            _visit(bench, warmed, hot, share=0.1)
        _visit(bench, roomy, many)
        for _ in range(bench.runs):
            cluster.clear()
            for name, target, requests in (
                ("bare", bare, hot),
                ("hot", roomy, hot),
                ("million cached", roomy, many),
                ("million uncached", narrow, many),
            ):
                found[name].append(_visit(bench, target, requests))
            bench.say("redirect: " + ", ".join(f"{name} {each[-1].per_second:,.0f}" for name, each in found.items()))
        alone = _lookups(bench, links)
    references = [outcome.per_second for outcome in found["bare"]]
    cluster.clear()
    return [
        Figure(name="bare ASGI on the same HTTP server, GET", runs=tuple(references), unit="req/s"),
        *(
            compared(f"redirect, {told}, to bare ASGI", _rates(found[name]), references, unit="req/s", bar=bar)
            for name, told, bar in (
                ("hot", "one hot link", _BAR),
                ("million cached", f"{len(many):,} distinct links of {links:,}, cached", _BAR),
                ("million uncached", f"{len(many):,} distinct links of {links:,}, each looked up", None),
            )
        ),
        *(
            Figure(name=f"redirect, {name}, p99", runs=tuple(one.latency_ms(0.99) for one in found[name]), unit="ms")
            for name in ("hot", "million cached", "million uncached")
        ),
        Figure(
            name=f"lookup in a table of {links:,} links, p99",
            runs=(percentile(alone, 0.99) * 1000,),
            unit="ms",
            bar=_LOOKUP,
        ),
    ]


def _requests(bench: Bench, links: int) -> list[bytes]:
    """Return visits of links from the first on, as many as one measurement sends, in no order."""
    random = Random(_SEED)
    agents = browsers(random)
    count = min(bench.sizes.visits, max(links, 1_000))
    numbers = random.sample(range(1, links + 1), count) if links > count else [n % links + 1 for n in range(count)]
    return [_visit_of(number, random.choice(agents)) for number in numbers]


def _visit_of(number: int, agent: str) -> bytes:
    lines = (
        f"GET /k{number} HTTP/1.1",
        "Host: 127.0.0.1",
        f"User-Agent: {agent}",
        "Accept: text/html,application/xhtml+xml",
        "Accept-Language: en-GB,en;q=0.8",
        "Referer: https://www.google.com/",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def _visit(bench: Bench, target: Server, requests: Sequence[bytes], *, share: float = 1.0) -> Outcome:
    total = int(bench.sizes.visits * share)
    outcome = generate(Plan(port=target.port, requests=requests, total=total, connections=_CONNECTIONS))
    require_all(outcome, {200, 302})
    return outcome


def _lookups(bench: Bench, links: int) -> list[float]:
    """Return the seconds of single lookups in the table, in no order."""
    random = Random(_SEED)
    took = []
    for _ in range(2_000):
        query = _LOOKED_UP.format(number=random.randint(1, links))
        started = perf_counter()
        bench.cluster.text(query)
        took.append(perf_counter() - started)
    return took


def _rates(outcomes: list[Outcome]) -> tuple[float, ...]:
    return tuple(outcome.per_second for outcome in outcomes)
