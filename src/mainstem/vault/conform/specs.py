"""From a case's neutral specification to specs of the engine."""

from collections.abc import Callable, Sequence
from typing import Final

from mainstem.vault.conform.case import HashRule, Spec, StageData, Target
from mainstem.vault.engine import (
    Bridge,
    Column,
    Compat,
    Derived,
    EffectivityAt,
    EffectivitySatellite,
    ExtendedTracking,
    Hashed,
    Hub,
    Link,
    MultiActiveSatellite,
    NonHistorisedLink,
    PointInTime,
    Satellite,
    SatelliteAt,
    Snapshot,
    Stage,
    Step,
    Structure,
    Tracked,
)

POSITION: Final = "load_row_number"
"""Column that every staged set and every satellite has besides its own: which row came first."""
_COMMENT: Final = "A table of a conformance case."


def profile(rule: HashRule) -> Compat:
    """Return the hash profile of a case."""
    return Compat(
        algorithm=rule.algorithm,
        separator=rule.separator,
        null_as=rule.null_token,
        casing=rule.casing,
        trim=rule.trim,
    )


def stage(data: StageData) -> Stage:
    """Return the stage of a staged set."""
    return Stage(
        columns=(POSITION, *(name for name, _ in data.columns)),
        derived=tuple(Derived(name=one.name, column=one.column, constant=one.const) for one in data.derived),
        hashed=tuple(Hashed(name=one.name, columns=one.columns, hashdiff=one.hashdiff) for one in data.hashed),
    )


def structure(target: Target, schema: str) -> Structure | Snapshot:
    """Return the engine's spec of a target, with its table in the schema.

    Raises ValueError for a kind that is not known, KeyError for a column that the target has not.
    """
    if target.kind not in _KINDS:
        msg = f"no kind of table is called {target.kind}"
        raise ValueError(msg)
    return _KINDS[target.kind](target, schema)


class _Columns:
    """The columns of a target by name."""

    def __init__(self, target: Target) -> None:
        self._types = dict(target.columns)

    def __call__(self, names: Sequence[str]) -> tuple[Column, ...]:
        return tuple(self.one(name) for name in names)

    def one(self, name: str, source: str | None = None) -> Column:
        """Return one column. Raises KeyError for one that the target has not."""
        return Column(name, self._types[name], source=source)


def _meta(spec: Spec, *more: str | None) -> tuple[str, ...]:
    """Return the names of what is carried along, with those given that are there."""
    return _named(*more, spec.record_source, *spec.extra)


def _named(*names: str | None) -> tuple[str, ...]:
    """Return those names that the specification gives."""
    return tuple(name for name in names if name)


def _hub(target: Target, schema: str) -> Hub:
    spec, columns = target.spec, _Columns(target)
    return Hub(
        table=f"{schema}.{target.table}",
        comment=_COMMENT,
        key=columns(spec.key),
        business_key=columns(spec.business_key),
        meta=columns(_meta(spec, spec.load_date, spec.effective_from)),
        order=_named(spec.load_date, spec.record_source, POSITION),
        skip_zero=False,
    )


def _link(target: Target, schema: str) -> Link:
    spec, columns = target.spec, _Columns(target)
    return Link(
        table=f"{schema}.{target.table}",
        comment=_COMMENT,
        key=columns(spec.key),
        references=columns(spec.foreign_keys),
        meta=columns(_meta(spec, spec.load_date, spec.effective_from)),
        order=_named(spec.load_date, spec.record_source, POSITION),
        skip_zero=False,
    )


def _facts(target: Target, schema: str) -> NonHistorisedLink:
    spec, columns = target.spec, _Columns(target)
    return NonHistorisedLink(
        table=f"{schema}.{target.table}",
        comment=_COMMENT,
        key=columns(spec.key),
        references=columns(spec.foreign_keys),
        meta=columns(_meta(spec, spec.load_date, spec.effective_from)),
        payload=columns(spec.payload),
        order=(POSITION,),
        repeats=True,
    )


def _satellite(target: Target, schema: str) -> Satellite:
    spec, columns = target.spec, _Columns(target)
    times = _named(spec.load_date, spec.effective_from)
    return Satellite(
        table=f"{schema}.{target.table}",
        comment=_COMMENT,
        key=columns(spec.key),
        meta=columns(_meta(spec)),
        payload=columns(spec.payload),
        version=(*columns(times), Column(POSITION, "int8")),
        hashdiff=_hashdiff(spec, columns),
        hashdiff_from="stage",
        skip_not_newer=spec.options.skip_not_newer,
        order=(*times, POSITION),
        identity=(*spec.key, POSITION),
        skip_zero=False,
    )


