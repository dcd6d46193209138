"""Record tracking and extended tracking: what was seen when, whether it changed anything or not."""

# ruff: noqa: S608 - SQL is what this module makes, of quoted names and literals alone

from collections.abc import Sequence

from mainstem.vault.engine.column import literal, quote, quote_table
from mainstem.vault.engine.parts import listed, named_values, names, of, rows_of, same, values, where
from mainstem.vault.engine.spec import ExtendedTracking, RecordTracking, Tracked


def seen(spec: RecordTracking, stage: str | Sequence[str]) -> str:
    """Return one row per key and version, the earliest."""
    grain = values(spec.grain)
    order = listed(f"s.{quote(name)}" for name in spec.order)
    return (
        f"select distinct on ({grain}) {values(spec.columns)}\n"
        f"from {rows_of(spec, stage)}\n{where(spec)}\norder by {grain}, {order}"
    )


def logged(spec: ExtendedTracking, stage: str | Sequence[str]) -> str:
    """Return the distinct rows of every tracked satellite, less those whose grain is there already."""
    entries = "\n  union all\n".join(_entry(spec, one, stage) for one in spec.tracked)
    known = f"select from {quote_table(spec.table)} t where {same('t', 'n', spec.grain)}"
    if spec.repeats:
        return f"select distinct {of('n', spec.columns)}\nfrom (\n{entries}\n) n\nwhere not exists ({known})"
    grain = of("n", spec.grain)
    rest = names(tuple(column for column in spec.columns if column not in spec.grain))
    order = f"{grain}, {rest}" if rest else grain
    return f"select distinct on ({grain}) {of('n', spec.columns)}\nfrom (\n{entries}\n) n\norder by {order}"


def _entry(spec: ExtendedTracking, tracked: Tracked, stage: str | Sequence[str]) -> str:
    name = f"s.{quote(tracked.name_from)}" if tracked.name_from is not None else literal(tracked.name or "")
    return (
        f"  select {named_values(spec.staged)}, {name}::{spec.satellite.type} as {quote(spec.satellite.name)}, "
        f"s.{quote(tracked.hashdiff_from)}::{spec.hashdiff.type} as {quote(spec.hashdiff.name)}\n"
        f"  from {rows_of(spec, stage)}\n  {where(spec)} and s.{quote(tracked.hashdiff_from)} is not null"
    )
