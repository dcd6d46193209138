"""Hash keys and hashdiffs: which bytes stand for which business key, in Python and in SQL alike.

A profile decides the bytes, so a change of `INJECTIVE` is a change of the stored format. `INJECTIVE` writes
every part with its length in bytes before it (`3:abc`) and NULL as `-1:`, so no two different lists of parts
share their bytes, whatever separators, cases or blanks their texts hold. Nothing is trimmed or upper-cased:
normalising a business key is the stage's business. (Data Vault 2.0 asks for one fixed rule; the usual
delimiter rule, which `compat` has, lets `a||b`, `c` and `a`, `b||c` meet.)
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Protocol

from mainstem.vault.engine.column import literal

ZERO_KEY = bytes(32)
"""The key of "none or unknown": an optional leg that is not there."""
BROKEN_KEY = b"\xff" * 32
"""The key of a reference that is known to be broken."""


class HashProfile(Protocol):
    """One fixed rule that turns texts into a key, computed by Python or by PostgreSQL with equal results."""

    @property
    def size(self) -> int:
        """Return the length of a hash in bytes."""

    def key(self, parts: Sequence[str | None]) -> bytes | None:
        """Return the hash of the parts in the order given; None where the profile says that they are no key."""

    def key_sql(self, expressions: Sequence[str]) -> str:
        """Return the SQL expression (bytea) of `key` over expressions of type text."""

    def hashdiff(self, values: Mapping[str, str | None]) -> bytes:
        """Return the hash of a satellite's payload by column name, whatever the order of the columns."""

    def hashdiff_sql(self, expressions: Mapping[str, str]) -> str:
        """Return the SQL expression (bytea) of `hashdiff` over text expressions by column name."""


class InjectiveSha256:
    """SHA-256 over length-prefixed UTF-8 parts; the hashdiff leaves out NULL columns, so new columns change nothing."""

    @property
    def size(self) -> int:
        """Return the length of a hash in bytes."""
        return 32

    def key(self, parts: Sequence[str | None]) -> bytes:
        """Return 32 bytes; `surrogatepass` keeps lone surrogates apart, which PostgreSQL could not store anyway."""
        return sha256(b"".join(map(_part, parts))).digest()

    def key_sql(self, expressions: Sequence[str]) -> str:
        """Return `sha256(…)` over the same bytes as `key` (server encoding UTF-8)."""
        return _sha256_sql(f"coalesce({_part_sql(expression)}, '-1:')" for expression in expressions)

    def hashdiff(self, values: Mapping[str, str | None]) -> bytes:
        """Return 32 bytes over (name, value) of every column that is not NULL, sorted by name."""
        present = ((name, values[name]) for name in sorted(values) if values[name] is not None)
        return sha256(b"".join(_part(name) + _part(value) for name, value in present)).digest()

    def hashdiff_sql(self, expressions: Mapping[str, str]) -> str:
        """Return `sha256(…)` over the same bytes as `hashdiff`."""
        return _sha256_sql(
            f"coalesce({literal(_part(name).decode())} || {_part_sql(expressions[name])}, '')"
            for name in sorted(expressions)
        )


INJECTIVE = InjectiveSha256()


def hash_key(tenant_id: int, collision_code: str, *parts: str | None) -> bytes:
    """Return the 32-byte hub key of a business key: tenant and collision code are part of the hash.

    The collision code names the area within which equal business keys mean the same thing (`site`, `tripleseat`).
    """
    return sha256(b"".join(map(_part, (str(tenant_id), collision_code, *parts)))).digest()


def _part(part: str | None) -> bytes:
    if part is None:
        return b"-1:"
    encoded = part.encode(errors="surrogatepass")
    return b"%d:%b" % (len(encoded), encoded)


def _part_sql(expression: str) -> str:
    return f"octet_length({expression})::text || ':' || {expression}"


def _sha256_sql(pieces: Iterable[str]) -> str:
    return f"sha256(convert_to({' || '.join(pieces)}, 'UTF8'))"
