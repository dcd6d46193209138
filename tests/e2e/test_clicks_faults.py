"""Acknowledged clicks are stored once: the server killed under load, a storm of equal clicks, limits, PostgreSQL away."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import httpx
import psycopg
import pytest
from e2e_server import Server, cli

KEY = "a-key-of-the-clicking-domain-5c1d9f27be"
BATCH = "/api/tracking-ingest/batch"
KILLS = 5
SENDERS = 4


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server which does not outlive the test."""
    started: list[Server] = []

    def make(*args, wait: bool = True, **env) -> Server:
        server = Server(*args, WEBHOOK_API_KEY=KEY, **env)
        started.append(server)
        return server.start(wait=wait)

    yield make
    for server in started:
        if server.process is not None and server.process.poll() is None:
            server.kill()


def loaded(database_url: str, tracking_id: str) -> list[tuple[str, int]]:
    """Load what waits; return each click's message id and how many events the vault has seen under it."""
    with psycopg.connect(database_url) as connection:
        connection.execute("select staging.auto_process_if_needed()")
        connection.commit()
        return connection.execute(
            """select r.message_id, count(distinct s.event_uid)
               from raw.event r join vault.event_seen s on s.event_uid = r.event_uid
               where r.kind = 'link.clicked' and r.subject = %s group by 1""",
            [tracking_id],
        ).fetchall()


def facts(database_url: str, tracking_id: str) -> int:
    """Return how many clicks of a link there are."""
    with psycopg.connect(database_url) as connection:
        sql = "select count(*) from business.link_clicks where tracking_id = %s"
        return connection.execute(sql, [tracking_id]).fetchone()[0]


def wait_until_stored(database_url: str, tracking_id: str, rows: int) -> None:
    """Return when the spool has brought its clicks; fail after 30 seconds."""
    pause = threading.Event()
    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(300):
            sql = "select count(*) from raw.event where subject = %s"
            if connection.execute(sql, [tracking_id]).fetchone()[0] == rows:
                return
            pause.wait(0.1)
    raise AssertionError("the spooled clicks did not arrive in time")


class Clicking:
    """Sends clicks without event ids, each with a time of its own, and again until they are acknowledged."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.acknowledged = 0
        self.statuses: set[int] = set()
        self._numbers = count()
        self._unanswered: list[list[dict]] = []
        self._lock = threading.Lock()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send from threads while the block runs."""
        stop = threading.Event()
        with ThreadPoolExecutor(SENDERS) as pool:
            done = [pool.submit(self._send, stop) for _ in range(SENDERS)]
            try:
                yield
            finally:
                stop.set()
        for one in done:
            one.result()

    def settle(self) -> None:
        """Send what was never answered."""
        stop = threading.Event()
        stop.set()
        while self._unanswered:
            self._send(stop, once=True)

    def _send(self, stop: threading.Event, *, once: bool = False) -> None:
        with httpx.Client(base_url=self.url, headers={"X-API-Key": KEY}, timeout=20) as client:
            while once or not stop.is_set():
                once = False
                with self._lock:
                    batch = self._unanswered.pop() if self._unanswered else self._made()
                try:
                    status = client.post(BATCH, json={"events": batch}).status_code
                except httpx.TransportError:
                    status = 0
                with self._lock:
                    self.statuses.add(status)
                    if status == 200:
                        self.acknowledged += len(batch)
                    else:
                        self._unanswered.append(batch)
                if status != 200:
                    stop.wait(0.01)

    def _made(self) -> list[dict]:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        numbers = [next(self._numbers) for _ in range(20)]
        return [
            {"tracking_id": "killed", "clicked_at": (moment + timedelta(microseconds=number)).isoformat()}
            for number in numbers
        ]


@pytest.mark.timeout(180)
def test_kill_9_loses_and_doubles_no_click(tmp_path: Path, start):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    pause = threading.Event()
    server = start(tmp_path / "data")
    load = Clicking(server.url)
    for _ in range(KILLS):
        with load.sending():
            pause.wait(chance.uniform(0.1, 0.5))
            server.kill()
        server.start()
    load.settle()
    found = loaded(server.database_url(), "killed")
    assert load.acknowledged > KILLS * 20, f"the load was too light to show anything (seed {seed})"
    assert {times for _, times in found} == {1}
    assert len(found) == load.acknowledged == facts(server.database_url(), "killed"), f"seed {seed}"
    assert load.statuses <= {0, 200, 503}
    assert server.stop() == 0


@pytest.mark.timeout(120)
def test_a_storm_of_equal_clicks_is_one_click_and_limits_tell_when_to_come_again(tmp_path: Path, start):
    server = start(tmp_path / "data", INGEST_RATE_LIMIT_EVENTS="1500")
    click = {"tracking_id": "storm", "clicked_at": "2026-05-01T10:00:00Z", "ip_address": "198.51.100.7"}
    with httpx.Client(base_url=server.url, headers={"X-API-Key": KEY}, timeout=20) as client:

        def send(_: int) -> int:
            return client.post(BATCH, json={"events": [click] * 10}).json()["results"]["successful"]

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(send, range(100))) == {1}
        assert [times for _, times in loaded(server.database_url(), "storm")] == [1]
        assert facts(server.database_url(), "storm") == 1
        refused = client.post(BATCH, json={"events": [click] * 1000})
    told = refused.json()
    assert (refused.status_code, told["success"], told["error"]) == (429, False, "Too Many Requests")
    assert int(refused.headers["retry-after"]) >= 1
    assert (told["code"], told["request_id"]) == ("rate_limited", refused.headers["x-request-id"])
    assert server.stop() == 0


@pytest.mark.timeout(120)
def test_clicks_are_taken_while_postgresql_is_away(tmp_path: Path, durable_cluster, start):
    env = {"DATABASE_URL": durable_cluster.dsn}
    cli("migrate", "up", env={**Server(tmp_path).env, **env})
    server = start(tmp_path / "serve", command=("serve",), **env)
    click = {"tracking_id": "away", "event_id": "a-1"}
    with httpx.Client(base_url=server.url, headers={"X-API-Key": KEY}, timeout=30) as client:
        assert client.post("/api/tracking-ingest/test").status_code == 200  # the key is known from here on
        durable_cluster.kill()
        answer = client.post(BATCH, json={"events": [click]})
        assert (answer.status_code, answer.json()["durable"]) == (200, "spool")
        assert answer.json()["results"]["successful"] == 1
        assert client.get("/api/tracking-ingest/health").status_code == 200
        durable_cluster.start()
        server.wait_ready()
        assert client.post(BATCH, json={"events": [click]}).status_code == 200
    wait_until_stored(durable_cluster.dsn, "away", 2)
    worker = start(tmp_path / "work", command=("work",), wait=False, **env)
    assert loaded(durable_cluster.dsn, "away") == [("a-1", 1)]
    assert facts(durable_cluster.dsn, "away") == 1
    assert server.stop() == 0
    assert worker.stop() == 0
