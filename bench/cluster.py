"""The PostgreSQL of a bench run: the product's own embedded one, in a folder of its own, durability as delivered."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal

import asyncpg
import psycopg

from mainstem.platform import migrate
from mainstem.platform.embedded import EmbeddedPostgres
from mainstem.platform.keys import create_key

Form = Literal["text", "binary"]
"""Formats of COPY; text is PostgreSQL's default."""

_TABLES: Final = """
select format('%I.%I', n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('raw', 'staging', 'vault', 'business') and c.relkind in ('r', 'p') and not c.relispartition
order by 1
"""


class Cluster:
    """A migrated database with one tenant's key, and what the scenarios do with it outside of the product."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        """Migrate a running server's database, make a key, and remember the rows that every database starts with."""
        self.data_dir = server.data_dir
        self.dsn = server.dsn
        self._files = server.cluster / "bench"
        self._files.mkdir()
        # the server writes into it under its own user
        shutil.chown(self._files, server.cluster.stat().st_uid, server.cluster.stat().st_gid)
        migrate.upgrade(self.dsn)
        self.key = asyncio.run(_make_key(self.dsn))
        self._connection = psycopg.connect(self.dsn, autocommit=True)
        self.execute("create schema bench")
        self._tables = [str(table) for (table,) in self._fetch(_TABLES)]
        filled = [table for table in self._tables if self.number(f"select count(*) from {table}")]  # noqa: S608 - names of the catalogue
        self._seeds = {table: f"bench.{table.replace('.', '_')}" for table in filled}
        for table, seed in self._seeds.items():
            self.execute(f"create table {seed} as table {table}")

    def execute(self, statement: str) -> None:
        """Run a statement in a transaction of its own."""
        self._connection.execute(statement.encode())

    def number(self, query: str) -> float:
        """Return the one number of a query."""
        return float(self._fetch(query)[0][0])

    def numbers(self, query: str) -> list[tuple[float, ...]]:
        """Return the rows of a query as numbers."""
        return [tuple(float(value) for value in row) for row in self._fetch(query)]

    def text(self, query: str) -> str:
        """Return the one text of a query."""
        return str(self._fetch(query)[0][0])

    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query.encode()).fetchall()

    def clear(self) -> None:
        """Empty all tables but for what they started with, and leave no work to the checkpointer."""
        while not self._emptied():
            pass
        self.execute("vacuum analyze " + ", ".join(self._tables))
        self.execute("checkpoint")

    def _emptied(self) -> bool:
        """Empty the tables; False when a server's upkeep held some of them in another order, so that it must be tried again."""
        try:
            with self._connection.transaction():
                self.execute("truncate " + ", ".join(self._tables))
                for table, seed in self._seeds.items():
                    self.execute(f"insert into {table} select * from {seed}")  # noqa: S608 - names of the catalogue
        except psycopg.errors.DeadlockDetected:
            return False
        return True

    def keep(self, table: str, form: Form = "binary") -> None:
        """Write a table to a file of the server's, in one of COPY's formats."""
        file = self._file(table, form)
        self.execute(f"copy (select * from {table}) to '{file}' (format {form})")  # noqa: S608 - our own names

    def put_back(self, table: str, form: Form = "binary") -> float:
        """Copy a kept table in again, server-side; return the seconds that it took."""
        started = perf_counter()
        self.execute(f"copy {table} from '{self._file(table, form)}' (format {form})")
        return perf_counter() - started

    def _file(self, table: str, form: Form) -> Path:
        return self._files / f"{table}.{form}"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def cluster(parent: Path | None) -> Iterator[Cluster]:
    """Yield a cluster in a new folder below `parent`, which is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mainstem-bench-", dir=parent))
    folder.chmod(0o711)
    try:
        with EmbeddedPostgres(folder) as server:
            found = Cluster(server)
            try:
                yield found
            finally:
                found.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _make_key(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
        return (await create_key(connection, tenant_id, scopes=["ingest", "read", "admin"], label="bench")).key
    finally:
        await connection.close()
