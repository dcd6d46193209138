"""The log: where acknowledged events become durable, and the seam for another one.

`Log` is what intake needs. A second implementation (NATS JetStream: an R3 stream, publishes acknowledged, a
consumer that writes the same `raw` tables) must promise what `PostgresLog` does:

- when append() returns, every event survives the loss of any one machine or process of the log;
- an append is all or nothing, also after an error: part of a group is never visible;
- events of one group stay in order and become one batch, whose id is unique for ever and is the first of
  an unbroken range of raw ids (`batch_id` is the message id of the publish, so that a repeat is one batch);
- after an ambiguous error the same events may be appended again: the load gate on `event_uid` makes them one.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from operator import itemgetter
from struct import error as StructError  # noqa: N812 - the module's lower-case class
from typing import Final, Protocol

import asyncpg

from mainstem.events.group import PendingGroup, RowsRefusedError
from mainstem.events.model import NewEvent, Reject
from mainstem.events.rawids import RawIds
from mainstem.events.rows import COLUMNS, HEADER, TRAILER, encoded
from mainstem.events.sealing import Sealer
from mainstem.platform.db import SESSION_SETTINGS, load_queries

__all__ = ["Log", "PendingGroup", "PostgresLog", "RowsRefusedError"]

BATCH_COLUMNS: Final = "batch_id, tenant_id, events, origin, received_from, received_to"
REJECT_COLUMNS: Final = Reject._fields
MAX_REJECT_CHARACTERS: Final = 65_536

_CONNECT_TIMEOUT_S: Final = 5.0
_RECEIVED_AT: Final = itemgetter(NewEvent._fields.index("received_at"))
_DATA_STATES: Final = ("22", "23", "54")

_sql: Final = load_queries("mainstem.events")


class Log(Protocol):
    """Keeps groups of events durably; see the module's text for the promises."""

    async def append(self, groups: Sequence[PendingGroup], rejects: Sequence[Reject] = ()) -> list[int]:
        """Make the groups durable, with the rejects, all or nothing; return one batch id per group, in order.

        Raises RowsRefusedError when these rows can't be stored, ever; any other error means "not now".
        """

    async def ping(self) -> None:
        """Return when an append would now be tried in earnest; raise the reason when not."""

    async def close(self) -> None:
        """Let go of what is held; append() may not be called again."""


