"""What a view is: a name, columns with their expressions and comments, and the rows they come from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

from mainstem.vault.engine.column import Column, quote

_READABLE: Final = {"load_ts": "loaded_at", "rsrc": "source"}


class ViewColumn(NamedTuple):
    """One column of a view."""

    name: str
    expression: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view without its DDL; `create_view` makes that."""

    name: str
    """`schema.name` once it is placed."""
    of: str
    """Table of the structure that it shows."""
    comment: str
    columns: tuple[ViewColumn, ...]
    rows: str
    """FROM and WHERE."""

    @property
    def select(self) -> str:
        """Return the query."""
        lines = ",\n       ".join(f"{one.expression} as {quote(one.name)}" for one in self.columns)
        return f"select {lines}\n{self.rows}"

    def named(self, name: str) -> Self:
        """Return the same view under a name."""
        return replace(self, name=name)


def short_name(table: str) -> str:
    """Return the name of the thing that a table is about: `vault.hub_page` is about `page`."""
    return table.rsplit(".", 1)[-1].split("_", 1)[-1]


def readable(column: Column) -> str:
    """Return the name under which people see a column."""
    return _READABLE.get(column.name, column.name.removesuffix("_bk"))


def shown(columns: Iterable[Column], alias: str) -> list[ViewColumn]:
    """Return the columns of a table, under its alias, that people see: all but those of bytes."""
    return [
        ViewColumn(readable(column), f"{alias}.{quote(column.name)}", column.comment)
        for column in columns
        if column.type != "bytea"
    ]


def told_apart(groups: Sequence[tuple[str, Iterable[ViewColumn]]]) -> tuple[ViewColumn, ...]:
    """Return the columns of several named groups; one whose name was there already gets its group's name before it."""
    found: dict[str, ViewColumn] = {}
    for group, columns in groups:
        for column in columns:
            name = column.name if column.name not in found else f"{group}_{column.name}"
            found[name] = column._replace(name=name)
    return tuple(found.values())
