"""PostgreSQL goes away and comes back: nothing acknowledged is lost, the spool drains in order."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from clusters import DurableCluster
from events.landing import StartIntake, new_event, reject, stored_uids, until

from mainstem.events.group import PendingGroup, Receipt
from mainstem.events.intake import Intake
from mainstem.events.log import PostgresLog
from mainstem.events.model import NewEvent, Reject
from mainstem.events.recovery import merged
from mainstem.events.spool import Chunk, Entry, Spool, SpoolError
from mainstem.platform.errors import UnavailableError

NOWHERE = "postgresql://postgres@127.0.0.1:1/none"


async def _callers(
    intake: Intake, stop: asyncio.Event, acknowledged: list[UUID], receipts: list[Receipt], callers: int = 16
) -> None:
    async def caller() -> None:
        while not stop.is_set():
            events = [new_event(), new_event()]
            receipts.append(await intake.commit(events))
            acknowledged.extend(event.event_uid for event in events)

    await asyncio.gather(*(caller() for _ in range(callers)))


async def _drained(intake: Intake) -> None:
    await until(lambda: intake.state.database_up and intake.state.spooled_events == 0)


async def test_connections_killed_under_load_lose_nothing(
    dsn: str, start_intake: StartIntake, connection: asyncpg.Connection
) -> None:
    intake = await start_intake()
    stop, acknowledged, receipts = asyncio.Event(), list[UUID](), list[Receipt]()
    load = asyncio.create_task(_callers(intake, stop, acknowledged, receipts))
    for _ in range(5):
        seen = len(receipts)
        await until(partial(lambda before: len(receipts) > before + 40 and intake.state.database_up, seen))
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mainstem intake'"
        )
    stop.set()
    await load
    await _drained(intake)
    stored = await stored_uids(dsn)
    assert set(acknowledged) == set(stored)


async def test_a_restart_of_postgresql_under_load(durable_cluster: DurableCluster, start_intake: StartIntake) -> None:
    intake = await start_intake(durable_cluster.dsn)
    stop, acknowledged, receipts = asyncio.Event(), list[UUID](), list[Receipt]()
    load = asyncio.create_task(_callers(intake, stop, acknowledged, receipts))
    await until(lambda: len(receipts) > 50)
    await asyncio.to_thread(durable_cluster.stop)
    spooled_from = len(receipts)
    await until(lambda: len(receipts) > spooled_from + 50 and not intake.state.database_up)
    assert intake.state.spooled_events > 0
    assert intake.state.last_error is not None
    durable_cluster.start()
    await until(lambda: intake.state.database_up)
    again_from = len(receipts)
    await until(lambda: len(receipts) > again_from + 50)
    stop.set()
    await load
    await _drained(intake)
    assert {receipt.durable for receipt in receipts} == {"postgres", "spool"}
    assert receipts[-1].durable == "postgres"
    await until(lambda: intake.state.last_error is None)
    assert set(await stored_uids(durable_cluster.dsn)) == set(acknowledged)


async def test_a_kill_of_postgresql_under_load(durable_cluster: DurableCluster, start_intake: StartIntake) -> None:
    intake = await start_intake(durable_cluster.dsn)
    stop, acknowledged, receipts = asyncio.Event(), list[UUID](), list[Receipt]()
    load = asyncio.create_task(_callers(intake, stop, acknowledged, receipts))
    await until(lambda: len(receipts) > 50)
    await asyncio.to_thread(durable_cluster.kill)
    durable_cluster.start()
    stop.set()
    await load
    await _drained(intake)
    assert set(await stored_uids(durable_cluster.dsn)) == set(acknowledged)


async def test_starts_without_a_database_and_drains_in_order_when_it_comes(
    durable_cluster: DurableCluster, start_intake: StartIntake
) -> None:
    await asyncio.to_thread(durable_cluster.stop)
    intake = await start_intake(durable_cluster.dsn)
    events = [new_event(1 + number % 2) for number in range(5_000)]
    for first in range(0, 5_000, 500):
        assert await intake.commit(events[first : first + 500]) == Receipt("spool", ())
    assert intake.state.spooled_events == 5_000
    heard: list[int] = []
    intake.on_commit(heard.extend)
    durable_cluster.start()
    await _drained(intake)
    connection = await asyncpg.connect(durable_cluster.dsn)
    for tenant_id in (1, 2):
        rows = await connection.fetch("select event_uid from raw.event where tenant_id = $1 order by raw_id", tenant_id)
        assert [row[0] for row in rows] == [event.event_uid for event in events if event.tenant_id == tenant_id]
    batches = await connection.fetch("select batch_id, origin from raw.batch order by batch_id")
    await connection.close()
    assert {row["origin"] for row in batches} == {"spool"}
    await until(lambda: heard == [row["batch_id"] for row in batches])


async def test_a_commit_that_takes_too_long_goes_to_the_spool_and_is_one_event_for_the_gate(
    dsn: str, start_intake: StartIntake, connection: asyncpg.Connection
) -> None:
    intake = await start_intake(commit_timeout_s=0.3)
    blocker = connection.transaction()
    await blocker.start()
    await connection.execute("lock table raw.event in access exclusive mode")
    event = new_event()
    assert await intake.commit([event]) == Receipt("spool", ())
    assert not intake.state.database_up
    assert "Timeout" in str(intake.state.last_error)
    await blocker.rollback()
    await _drained(intake)
    assert set(await stored_uids(dsn)) == {event.event_uid}


class ForgetfulLog(PostgresLog):
    """A log whose answer to the first commit is lost on the way."""

    lost = False

    async def append(self, groups: Sequence[PendingGroup], rejects: Sequence[Reject] = ()) -> list[int]:
        batch_ids = await super().append(groups, rejects)
        if not self.lost:
            self.lost = True
            msg = "connection lost after COMMIT was sent"
            raise ConnectionResetError(msg)
        return batch_ids


async def test_an_ambiguous_commit_keeps_the_identity(dsn: str, tmp_path: Path) -> None:
    intake = Intake(ForgetfulLog(dsn), Spool(tmp_path / "spool"))
    await intake.start()
    event = new_event()
    assert await intake.commit([event]) == Receipt("spool", ())
    await _drained(intake)
    await intake.stop()
    assert await stored_uids(dsn) == [event.event_uid] * 2


async def test_a_full_spool_answers_503_and_keeps_what_fits(tmp_path: Path, start_intake: StartIntake) -> None:
    intake = await start_intake(NOWHERE, spool=Spool(tmp_path / "spool", max_bytes=3_000))
    assert (await intake.commit([new_event()])).durable == "spool"
    with pytest.raises(UnavailableError) as caught:
        await intake.commit([new_event() for _ in range(100)])
    assert caught.value.headers == {"Retry-After": "5"}
    assert (await intake.commit([new_event()])).durable == "spool"
    assert intake.state.spooled_events == 2


async def test_a_failing_spool_answers_503_but_not_while_postgresql_works(
    tmp_path: Path, dsn: str, start_intake: StartIntake
) -> None:
    (tmp_path / "spool").write_text("in the way")
    without = await start_intake(NOWHERE)
    with pytest.raises(UnavailableError):
        await without.commit([new_event()])
    works = await start_intake(dsn)
    assert (await works.commit([new_event()])).durable == "postgres"


async def test_only_the_guilty_call_is_refused_by_the_spool(start_intake: StartIntake) -> None:
    intake = await start_intake(NOWHERE)
    answers = await asyncio.gather(
        *(intake.commit([new_event(kind=kind)]) for kind in ("a", "\ud800", "b")), return_exceptions=True
    )
    assert [type(answer).__name__ for answer in answers] == ["Receipt", "BadRequestError", "Receipt"]


async def test_a_poison_event_in_the_spool_becomes_a_reject_and_stops_nothing(
    dsn: str, tmp_path: Path, start_intake: StartIntake, connection: asyncpg.Connection
) -> None:
    before = Spool(tmp_path / "spool")
    await before.open()
    good = [new_event() for _ in range(3)]
    poison = new_event(kind="bad\0kind", data='{"x": 1}')
    await before.append([PendingGroup(1, "http", [good[0], poison, good[1]])], [reject("from before")])
    await before.append([PendingGroup(1, "http", [good[2]])])
    await before.close()
    intake = await start_intake(dsn)
    await _drained(intake)
    assert await stored_uids(dsn) == [event.event_uid for event in good]
    rows = await connection.fetch("select code, kind, payload, origin from staging.rejected order by rejected_id")
    assert [tuple(row) for row in rows] == [
        ("invalid_field", None, "from before", "http"),
        ("refused_by_database", "bad\ufffdkind", '{"x": 1}', "spool"),
    ]


async def test_what_a_dead_process_left_is_drained_by_the_next(
    dsn: str, tmp_path: Path, start_intake: StartIntake
) -> None:
    dead = [Spool(tmp_path / "spool") for _ in range(3)]
    events = [new_event() for _ in dead]
    for spool, event in zip(dead, events, strict=True):
        await spool.open()
        await spool.append([PendingGroup(1, "http", [event])])
    for spool in dead:
        await spool.close()
    await start_intake(dsn)

    async def all_there() -> bool:
        return len(await stored_uids(dsn)) == 3

    await until(all_there)
    assert set(await stored_uids(dsn)) == {event.event_uid for event in events}


class _Unforgetful(Spool):
    """A spool whose disk is too full to delete, for some tries."""

    tries = 3

    async def forget(self, chunk: Chunk) -> None:
        self.tries -= 1
        if self.tries >= 0:
            msg = "database or disk is full"
            raise SpoolError(msg)
        await super().forget(chunk)


async def test_what_the_spool_fails_to_forget_is_drained_once(
    dsn: str, tmp_path: Path, start_intake: StartIntake
) -> None:
    before = Spool(tmp_path / "spool")
    await before.open()
    events = [new_event() for _ in range(3)]
    await before.append([PendingGroup(1, "http", events)])
    await before.close()
    spool = _Unforgetful(tmp_path / "spool")
    intake = await start_intake(dsn, spool=spool)
    await _drained(intake)
    assert spool.tries < 0
    assert await stored_uids(dsn) == [event.event_uid for event in events]


class _ComingBack(PostgresLog):
    """A log that is away until it is told to come back, and then takes its time to say so."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.back, self.answering, self.answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def ping(self) -> None:
        if not self.back.is_set():
            msg = "away"
            raise OSError(msg)
        self.answering.set()
        await self.answered.wait()
        await super().ping()


