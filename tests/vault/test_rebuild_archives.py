"""Days that have left the landing come back one by one, and the rebuild equals live all the same."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import asyncpg
import pytest
from events.archiving import Quiet
from siting import FEEDS
from vault.rebuilding import everything, history, land, load, rebuilt, visit
from vault.vaulting import START

from mainstem.events.archive import archived_days, restore_day
from mainstem.events.archive.run import archive_before
from mainstem.vault.rebuild import Archives, Report

_SHIFTED = {
    "raw.event": ("received_at",),
    "raw.batch": ("received_from", "received_to", "committed_at", "loaded_at", "load_ts"),
    "business.pipeline_total": ("latest_received_at",),
    **{spec.table: ("load_ts",) for feed in FEEDS for spec in feed.structures},
    "vault.nhl_site_event": ("load_ts", "received_at"),
    "vault.nhl_event": ("load_ts", "received_at"),
    "vault.nhl_click": ("load_ts", "received_at"),
    # each day holds from when its event was accepted
    "vault.esat_booking_takes_place": ("load_ts", "effective_from", "starts_at", "ends_at"),
}


async def age(connection: asyncpg.Connection, days: int) -> None:
    """Have everything that happened happen so many days earlier."""
    for table, columns in _SHIFTED.items():
        changes = ", ".join(
            f"{column} = {column} - case when {column} < '9999-01-01' then interval '{days} days' else interval '0' end"
            for column in columns
        )
        where = " where load_ts > '1900-01-02'" if table.startswith("vault.") else ""
        await connection.execute(f"update {table} set {changes}{where}")


async def take_out(connection: asyncpg.Connection, folder: Path) -> Archives:
    """Archive all days before the tests' today, and prune their part of the ledger; return the way back."""
    today = START.date()
    await connection.execute("select raw.ensure_partitions($1, $2)", today - timedelta(days=6), today)
    outcomes = await archive_before(connection, folder, today, done=lambda _: None, progress=Quiet())
    assert [one.kept for one in outcomes if one.kept] == []
    assert await connection.fetchval("select raw.prune_batches($1, 1000)", today) > 0
    return Archives([one for one in archived_days(folder) if one.events], restore_day)


@pytest.fixture
async def archives(connection: asyncpg.Connection, dsn: str, tmp_path: Path) -> Archives:
    """Return the archive of four days; the fifth is in the landing, and one batch spans two of them."""
    await history(connection, dsn)
    for number in range(4):
        await age(connection, 1)
        await land(
            connection, [visit(n * 9 + number, n, message=f"d{number}{n}", title="AB"[number % 2]) for n in range(9)]
        )
        await land(connection, [visit(n, n, message=f"m{n}", tenant_id=2) for n in range(4)])
        await load(dsn)
    spanning = await land(connection, [visit(n, n) for n in range(4)])
    # the day of the history, also where midnight has passed since
    before = datetime.combine(START.date(), time(), UTC) - timedelta(seconds=1)
    await connection.execute("update raw.event set received_at = $2 where raw_id = $1", spanning, before)
    await connection.execute("update raw.batch set received_from = $2 where batch_id = $1", spanning, before)
    await load(dsn)
    return await take_out(connection, tmp_path)


def rounds() -> tuple[list[str], Callable[[int, int, str], None]]:
    """Return what a progress is told, without its numbers, and the progress."""
    told: list[str] = []
    return told, lambda done, total, text: told.append(f"{done}/{total} {text}")


async def test_a_rebuild_from_archives_equals_live(connection: asyncpg.Connection, dsn: str, archives: Archives):
    assert len(archives.days) == 4
    told, progress = rounds()
    report = await rebuilt(dsn, archives=archives, progress=progress, into="other", keep=True)
    assert report.differences == []
    assert (report.equal, report.lost) == (True, 0)
    assert report.history_from == min(one.day for one in archives.days)
    assert await everything(connection) == await everything(connection, "other_")
    assert report.events == sum(one.events for one in archives.days) + await connection.fetchval(
        "select count(*) from raw.event"
    )
    # the events of a day go when they are replayed
    left = await connection.fetch(
        "select relname from pg_class where relname ~ '^rebuild_restored_[0-9]+$' and relnamespace = 'other_vault'::regnamespace"
    )
    assert len(left) <= 2
    assert [one for one in told if "bringing" in one]


async def test_since_brings_back_the_days_it_needs(connection: asyncpg.Connection, dsn: str, archives: Archives):
    day = sorted(one.day for one in archives.days)[2]
    since = await connection.fetchval("select ($1::date::text || ' 00:00+00')::timestamptz", day)
    report = await rebuilt(dsn, archives=archives, since=since)
    assert report.equal
    assert report.lost == 0
    assert 0 < report.events < sum(one.events for one in archives.days)


async def test_a_day_that_is_missing_in_the_archive_is_told(
    connection: asyncpg.Connection, dsn: str, archives: Archives
):
    first, *others = sorted(archives.days, key=lambda one: one.day)
    report: Report = await rebuilt(dsn, archives=Archives(others, archives.restore), compare_only=True)
    assert not report.equal
    assert report.lost == first.events
    assert report.history_from == first.day + timedelta(days=1)
