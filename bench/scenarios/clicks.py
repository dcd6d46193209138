"""Clicks to business: a backlog of clicks on many links, read by the real contract code, then loaded."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import msgspec

from bench.bench import Bench
from bench.figure import Bar, Figure
from bench.scenarios.load import load_kept, rate, sender_of
from bench.traffic import browsers
from mainstem.events.log import PendingGroup, PostgresLog
from mainstem.links.receive import click_event

_GROUP_EVENTS: Final = 1_000
_LINKS: Final = 10_000
_RATE: Final = Bar(sense="≥", value=25_000, unit="events/s")
_SEED: Final = 7
_REFERRERS: Final = (None, "https://www.google.com/", "https://m.facebook.com/story", "https://blog.example.org/walks")


def run(bench: Bench) -> list[Figure]:
    """Load the same backlog of clicks as often as there are runs, with two processes."""
    cluster, events = bench.cluster, bench.sizes.backlog_events
    cluster.clear()
    asyncio.run(_fill(bench, events))
    for table in ("raw.batch", "raw.event"):
        cluster.keep(table)
    loaded = [load_kept(bench, events, processes=2) for _ in range(bench.runs)]
    rates = tuple(rate(run.loads, 0, events) for run in loaded)
    name = f"clicks → business, backlog of {events:,} on {_LINKS:,} links, 2 processes"
    return [Figure(name=name, runs=rates, unit="events/s", bar=_RATE)]


async def _fill(bench: Bench, events: int) -> None:
    log = PostgresLog(bench.cluster.dsn)
    tenant_id = int(bench.cluster.number("select tenant_id from platform.tenant where slug = 'default'"))
    random = Random(_SEED)
    agents = browsers(random)
    at = datetime.now(UTC) - timedelta(milliseconds=20) * events
    try:
        for _ in range(events // _GROUP_EVENTS):
            sender = sender_of(tenant_id)
            group = []
            for _ in range(_GROUP_EVENTS):
                at += timedelta(milliseconds=20)
                click = {
                    # the square makes some links popular
                    "tracking_id": f"k{int(random.random() ** 2 * _LINKS)}",
                    "clicked_at": at.isoformat(),
                    "ip_address": f"198.51.{random.randrange(256)}.{random.randrange(256)}",
                    "user_agent": random.choice(agents),
                    "referrer_url": random.choice(_REFERRERS),
                }
                group.append(click_event(msgspec.json.encode(click), sender)[0])
            await log.append([PendingGroup(tenant_id, "http", group)])
    finally:
        await log.close()