async def test_what_is_spooled_while_the_log_comes_back_is_drained(dsn: str, tmp_path: Path) -> None:
    log = _ComingBack(dsn)
    intake = Intake(log, Spool(tmp_path / "spool"))
    await intake.start()
    log.back.set()
    await log.answering.wait()
    event = new_event()
    assert (await intake.commit([event])).durable == "spool"
    log.answered.set()
    await _drained(intake)
    assert await stored_uids(dsn) == [event.event_uid]
    await intake.stop()


async def test_ids_that_another_server_dealt_again_are_no_reason_to_refuse(
    dsn: str, tmp_path: Path, start_intake: StartIntake, connection: asyncpg.Connection
) -> None:
    one = await start_intake(dsn, spool=Spool(tmp_path / "one"))
    events = [new_event() for _ in range(3)]
    await one.commit(events[:1])
    # as after a failover to a standby that had not heard of the last block
    await connection.execute("select setval('raw.raw_id_block', 1, false)")
    two = await start_intake(dsn, spool=Spool(tmp_path / "two"))
    await two.commit(events[1:2])
    await two.commit(events[2:])
    await _drained(two)
    assert set(await stored_uids(dsn)) == {event.event_uid for event in events}


async def test_a_schema_that_is_not_there_yet_is_no_reason_to_refuse(empty_dsn: str, start_intake: StartIntake) -> None:
    intake = await start_intake(empty_dsn)
    assert (await intake.commit([new_event()])).durable == "spool"
    assert "raw.batch" in str(intake.state.last_error)


async def test_stop_while_the_database_is_away_keeps_everything(tmp_path: Path) -> None:
    intake = Intake(PostgresLog(NOWHERE), Spool(tmp_path / "spool"))
    await intake.start()
    tasks = [asyncio.create_task(intake.commit([new_event()])) for _ in range(10)]
    await asyncio.sleep(0)
    await intake.stop()
    assert {(await task).durable for task in tasks} == {"spool"}
    heir = Spool(tmp_path / "spool")
    await heir.open()
    assert heir.waiting_events == 10
    await heir.close()


def test_merged_entries_keep_the_order_of_each_tenant() -> None:
    def entry(*events: NewEvent) -> Entry:
        return Entry([PendingGroup(event.tenant_id, "http", [event]) for event in events], [])

    a, b, c = new_event(1), new_event(2), new_event(1)
    groups, rejects = merged([entry(a, b), entry(c)])
    assert groups == [PendingGroup(1, "spool", [a, c]), PendingGroup(2, "spool", [b])]
    assert rejects == []