class PostgresLog:
    """Writes `raw.batch`, and `raw.event` by binary COPY, in one transaction over one connection of its own.

    One connection and COPY for groups of every size. In short runs on 2 shared cores with the database beside, a
    second, alternating connection made no difference beyond the noise, and one `INSERT … SELECT FROM unnest` round
    trip was no faster than COPY for groups of 64 and half as fast from 4,000.

    The connection is the owner's: COPY into tables with forced row-level security is refused to others. It is
    opened when needed and dropped after any error, for nobody knows where its transaction stands then.
    """

    def __init__(self, dsn: str, sealer: Sealer | None = None) -> None:
        """Keep where to write, and who seals what is personal (nobody: nothing is); connects at the first use."""
        self._dsn = dsn
        self._sealer = sealer
        self._ids = RawIds()
        self._turn = asyncio.Lock()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def append(self, groups: Sequence[PendingGroup], rejects: Sequence[Reject] = ()) -> list[int]:
        """Commit the groups and rejects in one transaction; return one batch id per group, in order.

        Raises RowsRefusedError when the server or the encoder refuses a value, PiiKeyError when what is personal can't be
        sealed, and what asyncpg raises otherwise.
        """
        async with self._turn:
            connection = await self._connected()
            try:
                batch_ids = [await self._first_id(connection, len(group.events)) for group in groups]
                # one trip to the server for both: small groups are many, and trips are most of their price
                await connection.execute("begin" + _ledger(groups, batch_ids))
                if self._sealer is not None:
                    groups = await self._sealer.seal_groups(connection, groups)
                    rejects = self._sealer.mask_rejects(rejects)
                if groups:
                    rows = _rows(groups, batch_ids)
                    await connection.copy_to_table(
                        "event", schema_name="raw", columns=COLUMNS, source=rows, format="binary"
                    )
                if rejects:
                    await _copy_rejects(connection, rejects)
                await connection.execute("commit")
            except BaseException as error:
                self._drop_connection()
                if _is_data_error(error):
                    raise RowsRefusedError(str(error)) from error
                raise
            return batch_ids

    async def ping(self) -> None:
        """Ask the database for the ledger; raises what keeps it from answering."""
        async with self._turn:
            connection = await self._connected()
            try:
                await connection.fetchval(_sql["ping"])
            except BaseException:
                self._drop_connection()
                raise

    async def close(self) -> None:
        """Close the connection."""
        self._drop_connection()

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await _connect(self._dsn)
            # perhaps another server, that was given the place of the first and may not know of its last blocks
            self._ids = RawIds()
            if self._sealer is not None:
                self._sealer.subjects.forget()
        return self._connection

    async def _first_id(self, connection: "asyncpg.Connection[asyncpg.Record]", count: int) -> int:
        while (first := self._ids.take(count)) is None:
            self._ids.add_block(await connection.fetchval(_sql["next_block"]))
        return first

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def _is_data_error(error: BaseException) -> bool:
    """Tell whether the rows were refused: by the server (classes 22, 23, 54) or while they were encoded."""
    if isinstance(error, asyncpg.UniqueViolationError):
        # the only keys are our own raw ids, which are new after the next connect
        return False
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "").startswith(_DATA_STATES)
    # rows are encoded here: a lone surrogate or a number out of range shows as Python's own error
    return isinstance(error, ValueError | TypeError | ArithmeticError | StructError) and not isinstance(error, OSError)


async def _connect(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    settings = {**SESSION_SETTINGS, "application_name": "mainstem intake"}
    # the caller's deadline rules; a statement has none of its own
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, server_settings=settings)
    try:
        await connection.fetchval(_sql["insist_on_durability"])
    except BaseException:
        connection.terminate()
        raise
    return connection


def _ledger(groups: Sequence[PendingGroup], batch_ids: Sequence[int]) -> str:
    """Return the statement that writes the batches' rows of the ledger, after a semicolon; nothing for no groups."""
    rows = []
    for batch_id, (tenant_id, origin, events) in zip(batch_ids, groups, strict=True):
        # all events of a request came in at the same moment, so there are few
        moments = set(map(_RECEIVED_AT, events))
        first, last = min(moments).isoformat(), max(moments).isoformat()
        origin_ = origin.replace("'", "''")
        rows.append(f"({batch_id:d}, {tenant_id:d}, {len(events):d}, '{origin_}', '{first}', '{last}')")
    return f"; insert into raw.batch ({BATCH_COLUMNS}) values {', '.join(rows)}" if rows else ""  # noqa: S608 - numbers, times and our own words


async def _rows(groups: Sequence[PendingGroup], batch_ids: Sequence[int]) -> AsyncIterator[bytes]:
    yield HEADER
    for batch_id, group in zip(batch_ids, groups, strict=True):
        for chunk in encoded(batch_id, group.events):
            yield chunk
            await asyncio.sleep(0)
    yield TRAILER


async def _copy_rejects(connection: "asyncpg.Connection[asyncpg.Record]", rejects: Sequence[Reject]) -> None:
    records = [tuple(_storable(value) for value in reject) for reject in rejects]
    await connection.copy_records_to_table("rejected", schema_name="staging", columns=REJECT_COLUMNS, records=records)


def _storable(value: str | int | None) -> str | int | None:
    """Return what PostgreSQL can keep of a value: a refused event may hold NULs, lone surrogates or megabytes."""
    if not isinstance(value, str):
        return value
    return value[:MAX_REJECT_CHARACTERS].replace("\0", "\ufffd").encode(errors="replace").decode()
