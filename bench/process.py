"""Servers as processes: the product's own commands, and the two servers that it is compared with."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Final, Literal

from bench.cluster import Cluster

Variant = Literal["up", "serve", "memory", "bare"]
"""`up` serves and loads in one process, `serve` only serves; see `bench.serve` for the other two."""

MAINSTEM: Final = (str(Path(sys.executable).with_name("mainstem")),)
"""The command line of the product."""
_READY_S: Final = 30.0
_STOP_S: Final = 30.0
_ROOT: Final = Path(__file__).parent.parent
# of the reader's environment only what finds programs: no setting of an installation may count here
_KEPT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    port: int
    pid: int
    ready_s: float
    """Seconds from its start to its first good answer."""


@contextmanager
def server(cluster: Cluster, variant: Variant, **settings: str) -> Iterator[Server]:
    """Yield a running server on the cluster's database; `settings` are environment variables for it."""
    port = free_port()
    folder = cluster.data_dir / f"server-{variant}"
    command: Sequence[str]
    if variant in {"up", "serve"}:
        more = ["--no-demo"] if variant == "up" else []
        command = [*MAINSTEM, variant, "--port", str(port), "--data-dir", str(folder), *more]
    else:
        command = [sys.executable, "-m", "bench.serve", variant, str(port), str(folder)]
    with running(command, {"DATABASE_URL": cluster.dsn, **settings}, folder) as process:
        yield Server(port, process.pid, await_answer(process, port))


@contextmanager
def up(folder: Path) -> Iterator[Server]:
    """Yield `mainstem up` with a database of its own, as it comes: all settings and durability are the defaults."""
    port = free_port()
    command = [*MAINSTEM, "up", "--port", str(port), "--data-dir", str(folder), "--no-demo"]
    with running(command, {}, folder) as process:
        yield Server(port, process.pid, await_answer(process, port))


@contextmanager
def worker(cluster: Cluster, number: int = 0, **settings: str) -> Iterator[int]:
    """Yield the process id of a process that only works (`mainstem work`); several need different numbers."""
    folder = cluster.data_dir / f"worker-{number}"
    environment = {"DATABASE_URL": cluster.dsn, **settings}
    with running([*MAINSTEM, "work", "--data-dir", str(folder)], environment, folder) as process:
        yield process.pid


@contextmanager
def python(module: str, *arguments: str) -> Iterator[int]:
    """Yield the process id of a module of the bench that runs."""
    with subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=_ROOT) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def run_command(cluster: Cluster, *arguments: str, **settings: str) -> float:
    """Run one of the product's commands on the cluster; return the seconds that it took. Raises RuntimeError.

    `settings` are environment variables for it.
    """
    started = perf_counter()
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    done = subprocess.run(
        [*MAINSTEM, *arguments],
        env={**environment, "DATABASE_URL": cluster.dsn, **settings},
        cwd=cluster.data_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        msg = (
            f"mainstem {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout[-2_000:]}{done.stderr[-2_000:]}"
        )
        raise RuntimeError(msg)
    return perf_counter() - started


@contextmanager
def running(command: Sequence[str], settings: Mapping[str, str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield a process that is stopped afterwards; it runs in `folder`, its output goes to `<folder>.log`."""
    folder.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(_ROOT), **settings}
    with folder.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield process
    except RuntimeError as error:
        error.add_note(folder.with_suffix(".log").read_text(errors="replace")[-2_000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_answer(process: "subprocess.Popen[bytes]", port: int) -> float:
    """Return the seconds until `/health/ready` (or whatever a bare server has there) answers 200."""
    started = perf_counter()
    while perf_counter() - started < _READY_S and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
                if answer.status == 200:
                    return perf_counter() - started
        except (urllib.error.URLError, OSError):
            sleep(0.01)
    msg = f"{process.args!r} did not answer within {_READY_S:.0f} s, exit code {process.poll()}"
    raise RuntimeError(msg)


def await_zero(cluster: Cluster, query: str, *, timeout_s: float) -> None:
    """Return as soon as a query's one number is zero. Raises TimeoutError."""
    deadline = monotonic() + timeout_s
    while cluster.number(query):
        if monotonic() > deadline:
            msg = f"still not zero after {timeout_s:.0f} s: {query}"
            raise TimeoutError(msg)
        sleep(0.1)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def memory_mb(pid: int, measure: Literal["VmRSS", "VmHWM"] = "VmRSS") -> float:
    """Return the resident memory of a process, now (VmRSS) or at its most (VmHWM), in MB (Linux)."""
    line = next(line for line in proc_file(pid, "status").splitlines() if line.startswith(f"{measure}:"))
    return int(line.split()[1]) * 1024 / 1_000_000


def proc_file(pid: int, name: str) -> str:
    """Return a file of /proc about a process, empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
