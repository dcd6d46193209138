"""Spec to DDL: the tables of structures and snapshots, and the temp tables of stages."""

from collections.abc import Sequence
from typing import Final

from mainstem.vault.engine.column import Column, literal, quote, quote_table
from mainstem.vault.engine.parts import load_time
from mainstem.vault.engine.snapshot import Snapshot
from mainstem.vault.engine.spec import EffectivitySatellite, NonHistorisedLink, Structure

# rows come in the order of their load time: a few pages find the new ones, for checks and backfills
_BY_LOAD_TIME: Final = "using brin ({}) with (autosummarize = on, pages_per_range = 32)"


def create_table(spec: Structure | Snapshot) -> str:
    """Return the statements that create a structure's table with its key, indexes, default partition and comment."""
    table = quote_table(spec.table)
    lines = [_column(column) for column in spec.columns]
    if spec.has_key:
        lines.append(f"  primary key ({_names(spec.primary_key)})")
    statements = [f"create table {table} (\n" + ",\n".join(lines) + "\n)"]
    if isinstance(spec, NonHistorisedLink) and spec.partition_by is not None:
        statements[0] += f" partition by range ({quote(spec.partition_by)})"
        statements.append(f"create table {quote_table(spec.table + '_default')} partition of {table} default")
    statements += [
        f"create index {quote(f'{spec.name}_{number}_idx')} on {table} ({_names(index)})"
        for number, index in enumerate(_indexes(spec), start=1)
    ]
    statements += [
        f"create index {quote(f'{spec.name}_load_idx')} on {table} {_BY_LOAD_TIME.format(quote(time))}"
        for time in _load_times(spec)
    ]
    statements.append(f"comment on table {table} is {literal(spec.comment)}")
    statements += column_comments(spec)
    return ";\n".join(statements) + ";\n"


def column_comments(spec: Structure | Snapshot) -> list[str]:
    """Return the statements that describe the columns of a table, those with a comment."""
    return [
        f"comment on column {quote_table(spec.table)}.{quote(column.name)} is {literal(column.comment)}"
        for column in spec.columns
        if column.comment
    ]


def stage_table(name: str, columns: Sequence[tuple[str, str]]) -> str:
    """Return the statement that makes a stage: a temp table that empties itself at the end of each transaction."""
    lines = ", ".join(f"{quote(column.name)} {column.type}" for column in (Column(*pair) for pair in columns))
    return f"create temp table {quote(name)} ({lines}) on commit delete rows"


def _indexes(spec: Structure | Snapshot) -> list[tuple[str, ...]]:
    """Return the columns of all indexes: those asked for, and those without which loads would read the whole table."""
    indexes = list(spec.indexes)
    if not spec.has_key:
        indexes.append(spec.primary_key)
    if isinstance(spec, EffectivitySatellite) and spec.auto_end_dating:
        indexes.append(tuple(column.name for column in spec.driving_key))
    return indexes


def _load_times(spec: Structure | Snapshot) -> list[str]:
    """Return the name of the load time's column. A snapshot has none: it is as of a time."""
    found = None if isinstance(spec, Snapshot) else load_time(spec)
    return [] if found is None else [found.name]


def _column(column: Column) -> str:
    return f"  {quote(column.name)} {column.type}" + (" not null" if column.required else "")


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(quote, names))
