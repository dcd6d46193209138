"""The mapping in the database: entries of a connector and establishment, in the caller's transaction."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from mainstem.connectors import ledger
from mainstem.connectors.mapping import Entry, key_of
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import NotFoundError

_sql: Final = load_queries("mainstem.connectors", "items.sql")


async def rows(connection: Connection, tenant_id: int, connector: str, establishment: str) -> list[asyncpg.Record]:
    """Return the entries with who made them, by name."""
    return await connection.fetch(_sql["all"], tenant_id, connector, establishment)


async def item_map(connection: Connection, tenant_id: int, connector: str, establishment: str) -> dict[str, Entry]:
    """Return the entries by key."""
    found = await rows(connection, tenant_id, connector, establishment)
    return {row["item_key"]: Entry(row["item"], row["product"], row["product_name"]) for row in found}


async def put(  # noqa: PLR0913 - whose mapping, and how it changes
    connection: Connection,
    tenant_id: int,
    connector: str,
    establishment: str,
    entries: Sequence[Entry],
    *,
    by: str,
    whole: bool = False,
) -> int:
    """Add entries or change them; `whole`: they are all that there is. Bookings that waited for them are looked at again.

    Returns how many others were deleted.
    """
    unique = list({entry.key: entry for entry in entries}.values())
    keys = [entry.key for entry in unique]
    await connection.execute(
        _sql["put"],
        *(tenant_id, connector, establishment, keys),
        [entry.item for entry in unique],
        [entry.product for entry in unique],
        [entry.product_name for entry in unique],
        by,
    )
    gone: int = 0
    if whole:
        gone = await connection.fetchval(_sql["keep_only"], tenant_id, connector, establishment, keys)
    await ledger.fire_unmapped(connection, tenant_id, connector, establishment)
    return gone


async def delete(connection: Connection, tenant_id: int, connector: str, establishment: str, item: str) -> None:
    """Delete the entry of an item. Raises NotFoundError."""
    found = await connection.fetchval(_sql["delete"], tenant_id, connector, establishment, key_of(item))
    if found is None:
        raise NotFoundError(f"No mapping of {item!r}")
    await ledger.fire_unmapped(connection, tenant_id, connector, establishment)


async def unmapped(
    connection: Connection, tenant_id: int, connector: str, establishment: str, *, most: int = 200
) -> list[tuple[str, int]]:
    """Return the items of failed bookings that have no product, with how many bookings each holds up."""
    known = await item_map(connection, tenant_id, connector, establishment)
    found = await connection.fetch(_sql["unmapped"], tenant_id, connector, establishment, most)
    return [(row["item"], row["bookings"]) for row in found if key_of(row["item"]) not in known]
