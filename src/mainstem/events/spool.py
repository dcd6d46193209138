"""The spool: local files that keep acknowledged events while PostgreSQL is away.

SQLite in WAL mode with `synchronous=FULL`: when append() returns, the events survive a kill and a power cut.
Every process claims a file of its own in the folder (intake-0.sqlite, intake-1.sqlite, …) by a
lock that the kernel lets go when the process dies; what a dead process left is taken over by the next that
claims its file, or drained from there by whoever finds it unheld. All file work runs on one worker thread.

Entries with refused events, or with events that may hold personal data, are sealed as a whole with a key of the
installation: what identifies people is sealed for good only when the log takes them.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from mainstem.events.group import PendingGroup, RowsRefusedError
from mainstem.events.model import EventFlag, Reject
from mainstem.pii.box import Keyring, SealBrokenError

DEFAULT_MAX_BYTES: Final = 1024 * 1024 * 1024
_MAX_SLOTS: Final = 1_024
_SEALED: Final = b"ms1f"
"""First bytes of an entry that is sealed; a plain one is a MessagePack array and begins otherwise."""
_PII: Final = int(EventFlag.PII)

_SCHEMA: Final = """
create table if not exists entry (
  entry_id integer primary key autoincrement,
  events   integer not null,
  bytes    integer not null,
  body     blob not null
)
"""

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class SpoolError(Exception):
    """The spool can't keep or give back events; the text says why, for the operator."""


class SpoolFullError(SpoolError):
    """The spool holds as much as it may."""


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """What one append() kept."""

    groups: list[PendingGroup]
    rejects: list[Reject]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The oldest entries of one file, in order, and what forget() needs to delete them."""

    entries: list[Entry]
    file: "SpoolFile"
    last_entry_id: int


class SpoolFile:
    """One claimed file. Blocking; used from the spool's thread only. Raises sqlite3.Error and OSError."""

    def __init__(self, path: Path, lock: int) -> None:
        """Open a file whose lock is held; a damaged one is put aside under another name, never deleted."""
        self.path = path
        self._lock = lock
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            aside = _put_aside(path)
            _log.exception("spool_damaged", file=str(path), kept_as=str(aside))
            self._db = _open(path)
        self.events = self.bytes = 0
        self._count()

    @classmethod
    def claim(cls, path: Path) -> "SpoolFile | None":
        """Return the file when no other process holds it, else None. The lock is beside, for SQLite has its own on the file."""
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(path, lock)
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise

    def append(self, body: bytes, events: int) -> None:
        """Keep one entry; on disk when this returns."""
        with self._db:
            self._db.execute("insert into entry (events, bytes, body) values (?, ?, ?)", (events, len(body), body))
        self.events += events
        self.bytes += len(body)

    def oldest(self, max_events: int) -> list[tuple[int, bytes]]:
        """Return (id, body) of the oldest entries up to `max_events` events; at least one when there is one."""
        taken: list[tuple[int, bytes]] = []
        total = 0
        for entry_id, events, body in self._db.execute("select entry_id, events, body from entry order by entry_id"):
            total += events
            if taken and total > max_events:
                break
            taken.append((entry_id, body))
        return taken

    def forget(self, last_entry_id: int) -> None:
        """Delete the entries up to this one."""
        with self._db:
            events, size = self._db.execute(
                "select coalesce(sum(events), 0), coalesce(sum(bytes), 0) from entry where entry_id <= ?",
                (last_entry_id,),
            ).fetchone()
            self._db.execute("delete from entry where entry_id <= ?", (last_entry_id,))
        # not counted anew: that reads the whole file, once per chunk
        self.events -= events
        self.bytes -= size
        if not self.bytes:
            # gives the disk back; an empty table costs nothing to rewrite
            self._db.execute("vacuum")
            self._db.execute("pragma wal_checkpoint(truncate)")

    def set_aside(self, entry_id: int) -> None:
        """Move an entry that can't be read to the table `unreadable` of the same file, for a person to look at."""
        with self._db:
            self._db.execute("create table if not exists unreadable (entry_id integer, events integer, body blob)")
            self._db.execute(
                "insert into unreadable select entry_id, events, body from entry where entry_id = ?", (entry_id,)
            )
            self._db.execute("delete from entry where entry_id = ?", (entry_id,))
        self._count()

    def close(self) -> None:
        """Close the file and let others claim it."""
        self._db.close()
        os.close(self._lock)

    def _count(self) -> None:
        totals = self._db.execute("select coalesce(sum(events), 0), coalesce(sum(bytes), 0) from entry").fetchone()
        self.events, self.bytes = totals


