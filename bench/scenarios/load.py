"""Raw to business: a backlog is made by the real intake code, then a process that only loads takes it.

The rate is read from the ledger, between the commits of the first and the last load, so that neither the start of the
process nor this program's own polling counts.
"""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bench.bench import PENDING, Bench
from bench.figure import Bar, Figure
from bench.process import await_zero, memory_mb, run_command, worker
from mainstem.events.log import PendingGroup, PostgresLog
from mainstem.events.model import NewEvent
from mainstem.events.receive import Sender
from mainstem.platform.clock import utc_now
from mainstem.site.receive import site_event

_GROUP_EVENTS: Final = 1_000
_RATE: Final = Bar(sense="≥", value=25_000, unit="events/s")
_COST: Final = Bar(sense="≤", value=1.3)
_WINDOW_EVENTS: Final = 50_000
_MOST_FOR_ONE: Final = 1_000_000
_LOADS: Final = """
select extract(epoch from max(loaded_at)), sum(sum(loaded)) over (order by load_ts)
from raw.batch where loaded > 0 group by load_ts order by load_ts
"""


def run(bench: Bench) -> list[Figure]:
    """Load the same backlog as often as there are runs, each time into an empty vault; the bar is for two processes."""
    cluster = bench.cluster
    cluster.clear()
    events = bench.sizes.backlog_events
    fill(bench, events)
    for table in ("raw.batch", "raw.event"):
        cluster.keep(table)
    both = [load_kept(bench, events, processes=2) for _ in range(bench.runs)]
    # of ten millions, the hours are better spent otherwise
    one = [load_kept(bench, events, processes=1)] if events <= _MOST_FOR_ONE else []
    checks = [run_command(cluster, "vault", "check", "--json") for _ in range(2)]
    bench.say(f"check: {checks[0]:.1f} s, again {checks[1]:.1f} s")
    costs = [
        rate(run.loads, 0, _WINDOW_EVENTS * 2) / rate(run.loads, events - _WINDOW_EVENTS * 2, events) for run in both
    ]
    rates, rates_of_one = ([rate(run.loads, 0, events) for run in measured] for measured in (both, one))
    peaks = tuple(run.peak_mb for run in (*both, *one))
    name = f"raw → business, backlog of {events:,}"
    return [
        Figure(name=f"{name}, 2 processes", runs=tuple(rates), unit="events/s", bar=_RATE),
        *([Figure(name=f"{name}, 1 process", runs=tuple(rates_of_one), unit="events/s")] if one else []),
        Figure(
            name=f"cost per event at {events:,} stored, to that at {_WINDOW_EVENTS * 2:,}",
            runs=tuple(costs),
            unit="times",
            bar=_COST if events > _WINDOW_EVENTS * 2 else None,
        ),
        Figure(
            name=f"`mainstem vault check` of {events:,} events, none of them checked before",
            runs=(checks[0],),
            unit="s",
        ),
        Figure(name="the same again", runs=(checks[1],), unit="s"),
        Figure(name=f"most memory of a loading process, backlog of {events:,}", runs=peaks, unit="MB"),
    ]


@dataclass(frozen=True, slots=True)
class Loaded:
    """One loading of the backlog."""

    loads: list[tuple[float, int]]
    """(Unix time of a commit, events stored by then) of every load."""
    peak_mb: float
    """Most resident memory of a loading process at any time."""


def load_kept(bench: Bench, events: int, *, processes: int) -> Loaded:
    """Put the backlog back and load it."""
    cluster = bench.cluster
    cluster.clear()
    for table in ("raw.batch", "raw.event"):
        cluster.put_back(table)
    cluster.execute("vacuum analyze raw.batch, raw.event")
    with ExitStack() as stack:
        pids = [stack.enter_context(worker(cluster, number)) for number in range(processes)]
        await_zero(cluster, PENDING, timeout_s=events / 1_000 + 60)
        peak_mb = max(memory_mb(pid, "VmHWM") for pid in pids)
    loads = [(at, int(loaded)) for at, loaded in cluster.numbers(_LOADS)]
    bench.say(f"load in {processes}: {rate(loads, 0, events):,.0f} events/s, at most {peak_mb:.0f} MB")
    return Loaded(loads, peak_mb)


def rate(loads: list[tuple[float, int]], start: int, end: int) -> float:
    """Return events/s between the loads that pass two counts of stored events.

    `loads` are (Unix time of the commit, events stored by then), in order.
    """
    within = [load for load in loads if start <= load[1] <= end] or loads
    (first_at, first), (last_at, last) = within[0], within[-1]
    return (last - first) / (last_at - first_at) if last_at > first_at else float("nan")


def fill(bench: Bench, events: int) -> None:
    """Put a backlog into the landing by the code that takes events in."""
    asyncio.run(_fill(bench, events))


async def _fill(bench: Bench, events: int) -> None:
    log = PostgresLog(bench.cluster.dsn)
    tenant_id = int(bench.cluster.number("select tenant_id from platform.tenant where slug = 'default'"))
    traffic = bench.traffic(3, events)
    try:
        for _ in range(events // _GROUP_EVENTS):
            group = _received(list(traffic.events(_GROUP_EVENTS)), tenant_id)
            await log.append([PendingGroup(tenant_id, "http", group)])
    finally:
        await log.close()


def _received(texts: list[bytes], tenant_id: int) -> list[NewEvent]:
    sender = sender_of(tenant_id)
    return [site_event(text, sender)[0] for text in texts]


def sender_of(tenant_id: int) -> Sender:
    """Return a server that sends for its visitors now."""
    return Sender(
        tenant_id=tenant_id,
        received_at=utc_now(),
        ip=None,
        user_agent=None,
        server=True,
        future_tolerance=timedelta(minutes=5),
        stored_ip=lambda ip: ip,
        visitor_key=lambda _tenant, ip, agent, _at: f"h:{hash((ip, agent)) & 0xFFFF_FFFF:x}",
    )
