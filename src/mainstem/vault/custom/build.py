"""A draft to specs: feeds with their stages and structures, and daily snapshots."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from mainstem.vault.custom.draft import AboutDraft, Draft, FeedDraft, SnapshotDraft
from mainstem.vault.custom.model import Model
from mainstem.vault.custom.read import known, read_draft
from mainstem.vault.custom.stage import Stager, list_name, role_name, said_name
from mainstem.vault.engine.column import Column, Columns, names
from mainstem.vault.engine.snapshot import Bridge, EffectivityAt, PointInTime, SatelliteAt, Snapshot, Step
from mainstem.vault.engine.spec import (
    EffectivitySatellite,
    Hub,
    Link,
    MultiActiveSatellite,
    RecordTracking,
    SameAsLink,
    Satellite,
    Structure,
)
from mainstem.vault.engine.view import short_name
from mainstem.vault.feed import Feed
from mainstem.vault.model import GENERAL, HASHDIFF, LOAD_TS, META, RAW_ID, RSRC, STRUCTURES, TENANT

_VERSION: Final = (LOAD_TS, RAW_ID)
_STARTS: Final = Column("starts_at", "timestamptz", source="occurred_at", comment="When the relation began.")
_ENDS: Final = Column(
    "ends_at", "timestamptz", source="occurred_at", comment="When the relation ended; null: it holds."
)
_EFFECTIVE: Final = Column(
    "effective_from", "timestamptz", source="occurred_at", comment="When the event occurred that says so."
)
_AS_OF: Final = Column("as_of", "timestamptz", comment="Time of the snapshot: the beginning of a UTC day.")


def build(text: str, file: str) -> Model:
    """Return the model of a YAML text. Raises ModelError with everything that is wrong with it."""
    draft, problems = read_draft(text, file)
    feeds = tuple(_feed(one) for one in draft.feeds)
    specs: dict[str, Structure] = {}
    # the first of a table is the hub itself; those after it only load it in another role
    for spec in (*STRUCTURES, *(spec for feed in feeds for spec in feed.structures)):
        specs.setdefault(spec.table, spec)
    snapshots = tuple(found for one in draft.snapshots if (found := _snapshot(one, specs)) is not None)
    problems.check()
    return Model(
        feeds=feeds,
        snapshots=snapshots,
        path=file,
        format="yaml",
        sha256=sha256(text.encode()).hexdigest(),
        source=text,
        lines=_lines(draft),
    )


def _lines(draft: Draft) -> dict[str, int]:
    return {feed.name: feed.part.line for feed in draft.feeds}


def _feed(draft: FeedDraft) -> Feed:
    stager = Stager(draft)
    parents: dict[str, Hub | Link] = {name: _hub(draft, name) for name in draft.hubs}
    parents |= {name: _link(draft, name) for name in draft.links}
    structures: list[Structure] = [*GENERAL, *parents.values()]
    structures += [_satellite(draft, one, parents[one.of]) for one in draft.satellites.values()]
    structures += [_multi_active(draft, one, parents[one.of]) for one in draft.multi_active.values()]
    structures += [_effectivity(draft, one, parents[one.of]) for one in draft.effectivity.values()]
    structures += [
        RecordTracking(
            table=f"vault.rts_{one.name}",
            comment=one.comment,
            of=parents[one.of].table,
            key=parents[one.of].key,
            version=_VERSION,
            meta=(RSRC,),
            payload=_columns(draft, one.columns),
        )
        for one in draft.record_tracking.values()
    ]
    for name in draft.same_as:
        structures += _same_as(draft, name)
    return Feed(
        name=draft.name,
        kinds=draft.kinds,
        columns=stager.columns,
        stage=stager,
        structures=tuple(structures),
        sets=stager.sets({list_name(name): f"vault.msat_{name}" for name in draft.multi_active}),
    )


def _hub(draft: FeedDraft, name: str) -> Hub:
    hub = draft.hubs[name]
    return Hub(
        table=f"vault.hub_{name}",
        comment=hub.comment,
        key=(TENANT, _hash(name)),
        business_key=_columns(draft, hub.key, required=True),
        collision_code=name,
        meta=META,
        indexes=(("tenant_id", *hub.key),),
    )


def _link(draft: FeedDraft, name: str) -> Link:
    link = draft.links[name]
    first, *others = (_hash(hub) for hub in link.hubs)
    return Link(
        table=f"vault.lnk_{name}",
        comment=link.comment,
        key=(TENANT, first, *others),
        references=(first, *others),
        meta=META,
        indexes=tuple(("tenant_id", other.name, first.name) for other in others),
    )


def _satellite(draft: FeedDraft, one: AboutDraft, parent: Hub | Link) -> Satellite:
    return Satellite(
        table=f"vault.sat_{one.name}",
        comment=one.comment,
        of=parent.table,
        key=parent.key,
        version=_VERSION,
        hashdiff=HASHDIFF,
        meta=(RSRC,),
        payload=_columns(draft, one.columns),
        needs=(said_name(one.name),),
    )


def _multi_active(draft: FeedDraft, one: AboutDraft, parent: Hub | Link) -> MultiActiveSatellite:
    return MultiActiveSatellite(
        table=f"vault.msat_{one.name}",
        comment=one.comment,
        of=parent.table,
        key=parent.key,
        child_key=_columns(draft, one.child_key, required=True),
        version=_VERSION,
        hashdiff=HASHDIFF,
        meta=(RSRC,),
        payload=_columns(draft, one.columns),
    )


def _effectivity(draft: FeedDraft, one: AboutDraft, parent: Hub | Link) -> EffectivitySatellite:
    driving = f"{one.driving}_hk"
    return EffectivitySatellite(
        table=f"vault.esat_{one.name}",
        comment=one.comment,
        of=parent.table,
        key=parent.key,
        driving_key=tuple(column for column in parent.key if column.name in {TENANT.name, driving}),
        secondary_key=tuple(column for column in parent.key if column.name not in {TENANT.name, driving}),
        start=_STARTS,
        end=_ENDS,
        effective_from=_EFFECTIVE,
        version=_VERSION,
        meta=(RSRC,),
        payload=_columns(draft, one.columns),
        in_order=True,
    )


def _same_as(draft: FeedDraft, name: str) -> list[Structure]:
    """Return the link, and the hub once more for each role: a key that is named in a role is a key that is known."""
    one = draft.same_as[name]
    hub = _hub(draft, one.hub)
    roles: list[Structure] = []
    keys = {}
    for role, columns in (("master", one.master), ("duplicate", one.duplicate)):
        key = Column(
            f"{role}_hk", "bytea", source=role_name(name, role), required=True, comment=f"Hash key of the {role}."
        )
        keys[role] = (TENANT, key)
        business_key = tuple(
            Column(own.name, own.type, source=source, required=True, comment=own.comment)
            for own, source in zip(hub.business_key, columns, strict=True)
        )
        hash_ = Column(hub.key[1].name, "bytea", source=key.staged, required=True, comment=hub.key[1].comment)
        roles.append(
            Hub(
                table=hub.table,
                comment=hub.comment,
                key=(TENANT, hash_),
                business_key=business_key,
                collision_code=one.hub,
                meta=META,
                indexes=hub.indexes,
            )
        )
    link = SameAsLink(
        table=f"vault.sal_{name}",
        comment=one.comment,
        hub=hub.table,
        key=(TENANT, keys["master"][1], keys["duplicate"][1]),
        master=keys["master"],
        duplicate=keys["duplicate"],
        meta=META,
    )
    return [*roles, link]


def _columns(draft: FeedDraft, wanted: tuple[str, ...], *, required: bool = False) -> Columns:
    return tuple(
        Column(one.name, one.type, required=required, comment=one.comment)
        for one in (draft.columns[name] for name in wanted)
    )


def _hash(hub: str) -> Column:
    return Column(f"{hub}_hk", "bytea", required=True, comment=f"Hash key of the {hub}; 32 zero bytes: none.")


def _snapshot(draft: SnapshotDraft, specs: Mapping[str, Structure]) -> Snapshot | None:
    hubs = {short_name(spec.table): spec for spec in specs.values() if isinstance(spec, Hub)}
    known(draft.part, [draft.hub], "hub", hubs)
    hub = hubs.get(draft.hub)
    if hub is None:
        return None
    return _point_in_time(draft, hub, specs) if draft.satellites else _bridge(draft, hub, specs)


def _point_in_time(draft: SnapshotDraft, hub: Hub, specs: Mapping[str, Structure]) -> PointInTime | None:
    about = {
        short_name(spec.table): spec
        for spec in specs.values()
        if isinstance(spec, Satellite) and names(spec.key) == names(hub.key)
    }
    known(draft.part, draft.satellites, f"satellite of {draft.hub} called", about)
    if not set(draft.satellites) <= set(about):
        return None
    hash_ = hub.key[1].name
    satellites = tuple(
        SatelliteAt(
            table=about[name].table,
            on=names(hub.key),
            key=(Column(f"{name}_hk", "bytea", source=hash_, comment=f"Key of the row in {about[name].table}."),),
            version=(
                Column(f"{name}_load_ts", "timestamptz", source="load_ts", comment="Load time of that row."),
                Column(f"{name}_raw_id", "int8", source="raw_id", comment="Raw event of that row."),
            ),
        )
        for name in draft.satellites
    )
    return PointInTime(
        table=f"vault.pit_{draft.name}",
        comment=draft.comment,
        hub=hub.table,
        key=hub.key,
        as_of=_AS_OF,
        first_seen=LOAD_TS.name,
        satellites=satellites,
    )


def _bridge(draft: SnapshotDraft, hub: Hub, specs: Mapping[str, Structure]) -> Bridge | None:
    links = {short_name(spec.table): spec for spec in specs.values() if isinstance(spec, Link)}
    known(draft.part, draft.links, "link", links)
    if not set(draft.links) <= set(links):
        return None
    walk: list[Step] = []
    here, met = hub.key[1].name, {hub.key[1].name}
    for number, name in enumerate(draft.links):
        link = links[name]
        others = [column for column in link.references if column.name != here]
        if len(others) == len(link.references) or any(column.name in met for column in others):
            draft.part.wrong(f"the link {name} must lead from {here.removesuffix('_hk')} to hubs that were not met yet")
            return None
        following = links[draft.links[number + 1]].references if number + 1 < len(draft.links) else ()
        onward = next((one.name for one in others if one.name in {two.name for two in following}), others[0].name)
        walk.append(_step(link, here, onward, tuple(others), specs))
        met |= {column.name for column in others}
        here = onward
    return Bridge(
        table=f"vault.brg_{draft.name}",
        comment=draft.comment,
        hub=hub.table,
        key=hub.key,
        as_of=_AS_OF,
        first_seen=LOAD_TS.name,
        walk=tuple(walk),
    )


def _step(link: Link, here: str, onward: str, keeps: Columns, specs: Mapping[str, Structure]) -> Step:
    held = next(
        (spec for spec in specs.values() if isinstance(spec, EffectivitySatellite) and spec.of == link.table), None
    )
    effectivity = None
    if held is not None:
        effectivity = EffectivityAt(
            table=held.table, on=names(link.key), end=held.end.name, version=names(held.version)
        )
    return Step(
        link=link.table,
        came_from=(TENANT.name, here),
        goes_to=(TENANT.name, onward),
        link_key=names(link.key),
        keeps=keeps,
        effectivity=effectivity,
        load_date=None if effectivity else LOAD_TS.name,
    )