class Spool:
    """The spool of one process: its own file, and in time the files that nobody holds."""

    def __init__(self, folder: Path, *, max_bytes: int = DEFAULT_MAX_BYTES, keyring: Keyring | None = None) -> None:
        """Keep the folder, the most bytes of events that may wait in this process's own file, and what seals entries."""
        self._folder = folder
        self._keyring = keyring
        self._max_bytes = max_bytes
        self._own: SpoolFile | None = None
        self._adopted: SpoolFile | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")

    @property
    def waiting_events(self) -> int:
        """Events kept and not yet in PostgreSQL, of the files this process holds."""
        return sum(file.events for file in (self._own, self._adopted) if file is not None)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of these events."""
        return sum(file.bytes for file in (self._own, self._adopted) if file is not None)

    async def open(self) -> None:
        """Claim the first file that nobody holds, with what it still keeps. Raises SpoolError."""
        if self._own is None:
            self._own = await self._run(self._claim_own)

    async def append(self, groups: Sequence[PendingGroup], rejects: Sequence[Reject] = ()) -> None:
        """Keep the groups and rejects as one entry; durable on return.

        Raises SpoolFullError at the cap, SpoolError when the disk refuses and RowsRefusedError when a text can't be encoded.
        """
        await self._run(self._append, Entry(list(groups), list(rejects)))

    async def peek(self, max_events: int) -> Chunk | None:
        """Return the oldest entries, own file first, then those that nobody holds; None when nothing waits anywhere."""
        return await self._run(self._peek, max_events)

    async def forget(self, chunk: Chunk) -> None:
        """Delete what a chunk gave; call it only when PostgreSQL has committed it."""
        await self._run(chunk.file.forget, chunk.last_entry_id)

    async def close(self) -> None:
        """Let go of the files; what they keep stays for the next process."""
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args))
        except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
            msg = f"spool in {self._folder}: {error}"
            raise SpoolError(msg) from error

    def _claim_own(self) -> SpoolFile:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for slot in range(_MAX_SLOTS):
            if (file := SpoolFile.claim(self._path(slot))) is not None:
                return file
        msg = f"all {_MAX_SLOTS} spool files in {self._folder} are held"
        raise SpoolError(msg)

    def _append(self, entry: Entry) -> None:
        if self._own is None:
            self._own = self._claim_own()
        try:
            body = msgspec.msgpack.encode(entry)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise RowsRefusedError(str(error)) from error
        if self._keyring is not None and _is_personal(entry):
            body = _SEALED + self._keyring.close_file(body)
        if self._own.bytes + len(body) > self._max_bytes:
            msg = f"spool {self._own.path} holds {self._own.bytes} of {self._max_bytes} bytes"
            raise SpoolFullError(msg)
        self._own.append(body, sum(len(group.events) for group in entry.groups))

    def _peek(self, max_events: int) -> Chunk | None:
        for file in self._files():
            while rows := file.oldest(max_events):
                if entries := _readable(file, rows, self._keyring):
                    return Chunk(entries, file, rows[-1][0])
        return None

    def _files(self) -> list[SpoolFile]:
        """Return the files that may have something to drain; takes over one that nobody holds when ours are empty."""
        if self._own is not None and self._own.bytes:
            return [self._own]
        if self._adopted is None or not self._adopted.bytes:
            self._adopt()
        return [file for file in (self._own, self._adopted) if file is not None]

    def _adopt(self) -> None:
        if self._adopted is not None:
            self._adopted.close()
            self._adopted = None
        for path in sorted(self._folder.glob("intake-*.sqlite")):
            if self._own is not None and path == self._own.path:
                continue
            if (file := SpoolFile.claim(path)) is None:
                continue
            if file.bytes:
                self._adopted = file
                return
            file.close()

    def _close(self) -> None:
        for file in (self._own, self._adopted):
            if file is not None:
                file.close()
        self._own = self._adopted = None

    def _path(self, slot: int) -> Path:
        return self._folder / f"intake-{slot}.sqlite"


def _readable(file: SpoolFile, rows: Sequence[tuple[int, bytes]], keyring: Keyring | None) -> list[Entry]:
    """Return the entries; one that is damaged is set aside, so that it does not hold up all that came after it."""
    entries: list[Entry] = []
    for entry_id, body in rows:
        try:
            entries.append(msgspec.msgpack.decode(_opened(body, keyring), type=Entry))
        except (msgspec.DecodeError, UnicodeDecodeError, SealBrokenError):
            file.set_aside(entry_id)
            _log.exception("spool_entry_unreadable", file=str(file.path), entry=entry_id)
    return entries


def _is_personal(entry: Entry) -> bool:
    return bool(entry.rejects) or any(event.flags & _PII for group in entry.groups for event in group.events)


def _opened(body: bytes, keyring: Keyring | None) -> bytes:
    if keyring is None or not body.startswith(_SEALED):
        return body
    return keyring.open_file(body[len(_SEALED) :])


def _open(path: Path) -> sqlite3.Connection:
    # one thread at a time, though not always the one that opened it: the pool may have replaced its thread
    db = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
    try:
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        db.execute(_SCHEMA)
        db.execute("select count(*) from entry").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    path.chmod(0o600)
    _sync_folder(path.parent)
    return db


def _sync_folder(folder: Path) -> None:
    """Make new file names durable, too."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
