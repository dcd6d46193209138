"""One round: read the metrics once for all tenants, decide about every rule, write what changed.

A tenant of whom nothing is the matter costs no transaction. Reads no clock: `now` is passed in. All that is remembered
between two rounds is in the database, so any process may judge the next.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import structlog

from mainstem.alerts import store
from mainstem.alerts.compose import sentence
from mainstem.alerts.decide import CLEAR, GAP, Blank, Decision, Phase, State, Step, decide, meets
from mainstem.alerts.labels import fingerprint
from mainstem.alerts.model import OPERATOR, Rule, rule_of
from mainstem.platform.clock import rfc3339
from mainstem.platform.db import Connection, is_transient, load_queries
from mainstem.platform.measure import Metric, Sample, Scope

MOST_INSTANCES: Final = 1_000
"""Values of one metric of a tenant that a rule looks at."""
_READ_S: Final = 10.0
_sql: Final = load_queries("mainstem.alerts", "judge.sql")
_rules_sql: Final = load_queries("mainstem.alerts", "rules.sql")
_log = structlog.get_logger(__name__)

Reading = Sample | Blank


@dataclass(frozen=True, slots=True)
class Looked:
    """What a rule sees of one thing."""

    labels: Mapping[str, str]
    reading: Reading


@dataclass(slots=True)
class Readings:
    """The samples of a round, read when they are first asked for."""

    connection: Connection
    metrics: Mapping[str, Metric]
    now: datetime
    _read: dict[tuple[str, timedelta], Mapping[int | None, Sequence[Sample]] | None] = field(default_factory=dict)

    async def of(self, rule: Rule) -> Sequence[Sample]:
        """Return the samples that a rule looks at; none when nothing is known."""
        metric = self.metrics.get(rule.metric)
        if metric is None or (metric.scope is Scope.INSTALLATION and rule.tenant != OPERATOR):
            return ()
        key = rule.metric, rule.window
        if key not in self._read:
            self._read[key] = await self._ask(metric, rule.window)
        found = self._read[key]
        owner = rule.tenant_id if metric.scope is Scope.TENANT else None
        return () if found is None else found.get(owner, ())

    async def _ask(self, metric: Metric, window: timedelta) -> Mapping[int | None, Sequence[Sample]] | None:
        found: dict[int | None, list[Sample]] = defaultdict(list)
        try:
            # a savepoint where a transaction is open: a metric that fails must not take the round along
            async with asyncio.timeout(_READ_S), self.connection.transaction():
                for sample in await metric.read(self.connection, self.now - window, self.now):
                    found[sample.tenant_id].append(sample)
        except Exception as error:
            if self.connection.is_closed():
                raise
            _log.warning("metric_not_read", metric=metric.name, reason=f"{type(error).__name__}: {error}")
            return None
        return found


@dataclass(slots=True)
class Outcome:
    """What a round did."""

    rules: int = 0
    raised: int = 0
    resolved: int = 0


async def judge(
    connection: Connection, metrics: Mapping[str, Metric], now: datetime, *, gap: timedelta = GAP
) -> Outcome:
    """Judge all rules at `now`. The connection is the owner's, outside of a transaction.

    Raises what says that the database is away; what is wrong with one tenant is logged and harms the others not.
    """
    rules = [rule_of(row) for row in await connection.fetch(_rules_sql["enabled"])]
    readings = Readings(connection, metrics, now)
    busy = {row["tenant_id"] for row in await connection.fetch(_sql["instances"])}
    for rule in rules:
        if rule.tenant_id not in busy:
            looked = look(rule, await readings.of(rule), ())
            if any(meets(rule.terms, one.reading) for one in looked.values()):
                busy.add(rule.tenant_id)
    outcome = Outcome(rules=len(rules))
    for tenant_id in sorted(busy):
        await _alone(connection, tenant_id, readings, outcome, gap)
    for row in await connection.fetch(_sql["orphans"]):
        async with connection.transaction():
            outcome.resolved += len(await store.resolve(connection, row["tenant_id"], row["ids"], now, by="rule"))
    return outcome


def look(rule: Rule, samples: Sequence[Sample], known: Sequence[asyncpg.Record]) -> dict[str, Looked]:
    """Return by fingerprint what a rule sees of its samples and of what it remembers. Pure."""
    base = rule.labels_of({})
    if not samples:
        looked = {fingerprint(rule.source, base): Looked(base, Blank.NO_DATA)}
        return looked | {row["fingerprint"]: Looked(json.loads(row["labels"]), Blank.NO_DATA) for row in known}
    looked = {row["fingerprint"]: Looked(json.loads(row["labels"]), Blank.GONE) for row in known}
    for sample in samples[:MOST_INSTANCES]:
        labels = rule.labels_of(sample.labels)
        looked[fingerprint(rule.source, labels)] = Looked(labels, sample)
    return looked


async def _alone(connection: Connection, tenant_id: int, readings: Readings, outcome: Outcome, gap: timedelta) -> None:
    try:
        async with connection.transaction():
            await _judge_tenant(connection, tenant_id, readings, outcome, gap)
    except Exception as error:
        if connection.is_closed() or is_transient(error):
            raise
        _log.exception("tenant_not_judged", tenant_id=tenant_id)


async def _judge_tenant(
    connection: Connection, tenant_id: int, readings: Readings, outcome: Outcome, gap: timedelta
) -> None:
    # nobody changes or deletes a rule while it is judged
    rules = [rule_of(row) for row in await connection.fetch(_rules_sql["enabled_of"], tenant_id)]
    kept: dict[int, dict[str, asyncpg.Record]] = defaultdict(dict)
    for row in await connection.fetch(_sql["instances_of"], tenant_id):
        kept[row["rule_id"]][row["fingerprint"]] = row
    changes = _Changes()
    for rule in rules:
        known = kept.pop(rule.rule_id, {})
        for print_, looked in look(rule, await readings.of(rule), list(known.values())).items():
            before = known.get(print_)
            decision = decide(rule.terms, _state(before), looked.reading, readings.now, gap=gap)
            changes.note(rule, print_, looked, decision, before, readings)
    # their rules are switched off: their alerts are found as orphans
    changes.gone += [(row["rule_id"], row["fingerprint"]) for some in kept.values() for row in some.values()]
    await changes.write(connection, tenant_id, readings.now)
    outcome.raised += len(changes.occurrences)
    outcome.resolved += len(changes.over)


@dataclass(slots=True)
class _Changes:
    """What a round changes of a tenant."""

    occurrences: list[store.Occurrence] = field(default_factory=list)
    over: list[int] = field(default_factory=list)
    instances: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By fingerprint."""
    gone: list[tuple[int, str]] = field(default_factory=list)

    def note(  # noqa: PLR0913, PLR0917 - what was decided, of what
        self,
        rule: Rule,
        print_: str,
        looked: Looked,
        decision: Decision,
        before: asyncpg.Record | None,
        readings: Readings,
    ) -> None:
        """Take up a decision."""
        if decision.step is Step.RAISE:
            self.occurrences.append(_occurrence(rule, print_, looked, decision.state, readings))
        elif decision.step is Step.RESOLVE and before is not None:
            self.over.append(before["alert_id"])
        if decision.state.phase is not Phase.CLEAR:
            self.instances[print_] = _instance(rule, print_, looked, decision.state, before)
        elif before is not None:
            self.gone.append((rule.rule_id, print_))

    async def write(self, connection: Connection, tenant_id: int, now: datetime) -> None:
        """Write them: groups before alerts, as everybody locks them."""
        if self.occurrences:
            for alert in await store.raise_all(connection, tenant_id, self.occurrences, now):
                self.instances[alert.fingerprint]["alert_id"] = alert.alert_id
        if self.over:
            await store.resolve(connection, tenant_id, self.over, now)
        if self.gone:
            await connection.execute(_sql["forget"], [one[0] for one in self.gone], [one[1] for one in self.gone])
        if self.instances:
            await connection.execute(_sql["keep"], tenant_id, json.dumps(list(self.instances.values())))


