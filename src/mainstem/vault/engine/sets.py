"""Multi-active satellites: a set is new where it differs from the set before it, and then goes in whole.

The sets of a key follow each other by version; before the first one on the stage comes the current set of the
table. Two sets are equal when their rows have the same pairs of hashdiff and child key.
"""

# ruff: noqa: S608 - SQL is what this module makes, of quoted names alone

from collections.abc import Sequence

from mainstem.vault.engine.column import Column, quote, quote_table
from mainstem.vault.engine.hashing import HashProfile
from mainstem.vault.engine.parts import listed, named_values, of, rows_of, same, values, where
from mainstem.vault.engine.spec import MultiActiveSatellite


def rows(spec: MultiActiveSatellite, stage: str | Sequence[str], profile: HashProfile) -> str:
    """Return the rows of the sets that differ from the set before them."""
    key, version, table = spec.key, spec.version, quote_table(spec.table)
    last = f"select {of('u', version)} from {table} u where {same('u', 'p', key)} order by {of('u', version, ' desc')}"
    return (
        f"with load_staged as materialized (\n{_hashed(spec, stage, profile)}\n),\n"
        f"load_sets as (\n  select {of('n', (*key, *version))}, {_members('n', spec)} as load_set\n"
        f"  from load_staged n group by {of('n', (*key, *version))}\n),\n"
        f"load_steps as (\n  select p.*, lag(p.load_set) over (partition by {of('p', key)} order by {of('p', version)})"
        f" as load_before\n  from load_sets p\n),\n"
        f"load_changes as (\n  select {of('p', (*key, *version))} from load_steps p\n  left join lateral (\n"
        f"    select {_members('t', spec)} as load_set from {table} t\n"
        f"    where p.load_before is null and {same('t', 'p', key)} and ({of('t', version)}) = ({last} limit 1)\n"
        f"  ) c on true\n  where p.load_set is distinct from coalesce(p.load_before, c.load_set)\n)\n"
        f"select {of('n', spec.columns)}\nfrom load_staged n join load_changes p on {same('n', 'p', (*key, *version))}\n"
        f"order by {of('n', spec.grain)}"
    )


def _hashed(spec: MultiActiveSatellite, stage: str | Sequence[str], profile: HashProfile) -> str:
    if spec.hashdiff_from == "stage":
        return _distinct(spec, stage)
    texts = {column.name: f"d.{quote(column.name)}::text" for column in (*spec.child_key, *spec.payload)}
    hashdiff = f"{profile.hashdiff_sql(texts)} as {quote(spec.hashdiff.name)}"
    return f"select d.*, {hashdiff}\nfrom (\n{_distinct(spec, stage)}\n) d"


def _distinct(spec: MultiActiveSatellite, stage: str | Sequence[str]) -> str:
    rows = f"from {rows_of(spec, stage)}\n{where(spec)}"
    if spec.repeats:
        return f"select distinct {named_values(spec.staged)}\n{rows}"
    # a set has one row per child key, or it would never equal what is stored of it
    grain = values(spec.grain)
    order = listed(f"s.{quote(name)}" for name in spec.order)
    return f"select distinct on ({grain}) {named_values(spec.staged)}\n{rows}\norder by {grain}, {order}"


def _members(alias: str, spec: MultiActiveSatellite) -> str:
    """Return the aggregate of a set: its members' texts, each once, in order."""
    member: tuple[Column, ...] = (spec.hashdiff, *spec.child_key)
    text = f"row({of(alias, member)})::text"
    return f"array_agg(distinct {text} order by {text})"
