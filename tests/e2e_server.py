"""A real product process for end-to-end tests: started as a user starts it, spoken to over HTTP, killed at will."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

START_TIMEOUT_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without anything that would point the product elsewhere."""
    ours = (
        *("DATABASE_URL", "SYSTEM_DATABASE_URL", "PG", "MAINSTEM_", "API_", "SECRET_KEY", "ENV", "WEBHOOK_API_KEY"),
        "OPENAI_",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "LOG_FORMAT": "json", "RATE_LIMIT_REQUESTS": "10000", **more}


def cli(*arguments: str, data_dir: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command of the product and return its output; fails the test when the command does."""
    more = ["--data-dir", str(data_dir)] if data_dir else []
    done = subprocess.run(
        [sys.executable, "-m", "mainstem", *arguments, *more],
        env=env or clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"mainstem {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Server:
    """`mainstem up` (or another serving command) as a child process."""

    def __init__(
        self, data_dir: Path, *, port: int | None = None, command: tuple[str, ...] = ("up", "--no-demo"), **env: str
    ):
        self.data_dir = data_dir
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.command = command
        self.env = clean_environment(**env)
        self.process: subprocess.Popen[str] | None = None
        self.output: list[str] = []

    def start(self, *, wait: bool = True) -> "Server":
        self.output = []
        lines: queue.Queue[str | None] = queue.Queue()
        arguments = ["--port", str(self.port)] if self.command[0] in {"up", "serve"} else []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mainstem", *self.command, "--data-dir", str(self.data_dir), *arguments],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

        def read(stream) -> None:
            with stream:
                for line in stream:
                    self.output.append(line)
                    lines.put(line)
            lines.put(None)

        self._reader = threading.Thread(target=read, args=(self.process.stdout,), daemon=True)
        self._reader.start()
        if wait and self.command[0] == "up":
            deadline = time.monotonic() + START_TIMEOUT_S
            while (line := lines.get(timeout=max(deadline - time.monotonic(), 0.1))) is not None:
                if line.startswith("ready "):
                    return self
            raise AssertionError("the server ended before it was ready:\n" + "".join(self.output))
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until /health/ready answers 200."""
        deadline = time.monotonic() + START_TIMEOUT_S
        pause = threading.Event()
        while time.monotonic() < deadline:
            assert self.process is None or self.process.poll() is None, "".join(self.output)
            try:
                if httpx.get(self.url + "/health/ready", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            pause.wait(0.05)
        raise AssertionError("not ready in time:\n" + "".join(self.output[-50:]))

    def kill(self) -> None:
        """End the process as a power cut would: no handler runs."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        self._reader.join(20)

    def stop(self) -> int:
        """Ask the process to end and return its exit code."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(40)
        self._reader.join(20)
        return code

    def cli(self, *arguments: str) -> str:
        return cli(*arguments, data_dir=self.data_dir, env=self.env)

    def key(self, tenant: str = "default", scopes: str = "ingest,read", *more: str) -> str:
        """Make an API key and return its text."""
        return json.loads(self.cli("key", "create", "--tenant", tenant, "--scope", scopes, "--json", *more))["key"]

    def database_url(self) -> str:
        return self.cli("db", "url").strip()
