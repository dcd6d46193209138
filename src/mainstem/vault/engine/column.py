"""Names and columns: what every spec is made of. Names may be anything that PostgreSQL takes; SQL quotes them all."""

import re
from dataclasses import dataclass, field
from typing import Final

_TYPE: Final = re.compile(r"[a-z][a-z0-9_ ]*(\(\d+(, ?\d+)?\))?( with(out)? time zone)?(\[\])?")
_NAME_BYTES: Final = 63


def quote(name: str) -> str:
    """Return an identifier in double quotes. Raises ValueError where PostgreSQL would refuse or cut it."""
    if not name or "\0" in name or len(name.encode()) > _NAME_BYTES:
        msg = f"not an identifier of 1 to {_NAME_BYTES} bytes: {name!r}"
        raise ValueError(msg)
    return '"' + name.replace('"', '""') + '"'


def quote_table(table: str) -> str:
    """Return `schema.table` or `table` with each part quoted; the first dot parts them."""
    return ".".join(quote(part) for part in table.split(".", 1))


def literal(text: str) -> str:
    """Return a text as an SQL literal (backslashes mean themselves, as is PostgreSQL's default)."""
    return "'" + text.replace("'", "''") + "'"


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
    comment: str = field(default="", compare=False)
    """What it holds, in a sentence for people: COMMENT ON COLUMN in the table and in the views over it."""

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


Columns = tuple[Column, ...]


def distinct(*groups: Columns) -> Columns:
    """Return the columns of all groups in order; of two with one name the later definition, at the earlier place."""
    return tuple({column.name: column for group in groups for column in group}.values())


def names(columns: Columns) -> tuple[str, ...]:
    """Return the names of columns."""
    return tuple(column.name for column in columns)
