"""The columns and rows of each kind of view. In all of them `h` is the hub or link whose keys the rows have.

History is read by a lateral subquery per key, ordered as the primary key is: one key or one tenant costs index probes,
never the whole satellite.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from mainstem.vault.engine.column import Column, quote, quote_table
from mainstem.vault.engine.parts import of
from mainstem.vault.engine.snapshot import Bridge, PointInTime
from mainstem.vault.engine.spec import (
    EffectivitySatellite,
    Hub,
    Link,
    MultiActiveSatellite,
    NonHistorisedLink,
    RecordTracking,
    SameAsLink,
    Satellite,
    Structure,
)
from mainstem.vault.engine.view import View, ViewColumn, short_name, shown, told_apart

_ZERO: Final = "'\\x" + "00" * 32 + "'::bytea"
_OPEN: Final = "9999-12-30"
"""Ends from this day on (UTC's last day may begin a day earlier elsewhere) have not come."""
_VALID_FROM: Final = "Since when this was known: the time of the load that brought it."
_VALID_TO: Final = "Until when it was the last thing known; null: it still is."
_FIRST_SEEN: Final = "When the vault first heard of it: the time of the load."
_LAST_CHANGED: Final = "When the vault last learned something new about it; null: nothing but its key is known."


class _Keys(NamedTuple):
    """The rows that a view is about, with the columns that name them."""

    rows: str
    columns: list[tuple[str, list[ViewColumn]]]
    where: str


class Vault:
    """The structures by what other structures know of them."""

    def __init__(self, specs: Sequence[Structure]) -> None:
        """Index hubs by the name of their hash key, and all by their table."""
        self.tables = {spec.table: spec for spec in specs}
        self.hubs = {_hash(spec.key).name: spec for spec in specs if isinstance(spec, Hub)}
        self.satellites = [spec for spec in specs if isinstance(spec, Satellite)]
        self._parents = {_names(spec.key): spec for spec in specs if isinstance(spec, Hub | Link)}

    def keys(self, spec: Hub | Link, alias: str = "h") -> _Keys:
        """Return the rows of a hub or link."""
        tenant = shown(spec.key, alias)
        if isinstance(spec, Hub):
            own = (short_name(spec.table), shown(spec.business_key, alias))
            where = f"where {alias}.{quote(_hash(spec.key).name)} <> {_ZERO}"
            return _Keys(f"from {quote_table(spec.table)} {alias}", [("", tenant), own], where)
        rows, columns = f"from {quote_table(spec.table)} {alias}", [("", tenant)]
        for number, reference in enumerate(_hashes(spec.references), start=1):
            hub = self.hubs[reference.name]
            rows += f"\njoin {quote_table(hub.table)} k{number} on {_reached(hub, f'k{number}', alias, reference)}"
            columns.append((short_name(hub.table), shown(hub.business_key, f"k{number}")))
        return _Keys(rows, columns, "")

    def parent(self, spec: Structure) -> Hub | Link:
        """Return the hub or link that has the key of a satellite. Raises ValueError where there is none."""
        found = self.tables.get(spec.of) if spec.of else self._parents.get(_names(spec.key))
        if not isinstance(found, Hub | Link):
            msg = f"{spec.table}: no hub or link has the key {', '.join(_names(spec.key))}"
            raise ValueError(msg)  # noqa: TRY004 - a fault of the specs, as others are
        return found


def current(vault: Vault, spec: Hub | Link, name: str) -> View:
    """Return a hub or link with the latest row of each satellite."""
    keys = vault.keys(spec)
    first, groups, joins, changes = [ViewColumn("first_seen", _of("h", spec.meta[0]), _FIRST_SEEN)], [], "", []
    satellites = [one for one in vault.satellites if vault.parent(one).table == spec.table]
    for number, one in enumerate(satellites, start=1):
        alias = f"s{number}"
        groups.append((short_name(one.table), shown(one.payload, alias)))
        joins += f"\nleft join lateral (\n{_latest(one, 'h')}\n) {alias} on true"
        changes.append(_of(alias, one.version[0]))
    if changes:
        last = changes[0] if len(changes) == 1 else f"greatest({', '.join(changes)})"
        first.append(ViewColumn("last_changed", last, _LAST_CHANGED))
    return View(
        name=name,
        of=spec.table,
        comment=f"{spec.comment} Current state." if satellites else spec.comment,
        columns=told_apart([*keys.columns, ("", first), *groups]),
        rows=_joined(keys.rows + joins, keys.where),
    )


def history(vault: Vault, spec: Satellite, name: str) -> View:
    """Return every version of a satellite with the time until the next one."""
    keys = vault.keys(vault.parent(spec))
    valid_to = f"{_until(spec)} as valid_to"
    times = [
        ViewColumn("valid_from", _of("s", spec.version[0]), _VALID_FROM),
        ViewColumn("valid_to", "s.valid_to", _VALID_TO),
    ]
    lateral = f"  select t.*, {valid_to}\n  from {quote_table(spec.table)} t where {_same(spec.key, 't', 'h')}"  # noqa: S608 - quoted names
    return View(
        name=name,
        of=spec.table,
        comment=f"{spec.comment} One row per version.",
        columns=told_apart(
            [
                *keys.columns,
                ("", times),
                ("", shown(spec.meta, "s")),
                (short_name(spec.table), shown(spec.payload, "s")),
            ]
        ),
        rows=_joined(f"{keys.rows}\ncross join lateral (\n{lateral}\n) s", keys.where),
    )


def latest_set(vault: Vault, spec: MultiActiveSatellite, name: str) -> View:
    """Return the rows of the latest set of each key."""
    keys = vault.keys(vault.parent(spec))
    versions = ", ".join(_of("t", column) for column in spec.version)
    lateral = (
        f"  select {versions} from {quote_table(spec.table)} t where {_same(spec.key, 't', 'h')}\n"  # noqa: S608 - quoted names
        f"  order by {_newest_first(spec)} limit 1"
    )
    row = f"\njoin {quote_table(spec.table)} s on {_same(spec.key, 's', 'h')} and {_same(spec.version, 's', 'v')}"
    since = [ViewColumn("valid_from", _of("s", spec.version[0]), _VALID_FROM)]
    payload = shown((*spec.child_key, *spec.payload), "s")
    return View(
        name=name,
        of=spec.table,
        comment=f"{spec.comment} The set that was said last.",
        columns=told_apart([*keys.columns, ("", since), (short_name(spec.table), payload)]),
        rows=_joined(f"{keys.rows}\ncross join lateral (\n{lateral}\n) v{row}", keys.where),
    )


def holding(vault: Vault, spec: EffectivitySatellite, name: str) -> View:
    """Return the relations whose latest row is open."""
    keys = vault.keys(vault.parent(spec))
    since = [ViewColumn("valid_from", _of("s", spec.start), spec.start.comment)]
    is_open = f"{_of('s', spec.end)}::date >= date '{_OPEN}'"
    where = f"{keys.where} and {is_open}" if keys.where else f"where {is_open}"
    return View(
        name=name,
        of=spec.table,
        comment=f"{spec.comment} What holds now.",
        columns=told_apart([*keys.columns, ("", since), (short_name(spec.table), shown(spec.payload, "s"))]),
        rows=_joined(f"{keys.rows}\ncross join lateral (\n{_latest(spec, 'h')}\n) s", where),
    )


def held(vault: Vault, spec: EffectivitySatellite, name: str) -> View:
    """Return every time that a relation held: of the rows that open and close it, the last one of each start."""
    keys = vault.keys(vault.parent(spec))
    start = _of("t", spec.start)
    lateral = (
        f"  select distinct on ({start}) t.*\n  from {quote_table(spec.table)} t where {_same(spec.key, 't', 'h')}\n"  # noqa: S608 - quoted names
        f"  order by {start}, {of('t', spec.version, ' desc')}"
    )
    end = f"case when {_of('s', spec.end)}::date < date '{_OPEN}' then {_of('s', spec.end)} end"
    times = [
        ViewColumn("valid_from", _of("s", spec.start), spec.start.comment),
        ViewColumn("valid_to", end, spec.end.comment),
    ]
    return View(
        name=name,
        of=spec.table,
        comment=f"{spec.comment} One row per time that it held.",
        columns=told_apart([*keys.columns, ("", times), (short_name(spec.table), shown(spec.payload, "s"))]),
        rows=_joined(f"{keys.rows}\ncross join lateral (\n{lateral}\n) s", keys.where),
    )


def last_seen(vault: Vault, spec: RecordTracking, name: str) -> View:
    """Return when each key was seen last, and what was said then."""
    keys = vault.keys(vault.parent(spec))
    seen = [
        ViewColumn("last_seen", _of("s", spec.version[0]), "When the vault last heard of it: the time of the load.")
    ]
    return View(
        name=name,
        of=spec.table,
        comment=f"{spec.comment} The last time of each.",
        columns=told_apart([*keys.columns, ("", seen), (short_name(spec.table), shown(spec.payload, "s"))]),
        rows=_joined(f"{keys.rows}\ncross join lateral (\n{_latest(spec, 'h')}\n) s", keys.where),
    )


def same(vault: Vault, spec: SameAsLink, name: str) -> View:
    """Return pairs of business keys that mean the same thing."""
    hub = vault.tables.get(spec.hub)
    if not isinstance(hub, Hub):
        msg = f"{spec.table}: a same-as link needs the table of its hub"
        raise ValueError(msg)  # noqa: TRY004 - a fault of the specs, as others are
    rows, groups = f"from {quote_table(spec.table)} h", [("", shown(spec.key, "h"))]
    for role, references in (("master", spec.master), ("duplicate", spec.duplicate)):
        rows += f"\njoin {quote_table(hub.table)} {role} on {_reached(hub, role, 'h', _hash(references))}"
        columns = [one._replace(name=f"{role}_{one.name}") for one in shown(hub.business_key, role)]
        groups.append((role, columns))
    first = [ViewColumn("first_seen", _of("h", spec.meta[0]), _FIRST_SEEN)]
    return View(name=name, of=spec.table, comment=spec.comment, columns=told_apart([*groups, ("", first)]), rows=rows)


def facts(vault: Vault, spec: NonHistorisedLink, name: str) -> View:
    """Return the facts with the business keys of what they are about; those that the fact itself holds are its own."""
    own = shown((*spec.key, *spec.meta), "f")
    payload = shown(spec.payload, "f")
    inside = {one.name for one in spec.payload}
    rows, groups = f"from {quote_table(spec.table)} f", [("", own)]
    for number, reference in enumerate(_hashes(spec.references), start=1):
        hub, alias = vault.hubs[reference.name], f"k{number}"
        if all(column.name in inside for column in hub.business_key):
            continue
        not_none = f"f.{quote(reference.name)} <> {_ZERO}"
        rows += f"\nleft join {quote_table(hub.table)} {alias} on {_reached(hub, alias, 'f', reference)} and {not_none}"
        groups.append((short_name(hub.table), shown(hub.business_key, alias)))
    columns = told_apart([*groups, (name, payload)])
    return View(name=name, of=spec.table, comment=spec.comment, columns=columns, rows=rows)


def point_in_time(vault: Vault, spec: PointInTime, name: str) -> View:
    """Return what was known at each as-of time."""
    keys = vault.keys(_hub(vault, spec.hub))
    groups = [("", shown((spec.as_of,), "p"))]
    rows = f"{keys.rows}\njoin {quote_table(spec.table)} p on {_same(spec.key, 'p', 'h')}"
    for number, at in enumerate(spec.satellites, start=1):
        satellite, alias = vault.tables[at.table], f"s{number}"
        pairs = " and ".join(
            f"{alias}.{quote(column.staged)} = {_of('p', column)}" for column in (*at.key, *at.version)
        )
        tenant = "".join(f"{alias}.{quote(one.name)} = {_of('p', one)} and " for one in spec.key if one.type != "bytea")
        rows += f"\nleft join {quote_table(at.table)} {alias} on {tenant}{pairs}"
        if isinstance(satellite, Satellite):
            groups.append((short_name(at.table), shown(satellite.payload, alias)))
    columns = told_apart([*keys.columns, *groups])
    return View(name=name, of=spec.table, comment=spec.comment, columns=columns, rows=_joined(rows, keys.where))


def ways(vault: Vault, spec: Bridge, name: str) -> View:
    """Return the business keys along each way of a bridge."""
    keys = vault.keys(_hub(vault, spec.hub))
    rows = f"{keys.rows}\njoin {quote_table(spec.table)} b on {_same(spec.key, 'b', 'h')}"
    groups = [("", shown((spec.as_of,), "b"))]
    kept = [column for step in spec.walk for column in _hashes(step.keeps)]
    for number, column in enumerate(kept, start=1):
        hub = vault.hubs[column.staged]
        rows += f"\njoin {quote_table(hub.table)} k{number} on {_reached(hub, f'k{number}', 'b', column)}"
        groups.append((short_name(hub.table), shown(hub.business_key, f"k{number}")))
    columns = told_apart([*keys.columns, *groups])
    return View(name=name, of=spec.table, comment=spec.comment, columns=columns, rows=_joined(rows, keys.where))


def _latest(spec: Satellite | EffectivitySatellite | RecordTracking, parent: str) -> str:
    """Return the query of the latest row of a key."""
    return (
        f"  select t.* from {quote_table(spec.table)} t where {_same(spec.key, 't', parent)}\n"  # noqa: S608 - quoted names
        f"  order by {_newest_first(spec)} limit 1"
    )


def _newest_first(spec: Satellite | MultiActiveSatellite | EffectivitySatellite | RecordTracking) -> str:
    """Return the ORDER BY list that brings the newest row of a key first."""
    return of("t", [*_newest_by(spec), *spec.version], " desc")


def _newest_by(spec: Structure) -> list[Column]:
    by_name = {column.name: column for column in spec.columns}
    return [by_name[name] for name in spec.newest_by]


def _until(spec: Satellite) -> str:
    """Return the expression of when a row ceased to be the newest of its key; null: it still is.

    A row that came after a newer one never was: it ends when it began.
    """
    came = _of("t", spec.version[0])
    if not spec.newest_by:
        return f"lead({came}) over (order by {of('t', spec.version)})"
    order = of("t", [*_newest_by(spec), *spec.version])
    newer = f"min({came}) over (order by {order} rows between 1 following and unbounded following)"
    # greatest() passes over nulls
    return f"case when {newer} is not null then greatest({newer}, {came}) end"


def _reached(hub: Hub, alias: str, other: str, reference: Column) -> str:
    """Return the condition that a hub's row is the one that a reference names, in the same tenant."""
    pairs = [
        f"{_of(alias, column)} = {_of(other, reference if column.type == 'bytea' else column)}" for column in hub.key
    ]
    return " and ".join(pairs)


def _same(columns: Sequence[Column], one: str, other: str) -> str:
    return " and ".join(f"{_of(one, column)} = {_of(other, column)}" for column in columns)


def _joined(rows: str, where: str) -> str:
    return f"{rows}\n{where}" if where else rows


def _of(alias: str, column: Column) -> str:
    return f"{alias}.{quote(column.name)}"


def _hub(vault: Vault, table: str) -> Hub:
    hub = vault.tables.get(table)
    if not isinstance(hub, Hub):
        msg = f"{table} is no hub"
        raise ValueError(msg)  # noqa: TRY004 - a fault of the specs, as others are
    return hub


def _hashes(columns: Sequence[Column]) -> list[Column]:
    return [column for column in columns if column.type == "bytea"]


def _hash(columns: Sequence[Column]) -> Column:
    return _hashes(columns)[0]


def _names(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(sorted(column.name for column in columns))
