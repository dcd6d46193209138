"""What the figures were measured on: machine, system, versions."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.cluster import Cluster

_PACKAGES: Final = ("asyncpg", "uvicorn", "uvloop", "httptools", "msgspec", "fastapi")
_SETTINGS: Final = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_wal_size")


def describe(cluster: Cluster, folder: Path) -> dict[str, str]:
    """Return the facts by name, in the order to show them."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    settings = ", ".join(f"{name}={cluster.text(f'show {name}')}" for name in _SETTINGS)
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, {_file_system(folder)} for the data",
        "PostgreSQL": f"{cluster.text('show server_version')}, embedded, {settings}",
        "Python": f"{platform.python_version()}, {packages}",
        "Mainstem": version("mainstem"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system(folder: Path) -> str:
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except FileNotFoundError:
        return "file system unknown"
    holding = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]), default=("", "file system unknown"))[1]
