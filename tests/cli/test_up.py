"""`mainstem up` as a person runs it: one process, one database, a way in; and ended by any means."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue

import httpx
import pytest
from clusters import private_folder

from mainstem.platform.embedded import find_running
from mainstem.platform.postgres_home import read_pid_file

pytestmark = pytest.mark.timeout(180)


class Up:
    """A running `mainstem up`."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE"))}
        with (folder / "up.err").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mainstem", "up", "--port", "0", *arguments],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**kept, "MCP_SERVER_PORT": "0", **environment},
            )
        self.folder = folder
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))
        self._lines.put("")

    def ready(self) -> str:
        """Return the address, once it is printed."""
        line = self._lines.get(timeout=60)
        assert line.startswith("ready http://127.0.0.1:"), (self.folder / "up.err").read_text(encoding="utf-8")
        return line.removeprefix("ready ")

    def printed(self) -> str:
        """Return what else was printed so far."""
        lines = []
        while True:
            try:
                lines.append(self._lines.get(timeout=0.5))
            except Empty:
                return "\n".join(lines)

    def clear(self) -> None:
        """Kill it, and wait for all that it held."""
        self.process.kill()
        self.process.wait()
        self._reader.join(10)

    def end(self, *signals: int) -> int:
        """Send the signals and return the exit code."""
        for number in signals:
            self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def folder() -> Iterator[Path]:
    with private_folder("ms-up-") as path:
        yield path


@pytest.fixture
def up(folder: Path) -> Iterator[type[Up]]:
    started: list[Up] = []

    class Started(Up):
        def __init__(self, *arguments: str, **environment: str) -> None:
            super().__init__(folder, *arguments, **environment)
            started.append(self)

    yield Started
    for one in started:
        one.clear()


def call(url: str, key: str, body: dict[str, object] | None = None) -> dict[str, object]:
    method = "GET" if body is None else "POST"
    answer = httpx.request(method, url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=10)
    assert answer.status_code == 200, answer.text
    read: dict[str, object] = answer.json()
    return read


