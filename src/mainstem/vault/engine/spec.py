"""What a Data Vault structure is: frozen specs that `ddl` and `load` compile to SQL.

A spec names its table, its columns and, per column, the column of the stage it is loaded from. It holds no rows
and no SQL. Snapshots of a vault (point-in-time tables, bridges) are in `snapshot`.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mainstem.vault.engine.column import Column, Columns, distinct, names, quote, quote_table

__all__ = [
    "Column",
    "EffectivitySatellite",
    "ExtendedTracking",
    "Hub",
    "Link",
    "MultiActiveSatellite",
    "NonHistorisedLink",
    "RecordTracking",
    "SameAsLink",
    "Satellite",
    "Structure",
    "Tracked",
    "quote",
    "quote_table",
]

_HASHDIFF = Column("hashdiff", "bytea", required=True)
_SATELLITE = Column("satellite", "text", required=True)
HashdiffFrom: TypeAlias = Literal["profile", "stage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    table: str
    """`schema.table`."""
    comment: str
    key: Columns
    """Identity of a row (for a satellite: of its parent). Rows with a NULL in it are not loaded."""
    meta: Columns
    """Load time, record source and whatever else is carried along."""
    order: tuple[str, ...] = ("raw_id",)
    """Stage columns that say which of several rows came first."""
    needs: tuple[str, ...] = ()
    """Stage columns without which a row says nothing to this structure and is left out."""
    skip_zero: bool = True
    """Leave out rows whose 32-byte key is the zero key; the ghost row stands for them."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """Column names of further indexes."""
    of: str = ""
    """Table of the hub or link that it is about; empty where its key alone tells."""
    identity: tuple[str, ...] = ()
    """Names of the primary key's columns where they are others than this kind of structure has."""
    in_views: bool = True
    """Whether people get to see it in views; what is sealed is of no use to them."""
    roles: tuple[tuple[str, str], ...] = ()
    """Names of key columns that play a role (`master_visitor_hk`), each with its name in the hub (`visitor_hk`)."""
    newest_by: tuple[str, ...] = ()
    """Columns that say, before the version does, which row of a key views show as its newest.

    For feeds whose events come out of order: the number that the source counts its own changes by. Such columns must be
    in the hashdiff, or equal payload under another number would not be stored.
    """

    @property
    def name(self) -> str:
        """Return the table's name without its schema."""
        return self.table.rsplit(".", 1)[-1]

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, self.meta)

    @property
    def grain(self) -> Columns:
        """Return the columns of which one row is, for this kind of structure."""
        return self.key

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Return the names of the primary key's columns."""
        return self.identity or names(self.grain)

    @property
    def has_key(self) -> bool:
        """Tell whether the table has a primary key."""
        return True

    @property
    def staged(self) -> Columns:
        """Return the columns whose value comes from the stage or the load's context, not from the load itself."""
        return self.columns

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the names of the stage columns that a load reads."""
        staged = (column.staged for column in self.staged if not column.context)
        return tuple(dict.fromkeys((*staged, *self.order, *self.needs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repeatable(_Table):
    repeats: bool = False
    """Keep all distinct rows that come in one load, even where they share the primary key's values.

    Such a table has an index in its primary key's place, and a load looks before it inserts. Without it the
    earliest of such rows counts, and the primary key turns away what is there already.
    """

    @property
    def has_key(self) -> bool:
        """Tell whether the table has a primary key."""
        return not self.repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub(_Table):
    """A list of business keys: one row per key, the earliest, never changed."""

    business_key: Columns
    collision_code: str | None = None
    """Where given, the key's one hash is that of the tenant, this code and the business key (see `hash_key`)."""

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, self.business_key, self.meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(_Table):
    """A list of relations between hubs: one row per combination, the earliest, never changed."""

    references: Columns
    """Keys of the hubs; a row with a NULL or a zero key among them is no relation and is not loaded."""

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, self.references, self.meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class SameAsLink(_Table):
    """A link from a duplicate to its master in the same hub; a row that names one thing twice says nothing."""

    master: Columns
    duplicate: Columns
    """Key columns of both roles, in the same order."""
    hub: str = ""
    """Table of the hub of both roles, for the view that shows their business keys."""

    @property
    def references(self) -> Columns:
        """Return the keys of both roles."""
        return distinct(self.master, self.duplicate)

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, self.references, self.meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonHistorisedLink(_Repeatable):
    """Facts: immutable rows, one per event, with the keys of the hubs it is about and what it says."""

    references: Columns = ()
    """Keys of hubs; the zero key says "none"."""
    payload: Columns = ()
    partition_by: str | None = None
    """Column of the primary key by whose month the table is partitioned."""
    gated: bool = False
    """Every row of the stage is known to be new: the load need not look first, and a repeat would fail."""

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, self.references, self.meta, self.payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Satellite(_Table):
    """The history of what is said about a hub or link: a row whenever the payload differs from the row before it."""

    payload: Columns
    version: Columns
    """Columns that order the rows of one key in the table; the last row by them is the current one."""
    hashdiff: Column = _HASHDIFF
    """Column of the payload's hash."""
    hashdiff_from: HashdiffFrom = "profile"
    """Whether the hash profile makes the hashdiff or the stage already holds it."""
    skip_not_newer: bool = False
    """Leave out rows whose first version column (the load date) is not above that of the key's current row."""

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, self.version, (self.hashdiff,), self.meta, self.payload)

    @property
    def grain(self) -> Columns:
        """Return the columns of which one row is: one per key and version."""
        return distinct(self.key, self.version)

    @property
    def staged(self) -> Columns:
        """Return all columns but a hashdiff that the profile makes."""
        return _without(self.columns, () if self.hashdiff_from == "stage" else (self.hashdiff,))


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiActiveSatellite(_Repeatable):
    """The history of sets: all rows of one key and version are one set, stored whole when it differs from the last.

    Sets are compared by hashdiff and child key of their rows, whatever the rows' order.
    """

    child_key: Columns
    """Tells the rows of one set apart; a row with a NULL in it is not loaded."""
    payload: Columns
    version: Columns
    """Columns that tell the sets of one key apart and order them."""
    hashdiff: Column = _HASHDIFF
    hashdiff_from: HashdiffFrom = "profile"
    """Whether the hash profile makes the hashdiff, of child key and payload, or the stage already holds it."""

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, self.version, self.child_key, (self.hashdiff,), self.meta, self.payload)

    @property
    def grain(self) -> Columns:
        """Return the columns of which one row is: one per key, version and child key."""
        return distinct(self.key, self.version, self.child_key)

    @property
    def staged(self) -> Columns:
        """Return all columns but a hashdiff that the profile makes."""
        return _without(self.columns, () if self.hashdiff_from == "stage" else (self.hashdiff,))


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivitySatellite(_Repeatable):
    """From when to when a relation held: rows that open it and rows that close it; no row is ever changed.

    With `auto_end_dating` a driving key holds one relation: a new secondary key closes the relation before it.
    """

    driving_key: Columns
    secondary_key: Columns
    """Rows with a NULL in either are not loaded."""
    start: Column
    end: Column
    """A row is open while its end, as a date, is `open_end`."""
    effective_from: Column
    version: Columns
    """Load date, and what else orders the rows of one key in the table; the last one is the current one."""
    payload: Columns = ()
    """Further columns; an automatic closing repeats those of the row that it closes."""
    auto_end_dating: bool = True
    in_order: bool = False
    """Take the stage row by row in `order`, as if each were a load of its own.

    For feeds whose loads hold several changes of one driving key. Every row opens its relation from
    `effective_from` on (start and end are not read), unless it is the one that holds already. A row that is not
    newer by `version` than what its driving key has is left out. Without this, all rows of a load are compared
    with what held before the load.
    """
    open_end: str = "9999-12-31"
    """ISO date."""

    def __post_init__(self) -> None:
        """Refuse relations in order that nothing would end."""
        if self.in_order and not self.auto_end_dating:
            msg = f"{self.table}: in_order needs auto_end_dating"
            raise ValueError(msg)

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        dates = (self.start, self.end, self.effective_from)
        return distinct(self.key, self.driving_key, self.secondary_key, dates, self.version, self.meta, self.payload)

    @property
    def grain(self) -> Columns:
        """Return the columns of which one row is: one per key and version."""
        return distinct(self.key, self.version)

    @property
    def staged(self) -> Columns:
        """Return all columns, but start and end where the load makes them."""
        return _without(self.columns, (self.start, self.end) if self.in_order else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTracking(_Table):
    """When a key was seen (or, with a payload that says so, was missed): one row per key and version."""

    version: Columns
    payload: Columns = ()

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, self.version, self.meta, self.payload)

    @property
    def grain(self) -> Columns:
        """Return the columns of which one row is: one per key and version."""
        return distinct(self.key, self.version)


