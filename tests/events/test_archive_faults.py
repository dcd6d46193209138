"""Whatever happens to an archive half-way, PostgreSQL keeps the day, and nothing is lost or doubled."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import msgspec
import pyarrow.parquet as pq
import pytest
from events.archiving import DAY, LATER, NOON, Quiet, archive, land, make_days, make_targets, only, plain, stored
from events.landing import until

from mainstem.events.archive import (
    ArchiveDamagedError,
    ArchiveError,
    archived_days,
    parquet,
    queries,
    restore_day,
    run,
    write,
)
from mainstem.events.archive.child import Order
from mainstem.events.archive.folder import manifest_of, writing
from mainstem.events.archive.run import archive_before
from mainstem.events.archive.spawn import archive_in_child
from mainstem.events.archive.verify import verify_day


@pytest.fixture
async def day(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    """Land a day of three events; return them."""
    await make_days(connection)
    await land(connection, [plain(1), plain(2), plain(3)])
    return await stored(connection)


async def restored(connection: asyncpg.Connection, folder: Path) -> list[asyncpg.Record]:
    """Return all events of an archive, by raw id."""
    events, batches = await make_targets(connection)
    for one in archived_days(folder):
        await restore_day(connection, one, event_table=events, batch_table=batches)
    return await stored(connection, events)


def verified(folder: Path) -> list[str]:
    return verify_day(folder, DAY, lambda _: None)


class Killed(BaseException):
    """Stands for a kill: nobody handles it."""


@pytest.mark.parametrize(
    "step", ["describe the file", "publish", "let the day go", "drop the partition", "rename the draft"]
)
async def test_a_kill_leaves_the_day_whole_somewhere_and_the_next_run_ends_it(
    step: str,
    connection: asyncpg.Connection,
    day: list[asyncpg.Record],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise Killed

    places = {
        "describe the file": (write.Scan, "file"),
        "publish": (write, "publish"),
        "let the day go": (write, "_let_go"),
        "drop the partition": (write.queries, "drop_day"),
        "rename the draft": (Path, "rename"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*places[step], killed)
        with pytest.raises(Killed):
            await archive(connection, tmp_path)
    assert await stored(connection) == day
    was_archived = bool(archived_days(tmp_path))
    assert was_archived == (step in {"let the day go", "drop the partition"})

    [outcome] = await archive(connection, tmp_path)
    assert outcome == run.DayOutcome(DAY, 0 if was_archived else 3)
    assert await stored(connection) == []
    assert await restored(connection, tmp_path) == day
    assert not (tmp_path / "raw" / ".draft").exists()


async def test_a_draft_left_by_a_kill_is_removed(
    connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    draft = tmp_path / "raw" / ".draft"
    draft.mkdir(parents=True)
    (draft / "event-1.parquet").write_bytes(b"half")
    assert archived_days(tmp_path) == []
    [outcome] = await archive(connection, tmp_path)
    assert outcome.kept is None
    assert not draft.exists()


async def test_late_events_of_an_archived_day_become_a_further_part(
    connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    await archive(connection, tmp_path)
    await land(connection, [plain(4)])
    late = await stored(connection)
    assert await connection.fetchval("select count(*) from raw.event_default") == 1
    [outcome] = await archive(connection, tmp_path)
    assert (outcome.events, outcome.kept) == (1, None)
    assert await stored(connection) == []
    assert only(tmp_path).events == 4
    assert only(tmp_path).batches == 2
    assert verified(tmp_path) == []
    assert await restored(connection, tmp_path) == [*day, *late]


async def test_events_that_came_between_archive_and_drop_become_a_further_part(
    connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = write._let_go

    async def after_one_more(connection: asyncpg.Connection, day: date) -> None:
        await land(connection, [plain(4)])
        await let_go(connection, day)

    with monkeypatch.context() as patch:
        patch.setattr(write, "_let_go", after_one_more)
        [outcome] = await archive(connection, tmp_path)
    assert outcome.kept == "1 of 4 events are not in its files as the database has them"
    everything = await stored(connection)
    assert len(everything) == 4
    [outcome] = await archive(connection, tmp_path)
    assert (outcome.events, outcome.kept) == (1, None)
    assert await stored(connection) == []
    assert await restored(connection, tmp_path) == everything


async def test_a_half_made_further_part_counts_for_nothing(
    connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    await archive(connection, tmp_path)
    await land(connection, [plain(4)])
    everything = [*day, *await stored(connection)]
    (only(tmp_path).path / "event-2.parquet").write_bytes(b"half")
    assert only(tmp_path).events == 3
    await archive(connection, tmp_path)
    assert await restored(connection, tmp_path) == everything


async def test_waiting_days_and_days_to_come_stay(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await make_days(connection, DAY, DAY + timedelta(days=2))
    await land(connection, [plain(1)], loaded=False)
    await land(connection, [plain(2, NOON + timedelta(days=1))])
    await land(connection, [plain(3, NOON + timedelta(days=2))])
    await land(connection, [plain(4, NOON - timedelta(days=1))], loaded=False)
    outcomes = await archive(connection, tmp_path, DAY + timedelta(days=2))
    assert [(one.day, one.events) for one in outcomes] == [(DAY + timedelta(days=1), 1)]
    assert len(await stored(connection)) == 3


async def test_an_empty_day_is_dropped_without_files(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await make_days(connection)
    [outcome] = await archive(connection, tmp_path)
    assert (outcome.events, outcome.kept) == (0, None)
    assert archived_days(tmp_path) == []
    assert await connection.fetchval("select to_regclass('raw.event_20010314')") is None


async def test_other_rows_under_the_same_ids_are_no_copies(
    connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    """A database made anew counts from the beginning: the archive of the one before must not pass for its own."""
    await archive(connection, tmp_path)
    await land(connection, [plain(10), plain(20), plain(30)])
    await connection.execute(
        "update raw.event set raw_id = raw_id - (select min(raw_id) from raw.event) + $1", day[0][0]
    )
    [outcome] = await archive(connection, tmp_path)
    assert (outcome.events, outcome.kept) == (3, None)
    assert len(await restored(connection, tmp_path)) == 6


async def test_a_reader_in_the_way_keeps_the_day_and_the_archive_is_not_written_twice(
    dsn: str, connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    async with connection.transaction():
        await connection.fetch("select from raw.event")
        other = await asyncpg.connect(dsn)
        try:
            [outcome] = await archive(other, tmp_path)
            assert outcome.kept == "the database says: canceling statement due to lock timeout"
            assert only(tmp_path).events == 3
        finally:
            await other.close()
    [outcome] = await archive(connection, tmp_path)
    assert outcome == run.DayOutcome(DAY, 0)
    assert await stored(connection) == []


@contextmanager
def small_disk(most_bytes: int) -> Iterator[None]:
    """Refuse files larger than so many bytes, as a full disk does."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


