"""PostgreSQL servers for tests: one fast per run, one durable that a test may restart and kill."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mainstem.platform.embedded import EmbeddedPostgres

FAST = {
    "shared_buffers": "128MB",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "256MB",
}
_MEMORY = Path("/dev/shm")
_ROOM = 4 * 1024**3


def fast_place() -> Path:
    """Return where a server may live that need not outlive the machine: in memory, where a thousand files are made at once."""
    roomy = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    return _MEMORY if roomy else Path("/tmp")


@contextmanager
def private_folder(prefix: str, parent: Path = Path("/tmp")) -> Iterator[Path]:
    """Yield a folder that the server's user may enter too, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class DurableCluster:
    """A server with full durability; `dsn` is a migrated database of the test's own."""

    def __init__(self, server: EmbeddedPostgres, dsn: str) -> None:
        """Wrap a running server."""
        self.server = server
        self.dsn = dsn

    def start(self) -> None:
        """Start it again after `stop()` or `kill()`; returns when it takes connections."""
        self.server.start()

    def stop(self) -> None:
        """End it in good order; connections are cut."""
        self.server.stop()

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kill it with -9; what was committed must be there after `start()`."""
        if self.server.pid is not None:
            os.kill(self.server.pid, signal.SIGKILL)
        self.server.stop()
