"""Live and rebuilt, byte for byte: totals per table and month first, single rows only where those differ.

A total is the sum of a 64-bit hash over the text of every row, so it does not depend on the rows' order. Equal rows give
equal totals; unequal ones by accident about once in 10^19.
"""

# ruff: noqa: S608 - statements of quoted names

from typing import Final

from mainstem.platform.db import Connection
from mainstem.vault.check import GATE
from mainstem.vault.engine.column import literal, quote
from mainstem.vault.rebuild import shadow
from mainstem.vault.rebuild.names import Names
from mainstem.vault.rebuild.report import Compared, Example, Totals
from mainstem.vault.rebuild.scope import VOLATILE, Scope

MOST_EXAMPLES: Final = 5


async def compare(connection: Connection, names: Names, scope: Scope) -> list[Compared]:
    """Return every table and month of the scope, live and rebuilt, in the caller's snapshot."""
    compared = []
    for table in scope.compared:
        left_out = VOLATILE.get(table, {})
        columns = [name for name in await shadow.columns(connection, table) if name not in left_out]
        key = await shadow.key(connection, table) or columns
        schema = table.split(".", 1)[0]
        live_parts = await shadow.partitions(connection, table)
        made_parts = await shadow.partitions(connection, names.shadow_table(table))
        where = "" if scope.since is None or table == GATE else f" where load_ts >= {literal(str(scope.since))}"
        for part in sorted({*live_parts, *made_parts}) or [table.split(".", 1)[1]]:
            live, made = f"{quote(schema)}.{quote(part)}", f"{quote(names.shadow(schema))}.{quote(part)}"
            compared.append(await _part(connection, (table, part), (live, made), columns, key, where))
    return compared


async def _part(  # noqa: PLR0913, PLR0917 - two tables, and what to read of them
    connection: Connection,
    name: tuple[str, str],
    tables: tuple[str, str],
    columns: list[str],
    key: list[str],
    where: str,
) -> Compared:
    live, made = [await _totals(connection, table, columns, where) for table in tables]
    if live == made:
        return Compared(*name, live, made)
    differing, examples = await _differences(connection, tables, columns, key, where)
    return Compared(*name, live, made, differing, examples)


async def _totals(connection: Connection, table: str, columns: list[str], where: str) -> Totals:
    if not await connection.fetchval("select to_regclass($1) is not null", table):
        return Totals(0, "0")
    row = await connection.fetchrow(
        f"select count(*) as n, coalesce(sum({_hash(columns)}::numeric), 0)::text as total from {table}{where}",
        timeout=None,
    )
    assert row is not None  # noqa: S101 - an aggregate has one row
    return Totals(row["n"], row["total"])


async def _differences(
    connection: Connection,
    tables: tuple[str, str],
    columns: list[str],
    key: list[str],
    where: str,
) -> tuple[int, tuple[Example, ...]]:
    keys = ", ".join(map(quote, key))
    live, made = [
        f"select {keys}, {_hash(columns)} as row_hash from {table}{where}"
        if await connection.fetchval("select to_regclass($1) is not null", table)
        else f"select {keys}, 0::bigint as row_hash from {tables[0]} where false"
        for table in tables
    ]
    rows = await connection.fetch(
        f"""select case when m.row_hash is null then 'only live' when l.row_hash is null then 'only rebuilt'
                        else 'differs' end as difference,
                   row({keys})::text as key, count(*) over () as n
            from ({live}) l full join ({made}) m using ({keys})
            where l.row_hash is distinct from m.row_hash
            order by {keys}
            limit {MOST_EXAMPLES}""",
        timeout=None,
    )
    return (rows[0]["n"] if rows else 0), tuple(Example(row["difference"], row["key"]) for row in rows)


def _hash(columns: list[str]) -> str:
    listed = ", ".join(map(quote, columns))
    return f'hashtextextended(row({listed})::text collate "C", 0)'
