"""Spec to load SQL: set-based statements without parameters that read a stage and the table `load_context`.

Hubs, links and facts go in by `ON CONFLICT DO NOTHING` without an anti-join, which would scan the table; rows are
always sorted by key, so that two loaders take their locks in the same order. A satellite compares each row with
the one before it, the first one with the current row of the table, so that A-B-A keeps three rows.
"""

# ruff: noqa: S608 - SQL is what this module makes, of quoted names alone

from collections.abc import Iterable, Sequence
from typing import assert_never

from mainstem.vault.engine.hashing import INJECTIVE, HashProfile
from mainstem.vault.engine.spec import Column, Hub, Link, NonHistorisedLink, Satellite, Structure, quote, quote_table

_ZERO = r"'\x" + "00" * 32 + "'::bytea"
GHOST_TIME = "'1900-01-01 00:00:00+00'::timestamptz"
"""Load time of ghost rows: before everything."""


def load_statement(spec: Structure, stage: str, *, profile: HashProfile = INJECTIVE) -> str:
    """Return the INSERT that loads one structure from the stage table of the name given."""
    match spec:
        case Hub() | Link():
            return _insert(spec, _earliest(spec, stage))
        case NonHistorisedLink():
            return _insert(spec, _facts(spec, stage), unless_there=not spec.gated)
        case Satellite():
            return _insert(spec, _changes(spec, stage, profile))
        case _:
            assert_never(spec)


def load_statements(specs: Sequence[Structure], stage: str, *, profile: HashProfile = INJECTIVE) -> str:
    """Return one statement that loads several structures (distinct tables) from one stage: one round trip, one plan."""
    *first, last = [load_statement(spec, stage, profile=profile) for spec in specs]
    if not first:
        return last
    parts = ",\n".join(f"{quote(f'load_{number}')} as (\n{sql}\n)" for number, sql in enumerate(first, start=1))
    return f"with {parts}\n{last}"


def ghost_rows(specs: Iterable[Structure], tenant: str) -> list[str]:
    """Return the INSERTs of the ghost rows of hubs and satellites for the tenants of a `(tenant_id)` table.

    A ghost stands for "none or unknown": zero key, texts `(unknown)` where a text must be, else NULL. With it
    every join from a fact to a hub is an inner join on equal keys.
    """
    return [
        f"insert into {quote_table(spec.table)} ({_names(spec.columns)})\n"
        f"select {', '.join(_ghost_value(column) for column in spec.columns)} from {quote_table(tenant)}\n"
        "on conflict do nothing"
        for spec in specs
        if isinstance(spec, Hub | Satellite)
    ]


def _insert(spec: Structure, rows: str, *, unless_there: bool = True) -> str:
    conflict = "\non conflict do nothing" if unless_there else ""
    return f"insert into {quote_table(spec.table)} ({_names(spec.columns)})\n{rows}{conflict}"


def _earliest(spec: Hub | Link, stage: str) -> str:
    key = _list(f"s.{quote(column.staged)}" for column in _by_selectivity(spec.key))
    order = _list(f"s.{quote(name)}" for name in spec.order)
    return (
        f"select distinct on ({key}) {_values(spec.columns)}\n"
        f"from {_stage(stage)}\n{_where(spec)}\norder by {key}, {order}"
    )


def _facts(spec: NonHistorisedLink, stage: str) -> str:
    # gated rows are nobody else's, so their locks need no order
    order = "" if spec.gated else "\norder by " + _list(f"s.{quote(column.staged)}" for column in spec.key)
    return f"select {_values(spec.columns)}\nfrom {_stage(stage)}\n{_where(spec)}{order}"


