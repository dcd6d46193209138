"""The format of case files: what a case gives, what it loads, and what must be there afterwards.

One JSON document per file, `{"format": 1, "cases": […]}`. Values are texts to be cast to the column's type, `null`,
or `{"hex": …}` for bytes. Reading checks shape and types, nothing else; unknown fields are ignored.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

FORMAT: Final = 1


class CaseFileError(Exception):
    """A case file can't be read; the text says which and why."""


class Hex(msgspec.Struct, frozen=True):
    """Bytes."""

    hex: str


Value: TypeAlias = str | Hex | None


class HashRule(msgspec.Struct, frozen=True):
    """How keys and hashdiffs of a case are made."""

    algorithm: Literal["md5", "sha256"] = "md5"
    separator: str = "||"
    null_token: str = "^^"  # noqa: S105 - stands for NULL, is no secret
    casing: Literal["upper", "disabled"] = "upper"
    trim: bool = True


class HashdiffRule(msgspec.Struct, frozen=True, rename={"source": "from"}):
    """A satellite's hashdiff: its column, and the column of the stage."""

    column: str
    source: str


class TrackedRule(msgspec.Struct, frozen=True):
    """One satellite that a tracking table logs, by columns of the stage."""

    hashdiff_from: str
    name_from: str


class SatelliteRule(msgspec.Struct, frozen=True):
    """One satellite of a point-in-time table."""

    table: str
    key: str
    load_date: str
    key_column: str
    load_date_column: str


class WalkRule(msgspec.Struct, frozen=True, rename={"source": "from"}):
    """One link of a bridge."""

    link: str
    link_key: str
    source: str
    to: str
    eff_sat: str
    end_date: str
    load_date: str
    column: str


class Options(msgspec.Struct, frozen=True):
    """What changes the rules of a kind."""

    auto_end_dating: bool = False
    open_end_date: str = "9999-12-31"
    skip_not_newer: bool = False


class Spec(msgspec.Struct, frozen=True):
    """A neutral load specification; which fields count depends on the kind of target."""

    key: tuple[str, ...]
    business_key: tuple[str, ...] = ()
    foreign_keys: tuple[str, ...] = ()
    payload: tuple[str, ...] = ()
    child_key: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    load_date: str = ""
    record_source: str = ""
    effective_from: str | None = None
    hashdiff: HashdiffRule | None = None
    hashdiff_column: str = ""
    name_column: str = ""
    tracked: tuple[TrackedRule, ...] = ()
    driving_key: tuple[str, ...] = ()
    secondary_key: tuple[str, ...] = ()
    start_date: str = ""
    end_date: str = ""
    hub: str = ""
    as_of_column: str = ""
    satellites: tuple[SatelliteRule, ...] = ()
    ghost_key: Hex = Hex("00")
    ghost_date: str = "1900-01-01"
    walk: tuple[WalkRule, ...] = ()
    options: Options = Options()


class Target(msgspec.Struct, frozen=True):
    """A table to load."""

    table: str
    kind: str
    columns: tuple[tuple[str, str], ...]
    spec: Spec
    initial: tuple[tuple[Value, ...], ...] | None = None


class DerivedRule(msgspec.Struct, frozen=True):
    """A copy or a constant."""

    name: str
    column: str | None = None
    const: str | None = None


class HashedRule(msgspec.Struct, frozen=True):
    """A key or a hashdiff."""

    name: str
    columns: tuple[str, ...]
    hashdiff: bool = False


class StageData(msgspec.Struct, frozen=True):
    """A staged set."""

    name: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Value, ...], ...]
    derived: tuple[DerivedRule, ...] = ()
    hashed: tuple[HashedRule, ...] = ()


class Load(msgspec.Struct, frozen=True, rename={"stages": "from"}):
    """One load of a target from one or several staged sets."""

    target: str
    stages: tuple[str, ...]


class Rows(msgspec.Struct, frozen=True):
    """What a table must hold in these columns, as a multiset."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


class Step(msgspec.Struct, frozen=True):
    """Stages, then loads, then perhaps a look at the tables."""

    stages: tuple[StageData, ...] = ()
    load: tuple[Load, ...] = ()
    expect: dict[str, Rows] = {}


class Case(msgspec.Struct, frozen=True):
    """One case."""

    id: str
    kind: str
    hash: HashRule
    targets: tuple[Target, ...]
    steps: tuple[Step, ...]
    expected: dict[str, Rows]
    title: str = ""


class _File(msgspec.Struct, frozen=True):
    format: int
    cases: tuple[Case, ...]


def read_cases(paths: Sequence[Path]) -> list[Case]:
    """Return the cases of files, and of all `*.json` files in folders, in order. Raises CaseFileError, OSError."""
    return [case for path in paths for file in _files(path) for case in _read(file)]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.json"))
    if not files:
        msg = f"{path}: no case file (*.json) in this folder"
        raise CaseFileError(msg)
    return files


def _read(path: Path) -> tuple[Case, ...]:
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except msgspec.DecodeError as error:
        msg = f"{path}: {error}"
        raise CaseFileError(msg) from error
    if file.format != FORMAT:
        msg = f"{path}: format {file.format} is not known, only {FORMAT}"
        raise CaseFileError(msg)
    return file.cases
