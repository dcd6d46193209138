"""The swap: rebuilt tables take the place of the live ones in one transaction, with everything that hangs on them.

Views bind to tables, not to their names, so those that read a table are bound anew. Loaders remember keys of the tables
they know: they are cut off and connect again (a lost connection costs them a tenth of a second).
"""

from typing import Final

from mainstem.platform.db import Connection, load_queries
from mainstem.vault import check
from mainstem.vault.engine.column import literal, quote
from mainstem.vault.rebuild import shadow
from mainstem.vault.rebuild.names import Names, RebuildError, quoted
from mainstem.vault.rebuild.scope import Scope

_sql: Final = load_queries("mainstem.vault.rebuild", "swap.sql")
_shadow_sql: Final = load_queries("mainstem.vault.rebuild", "shadow.sql")


async def quiesce(connection: Connection) -> None:
    """Hold up all loads and new tenants until the transaction ends; those under way end first. Events still come in."""
    await connection.execute(_sql["quiesce"])


async def refuse_bound(connection: Connection, scope: Scope) -> None:
    """Raise RebuildError when something holds on to a live table that a swap could not bind anew."""
    bound = await connection.fetch(_shadow_sql["bound"], list(scope.compared))
    if bound:
        msg = f"can't be swapped while these hold on to the tables: {', '.join(row['object'] for row in bound)}"
        raise RebuildError(msg)


async def refuse_old(connection: Connection, names: Names, scope: Scope) -> None:
    """Raise RebuildError when there is no place for the tables to be replaced."""
    for schema in _old(names, scope):
        if await connection.fetchval("select to_regnamespace($1) is not null", schema):
            msg = f"{schema} still holds the tables of a swap before: drop it with --drop-old, or give another --into"
            raise RebuildError(msg)


async def swap(connection: Connection, names: Names, scope: Scope) -> list[str]:
    """Swap in the caller's transaction, which has called `quiesce` and caught up; return the schemas of the old tables.

    Raises RebuildError when schemas of old tables are there already.
    """
    await refuse_bound(connection, scope)
    await refuse_old(connection, names, scope)
    tables = sorted(scope.compared)
    parts = {table: await shadow.partitions(connection, table) for table in tables}
    made_parts = {table: await shadow.partitions(connection, names.shadow_table(table)) for table in tables}
    await connection.execute(f"lock table {', '.join(map(quoted, tables))} in access exclusive mode")
    await connection.fetchval(_sql["cut_loaders"])
    views = [row["statement"] for row in await connection.fetch(_shadow_sql["views"], tables)]
    old = await _make_old(connection, names, scope)
    for table in tables:
        schema, name = table.split(".", 1)
        for one in (name, *parts[table]):
            await _move(connection, schema, one, names.old(schema))
        for one in (name, *made_parts[table]):
            await _move(connection, names.shadow(schema), one, schema)
    for statement in views:
        await connection.execute(statement)
    await _settle(connection, names)
    await check.forget(connection, [*tables, "raw.batch"])
    return old


async def _make_old(connection: Connection, names: Names, scope: Scope) -> list[str]:
    made = _old(names, scope)
    for schema in made:
        await connection.execute(f"create schema {quote(schema)}")
        await connection.execute(f"comment on schema {quote(schema)} is {literal(f'{shadow.MARK}: replaced tables')}")
    return made


def _old(names: Names, scope: Scope) -> list[str]:
    return sorted({names.old(table.split(".", 1)[0]) for table in scope.compared})


async def _move(connection: Connection, schema: str, table: str, to: str) -> None:
    await connection.execute(f"alter table {quote(schema)}.{quote(table)} set schema {quote(to)}")


async def _settle(connection: Connection, names: Names) -> None:
    """Have ledger and rejects say what became of the events."""
    for name in ("settle_rejects", "settle_ledger", "take_rejects"):
        await connection.execute(_sql[name].replace("rebuild_vault", names.shadow("vault")))
