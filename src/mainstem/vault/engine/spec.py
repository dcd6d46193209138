"""What a Data Vault structure is: frozen specs that `ddl` and `load` compile to SQL.

A spec names its table, its columns and, per column, the column of the stage it is loaded from. It holds no
values and no SQL. Column names may be anything that PostgreSQL takes; they are quoted wherever they are used.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

_TYPE = re.compile(r"[a-z][a-z0-9_ ]*(\(\d+(, ?\d+)?\))?( with(out)? time zone)?(\[\])?")
_NAME_BYTES = 63


def quote(name: str) -> str:
    """Return an identifier in double quotes. Raises ValueError where PostgreSQL would refuse or cut it."""
    if not name or "\0" in name or len(name.encode()) > _NAME_BYTES:
        msg = f"not an identifier of 1 to {_NAME_BYTES} bytes: {name!r}"
        raise ValueError(msg)
    return '"' + name.replace('"', '""') + '"'


def quote_table(table: str) -> str:
    """Return `schema.table` or `table` with each part quoted; the first dot parts them."""
    return ".".join(quote(part) for part in table.split(".", 1))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a vault table and the place its value comes from."""

    name: str
    type: str
    source: str | None = None
    """Column of the stage; None means the same name."""
    required: bool = False
    """NOT NULL in the table. Rows without it are the stage's mistake and fail."""
    context: bool = False
    """The value is one for the whole load: a column of `load_context` instead of the stage."""

    def __post_init__(self) -> None:
        """Refuse what could not be an identifier or a type."""
        quote(self.name)
        quote(self.staged)
        if _TYPE.fullmatch(self.type) is None:
            msg = f"not a type of PostgreSQL: {self.type!r}"
            raise ValueError(msg)

    @property
    def staged(self) -> str:
        """Return the name of the column it is loaded from."""
        return self.source or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    table: str
    """`schema.table`."""
    comment: str
    key: tuple[Column, ...]
    """Identity of a row (for a satellite: of its parent). Rows with a NULL in it are not loaded."""
    meta: tuple[Column, ...]
    """Load time, record source and whatever else is carried along."""
    order: tuple[str, ...] = ("raw_id",)
    """Stage columns that say which of several rows came first."""
    needs: tuple[str, ...] = ()
    """Stage columns without which a row says nothing to this structure and is left out."""
    skip_zero: bool = True
    """Leave out rows whose 32-byte key is the zero key; the ghost row stands for them."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """Column names of further indexes."""

    @property
    def name(self) -> str:
        """Return the table's name without its schema."""
        return self.table.rsplit(".", 1)[-1]


def _distinct(*groups: tuple[Column, ...]) -> tuple[Column, ...]:
    return tuple({column.name: column for group in groups for column in group}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub(_Table):
    """A list of business keys: one row per key, the earliest, never changed."""

    business_key: tuple[Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns of the table in order."""
        return _distinct(self.key, self.business_key, self.meta)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Return the names of the primary key's columns."""
        return tuple(column.name for column in self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(_Table):
    """A list of relations between hubs: one row per combination, the earliest, never changed."""

    references: tuple[Column, ...]
    """Keys of the hubs; a row with a NULL or a zero key among them is no relation and is not loaded."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns of the table in order."""
        return _distinct(self.key, self.references, self.meta)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Return the names of the primary key's columns."""
        return tuple(column.name for column in self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonHistorisedLink(_Table):
    """Facts: one immutable row per event, with the keys of the hubs it is about and what it says."""

    references: tuple[Column, ...] = ()
    """Keys of hubs; the zero key says "none"."""
    payload: tuple[Column, ...] = ()
    partition_by: str | None = None
    """Column of the primary key by whose month the table is partitioned."""
    gated: bool = False
    """Every row of the stage is known to be new: the load need not look first, and a repeat would fail."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns of the table in order."""
        return _distinct(self.key, self.references, self.meta, self.payload)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Return the names of the primary key's columns."""
        return tuple(column.name for column in self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Satellite(_Table):
    """The history of what is said about a hub or link: a row whenever the payload differs from the row before it."""

    payload: tuple[Column, ...]
    version: tuple[Column, ...]
    """Columns that order the rows of one key in the table; the last row by them is the current one."""
    hashdiff: Column = Column("hashdiff", "bytea", required=True)
    """Column of the payload's hash."""
    hashdiff_from: Literal["profile", "stage"] = "profile"
    """Whether the hash profile makes the hashdiff or the stage already holds it."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns of the table in order."""
        return _distinct(self.key, self.version, (self.hashdiff,), self.meta, self.payload)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Return the names of the primary key's columns."""
        return tuple(column.name for column in (*self.key, *self.version))


Structure: TypeAlias = Hub | Link | NonHistorisedLink | Satellite
