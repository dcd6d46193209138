"""Several server processes on one PostgreSQL: whoever makes a change, every client hears of it."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from e2e_server import Server
from watching import PATH, Watcher, until
from websockets.asyncio.client import connect

from mainstem.platform import live

CLIENTS = 16


@pytest.fixture
async def servers(dsn, tmp_path):
    """Yield a server of two processes, and a process that loads."""
    serve = Server(tmp_path / "serve", command=("serve", "--workers", "2"), DATABASE_URL=dsn)
    work = Server(tmp_path / "work", command=("work",), DATABASE_URL=dsn)
    try:
        await asyncio.to_thread(serve.start)
        await asyncio.to_thread(work.start, wait=False)
        await until(lambda: any("working" in line for line in work.output), deadline_s=40)
        yield serve
    finally:
        codes = [await asyncio.to_thread(one.stop) for one in (serve, work)]
        assert codes == [0, 0], "".join(serve.output[-40:] + work.output[-40:])


async def watchers(stack: AsyncExitStack, server: Server, key: str, *topics: str) -> list[Watcher]:
    """Return clients that are subscribed, at least one with each of two processes: each process counts its own."""
    found: list[Watcher] = []
    async with asyncio.timeout(30):
        while len(found) < CLIENTS or await _connections(found[0]) in {len(found), 0}:
            found.append(await stack.enter_async_context(_watching(server, key, *topics)))
    return found


@asynccontextmanager
async def _watching(server: Server, key: str, *topics: str) -> AsyncIterator[Watcher]:
    options = {"additional_headers": {"Authorization": f"Bearer {key}"}}
    async with connect(server.url.replace("http", "ws") + PATH, **options) as socket:
        watcher = Watcher(socket)
        await watcher.send(action="subscribe", types=topics)
        await watcher.next("subscription_confirmed")
        yield watcher


async def _connections(watcher: Watcher) -> int:
    await watcher.send(action="ping")
    return (await watcher.next("pong"))["data"]["total_connections"]


@pytest.mark.timeout(120)
async def test_clients_of_all_processes_hear_everything(servers, connection):
    key = await asyncio.to_thread(servers.key)
    async with AsyncExitStack() as stack:
        found = await watchers(stack, servers, key, "alerts", "events")
        # a change that any process, or none of ours, makes
        await live.tell(connection, 1, "alert_new", {"alert_id": 9})
        assert [(await watcher.next("alert_new"))["data"] for watcher in found] == [{"alert_id": 9}] * len(found)
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as client:
            answer = await client.post(
                f"{servers.url}/api/v1/events",
                json={"kind": "order.paid", "data": {"email": "ana@harbour.example", "total": 5}},
            )
            assert answer.status_code == 202, answer.text
        events = [await watcher.next("event") for watcher in found]
        assert {event["data"]["uid"] for event in events} == {events[0]["data"]["uid"]}
        # personal data is sealed before anybody sees it
        assert events[0]["data"]["data"]["total"] == 5
        assert "ana@" not in json.dumps(events)


@pytest.mark.timeout(120)
async def test_clients_come_back_after_a_process_was_killed(servers, connection):
    key = await asyncio.to_thread(servers.key)
    async with AsyncExitStack() as stack:
        found = await watchers(stack, servers, key, "alerts")
        os.kill(_children(servers.process.pid)[-1], signal.SIGKILL)
        ended = [watcher for watcher in found if await _ends(watcher)]
        assert 0 < len(ended) < len(found)
        # the others hear what is told, and so does who comes back
        back = await stack.enter_async_context(_watching(servers, key, "alerts"))
        await live.tell(connection, 1, "alert_new", {"alert_id": 10})
        for watcher in [*(one for one in found if one not in ended), back]:
            assert (await watcher.next("alert_new"))["data"] == {"alert_id": 10}


async def _ends(watcher: Watcher) -> bool:
    """Tell whether a client's connection is gone: a ping tells it at once."""
    try:
        await watcher.until_pong()
    except Exception:  # noqa: BLE001 - however it ends
        return True
    return False


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


@pytest.mark.timeout(120)
async def test_c_limits_are_counted_across_processes(dsn, tmp_path):
    """The original counted in each process by itself."""
    server = Server(
        tmp_path / "data",
        command=("serve", "--workers", "2"),
        DATABASE_URL=dsn,
        RATE_LIMIT_REQUESTS="5",
        REDIS_URL="redis://127.0.0.1:9/0",
    )
    try:
        await asyncio.to_thread(server.start)
        headers = {"Authorization": f"Bearer {await asyncio.to_thread(server.key)}"}
        statuses = []
        for _ in range(8):
            # a new connection each time, so that both processes are met
            async with httpx.AsyncClient(headers=headers) as client:
                statuses.append((await client.get(f"{server.url}/api/v1/dashboard/overview")).status_code)
        assert statuses == [200] * 5 + [429] * 3
    finally:
        assert await asyncio.to_thread(server.stop) == 0
