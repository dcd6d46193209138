"""What connectors keep of a person: deliveries, bookings, planned orders, differences of runs and mails. Told, or erased.

A person is known here by addresses and numbers alone. Bookings keep the keyed hashes of those that stood in any reading of them; bodies of
deliveries, which are sealed, are opened and looked through. The name of a person's booking goes with the person, for it is theirs more often
than not; what the kitchen needs of it stays.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from mainstem.connectors import deliveries
from mainstem.connectors.people import ERASED, identifiers_in, names_beside, read, without
from mainstem.pii.box import Keyring, PiiKeyError
from mainstem.pii.theirs import Theirs
from mainstem.platform.clock import rfc3339
from mainstem.platform.db import Connection, load_queries

_FETCHED: Final = 200
_SHORTEST_WORD: Final = 4
_sql: Final = load_queries("mainstem.connectors", "erasing.sql")


@dataclass(slots=True)
class _Found:
    """Where a person stands."""

    deliveries: list[tuple[asyncpg.Record, object]] = field(default_factory=list)
    """Rows with their opened bodies."""
    bookings: list[asyncpg.Record] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    """What they may be called elsewhere, in lower case."""

    @property
    def keys(self) -> list[int]:
        return [row["booking_key"] for row in self.bookings]

    @property
    def pairs(self) -> tuple[list[str], list[str]]:
        return [row["connector"] for row in self.bookings], [row["booking_id"] for row in self.bookings]

    @property
    def by_connector(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in self.bookings:
            found.setdefault(row["connector"], []).append(row["booking_id"])
        return found

    @property
    def refs(self) -> list[str]:
        return [f"booking:{row['booking_id']}" for row in self.bookings]


class KeptByConnectors:
    """What the connectors of an installation keep of people."""

    def __init__(self, keyring: Keyring) -> None:
        """Keep the installation's key, under which bodies are sealed."""
        self._keyring = keyring

    async def knows(self, connection: Connection, tenant_id: int, theirs: Theirs) -> bool:
        """Tell whether a person stands in a booking or a delivery."""
        found = await self._find(connection, tenant_id, theirs)
        return bool(found.deliveries or found.bookings)

    async def erase(self, connection: Connection, tenant_id: int, theirs: Theirs) -> dict[str, int]:
        """Erase a person; return how many rows of what changed."""
        found = await self._find(connection, tenant_id, theirs)
        if not (found.deliveries or found.bookings):
            return {}
        ids = [row["delivery_id"] for row, _ in found.deliveries]
        await connection.execute(_sql["blank_deliveries"], tenant_id, ids)
        for row in found.bookings:
            doc = json.dumps(_redacted(json.loads(row["doc"]), found.words, "name", lines="lines"))
            error = without(row["error"], found.words)
            await connection.execute(_sql["blank_booking"], row["booking_key"], ERASED, doc, error)
        orders = await connection.fetch(_sql["orders"], found.keys)
        for row in orders:
            plan = None if row["plan"] is None else json.loads(row["plan"])
            text = None if plan is None else json.dumps(_redacted(plan, found.words, "title", "notes", lines="items"))
            await connection.execute(_sql["blank_order"], row["order_key"], text, without(row["error"], found.words))
        for connector, booking_ids in found.by_connector.items():
            words = sorted(found.words)
            await connection.execute(_sql["blank_differences"], tenant_id, connector, booking_ids, words, ERASED)
            await connection.execute(_sql["blank_events"], tenant_id, connector, booking_ids, ERASED)
        mails = await self._mails(connection, tenant_id, found)
        for row in mails:
            lines = row["body"].splitlines()
            whole = row["ref"] in found.refs
            body = ERASED if whole else "\n".join(without(line, found.words) or "" for line in lines)
            await connection.execute(_sql["blank_mail"], row["mail_id"], body)
        return {"deliveries": len(ids), "bookings": len(found.bookings), "orders": len(orders), "mails": len(mails)}

    async def export(
        self, connection: Connection, tenant_id: int, theirs: Theirs
    ) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Yield what is kept of a person, opened."""
        found = await self._find(connection, tenant_id, theirs)
        for row, body in found.deliveries:
            yield "deliveries", {**_shown(row, "body"), "body": body}
        for row in found.bookings:
            yield "bookings", {**_shown(row, "booking_key", "doc"), "booking": json.loads(row["doc"])}
        for row in await connection.fetch(_sql["orders"], found.keys):
            yield "orders", {**_shown(row, "plan"), "plan": None if row["plan"] is None else json.loads(row["plan"])}
        for row in await connection.fetch(_sql["differences"], tenant_id, *found.pairs):
            yield "differences", _shown(row)
        for row in await self._mails(connection, tenant_id, found):
            yield "mails", _shown(row)

    async def _mails(self, connection: Connection, tenant_id: int, found: _Found) -> list[asyncpg.Record]:
        return await connection.fetch(_sql["mails"], tenant_id, found.refs, sorted(found.words))

    async def _find(self, connection: Connection, tenant_id: int, theirs: Theirs) -> _Found:
        found = _Found()
        async for row in connection.cursor(_sql["deliveries"], tenant_id, prefetch=_FETCHED):
            try:
                body = read(deliveries.unseal(self._keyring, row["body"]))
            except (PiiKeyError, ValueError):
                # what nobody can open needs no erasing
                continue
            if any(one in theirs for one in identifiers_in(body)):
                found.deliveries.append((row, body))
                found.words |= {name.lower() for name in names_beside(body, theirs)}
                found.words |= {one.value for one in identifiers_in(body) if one in theirs}
        named = [row for row, _ in found.deliveries if row["booking_id"] is not None]
        found.bookings = await connection.fetch(
            _sql["bookings"],
            tenant_id,
            list(theirs.lookups),
            [row["connector"] for row in named],
            [row["booking_id"] for row in named],
        )
        found.words |= {row["name"].lower() for row in found.bookings if row["name"] != ERASED}
        found.words = {word for word in found.words if len(word) >= _SHORTEST_WORD}
        return found


def _redacted(doc: dict[str, Any], words: set[str], *names: str, lines: str) -> dict[str, Any]:
    """Return a booking or a plan without what it is called; notes of items stay, unless the person stands in them."""
    kept = {**doc, **{name: ERASED for name in names if name in doc}}
    if isinstance(doc.get(lines), list):
        kept[lines] = [{**one, "note": without(one.get("note"), words)} for one in doc[lines]]
    return kept


def _shown(row: asyncpg.Record, *hidden: str) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items() if name not in hidden}


def _value(value: Any) -> Any:  # noqa: ANN401 - a column
    if hasattr(value, "tzinfo"):
        return rfc3339(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)
