"""What every scenario gets: the cluster, how much to do, and where to say what it is doing."""

import sys
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.cluster import Cluster
from bench.load_generator import Outcome
from bench.traffic import Traffic

PENDING: Final = "select count(*) from raw.batch where loaded_at is null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much each scenario does."""

    batch_events: int
    single_requests: int
    backlog_events: int
    track_requests: int
    query_requests: int
    idle_s: float
    startups: int
    links: int
    visits: int
    deliveries: int
    backlog_deliveries: int
    live_clients: int
    live_events: int
    bookings: int
    messages: int


FULL_LENGTH: Final = Sizes(
    batch_events=300_000,
    single_requests=60_000,
    backlog_events=1_000_000,
    track_requests=4_000,
    query_requests=1_000,
    idle_s=10.0,
    startups=5,
    links=1_000_000,
    visits=300_000,
    deliveries=50_000,
    backlog_deliveries=100_000,
    live_clients=1_000,
    live_events=600,
    bookings=500,
    messages=300,
)
QUICK: Final = Sizes(
    batch_events=100_000,
    single_requests=20_000,
    backlog_events=100_000,
    track_requests=1_000,
    query_requests=300,
    idle_s=5.0,
    startups=3,
    links=1_000_000,
    visits=100_000,
    deliveries=20_000,
    backlog_deliveries=100_000,
    live_clients=1_000,
    live_events=200,
    bookings=100,
    messages=60,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One bench run."""

    cluster: Cluster
    runs: int
    sizes: Sizes
    quiet: bool = False

    def say(self, text: str) -> None:
        """Tell a waiting person how far it is."""
        if not self.quiet:
            sys.stderr.write(f"  {text}\n")

    def traffic(self, seed: int, events: int) -> Traffic:
        """Return visitors whose page views, so many, end about now."""
        step = timedelta(milliseconds=20)
        return Traffic(seed, start=datetime.now(UTC) - step * events, step=step)


def require_all_good(outcome: Outcome) -> None:
    """Refuse a measurement in which an answer was not 200. Raises RuntimeError."""
    require_all(outcome, {200})


def require_all(outcome: Outcome, statuses: Collection[int]) -> None:
    """Refuse a measurement in which an answer had another status. Raises RuntimeError."""
    if not set(outcome.statuses) <= set(statuses):
        msg = f"answers were not all {sorted(statuses)}: {outcome.statuses}"
        raise RuntimeError(msg)
