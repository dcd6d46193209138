"""The clients in the quick start for click-through domains: nothing is lost or doubled when the hub wants to be asked again."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psycopg
import pytest
from e2e_server import Server

GUIDE = (Path(__file__).parents[2] / "docs/guides/click-through-domain.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"<!-- run: (\S+) -->\n```\w+\n(.*?)```\n", GUIDE, re.DOTALL))


class Moody(ThreadingHTTPServer):
    """Hangs up, then answers 429, 503 and, after it has stored the clicks, nothing; then passes all to the product."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Relay)
        self.upstream = upstream
        self.moods: list[int | str] = [0, 429, 503, "lost answer"]


class Relay(BaseHTTPRequestHandler):
    server: Moody

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mood = self.server.moods.pop(0) if self.server.moods else 200
        self.close_connection = True
        if mood in {429, 503}:
            self.send_response(int(mood))
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif mood != 0:
            kept = {name: self.headers[name] for name in ("X-API-Key", "Content-Type")}
            answer = httpx.post(self.server.upstream + self.path, content=body, headers=kept, timeout=15)
            if mood == 200:
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers["content-type"])
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def moody(server: Server) -> Iterator[Moody]:
    with Moody(server.url) as relay:
        thread = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield relay
        relay.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["clicks.py", "clicks.mjs"])
def test_every_click_is_stored_once(server: Server, moody: Moody, node: str, tmp_path: Path, name: str) -> None:
    tenant = f"clicks_{name[-2:]}"
    server.cli("tenant", "create", tenant)
    path = tmp_path / name
    path.write_text(PROGRAMS[name], encoding="utf-8")
    environment = {**os.environ, "HUB": f"http://127.0.0.1:{moody.server_port}", "KEY": server.key(tenant, "ingest")}
    command = [sys.executable if name.endswith(".py") else node, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert moody.moods == []
    with psycopg.connect(server.database_url()) as connection:
        connection.execute(f"set mainstem.tenant = '{tenant}'")
        connection.execute("select staging.auto_process_if_needed()")
        connection.commit()
        found = connection.execute("select tracking_id from link_clicks").fetchall()
    assert sorted(row[0] for row in found) == sorted(f"guide-{number}" for number in range(25))


def test_a_wrong_key_is_said_and_not_sent_for_ever(server: Server, node: str, tmp_path: Path) -> None:
    for name, interpreter in (("clicks.py", sys.executable), ("clicks.mjs", node)):
        path = tmp_path / name
        path.write_text(PROGRAMS[name], encoding="utf-8")
        environment = {**os.environ, "HUB": server.url, "KEY": "wrong"}
        done = subprocess.run(
            [interpreter, str(path)], env=environment, capture_output=True, text=True, timeout=50, check=False
        )
        assert "clicks refused: 401" in done.stdout + done.stderr
