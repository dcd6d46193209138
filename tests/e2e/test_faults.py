"""Nothing acknowledged is lost and nothing is counted twice: the server killed and the database restarted under load."""

import asyncio
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from e2e_server import Server, cli

SENDERS = 8
KILLS = 20


class Load:
    """Sends events over and over until told to stop; knows which ids were acknowledged."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {key}"}
        self.acknowledged: set[str] = set()
        self.unanswered: list[str] = []
        self.statuses: dict[int, int] = {}

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send from a thread of its own while the block runs; the test's own thread stays free to do harm."""
        stop = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._run(stop)))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)

    async def _run(self, stop: threading.Event) -> None:
        limits = httpx.Limits(max_connections=SENDERS * 2)
        async with httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=20, limits=limits) as client:
            await asyncio.gather(*(self._send(client, stop, number) for number in range(SENDERS)))

    async def _send(self, client: httpx.AsyncClient, stop: threading.Event, number: int) -> None:
        while not stop.is_set():
            # what was never answered is sent again under its old id, as a good client does
            ids = [self.unanswered.pop() if self.unanswered else f"k-{uuid4()}" for _ in range(1 if number % 2 else 10)]
            events = [
                {"page_url": f"http://localhost/{number}", "user_id": f"u{number}", "event_id": id_} for id_ in ids
            ]
            try:
                if len(events) == 1:
                    answer = await client.post("/api/v1/track", json=events[0])
                else:
                    answer = await client.post("/api/v1/track/bulk", json={"events": events})
            except httpx.TransportError:
                self.unanswered.extend(ids)
                await asyncio.sleep(0.01)
                continue
            self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
            if answer.status_code in {200, 202}:
                self.acknowledged.update(ids)
            else:
                self.unanswered.extend(ids)
                await asyncio.sleep(0.01)


def assert_exactly_once(database_url: str, acknowledged: set[str]) -> None:
    """Compare ids: every acknowledged event is a fact, no event is two facts, and the ledger balances."""
    with psycopg.connect(database_url) as connection:
        facts = connection.execute(
            """select r.message_id, count(distinct f.raw_id)
               from vault.nhl_site_event f join raw.event r on r.raw_id = f.raw_id
               where r.message_id like 'k-%' group by 1"""
        ).fetchall()
        assert {count for _, count in facts} <= {1}, "an event was loaded twice"
        assert len(facts) == len({message_id for message_id, _ in facts})
        lost = acknowledged - {message_id for message_id, _ in facts}
        assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged events were lost"
        pending, out_of_balance = connection.execute(
            """select count(*) filter (where loaded_at is null),
                      count(*) filter (where loaded_at is not null and loaded + duplicates + rejected <> events)
               from raw.batch"""
        ).fetchone()
        assert (pending, out_of_balance) == (0, 0)
        # the hub's own events, such as alerts about the fault, are facts of another kind
        total_facts, total_loaded = connection.execute(
            "select (select count(*) from vault.nhl_site_event) + (select count(*) from vault.nhl_event), "
            "(select sum(loaded) from raw.batch)"
        ).fetchone()
        assert total_facts == total_loaded


def all_loaded(url: str, key: str) -> None:
    """Wait until nothing waits to be loaded, in the spool or in the landing."""
    deadline = time.monotonic() + 60
    pause = threading.Event()
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        while time.monotonic() < deadline:
            state = client.get("/api/v1/track/status").json().get("pipeline_status", {})
            health = client.get("/health/detailed").json()
            if _spool_is_empty(health) and state.get("pending_events") == 0:
                return
            pause.wait(0.2)
    raise AssertionError(f"not everything was loaded in time: {state} {health}")


def _spool_is_empty(health: dict) -> bool:
    return health.get("checks", {}).get("intake", {}).get("spooled_events", 0) == 0


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server which does not outlive the test."""
    started: list[Server] = []

    def make(*args, wait: bool = True, **kwargs) -> Server:
        server = Server(*args, **kwargs)
        started.append(server)
        return server.start(wait=wait)

    yield make
    for server in started:
        if server.process is not None and server.process.poll() is None:
            server.kill()


@pytest.mark.timeout(300)
def test_kill_9_of_the_server_under_load_loses_and_doubles_nothing(tmp_path: Path, start):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    pause = threading.Event()
    server = start(tmp_path / "data")
    key = server.key(scopes="ingest,read,admin")
    load = Load(server.url, key)
    for _ in range(KILLS):
        with load.sending():
            pause.wait(chance.uniform(0.05, 0.6))
            server.kill()
        server.start()
    all_loaded(server.url, key)
    assert len(load.acknowledged) > KILLS * 5, f"the load was too light to show anything (seed {seed})"
    assert_exactly_once(server.database_url(), load.acknowledged)
    assert set(load.statuses) <= {200, 202, 503}, load.statuses
    assert server.stop() == 0


def begin_request(server: Server, key: str, id_: str) -> tuple[socket.socket, bytes]:
    """Send a request but for the end of its body, once the server has surely begun it; return the rest."""
    body = b'{"page_url": "http://localhost/", "event_id": "%b"}' % id_.encode()
    link = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = f"POST /api/v1/track/async HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nExpect: 100-continue\r\n"
    link.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body))
    assert link.recv(100).startswith(b"HTTP/1.1 100 ")
    link.sendall(body[:9])
    return link, body[9:]


@pytest.mark.timeout(120)
def test_sigterm_under_load_answers_what_has_begun_and_loses_nothing(tmp_path: Path, start):
    server = start(tmp_path / "data")
    key = server.key(scopes="ingest,read,admin")
    load = Load(server.url, key)
    begun = {f"k-begun-{number}": begin_request(server, key, f"k-begun-{number}") for number in range(5)}
    with load.sending():
        poll_until(lambda: len(load.acknowledged) > 500)
        server.process.send_signal(signal.SIGTERM)
        poll_until(lambda: not_listening(server.port))
        for id_, (link, rest) in begun.items():
            link.sendall(rest)
            with link:
                assert link.recv(1_000).startswith(b"HTTP/1.1 200 ")
            load.acknowledged.add(id_)
        assert server.stop() == 0
    assert set(load.statuses) <= {200, 202, 503}, load.statuses
    server.start()
    all_loaded(server.url, key)
    assert_exactly_once(server.database_url(), load.acknowledged)
    assert server.stop() == 0


def not_listening(port: int) -> bool:
    """Tell whether new connections are refused."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


def poll_until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Return when the condition holds; fail after the deadline."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.01)


@pytest.mark.timeout(180)
def test_postgresql_restarted_under_load_gives_no_500_and_loses_nothing(tmp_path: Path, durable_cluster, start):
    pause = threading.Event()
    env = {"DATABASE_URL": durable_cluster.dsn}
    cli("migrate", "up", env={**Server(tmp_path).env, **env})
    worker = start(tmp_path / "work", command=("work",), wait=False, **env)
    server = start(tmp_path / "serve", command=("serve",), **env)
    key = server.key(scopes="ingest,read,admin")
    load = Load(server.url, key)
    with load.sending():
        for harm in (durable_cluster.restart, durable_cluster.kill, durable_cluster.restart):
            pause.wait(1)
            harm()
            if harm == durable_cluster.kill:
                durable_cluster.start()
        pause.wait(1)
    server.wait_ready()
    all_loaded(server.url, key)
    assert set(load.statuses) <= {200, 202, 503}, load.statuses
    assert load.statuses.get(202), "no event was spooled: the restarts were not felt"
    assert_exactly_once(durable_cluster.dsn, load.acknowledged)
    assert server.stop() == 0
    assert worker.stop() == 0
