"""Group commit: what is acknowledged is stored, once, in order, and only the guilty are refused."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import pytest
from events.landing import StartIntake, new_event, reject, stored_uids, until

from mainstem.events.group import MAX_GROUP_EVENTS, PendingGroup, Receipt
from mainstem.events.intake import MAX_WAITING_BYTES, MAX_WAITING_EVENTS, Intake
from mainstem.events.log import PostgresLog
from mainstem.events.model import NewEvent, Reject
from mainstem.events.spool import Spool
from mainstem.platform.errors import BadRequestError, PayloadTooLargeError, UnavailableError


class GatedLog(PostgresLog):
    """A log whose appends wait at a gate, to make groups of a chosen shape."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.gate = asyncio.Event()
        self.sizes: list[int] = []
        self.throws_away = False

    async def append(self, groups: Sequence[PendingGroup], rejects: Sequence[Reject] = ()) -> list[int]:
        self.sizes.append(sum(len(group.events) for group in groups))
        await self.gate.wait()
        if self.throws_away:
            return list(range(len(groups)))
        return await super().append(groups, rejects)


@pytest.fixture
async def gated(dsn: str, tmp_path: Path) -> tuple[GatedLog, Intake]:
    log = GatedLog(dsn)
    intake = Intake(log, Spool(tmp_path / "spool"))
    await intake.start()
    return log, intake


async def test_64_concurrent_callers_lose_nothing_and_double_nothing(dsn: str, start_intake: StartIntake) -> None:
    intake = await start_intake()
    sent: list[object] = []

    async def caller(number: int) -> None:
        for _ in range(20):
            events = [new_event(1 + number % 3) for _ in range(1 + number % 4)]
            receipt = await intake.commit(events)
            assert receipt.durable == "postgres"
            assert len(receipt.batch_ids) == 1
            sent.extend(event.event_uid for event in events)

    await asyncio.gather(*(caller(number) for number in range(64)))
    stored = await stored_uids(dsn)
    assert len(stored) == len(set(stored))
    assert set(stored) == set(sent)


async def test_batches_are_unbroken_ranges_of_one_tenant_with_their_ledger_row(
    start_intake: StartIntake, connection: asyncpg.Connection
) -> None:
    intake = await start_intake()
    await asyncio.gather(
        *(
            intake.commit([new_event(1 + number % 3), new_event(1 + number % 3)], origin="import")
            for number in range(40)
        )
    )
    rows = await connection.fetch(
        """
        select b.batch_id, b.events, b.origin, count(e.*) as found, count(distinct e.tenant_id) as tenants,
               bool_and(e.tenant_id = b.tenant_id) as own, min(e.raw_id) as first, max(e.raw_id) as last,
               min(e.received_at) = b.received_from and max(e.received_at) = b.received_to as bounds
        from raw.batch b
        join raw.event e on e.raw_id >= b.batch_id and e.raw_id < b.batch_id + b.events
             and e.received_at between b.received_from and b.received_to
        group by b.batch_id order by b.batch_id
        """
    )
    assert sum(row["events"] for row in rows) == 80
    for row in rows:
        assert row["origin"] == "import"
        assert row["own"]
        assert row["bounds"]
        assert (row["tenants"], row["found"]) == (1, row["events"])
        assert (row["first"], row["last"]) == (row["batch_id"], row["batch_id"] + row["events"] - 1)
    assert await connection.fetchval("select count(*) from raw.batch where loaded_at is null") == len(rows)


async def test_an_event_is_kept_as_it_came(start_intake: StartIntake, connection: asyncpg.Connection) -> None:
    intake = await start_intake()
    event = new_event(data='{"b": 1,   "a": "\\u0000 \\u00e9"}', subject="session 1")
    receipt = await intake.commit([event])
    row = await connection.fetchrow("select * from raw.event where raw_id = $1", receipt.batch_ids[0])
    assert row is not None
    assert tuple(row)[1:] == tuple(event)


