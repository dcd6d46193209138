"""Filling new tables from the facts that are stored, in the order in which they were loaded, then letting loads go on.

One transaction per feed: a run that is killed leaves nothing behind, a second one finds nothing to do. The rows get
the load times of their facts, and loads do not fill a table before all older facts are in it; so the table ends up as
if it had been there from the first day. Loads go on meanwhile and wait only for the last few facts; they wait for all of
them where the feed shares a hub or link with one that is loaded already.
"""

# ruff: noqa: S608 - quoted names

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Final, TypeVar

import asyncpg

from mainstem.events.model import RawEvent
from mainstem.platform.db import Connection
from mainstem.vault.custom.apply import lock
from mainstem.vault.custom.catalogue import sql
from mainstem.vault.custom.model import own_structures
from mainstem.vault.engine.column import Column, quote, quote_table
from mainstem.vault.engine.ddl import stage_table
from mainstem.vault.engine.load import load_statements
from mainstem.vault.engine.spec import Hub, MultiActiveSatellite, Satellite, Structure
from mainstem.vault.feed import Feed, Route, router
from mainstem.vault.staging import stage

_CHUNK: Final = 5_000
_FEW: Final = 10_000
"""Facts that loads may wait for."""
_LOAD_TS: Final = Column("load_ts", "timestamptz", required=True)
_BEGINNING: Final = datetime(1900, 1, 1, tzinfo=UTC)
_S = TypeVar("_S", bound=Structure)

Progress = Callable[[int, int], None]
"""Takes the number of facts that are done, and of all."""


