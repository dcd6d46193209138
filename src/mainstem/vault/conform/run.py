"""Running cases: builds stages and tables, lets the engine load them, compares what is there.

Each case has two schemas and a transaction of its own, which is rolled back: nothing is left behind.
"""

# ruff: noqa: S608 - SQL of quoted names alone

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg

from mainstem.vault.conform import specs
from mainstem.vault.conform.case import Case, Hex, Load, Rows, StageData, Target, Value
from mainstem.vault.engine import (
    Column,
    Compat,
    PointInTime,
    Snapshot,
    Structure,
    create_table,
    load_statement,
    rebuild_statements,
    stage_rows,
)
from mainstem.vault.engine.column import quote, quote_table
from mainstem.vault.engine.snapshot import Bridge

if TYPE_CHECKING:
    from mainstem.platform.db import Connection

VAULT: Final = "mainstem_conform"
STAGE: Final = "mainstem_conform_stage"
_SHOWN: Final = 3


class Result(NamedTuple):
    """How one case ended."""

    id: str
    kind: str
    title: str
    problem: str | None
    """What differs, or what the database or the engine refused; None when the case passed."""

    @property
    def passed(self) -> bool:
        """Tell whether all tables were as expected."""
        return self.problem is None


class _Differs(Exception):  # noqa: N818 - an outcome, not a fault
    """A table is not as expected; the text says how."""


async def run_cases(connection: "Connection", cases: Iterable[Case]) -> AsyncIterator[Result]:
    """Yield the result of each case. The connection must not be inside a transaction."""
    for case in cases:
        yield await run_case(connection, case)


async def run_case(connection: "Connection", case: Case) -> Result:
    """Run one case in a transaction that is rolled back. Raises OSError, InterfaceError when the database goes away."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        problem = await _problem(connection, case)
    finally:
        if not connection.is_closed():
            await transaction.rollback()
    return Result(case.id, case.kind, case.title, problem)


async def _problem(connection: "Connection", case: Case) -> str | None:
    try:
        await _Run(connection, case).run()
    except _Differs as error:
        return str(error)
    except (asyncpg.PostgresError, KeyError, ValueError) as error:
        # what a case asks for may be impossible; that is its result, not the end of the run
        if connection.is_closed():
            raise
        return f"{type(error).__name__}: {error}"
    return None


class _Run:
    """One case on one connection, inside a transaction."""

    def __init__(self, connection: "Connection", case: Case) -> None:
        self._connection = connection
        self._case = case
        self._profile: Compat = specs.profile(case.hash)
        self._targets: dict[str, Target] = {target.table: target for target in case.targets}
        self._specs: dict[str, Structure | Snapshot] = {
            name: specs.structure(target, VAULT) for name, target in self._targets.items()
        }
        self._stages: dict[str, StageData] = {}
        self._rows = 0

    async def run(self) -> None:
        """Raise _Differs when a table is not as expected."""
        await self._connection.execute(
            f"set local timezone = 'UTC'; set local datestyle = 'ISO'; create schema {VAULT}; create schema {STAGE}"
        )
        for target in self._case.targets:
            await self._connection.execute(create_table(self._specs[target.table]))
            await self._fill(target)
        for number, step in enumerate(self._case.steps, start=1):
            self._stages |= {stage.name: stage for stage in step.stages}
            for load in step.load:
                await self._load(load)
            await self._compare(step.expect, f"after step {number}")
        await self._compare(self._case.expected, "at the end")

    async def _load(self, load: Load) -> None:
        spec = self._specs[load.target]
        for name in load.stages:
            # anew for each load, so that its rows come after all that came before
            await self._stage(self._stages[name])
        tables = [f"{STAGE}.{name}" for name in load.stages]
        if isinstance(spec, PointInTime | Bridge):
            for statement in rebuild_statements(spec, tables[0]):
                await self._connection.execute(statement)
        else:
            stages = tables[0] if len(tables) == 1 else tables
            await self._connection.execute(load_statement(spec, stages, profile=self._profile))

    async def _stage(self, data: StageData) -> None:
        source, table = f"{STAGE}.{specs.POSITION}", quote_table(f"{STAGE}.{data.name}")
        columns = (*(Column(*pair) for pair in data.columns), Column(specs.POSITION, "int8"))
        await self._make(source, columns, data.rows)
        rows = stage_rows(specs.stage(data), source, profile=self._profile)
        await self._connection.execute(f"drop table if exists {table}; create table {table} as {rows}")

    async def _fill(self, target: Target) -> None:
        """Insert what the table holds before the case begins."""
        columns = [Column(*pair) for pair in target.columns]
        if any(column.name == specs.POSITION for column in self._specs[target.table].columns):
            columns.append(Column(specs.POSITION, "int8"))
        await self._insert(f"{VAULT}.{target.table}", columns, target.initial or ())

    async def _compare(self, expected: Mapping[str, Rows], when: str) -> None:
        for name, rows in expected.items():
            types = dict(self._targets[name].columns)
            columns = [Column(column, types[column]) for column in rows.columns]
            await self._make(f"{STAGE}.{specs.POSITION}", columns, rows.rows)
            listed = ", ".join(quote(column.name) for column in columns)
            found = f"select {listed} from {quote_table(f'{VAULT}.{name}')}"
            wanted = f"select {listed} from {quote_table(f'{STAGE}.{specs.POSITION}')}"
            missing = await self._connection.fetch(f"{wanted} except all {found}")
            unexpected = await self._connection.fetch(f"{found} except all {wanted}")
            if missing or unexpected:
                msg = f"{name} {when}: {_shown('missing', missing)}, {_shown('unexpected', unexpected)}"
                raise _Differs(msg)

    async def _make(self, table: str, columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> None:
        """Make a table anew with these rows."""
        listed = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
        name = quote_table(table)
        await self._connection.execute(f"drop table if exists {name}; create table {name} ({listed})")
        await self._insert(table, columns, rows)

    async def _insert(self, table: str, columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> None:
        """Insert rows; the position column, where there is one, counts on over the whole case."""
        values = ", ".join(
            "$2 + r.number" if column.name == specs.POSITION else f"(r.cells ->> {number})::{column.type}"
            for number, column in enumerate(columns)
        )
        listed = ", ".join(quote(column.name) for column in columns)
        await self._connection.execute(
            f"insert into {quote_table(table)} ({listed}) select {values}"
            " from jsonb_array_elements($1::jsonb) with ordinality r (cells, number) where $2::int8 is not null",
            json.dumps([[_text(value) for value in row] for row in rows]),
            self._rows,
        )
        self._rows += len(rows)


def _text(value: Value) -> str | None:
    return rf"\x{value.hex}" if isinstance(value, Hex) else value


def _shown(what: str, rows: Sequence[asyncpg.Record]) -> str:
    """Return how many rows there are, and the first of them."""
    first = "; ".join("(" + ", ".join(_cell(cell) for cell in row) + ")" for row in rows[:_SHOWN])
    more = "; …" if len(rows) > _SHOWN else ""
    return f"{len(rows)} {what}" + (f" {first}{more}" if rows else "")


def _cell(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
