"""Satellites: a row is new where its hashdiff differs from that of the row before it.

Before the first row of a key on the stage comes the key's current row in the table, so that A-B-A keeps three rows.
"""

# ruff: noqa: S608 - SQL is what this module makes, of quoted names alone

from collections.abc import Sequence

from mainstem.vault.engine.column import quote, quote_table
from mainstem.vault.engine.hashing import HashProfile
from mainstem.vault.engine.parts import by_selectivity, listed, names, of, rows_of, same, value, where
from mainstem.vault.engine.spec import Satellite


def rows(spec: Satellite, stage: str | Sequence[str], profile: HashProfile) -> str:
    """Inside out: rows in order without plain repeats, their hashes, each with the hash before it, the changes."""
    name = quote(spec.hashdiff.name)
    key = names(by_selectivity(spec.key))
    hashed, repeats = _hashdiff(spec, profile)
    return (
        f"select {of('n', spec.columns)}\n"
        f"from (\n  select v.*, lag(v.{name}) over (partition by {key} order by load_position) as load_before\n"
        f"  from (\n    select u.*{hashed}\n    from (\n{_ordered(spec, stage)}\n    ) u\n{repeats}"
        # the fence: otherwise every mention of the hash computes it again
        f"    offset 0\n  ) v\n) n\n"
        # only the first row of a key has nothing before it on the stage: for it alone the table is read
        f"left join lateral (\n  select t.{name} as load_current from {quote_table(spec.table)} t\n"
        f"  where n.load_before is null and {same('t', 'n', spec.key)}\n"
        f"  order by {of('t', spec.version, ' desc')} limit 1\n) c on true\n"
        f"where n.{name} is distinct from coalesce(n.load_before, c.load_current)\norder by n.load_position"
    )


def _ordered(spec: Satellite, stage: str | Sequence[str]) -> str:
    """Return the staged rows with their position and whether payload and key equal those of the row before."""
    staged = listed(f"{value(column)} as {quote(column.name)}" for column in spec.staged)
    sorting = [*(column.staged for column in by_selectivity(spec.key)), *spec.order]
    order = listed(f"s.{quote(name)}" for name in sorting)
    compared = [f"s.{quote(column.staged)}" for column in (*spec.key, *spec.payload)]
    before = listed(f"lag({column}) over load_order" for column in compared)
    return (
        f"      select {staged}, row_number() over load_order as load_position,\n"
        f"             ({listed(compared)}) is not distinct from ({before}) as load_repeat\n"
        f"      from {rows_of(spec, stage)}\n      {where(spec)}{_newer(spec)}\n"
        f"      window load_order as (order by {order})"
    )


def _newer(spec: Satellite) -> str:
    """Return the test that a row is newer than the current one of its key, where the spec asks for it."""
    if not spec.skip_not_newer:
        return ""
    date = spec.version[0]
    matches = " and ".join(f"t.{quote(column.name)} = {value(column)}" for column in spec.key)
    return (
        f"\n        and not exists (select from {quote_table(spec.table)} t\n"
        f"          where {matches} and t.{quote(date.name)} >= {value(date)})"
    )


def _hashdiff(spec: Satellite, profile: HashProfile) -> tuple[str, str]:
    """Return the hash to be computed, and the filter of rows that would only repeat the hash before them."""
    if spec.hashdiff_from == "stage":
        return "", ""
    hashdiff = profile.hashdiff_sql({column.name: f"u.{quote(column.name)}::text" for column in spec.payload})
    return f", {hashdiff} as {quote(spec.hashdiff.name)}", "    where not u.load_repeat\n"