@dataclass(slots=True)
class Report:
    """What a backfill did."""

    feed: str
    tables: tuple[str, ...]
    facts: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Facts that the stage of the feed refuses, by reason: they are in the general fact alone."""


async def empty(connection: Connection, feed: Feed) -> None:
    """Empty the tables of a feed and let them wait, in the transaction in which `backfill` fills them again.

    Loads are held until it ends. Tables that another feed fills, too, are left as they are. Raises ModelBusyError.
    """
    await lock(connection)
    await connection.execute(sql["hold_loads"])
    ghostly = {spec.table for spec in feed.structures if isinstance(spec, Hub | Satellite | MultiActiveSatellite)}
    for (table,) in await connection.fetch(sql["wait_again"], feed.name):
        await connection.execute(f"delete from {quote_table(table)}")
        if table in ghostly:
            await connection.fetch(sql["make_ghosts"], quote_table(table))


async def backfill(
    connection: Connection, feed: Feed, feeds: Sequence[Feed], *, history: bool, progress: Progress
) -> Report:
    """Fill the waiting tables of a feed and let loads fill them from now on, in the caller's transaction.

    `feeds` are all feeds, for which events are whose. Without `history` the tables begin empty. Raises ModelBusyError.
    """
    await lock(connection)
    waiting = {row["table_name"] for row in await connection.fetch(sql["pending"]) if row["feed"] == feed.name}
    specs = tuple(spec for spec in own_structures(feed) if spec.table in waiting)
    report = Report(feed.name, tuple(dict.fromkeys(spec.table for spec in specs)))
    if not specs:
        return report
    if await connection.fetch(sql["shared"], feed.name):
        # loads and this run would wait for each other's rows of a hub that both fill
        await connection.execute(sql["hold_loads"])
    run = _Run(connection, feed, specs=specs, route=router(feeds), report=report, progress=progress)
    if history:
        await run.prepare()
        while await run.catch_up() > _FEW:
            pass
    await connection.execute(sql["hold_loads"])
    if history:
        await run.catch_up()
        await run.finish()
    await connection.execute(sql["go_live"], feed.name)
    await connection.execute(sql["next_version"])
    return report


class _Run:
    """The facts of one feed on their way into its waiting tables."""

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        connection: Connection,
        feed: Feed,
        *,
        specs: Sequence[Structure],
        route: Route,
        report: Report,
        progress: Progress,
    ) -> None:
        self._connection = connection
        self._feed = feed
        self._route = route
        self._report = report
        self._progress = progress
        self._kinds = [kind for kind in feed.kinds if not kind.endswith("*")]
        self._prefixes = [kind[:-1] for kind in feed.kinds if kind.endswith("*")]
        self._stage = f"backfill_{feed.name}"
        self._sets = {number: one for number, spec in enumerate(specs) for one in feed.sets if one.table == spec.table}
        parts = {number: f"{self._stage}_{number}" for number in self._sets}
        self._load = load_statements([by_fact(spec) for spec in specs], self._stage, parts=parts)
        self._until: dict[int, datetime] = {}
        self._total = 0

    async def prepare(self) -> None:
        """Make the stage."""
        # as the loader has it: plans made while the tables are small must not read all of them later
        await self._connection.execute("set local enable_seqscan = off")
        await self._connection.execute(stage_table(self._stage, (*self._feed.columns, (_LOAD_TS.name, _LOAD_TS.type))))
        for number, one in self._sets.items():
            view = quote(f"{self._stage}_{number}")
            await self._connection.execute(f"create temp view {view} as {one.rows(self._stage)}")

    async def finish(self) -> None:
        """Drop the stage, so that the connection can fill the feed again."""
        await self._connection.execute(f"drop table {quote(self._stage)} cascade")

    async def catch_up(self) -> int:
        """Load what is stored and was not seen yet, tenant by tenant; return how many facts these were."""
        tenants = [row[0] for row in await self._connection.fetch(sql["tenants"], self._kinds, self._prefixes)]
        before = self._report.facts
        for tenant_id in tenants:
            arguments = (tenant_id, self._kinds, self._prefixes, self._until.get(tenant_id, _BEGINNING))
            self._total += await self._connection.fetchval(sql["count_facts"], *arguments)
            async for facts in _chunks(self._connection, arguments):
                await self._put(facts)
                # a tenant's loads follow each other: whatever comes later has a later time
                self._until[tenant_id] = facts[-1]["load_ts"]
                self._report.facts += len(facts)
                self._progress(self._report.facts, max(self._total, self._report.facts))
        return self._report.facts - before

    async def _put(self, facts: Sequence[asyncpg.Record]) -> None:
        own = [fact for fact in facts if self._route(fact["kind"], fact["rsrc"]) is self._feed]
        times = {fact["raw_id"]: fact["load_ts"] for fact in own}
        staged, refused = stage(map(_event, own), self._route)
        self._report.refused.update(one.reason for one in refused)
        rows = [(*one.row, times[one.event.raw_id]) for one in staged]
        columns = [*(name for name, _ in self._feed.columns), _LOAD_TS.name]
        await self._connection.execute(f"delete from {quote(self._stage)}")
        await self._connection.copy_records_to_table(self._stage, records=rows, columns=columns)
        await self._connection.execute(f"analyze {quote(self._stage)}")
        await self._connection.execute(self._load)


def by_fact(spec: _S) -> _S:
    """Return a structure whose load time comes with each row, in whose order the rows are."""
    changed: dict[str, object] = {}
    for one in fields(spec):
        value = getattr(spec, one.name)
        if isinstance(value, Column):
            changed[one.name] = _by_row(value)
        elif isinstance(value, tuple) and all(isinstance(item, Column) for item in value):
            changed[one.name] = tuple(map(_by_row, value))
    return replace(spec, **changed, order=(_LOAD_TS.name, *spec.order))  # type: ignore[arg-type]  # by field name


def _by_row(column: Column) -> Column:
    return replace(column, context=False) if column.context else column


async def _chunks(connection: Connection, arguments: tuple[object, ...]) -> AsyncIterator[list[asyncpg.Record]]:
    """Yield facts some thousands at a time, from one snapshot of the database."""
    chunk: list[asyncpg.Record] = []
    async for fact in connection.cursor(sql["facts"], *arguments, prefetch=_CHUNK):
        chunk.append(fact)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _event(fact: asyncpg.Record) -> RawEvent:
    return RawEvent(
        raw_id=fact["raw_id"],
        received_at=fact["received_at"],
        tenant_id=fact["tenant_id"],
        event_uid=fact["event_uid"],
        kind=fact["kind"],
        occurred_at=fact["occurred_at"],
        source=fact["rsrc"],
        message_id=None,
        subject=fact["subject"],
        visitor=None,
        ip=None,
        user_agent=None,
        flags=fact["flags"],
        data=fact["data"],
    )
