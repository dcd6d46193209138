"""Figures of attempts: what a summary says, and that groups add up as PostgreSQL adds them."""

import random
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from functools import reduce

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.webhooks.book import BUCKETS_MS, Minute, Result, Summary, _count, minutes, summaries
from mainstem.webhooks.retry import Delivered, GiveUp, RetryAt, Step, SwitchOff

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
RETRY = RetryAt(NOON + timedelta(hours=1))


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def result(step: Step, seconds: float = 0, duration_ms: int = 20, endpoint_id: int = 1, **changes: object) -> Result:
    given_ = {
        "delivery_id": 1,
        "tenant_id": 1,
        "attempt": 1,
        "kind": "order.paid",
        "outcome": "x",
        "status_code": None,
        "error": None,
        "response": None,
        "fifo": False,
        "slows": False,
        "was_slowed": False,
        **changes,
    }
    return Result(endpoint_id=endpoint_id, at=at(seconds), duration_ms=duration_ms, step=step, **given_)


# one result


@pytest.mark.parametrize(
    ("step", "status", "next_at"),
    [
        (Delivered(), "delivered", None),
        (RETRY, "retrying", RETRY.at),
        (GiveUp(), "failed", None),
        (GiveUp(9.0), "failed", None),
        (SwitchOff(), "failed", None),
    ],
)
def test_the_status_of_a_delivery_after_a_step(step, status, next_at):
    one = result(step)
    assert (one.status, one.next_at) == (status, next_at)


@pytest.mark.parametrize(
    ("step", "fifo", "until"),
    [
        (Delivered(), False, None),
        (SwitchOff(), True, None),
        (RETRY, False, None),
        (GiveUp(), True, None),
        # a pause begins with the answer, which came after the attempt began
        (RetryAt(RETRY.at, 30.0), False, at(30.5)),
        (GiveUp(30.0), False, at(30.5)),
        (GiveUp(30.0), True, at(30.5)),
        # in order: nothing goes before what failed goes again
        (RETRY, True, RETRY.at),
        (RetryAt(RETRY.at, 30.0), True, RETRY.at),
    ],
)
def test_how_long_nothing_goes_to_an_endpoint(step, fifo, until):
    assert result(step, duration_ms=500, fifo=fifo).paused_until == until


# summaries


def test_a_summary_of_one_success():
    assert summaries([result(Delivered(), 3, 40)]) == {
        1: Summary(
            tenant_id=1,
            delivered=1,
            attempts=1,
            ms_sum=40,
            ms_min=40,
            ms_max=40,
            last_at=at(3),
            last_success_at=at(3),
        )
    }


def test_a_summary_of_failures():
    assert summaries([result(RETRY, 3, 40), result(GiveUp(), 5, 10), result(SwitchOff(), 7, 90)]) == {
        1: Summary(
            tenant_id=1,
            dead=2,
            attempts=3,
            failed=3,
            ms_sum=140,
            ms_min=10,
            ms_max=90,
            consecutive_failures=3,
            failing_since=at(3),
            last_at=at(7),
            last_failure_at=at(7),
        )
    }


def test_a_success_ends_a_row_of_failures():
    (one,) = summaries([result(RETRY, 1), result(RETRY, 2), result(Delivered(), 3)]).values()
    assert (one.consecutive_failures, one.failing_since) == (0, None)
    (one,) = summaries([result(RETRY, 1), result(Delivered(), 2), result(RETRY, 3), result(RETRY, 4)]).values()
    assert (one.consecutive_failures, one.failing_since) == (2, at(3))


def test_the_last_time_is_the_latest_although_slow_attempts_end_after_later_ones():
    for step in (Delivered(), RETRY):
        (one,) = summaries([result(step, 9), result(step, 1, 10_000)]).values()
        assert one.last_at == at(9)
        assert (one.last_success_at or one.last_failure_at) == at(9)


def test_endpoints_are_apart_and_in_order():
    found = summaries([result(Delivered(), endpoint_id=number, tenant_id=number % 2) for number in (3, 1, 2, 3)])
    assert [(key, one.attempts, one.tenant_id) for key, one in found.items()] == [(1, 1, 1), (2, 1, 0), (3, 2, 1)]


def test_nothing_comes_to_nothing():
    assert summaries([]) == {}
    assert minutes([]) == {}


# minutes


@pytest.mark.parametrize(
    ("duration_ms", "bucket"),
    [
        (0, 0),
        (10, 0),
        (11, 1),
        (25, 1),
        (26, 2),
        (5_000, 8),
        (5_001, 9),
        (30_000, 10),
        (30_001, 11),
        (10**7, 11),
    ],
)
def test_a_bucket_holds_what_took_at_most_its_bound(duration_ms, bucket):
    (one,) = minutes([result(Delivered(), duration_ms=duration_ms)]).values()
    assert one.ms_counts.index(1) == bucket
    assert (sum(one.ms_counts), len(one.ms_counts)) == (1, len(BUCKETS_MS) + 1)


def test_minutes_are_apart_and_in_order():
    results = [result(Delivered(), 60), result(GiveUp(), 59.999, 30), result(RETRY, 0, 7), result(Delivered(), 0, 5, 2)]
    found = minutes(results)
    assert list(found) == [(1, at(0)), (1, at(60)), (2, at(0))]
    first = found[1, at(0)]
    assert (first.delivered, first.failed, first.ms_sum, first.ms_max) == (0, 2, 37, 30)


# groups add up