@dataclass(frozen=True, slots=True)
class Tracked:
    """One satellite whose hashdiffs an extended tracking logs."""

    hashdiff_from: str
    """Column of the stage."""
    name: str | None = None
    """The satellite's name, for all rows."""
    name_from: str | None = None
    """Column of the stage that holds the satellite's name."""

    def __post_init__(self) -> None:
        """Refuse none and two names."""
        if (self.name is None) == (self.name_from is None):
            msg = "a tracked satellite has either a name or a column that holds it"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedTracking(_Repeatable):
    """The log of every hashdiff that came, per satellite: what puts late rows into their right place afterwards."""

    tracked: tuple[Tracked, ...]
    version: Columns
    hashdiff: Column = _HASHDIFF
    satellite: Column = _SATELLITE
    """Column of the satellite's name."""

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, self.version, (self.satellite, self.hashdiff), self.meta)

    @property
    def grain(self) -> Columns:
        """Return the columns of which one row is: one per key, version, satellite and hashdiff."""
        return distinct(self.key, self.version, (self.satellite, self.hashdiff))

    @property
    def staged(self) -> Columns:
        """Return the columns that do not depend on the satellite tracked."""
        return _without(self.columns, (self.satellite, self.hashdiff))

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the names of the stage columns that a load reads."""
        staged = (column.staged for column in self.staged if not column.context)
        tracked = (name for one in self.tracked for name in (one.hashdiff_from, one.name_from) if name is not None)
        return tuple(dict.fromkeys((*staged, *tracked, *self.order, *self.needs)))


Repeatable: TypeAlias = NonHistorisedLink | MultiActiveSatellite | EffectivitySatellite | ExtendedTracking
Structure: TypeAlias = Hub | Link | SameAsLink | Satellite | RecordTracking | Repeatable


def _without(columns: Columns, left_out: Columns) -> Columns:
    return tuple(column for column in columns if column not in left_out)
