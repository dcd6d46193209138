"""Spec to checks: SQL that finds rows which break the rules of a Data Vault, for all structures of a model.

A vault has no foreign keys: they would lose the rows that break them. These queries find such rows afterwards. Most
take the load time up to which their table is verified already, and see later rows alone; where a table does not know
its load time, they see all rows every time.
"""

# ruff: noqa: S608 - SQL is what this module makes, of quoted names and literals alone

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mainstem.vault.engine.column import Column, literal, names, quote, quote_table
from mainstem.vault.engine.hashing import BROKEN_KEY, INJECTIVE, ZERO_KEY, HashProfile
from mainstem.vault.engine.parts import load_time
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

MOST_EXAMPLES: Final = 5
_RESERVED: Final = f"('\\x{ZERO_KEY.hex()}'::bytea, '\\x{BROKEN_KEY.hex()}'::bytea)"
_CHILDREN = Satellite | MultiActiveSatellite | EffectivitySatellite | RecordTracking | ExtendedTracking


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question about one table."""

    name: str
    subject: str
    """`schema.table`."""
    count: str = ""
    """Query with the columns `checked` and `violations`; empty where the check can't be made."""
    examples: str = ""
    """Query with the one column `example`, at most MOST_EXAMPLES rows."""
    takes: Literal["nothing", "verified", "recent"] = "nothing"
    """The one parameter (timestamptz) of both queries: the load time that is verified, or a time some days ago.

    Null asks for a look at everything.
    """
    full_only: bool = False
    """Whether the check is too dear for every day, and another one does nearly as well."""
    proof: tuple[str, ...] = ()
    """Columns whose valid unique index proves the check without a look at the rows."""
    skipped: str = ""
    """Why the check can't be made."""


def checks(specs: Sequence[Structure], gate: str, *, profile: HashProfile = INJECTIVE) -> list[Check]:
    """Return the checks of a model's structures; `gate` is the table (tenant_id, event_uid, raw_id) of loaded events.

    A reference finds its hub by the name of its column, or by the name that `roles` of the spec gives for it; a
    satellite finds its hub or link by the names of its key. The gate and gated facts must agree.
    """
    found = [_unique(spec) for spec in specs]
    for spec in specs:
        match spec:
            case Hub():
                found.append(_hash(spec, profile))
            case Link() | SameAsLink() | NonHistorisedLink():
                found += _references(spec, specs)
            case _:
                found.append(_parent(spec, specs))
    gated = [spec for spec in specs if isinstance(spec, NonHistorisedLink) and spec.gated]
    found += [_gated(spec, gate) for spec in gated]
    if gated:
        found.append(_ungated(gated, gate))
    return found


def _unique(spec: Structure) -> Check:
    if not spec.has_key:
        return Check(name="unique", subject=spec.table, skipped="the spec asks for repeats to be kept")
    table, key = quote_table(spec.table), spec.primary_key
    listed = _listed(key)
    groups = f"select {listed}, count(*) as n from {table} group by {listed}"
    empty = " or ".join(f"{quote(name)} is null" for name in key)
    return Check(
        name="unique",
        subject=spec.table,
        count=f"select coalesce(sum(n), 0)::bigint as checked, coalesce(sum(n) filter (where n > 1 or {empty}), 0)::bigint "
        f"as violations from ({groups}) g",
        examples=f"select format('%s: %s rows', row({listed}), n) as example from ({groups}) g "
        f"where n > 1 or {empty} limit {MOST_EXAMPLES}",
        proof=tuple(key),
    )


def _hash(spec: Hub, profile: HashProfile) -> Check:
    if spec.collision_code is None or len(spec.key) != len(_hashes(spec)) + 1 or len(_hashes(spec)) != 1:
        return Check(name="hash", subject=spec.table, skipped="the spec does not say how its key is made")
    (key,) = _hashes(spec)
    (tenant,) = (column for column in spec.key if column != key)
    texts = [f"t.{quote(column.name)}::text" for column in spec.business_key]
    expected = profile.key_sql([f"t.{quote(tenant.name)}::text", f"{literal(spec.collision_code)}::text", *texts])
    wrong = f"t.{quote(key.name)} not in {_RESERVED} and t.{quote(key.name)} <> {expected}"
    return _rows(
        spec, "hash", wrong, f"from {quote_table(spec.table)} t", [*names(spec.key), *names(spec.business_key)]
    )


