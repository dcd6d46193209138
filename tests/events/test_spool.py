"""The spool keeps what it acknowledged: through kills, full disks, damage and other processes."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from events.landing import new_event, reject

from mainstem.events.group import PendingGroup, RowsRefusedError
from mainstem.events.model import NewEvent
from mainstem.events.spool import Chunk, Spool, SpoolError, SpoolFullError


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path / "spool")
    await spool.open()
    yield spool
    await spool.close()


def group(*events: NewEvent, tenant_id: int = 1) -> PendingGroup:
    return PendingGroup(tenant_id, "http", list(events))


def events_of(chunk: Chunk | None) -> list[NewEvent]:
    assert chunk is not None
    return [event for entry in chunk.entries for group in entry.groups for event in group.events]


async def test_gives_back_exactly_what_it_took_in_order(spool: Spool) -> None:
    first, second, third = (new_event(subject=name, data='{"a": "\\u0000 \u00e9"}') for name in ("a", "b", None))
    refused = reject("{}")
    await spool.append([group(first), group(third, tenant_id=2)], [refused])
    await spool.append([group(second)])
    chunk = await spool.peek(100)
    assert events_of(chunk) == [first, third, second]
    assert chunk is not None
    assert [entry.rejects for entry in chunk.entries] == [[refused], []]
    assert [pending.tenant_id for pending in chunk.entries[0].groups] == [1, 2]
    assert spool.waiting_events == 3
    assert spool.waiting_bytes > 0


async def test_drains_in_chunks_and_forgets_only_what_it_is_told_to(spool: Spool) -> None:
    events = [new_event() for _ in range(5)]
    for event in events:
        await spool.append([group(event, event)])
    seen: list[NewEvent] = []
    while (chunk := await spool.peek(4)) is not None:
        assert events_of(await spool.peek(4)) == events_of(chunk)
        seen += events_of(chunk)
        await spool.forget(chunk)
        assert spool.waiting_events == 10 - len(seen)
    assert seen == [event for event in events for _ in range(2)]
    assert spool.waiting_bytes == 0


async def test_an_entry_larger_than_a_chunk_comes_alone(spool: Spool) -> None:
    await spool.append([group(*[new_event()] * 10)])
    await spool.append([group(new_event())])
    assert len(events_of(await spool.peek(3))) == 10


async def test_refuses_at_its_cap_and_takes_again_when_drained(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=2_000)
    await spool.open()
    kept = 0
    while spool.waiting_bytes < 1_600:
        await spool.append([group(new_event())])
        kept += 1
    with pytest.raises(SpoolFullError, match="of 2000 bytes"):
        await spool.append([group(*[new_event() for _ in range(3)])])
    chunk = await spool.peek(1_000)
    assert len(events_of(chunk)) == kept
    assert chunk is not None
    await spool.forget(chunk)
    await spool.append([group(new_event())])
    await spool.close()


async def test_a_full_disk_is_said_and_harms_nothing_kept(spool: Spool) -> None:
    await spool.append([group(new_event())])
    assert spool._own is not None
    pages = spool._own._db.execute("pragma page_count").fetchone()[0]
    spool._own._db.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(SpoolError, match="full"):
        await spool.append([group(*[new_event() for _ in range(100)])])
    assert len(events_of(await spool.peek(1_000))) == 1
    assert spool.waiting_events == 1


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in the way")
    spool = Spool(tmp_path / "spool")
    with pytest.raises(SpoolError, match="spool"):
        await spool.open()
    with pytest.raises(SpoolError, match="spool"):
        await spool.append([group(new_event())])
    (tmp_path / "spool").unlink()
    await spool.append([group(new_event())])
    await spool.close()


async def test_a_text_that_cannot_be_encoded_is_refused(spool: Spool) -> None:
    with pytest.raises(RowsRefusedError):
        await spool.append([group(new_event(kind="\ud800"))])
    assert spool.waiting_events == 0


async def test_a_damaged_file_is_put_aside_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "intake-0.sqlite").write_bytes(b"not a database at all" * 500)
    spool = Spool(tmp_path / "spool")
    await spool.open()
    await spool.append([group(new_event())])
    assert (folder / "intake-0.sqlite.damaged-1").read_bytes().startswith(b"not a database")
    await spool.close()


async def test_an_unreadable_entry_is_set_aside_and_holds_up_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    await spool.open()
    events = [new_event() for _ in range(4)]
    for event in events:
        await spool.append([group(event)])
    await spool.close()
    path = tmp_path / "spool" / "intake-0.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("update entry set body = x'93' where entry_id in (1, 3)")
    db.close()
    spool = Spool(tmp_path / "spool")
    await spool.open()
    chunk = await spool.peek(100)
    assert events_of(chunk) == [events[1], events[3]]
    assert chunk is not None
    await spool.forget(chunk)
    assert (await spool.peek(100), spool.waiting_events, spool.waiting_bytes) == (None, 0, 0)
    await spool.close()
    with sqlite3.connect(path) as db:
        assert db.execute("select entry_id from unreadable").fetchall() == [(1,), (3,)]
    db.close()


async def test_each_process_has_its_own_file_and_inherits_when_it_starts(tmp_path: Path) -> None:
    one, two = Spool(tmp_path / "spool"), Spool(tmp_path / "spool")
    await one.open()
    await two.open()
    event = new_event()
    await one.append([group(event)])
    assert await two.peek(10) is None
    await one.close()
    heir = Spool(tmp_path / "spool")
    await heir.open()
    assert heir.waiting_events == 1
    assert events_of(await heir.peek(10)) == [event]
    await heir.close()
    await two.close()
    assert sorted(path.name for path in (tmp_path / "spool").glob("*.sqlite")) == ["intake-0.sqlite", "intake-1.sqlite"]


async def test_files_that_nobody_holds_are_drained_by_whoever_is_idle(tmp_path: Path) -> None:
    spools = [Spool(tmp_path / "spool") for _ in range(4)]
    events = [new_event() for _ in spools]
    for spool, event in zip(spools, events, strict=True):
        await spool.open()
        await spool.append([group(event)])
    for spool in spools[1:]:
        await spool.close()
    seen: list[NewEvent] = []
    while (chunk := await spools[0].peek(10)) is not None:
        seen += events_of(chunk)
        await spools[0].forget(chunk)
    assert seen == events
    await spools[0].close()


_CHILD = """
import asyncio, sys
from pathlib import Path
from events.landing import new_event
from mainstem.events.group import PendingGroup
from mainstem.events.spool import Spool