async def test_a_full_disk_keeps_this_day_and_the_rest(
    connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    await make_days(connection, DAY + timedelta(days=1), DAY + timedelta(days=1))
    await land(connection, [plain(4, NOON + timedelta(days=1))])
    with small_disk(100):
        outcomes = await archive(connection, tmp_path)
    assert [one.events for one in outcomes] == [0, 0]
    assert all("File too large" in str(one.kept) for one in outcomes)
    assert len(await stored(connection)) == 4
    assert archived_days(tmp_path) == []
    assert [one.events for one in await archive(connection, tmp_path)] == [3, 1]


async def test_a_folder_that_can_t_be_made_is_said(
    connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        await archive(connection, tmp_path / "file" / "archive")
    assert await stored(connection) == day
    assert len(await archive(connection, tmp_path / "good")) == 1


def flip(path: Path, at: int) -> None:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _flipped(folder: Path) -> None:
    flip(folder / "event-1.parquet", 200)


def _cut(folder: Path) -> None:
    path = folder / "event-1.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def _gone(folder: Path) -> None:
    (folder / "event-1.parquet").unlink()


def _other_total(folder: Path) -> None:
    manifest = folder / "manifest.json"
    text = manifest.read_text()
    found = msgspec.json.decode(text)["parts"][0]["event"]["total"]
    manifest.write_text(text.replace(found, "0" * 16))


def _no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _half_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize("damage", [_flipped, _cut, _gone, _other_total, _no_manifest, _half_manifest])
async def test_damage_is_found_by_verify_and_by_restore_which_then_restores_nothing(
    damage: Callable[[Path], None], connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    await archive(connection, tmp_path)
    assert verified(tmp_path) == []
    archived = only(tmp_path)
    damage(archived.path)
    [problem] = verified(tmp_path)
    assert "2001-03-14" in problem
    events, batches = await make_targets(connection)
    with pytest.raises(ArchiveDamagedError):
        await restore_day(connection, archived, event_table=events, batch_table=batches)
    assert await stored(connection, events) == []
    assert await connection.fetchval(f"select count(*) from {batches}") == 0


async def test_a_damaged_day_keeps_its_late_events_in_the_database(
    connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    await archive(connection, tmp_path)
    _cut(only(tmp_path).path)
    await land(connection, [plain(4)])
    [outcome] = await archive(connection, tmp_path)
    assert "event-1.parquet" in str(outcome.kept)
    assert len(await stored(connection)) == 1


async def test_what_the_disk_gives_back_wrong_is_never_dropped(
    connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rightly = write.Writer.write

    def write_other_data(writer: write.Writer, values: list[Sequence[object]]) -> None:
        write_rightly(writer, [*values[:-1], ["{ }"] * len(values[-1])] if len(values) == 14 else values)

    monkeypatch.setattr(write.Writer, "write", write_other_data)
    [outcome] = await archive(connection, tmp_path)
    assert outcome.kept == "3 of 3 events are not in its files as the database has them"
    assert await stored(connection) == day


async def test_two_at_once_write_once(
    dsn: str, connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    other = await asyncpg.connect(dsn)
    try:
        results = await asyncio.gather(
            *(
                archive_before(one, tmp_path, LATER, done=lambda _: None, progress=Quiet())
                for one in (connection, other)
            ),
            return_exceptions=True,
        )
    finally:
        await other.close()
    assert sorted(type(one).__name__ for one in results) == ["ArchiveError", "list"]
    with writing(tmp_path), pytest.raises(ArchiveError, match="another process writes"), writing(tmp_path):
        pass
    assert only(tmp_path).events == 3


async def test_memory_is_bounded_by_row_groups(
    connection: asyncpg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_days(connection)
    for first in range(0, 6_000, 2_000):
        await land(connection, [plain(first + number) for number in range(2_000)])
    before = await stored(connection)
    monkeypatch.setattr(parquet, "GROUP_ROWS", 2_500)
    await archive(connection, tmp_path)
    metadata = pq.ParquetFile(only(tmp_path).path / "event-1.parquet").metadata
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [3_000, 3_000]
    assert await restored(connection, tmp_path) == before


async def test_large_events_end_a_row_group_by_their_bytes(
    connection: asyncpg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 400_000)
    monkeypatch.setattr(queries, "FETCH_ROWS", 3)
    await make_days(connection)
    await land(connection, [(*plain(number)[:-1], f'"{"z" * 60_000}"') for number in range(30)])
    await archive(connection, tmp_path)
    assert pq.ParquetFile(only(tmp_path).path / "event-1.parquet").metadata.num_row_groups >= 4


async def test_in_a_process_of_its_own(
    dsn: str, connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    outcomes = await archive_in_child(dsn, tmp_path, LATER)
    assert [(one.day, one.events) for one in outcomes if one.day == DAY] == [(DAY, 3)]
    assert await stored(connection) == []
    assert manifest_of(tmp_path, DAY).parts[0].event.rows == 3
    with pytest.raises(ArchiveError, match=r"InvalidCatalogNameError|does not exist"):
        await archive_in_child(dsn.replace("/test_", "/nothing_"), tmp_path, LATER)


async def waits(connection: asyncpg.Connection) -> bool:
    """Tell whether an archiving process is connected."""
    query = "select exists (select from pg_stat_activity where application_name = 'mainstem-archive')"
    return bool(await connection.fetchval(query))


@pytest.fixture
async def blocked(dsn: str) -> AsyncIterator[None]:
    """Keep every archiver waiting at its first look."""
    blocker = await asyncpg.connect(dsn)
    await blocker.execute("begin; lock table raw.event in access exclusive mode")
    yield
    await blocker.close()


@pytest.mark.usefixtures("blocked")
async def test_cancelling_kills_the_process(dsn: str, connection: asyncpg.Connection, tmp_path: Path) -> None:
    running = asyncio.create_task(archive_in_child(dsn, tmp_path, LATER))
    await until(lambda: waits(connection))
    running.cancel()
    # it is waited for on the way out
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.usefixtures("blocked")
async def test_the_process_ends_with_the_one_that_started_it(
    dsn: str, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "mainstem.events.archive.child"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    process.stdin.write(msgspec.json.encode(Order(dsn, os.fspath(tmp_path), LATER)) + b"\n")
    await process.stdin.drain()
    await until(lambda: waits(connection))
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 10) == 70


async def test_kill_9_between_archive_and_drop(
    dsn: str, connection: asyncpg.Connection, day: list[asyncpg.Record], tmp_path: Path
) -> None:
    reader = await asyncpg.connect(dsn)
    # lets the files be written, and is in the way of the drop
    await reader.execute("begin; lock table only raw.event in access share mode")
    command = [sys.executable, "-m", "mainstem.events.archive.child"]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    process.stdin.write(msgspec.json.encode(Order(dsn, os.fspath(tmp_path), DAY + timedelta(days=1))) + b"\n")
    await until(lambda: bool(archived_days(tmp_path)))
    process.kill()
    await process.wait()
    await until(lambda: none_waits(connection))
    await reader.close()
    assert await stored(connection) == day
    [outcome] = await archive(connection, tmp_path)
    assert outcome == run.DayOutcome(DAY, 0)
    assert await stored(connection) == []
    assert await restored(connection, tmp_path) == day


async def none_waits(connection: asyncpg.Connection) -> bool:
    return not await waits(connection)
