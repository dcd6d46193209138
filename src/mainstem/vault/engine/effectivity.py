"""Effectivity satellites: rows that open relations, open them again, and close them.

By load, rows of the stage are compared with what the table held before the load: the current row of their key and,
for automatic end dates, the open current rows of their driving key. In order, every row is compared with the row
before it, so that one load may hold many changes of one driving key.
"""

# ruff: noqa: S608 - SQL is what this module makes, of quoted names and literals alone

from collections.abc import Sequence

from mainstem.vault.engine.column import Column, Columns, literal, quote, quote_table
from mainstem.vault.engine.parts import by_selectivity, listed, named_values, names, of, rows_of, same, staged, where
from mainstem.vault.engine.spec import EffectivitySatellite


def rows(spec: EffectivitySatellite, stage: str | Sequence[str]) -> str:
    """Return the rows that open and close relations."""
    return _in_order(spec, stage) if spec.in_order else _by_load(spec, stage)


def _by_load(spec: EffectivitySatellite, stage: str | Sequence[str]) -> str:
    closings = _closed_by_others(spec) if spec.auto_end_dating else _closed_by_themselves(spec)
    order = names((*spec.grain, spec.effective_from, spec.start, spec.end))
    return (
        f"with load_staged as materialized (\n  select {named_values(spec.columns)}\n"
        f"  from {rows_of(spec, stage)}\n  {where(spec)}\n)\n{_opened(spec)}\nunion\n{closings}\norder by {order}"
    )


def _opened(spec: EffectivitySatellite) -> str:
    """Return rows of keys that are not known, and open rows of keys that are closed."""
    start = {spec.start: _effective_as(spec, spec.start)} if spec.auto_end_dating else {}
    return (
        f"select {_values(spec, 'n', start)}\nfrom load_staged n\nleft join lateral (\n"
        f"  select true as load_known, {_is_open('t', spec)} as load_open\n{_current(spec)}\n) c on true\n"
        f"where c.load_known is null or (not c.load_open and {_is_open('n', spec)})"
    )


def _closed_by_others(spec: EffectivitySatellite) -> str:
    """Return the open rows of a driving key that a row of the stage gives to another secondary key."""
    values = _closing(spec, "c")
    secondary = f"({of('c', spec.secondary_key)}) is distinct from ({of('n', spec.secondary_key)})"
    return (
        f"select {values}\nfrom load_staged n\ncross join lateral (\n"
        f"  select distinct on ({of('t', spec.key)}) t.* from {quote_table(spec.table)} t\n"
        f"  where {same('t', 'n', spec.driving_key)}\n  order by {of('t', spec.key)}, {of('t', spec.version, ' desc')}\n"
        f") c\nwhere {_is_open('c', spec)} and {secondary}"
    )


def _closed_by_themselves(spec: EffectivitySatellite) -> str:
    """Return closed rows of keys that are open; where they are from stays what it was."""
    values = _values(spec, "n", {column: _column("c", column) for column in spec.meta})
    return (
        f"select {values}\nfrom load_staged n\ncross join lateral (\n  select t.*\n{_current(spec)}\n) c\n"
        f"where {_is_open('c', spec)} and not {_is_open('n', spec)}"
    )


def _in_order(spec: EffectivitySatellite, stage: str | Sequence[str]) -> str:
    driving = spec.driving_key
    order = ", ".join((staged(by_selectivity(driving)), *(f"s.{quote(name)}" for name in spec.order)))
    before = listed(f"lag({_column('n', column)}) over load_order" for column in spec.secondary_key)
    end = f"{literal(spec.open_end)}::{spec.end.type}"
    opening = {spec.start: _effective_as(spec, spec.start), spec.end: end}
    return (
        f"with load_staged as materialized (\n"
        f"  select {named_values(spec.staged)}, row_number() over (order by {order}) as load_position\n"
        f"  from {rows_of(spec, stage)}\n  {where(spec)}\n),\n"
        f"load_steps as (\n  select n.*, lag(n.load_position) over load_order is null as load_first,\n"
        f"         ({of('n', spec.secondary_key)}) is not distinct from ({before}) as load_repeat\n"
        f"  from load_staged n\n  where not exists ({_later(spec)})\n"
        f"  window load_order as (partition by {of('n', driving)} order by n.load_position)\n),\n"
        f"load_changes as (\n"
        f"  select n.*, row_number() over (partition by {of('n', driving)} order by n.load_position) as load_number\n"
        f"  from load_steps n\n  left join lateral (\n{_holder(spec)}\n  ) c on n.load_first\n"
        f"  where case when n.load_first then ({of('c', spec.secondary_key)}) is distinct from"
        f" ({of('n', spec.secondary_key)})\n        else not n.load_repeat end\n)\n"
        f"select {_values(spec, 'n', opening)}\nfrom load_changes n\nunion all\n"
        f"select {_closing(spec, 'c', start=spec.effective_from)}\nfrom load_changes n\n"
        f"join load_changes c on {same('c', 'n', driving)} and c.load_number = n.load_number - 1\nunion all\n"
        f"select {_closing(spec, 'c')}\nfrom load_changes n\ncross join lateral (\n{_holder(spec)}\n) c\n"
        f"where n.load_number = 1\norder by {names(spec.grain)}"
    )


def _later(spec: EffectivitySatellite) -> str:
    """Return the query of rows that are as new as the staged one: it was loaded before, or comes too late."""
    return (
        f"select from {quote_table(spec.table)} t where {same('t', 'n', spec.driving_key)}"
        f" and ({of('t', spec.version)}) >= ({of('n', spec.version)})"
    )


def _holder(spec: EffectivitySatellite) -> str:
    """Return the query of the row that holds a driving key in the table."""
    return (
        f"    select t.* from {quote_table(spec.table)} t where {same('t', 'n', spec.driving_key)}"
        f" and {_is_open('t', spec)}\n    order by {of('t', spec.version, ' desc')} limit 1"
    )


def _current(spec: EffectivitySatellite) -> str:
    """Return the rest of a query after its SELECT: the current row of a key in the table."""
    return (
        f"  from {quote_table(spec.table)} t where {same('t', 'n', spec.key)}\n"
        f"  order by {of('t', spec.version, ' desc')} limit 1"
    )


def _closing(spec: EffectivitySatellite, closed: str, *, start: Column | None = None) -> str:
    """Return the row under the alias `closed` again, ended by the row `n` that takes its place."""
    taken: Columns = (spec.effective_from, *spec.version)
    values = {column: _column("n", column) for column in taken}
    values[spec.end] = _effective_as(spec, spec.end)
    values[spec.start] = f"{_column(closed, start or spec.start)}::{spec.start.type}"
    return _values(spec, closed, values)


def _values(spec: EffectivitySatellite, alias: str, others: dict[Column, str]) -> str:
    """Return the values of all columns: those of the alias, but for those given."""
    return listed(f"{others.get(column, _column(alias, column))} as {quote(column.name)}" for column in spec.columns)


def _effective_as(spec: EffectivitySatellite, column: Column) -> str:
    return f"{_column('n', spec.effective_from)}::{column.type}"


def _column(alias: str, column: Column) -> str:
    return f"{alias}.{quote(column.name)}"


def _is_open(alias: str, spec: EffectivitySatellite) -> str:
    return f"({_column(alias, spec.end)}::date is not distinct from date {literal(spec.open_end)})"
