"""What a snapshot of a vault is: specs of tables that make history quick to read, and can be rebuilt at any time.

They are loaded from a table of as-of times, not from a feed.
"""

from dataclasses import dataclass
from typing import TypeAlias

from mainstem.vault.engine.column import Column, Columns, distinct, names
from mainstem.vault.engine.hashing import ZERO_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    table: str
    """`schema.table`."""
    comment: str
    hub: str
    """Table of the hub whose keys are taken."""
    key: Columns
    """The hub's key; `source` names its column in the hub."""
    as_of: Column
    """The time of the snapshot; `source` names its column in the table of as-of times."""
    first_seen: str | None = None
    """Column of the hub from whose time on a key is part of snapshots; None means always."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """Column names of further indexes."""

    @property
    def name(self) -> str:
        """Return the table's name without its schema."""
        return self.table.rsplit(".", 1)[-1]

    @property
    def has_key(self) -> bool:
        """Tell whether the table has a primary key."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SatelliteAt:
    """One satellite of a point-in-time table."""

    table: str
    on: tuple[str, ...]
    """Columns of the satellite that equal the hub's key, in its order."""
    key: Columns
    """What is kept of the satellite's key; `source` names the column in the satellite."""
    version: Columns
    """What is kept of the satellite's version; the first one is the load date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointInTime(_Snapshot):
    """Per hub key and as-of time the current row of each satellite, or the ghost row where there is none yet."""

    satellites: tuple[SatelliteAt, ...]
    ghost_key: bytes = ZERO_KEY
    ghost_date: str = "1900-01-01 00:00:00+00"

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, (self.as_of,), *(c for one in self.satellites for c in (one.key, one.version)))

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Return the names of the primary key's columns."""
        return (*names(self.key), self.as_of.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivityAt:
    """The effectivity satellite of a link: the relation counts while its latest row at the as-of time is open."""

    table: str
    on: tuple[str, ...]
    """Columns that equal the link's `link_key`, in its order."""
    end: str
    version: tuple[str, ...]
    """Columns that order its rows; the first one is the load date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One link of the way of a bridge."""

    link: str
    came_from: tuple[str, ...]
    """Columns of the link that equal the hub's key, or `goes_to` of the step before."""
    goes_to: tuple[str, ...]
    link_key: tuple[str, ...]
    keeps: Columns
    """What the bridge keeps of the link; `source` names the column in the link."""
    effectivity: EffectivityAt | None = None
    load_date: str | None = None
    """Where there is no effectivity satellite: the link counts from this column's time on; None means always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge(_Snapshot):
    """Per hub key and as-of time every complete way over the links."""

    walk: tuple[Step, ...]
    open_end: str = "9999-12-31"
    """ISO date of an end that has not come."""

    @property
    def columns(self) -> Columns:
        """Return the columns of the table in order."""
        return distinct(self.key, (self.as_of,), *(step.keeps for step in self.walk))

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Return the names of the primary key's columns: all, a bridge has no others."""
        return names(self.columns)


Snapshot: TypeAlias = PointInTime | Bridge
