"""States are read once for all who ask together, and never before somebody asked."""

import asyncio

import pytest

from mainstem.dashboard.messages import Topic
from mainstem.dashboard.snapshots import Snapshots


class Source:
    """A state that counts its reads; each one ends when the test says so."""

    def __init__(self) -> None:
        self.reads = 0
        self.gates: list[asyncio.Event] = []
        self.begun = asyncio.Condition()

    async def read(self, connection, _tenant_id: int) -> dict[str, int]:
        self.reads += 1
        number, gate = self.reads, asyncio.Event()
        async with self.begun:
            self.gates.append(gate)
            self.begun.notify_all()
        await gate.wait()
        return {"tenant": await connection.fetchval("select current_setting('mainstem.tenant_id')::int"), "n": number}

    async def reading(self, number: int) -> None:
        async with asyncio.timeout(5), self.begun:
            await self.begun.wait_for(lambda: len(self.gates) >= number)


@pytest.fixture
async def source():
    return Source()


@pytest.fixture
async def snapshots(api_pool, source):
    snapshots = Snapshots(lambda: api_pool, {Topic.EVENTS: source.read})
    yield snapshots
    await snapshots.stop()


async def test_a_read_under_way_is_not_for_who_comes_later(snapshots, source):
    first = asyncio.create_task(snapshots.of(1, Topic.EVENTS))
    await source.reading(1)
    later = [asyncio.create_task(snapshots.of(1, Topic.EVENTS)) for _ in range(50)]
    await asyncio.sleep(0)
    assert source.reads == 1
    source.gates[0].set()
    assert bytes(await first) == b'{"tenant":1,"n":1}'
    await source.reading(2)
    source.gates[1].set()
    assert {bytes(await one) for one in later} == {b'{"tenant":1,"n":2}'}
    assert source.reads == 2


async def test_tenants_share_nothing(snapshots, source):
    one, two = (asyncio.create_task(snapshots.of(tenant_id, Topic.EVENTS)) for tenant_id in (1, 2))
    await source.reading(2)
    for gate in source.gates:
        gate.set()
    assert (b'"tenant":1' in bytes(await one), b'"tenant":2' in bytes(await two)) == (True, True)


async def test_who_leaves_takes_nothing_from_the_others(snapshots, source):
    first = asyncio.create_task(snapshots.of(1, Topic.EVENTS))
    await source.reading(1)
    leaving, staying = (asyncio.create_task(snapshots.of(1, Topic.EVENTS)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    leaving.cancel()
    source.gates[0].set()
    await source.reading(2)
    source.gates[1].set()
    assert bytes(await staying) == b'{"tenant":1,"n":2}'


async def test_a_failure_is_told_to_all_who_share_it_and_forgotten(api_pool):
    async def failing(connection, tenant_id):
        await connection.fetchval("select 1 / 0")

    snapshots = Snapshots(lambda: api_pool, {Topic.EVENTS: failing})
    for _ in range(2):
        results = await asyncio.gather(*(snapshots.of(1, Topic.EVENTS) for _ in range(3)), return_exceptions=True)
        assert {type(result).__name__ for result in results} == {"DivisionByZeroError"}
    assert bytes(await snapshots.of(1, Topic.ALERTS)) == b"null"