def _references(spec: Link | SameAsLink | NonHistorisedLink, specs: Sequence[Structure]) -> Iterator[Check]:
    if not spec.references:
        return
    hubs = {names(one.key): one for one in specs if isinstance(one, Hub)}
    roles = dict(spec.roles)
    if isinstance(spec, SameAsLink) and spec.hub:
        (hub_key,) = (key.name for one in hubs.values() if one.table == spec.hub for key in _hashes(one))
        roles |= {column.name: hub_key for column in spec.references if column.type == "bytea"}
    joins, wrong, unknown = [], [], []
    hashes = [column for column in spec.references if column.type == "bytea"]
    shared = [column.name for column in spec.key if column not in hashes]
    for number, column in enumerate(hashes, start=1):
        wanted = roles.get(column.name, column.name)
        hub = next((one for key, one in hubs.items() if wanted in key and {*key} - {wanted} <= {*shared}), None)
        if hub is None:
            unknown.append(column.name)
            continue
        alias = f"h{number}"
        same = " and ".join(
            f"{alias}.{quote(name)} = t.{quote(column.name if name == wanted else name)}" for name in names(hub.key)
        )
        joins.append(f"left join {quote_table(hub.table)} {alias} on {same}")
        wrong.append(f"({alias}.{quote(wanted)} is null and t.{quote(column.name)} not in {_RESERVED})")
    if unknown:
        reason = f"no hub in the model has the key {', '.join(unknown)}"
        yield Check(name="references", subject=spec.table, skipped=reason)
    if joins:
        source = f"from {quote_table(spec.table)} t " + " ".join(joins)
        shown = [*spec.primary_key, *(name for name in names(spec.references) if name not in spec.primary_key)]
        yield _rows(spec, "references", " or ".join(wrong), source, shown)


def _parent(spec: Structure, specs: Sequence[Structure]) -> Check:
    roles = dict(spec.roles)
    own = {roles.get(name, name): name for name in names(spec.key)}
    # a satellite may tell several histories of one parent apart, by further columns of its key
    parents = [
        one
        for one in specs
        if not isinstance(one, _CHILDREN | NonHistorisedLink)
        and {*names(one.key)} <= {*own}
        and spec.of in {"", one.table}
    ]
    hashed = {name for name, column in zip(own, spec.key, strict=True) if column.type == "bytea"}
    parent = max(parents, key=lambda one: len(one.key), default=None)
    if parent is None or not hashed <= {*names(parent.key)}:
        key = ", ".join(own.values())
        return Check(name="parent", subject=spec.table, skipped=f"no hub or link in the model has the key {key}")
    same = " and ".join(f"p.{quote(name)} = t.{quote(own[name])}" for name in names(parent.key))
    ghosts = [f"t.{quote(own[name])} not in {_RESERVED}" for name in own if name in hashed]
    wrong = " and ".join([f"p.{quote(parent.key[0].name)} is null", *ghosts])
    source = f"from {quote_table(spec.table)} t left join {quote_table(parent.table)} p on {same}"
    return _rows(spec, "parent", wrong, source, list(spec.primary_key))


def _gated(spec: NonHistorisedLink, gate: str) -> Check:
    source = (
        f"from {quote_table(spec.table)} t left join {quote_table(gate)} g "
        "on g.tenant_id = t.tenant_id and g.event_uid = t.event_uid"
    )
    return _rows(spec, "gate", "g.raw_id is distinct from t.raw_id", source, [*spec.primary_key, "raw_id"])


def _ungated(facts: Sequence[NonHistorisedLink], gate: str) -> Check:
    """Return the check of the other direction, for which all of the gate must be read."""
    known = " and ".join(
        f"not exists (select from {quote_table(spec.table)} f where f.tenant_id = g.tenant_id and f.event_uid = g.event_uid)"
        for spec in facts
    )
    table = quote_table(gate)
    return Check(
        name="gate",
        subject=gate,
        count=f"select (select count(*) from {table}) as checked, count(*) as violations from {table} g where {known}",
        examples=f"select row(g.*)::text as example from {table} g where {known} limit {MOST_EXAMPLES}",
        full_only=True,
    )


def _rows(spec: Structure, name: str, wrong: str, source: str, shown: Sequence[str]) -> Check:
    time = load_time(spec)
    new = "" if time is None else f" where ($1::timestamptz is null or t.{quote(time.name)} > $1)"
    those = f"{new} and ({wrong})" if new else f" where {wrong}"
    values = ", ".join(f"t.{quote(column)}" for column in shown)
    return Check(
        name=name,
        subject=spec.table,
        count=f"select count(*) as checked, count(*) filter (where {wrong}) as violations {source}{new}",
        examples=f"select row({values})::text as example {source}{those} limit {MOST_EXAMPLES}",
        takes="nothing" if time is None else "verified",
    )


def _hashes(spec: Hub) -> list[Column]:
    return [column for column in spec.key if column.type == "bytea"]


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(quote, columns))
