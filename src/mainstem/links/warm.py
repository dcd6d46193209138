"""Looks up the links that a tenant's visitors are most likely to ask for, before they do."""

from typing import Final

from mainstem.links.cache import LinkCache
from mainstem.platform.db import Pool, load_queries, transaction

MOST: Final = 1_000
_sql: Final = load_queries("mainstem.links")


async def warm(cache: LinkCache, pool: Pool, tenant_id: int) -> int:
    """Keep a tenant's links that are clicked most, then its newest; return how many. Raises UnavailableError."""
    async with transaction(pool, tenant_id=tenant_id) as connection:
        rows = await connection.fetch(_sql["most_visited"], tenant_id, min(MOST, cache.most))
    return await cache.warm([(row["host"], row["slug"]) for row in rows])
