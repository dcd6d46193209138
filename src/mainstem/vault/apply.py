"""Stage rows into the vault and the business layer, and the search for the one row that the database refuses."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from mainstem.vault import queries
from mainstem.vault.engine.ddl import stage_table
from mainstem.vault.engine.load import load_statements
from mainstem.vault.engine.spec import quote
from mainstem.vault.feed import Feed
from mainstem.vault.staging import Refused, Staged, is_data_error, refused_by_database

if TYPE_CHECKING:
    import asyncpg

_LARGE_ROWS: Final = 500
_COPY_ROWS: Final = 1_000


class Applied(NamedTuple):
    """The load time of the transaction, and the rows that the database refused; all others are loaded."""

    load_ts: datetime
    refused: list[Refused]


class Applier:
    """The stages of one connection; all methods run in the caller's transaction."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", feeds: Sequence[Feed]) -> None:
        """Keep the connection and compile the statements of the feeds."""
        self._connection = connection
        self._feeds = feeds
        self._statements = {feed.name: _statements(feed) for feed in feeds}
        # emptying a stage costs every commit a little, so one that is never used is not made
        self._stages: list[Feed] = []
        self._analyzed: set[str] = set()

    async def prepare(self) -> None:
        """Make the stages of the feeds with a kind of their own, and plan their statements before a visitor waits."""
        await self._connection.execute(stage_table("load_context", (("load_ts", "timestamptz"),)))
        for feed in self._feeds:
            if "*" not in feed.kinds:
                await self._make_stage(feed)
                for statement in self._statements[feed.name]:
                    await self._connection.fetch(statement)

    async def apply(self, rows: Sequence[Staged], lane: int) -> Applied:
        """Load the rows, once the lane is free. One row's data error costs only that row."""
        await self._make_stages(rows)
        await self._connection.execute("savepoint load")
        try:
            await self._put(rows)
            load_ts = await queries.open_load(self._connection, lane)
            await self._run(rows)
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
            for feed in self._stages:
                await self._connection.execute(f"delete from {quote(feed.table)}")  # noqa: S608 - a quoted name
            await self._put(rows)
            await self._run(rows)
        except Exception as error:
            if not is_data_error(error):
                raise
            await self._connection.execute("rollback to savepoint part")
            await self._connection.execute("release savepoint part")
            return await self._search(rows, error)
        await self._connection.execute("release savepoint part")
        return []

    async def _search(self, rows: Sequence[Staged], error: Exception) -> list[Refused]:
        """Halve the rows until those that fail stand alone; load all others."""
        if len(rows) == 1:
            return [refused_by_database(rows[0].event, error)]
        middle = len(rows) // 2
        return [*await self.apply_again(rows[:middle]), *await self.apply_again(rows[middle:])]

    async def _make_stages(self, rows: Sequence[Staged]) -> None:
        for feed in {row.feed.name: row.feed for row in rows}.values():
            if feed not in self._stages:
                await self._make_stage(feed)

    async def _make_stage(self, feed: Feed) -> None:
        await self._connection.execute(stage_table(feed.table, feed.columns))
        self._stages.append(feed)

    async def _put(self, rows: Sequence[Staged]) -> None:
        """Copy the rows to the stages of their feeds."""
        for feed, records in _by_feed(rows):
            columns = [name for name, _ in feed.columns]
            # in parts, because the driver encodes each without giving the event loop a turn
            for start in range(0, len(records), _COPY_ROWS):
                part = records[start : start + _COPY_ROWS]
                await self._connection.copy_records_to_table(feed.table, records=part, columns=columns)

    async def _run(self, rows: Sequence[Staged]) -> None:
        """Run vault and business statements of the feeds that have rows; vault of all feeds first."""
        feeds = [(feed, len(records)) for feed, records in _by_feed(rows)]
        for part in (slice(0, 1), slice(1, None)):
            for feed, count in feeds:
                for statement in self._statements[feed.name][part]:
                    await self._connection.fetch(await self._sized(feed, statement, count))

    async def _sized(self, feed: Feed, statement: str, count: int) -> str:
        """Return the statement under a text of its own for large stages.

        Plans are kept per text, and a plan made for a handful of rows is a bad one for thousands. The first
        large stage of a connection is analyzed; statistics of later ones would look the same.
        """
        if count < _LARGE_ROWS:
            return statement
        if feed.name not in self._analyzed:
            await self._connection.execute(f"analyze {quote(feed.table)}")
            self._analyzed.add(feed.name)
        return f"{statement}\n-- large"


def _statements(feed: Feed) -> tuple[str, ...]:
    """Return one statement for all structures, then the business statements."""
    return (load_statements(feed.structures, feed.table), *feed.business)


def _by_feed(rows: Sequence[Staged]) -> list[tuple[Feed, list[tuple[object, ...]]]]:
    records: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    feeds: dict[str, Feed] = {}
    for row in rows:
        records[row.feed.name].append(row.row)
        feeds[row.feed.name] = row.feed
    return [(feeds[name], records[name]) for name in sorted(records)]
