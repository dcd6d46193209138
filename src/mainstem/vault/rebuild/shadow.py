"""The shadow: empty tables like the live ones in schemas of their own, and what the replay needs beside them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mainstem.platform.db import Connection, load_queries
from mainstem.vault.check import GATE
from mainstem.vault.engine.column import literal, quote
from mainstem.vault.engine.ghosts import ghost_rows
from mainstem.vault.rebuild.names import Names, RebuildError, quoted
from mainstem.vault.rebuild.scope import Scope, facts

MARK: Final = "mainstem rebuild"
"""How the comment of a schema starts that may be dropped: what has another one is somebody else's."""

_sql: Final = load_queries("mainstem.vault.rebuild", "shadow.sql")
_scratch: Final = load_queries("mainstem.vault.rebuild", "scratch.sql")


async def make(connection: Connection, names: Names, scope: Scope, *, archives: bool) -> None:
    """Make the schemas and tables of a rebuild, empty but for ghosts; with `since`, with the live rows before it.

    Runs in the caller's transaction. Raises RebuildError when a schema of that name is there already.
    """
    for schema in _schemas(scope.made):
        shadow = names.shadow(schema)
        if await connection.fetchval("select to_regnamespace($1) is not null", shadow):
            msg = f"there is a schema {shadow} already: give another name with --into"
            raise RebuildError(msg)
        await connection.execute(f"create schema {quote(shadow)}")
        await connection.execute(f"comment on schema {quote(shadow)} is {literal(f'{MARK}: under way')}")
    for table in scope.made:
        await _make_like(connection, table, names.shadow(table.split(".", 1)[0]))
    for name, statement in _scratch.items():
        if archives or not name.startswith("restored"):
            await connection.execute(statement.replace("rebuild_vault", quote(names.shadow("vault"))))
    if scope.since is not None:
        await _copy_before(connection, names, scope)


async def add_ghosts(connection: Connection, names: Names, scope: Scope) -> None:
    """Give every tenant the ghost rows that it lacks in the shadow."""
    specs = [replace(spec, table=names.shadow_table(spec.table)) for spec in scope.structures]
    for statement in ghost_rows(specs, "platform.tenant"):
        await connection.execute(statement)


async def leftovers(connection: Connection, names: Names) -> list[str]:
    """Return the schemas under this name that a rebuild or a swap left; the old tables' among them."""
    rows = await connection.fetch(_sql["schemas"], names.into)
    return [name for name, comment in rows if (comment or "").startswith(MARK)]


async def drop(connection: Connection, schemas: Sequence[str]) -> None:
    """Drop schemas that `leftovers` has named."""
    for schema in schemas:
        await connection.execute(f"drop schema if exists {quote(schema)} cascade")


async def partitions(connection: Connection, table: str) -> list[str]:
    """Return the names of a table's partitions."""
    return [row["name"] for row in await connection.fetch(_sql["partitions"], table, "")]


async def columns(connection: Connection, table: str) -> list[str]:
    """Return the names of a table's columns in order."""
    return [row["attname"] for row in await connection.fetch(_sql["columns"], table)]


async def key(connection: Connection, table: str) -> list[str]:
    """Return the names of the columns of a table's primary key; none where it has none."""
    return [row["attname"] for row in await connection.fetch(_sql["key"], table)]


async def revision(connection: Connection) -> str:
    """Return what the tables follow: the schema's revision and the version of the model."""
    found: str = await connection.fetchval(_sql["revision"])
    return found


async def _make_like(connection: Connection, table: str, schema: str) -> None:
    statements = [row["statement"] for row in await connection.fetch(_sql["describe"], table, schema)]
    parts = await connection.fetch(_sql["partitions"], table, schema)
    statements += [row["statement"] for row in parts]
    for one in (table, *(row["live"] for row in parts)):
        statements += [row["statement"] for row in await connection.fetch(_sql["grants"], one, schema)]
    for statement in statements:
        await connection.execute(statement)


async def _copy_before(connection: Connection, names: Names, scope: Scope) -> None:
    """Copy what was loaded before `since`; the gate has no load time, its facts have."""
    for spec in scope.structures:
        listed = ", ".join(map(quote, await columns(connection, spec.table)))
        await connection.execute(
            f"insert into {quoted(names.shadow_table(spec.table))} ({listed}) "  # noqa: S608 - quoted names
            f"select {listed} from {quoted(spec.table)} where load_ts < {literal(str(scope.since))}::timestamptz"
        )
    for fact in facts(scope.structures):
        await connection.execute(
            f"insert into {quoted(names.shadow_table(GATE))} (tenant_id, event_uid, raw_id) "  # noqa: S608 - quoted names
            f"select tenant_id, event_uid, raw_id from {quoted(names.shadow_table(fact))} order by tenant_id, event_uid"
        )


def _schemas(tables: Sequence[str]) -> list[str]:
    return sorted({table.split(".", 1)[0] for table in tables} | {"vault"})
