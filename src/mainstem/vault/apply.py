"""Stage rows into the vault and the business layer, and the search for the one row that the database refuses."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from mainstem.vault import queries
from mainstem.vault.engine.ddl import stage_table
from mainstem.vault.engine.load import load_statements
from mainstem.vault.engine.spec import quote
from mainstem.vault.feed import Digest, DigestTables, Feed
from mainstem.vault.selection import MASK, Selection, Selector
from mainstem.vault.staging import Refused, Staged, is_data_error, refused_by_database

if TYPE_CHECKING:
    import asyncpg

_LARGE_ROWS: Final = 500
_COPY_ROWS: Final = 500
_COMMENTS: Final = re.compile(r"\A(?:\s*--[^\n]*\n)+")
_RAW_ID: Final = itemgetter(0)


class Applied(NamedTuple):
    """The load time of the transaction, and the rows that the database refused; all others are loaded."""

    load_ts: datetime
    refused: list[Refused]


class _Shadowed(NamedTuple):
    """A business statement that takes the digest as parameters, under the names of the tables."""

    text: str
    tables: Mapping[str, int]
    """Tables that it reads, with the number of their columns."""

    @classmethod
    def of(cls, statement: str, tables: DigestTables) -> "_Shadowed":
        """Return the statement with a CTE of array parameters in place of each table."""
        read = [(name, columns) for name, columns in tables if name in statement]
        if not read:
            return cls(statement, {})
        number = count(1)
        shadows = []
        for name, columns in read:
            arrays = ", ".join(f"${next(number)}::{kind}[]" for _, kind in columns)
            names = ", ".join(quote(column) for column, _ in columns)
            shadows.append(f"{quote(name)} ({names}) as (select * from unnest({arrays}))")  # noqa: S608 - quoted names
        shadow = "with " + ",\n".join(shadows)
        body = _COMMENTS.sub("", statement)
        rest = f",\n{body[5:]}" if body.startswith("with ") else f"\n{body}"
        return cls(shadow + rest, {name: len(columns) for name, columns in read})

    def arguments(self, digested: Mapping[str, Sequence[tuple[object, ...]]]) -> list[Sequence[object]]:
        """Return an array for each column."""
        arguments: list[Sequence[object]] = []
        for name, width in self.tables.items():
            rows = digested.get(name)
            arguments += zip(*rows, strict=True) if rows else [()] * width
        return arguments


class _Stage:
    """The stage of one feed on one connection: its statements, and what was committed over it."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.selector = Selector(feed)
        self.columns = [MASK, *(name for name, _ in feed.columns)]
        self._parts = {
            number: f"{feed.table}_{number}"
            for number in range(len(feed.structures))
            if 1 << number in self.selector.bits
        }
        self._sets = {
            number: one for number, spec in enumerate(feed.structures) for one in feed.sets if one.table == spec.table
        }
        parts = self._parts | {number: f"{feed.table}_{number}" for number in self._sets}
        self.vault = load_statements(feed.structures, feed.table, parts=parts)
        self.small_business = [_Shadowed.of(statement, feed.digest_tables) for statement in feed.business]
        self.has_digest_tables = not feed.digest_tables
        self.analyzed = False

    def definition(self) -> str:
        """Return the statements that make the stage, and for structures that need not see all of it a view each."""
        table = stage_table(self.feed.table, ((MASK, "int4"), *self.feed.columns))
        views = [
            f"create temp view {quote(view)} as select * from {quote(self.feed.table)}"  # noqa: S608 - quoted names
            # the fence keeps the test of the mask, which is cheap, before all others
            f" where {quote(MASK)} & {1 << number} = {1 << number} offset 0"
            for number, view in self._parts.items()
        ]
        sets = [
            f"create temp view {quote(f'{self.feed.table}_{number}')} as {one.rows(self.feed.table)}"
            for number, one in self._sets.items()
        ]
        return ";\n".join([table, *views, *sets])


@dataclass(slots=True)
class _Filled:
    """A stage with rows on it."""

    stage: _Stage
    selection: Selection
    rows: int
    digested: dict[str, list[tuple[object, ...]]]
    """The digest of a small stage, by table; that of a large one is in the tables."""


