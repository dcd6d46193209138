"""Snapshot SQL: point-in-time tables and bridges from a table of as-of times.

A snapshot that is there already stays as it is; `rebuild_statements` replaces all.
"""

# ruff: noqa: S608 - SQL is what this module makes, of quoted names and literals alone

from typing import NamedTuple

from mainstem.vault.engine.column import literal, quote, quote_table
from mainstem.vault.engine.ghosts import ghost_value
from mainstem.vault.engine.parts import listed, names
from mainstem.vault.engine.snapshot import Bridge, EffectivityAt, PointInTime, SatelliteAt, Snapshot, Step


class _Part(NamedTuple):
    """What one satellite or link adds to the query."""

    values: list[str]
    join: str


def snapshot_statement(spec: Snapshot, as_of: str) -> str:
    """Return the INSERT of the snapshots at the times in a table; rows that are there already stay."""
    if isinstance(spec, PointInTime):
        parts = [_satellite(spec, one, number) for number, one in enumerate(spec.satellites, start=1)]
    else:
        parts = [_step(spec, one, number) for number, one in enumerate(spec.walk, start=1)]
    time = quote(spec.as_of.staged)
    values = [f"h.{quote(column.staged)}" for column in spec.key] + [f"a.{time}"]
    joins = "\n".join(part.join for part in parts)
    return (
        f"insert into {quote_table(spec.table)} ({names(spec.columns)})\n"
        f"select {listed(values + [value for part in parts for value in part.values])}\n"
        f"from {quote_table(spec.hub)} h\n"
        f"cross join (select distinct {time} from {quote_table(as_of)} where {time} is not null) a\n{joins}\n"
        f"{_known(spec)}on conflict do nothing"
    )


def _known(spec: Snapshot) -> str:
    """Return the condition that a key was known at the as-of time, where the spec asks for it."""
    if spec.first_seen is None:
        return ""
    return f"where h.{quote(spec.first_seen)} <= a.{quote(spec.as_of.staged)}\n"


def rebuild_statements(spec: Snapshot, as_of: str) -> tuple[str, str]:
    """Return the statements that replace all snapshots by those at the times in a table."""
    return (f"delete from {quote_table(spec.table)}", snapshot_statement(spec, as_of))


def _satellite(spec: PointInTime, satellite: SatelliteAt, number: int) -> _Part:
    """Return the current row of a satellite at the as-of time, as `s1`, `s2`, …, or the ghost."""
    alias = f"s{number}"
    kept = (*satellite.key, *satellite.version)
    ghosts = [ghost_value(column, key=spec.ghost_key, date=spec.ghost_date) for column in kept]
    values = [f"coalesce({alias}.{quote(c.staged)}, {ghost})" for c, ghost in zip(kept, ghosts, strict=True)]
    key = _equal("t", satellite.on, "h", tuple(column.staged for column in spec.key))
    order = listed(f"t.{quote(column.staged)} desc" for column in satellite.version)
    return _Part(
        values,
        f"left join lateral (select t.* from {quote_table(satellite.table)} t\n  where {key}"
        f" and t.{quote(satellite.version[0].staged)} <= a.{quote(spec.as_of.staged)}\n"
        f"  order by {order} limit 1) {alias} on true",
    )


def _step(spec: Bridge, step: Step, number: int) -> _Part:
    """Return the link of a step, as `l1`, `l2`, …, as far as it counts at the as-of time."""
    alias = f"l{number}"
    if number == 1:
        before = _equal(alias, step.came_from, "h", tuple(column.staged for column in spec.key))
    else:
        before = _equal(alias, step.came_from, f"l{number - 1}", spec.walk[number - 2].goes_to)
    time = f"a.{quote(spec.as_of.staged)}"
    if step.effectivity is None and step.load_date is not None:
        before += f" and {alias}.{quote(step.load_date)} <= {time}"
    join = f"join {quote_table(step.link)} {alias} on {before}"
    if step.effectivity is not None:
        join += f"\n{_effectivity(step.effectivity, alias, step.link_key, time, spec.open_end)}"
    return _Part([f"{alias}.{quote(column.staged)}" for column in step.keeps], join)


def _effectivity(spec: EffectivityAt, link: str, link_key: tuple[str, ...], time: str, open_end: str) -> str:
    order = listed(f"t.{quote(name)} desc" for name in spec.version)
    return (
        f"join lateral (select t.{quote(spec.end)}::date = date {literal(open_end)} as is_open\n"
        f"  from {quote_table(spec.table)} t\n  where {_equal('t', spec.on, link, link_key)}"
        f" and t.{quote(spec.version[0])} <= {time}\n  order by {order} limit 1) {link}_at on {link}_at.is_open"
    )


def _equal(one: str, columns: tuple[str, ...], other: str, others: tuple[str, ...]) -> str:
    pairs = zip(columns, others, strict=True)
    return " and ".join(f"{one}.{quote(column)} = {other}.{quote(name)}" for column, name in pairs)
