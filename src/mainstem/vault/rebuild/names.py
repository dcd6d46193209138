"""Where a rebuild works: which table stands for which, and SQL that names the one rewritten to name the other. Pure.

The rebuild runs the loader's own statements. They name their tables in full, so a rebuild reads and writes others by
replacing names, whole ones out of a fixed list; nothing else of a statement is touched. A statement that would still
write to a table of the live schemas is refused: it must never get there.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mainstem.vault.engine.column import quote

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")
_QUALIFIED: Final = re.compile(r'(?<![\w$".])("?)([a-z_]\w*)\1\.("?)(\w+)\3(?![\w$"])')
_WRITTEN: Final = re.compile(
    r'\b(?:insert\s+into|update|delete\s+from|truncate(?:\s+table)?|merge\s+into)\s+(?:only\s+)?"?(\w+)"?\."?(\w+)"?',
    re.IGNORECASE,
)


class RebuildError(Exception):
    """A rebuild can't go on; the text is for the operator."""


@dataclass(frozen=True)
class Names:
    """The schemas of one rebuild, and what in them stands for what."""

    into: str

    def __post_init__(self) -> None:
        """Refuse what is no plain name, or the name of PostgreSQL's own."""
        if _NAME.fullmatch(self.into) is None or self.into.startswith("pg_"):
            msg = f"{self.into!r} is no name for a schema: lower-case letters, digits and _, at most 31"
            raise RebuildError(msg)

    def shadow(self, schema: str) -> str:
        """Return the schema in which the tables of a live schema are rebuilt."""
        return f"{self.into}_{schema}"

    def old(self, schema: str) -> str:
        """Return the schema that takes the tables of a live schema that were replaced."""
        return f"{self.into}_old_{schema}"

    def shadow_table(self, table: str) -> str:
        """Return `schema.table` of the shadow of a live `schema.table`."""
        schema, name = table.split(".", 1)
        return f"{self.shadow(schema)}.{name}"

    def scratch(self, name: str) -> str:
        """Return `schema.name` of a thing that only the rebuild itself needs."""
        return f"{self.shadow('vault')}.rebuild_{name}"


class Renaming:
    """Rewrites statements of the loader for a rebuild."""

    def __init__(self, names: Mapping[str, str], words: Mapping[str, str] | None = None) -> None:
        """Keep whole names (`schema.table` → `schema.table`) and further words to replace."""
        self._names = dict(names)
        self._words = dict(words or {})
        self._known: dict[str, str] = {}

    @cached_property
    def _ours(self) -> frozenset[str]:
        return frozenset(self._names.values())

    def table(self, schema: str | None, table: str) -> tuple[str | None, str]:
        """Return schema and name of the table that stands for one. Raises RebuildError for a live one that has none."""
        if schema is None:
            return None, table
        found = self._names.get(f"{schema}.{table}")
        if found is None:
            msg = f"a load writes to {schema}.{table}, which a rebuild does not know"
            raise RebuildError(msg)
        new_schema, new_table = found.split(".", 1)
        return new_schema, new_table

    def statement(self, text: str) -> str:
        """Return the statement for the rebuild. Raises RebuildError when it would write to anything but its tables."""
        known = self._known.get(text)
        if known is None:
            known = _QUALIFIED.sub(self._replaced, text)
            for word, other in self._words.items():
                known = known.replace(word, other)
            for schema, table in _WRITTEN.findall(known):
                if f"{schema}.{table}" not in self._ours:
                    msg = f"a load writes to {schema}.{table}, which a rebuild does not know"
                    raise RebuildError(msg)
            self._known[text] = known
        return known

    def _replaced(self, found: re.Match[str]) -> str:
        name = self._names.get(f"{found[2]}.{found[4]}")
        return found[0] if name is None else quoted(name)


def quoted(table: str) -> str:
    """Return `schema.table` with both parts in quotes."""
    schema, name = table.split(".", 1)
    return f"{quote(schema)}.{quote(name)}"


def written(statements: Iterable[str]) -> list[str]:
    """Return the tables with a schema that statements write to, in order of their names."""
    return sorted({f"{schema}.{table}" for text in statements for schema, table in _WRITTEN.findall(text)})