class Applier:
    """The stages of one connection; all methods run in the caller's transaction."""

    def __init__(
        self, connection: "asyncpg.Connection[asyncpg.Record]", feeds: Sequence[Feed], model: int | None = None
    ) -> None:
        """Keep the connection and compile the statements of the feeds; loads fail when `model` is not in force."""
        self._connection = connection
        self._model = model
        self._all = {feed.name: _Stage(feed) for feed in feeds}
        # emptying a stage costs every commit a little, so one that is never used is not made
        self._made: dict[str, _Stage] = {}
        self._applied: list[Selection] = []

    async def prepare(self) -> None:
        """Make the stages of the feeds with a kind of their own, and plan their statements before a visitor waits."""
        await self._connection.execute(stage_table("load_context", (("load_ts", "timestamptz"),)))
        for stage in self._all.values():
            if "*" not in stage.feed.kinds:
                await self._make(stage)
                await self._run_vault(stage, 0)
                for statement in stage.small_business:
                    await self._connection.fetch(statement.text, *statement.arguments({}))

    async def apply(self, rows: Sequence[Staged], lane: int) -> Applied:
        """Load the rows, once the lane is free. One row's data error costs only that row."""
        await self._make_stages(rows)
        await self._connection.execute("savepoint load")
        try:
            filled = await self._put(rows)
            load_ts = await queries.open_load(self._connection, lane, self._model)
            await self._run(filled)
        except Exception as error:
            if not is_data_error(error):
                raise
            await self._connection.execute("rollback to savepoint load")
            # again, and outside of the savepoints to come: the rollback gave the lane back
            load_ts = await queries.open_load(self._connection, lane, self._model)
            return Applied(load_ts, await self._search(rows, error))
        return Applied(load_ts, [])

    async def apply_again(self, rows: Sequence[Staged]) -> list[Refused]:
        """Load further rows in a transaction that has called `apply`; return those that the database refused."""
        await self._make_stages(rows)
        await self._connection.execute("savepoint part")
        try:
            for stage in self._made.values():
                digest_tables = stage.feed.digest_tables if stage.has_digest_tables else ()
                for table in (stage.feed.table, *(name for name, _ in digest_tables)):
                    await self._connection.execute(f"delete from {quote(table)}")  # noqa: S608 - a quoted name
            await self._run(await self._put(rows))
        except Exception as error:
            if not is_data_error(error):
                raise
            await self._connection.execute("rollback to savepoint part")
            await self._connection.execute("release savepoint part")
            return await self._search(rows, error)
        await self._connection.execute("release savepoint part")
        return []

    def committed(self) -> None:
        """Take note that the transaction is committed. After any other end of it this object must not be used."""
        for selection in self._applied:
            selection.committed()
        self._applied = []

    async def _search(self, rows: Sequence[Staged], error: Exception) -> list[Refused]:
        """Halve the rows until those that fail stand alone; load all others."""
        if len(rows) == 1:
            return [refused_by_database(rows[0].event, error)]
        middle = len(rows) // 2
        return [*await self.apply_again(rows[:middle]), *await self.apply_again(rows[middle:])]

    async def _make_stages(self, rows: Sequence[Staged]) -> None:
        for name in {row.feed.name for row in rows}:
            stage = self._all[name]
            if name not in self._made:
                await self._make(stage)
            if len(rows) >= _LARGE_ROWS and not stage.has_digest_tables:
                for table, columns in stage.feed.digest_tables:
                    await self._connection.execute(stage_table(table, columns))
                stage.has_digest_tables = True

    async def _make(self, stage: _Stage) -> None:
        await self._connection.execute(stage.definition())
        self._made[stage.feed.name] = stage

    async def _put(self, rows: Sequence[Staged]) -> list[_Filled]:
        """Copy the rows to the stages of their feeds."""
        filled: list[_Filled] = []
        for name, records in _by_feed(rows):
            stage = self._all[name]
            one = _Filled(stage, stage.selector.start(), len(records), {})
            filled.append(one)
            digest = None if stage.feed.digest is None else stage.feed.digest()
            # in parts, because nothing in here gives the event loop a turn
            for start in range(0, len(records), _COPY_ROWS):
                part = records[start : start + _COPY_ROWS]
                masked = [(mask, *row) for mask, row in zip(one.selection.masks(part), part, strict=True)]
                if digest is not None:
                    digest.add(part)
                await asyncio.sleep(0)
                await self._connection.copy_records_to_table(stage.feed.table, records=masked, columns=stage.columns)
            if digest is not None:
                await self._put_digest(one, digest)
        return filled

    async def _put_digest(self, filled: _Filled, digest: Digest) -> None:
        """Copy the digest of a large stage to its tables; a small one is cheaper to send with the statements."""
        if filled.rows < _LARGE_ROWS:
            for name, rows in digest.rows():
                filled.digested.setdefault(name, []).extend(rows)
            return
        for name, rows in digest.rows():
            await self._connection.copy_records_to_table(name, records=rows)

    async def _run(self, filled: Sequence[_Filled]) -> None:
        """Run vault and business statements of the stages that have rows; vault of all feeds first."""
        for one in filled:
            await self._run_vault(one.stage, one.rows)
        for one in filled:
            await self._run_business(one)
        self._applied += [one.selection for one in filled]

    async def _run_vault(self, stage: _Stage, rows: int) -> None:
        if rows >= _LARGE_ROWS and not stage.analyzed:
            await self._connection.execute(f"analyze {quote(stage.feed.table)}")
            stage.analyzed = True
        await self._connection.fetch(_sized(stage.vault, rows))

    async def _run_business(self, filled: _Filled) -> None:
        if filled.rows >= _LARGE_ROWS:
            for statement in filled.stage.feed.business:
                await self._connection.fetch(_sized(statement, filled.rows))
            return
        for small in filled.stage.small_business:
            if not small.tables or any(map(filled.digested.get, small.tables)):
                await self._connection.fetch(small.text, *small.arguments(filled.digested))


def _sized(statement: str, rows: int) -> str:
    """Return the statement under a text of its own for large stages.

    Plans are kept per text, and a plan made for a handful of rows is a bad one for thousands. The first
    large stage of a connection is analyzed; statistics of later ones would look the same.
    """
    return statement if rows < _LARGE_ROWS else f"{statement}\n-- large"


def _by_feed(rows: Sequence[Staged]) -> list[tuple[str, list[tuple[object, ...]]]]:
    """Return the rows of each feed, by raw id."""
    records: dict[str, list[tuple[object, ...]]] = {}
    for row in rows:
        records.setdefault(row.feed.name, []).append(row.row)
    return [(name, sorted(records[name], key=_RAW_ID)) for name in sorted(records)]
