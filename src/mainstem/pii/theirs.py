"""Whether an identifier is one of a person's, without knowing what they are: by their keyed hashes. Pure."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mainstem.pii.box import lookup
from mainstem.pii.identify import Identifier
from mainstem.platform.db import Connection


@dataclass(frozen=True, slots=True)
class Theirs:
    """The identifiers of one person."""

    key: bytes
    """Lookup key of the tenant."""
    lookups: frozenset[bytes]

    def __contains__(self, one: object) -> bool:
        """Tell whether an identifier leads to the person."""
        return isinstance(one, Identifier) and lookup(self.key, one.kind, one.value) in self.lookups


class Kept(Protocol):
    """What a part of the product keeps of people beside events: found, told and erased by their identifiers."""

    async def knows(self, connection: Connection, tenant_id: int, theirs: Theirs) -> bool:
        """Tell whether anything is kept of a person."""

    async def erase(self, connection: Connection, tenant_id: int, theirs: Theirs) -> dict[str, int]:
        """Erase what is kept, in the caller's transaction; return how much of what."""

    def export(
        self, connection: Connection, tenant_id: int, theirs: Theirs
    ) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Yield what is kept, as (section, row), sections one after the other."""
