"""Workers killed and asked to stop, PostgreSQL restarted and away, while deliveries are under way: none is lost."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web
from clusters import DurableCluster
from e2e_server import Server
from webhooks.receiver import Receiver, add_endpoint, event, queue_events, until, working

from mainstem.pii.box import Keyring
from mainstem.platform.secrets import pii_keys
from mainstem.platform.settings import Settings

SECRET_KEY = "a secret of this test alone, which is long enough"
EMPTY = "select not exists (select from webhooks.queue)"
NONE_LEASED = "select not exists (select from webhooks.queue where leased_until > now())"


@pytest.fixture
def start(tmp_path: Path, durable_cluster: DurableCluster, monkeypatch) -> Iterator[Callable[[str], Server]]:
    """Return a function that starts a working process on the test's database; none outlives the test."""
    keyring = Keyring(*pii_keys(Settings(_env_file=None, secret_key=SECRET_KEY), tmp_path))
    monkeypatch.setattr("webhooks.receiver.KEYRING", keyring)
    started: list[Server] = []

    def make(name: str) -> Server:
        server = Server(
            tmp_path / name,
            command=("work",),
            DATABASE_URL=durable_cluster.dsn,
            SECRET_KEY=SECRET_KEY,
            OUTBOUND_ALLOW="127.0.0.0/8",
            WEBHOOK_LEASE_SECONDS="2",
        )
        started.append(server)
        return server.start(wait=False)

    yield make
    for server in started:
        if server.process is not None and server.process.poll() is None:
            server.kill()


@pytest.fixture
async def database(durable_cluster: DurableCluster):
    connection = await asyncpg.connect(durable_cluster.dsn)
    yield connection
    await connection.close()


def slow(seconds: float):
    async def answer(_request) -> web.Response:
        await asyncio.sleep(seconds)
        return web.Response()

    return answer


async def test_a_killed_worker_loses_nothing_and_doubles_only_what_was_under_way(start, database, receiver: Receiver):
    receiver.answers["/hook"] = slow(0.02)
    await add_endpoint(database, receiver.url())
    await queue_events(database, [event({"n": n}) for n in range(300)])
    first = start("first")
    for kills in range(3):
        await receiver.received(60 * (kills + 1))
        await asyncio.to_thread(first.kill)
        first = start(f"next-{kills}")
    await until(database, EMPTY, timeout_s=50)
    times = Counter(request.json["data"]["n"] for request in receiver.at())
    assert set(times) == set(range(300))
    # each kill leaves at most what is held for an endpoint: sent and not yet written down
    assert sum(count - 1 for count in times.values()) <= 3 * 64
    ids = {(request.json["data"]["n"], request.id) for request in receiver.at()}
    assert len(ids) == 300
    assert await database.fetchval("select count(*) from webhooks.delivery where status = 'delivered'") == 300
    assert await database.fetchval("select delivered from webhooks.endpoint_total") == 300


async def test_one_delivery_under_way_is_all_that_a_kill_doubles(start, database, receiver: Receiver):
    gate = asyncio.Event()

    async def hold(request) -> web.Response:
        if request.json["data"]["n"] == 5:
            await gate.wait()
        return web.Response()

    receiver.answers["/hook"] = hold
    await add_endpoint(database, receiver.url())
    worker = start("first")
    await queue_events(database, [event({"n": n}) for n in range(10)])
    await receiver.received(10)
    await until(database, "select count(*) = 9 from webhooks.delivery where status = 'delivered'")
    await asyncio.to_thread(worker.kill)
    gate.set()
    start("second")
    await until(database, EMPTY)
    times = Counter(request.json["data"]["n"] for request in receiver.at())
    assert {n for n, count in times.items() if count > 1} == {5}
    assert times.total() == 11
    assert len({request.id for request in receiver.at() if request.json["data"]["n"] == 5}) == 1


async def test_a_worker_that_is_asked_to_stop_doubles_nothing(start, database, receiver: Receiver):
    receiver.answers["/hook"] = slow(0.02)
    await add_endpoint(database, receiver.url())
    await queue_events(database, [event({"n": n}) for n in range(300)])
    worker = start("first")
    await receiver.received(60)
    assert await asyncio.to_thread(worker.stop) == 0
    assert await database.fetchval(NONE_LEASED)
    start("second")
    await until(database, EMPTY)
    assert Counter(Counter(request.json["data"]["n"] for request in receiver.at()).values()) == {1: 300}


async def test_a_restart_of_postgresql_loses_nothing(durable_cluster: DurableCluster, receiver: Receiver):
    receiver.answers["/hook"] = slow(0.01)
    connection = await asyncpg.connect(durable_cluster.dsn)
    await add_endpoint(connection, receiver.url())
    await queue_events(connection, [event({"n": n}) for n in range(400)])
    await connection.close()
    async with working(durable_cluster.dsn, lease_s=3):
        await receiver.received(100)
        # not from another thread: the server goes when the thread goes that started it
        durable_cluster.restart()
        await receiver.received(200)
        durable_cluster.kill()
        durable_cluster.start()
        again = await asyncpg.connect(durable_cluster.dsn)
        await until(again, EMPTY, timeout_s=40)
        delivered = await again.fetchval("select count(*) from webhooks.delivery where status = 'delivered'")
        await again.close()
    assert delivered == 400
    assert {request.json["data"]["n"] for request in receiver.at()} == set(range(400))