async def test_one_group_makes_one_batch_per_tenant_and_tells_each_caller_its_own(
    gated: tuple[GatedLog, Intake], connection: asyncpg.Connection
) -> None:
    log, intake = gated
    first = asyncio.create_task(intake.commit([new_event(9)]))
    await until(lambda: log.sizes == [1])
    one, two, both, none = (
        asyncio.create_task(intake.commit(events, rejects=[reject()]))
        for events in ([new_event(1)], [new_event(2)], [new_event(2), new_event(1)], [])
    )
    await asyncio.sleep(0)
    log.gate.set()
    await first
    of_one, of_two = (await one).batch_ids, (await two).batch_ids
    assert (await both).batch_ids == of_two + of_one
    assert await none == Receipt("postgres", ())
    assert log.sizes == [1, 4]
    batches = await connection.fetch("select tenant_id, events from raw.batch where tenant_id < 9 order by tenant_id")
    assert [tuple(row) for row in batches] == [(1, 2), (2, 2)]
    assert await connection.fetchval("select count(*) from staging.rejected") == 4
    await intake.stop()


async def test_a_tenants_events_keep_their_order(gated: tuple[GatedLog, Intake], dsn: str) -> None:
    log, intake = gated
    calls = [[new_event() for _ in range(size)] for size in (1, 5, 2, 7)]
    tasks = [asyncio.create_task(intake.commit(events)) for events in calls]
    await asyncio.sleep(0)
    log.gate.set()
    await asyncio.gather(*tasks)
    assert await stored_uids(dsn) == [event.event_uid for events in calls for event in events]
    await intake.stop()