def _state(row: asyncpg.Record | None) -> State:
    if row is None:
        return CLEAR
    if row["phase"] == "pending":
        return State(Phase.PENDING, row["since"], None, row["seen_at"])
    if row["alert_status"] == "resolved":
        # somebody ended it by hand: what goes on is a new episode
        return CLEAR
    phase = Phase.ACKNOWLEDGED if row["alert_status"] == "acknowledged" else Phase.FIRING
    return State(phase, row["since"], row["clear_since"], row["seen_at"])


def _instance(rule: Rule, print_: str, looked: Looked, state: State, before: asyncpg.Record | None) -> dict[str, Any]:
    sample = looked.reading if isinstance(looked.reading, Sample) else None
    return {
        "rule_id": rule.rule_id,
        "fingerprint": print_,
        "labels": dict(looked.labels),
        "phase": "firing" if state.is_open else "pending",
        "since": _text(state.since),
        "clear_since": _text(state.clear_since),
        "seen_at": _text(state.seen_at),
        "value": None if sample is None else sample.value,
        "volume": None if sample is None else sample.volume,
        "alert_id": before["alert_id"] if before is not None and state.is_open else None,
    }


def _occurrence(rule: Rule, print_: str, looked: Looked, state: State, readings: Readings) -> store.Occurrence:
    metric = readings.metrics.get(rule.metric)
    sample = looked.reading if isinstance(looked.reading, Sample) else None
    return store.Occurrence(
        source="rule",
        rule_id=rule.rule_id,
        fingerprint=print_,
        alert_type=rule.name,
        severity=rule.severity,
        message=sentence(rule, metric.unit if metric is not None else "", looked.reading),
        labels=looked.labels,
        started_at=state.since or readings.now,
        route=rule.route,
        value=None if sample is None else sample.value,
        no_data=sample is None,
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
