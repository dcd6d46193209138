"""What attempts come to, written down in groups: queue, deliveries, log and figures of all of them in one transaction.

`summaries` and `minutes` are pure. An attempt that is no longer this worker's (its lease ran out and another has it) is
ignored, figures included.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from mainstem.events.record import Change, record_all
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.live import tell
from mainstem.webhooks.fanout import OWN_KINDS
from mainstem.webhooks.retry import Delivered, GiveUp, RetryAt, Step, SwitchOff

BUCKETS_MS: Final = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)
"""Upper bounds of webhooks.endpoint_minute.ms_counts, which has one more for what took longer."""
_NAMED_DELIVERIES: Final = 20
_sql: Final = load_queries("mainstem.webhooks", "deliver.sql")


@dataclass(frozen=True, slots=True)
class Result:
    """One attempt and what follows from it."""

    delivery_id: int
    endpoint_id: int
    tenant_id: int
    attempt: int
    kind: str
    at: datetime
    duration_ms: int
    outcome: str
    status_code: int | None
    error: str | None
    response: str | None
    step: Step
    fifo: bool
    slows: bool
    """Whether the answer asked for less."""
    was_slowed: bool
    """Whether an answer before it had."""

    @property
    def status(self) -> str:
        """The status of the delivery from now on."""
        match self.step:
            case Delivered():
                return "delivered"
            case RetryAt():
                return "retrying"
            case GiveUp() | SwitchOff():
                return "failed"

    @property
    def next_at(self) -> datetime | None:
        """When it is tried again."""
        return self.step.at if isinstance(self.step, RetryAt) else None

    @property
    def paused_until(self) -> datetime | None:
        """Until when nothing goes to the endpoint."""
        if isinstance(self.step, RetryAt) and self.fifo:
            return self.step.at
        pause_s = self.step.pause_s if isinstance(self.step, RetryAt | GiveUp) else None
        return None if pause_s is None else self.at + timedelta(milliseconds=self.duration_ms, seconds=pause_s)


@dataclass(slots=True)
class Summary:
    """Attempts of one endpoint, in the order in which they ended."""

    tenant_id: int
    delivered: int = 0
    dead: int = 0
    attempts: int = 0
    failed: int = 0
    ms_sum: int = 0
    ms_min: int | None = None
    ms_max: int | None = None
    consecutive_failures: int = 0
    """After the last success."""
    failing_since: datetime | None = None
    last_at: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None

    def add(self, result: Result) -> None:
        """Count one more."""
        self.attempts += 1
        self.ms_sum += result.duration_ms
        self.ms_min = result.duration_ms if self.ms_min is None else min(self.ms_min, result.duration_ms)
        self.ms_max = result.duration_ms if self.ms_max is None else max(self.ms_max, result.duration_ms)
        self.last_at = _later(self.last_at, result.at)
        if result.status == "delivered":
            self.delivered += 1
            self.consecutive_failures = 0
            self.failing_since = None
            self.last_success_at = _later(self.last_success_at, result.at)
            return
        self.failed += 1
        self.dead += result.status == "failed"
        self.consecutive_failures += 1
        self.failing_since = self.failing_since or result.at
        self.last_failure_at = _later(self.last_failure_at, result.at)


@dataclass(slots=True)
class Minute:
    """Attempts of one endpoint within a minute."""

    tenant_id: int
    delivered: int = 0
    failed: int = 0
    ms_sum: int = 0
    ms_max: int = 0
    ms_counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))

    def add(self, result: Result) -> None:
        """Count one more."""
        if result.status == "delivered":
            self.delivered += 1
        else:
            self.failed += 1
        self.ms_sum += result.duration_ms
        self.ms_max = max(self.ms_max, result.duration_ms)
        self.ms_counts[bisect_left(BUCKETS_MS, result.duration_ms)] += 1


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)


def summaries(results: Iterable[Result]) -> dict[int, Summary]:
    """Return the figures of each endpoint, by id in rising order."""
    found: dict[int, Summary] = {}
    for result in results:
        found.setdefault(result.endpoint_id, Summary(result.tenant_id)).add(result)
    return dict(sorted(found.items()))


def minutes(results: Iterable[Result]) -> dict[tuple[int, datetime], Minute]:
    """Return the figures of each endpoint and minute, in rising order."""
    found: dict[tuple[int, datetime], Minute] = {}
    for result in results:
        minute = result.at.replace(second=0, microsecond=0)
        found.setdefault((result.endpoint_id, minute), Minute(result.tenant_id)).add(result)
    return dict(sorted(found.items()))


async def write(connection: Connection, claim_id: UUID, results: Sequence[Result]) -> set[int]:
    """Write attempts down in the caller's transaction; return the ids of the deliveries that were still this worker's."""
    ours = {delivery_id for (delivery_id,) in await _settle(connection, claim_id, results)}
    kept = [result for result in results if result.delivery_id in ours]
    if not kept:
        return ours
    by_endpoint = summaries(kept)
    await _count(connection, by_endpoint, minutes(kept))
    await _pause(connection, kept)
    await _switch_off(connection, kept)
    await _tell_dead(connection, kept)
    await judge(connection, list(by_endpoint))
    return ours


async def judge(connection: Connection, endpoint_ids: Sequence[int]) -> None:
    """Write down the health of endpoints, and tell where it changed: live, and as events where it matters."""
    for row in await connection.fetch(_sql["judge"], endpoint_ids):
        told = {"webhook_id": row["endpoint_id"], "name": row["name"], "was": row["was"], "health": row["health"]}
        await tell(connection, row["tenant_id"], "webhook_status_changed", told)
        if row["health"] == "failing":
            await record_all(connection, row["tenant_id"], [_change("webhook.failing", told)])
        elif row["was"] == "failing":
            await record_all(connection, row["tenant_id"], [_change("webhook.recovered", told)])


def _change(kind: str, data: Mapping[str, Any]) -> Change:
    return Change(kind, data, subject=f"webhook:{data['webhook_id']}")


async def _settle(connection: Connection, claim_id: UUID, results: Sequence[Result]) -> Sequence[Any]:
    return await connection.fetch(
        _sql["settle"],
        claim_id,
        [one.delivery_id for one in results],
        [one.attempt for one in results],
        [one.status for one in results],
        [one.next_at for one in results],
        [one.at for one in results],
        [one.duration_ms for one in results],
        [one.outcome for one in results],
        [one.status_code for one in results],
        [one.error for one in results],
        [one.response for one in results],
        [one.fifo for one in results],
    )


async def _count(
    connection: Connection, totals: Mapping[int, Summary], by_minute: Mapping[tuple[int, datetime], Minute]
) -> None:
    figures = list(totals.values())
    await connection.execute(
        _sql["count"],
        list(totals),
        [one.tenant_id for one in figures],
        [one.delivered for one in figures],
        [one.dead for one in figures],
        [one.attempts for one in figures],
        [one.failed for one in figures],
        [one.ms_sum for one in figures],
        [one.ms_min for one in figures],
        [one.ms_max for one in figures],
        [one.consecutive_failures for one in figures],
        [one.failing_since for one in figures],
        [one.last_at for one in figures],
        [one.last_success_at for one in figures],
        [one.last_failure_at for one in figures],
    )
    parts = list(by_minute.values())
    await connection.execute(
        _sql["count_minutes"],
        [endpoint_id for endpoint_id, _ in by_minute],
        [minute for _, minute in by_minute],
        [one.tenant_id for one in parts],
        [one.delivered for one in parts],
        [one.failed for one in parts],
        [one.ms_sum for one in parts],
        [one.ms_max for one in parts],
        ["{" + ",".join(map(str, one.ms_counts)) + "}" for one in parts],
    )


async def _pause(connection: Connection, results: Sequence[Result]) -> None:
    # the last word of an endpoint counts
    last = {one.endpoint_id: one for one in results if one.paused_until is not None or one.slows or one.was_slowed}
    if last:
        ids = sorted(last)
        await connection.execute(_sql["pause"], ids, [last[i].paused_until for i in ids], [last[i].slows for i in ids])


async def _switch_off(connection: Connection, results: Sequence[Result]) -> None:
    gone = sorted({one.endpoint_id for one in results if isinstance(one.step, SwitchOff)})
    if gone:
        await switch_off(connection, gone, "The endpoint answered 410 Gone.")


async def switch_off(connection: Connection, endpoint_ids: Sequence[int], reason: str) -> int:
    """Switch endpoints off for a reason, with an event and a live message for each that was on; return how many were."""
    rows = await connection.fetch(_sql["switch_off"], endpoint_ids, reason)
    for row in rows:
        told = {"webhook_id": row["endpoint_id"], "name": row["name"], "reason": row["disabled_reason"]}
        await record_all(connection, row["tenant_id"], [_change("webhook.endpoint_disabled", told)])
        await tell(connection, row["tenant_id"], "webhook_status_changed", {**told, "health": "disabled"})
    return len(rows)


async def _tell_dead(connection: Connection, results: Sequence[Result]) -> None:
    """Record one event for the deliveries of each endpoint that nobody tries any more."""
    dead: dict[int, list[Result]] = {}
    for one in results:
        # news about an endpoint's trouble that can't be delivered makes no further news
        if isinstance(one.step, GiveUp) and not one.kind.startswith(OWN_KINDS):
            dead.setdefault(one.endpoint_id, []).append(one)
    for endpoint_id, ones in sorted(dead.items()):
        told = {
            "webhook_id": endpoint_id,
            "deliveries": len(ones),
            "delivery_ids": [one.delivery_id for one in ones[:_NAMED_DELIVERIES]],
            "last_status_code": ones[-1].status_code,
            "last_error": ones[-1].error,
        }
        await record_all(connection, ones[0].tenant_id, [_change("webhook.exhausted", told)])
