"""What the database has of a model: tables, columns, views, and what is loaded into which table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import asyncpg

from mainstem.platform.db import Connection, load_queries

sql: Final = load_queries("mainstem.vault.custom")


class StoredColumn(NamedTuple):
    """A column as it is in the database."""

    type: str
    """As `format_type` writes it."""
    required: bool
    comment: str


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table or view as it is in the database."""

    comment: str
    columns: dict[str, StoredColumn] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Everything that a plan depends on."""

    tables: Mapping[str, StoredTable]
    """Of the schema vault, by `schema.table`."""
    views: Mapping[str, StoredTable]
    """Of the schema business."""
    taken: frozenset[str]
    """Names of tables of the schema business."""
    loads: frozenset[tuple[str, str]]
    """Feed and table of all loads of models."""
    sha256: str | None = None
    """Of the model that is in force."""
    path: str | None = None


async def read(connection: Connection) -> Catalogue:
    """Return what the database has."""
    relations = await connection.fetch(sql["relations"])
    columns = await connection.fetch(sql["columns"])
    applied = await connection.fetchrow(sql["applied"])
    return Catalogue(
        tables=_stored((row for row in relations if row["schema"] == "vault"), columns),
        views=_stored((row for row in relations if row["schema"] == "business" and row["kind"] == "v"), columns),
        taken=frozenset(row["name"] for row in relations if row["schema"] == "business" and row["kind"] != "v"),
        loads=frozenset(tuple(row) for row in await connection.fetch(sql["loads"])),
        sha256=None if applied is None else applied["sha256"],
        path=None if applied is None else applied["path"],
    )


def _stored(relations: Iterable[asyncpg.Record], columns: Sequence[asyncpg.Record]) -> dict[str, StoredTable]:
    found = {
        f"{row['schema']}.{row['name']}": StoredTable(str(row["comment"]), {}, _texts(row["primary_key"]))
        for row in relations
    }
    for row in columns:
        table = found.get(f"{row['schema']}.{row['name']}")
        if table is not None:
            column = StoredColumn(str(row["type"]), bool(row["required"]), str(row["comment"]))
            table.columns[str(row["column"])] = column
    return found


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
