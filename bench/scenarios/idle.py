"""`mainstem up` as a newcomer runs it, with its own PostgreSQL: memory, processor time at rest, time to ready."""

import os
from pathlib import Path
from time import sleep
from typing import Final

from bench.bench import Bench
from bench.figure import Bar, Figure
from bench.process import memory_mb, proc_file, up

_MEMORY: Final = Bar(sense="≤", value=250, unit="MB")
_READY: Final = Bar(sense="≤", value=3, unit="s")
_SETTLE_S: Final = 3.0


def run(bench: Bench) -> list[Figure]:
    """Start it on an empty folder, then measure each further start."""
    folder = bench.cluster.data_dir / "own"
    with up(folder):
        pass
    ready: list[float] = []
    memory: list[float] = []
    busy: list[float] = []
    database_busy: list[float] = []
    for _ in range(bench.sizes.startups):
        with up(folder) as found:
            ready.append(found.ready_s)
            sleep(_SETTLE_S)
            database = _database_processes(folder)
            before, database_before = cpu_s(found.pid), sum(map(cpu_s, database))
            sleep(bench.sizes.idle_s)
            busy.append(cpu_s(found.pid) - before)
            database_busy.append(sum(map(cpu_s, database)) - database_before)
            memory.append(memory_mb(found.pid))
        bench.say(f"idle: {memory[-1]:.0f} MB, {busy[-1]:.2f} s of processor time, ready after {ready[-1]:.2f} s")
    during = f"over {bench.sizes.idle_s:.0f} s at rest"
    return [
        Figure(name="`mainstem up` at rest, resident without PostgreSQL", runs=tuple(memory), unit="MB", bar=_MEMORY),
        Figure(name="`mainstem up`, ready once initialised", runs=tuple(ready), unit="s", bar=_READY),
        Figure(name=f"processor time {during}, the server", runs=tuple(busy), unit="s"),
        Figure(name=f"processor time {during}, PostgreSQL", runs=tuple(database_busy), unit="s"),
    ]


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, 0 when it is gone (Linux)."""
    fields = proc_file(pid, "stat").rpartition(")")[2].split()
    # man 5 proc_pid_stat: utime and stime are the 14th and 15th field, the 12th and 13th after the name
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _database_processes(folder: Path) -> list[int]:
    postmaster = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [postmaster, *(number for number in numbers if _parent(number) == postmaster)]


def _parent(pid: int) -> int | None:
    fields = proc_file(pid, "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else None
