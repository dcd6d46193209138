"""Redirects under faults: PostgreSQL away, the process killed under load, edits in another process, an unusable spool."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from e2e_server import Server, clean_environment, cli, free_port

LINK = "insert into links.tracked_link (tenant_id, slug, tracking_id, target_url) select tenant_id, %s, %s, %s from platform.tenant where slug = 'default'"
BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def add(dsn: str, slug: str, target: str = "https://example.com/") -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(LINK, (slug, slug, target))


def until(condition, what: str, timeout_s: float = 30) -> float:
    """Wait until a condition holds; return the seconds that it took."""
    started, pause = time.monotonic(), threading.Event()
    while time.monotonic() - started < timeout_s:
        if condition():
            return time.monotonic() - started
        pause.wait(0.02)
    raise AssertionError(what)


def clicks(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute("select count(*) from vault.nhl_click").fetchone()[0]


def test_a_redirect_works_while_postgresql_is_away(durable_cluster, tmp_path) -> None:
    dsn = durable_cluster.dsn
    add(dsn, "known")
    server = Server(tmp_path / "data", command=("serve",), DATABASE_URL=dsn).start()
    try:
        with httpx.Client(base_url=server.url, headers=BROWSER) as client:
            assert client.get("/known").status_code == 302
            durable_cluster.stop()
            for _ in range(20):
                started = time.monotonic()
                answer = client.get("/known")
                assert (answer.status_code, answer.headers["location"]) == (302, "https://example.com/")
                assert time.monotonic() - started < 5
            unknown = client.get("/unknown")
            assert unknown.status_code == 503
            assert "retry-after" in unknown.headers
            durable_cluster.start()
            until(lambda: client.get("/health/ready").status_code == 200, "the server was not ready again")
            until(lambda: client.get("/unknown").status_code == 404, "lookups did not come back")
        worker = Server(tmp_path / "worker", command=("work",), DATABASE_URL=dsn).start(wait=False)
        try:
            until(lambda: clicks(dsn) == 21, "not all clicks were loaded")
        finally:
            worker.stop()
    finally:
        server.stop()


def test_an_edit_is_known_to_other_processes_within_a_second(durable_cluster, tmp_path) -> None:
    dsn = durable_cluster.dsn
    add(dsn, "moving", "https://example.com/1")
    key = cli(
        "key",
        "create",
        "--tenant",
        "default",
        "--scope",
        "admin",
        env=clean_environment(DATABASE_URL=dsn),
        data_dir=tmp_path / "one",
    )
    key = next(word for word in key.split() if word.startswith("ms_"))
    servers = [
        Server(
            tmp_path / name, command=("serve",), DATABASE_URL=dsn, SECRET_KEY="one-secret-for-both-0123-abcdefgh-xyz"
        ).start()
        for name in ("one", "two")
    ]
    try:
        one, two = (httpx.Client(base_url=server.url, headers=BROWSER) for server in servers)
        with one, two:
            for client in (one, two):
                assert client.get("/moving").headers["location"] == "https://example.com/1"
            found = one.get("/api/v1/links/by-slug?slug=moving", headers={"X-API-Key": key}).json()
            changed = one.patch(
                f"/api/v1/links/{found['id']}", json={"target_url": "https://example.com/2"}, headers={"X-API-Key": key}
            )
            assert changed.status_code == 200
            took = until(
                lambda: two.get("/moving").headers["location"] == "https://example.com/2", "the edit was not known"
            )
            assert took < 1
    finally:
        for server in servers:
            server.stop()


class Visitors:
    """Follows a link over and over until told to stop; knows how many redirects it was given."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.redirected = 0
        self.other: set[int] = set()

    @contextmanager
    def coming(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._run(stop)))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)

    async def _run(self, stop: threading.Event) -> None:
        async with httpx.AsyncClient(base_url=self.url, headers=BROWSER, timeout=20) as client:
            await asyncio.gather(*(self._visit(client, stop) for _ in range(8)))

    async def _visit(self, client: httpx.AsyncClient, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                answer = await client.get("/hot")
            except httpx.TransportError:
                await asyncio.sleep(0.01)
                continue
            if answer.status_code == 302:
                self.redirected += 1
            else:
                self.other.add(answer.status_code)


@pytest.mark.timeout(120)
def test_no_click_is_lost_when_the_server_is_killed(durable_cluster, tmp_path) -> None:
    dsn = durable_cluster.dsn
    add(dsn, "hot")
    port = free_port()
    visitors = Visitors(f"http://127.0.0.1:{port}")
    server = Server(tmp_path / "data", port=port, command=("serve",), DATABASE_URL=dsn)
    with visitors.coming():
        for _ in range(5):
            server.start()
            seen = visitors.redirected
            until(lambda seen=seen: visitors.redirected > seen + 200, "no redirects")
            server.kill()
    assert visitors.other == set()
    worker = Server(tmp_path / "worker", command=("work",), DATABASE_URL=dsn).start(wait=False)
    try:
        pending = "select count(*) from raw.batch where loaded_at is null"

        def loaded() -> bool:
            with psycopg.connect(dsn, autocommit=True) as connection:
                return connection.execute(pending).fetchone()[0] == 0

        until(loaded, "not everything was loaded")
        # a visitor whose answer was cut off may have been counted, none who got it was not
        assert clicks(dsn) >= visitors.redirected
        with psycopg.connect(dsn, autocommit=True) as connection:
            counted = connection.execute("select clicks from business.link_total where tracking_id = 'hot'").fetchone()[
                0
            ]
        assert counted == clicks(dsn)
    finally:
        worker.stop()
