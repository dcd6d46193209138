"""The queries of the access-log import, one typed function each; see `queries.sql` for their intent."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from mainstem.events.model import Reject
from mainstem.platform.db import Connection, load_queries

_SQL: Final = load_queries("mainstem.site.access_log")


async def known_events(connection: Connection, tenant_id: int, event_uids: Collection[UUID]) -> set[UUID]:
    """Return those of the events that are loaded already."""
    rows = await connection.fetch(_SQL["known_events"], tenant_id, list(event_uids))
    return {UUID(int=row[0].int) for row in rows}


async def known_rejects(connection: Connection, tenant_id: int, rejects: Sequence[Reject]) -> set[tuple[str, str]]:
    """Return (reason, payload) of those of the rejects that an earlier import kept."""
    reasons, payloads = [reject.reason for reject in rejects], [reject.payload for reject in rejects]
    rows = await connection.fetch(_SQL["known_rejects"], tenant_id, reasons, payloads)
    return {(row[0], row[1]) for row in rows}


async def lock(connection: Connection, tenant_id: int) -> bool:
    """Take the tenant's import lock for this connection; False when another import holds it."""
    return bool(await connection.fetchval(_SQL["lock"], tenant_id))


async def unlock(connection: Connection, tenant_id: int) -> None:
    """Give the tenant's import lock back."""
    await connection.fetchval(_SQL["unlock"], tenant_id)
