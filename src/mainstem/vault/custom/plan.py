"""A model and a catalogue to the statements between them, and to what can't be changed in place. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mainstem.vault.custom.catalogue import Catalogue, StoredTable
from mainstem.vault.custom.model import Model, own_structures
from mainstem.vault.engine.column import Column, literal, quote, quote_table
from mainstem.vault.engine.ddl import create_table
from mainstem.vault.engine.ghosts import ghost_rows
from mainstem.vault.engine.snapshot import Bridge, PointInTime, Snapshot
from mainstem.vault.engine.spec import (
    Hub,
    Link,
    MultiActiveSatellite,
    NonHistorisedLink,
    RecordTracking,
    Satellite,
    Structure,
)
from mainstem.vault.engine.views import View, create_view
from mainstem.vault.model import READERS

_TYPES: Final = MappingProxyType(
    {
        "int2": "smallint",
        "int4": "integer",
        "int8": "bigint",
        "bool": "boolean",
        "float8": "double precision",
        "timestamptz": "timestamp with time zone",
        "timestamp": "timestamp without time zone",
    }
)
_ADVICE: Final = "give the changed structure a new name; backfill fills it from the stored events"


@dataclass(frozen=True, slots=True)
class Change:
    """One step, with its statements."""

    what: str
    """For people: `table vault.hub_shop_order`."""
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would make the database fit the model."""

    changes: tuple[Change, ...]
    add_loads: tuple[tuple[str, str], ...]
    """Feed and table of loads that begin."""
    drop_loads: tuple[tuple[str, str], ...]
    """Feed and table of loads that end; the tables stay as they are."""
    new_file: bool
    """Whether the file is another one than that in force, if only in what it stages."""
    refusals: tuple[str, ...]
    """What can't be changed in place."""

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not (self.changes or self.add_loads or self.drop_loads or self.new_file or self.refusals)


def plan(model: Model, catalogue: Catalogue) -> Plan:
    """Return the statements between a catalogue and a model, in the order in which they work."""
    loads = frozenset((feed.name, spec.table) for feed in model.feeds for spec in own_structures(feed))
    refusals: list[str] = []
    changes: list[Change] = []
    for spec in (*model.structures, *model.snapshots):
        stored = catalogue.tables.get(spec.table)
        if stored is None:
            changes.append(Change(f"table {spec.table}", _new_table(spec)))
            continue
        refusals += _refusals(spec, stored)
        if not isinstance(spec, PointInTime | Bridge):
            refusals += _left_over(spec, loads, catalogue)
        changes += _altered(spec, stored)
    new_tables = {spec.table for spec in (*model.structures, *model.snapshots) if spec.table not in catalogue.tables}
    for view in model.views(catalogue.taken):
        kept = catalogue.views.get(view.name)
        if kept is not None and view.of in new_tables:
            refusals.append(f"{view.name} is there already, as somebody else's view: drop or rename it")
        changes += _view(view, kept)
    return Plan(
        changes=tuple(changes),
        add_loads=tuple(sorted(loads - catalogue.loads)),
        drop_loads=tuple(sorted(catalogue.loads - loads)),
        new_file=model.sha256 != catalogue.sha256,
        refusals=tuple(dict.fromkeys(refusals)),
    )


def fits(specs: Sequence[Structure], catalogue: Catalogue) -> bool:
    """Tell whether the tables of structures are there, with all their columns."""
    return all(
        (stored := catalogue.tables.get(spec.table)) is not None
        and not list(_refusals(spec, stored))
        and {column.name for column in spec.columns} <= set(stored.columns)
        for spec in specs
    )


