"""What a stage is when PostgreSQL makes it: columns as delivered, then derived ones, then hashes, each made once.

Feeds stage in Python instead (`vault.feed`); this is for sets that are in the database already.
"""

# ruff: noqa: S608 - SQL is what this module makes, of quoted names and literals alone

from dataclasses import dataclass

from mainstem.vault.engine.column import literal, quote, quote_table
from mainstem.vault.engine.hashing import INJECTIVE, HashProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A column that is a copy of another or a constant text; it replaces a delivered column of the same name."""

    name: str
    column: str | None = None
    """The delivered column to copy."""
    constant: str | None = None

    def __post_init__(self) -> None:
        """Refuse none and two sources."""
        if (self.column is None) == (self.constant is None):
            msg = f"derived column {self.name} is either a copy or a constant"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """A hash of columns of the stage, derived ones included."""

    name: str
    columns: tuple[str, ...]
    """In the order in which a key hashes them; a hashdiff sorts them by name."""
    hashdiff: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage over a table of delivered rows."""

    columns: tuple[str, ...]
    """Delivered columns to take over."""
    derived: tuple[Derived, ...] = ()
    hashed: tuple[Hashed, ...] = ()


def stage_rows(stage: Stage, source: str, *, profile: HashProfile = INJECTIVE) -> str:
    """Return the SELECT of the staged rows of a table; wrap it in `create temp table … as` to hash only once."""
    derived = {one.name: _derived(one) for one in stage.derived}
    values = {name: f"s.{quote(name)}" for name in stage.columns} | derived
    hashed = {one.name: _hashed(one, profile) for one in stage.hashed}
    kept = {name: f"d.{quote(name)}" for name in values if name not in hashed}
    return f"select {_list(kept | hashed)}\nfrom (select {_list(values)} from {quote_table(source)} s) d"


def _derived(derived: Derived) -> str:
    return f"s.{quote(derived.column)}" if derived.column is not None else f"{literal(derived.constant or '')}::text"


def _hashed(hashed: Hashed, profile: HashProfile) -> str:
    texts = [f"d.{quote(name)}::text" for name in hashed.columns]
    if hashed.hashdiff:
        return profile.hashdiff_sql(dict(zip(hashed.columns, texts, strict=True)))
    return profile.key_sql(texts)


def _list(values: dict[str, str]) -> str:
    return ", ".join(f"{value} as {quote(name)}" for name, value in values.items())