def _changes(spec: Satellite, stage: str, profile: HashProfile) -> str:
    """Inside out: rows in order without plain repeats, their hashes, each with the hash before it, the changes."""
    name = quote(spec.hashdiff.name)
    key = _list(quote(column.name) for column in _by_selectivity(spec.key))
    hashed, repeats = _hashdiff(spec, profile)
    same = " and ".join(f"t.{quote(column.name)} = n.{quote(column.name)}" for column in spec.key)
    return (
        f"select {_list(f'n.{quote(column.name)}' for column in spec.columns)}\n"
        f"from (\n  select v.*, lag(v.{name}) over (partition by {key} order by load_position) as load_before\n"
        f"  from (\n    select u.*{hashed}\n    from (\n{_ordered(spec, stage)}\n    ) u\n{repeats}  ) v\n) n\n"
        # only the first row of a key has nothing before it on the stage: for it alone the table is read
        f"left join lateral (\n  select t.{name} as load_current from {quote_table(spec.table)} t\n"
        f"  where n.load_before is null and {same}\n"
        f"  order by {_list(f't.{quote(column.name)} desc' for column in spec.version)} limit 1\n) c on true\n"
        f"where n.{name} is distinct from coalesce(n.load_before, c.load_current)\norder by n.load_position"
    )


def _ordered(spec: Satellite, stage: str) -> str:
    """Return the staged rows with their position and whether payload and key equal those of the row before."""
    staged = [c for c in spec.columns if c != spec.hashdiff or spec.hashdiff_from == "stage"]
    values = _list(f"{_value(column)} as {quote(column.name)}" for column in staged)
    sorting = [*(column.staged for column in _by_selectivity(spec.key)), *spec.order]
    order = _list(f"s.{quote(name)}" for name in sorting)
    compared = [f"s.{quote(column.staged)}" for column in (*spec.key, *spec.payload)]
    before = _list(f"lag({column}) over load_order" for column in compared)
    return (
        f"      select {values}, row_number() over load_order as load_position,\n"
        f"             ({_list(compared)}) is not distinct from ({before}) as load_repeat\n"
        f"      from {_stage(stage)}\n      {_where(spec)}\n      window load_order as (order by {order})"
    )


def _hashdiff(spec: Satellite, profile: HashProfile) -> tuple[str, str]:
    """Return the hash to be computed, and the filter of rows that would only repeat the hash before them."""
    if spec.hashdiff_from == "stage":
        return "", ""
    hashdiff = profile.hashdiff_sql({column.name: f"u.{quote(column.name)}::text" for column in spec.payload})
    return f", {hashdiff} as {quote(spec.hashdiff.name)}", "    where not u.load_repeat\n"


def _where(spec: Structure) -> str:
    legs = spec.references if isinstance(spec, Link) else ()
    keys = tuple({column.staged: column for column in (*spec.key, *legs)}.values())
    tests = [f"s.{quote(column.staged)} is not null" for column in keys]
    if spec.skip_zero and not isinstance(spec, NonHistorisedLink):
        tests += [f"s.{quote(column.staged)} <> {_ZERO}" for column in keys if column.type == "bytea"]
    tests += [f"s.{quote(name)} is not null" for name in spec.needs]
    return "where " + " and ".join(tests)


def _by_selectivity(key: Sequence[Column]) -> list[Column]:
    """Return hashes before the rest: any order serves that all loaders share, and this one sorts fastest."""
    return sorted(key, key=lambda column: column.type != "bytea")


def _stage(stage: str) -> str:
    return f"{quote_table(stage)} s cross join load_context x"


def _value(column: Column) -> str:
    return f"{'x' if column.context else 's'}.{quote(column.staged)}"


def _values(columns: Sequence[Column]) -> str:
    return _list(map(_value, columns))


def _ghost_value(column: Column) -> str:
    match column:
        case Column(name="tenant_id"):
            value = "tenant_id"
        case Column(name="rsrc"):
            value = "'mainstem'"
        case Column(type="bytea"):
            value = _ZERO
        case Column(type="timestamptz"):
            value = GHOST_TIME
        case Column(type="int8", required=True):
            value = "0"
        case Column(type="text", required=True):
            value = "'(unknown)'"
        case _:
            value = f"null::{column.type}"
    return value


def _names(columns: Sequence[Column]) -> str:
    return _list(quote(column.name) for column in columns)


def _list(items: Iterable[str]) -> str:
    return ", ".join(items)