async def test_a_group_is_capped_and_the_rest_follows(gated: tuple[GatedLog, Intake]) -> None:
    log, intake = gated
    half = [new_event()] * (MAX_GROUP_EVENTS // 2)
    tasks = [asyncio.create_task(intake.commit(half)) for _ in range(3)]
    await until(lambda: bool(log.sizes))
    log.gate.set()
    await asyncio.gather(*tasks)
    assert log.sizes == [MAX_GROUP_EVENTS, MAX_GROUP_EVENTS // 2]
    await intake.stop()


async def test_too_much_waiting_is_refused_at_once(gated: tuple[GatedLog, Intake]) -> None:
    log, intake = gated
    bulk = [new_event()] * 65_536
    tasks = [asyncio.create_task(intake.commit(bulk)) for _ in range(MAX_WAITING_EVENTS // 65_536)]
    await until(lambda: bool(log.sizes))
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError) as caught:
        await intake.commit(bulk)
    assert caught.value.headers == {"Retry-After": "1"}
    with pytest.raises(PayloadTooLargeError):
        await intake.commit([*bulk, new_event()])
    log.throws_away = True
    log.gate.set()
    assert len(await asyncio.gather(*tasks)) == len(tasks)
    await intake.stop()


async def test_rejects_that_wait_count_too(gated: tuple[GatedLog, Intake]) -> None:
    log, intake = gated
    half = [reject("x" * (MAX_WAITING_BYTES // 2))]
    tasks = [asyncio.create_task(intake.commit([], rejects=half)) for _ in range(2)]
    await until(lambda: bool(log.sizes))
    await asyncio.sleep(0)
    log.throws_away = True
    log.gate.set()
    with pytest.raises(UnavailableError):
        await intake.commit([], rejects=half)
    assert len(await asyncio.gather(*tasks)) == len(tasks)
    assert len(log.sizes) == len(tasks)
    await intake.stop()


async def test_a_caller_that_leaves_breaks_nobody(gated: tuple[GatedLog, Intake], dsn: str) -> None:
    log, intake = gated
    leaving, staying = [new_event()], [new_event()]
    left = asyncio.create_task(intake.commit(leaving))
    stayed = asyncio.create_task(intake.commit(staying))
    await until(lambda: bool(log.sizes))
    left.cancel()
    log.gate.set()
    assert (await stayed).durable == "postgres"
    assert left.cancelled()
    assert set(await stored_uids(dsn)) == {leaving[0].event_uid, staying[0].event_uid}
    await intake.stop()


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(new_event(kind="nul\0"), id="refused by the server"),
        pytest.param(new_event(kind="lone \ud800 surrogate"), id="refused by the encoder"),
        pytest.param(new_event(data="{not json"), id="not JSON"),
        pytest.param(new_event()._replace(flags=1 << 20), id="out of range"),
    ],
)
async def test_only_the_guilty_call_is_refused(gated: tuple[GatedLog, Intake], dsn: str, poison: NewEvent) -> None:
    log, intake = gated
    calls = [[new_event()] for _ in range(9)]
    calls[5] = [poison, new_event()]
    tasks = [asyncio.create_task(intake.commit(events)) for events in calls]
    await until(lambda: bool(log.sizes))
    log.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Receipt] * 5 + [BadRequestError] + [Receipt] * 3
    assert set(await stored_uids(dsn)) == {events[0].event_uid for number, events in enumerate(calls) if number != 5}
    assert intake.state.database_up
    await intake.stop()


async def test_rejects_are_kept_whatever_they_hold(start_intake: StartIntake, connection: asyncpg.Connection) -> None:
    intake = await start_intake()
    strange = "\0 \ud800 é" + "x" * 100_000
    receipt = await intake.commit([new_event()], rejects=[reject(strange)])
    row = await connection.fetchrow("select code, field, payload from staging.rejected")
    assert row is not None
    assert receipt.durable == "postgres"
    assert (row["code"], row["field"]) == ("invalid_field", "kind")
    assert row["payload"] == "\ufffd ? é" + "x" * (65_536 - 5)


async def test_stop_flushes_and_then_refuses(gated: tuple[GatedLog, Intake], dsn: str) -> None:
    log, intake = gated
    events = [[new_event()] for _ in range(5)]
    tasks = [asyncio.create_task(intake.commit(one)) for one in events]
    await until(lambda: bool(log.sizes))
    stopping = asyncio.create_task(intake.stop())
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError):
        await intake.commit([new_event()])
    log.gate.set()
    await stopping
    assert {receipt.durable for receipt in await asyncio.gather(*tasks)} == {"postgres"}
    assert len(await stored_uids(dsn)) == 5


async def test_hooks_hear_of_each_commit_and_may_fail(start_intake: StartIntake) -> None:
    intake = await start_intake()
    heard: list[int] = []
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))

    def failing(_: Sequence[int]) -> None:
        msg = "hook failed"
        raise RuntimeError(msg)

    intake.on_commit(failing)
    intake.on_commit(heard.extend)
    receipts = [await intake.commit([new_event()]) for _ in range(2)]
    await until(lambda: len(heard) == 2)
    assert heard == [receipt.batch_ids[0] for receipt in receipts]
    assert [str(failure) for failure in failures] == ["hook failed"] * 2


async def test_more_events_than_a_block_has_ids(start_intake: StartIntake, connection: asyncpg.Connection) -> None:
    intake = await start_intake()
    bulk = [new_event()] * 40_000
    ids = [(await intake.commit(bulk)).batch_ids[0] for _ in range(3)]
    assert len(set(ids)) == 3
    assert await connection.fetchval("select count(*) from raw.event") == 120_000


async def test_state_counts_what_waits(gated: tuple[GatedLog, Intake]) -> None:
    log, intake = gated
    task = asyncio.create_task(intake.commit([new_event(), new_event()]))
    await until(lambda: bool(log.sizes))
    assert (intake.state.waiting_events, intake.state.database_up, intake.state.last_error) == (2, True, None)
    log.gate.set()
    await task
    await until(lambda: intake.state.waiting_events == 0)
    await intake.stop()
    assert intake.state.spooled_events == 0
