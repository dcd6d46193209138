"""The loader as it runs: woken by signals, many at a time, through crashes and restarts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
from clusters import DurableCluster
from vault.vaulting import append, balance, event, loader

from mainstem.vault.ledger import LoadResult
from mainstem.vault.loader import Loader


class Progress:
    """Counts what loaders report, and waits for it."""

    def __init__(self, loaders: Sequence[Loader]) -> None:
        self.results: list[LoadResult] = []
        self._news = asyncio.Event()
        for one in loaders:
            one.on_loaded(self._hear)

    def _hear(self, result: LoadResult) -> None:
        self.results.append(result)
        self._news.set()

    async def batches(self, number: int) -> None:
        """Return when that many batches are loaded."""
        async with asyncio.timeout(30):
            while sum(result.batches for result in self.results) < number:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def running(*loaders: Loader) -> AsyncIterator[Progress]:
    """Run loaders; stop them in good order at the end."""
    progress, stop = Progress(loaders), asyncio.Event()
    tasks = [asyncio.create_task(one.run(stop)) for one in loaders]
    try:
        yield progress
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)


async def test_it_loads_what_waits_and_what_it_is_told_of(connection: asyncpg.Connection, dsn: str):
    await append(connection, [event({"visitor": "v"})])
    one = loader(dsn)
    async with running(one) as progress:
        await progress.batches(1)
        batch_id = await append(connection, [event({"visitor": "v"})])
        one.nudge([batch_id])
        await progress.batches(2)
        # raw.append, unlike append(), sends a signal itself
        await connection.execute("""select raw.append(1, '[{"kind": "order.noted"}]', 'sql')""")
        await progress.batches(3)
    assert await balance(connection) == (3, 3, 0, 0)
    assert progress.results[1].batch_ids == (batch_id,)


async def test_a_load_that_stands_still_gives_its_batches_back(connection: asyncpg.Connection, dsn: str):
    """As the server sees a loader that is frozen, or behind a network that is gone."""
    await append(connection, [event({"visitor": "v"})])
    frozen = loader(dsn)._slot()
    assert await frozen.begin(0)
    setting = await frozen._open[0].fetchval("show idle_in_transaction_session_timeout")
    assert setting == "1min"
    await frozen._open[0].execute("set idle_in_transaction_session_timeout = '50ms'")
    async with running(loader(dsn)) as progress:
        await progress.batches(1)
    frozen.drop()
    assert await balance(connection) == (1, 1, 0, 0)


async def test_a_failing_hook_harms_nobody(connection: asyncpg.Connection, dsn: str):
    one = loader(dsn)

    def fail(_: LoadResult) -> None:
        msg = "a hook that fails"
        raise RuntimeError(msg)

    one.on_loaded(fail)
    async with running(one) as progress:
        await append(connection, [event({"visitor": "v"})])
        one.nudge()
        await progress.batches(1)


async def test_several_loaders_of_one_lane_load_each_event_once(connection: asyncpg.Connection, dsn: str):
    batches = 40
    loaders = [loader(dsn, claim_events=30) for _ in range(3)]
    async with running(*loaders) as progress:
        for number in range(batches):
            # every message comes in two neighbouring batches, and twice in each
            keys = [f"{(number + part) % batches}-{key}" for part in (0, 1) for key in range(5)] * 2
            await append(connection, [event({"visitor": key[-1], "page": key[0]}, message_id=key) for key in keys])
            for one in loaders:
                one.nudge()
        await progress.batches(batches)
    assert sorted(batch_id for result in progress.results for batch_id in result.batch_ids) == [
        row["batch_id"] for row in await connection.fetch("select batch_id from raw.batch order by 1")
    ]
    assert await balance(connection) == (batches * 20, batches * 5, batches * 15, 0)
    assert await connection.fetchval("select count(*) from vault.nhl_site_event") == batches * 5
    times = await connection.fetch("select load_ts from raw.batch group by load_ts")
    assert len(times) == len(progress.results)


async def somebody_waits(connection: asyncpg.Connection) -> None:
    """Return when some backend waits for a table's lock."""
    waiting = "select exists (select from pg_locks where not granted and locktype = 'relation')"
    async with asyncio.timeout(20):
        while not await connection.fetchval(waiting):  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(0.01)


async def block_and_kill(connection: asyncpg.Connection, loads: int) -> None:
    """Hold the loader up in the middle of its vault phase, then end its backends as a crash would."""
    async with connection.transaction():
        await connection.execute("lock table vault.nhl_site_event in share row exclusive mode")
        await somebody_waits(connection)
        killed = await connection.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'mainstem loader' and datname = current_database()"
        )
        assert len(killed) >= 1
        assert await connection.fetchval("select count(*) from raw.batch where loaded_at is not null") == loads


async def test_a_load_that_is_cut_off_is_done_again_as_a_whole(connection: asyncpg.Connection, dsn: str):
    one = loader(dsn)
    async with running(one) as progress:
        for number in range(3):
            blocker = asyncio.create_task(block_and_kill(connection, number))
            other = await asyncpg.connect(dsn)
            try:
                await append(other, [event({"visitor": "v"}, message_id=f"{number}-{key}") for key in (1, 2, 2)])
            finally:
                await other.close()
            one.nudge()
            await blocker
            await progress.batches(number + 1)
    assert await balance(connection) == (9, 6, 3, 0)
    assert await connection.fetchval("select count(*) from vault.nhl_site_event") == 6
    assert await connection.fetchval("select loaded from business.pipeline_total") == 6


async def test_it_survives_restarts_and_kills_of_the_database(durable_cluster: DurableCluster):
    one = loader(durable_cluster.dsn)
    async with running(one) as progress:
        for number, interrupt in enumerate((durable_cluster.stop, durable_cluster.kill)):
            connection = await asyncpg.connect(durable_cluster.dsn)
            await append(connection, [event({"visitor": "v"})])
            await connection.close()
            one.nudge()
            # from this thread: the server ends with the thread that started it
            await asyncio.to_thread(interrupt)
            durable_cluster.start()
            await progress.batches(number + 1)
    connection = await asyncpg.connect(durable_cluster.dsn)
    assert await balance(connection) == (2, 2, 0, 0)
    await connection.close()


async def test_a_cancelled_loader_leaves_no_connection_and_no_lock(connection: asyncpg.Connection, dsn: str):
    one = loader(dsn)
    async with connection.transaction():
        await connection.execute("lock table vault.nhl_site_event in share row exclusive mode")
        other = await asyncpg.connect(dsn)
        await append(other, [event({"visitor": "v"})])
        await other.close()
        task = asyncio.create_task(one.run(asyncio.Event()))
        await somebody_waits(connection)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    result = await loader(dsn).load_once()
    async with asyncio.timeout(20):
        while result is None:
            result = await loader(dsn).load_once()
    assert await balance(connection) == (1, 1, 0, 0)


async def test_it_sleeps_when_nothing_waits(connection: asyncpg.Connection, dsn: str):
    quiet = (
        "select array_agg(state_change order by pid) from pg_stat_activity "
        "where application_name = 'mainstem loader' and datname = current_database() and state = 'idle'"
    )
    one = loader(dsn)
    async with running(one) as progress:
        await append(connection, [event({"visitor": "v"})])
        one.nudge()
        await progress.batches(1)
        before = None
        async with asyncio.timeout(20):
            # both connections say nothing for a second
            while (now := await connection.fetchval(quiet)) != before or len(now) != 2:
                before = now
                await asyncio.sleep(1)