def _multi_active(target: Target, schema: str) -> MultiActiveSatellite:
    spec, columns = target.spec, _Columns(target)
    return MultiActiveSatellite(
        table=f"{schema}.{target.table}",
        comment=_COMMENT,
        key=columns(spec.key),
        meta=columns(_meta(spec, spec.effective_from)),
        child_key=columns(spec.child_key),
        payload=columns(spec.payload),
        version=columns((spec.load_date,)),
        hashdiff=_hashdiff(spec, columns),
        hashdiff_from="stage",
        order=(POSITION,),
        skip_zero=False,
        repeats=True,
    )


def _hashdiff(spec: Spec, columns: _Columns) -> Column:
    if spec.hashdiff is None:
        msg = "the specification names no hashdiff"
        raise ValueError(msg)
    return columns.one(spec.hashdiff.column, spec.hashdiff.source)


def _tracking(target: Target, schema: str) -> ExtendedTracking:
    spec, columns = target.spec, _Columns(target)
    return ExtendedTracking(
        table=f"{schema}.{target.table}",
        comment=_COMMENT,
        key=columns(spec.key),
        meta=columns(_meta(spec)),
        tracked=tuple(Tracked(one.hashdiff_from, name_from=one.name_from) for one in spec.tracked),
        version=columns((spec.load_date,)),
        hashdiff=columns.one(spec.hashdiff_column),
        satellite=columns.one(spec.name_column),
        order=(POSITION,),
        skip_zero=False,
        repeats=True,
    )


def _effectivity(target: Target, schema: str) -> EffectivitySatellite:
    spec, columns = target.spec, _Columns(target)
    return EffectivitySatellite(
        table=f"{schema}.{target.table}",
        comment=_COMMENT,
        key=columns(spec.key),
        driving_key=columns(spec.driving_key),
        secondary_key=columns(spec.secondary_key),
        start=columns.one(spec.start_date),
        end=columns.one(spec.end_date),
        effective_from=columns.one(spec.effective_from or ""),
        version=columns((spec.load_date,)),
        meta=columns(_named(spec.record_source)),
        payload=columns(spec.extra),
        auto_end_dating=spec.options.auto_end_dating,
        open_end=spec.options.open_end_date,
        order=(POSITION,),
        skip_zero=False,
        repeats=True,
    )


def _point_in_time(target: Target, schema: str) -> PointInTime:
    spec, columns = target.spec, _Columns(target)
    satellites = tuple(
        SatelliteAt(
            table=f"{schema}.{one.table}",
            on=(one.key,),
            key=(columns.one(one.key_column, one.key),),
            version=(columns.one(one.load_date_column, one.load_date),),
        )
        for one in spec.satellites
    )
    return PointInTime(
        table=f"{schema}.{target.table}",
        comment=_COMMENT,
        hub=f"{schema}.{spec.hub}",
        key=columns(spec.key),
        as_of=columns.one(spec.as_of_column),
        satellites=satellites,
        ghost_key=bytes.fromhex(spec.ghost_key.hex),
        ghost_date=spec.ghost_date,
    )


def _bridge(target: Target, schema: str) -> Bridge:
    spec, columns = target.spec, _Columns(target)
    walk = tuple(
        Step(
            link=f"{schema}.{one.link}",
            came_from=(one.source,),
            goes_to=(one.to,),
            link_key=(one.link_key,),
            keeps=(columns.one(one.column, one.link_key),),
            effectivity=EffectivityAt(
                table=f"{schema}.{one.eff_sat}", on=(one.link_key,), end=one.end_date, version=(one.load_date,)
            ),
        )
        for one in spec.walk
    )
    return Bridge(
        table=f"{schema}.{target.table}",
        comment=_COMMENT,
        hub=f"{schema}.{spec.hub}",
        key=columns(spec.key),
        as_of=columns.one(spec.as_of_column),
        walk=walk,
        open_end=spec.options.open_end_date,
    )


_KINDS: Final[dict[str, Callable[[Target, str], Structure | Snapshot]]] = {
    "hub": _hub,
    "link": _link,
    "nh_link": _facts,
    "sat": _satellite,
    "ma_sat": _multi_active,
    "xts": _tracking,
    "eff_sat": _effectivity,
    "pit": _point_in_time,
    "bridge": _bridge,
}
