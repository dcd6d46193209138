"""Imports an access log through the intake: chunk by chunk, idempotent, resumable, in bounded memory.

There is no checkpoint to lose. Reading a log again is cheap, and each line has an identity of its own
(`reader.LineReader`), so a resumed import reads from the start, asks the database which of a chunk's events
it has, and sends the others. An event that is sent twice all the same (its first copy was not loaded yet)
is found by the loader's dedupe gate and counted as a duplicate in the ledger.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import asyncpg

from mainstem.events.intake import Intake
from mainstem.events.model import NewEvent, Reject
from mainstem.events.receive import Sender
from mainstem.events.sealing import Sealer
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, is_transient
from mainstem.platform.errors import BadRequestError, ConflictError, UnavailableError
from mainstem.site.access_log import queries
from mainstem.site.access_log.events import site_of, to_event
from mainstem.site.access_log.reader import LineReader

CHUNK_LINES: Final = 4_000
SHOWN_REJECTS: Final = 100
NOT_A_LOG_LINES: Final = 1_000


class Progress(NamedTuple):
    """How far an import has come."""

    lines: int
    bytes_read: int
    total_bytes: int | None
    """Size of the file as it lies on the disk; None for a stream."""
    accepted: int
    rejected: int


@dataclass(slots=True)
class ImportReport:
    """What an import did: lines = accepted + known + rejected."""

    lines: int = 0
    """Lines read that are not blank."""
    accepted: int = 0
    """Events committed by this run."""
    known: int = 0
    """Lines that an earlier run had brought in, malformed ones included."""
    rejected: int = 0
    """Malformed lines kept by this run."""
    page_views: int = 0
    """Those of the accepted that are page.viewed; the others are site.request."""
    first_at: datetime | None = None
    last_at: datetime | None = None
    malformed: list[str] = field(default_factory=list)
    """`line N: reason`, of this run and of earlier ones; the first SHOWN_REJECTS."""


async def import_access_log(  # noqa: PLR0913 - the parts of an import
    source: BinaryIO | Path,
    *,
    intake: Intake,
    pool: Pool,
    sender: Sender,
    site: str | None = None,
    sealer: Sealer | None = None,
    progress: Callable[[Progress], None] | None = None,
    resume: bool = True,
    chunk_lines: int = CHUNK_LINES,
) -> ImportReport:
    """Send every line of a log (plain or gzip, a file or a stream) to the intake; return what happened.

    `sender` carries the tenant and the privacy rules (`log_sender`); `pool` runs as the owner. `site` is
    scheme://host of the pages, above the log's own virtual hosts; `sealer` finds what is personal in the lines. `resume=False` sends known events again and
    leaves it to the loader to find the duplicates.

    Raises BadRequestError when the first NOT_A_LOG_LINES lines are all malformed or the gzip stream is
    damaged, InvalidFieldError for a wrong `site`, ConflictError when another import of this tenant runs,
    UnavailableError when the database is away, OSError when the file can't be read. After any of them the
    same call goes on where this one stopped.
    """
    base = None if site is None else site_of(site)
    try:
        with LineReader(source) as reader:
            async with pool.acquire() as connection, _only_import_of(sender.tenant_id, connection):
                run = _Run(reader, intake, connection, sender, base, resume, chunk_lines, sealer)
                return await run.to_end(progress)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError, TimeoutError) as error:
        if not is_transient(error):
            raise
        raise UnavailableError("The database is away. Run the same import again: it goes on from here.") from error


@asynccontextmanager
async def _only_import_of(tenant_id: int, connection: Connection) -> AsyncIterator[None]:
    if not await queries.lock(connection, tenant_id):
        raise ConflictError("Another import of an access log runs for this tenant.")
    try:
        yield
    finally:
        if not connection.is_closed():
            await queries.unlock(connection, tenant_id)


class _Chunk(NamedTuple):
    lines: int
    events: list[NewEvent]
    rejects: list[Reject]


@dataclass(slots=True)
class _Run:
    reader: LineReader
    intake: Intake
    connection: Connection
    sender: Sender
    site: str | None
    resume: bool
    chunk_lines: int
    sealer: Sealer | None
    report: ImportReport = field(default_factory=ImportReport)

    async def to_end(self, progress: Callable[[Progress], None] | None) -> ImportReport:
        # reading and parsing block: in a thread, the loop stays free for the intake's writer
        while (chunk := await asyncio.to_thread(self._next)).lines:
            await self._commit(chunk)
            if progress is not None:
                progress(self._progress())
        return self.report

    def _progress(self) -> Progress:
        report, reader = self.report, self.reader
        return Progress(report.lines, reader.bytes_read, reader.total_bytes, report.accepted, report.rejected)

    def _next(self) -> _Chunk:
        lines = self.reader.read(self.chunk_lines)
        sender = self.sender._replace(received_at=utc_now())
        chunk = _Chunk(len(lines), [], [])
        for line in lines:
            outcome = to_event(line, sender=sender, site=self.site)
            if isinstance(outcome, Reject):
                chunk.rejects.append(outcome)
            else:
                chunk.events.append(outcome if self.sealer is None else self.sealer.mark(outcome))
        if self.report.lines == 0 and len(chunk.rejects) == len(lines) >= NOT_A_LOG_LINES:
            detail = f"This is no access log in common or combined format: {chunk.rejects[0].reason}."
            raise BadRequestError(detail, field="file")
        return chunk

    async def _commit(self, chunk: _Chunk) -> None:
        events = await self._new_events(chunk.events)
        rejects = await self._new_rejects(chunk.rejects)
        if events or rejects:
            await self.intake.commit(events, origin="import", rejects=rejects)
        self._count(chunk, events, rejects)

    async def _new_events(self, events: list[NewEvent]) -> list[NewEvent]:
        if not (self.resume and events):
            return events
        uids = [event.event_uid for event in events]
        known = await queries.known_events(self.connection, self.sender.tenant_id, uids)
        return [event for event in events if event.event_uid not in known]

    async def _new_rejects(self, rejects: list[Reject]) -> list[Reject]:
        if not rejects:
            return rejects
        if self.sealer is not None:
            # as they are stored, to be compared with what is stored
            rejects = [*self.sealer.mask_rejects(rejects)]
        known = await queries.known_rejects(self.connection, self.sender.tenant_id, rejects)
        return [reject for reject in rejects if (reject.reason, reject.payload) not in known]

    def _count(self, chunk: _Chunk, events: list[NewEvent], rejects: list[Reject]) -> None:
        report = self.report
        report.lines += chunk.lines
        report.accepted += len(events)
        report.rejected += len(rejects)
        report.known += chunk.lines - len(events) - len(rejects)
        report.page_views += sum(event.kind == "page.viewed" for event in events)
        report.malformed.extend(reject.reason for reject in chunk.rejects[: SHOWN_REJECTS - len(report.malformed)])
        if chunk.events:
            times = [event.occurred_at for event in chunk.events]
            report.first_at = min(times) if report.first_at is None else min(report.first_at, *times)
            report.last_at = max(times) if report.last_at is None else max(report.last_at, *times)
