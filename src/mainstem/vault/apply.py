"""Stage rows into the vault and the business layer, and the search for the one row that the database refuses."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from mainstem.vault import queries
from mainstem.vault.engine.ddl import stage_table
from mainstem.vault.engine.load import load_statements
from mainstem.vault.engine.spec import quote
from mainstem.vault.feed import Feed
from mainstem.vault.selection import MASK, Selection, Selector
from mainstem.vault.staging import Refused, Staged, is_data_error, refused_by_database

if TYPE_CHECKING:
    import asyncpg

_LARGE_ROWS: Final = 500
_COPY_ROWS: Final = 500
_RAW_ID: Final = itemgetter(0)


class Applied(NamedTuple):
    """The load time of the transaction, and the rows that the database refused; all others are loaded."""

    load_ts: datetime
    refused: list[Refused]


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
        self.vault = load_statements(feed.structures, feed.table, parts=self._parts)
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
        return ";\n".join([table, *views, *(stage_table(name, columns) for name, columns in self.feed.digest_tables)])


@dataclass(slots=True)
class _Filled:
    """A stage with rows on it."""

    stage: _Stage
    selection: Selection
    rows: int


class Applier:
    """The stages of one connection; all methods run in the caller's transaction."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", feeds: Sequence[Feed]) -> None:
        """Keep the connection and compile the statements of the feeds."""
        self._connection = connection
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
                await self._run_business(stage, 0)

    async def apply(self, rows: Sequence[Staged], lane: int) -> Applied:
        """Load the rows, once the lane is free. One row's data error costs only that row."""
        await self._make_stages(rows)
        await self._connection.execute("savepoint load")
        try:
            filled = await self._put(rows)
            load_ts = await queries.open_load(self._connection, lane)
            await self._run(filled)
        except Exception as error:
            if not is_data_error(error):
                raise
            await self._connection.execute("rollback to savepoint load")
            # again, and outside of the savepoints to come: the rollback gave the lane back
            load_ts = await queries.open_load(self._connection, lane)
            return Applied(load_ts, await self._search(rows, error))
        return Applied(load_ts, [])

    async def apply_again(self, rows: Sequence[Staged]) -> list[Refused]:
        """Load further rows in a transaction that has called `apply`; return those that the database refused."""
        await self._make_stages(rows)
        await self._connection.execute("savepoint part")
        try:
            for stage in self._made.values():
                for table in (stage.feed.table, *(name for name, _ in stage.feed.digest_tables)):
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
            if name not in self._made:
                await self._make(self._all[name])

    async def _make(self, stage: _Stage) -> None:
        await self._connection.execute(stage.definition())
        self._made[stage.feed.name] = stage

    async def _put(self, rows: Sequence[Staged]) -> list[_Filled]:
        """Copy the rows to the stages of their feeds."""
        filled: list[_Filled] = []
        for name, records in _by_feed(rows):
            stage = self._all[name]
            one = _Filled(stage, stage.selector.start(), len(records))
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
                for table, counted in digest.rows():
                    await self._connection.copy_records_to_table(table, records=counted)
        return filled

    async def _run(self, filled: Sequence[_Filled]) -> None:
        """Run vault and business statements of the stages that have rows; vault of all feeds first."""
        for one in filled:
            await self._run_vault(one.stage, one.rows)
        for one in filled:
            await self._run_business(one.stage, one.rows)
        self._applied += [one.selection for one in filled]

    async def _run_vault(self, stage: _Stage, rows: int) -> None:
        if rows >= _LARGE_ROWS and not stage.analyzed:
            await self._connection.execute(f"analyze {quote(stage.feed.table)}")
            stage.analyzed = True
        await self._connection.fetch(_sized(stage.vault, rows))

    async def _run_business(self, stage: _Stage, rows: int) -> None:
        for statement in stage.feed.business:
            await self._connection.fetch(_sized(statement, rows))


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
