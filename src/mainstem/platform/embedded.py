"""The embedded PostgreSQL: one server as a child process, whose data lies in `<data_dir>/postgres`.

The child ends with us: `stop()` on a normal exit, a signal from the kernel when we are killed. It listens on a Unix
socket in a folder that only its user may enter, and nowhere else. Calls block (up to seconds), so they belong
before and after the event loop, on the main thread: the kernel's signal follows the end of the *thread* that
called `start()`.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from mainstem.platform import postgres_child
from mainstem.platform.postgres_home import (
    MAJOR_VERSION,
    PORT,
    AlreadyServedError,
    EmbeddedPostgresError,
    PidFile,
    RunAs,
    explain,
    is_alive,
    listens,
    open_for_owner,
    prepare_data_dir,
    program,
    read_pid_file,
    require_free_space,
    run_as,
    runs_here,
    socket_folder,
    url,
)

__all__ = ["AlreadyServedError", "EmbeddedPostgres", "EmbeddedPostgresError", "find_running", "program"]

DATABASE: Final = "mainstem"
_START_TIMEOUT_S: Final = 60.0
_ORPHAN_GRACE_S: Final = 3.0
_RESTART_PAUSE_S: Final = 0.2
_STILL_IN_USE: Final = "pre-existing shared memory block"
_LOG_BYTES_KEPT: Final = 10_000_000
# written into postgresql.conf when the data is made, where the operator may change them
_SETTINGS: Final = {
    "max_connections": "200",
    # pages full of hashes hardly shrink, and this build has pglz alone: it cost a third of the load after each checkpoint
    "wal_compression": "off",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    "cluster_name": "mainstem",
}


def memory_mb() -> int:
    """Return the memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def _sized(machine_mb: int, disk_mb: int) -> dict[str, str]:
    """Return the settings that follow from the machine's memory and disk.

    Keys are hashes, so each load touches index pages all over: they have to fit into memory, and a page that is written
    for the first time after a checkpoint goes to the log as a whole, so checkpoints should be far apart. A quarter of
    the memory is PostgreSQL's own advice (documentation, "Memory").
    """
    buffers = min(max(machine_mb // 4, 128), 4_096)
    wal = min(max(disk_mb // 20, 1_024), 8_192)
    return {"shared_buffers": f"{buffers}MB", "max_wal_size": f"{wal}MB"}


class EmbeddedPostgres:
    """A PostgreSQL 18 that runs as our child on the data in `<data_dir>/postgres`, made when absent."""

    def __init__(self, data_dir: Path, *, options: Mapping[str, str] | None = None) -> None:
        """Remember the folder, and server settings that win over `postgresql.conf` (tests turn fsync off)."""
        self.data_dir = data_dir.absolute()
        self.cluster = self.data_dir / "postgres"
        self._options = dict(options or {})
        self._child: subprocess.Popen[bytes] | None = None
        self._lock: BinaryIO | None = None
        self._folder: Path | None = None
        self._stopping = threading.Event()
        self._changing = threading.Lock()

    @property
    def dsn(self) -> str:
        """The libpq URL of the database `mainstem`. Raises EmbeddedPostgresError before `start()`."""
        return self.url(DATABASE)

    @property
    def pid(self) -> int | None:
        """Process id of the server, None while it doesn't run."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def url(self, database: str) -> str:
        """Return the libpq URL of a database of this server."""
        if self._folder is None:
            msg = "the embedded PostgreSQL was not started"
            raise EmbeddedPostgresError(msg)
        return url(self._folder, database)

    def start(self) -> None:
        """Start the server, after making its data if need be, and return when it takes connections.

        After a kill -9 this waits for the old server to end, and PostgreSQL recovers from its log. Raises
        AlreadyServedError when another live process serves the folder, EmbeddedPostgresError when it can't start.
        """
        prepare_data_dir(self.data_dir)
        self._take_lock()
        try:
            user = run_as(self.cluster)
            self._await_previous()
            if not (self.cluster / "PG_VERSION").exists():
                self._initialise(user)
            self._check_version()
            self._folder = socket_folder(self.data_dir, user)
            self._launch_when_free(user)
        except BaseException:
            self.stop()
            raise

    def stop(self, *, timeout_s: float = 60.0) -> None:
        """End the server: fast shutdown, and an immediate one (recovery at the next start) after `timeout_s`."""
        self._stopping.set()
        with self._changing:
            self._end(timeout_s)
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.rmdir()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _end(self, timeout_s: float) -> None:
        if self._child is not None:
            for number, wait_s in ((signal.SIGINT, timeout_s), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
                with contextlib.suppress(ProcessLookupError):
                    self._child.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._child.wait(wait_s)
                    break
            self._child = None

    def supervise(self) -> None:
        """Start the server again whenever it ends without `stop()`, from a thread that ends with the process."""
        threading.Thread(target=self._watch, name="postgres-watch", daemon=True).start()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _take_lock(self) -> None:
        path = self.data_dir / "mainstem.lock"
        self._stopping.clear()
        if self._lock is not None:
            return
        lock = open_for_owner(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            holder = path.read_text(encoding="utf-8").strip() or "unknown"
            msg = f"{self.data_dir} is already served by process {holder}: stop it, or choose another --data-dir"
            raise AlreadyServedError(msg) from error
        lock.truncate(0)
        lock.write(b"%d\n" % os.getpid())
        lock.flush()
        self._lock = lock

    def _await_previous(self) -> None:
        """Wait for the server of a process that was killed; remove the pid file of one that is long gone."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        asked = time.monotonic() + _ORPHAN_GRACE_S
        while (found := read_pid_file(self.cluster)) is not None and runs_here(found.pid, self.cluster):
            if time.monotonic() > deadline:
                msg = f"the previous PostgreSQL (process {found.pid}) of {self.data_dir} does not end: stop it first"
                raise EmbeddedPostgresError(msg)
            if time.monotonic() > asked:
                # it was not told by the kernel that its parent died
                os.kill(found.pid, signal.SIGINT)
                asked = deadline
            time.sleep(0.02)
        # PostgreSQL clears the stale file of a dead process itself, but takes a living one of that id for its
        # predecessor; in containers ids come again. We hold the lock, so it is none of this cluster.
        if found is not None and is_alive(found.pid):
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _initialise(self, user: RunAs) -> None:
        """Make the data in a folder beside and rename it when whole, so that an interruption leaves nothing half."""
        require_free_space(self.data_dir)
        fresh = self.data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if user.switch:
            os.chown(fresh, user.uid, user.gid)
        sized = _sized(memory_mb(), shutil.disk_usage(self.data_dir).total >> 20)
        settings = [word for name, value in {**_SETTINGS, **sized}.items() for word in ("-c", f"{name}={value}")]
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        sync = ["--no-sync"] if self._options.get("fsync") == "off" else []
        self._run(user, "initdb", ["-D", str(fresh), "-U", "postgres", "--auth=trust", *locale, *sync, *settings])
        statement = b'create database "%b"\n' % DATABASE.encode()
        self._run(user, "postgres", ["--single", "-D", str(fresh), "postgres"], stdin=statement)
        fresh.rename(self.cluster)

    def _run(self, user: RunAs, name: str, arguments: Sequence[str], *, stdin: bytes = b"") -> None:
        done = subprocess.run(
            self._command(user, name, arguments),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
            check=False,
        )
        if done.returncode:
            raise explain(name, done.stdout.decode(errors="replace"))

    def _command(self, user: RunAs, name: str, arguments: Sequence[str]) -> list[str]:
        path = program(name)
        uid, gid = (user.uid, user.gid) if user.switch else (-1, -1)
        launcher = [sys.executable, "-I", "-S", postgres_child.__file__, str(os.getpid()), str(uid), str(gid)]
        return [*launcher, str(path.parent), str(self.data_dir), "--", str(path), *arguments]

    def _check_version(self) -> None:
        version = (self.cluster / "PG_VERSION").read_text(encoding="utf-8").strip()
        if version != str(MAJOR_VERSION):
            msg = f"{self.cluster} was made by PostgreSQL {version}, this is {MAJOR_VERSION}: dump and restore it"
            raise EmbeddedPostgresError(msg)

    def _launch_when_free(self, user: RunAs) -> None:
        """Launch, trying again while the last backends of a killed server still hold its shared memory."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                return self._launch(user)
            except EmbeddedPostgresError as error:
                if _STILL_IN_USE not in str(error) or time.monotonic() > deadline:
                    raise
            if self._stopping.wait(_RESTART_PAUSE_S):
                return None

    def _launch(self, user: RunAs) -> None:
        where = {"listen_addresses": "", "port": str(PORT), "unix_socket_directories": str(self._folder)}
        options = [word for name, value in ({**self._options, **where}).items() for word in ("-c", f"{name}={value}")]
        log_path = self.data_dir / "postgres.log"
        with contextlib.suppress(FileNotFoundError):
            if log_path.stat().st_size > _LOG_BYTES_KEPT:
                log_path.replace(log_path.with_suffix(".log.1"))
        with open_for_owner(log_path) as log:
            log_start = log.tell()
            self._child = subprocess.Popen(
                self._command(user, "postgres", ["-D", str(self.cluster), *options]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # Ctrl-C at the terminal is for us alone; we stop the child
            )
        self._await_ready(self._child, log_path, log_start)

    def _await_ready(self, child: "subprocess.Popen[bytes]", log_path: Path, log_start: int) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            state = read_pid_file(self.cluster)
            if state is not None and state.pid == child.pid and _takes_connections(state):
                return
            if child.poll() is not None:
                with log_path.open("rb") as log:
                    log.seek(log_start)
                    raise explain("PostgreSQL", log.read().decode(errors="replace"))
            if time.monotonic() > deadline and (state is None or state.state != "starting"):
                msg = f"PostgreSQL is not ready after {_START_TIMEOUT_S:.0f} s: see {log_path}"
                raise EmbeddedPostgresError(msg)
            time.sleep(0.005)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            child = self._child
            if child is None:
                return
            child.wait()
            if self._stopping.wait(_RESTART_PAUSE_S):
                return
            # a full disk or table of processes, too, is no reason to give up: the next try may find it better
            with self._changing, contextlib.suppress(EmbeddedPostgresError, OSError):
                if not self._stopping.is_set():
                    self._launch_when_free(run_as(self.cluster))


def find_running(data_dir: Path) -> str | None:
    """Return the URL of the database served from this data folder by a live process, None when there is none.

    Raises EmbeddedPostgresError when this user may not read the folder.
    """
    cluster = data_dir.absolute() / "postgres"
    found = read_pid_file(cluster)
    if found is None or not runs_here(found.pid, cluster) or not _takes_connections(found):
        return None
    return url(found.socket_folder, DATABASE)


def _takes_connections(found: PidFile) -> bool:
    return found.state == "ready" and listens(found.socket_folder)


def _environment() -> dict[str, str]:
    """Return a bare environment: PG* variables and locales of the operator are not for the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
