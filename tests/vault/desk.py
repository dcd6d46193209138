"""A desk for the engine's tests: stages from a few lines, loads, and what is stored, as texts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from mainstem.vault.engine import Snapshot, Structure, create_table, load_statement
from mainstem.vault.engine.column import quote, quote_table
from mainstem.vault.engine.hashing import INJECTIVE, HashProfile

Row = tuple[str | int | None, ...]


class Desk:
    """One connection in a transaction that is rolled back; stages are temp tables."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Keep the connection and make the context of loads."""
        self.connection = connection
        connection.execute("create temp table load_context (load_ts timestamptz)")
        connection.execute("insert into load_context values ('2030-01-01Z')")

    def make(self, *specs: Structure | Snapshot) -> None:
        """Create tables."""
        for spec in specs:
            self.connection.execute(create_table(spec))

    def stage(self, columns: str, *rows: Row, name: str = "staged") -> None:
        """Make a stage: `columns` as in CREATE TABLE, rows in that order."""
        self.connection.execute(f"drop table if exists {name}; create temp table {name} ({columns})")
        names = [column.split(" ")[0] for column in columns.split(", ")]
        records = json.dumps([dict(zip(names, row, strict=True)) for row in rows])
        self.connection.execute(
            f"insert into {name} select * from json_populate_recordset(null::{name}, %s::json)", (records,)
        )

    def load(self, spec: Structure, columns: str, *rows: Row, profile: HashProfile = INJECTIVE) -> None:
        """Stage the rows and load them."""
        self.stage(columns, *rows)
        self.connection.execute(load_statement(spec, "staged", profile=profile))

    def stored(self, spec: Structure | Snapshot, *names: str) -> list[tuple[str | None, ...]]:
        """Return the sorted rows of a table, as texts."""
        values = ", ".join(f"{quote(name)}::text" for name in names)
        return self.connection.execute(f"select {values} from {quote_table(spec.table)} order by {values}").fetchall()


@contextmanager
def desk(dsn: str) -> Iterator[Desk]:
    """Yield a desk; what is made on it is gone afterwards."""
    with psycopg.connect(dsn) as connection:
        connection.execute("set timezone = 'UTC'")
        yield Desk(connection)
        connection.rollback()
