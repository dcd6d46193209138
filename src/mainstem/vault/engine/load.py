"""Spec to load SQL: set-based statements without parameters that read a stage and the table `load_context`.

Hubs, links and facts go in by `ON CONFLICT DO NOTHING` without an anti-join, which would scan the table; rows are
always sorted by key, so that two loaders take their locks in the same order. How the other structures decide what
is new is told where they do: `changes`, `sets`, `effectivity`, `tracking`.
"""

# ruff: noqa: S608 - SQL is what this module makes, of quoted names alone

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, assert_never

from mainstem.vault.engine import changes, effectivity, sets, tracking
from mainstem.vault.engine.column import quote, quote_table
from mainstem.vault.engine.hashing import INJECTIVE, HashProfile
from mainstem.vault.engine.parts import by_selectivity, insert, listed, rows_of, staged, value, values, where
from mainstem.vault.engine.spec import (
    EffectivitySatellite,
    ExtendedTracking,
    Hub,
    Link,
    MultiActiveSatellite,
    NonHistorisedLink,
    RecordTracking,
    SameAsLink,
    Satellite,
    Structure,
)

_WHOLE: Final[Mapping[int, str]] = MappingProxyType({})


def load_statement(spec: Structure, stage: str | Sequence[str], *, profile: HashProfile = INJECTIVE) -> str:
    """Return the INSERT that loads one structure from a stage table, or from the union of several."""
    match spec:
        case Hub() | Link() | SameAsLink():
            statement = insert(spec, _earliest(spec, stage))
        case NonHistorisedLink():
            statement = insert(spec, _facts(spec, stage), unless_there=not spec.gated)
        case Satellite():
            statement = insert(spec, changes.rows(spec, stage, profile))
        case MultiActiveSatellite():
            statement = insert(spec, sets.rows(spec, stage, profile))
        case EffectivitySatellite():
            statement = insert(spec, effectivity.rows(spec, stage))
        case RecordTracking():
            statement = insert(spec, tracking.seen(spec, stage))
        case ExtendedTracking():
            statement = insert(spec, tracking.logged(spec, stage))
        case _:
            assert_never(spec)
    return statement


def load_statements(
    specs: Sequence[Structure],
    stage: str | Sequence[str],
    *,
    parts: Mapping[int, str] = _WHOLE,
    profile: HashProfile = INJECTIVE,
) -> str:
    """Return one statement that loads several structures (distinct tables) from one stage: one round trip, one plan.

    `parts` name views of the stage, by number of the structure that is loaded from it.
    """
    *first, last = [
        load_statement(spec, parts.get(number, stage), profile=profile) for number, spec in enumerate(specs)
    ]
    if not first:
        return last
    loads = ",\n".join(f"{quote(f'load_{number}')} as (\n{sql}\n)" for number, sql in enumerate(first, start=1))
    return f"with {loads}\n{last}"


def _facts(spec: NonHistorisedLink, stage: str | Sequence[str]) -> str:
    if spec.gated:
        # nobody else has these rows, so their locks need no order
        return f"select {values(spec.columns)}\nfrom {rows_of(spec, stage)}\n{where(spec)}"
    if not spec.repeats:
        return _earliest(spec, stage)
    known = " and ".join(f"t.{quote(column.name)} = {value(column)}" for column in spec.key)
    return (
        f"select distinct {values(spec.columns)}\nfrom {rows_of(spec, stage)}\n{where(spec)}\n"
        f"  and not exists (select from {quote_table(spec.table)} t where {known})"
    )


def _earliest(spec: Hub | Link | SameAsLink | NonHistorisedLink, stage: str | Sequence[str]) -> str:
    key = staged(by_selectivity(spec.key))
    order = listed(f"s.{quote(name)}" for name in spec.order)
    return (
        f"select distinct on ({key}) {values(spec.columns)}\n"
        f"from {rows_of(spec, stage)}\n{where(spec)}\norder by {key}, {order}"
    )
