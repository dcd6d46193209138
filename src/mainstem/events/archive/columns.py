"""How rows of `raw` travel between PostgreSQL and files: plain values, the bytes PostgreSQL sends, and their hash. Pure.

A value travels as int (numbers, and times as microseconds since 1970), str (text, json as it is), bytes (uuid, bytea),
bool or None. `packed()` turns a column of them into fields of PostgreSQL's binary formats; from these come the rows of
a binary COPY (documentation of COPY, "Binary Format") and the hash of a row that `raw.row_hash()` computes in SQL:
SHA-256 over what `record_send` sends, the first 64 bits, signed. Types, lengths and NULLs are part of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import chain, repeat
from operator import methodcaller
from struct import Struct
from typing import Any, Final, NamedTuple

import msgspec

from mainstem.events.archive.errors import ArchiveError

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER: Final = b"\xff\xff"
FOREVER: Final = 2**63 - 1
"""How `infinity` travels, as DuckDB reads it; `-infinity` is its negative."""

_EPOCH_US: Final = 946_684_800_000_000
_NULL: Final = Struct(">i").pack(-1)
_LENGTH: Final = Struct(">i").pack
_OID: Final = Struct(">I").pack
_TOTAL_BITS: Final = 64

Values = Sequence[Any]
"""One column: values of one type, or None."""
Fields = list[bytes]
"""One column in PostgreSQL's binary form: each field with its length before it."""


class Column(msgspec.Struct, frozen=True):
    """A column of a table; `type` is PostgreSQL's name for it."""

    name: str
    type: str


class Kind(NamedTuple):
    """How a type travels: its object id, the SQL that reads it ({} is the column), and the bytes of a value."""

    oid: int
    sql: str
    pack: Callable[[Any], bytes]


def _fixed(letter: str) -> Callable[[Any], bytes]:
    layout = Struct(f">i{letter}")
    size, pack = layout.size - 4, layout.pack
    return lambda value: pack(size, value)


def _bytes(value: bytes) -> bytes:
    return _LENGTH(len(value)) + value


def _text(value: str) -> bytes:
    return _bytes(value.encode())


_int64: Final = _fixed("q")


def _time(value: int) -> bytes:
    if abs(value) == FOREVER:
        # PostgreSQL's own -infinity is the lowest number there is
        return _int64(value if value > 0 else -(2**63))
    return _int64(value - _EPOCH_US)


_TIME_SQL: Final = (
    "case when {0} is null then null when isfinite({0}) then (extract(epoch from {0}) * 1000000)::bigint "
    f"when {{0}} > now() then {FOREVER} else -{FOREVER} end"
)
KINDS: Final[Mapping[str, Kind]] = {
    "bigint": Kind(20, "{0}", _int64),
    "integer": Kind(23, "{0}", _fixed("i")),
    "smallint": Kind(21, "{0}", _fixed("h")),
    "boolean": Kind(16, "{0}", _fixed("?")),
    "text": Kind(25, "{0}", _text),
    "json": Kind(114, "{0}::text", _text),
    "bytea": Kind(17, "{0}", _bytes),
    "uuid": Kind(2950, "uuid_send({0})", _bytes),
    "timestamp with time zone": Kind(1184, _TIME_SQL, _time),
}


def kind_of(column: Column) -> Kind:
    """Return how a column travels. Raises ArchiveError for a type that the archive does not know."""
    try:
        return KINDS[column.type]
    except KeyError:
        raise ArchiveError(f"column {column.name} has the type {column.type}, which the archive can't keep") from None


def select_list(columns: Iterable[Column], table: str) -> str:
    """Return the SQL that reads columns of `table` as they travel. Raises ArchiveError."""
    return ", ".join(kind_of(column).sql.format(f'{table}."{column.name}"') for column in columns)


def packed(columns: Sequence[Column], values: Sequence[Values]) -> list[Fields]:
    """Return columns in PostgreSQL's binary form. Raises ArchiveError for an unknown type."""
    return [
        [_NULL if value is None else pack(value) for value in column_values]
        for pack, column_values in zip((kind_of(column).pack for column in columns), values, strict=True)
    ]


def copy_rows(fields: Sequence[Fields]) -> bytes:
    """Return rows for a binary COPY, without header and trailer."""
    head = Struct(">h").pack(len(fields))
    return b"".join(chain.from_iterable(zip(repeat(head), *fields, strict=False)))


def row_hashes(columns: Sequence[Column], fields: Sequence[Fields]) -> list[int]:
    """Return the hash of each row, as `raw.row_hash()` computes it."""
    parts: list[Iterable[bytes]] = [repeat(_LENGTH(len(columns)))]
    for column, column_fields in zip(columns, fields, strict=True):
        parts += (repeat(_OID(kind_of(column).oid)), column_fields)
    digests = map(methodcaller("digest"), map(sha256, map(b"".join, zip(*parts, strict=False))))
    return [int.from_bytes(digest[:8], "big", signed=True) for digest in digests]


def total_of(hashes_sum: int) -> str:
    """Return a sum of row hashes as a hash total: 16 hexadecimal digits, whatever the order of the rows."""
    return f"{hashes_sum % 2**_TOTAL_BITS:016x}"
