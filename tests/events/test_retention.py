"""Upkeep of the landing: days ahead, nothing dropped before it is loaded, one process at a time."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import structlog
from events.archiving import land, plain, stored
from events.landing import StartIntake, new_event, until

from mainstem.events import retention
from mainstem.events.archive import archived_days
from mainstem.events.archive.run import DayOutcome
from mainstem.events.archive.spawn import archiver
from mainstem.events.retention import sweep
from mainstem.platform.db import Connection, Pool, load_queries
from mainstem.platform.settings import Environment, Settings

NOW = datetime(2001, 3, 15, 12, 0, tzinfo=UTC)


async def _days(connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'raw.event'::regclass"
    )
    return {row["name"].removeprefix("raw.event_") for row in rows}


async def test_makes_partitions_from_yesterday_to_a_week_ahead_once(
    worker_pool: Pool, connection: asyncpg.Connection
) -> None:
    first = await sweep(worker_pool, retention_days=90, now=NOW)
    again = await sweep(worker_pool, retention_days=90, now=NOW)
    assert first is not None
    assert again is not None
    assert (first.partitions_made, again.partitions_made) == (9, 0)
    assert {f"200103{day}" for day in range(14, 23)} <= await _days(connection)


async def test_rows_that_came_before_their_partition_move_into_it(
    worker_pool: Pool, connection: asyncpg.Connection, start_intake: StartIntake
) -> None:
    intake = await start_intake()
    event = new_event()._replace(received_at=NOW)
    await intake.commit([event])
    assert await connection.fetchval("select count(*) from raw.event_default") == 1
    await sweep(worker_pool, retention_days=90, now=NOW)
    assert await connection.fetchval("select event_uid from raw.event_20010315") == event.event_uid


async def test_drops_old_days_only_when_their_events_are_loaded(
    worker_pool: Pool, connection: asyncpg.Connection, start_intake: StartIntake
) -> None:
    await sweep(worker_pool, retention_days=90, now=NOW)
    intake = await start_intake()
    loaded, waiting = NOW - timedelta(days=1), NOW
    batches = [
        (await intake.commit([new_event()._replace(received_at=moment)])).batch_ids[0] for moment in (loaded, waiting)
    ]
    await connection.execute("update raw.batch set loaded_at = now(), loaded = events where batch_id = $1", batches[0])

    young = await sweep(worker_pool, retention_days=90, now=NOW + timedelta(days=90))
    assert young is not None
    assert young.partitions_dropped == ("event_20010314",)

    old = await sweep(worker_pool, retention_days=90, now=NOW + timedelta(days=92))
    assert old is not None
    assert old.partitions_dropped == ("event_20010316",)
    await connection.execute(
        "update raw.batch set loaded_at = now(), duplicates = events where batch_id = $1", batches[1]
    )
    at_last = await sweep(worker_pool, retention_days=90, now=NOW + timedelta(days=92))
    assert at_last is not None
    assert at_last.partitions_dropped == ("event_20010315",)


async def test_a_commit_under_way_keeps_the_day_that_it_brings_events_of(
    dsn: str, worker_pool: Pool, connection: asyncpg.Connection
) -> None:
    await sweep(worker_pool, retention_days=90, now=NOW)
    assert await retention.drop_partitions(connection, NOW) == ("event_20010314",)
    late = await asyncpg.connect(dsn)
    try:
        async with late.transaction():
            batch_id = await late.fetchval("select raw.append(1, '[{\"kind\": \"page.viewed\"}]', 'spool')")
            await late.execute("update raw.event set received_at = $1", NOW)
            await late.execute(
                "update raw.batch set received_from = $1, received_to = $1 where batch_id = $2", NOW, batch_id
            )
            dropping = asyncio.create_task(retention.drop_partitions(connection, NOW + timedelta(days=1)))
            await until(lambda: _somebody_waits(late))
        assert await dropping == ()
    finally:
        await late.close()
    assert await connection.fetchval("select raw_id from raw.event") == batch_id


async def _somebody_waits(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("select exists (select from pg_locks where not granted)"))


async def test_the_ledger_goes_with_the_days_and_not_before(
    worker_pool: Pool, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PRUNE_ROWS", 7)
    await sweep(worker_pool, retention_days=90, now=NOW)
    # 20 batches on the 14th, of which one waits, 20 on the 15th
    await connection.execute(
        """
        insert into raw.batch (batch_id, tenant_id, events, origin, received_from, received_to, committed_at, loaded_at, loaded)
        select n, 1, 1, 'http', at, at, at, case when n <> 5 then at end, case when n <> 5 then 1 else 0 end
        from generate_series(1, 40) n, lateral (select $1::timestamptz - make_interval(days => (n <= 20)::int) as at) x
        """,
        NOW,
    )
    waiting = await sweep(worker_pool, retention_days=90, now=NOW + timedelta(days=90))
    assert waiting is not None
    assert (waiting.partitions_dropped, waiting.batches_pruned) == ((), 0)
    await connection.execute("update raw.batch set loaded_at = $1, loaded = 1 where batch_id = 5", NOW)
    report = await sweep(worker_pool, retention_days=90, now=NOW + timedelta(days=90))
    assert report is not None
    assert (report.partitions_dropped, report.batches_pruned) == (("event_20010314",), 20)
    assert await connection.fetchval("select min(batch_id) from raw.batch") == 21


async def test_events_that_came_after_their_day_had_gone_go_when_they_are_loaded(
    worker_pool: Pool, connection: asyncpg.Connection, start_intake: StartIntake
) -> None:
    intake = await start_intake()
    for moment in (NOW, NOW + timedelta(hours=1)):
        await intake.commit([new_event()._replace(received_at=moment)])
    await connection.execute("update raw.batch set loaded_at = now(), loaded = events where received_to = $1", NOW)
    await sweep(worker_pool, retention_days=90)
    assert await connection.fetch("select received_at from raw.event_default") == [(NOW + timedelta(hours=1),)]


async def test_prunes_old_rejects_and_rate_windows(
    worker_pool: Pool, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PRUNE_ROWS", 3)
    await connection.execute(
        """
        insert into staging.rejected (tenant_id, stage, code, reason, origin, payload, rejected_at)
        select 1, 'intake', 'x', 'x', 'http', '{}', $1::timestamptz - make_interval(days => 99 - n) from generate_series(1, 20) n
        """,
        NOW,
    )
    await connection.execute(
        "insert into platform.rate_window (subject, window_at, used) values ('old', $1::timestamptz - interval '2 days', 1), ('new', $1, 1)",
        NOW,
    )
    report = await sweep(worker_pool, retention_days=90, now=NOW)
    assert report is not None
    assert (report.rejects_pruned, report.rate_windows_pruned) == (8, 1)
    assert await connection.fetchval("select count(*) from staging.rejected") == 12
    assert await connection.fetchval("select string_agg(subject, ',') from platform.rate_window") == "new"


async def test_one_process_at_a_time_and_the_lock_is_let_go(worker_pool: Pool, connection: asyncpg.Connection) -> None:
    queries = load_queries("mainstem.events")
    assert await connection.fetchval(queries["try_maintenance_lock"])
    assert await sweep(worker_pool, retention_days=90, now=NOW) is None
    assert await connection.fetchval(queries["release_maintenance_lock"])

    async def failing(_: Connection) -> None:
        msg = "step failed"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="step failed"):
        await sweep(worker_pool, retention_days=90, now=NOW, steps={"failing": failing})
    assert await sweep(worker_pool, retention_days=90, now=NOW) is not None


async def test_a_reader_in_the_way_postpones_and_does_not_block_intake(
    worker_pool: Pool, connection: asyncpg.Connection
) -> None:
    await sweep(worker_pool, retention_days=90, now=NOW)
    await sweep(worker_pool, retention_days=900, now=NOW + timedelta(days=100))
    async with connection.transaction():
        await connection.fetch("select from raw.event")
        done: list[str] = []

        async def step(_: Connection) -> None:
            done.append("step")

        with pytest.raises(asyncpg.LockNotAvailableError):
            await sweep(worker_pool, retention_days=90, now=NOW + timedelta(days=100), steps={"step": step})
        assert done == ["step"]
    report = await sweep(worker_pool, retention_days=90, now=NOW + timedelta(days=100))
    assert report is not None
    assert report.partitions_dropped


async def test_runs_at_once_with_the_steps_of_others_until_stopped(worker_pool: Pool) -> None:
    stop, called = asyncio.Event(), asyncio.Event()

    async def step(connection: Connection) -> int:
        called.set()
        return int(await connection.fetchval("select 42"))

    running = asyncio.create_task(
        retention.run(worker_pool, Settings(environment=Environment.TEST), stop, steps={"other": step})
    )
    await until(called.is_set)
    stop.set()
    await asyncio.wait_for(running, timeout=10)
    report = await sweep(worker_pool, retention_days=90, now=NOW, steps={"other": step})
    assert report is not None
    assert report.steps == {"other": 42}


async def test_a_step_that_fails_does_not_end_the_upkeep(worker_pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "RETRY_S", 0.01)
    stop, calls = asyncio.Event(), list[Connection]()

    async def step(connection: Connection) -> None:
        calls.append(connection)
        msg = "step failed"
        raise KeyError(msg)

    settings = Settings(environment=Environment.TEST)
    running = asyncio.create_task(retention.run(worker_pool, settings, stop, steps={"other": step}))
    await until(lambda: len(calls) >= 2 or running.done())
    stop.set()
    await asyncio.wait_for(running, timeout=10)


@pytest.mark.parametrize("name", sorted(load_queries("mainstem.events")))
async def test_every_query_is_valid_for_the_schema(name: str, connection: asyncpg.Connection) -> None:
    await connection.prepare(load_queries("mainstem.events")[name])


async def test_with_an_archiver_a_day_goes_into_the_archive_and_then_the_ledger_is_pruned(
    dsn: str, worker_pool: Pool, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await sweep(worker_pool, retention_days=90, now=NOW)
    await land(connection, [plain(1, NOW - timedelta(days=1))])
    await land(connection, [plain(2, NOW)], loaded=False)
    await connection.execute("update raw.batch set committed_at = received_to")
    report = await sweep(worker_pool, retention_days=90, now=NOW + timedelta(days=91), archiver=archiver(dsn, tmp_path))
    assert report is not None
    assert report.days == (DayOutcome((NOW - timedelta(days=1)).date(), 1),)
    assert report.partitions_dropped == ("event_20010314",)
    assert report.batches_pruned == 1
    assert [one.events for one in archived_days(tmp_path)] == [1]
    assert len(await stored(connection)) == 1
    again = await sweep(worker_pool, retention_days=90, now=NOW + timedelta(days=91), archiver=archiver(dsn, tmp_path))
    assert again is not None
    assert again.days == ()


async def test_a_day_that_can_t_be_archived_stays_with_its_ledger_and_the_reason_is_logged(
    dsn: str, worker_pool: Pool, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    # late events: their partition is gone, and protects the ledger no more
    await land(connection, [plain(1, NOW)])
    await connection.execute("update raw.batch set committed_at = received_to")
    (tmp_path / "archive").write_text("in the way")
    with structlog.testing.capture_logs() as logs:
        stop = asyncio.Event()
        running = asyncio.create_task(
            retention.run(
                worker_pool,
                Settings(environment=Environment.TEST),
                stop,
                archiver=archiver(dsn, tmp_path / "archive"),
            )
        )
        await until(lambda: any(line["event"] == "retention_swept" for line in logs))
        stop.set()
        await asyncio.wait_for(running, timeout=10)
    [warning] = [line for line in logs if line["event"] == "day_not_archived"]
    assert (warning["day"], warning["log_level"]) == ("2001-03-15", "warning")
    assert "archive" in warning["reason"]
    assert len(await stored(connection)) == 1
    assert await connection.fetchval("select count(*) from raw.batch") == 1


def test_at_rest_nothing_of_the_archive_s_weight_is_loaded() -> None:
    code = (
        "import sys, mainstem.app, mainstem.worker, mainstem.events.archive.spawn\n"
        "heavy = {'pyarrow', 'duckdb', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
