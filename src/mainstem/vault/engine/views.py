"""Spec to views that people read without knowing a hash key: current state, history, relations, facts, sets.

`business_views` is a pure function of the specs. Ghost rows and `bytea` columns (hash keys, hashdiffs, sealed payload)
never show; "none" is NULL. Times are those of the load: what was known when. What each kind of structure becomes:

- hub `hub_x`: `x`, its business key, when it was first seen and the latest row of each of its satellites;
- link `lnk_x`: `x`, the business keys of both sides, with the same;
- satellite `sat_x`: `x_history`, one row per version with `valid_from` and `valid_to` (null: valid now);
- multi-active satellite `msat_x`: `x`, the rows of the latest set;
- effectivity satellite `esat_x`: `x`, the relations that hold, and `x_history`, from when to when each held;
- record tracking `rts_x`: `x`, when a key was seen last; same-as link `sal_x`: `x`, pairs of business keys;
- facts `nhl_x`: `x`; point-in-time table `pit_x` and bridge `brg_x`: `x`, the same with payload and business keys.
"""

from collections.abc import Collection, Sequence
from typing import assert_never

from mainstem.vault.engine import view_rows
from mainstem.vault.engine.column import literal, quote, quote_table
from mainstem.vault.engine.snapshot import PointInTime, Snapshot
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
from mainstem.vault.engine.view import View, short_name

__all__ = ["View", "business_views", "create_view"]


def business_views(
    structures: Sequence[Structure],
    snapshots: Sequence[Snapshot] = (),
    *,
    schema: str = "business",
    taken: Collection[str] = (),
) -> tuple[View, ...]:
    """Return the views over structures that know each other, in an order in which they can be made.

    A view whose plain name is `taken` by a table of the schema is called `<name>_current`. Raises ValueError when
    that is taken too, or when two structures ask for one name.
    """
    tables: dict[str, Structure] = {}
    for spec in structures:
        # a second structure of one table only loads it in another role
        if spec.in_views:
            tables.setdefault(spec.table, spec)
    specs = tuple(tables.values())
    found = view_rows.Vault(specs)
    views: dict[str, View] = {}
    for view in (*(one for spec in specs for one in _of(found, spec)), *(_at(found, one) for one in snapshots)):
        name = f"{view.name}_current" if view.name in taken else view.name
        if name in views or name in taken:
            msg = f"two structures ask for the view {schema}.{name}"
            raise ValueError(msg)
        views[name] = view.named(f"{schema}.{name}")
    return tuple(views.values())


def create_view(view: View, readers: Sequence[str] = ()) -> str:
    """Return the statements that create a view with comments on it and its columns, and let roles read it.

    Whoever reads it needs the right to read the tables: it runs with the rights of its reader, so that row-level
    security holds (PostgreSQL 15 or newer).
    """
    name = quote_table(view.name)
    statements = [
        f"create or replace view {name} with (security_invoker = true) as\n{view.select}",
        f"comment on view {name} is {literal(view.comment)}",
        *(f"comment on column {name}.{quote(one.name)} is {literal(one.comment)}" for one in view.columns),
    ]
    if readers:
        statements.append(f"grant select on {name} to {', '.join(map(quote, readers))}")
    return ";\n".join(statements) + ";\n"


def _of(vault: view_rows.Vault, spec: Structure) -> list[View]:
    name = short_name(spec.table)
    match spec:
        case Hub() | Link():
            views = [view_rows.current(vault, spec, name)]
        case Satellite():
            views = [view_rows.history(vault, spec, f"{name}_history")]
        case MultiActiveSatellite():
            views = [view_rows.latest_set(vault, spec, name)]
        case EffectivitySatellite():
            views = [view_rows.holding(vault, spec, name), view_rows.held(vault, spec, f"{name}_history")]
        case RecordTracking():
            views = [view_rows.last_seen(vault, spec, name)]
        case SameAsLink():
            views = [view_rows.same(vault, spec, name)]
        case NonHistorisedLink():
            views = [view_rows.facts(vault, spec, name)]
        case ExtendedTracking():
            # a log for the loads themselves: nothing that people ask for
            views = []
        case _:
            assert_never(spec)
    return views


def _at(vault: view_rows.Vault, spec: Snapshot) -> View:
    name = short_name(spec.table)
    if isinstance(spec, PointInTime):
        return view_rows.point_in_time(vault, spec, name)
    return view_rows.ways(vault, spec, name)