def _new_table(spec: Structure | Snapshot) -> str:
    table = quote_table(spec.table)
    statements = [
        create_table(spec).rstrip(";\n"),
        f"select platform.protect({literal(table)})",
        f"grant select on {table} to {READERS[0]}",
        f"grant select, insert, update, delete on {table} to {READERS[1]}",
    ]
    if isinstance(spec, NonHistorisedLink) and spec.partition_by is not None:
        default = quote_table(f"{spec.table}_default")
        statements += [
            f"alter table {default} enable row level security",
            "select vault.ensure_partitions(current_date - 1, current_date + 62)",
        ]
    if isinstance(spec, Hub | Satellite | MultiActiveSatellite):
        statements += ghost_rows([spec], "platform.tenant")
    return ";\n".join(statements) + ";\n"


def _altered(spec: Structure | Snapshot, stored: StoredTable) -> Iterator[Change]:
    """Yield the columns and comments that a table lacks."""
    table = quote_table(spec.table)
    for column in spec.columns:
        found = stored.columns.get(column.name)
        where = f"{table}.{quote(column.name)}"
        if found is None and column in _extendable(spec):
            added = f"alter table {table} add column {quote(column.name)} {column.type};\n"
            said = f"comment on column {where} is {literal(column.comment)};\n"
            yield Change(f"column {spec.table}.{column.name}", added + said)
        elif found is not None and found.comment != column.comment:
            said = f"comment on column {where} is {literal(column.comment)};\n"
            yield Change(f"comment on {spec.table}.{column.name}", said)
    if stored.comment != spec.comment:
        yield Change(f"comment on {spec.table}", f"comment on table {table} is {literal(spec.comment)};\n")


def _refusals(spec: Structure | Snapshot, stored: StoredTable) -> Iterator[str]:
    """Yield what would need a new table."""
    wanted = {column.name: column for column in spec.columns}
    extendable = _extendable(spec)
    for name, column in wanted.items():
        found = stored.columns.get(name)
        if found is None and column not in extendable:
            yield f"{spec.table}: the column {name} can't be added: it is no payload of a satellite; {_ADVICE}"
        elif found is not None and found.type != _stored_type(column):
            yield f"{spec.table}.{name} is {found.type} and can't become {_stored_type(column)}; {_ADVICE}"
    for name in stored.columns:
        if name not in wanted:
            yield f"{spec.table}: the column {name} is not in the file any more; keep it there, or {_ADVICE}"
    if spec.has_key and stored.primary_key != spec.primary_key:
        before, after = ", ".join(stored.primary_key), ", ".join(spec.primary_key)
        yield f"{spec.table}: its key is ({before}) and can't become ({after}); {_ADVICE}"


def _left_over(spec: Structure, loads: frozenset[tuple[str, str]], catalogue: Catalogue) -> Iterator[str]:
    """Yield that a table is there which no load fills now: what came meanwhile would be missing in it."""
    feeds = {feed for feed, table in catalogue.loads if table == spec.table}
    others = {feed for feed, table in loads if table == spec.table}
    if not feeds:
        yield f"{spec.table} is there already, left from an earlier model: drop it, or choose another name"
    elif not feeds & others and not isinstance(spec, Hub | Link):
        yield f"{spec.table} is loaded from the feed {', '.join(sorted(feeds))}; a feed can't be renamed; {_ADVICE}"


def _extendable(spec: Structure | Snapshot) -> tuple[Column, ...]:
    """Return the columns that may come later: a hashdiff leaves NULLs out, so the rows that are there keep theirs."""
    if isinstance(spec, Satellite | MultiActiveSatellite | RecordTracking):
        return tuple(column for column in spec.payload if not column.required)
    return ()


def _view(view: View, stored: StoredTable | None) -> Iterator[Change]:
    columns = [column.name for column in view.columns]
    if stored is not None:
        before = {name: column.comment for name, column in stored.columns.items()}
        if before == {column.name: column.comment for column in view.columns} and stored.comment == view.comment:
            return
    statement = create_view(view, READERS)
    if stored is not None and list(stored.columns) != columns[: len(stored.columns)]:
        # a view can only grow at its end
        statement = f"drop view {quote_table(view.name)};\n{statement}"
    yield Change(f"view {view.name}", statement)


def _stored_type(column: Column) -> str:
    return _TYPES.get(column.type, column.type)