def postgres_of(folder: Path) -> int:
    found = read_pid_file(folder / "data" / "postgres")
    assert found is not None
    return found.pid


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_a_first_start_a_second_one_and_what_lies_between(up: type[Up], folder: Path) -> None:
    first = up()
    url = first.ready()
    key_file, password_file = folder / "data" / "demo-key", folder / "data" / "demo-password"
    key = key_file.read_text(encoding="utf-8").strip()
    printed = first.printed()
    assert key in printed
    assert password_file.read_text(encoding="utf-8").strip() in printed
    assert {stat.S_IMODE(file.stat().st_mode) for file in (key_file, password_file)} == {0o600}

    tracked = call(f"{url}/api/v1/track", key, {"page_url": "https://www.example.com/menu"})
    assert tracked["status"] in {"processed", "queued"}

    beside = subprocess.run(
        [sys.executable, "-m", "mainstem", "tenant", "list", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [tenant["slug"] for tenant in json.loads(beside.stdout)] == ["default", "demo"]

    number = url.rpartition(":")[2]
    command = [sys.executable, "-m", "mainstem", "up", "--port", number]
    again = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lock = (folder / "data" / "mainstem.lock").read_text(encoding="utf-8").strip()
    assert again.stderr == f"mainstem: Mainstem is up on {folder / 'data'} already: process {lock}\n"

    other = up()
    assert other.end() == 1
    assert "is already served by process" in (folder / "up.err").read_text(encoding="utf-8")

    postgres = postgres_of(folder)
    # make forwards the SIGTERM that the process group got, too
    assert first.end(signal.SIGTERM, signal.SIGTERM) == 0
    assert gone(postgres)
    assert find_running(folder / "data") is None

    second = up()
    url = second.ready()
    printed = second.printed()
    assert key not in printed
    assert "in data/demo-key" in printed
    assert call(f"{url}/api/v1/track/status", key)["status"] == "success"

    postgres = postgres_of(folder)
    second.process.kill()
    third = up("--no-demo")
    assert third.ready()
    assert gone(postgres)
    assert "key create --tenant default" in third.printed()
    assert third.end(signal.SIGINT) == 0


@pytest.mark.timeout(600)
def test_the_demo_shows_bookings_that_become_orders_and_keeps_both_over_a_kill(up: type[Up], folder: Path) -> None:
    def orders(*states: str) -> list[dict[str, object]]:
        """Return the ledger as the command shows it, once its states are these."""
        command = [sys.executable, "-m", "mainstem", "connector", "orders", "tripleseat", "--json"]
        # on a machine that stalls an order may be in doubt, which takes the time after which its absence proves something
        deadline = time.monotonic() + 240
        while True:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            found: list[dict[str, object]] = json.loads(done.stdout)
            if sorted(str(row["state"]) for row in found) == sorted(states):
                return found
            assert time.monotonic() < deadline, f"{[(row['state'], row['reason']) for row in found]}, not {states}"

    def place(printed: str) -> str:
        found = re.search(r"curl (\S+)/admin/events", printed)
        assert found is not None, printed
        return found[1]

    first = up()
    first.ready()
    address = place(first.printed())
    (order,) = orders("confirmed")
    assert [row["id"] for row in sold(address)] == [int(str(order["revel_order_id"]))]
    booked = httpx.post(f"{address}/admin/events", json={}, timeout=20).json()["id"]
    assert str(booked) in {row["booking_id"] for row in orders("confirmed", "confirmed")}
    kept = folder / "data" / "demo-bookings.json"
    deadline = time.monotonic() + 60
    while len(json.loads(kept.read_bytes())["rows"]["Order"]) < 2:
        assert time.monotonic() < deadline
    first.process.kill()

    second = up()
    second.ready()
    address = place(second.printed())
    assert len(sold(address)) == 2
    httpx.delete(f"{address}/admin/events/{booked}", timeout=20).raise_for_status()
    assert {row["booking_id"]: row["state"] for row in orders("confirmed", "voided")}[str(booked)] == "voided"
    assert [row["voided"] for row in sold(address)] == [False, True]
    assert second.end(signal.SIGTERM) == 0

    # who decides about the connector himself gets no stand-ins
    third = up(ENABLE_CONNECTOR="false")
    third.ready()
    assert "/admin/events" not in third.printed()
    assert third.end(signal.SIGTERM) == 0


def sold(address: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = httpx.get(f"{address}/admin/orders", timeout=20).json()["orders"]
    return found


def test_a_signal_during_the_first_start_ends_it_in_order(up: type[Up], folder: Path) -> None:
    starting = up()
    deadline = time.monotonic() + 60
    while not (folder / "data" / "postgres" / "postmaster.pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    starting.process.send_signal(signal.SIGTERM)
    assert starting.process.wait(60) == 0
    assert find_running(folder / "data") is None
    again = up("--no-demo")
    assert again.ready()
    assert again.end(signal.SIGTERM) == 0


def test_with_a_database_url_no_server_is_started(up: type[Up], folder: Path, dsn: str) -> None:
    running = up("--no-demo", DATABASE_URL=dsn)
    url = running.ready()
    assert httpx.get(f"{url}/health/ready", timeout=10).status_code == 200
    assert not (folder / "data" / "postgres").exists()
    assert running.end(signal.SIGTERM) == 0


def test_a_busy_port_is_one_line(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "mainstem", "up", "--port", str(port)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    expected = f"mainstem: port {port} of 127.0.0.1 is in use: stop what uses it, or choose another with --port\n"
    assert (done.returncode, done.stderr, done.stdout) == (1, expected, "")
    assert not (folder / "data").exists()


def test_a_weak_secret_in_production_is_refused_before_anything_starts(folder: Path) -> None:
    command = [sys.executable, "-m", "mainstem", "up"]
    environment = {**os.environ, "ENVIRONMENT": "production", "SECRET_KEY": "changeme"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith("mainstem: SECRET_KEY is too weak")
    assert not (folder / "data").exists()
