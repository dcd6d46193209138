"""What there is to say of each structure: what it is, what it is about, who loads it, which views show it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from mainstem.vault.engine.column import Column, names
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
from mainstem.vault.engine.views import View, business_views
from mainstem.vault.feed import Feed


class Kind(StrEnum):
    """Kinds of structures, in the words of the field."""

    HUB = "hub"
    LINK = "link"
    SAME_AS = "same-as link"
    FACT = "non-historised link"
    SATELLITE = "satellite"
    MULTI_ACTIVE = "multi-active satellite"
    EFFECTIVITY = "effectivity satellite"
    TRACKING = "record tracking"
    EXTENDED = "extended tracking"
    POINT_IN_TIME = "point-in-time table"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class Described:
    """One structure."""

    spec: Structure | Snapshot
    kind: Kind
    about: tuple[str, ...]
    """Tables that it is about: hubs of a link, parent of a satellite."""
    feeds: tuple[str, ...]
    kinds: tuple[str, ...]
    """Patterns of the event kinds that load it, with the sources where it is not all."""
    views: tuple[View, ...]

    @property
    def role(self) -> Mapping[str, str]:
        """Return what each column is for, by its name: key, business key, reference, meta or payload."""
        return _roles(self.spec)


@dataclass(frozen=True, slots=True)
class Description:
    """The whole model."""

    title: str
    structures: tuple[Described, ...]

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Return (table, table that it is about)."""
        known = {one.spec.table for one in self.structures}
        return tuple((one.spec.table, other) for one in self.structures for other in one.about if other in known)


def describe(
    title: str, feeds: Sequence[Feed], snapshots: Sequence[Snapshot] = (), *, taken: Iterable[str] = ()
) -> Description:
    """Return the description of all structures that feeds load, and of snapshots. Raises ValueError as views do."""
    specs: dict[str, Structure] = {}
    loads: dict[str, list[Feed]] = {}
    for feed in feeds:
        for spec in feed.structures:
            specs.setdefault(spec.table, spec)
            if feed not in loads.setdefault(spec.table, []):
                loads[spec.table].append(feed)
    views = business_views(tuple(specs.values()), snapshots, taken=tuple(taken))
    about = _Abouts(tuple(specs.values()))
    found: list[Structure | Snapshot] = [*specs.values(), *snapshots]
    return Description(
        title,
        tuple(
            Described(
                spec=spec,
                kind=kind_of(spec),
                about=about.of(spec),
                feeds=tuple(feed.name for feed in loads.get(spec.table, ())),
                kinds=tuple(dict.fromkeys(kind for feed in loads.get(spec.table, ()) for kind in _kinds(feed))),
                views=tuple(view for view in views if view.of == spec.table),
            )
            for spec in found
        ),
    )


def _kinds(feed: Feed) -> list[str]:
    of = f" of {', '.join(feed.sources)}" if feed.sources else ""
    return [f"{kind}{of}" for kind in feed.kinds]


def kind_of(spec: Structure | Snapshot) -> Kind:  # noqa: C901 - one line per kind
    """Return what a structure is."""
    match spec:
        case Hub():
            kind = Kind.HUB
        case Link():
            kind = Kind.LINK
        case SameAsLink():
            kind = Kind.SAME_AS
        case NonHistorisedLink():
            kind = Kind.FACT
        case Satellite():
            kind = Kind.SATELLITE
        case MultiActiveSatellite():
            kind = Kind.MULTI_ACTIVE
        case EffectivitySatellite():
            kind = Kind.EFFECTIVITY
        case RecordTracking():
            kind = Kind.TRACKING
        case ExtendedTracking():
            kind = Kind.EXTENDED
        case _:
            kind = Kind.POINT_IN_TIME if isinstance(spec, PointInTime) else Kind.BRIDGE
    return kind


class _Abouts:
    """Finds the tables that a structure is about."""

    def __init__(self, specs: Sequence[Structure]) -> None:
        self._hubs = {column.name: spec.table for spec in specs if isinstance(spec, Hub) for column in _hashes(spec.key)}
        self._parents = {names(spec.key): spec.table for spec in reversed(specs) if isinstance(spec, Hub | Link)}

    def of(self, spec: Structure | Snapshot) -> tuple[str, ...]:
        match spec:
            case Hub():
                tables: Iterable[str] = ()
            case Link() | NonHistorisedLink():
                tables = (self._hubs[one.name] for one in _hashes(spec.references) if one.name in self._hubs)
            case SameAsLink():
                tables = (spec.hub,)
            case (
                Satellite() | MultiActiveSatellite() | EffectivitySatellite() | RecordTracking() | ExtendedTracking()
            ):
                tables = (spec.of or self._parents.get(names(spec.key), ""),)
            case PointInTime():
                tables = (one.table for one in spec.satellites)
            case _:
                tables = (spec.hub,)
        return tuple(dict.fromkeys(table for table in tables if table))


def _hashes(columns: Iterable[Column]) -> Iterator[Column]:
    return (column for column in columns if column.type == "bytea")


def _roles(spec: Structure | Snapshot) -> dict[str, str]:
    roles = {column.name: "" for column in spec.columns}
    groups: list[tuple[str, Iterable[Column]]] = []
    match spec:
        case Hub():
            groups = [("business key", spec.business_key)]
        case Link() | SameAsLink() | NonHistorisedLink():
            groups = [("reference", spec.references)]
            if isinstance(spec, NonHistorisedLink):
                groups.append(("payload", spec.payload))
        case MultiActiveSatellite():
            groups = [("child key", spec.child_key), ("payload", spec.payload)]
        case Satellite() | EffectivitySatellite() | RecordTracking():
            groups = [("payload", spec.payload)]
        case ExtendedTracking():
            groups = []
        case _:
            groups = []
    for role, columns in groups:
        roles.update(dict.fromkeys(names(tuple(columns)), role))
    for name in spec.primary_key:
        roles[name] = "key, reference" if roles[name] == "reference" else "key"
        roles[name] = roles[name] if roles[name] else "key"
    return roles
