"""Parts of load statements: which staged rows count, where they come from, what their values are.

In all of them the stage is `s`, the load's context `x`, and the table that is loaded `t`.
"""

# ruff: noqa: S608 - SQL is what this module makes, of quoted names alone

from collections.abc import Iterable, Sequence

from mainstem.vault.engine.column import Column, quote, quote_table
from mainstem.vault.engine.spec import (
    EffectivitySatellite,
    Link,
    MultiActiveSatellite,
    NonHistorisedLink,
    SameAsLink,
    Structure,
)

_ZERO = r"'\x" + "00" * 32 + "'::bytea"


def insert(spec: Structure, rows: str, *, unless_there: bool = True) -> str:
    """Return the INSERT of the rows of a SELECT with the columns of the table in order."""
    conflict = "\non conflict do nothing" if unless_there else ""
    return f"insert into {quote_table(spec.table)} ({names(spec.columns)})\n{rows}{conflict}"


def rows_of(spec: Structure, stage: str | Sequence[str]) -> str:
    """Return the FROM item of a stage, or of the union of several, with the load's context where the spec needs it."""
    if isinstance(stage, str):
        rows = f"{quote_table(stage)} s"
    else:
        read = listed(map(quote, spec.reads))
        rows = "(" + " union all ".join(f"select {read} from {quote_table(one)}" for one in stage) + ") s"
    return rows + (" cross join load_context x" if any(column.context for column in spec.columns) else "")


def where(spec: Structure) -> str:
    """Return the WHERE clause: rows with a key, with all that the spec needs, and not about "none"."""
    keys = tuple({column.staged: column for column in (*spec.key, *_legs(spec))}.values())
    tests = [f"s.{quote(column.staged)} is not null" for column in keys]
    if spec.skip_zero and not isinstance(spec, NonHistorisedLink):
        tests += [f"s.{quote(column.staged)} <> {_ZERO}" for column in keys if column.type == "bytea"]
    if isinstance(spec, SameAsLink):
        tests.append(f"({staged(spec.master)}) is distinct from ({staged(spec.duplicate)})")
    tests += [f"s.{quote(name)} is not null" for name in spec.needs]
    return "where " + " and ".join(tests)


def by_selectivity(key: Sequence[Column]) -> list[Column]:
    """Return hashes before the rest: any order serves that all loaders share, and this one sorts fastest."""
    return sorted(key, key=lambda column: column.type != "bytea")


def value(column: Column) -> str:
    """Return the expression of a column's value."""
    return f"{'x' if column.context else 's'}.{quote(column.staged)}"


def values(columns: Sequence[Column]) -> str:
    """Return the list of the columns' values."""
    return listed(map(value, columns))


def named_values(columns: Sequence[Column]) -> str:
    """Return the list of the columns' values, in the columns' types and under their names."""
    return listed(f"{value(column)}::{column.type} as {quote(column.name)}" for column in columns)


def staged(columns: Sequence[Column]) -> str:
    """Return the list of the columns' places on the stage."""
    return listed(f"s.{quote(column.staged)}" for column in columns)


def names(columns: Sequence[Column]) -> str:
    """Return the list of the columns' names."""
    return listed(quote(column.name) for column in columns)


def of(alias: str, columns: Sequence[Column], suffix: str = "") -> str:
    """Return the list of the columns of a table under its alias; `suffix` follows each, as ` desc` does."""
    return listed(f"{alias}.{quote(column.name)}{suffix}" for column in columns)


def same(one: str, other: str, columns: Sequence[Column]) -> str:
    """Return the condition that two rows agree in the columns."""
    return " and ".join(f"{one}.{quote(column.name)} = {other}.{quote(column.name)}" for column in columns)


def listed(items: Iterable[str]) -> str:
    """Return the items with commas between them."""
    return ", ".join(items)


def _legs(spec: Structure) -> Sequence[Column]:
    """Return the columns besides the key that make a row of this structure what it is."""
    match spec:
        case Link() | SameAsLink():
            return spec.references
        # the stage of a gated feed has all legs
        case NonHistorisedLink(gated=False):
            return spec.references
        case MultiActiveSatellite():
            return spec.child_key
        case EffectivitySatellite():
            return (*spec.driving_key, *spec.secondary_key)
        case _:
            return ()


def load_time(spec: Structure) -> Column | None:
    """Return the column of a row's load time; None where the structure has none."""
    return next((column for column in spec.columns if column.context and column.type == "timestamptz"), None)