STEPS = st.sampled_from([Delivered(), Delivered(), RETRY, GiveUp(), SwitchOff()])
RESULTS = st.lists(
    st.builds(result, STEPS, st.integers(0, 300), st.integers(0, 60_000), st.integers(1, 3), tenant_id=st.just(1)),
    max_size=30,
)


def added(total: Summary, more: Summary) -> Summary:
    """Add a summary to what there was, as the query `count` does."""
    went_on = more.last_success_at is None

    def latest(one: datetime | None, other: datetime | None) -> datetime | None:
        return max((time for time in (one, other) if time is not None), default=None)

    return Summary(
        tenant_id=total.tenant_id,
        delivered=total.delivered + more.delivered,
        dead=total.dead + more.dead,
        attempts=total.attempts + more.attempts,
        failed=total.failed + more.failed,
        ms_sum=total.ms_sum + more.ms_sum,
        ms_min=min(ms for ms in (total.ms_min, more.ms_min) if ms is not None),
        ms_max=max(ms for ms in (total.ms_max, more.ms_max) if ms is not None),
        consecutive_failures=more.consecutive_failures + (total.consecutive_failures if went_on else 0),
        failing_since=(total.failing_since or more.failing_since) if went_on else more.failing_since,
        last_at=latest(total.last_at, more.last_at),
        last_success_at=latest(total.last_success_at, more.last_success_at),
        last_failure_at=latest(total.last_failure_at, more.last_failure_at),
    )


@given(RESULTS, st.data())
def test_a_group_cut_in_parts_comes_to_the_same(results, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(results)), max_size=5)))
    parts = [results[start:end] for start, end in zip([0, *cuts], [*cuts, len(results)], strict=True)]
    whole = summaries(results)
    for endpoint_id in whole:
        ours = [part[endpoint_id] for part in map(summaries, parts) if endpoint_id in part]
        assert reduce(added, ours) == whole[endpoint_id]


@given(RESULTS)
def test_a_summary_and_its_minutes_count_every_attempt_once(results):
    by_endpoint, by_minute = summaries(results), minutes(results)
    for endpoint_id, one in by_endpoint.items():
        ours = [result_ for result_ in results if result_.endpoint_id == endpoint_id]
        parts = [minute for (key, _), minute in by_minute.items() if key == endpoint_id]
        assert one.attempts == len(ours) == one.delivered + one.failed
        assert one.dead <= one.failed
        assert one.consecutive_failures <= one.failed
        assert (one.failing_since is None) is (one.consecutive_failures == 0)
        assert one.delivered == sum(part.delivered for part in parts)
        assert one.failed == sum(part.failed for part in parts)
        assert one.ms_sum == sum(part.ms_sum for part in parts) == sum(result_.duration_ms for result_ in ours)
        assert one.ms_max == max(part.ms_max for part in parts)
        assert one.attempts == sum(sum(part.ms_counts) for part in parts)


# as PostgreSQL adds them

NAMES = {"dead": "failed", "failed": "failed_attempts", "last_at": "last_attempt_at"}
COLUMNS = [(one.name, NAMES.get(one.name, one.name)) for one in fields(Summary)]


async def endpoints(connection: asyncpg.Connection, count: int) -> list[int]:
    rows = await connection.fetch(
        "insert into webhooks.endpoint (tenant_id, name, url) select 1, 'hook', 'https://example.com/' "
        "from generate_series(1, $1) returning endpoint_id",
        count,
    )
    return [endpoint_id for (endpoint_id,) in rows]


async def kept(connection: asyncpg.Connection) -> tuple[dict[int, Summary], dict[tuple[int, datetime], Minute]]:
    totals = await connection.fetch("select * from webhooks.endpoint_total order by endpoint_id")
    parts = await connection.fetch("select * from webhooks.endpoint_minute order by endpoint_id, minute")
    names = [one.name for one in fields(Minute)]
    return (
        {row["endpoint_id"]: Summary(**{name: row[column] for name, column in COLUMNS}) for row in totals},
        {(row["endpoint_id"], row["minute"]): Minute(**{name: row[name] for name in names}) for row in parts},
    )


async def test_groups_written_one_after_the_other_come_to_the_figures_of_all(connection: asyncpg.Connection):
    dice = random.Random(5)
    for _ in range(20):
        ids = await endpoints(connection, 3)
        results = [
            result(
                dice.choice([Delivered(), RETRY, RETRY, GiveUp()]),
                dice.randrange(200),
                dice.choice([0, 9, 10, 11, 400, 70_000]),
                dice.choice(ids),
            )
            for _ in range(dice.randrange(1, 40))
        ]
        left = list(results)
        while left:
            count = dice.randrange(1, len(left) + 1)
            group, left = left[:count], left[count:]
            await _count(connection, summaries(group), minutes(group))
        totals, parts = await kept(connection)
        assert {key: asdict(one) for key, one in totals.items() if key in ids} == {
            key: asdict(one) for key, one in summaries(results).items()
        }
        assert {key: one for key, one in parts.items() if key[0] in ids} == minutes(results)


async def test_a_success_forgets_the_warnings_and_a_failure_keeps_them(connection: asyncpg.Connection):
    (endpoint_id,) = await endpoints(connection, 1)

    async def written(*steps: Step) -> int:
        group = [result(step, endpoint_id=endpoint_id) for step in steps]
        await _count(connection, summaries(group), minutes(group))
        return await connection.fetchval(
            "select warned from webhooks.endpoint_total where endpoint_id = $1", endpoint_id
        )

    assert await written(RETRY) == 0
    await connection.execute("update webhooks.endpoint_total set warned = 2")
    assert await written(RETRY, RETRY) == 2
    assert await written(RETRY, Delivered(), RETRY) == 0
