"""The hash profile of vaults made elsewhere: parts joined by a separator, trimmed and upper-cased, NULL as a token.

For loading into, or comparing with, a vault of another tool. Not injective: a part that holds the separator or the
token may meet another key. The text of a part is what PostgreSQL prints for the typed value. Beyond ASCII, upper
case in SQL follows the collation of the database, in Python Unicode.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Literal

from mainstem.vault.engine.column import literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Compat:
    """A delimiter profile; the defaults are those of most Data Vault tools."""

    algorithm: Literal["md5", "sha256"] = "md5"
    separator: str = "||"
    null_as: str = "^^"
    casing: Literal["upper", "disabled"] = "upper"
    trim: bool = True

    @property
    def size(self) -> int:
        """Return the length of a hash in bytes."""
        return 16 if self.algorithm == "md5" else 32

    def key(self, parts: Sequence[str | None]) -> bytes | None:
        """Return the hash of the parts; None where all are NULL or blank. A single part is hashed as it is."""
        cleaned = [self._clean(part) for part in parts]
        return None if all(part is None for part in cleaned) else self._hash(cleaned)

    def key_sql(self, expressions: Sequence[str]) -> str:
        """Return the SQL expression (bytea) of `key` over expressions of type text."""
        cleaned = [self._clean_sql(expression) for expression in expressions]
        if len(cleaned) == 1:
            return self._digest_sql(cleaned[0])
        return f"case when coalesce({', '.join(cleaned)}) is not null then {self._hash_sql(cleaned)} end"

    def hashdiff(self, values: Mapping[str, str | None]) -> bytes:
        """Return the hash of the values in the order of their names; NULL is the token, even where all are NULL."""
        return self._hash([self._clean(values[name]) for name in sorted(values)])

    def hashdiff_sql(self, expressions: Mapping[str, str]) -> str:
        """Return the SQL expression (bytea) of `hashdiff` over text expressions by column name."""
        return self._hash_sql([self._clean_sql(expressions[name]) for name in sorted(expressions)])

    def _clean(self, part: str | None) -> str | None:
        text = part or ""
        text = text.strip(" ") if self.trim else text
        return (text.upper() if self.casing == "upper" else text) or None

    def _clean_sql(self, expression: str) -> str:
        text = f"btrim({expression})" if self.trim else expression
        return f"nullif({f'upper({text})' if self.casing == 'upper' else text}, '')"

    def _hash(self, parts: Sequence[str | None]) -> bytes:
        joined = self.separator.join(self.null_as if part is None else part for part in parts).encode()
        # MD5 because the other vault has it; nothing here is a secret
        return md5(joined, usedforsecurity=False).digest() if self.algorithm == "md5" else sha256(joined).digest()

    def _hash_sql(self, parts: Sequence[str]) -> str:
        between = f" || {literal(self.separator)} || "
        return self._digest_sql(between.join(f"coalesce({part}, {literal(self.null_as)})" for part in parts))

    def _digest_sql(self, text: str) -> str:
        encoded = f"convert_to({text}, 'UTF8')"
        return f"decode(md5({encoded}), 'hex')" if self.algorithm == "md5" else f"sha256({encoded})"


COMPAT = Compat()
"""MD5, `||`, `^^`, trimmed, upper-cased."""