async def main():
    spool = Spool(Path(sys.argv[1]))
    await spool.open()
    while True:
        event = new_event()
        await spool.append([PendingGroup(1, "http", [event])])
        print(event.event_uid, flush=True)

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    tests = str(Path(__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {tests!r})\n{_CHILD}"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path / "spool"), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    acknowledged = [await child.stdout.readline() for _ in range(25)]
    child.kill()
    acknowledged += (await child.stdout.read()).splitlines(keepends=True)
    await child.wait()
    spool = Spool(tmp_path / "spool")
    await spool.open()
    kept = [str(event.event_uid) for event in events_of(await spool.peek(100_000))]
    whole = [line.decode().strip() for line in acknowledged if line.endswith(b"\n")]
    assert kept[: len(whole)] == whole
    assert len(kept) - len(whole) <= 1
    await spool.close()


async def test_the_file_is_fully_durable_and_private(spool: Spool, tmp_path: Path) -> None:
    path = tmp_path / "spool" / "intake-0.sqlite"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert spool._own is not None
    assert spool._own._db.execute("pragma synchronous").fetchone() == (2,)
    assert spool._own._db.execute("pragma journal_mode").fetchone() == ("wal",)


async def test_bytes_are_given_back_to_the_disk(spool: Spool, tmp_path: Path) -> None:
    for _ in range(5):
        await spool.append([group(new_event(data='{"x":"' + "y" * 60_000 + '"}'))])
    path = tmp_path / "spool" / "intake-0.sqlite"
    chunk = await spool.peek(100)
    assert chunk is not None
    await spool.forget(chunk)
    assert path.stat().st_size < 60_000
    with sqlite3.connect(path) as reader:
        assert reader.execute("select count(*) from entry").fetchone() == (0,)
    reader.close()
