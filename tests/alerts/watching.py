"""Helpers of the tests of alerts: metrics whose values a test sets, and rounds at times that it names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from mainstem.alerts.compose import Place
from mainstem.alerts.judge import Outcome
from mainstem.alerts.notify import Teller
from mainstem.alerts.run import Alerting, one_round
from mainstem.platform.db import Connection, Pool
from mainstem.platform.mail import Mailer
from mainstem.platform.measure import Metric, Sample, Scope
from mainstem.platform.outbox import Outbox
from mainstem.platform.settings import Settings

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
STEP = timedelta(seconds=15)
PLACE = Place("https://hub.example.org", ZoneInfo("Europe/Berlin"))


@dataclass
class Gauge:
    """A metric that says what the test says."""

    name: str
    scope: Scope = Scope.TENANT
    samples: list[Sample] = field(default_factory=list)
    error: str = ""
    """SQL that fails when it is read."""
    windows: list[timedelta] = field(default_factory=list)

    async def read(self, connection: Connection, since: datetime, until: datetime) -> Sequence[Sample]:
        self.windows.append(until - since)
        if self.error:
            await connection.execute(self.error)
        return self.samples

    @property
    def metric(self) -> Metric:
        return Metric(self.name, "ms", self.scope, "Said by a test.", self.read)


def alerting(
    *gauges: Gauge, smtp: str | None = None, mail_to: Sequence[str] = (), interval: timedelta = STEP
) -> Alerting:
    """Return what a process has that judges these gauges."""
    settings = Settings(_env_file=None, smtp_url=smtp, mail_from="alerts@hub.example.org", mail_to=list(mail_to))
    outbox = Outbox(Mailer(settings), settings.mail_to)
    return Alerting({one.name: one.metric for one in gauges}, Teller(outbox, PLACE), interval)


async def add_rule(connection: asyncpg.Connection, tenant_id: int, name: str, metric: str, **fields: object) -> int:
    """Insert a rule: above 500 at once, and over at once, unless told otherwise."""
    row = {
        "metric": metric,
        "comparison": ">",
        "threshold": 500.0,
        "severity": "WARNING",
        "keep_firing_s": 0,
        "no_data": "ok",
        **fields,
    }
    names = ", ".join(row)
    values = ", ".join(f"${number}" for number in range(3, len(row) + 3))
    return await connection.fetchval(
        f"insert into alerts.rule (tenant_id, name, {names}) values ($1, $2, {values}) returning rule_id",
        tenant_id,
        name,
        *row.values(),
    )


async def rounds(pool: Pool, watch: Alerting, first: int, last: int) -> Outcome:
    """Judge at START + n steps, for each n from `first` to `last`; return what they did together."""
    done = Outcome()
    for number in range(first, last + 1):
        outcome = await one_round(pool, watch, START + number * STEP)
        assert outcome is not None
        done.raised += outcome.raised
        done.resolved += outcome.resolved
    return done


async def no_shipped_rules(connection: asyncpg.Connection) -> None:
    """Keep the shipped rules away: the test has its own."""
    await connection.execute("insert into alerts.seeded select tenant_id, 1000 from platform.tenant")


async def told(connection: asyncpg.Connection, kind: str) -> list[dict]:
    """Return the data of the events of a kind, in order."""
    await connection.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=__import__("json").loads)
    rows = await connection.fetch("select data from raw.event where kind = $1 order by raw_id", kind)
    return [row["data"] for row in rows]
