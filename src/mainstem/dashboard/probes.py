"""What `/health/deep` tells of webhooks, the cache and open connections: counts, nothing of any tenant. None makes it unwell."""

from collections.abc import Callable, Mapping

from mainstem.dashboard import figures
from mainstem.dashboard.clients import Clients
from mainstem.platform.cache import Cache
from mainstem.platform.db import Pool, transaction
from mainstem.platform.health import HealthRegistry


def register(registry: HealthRegistry, *, owner_pool: Callable[[], Pool], clients: Clients, cache: Cache) -> None:
    """Register the probes `webhooks` (over all tenants, as the owner sees them), `connections` and `cache` (of this process)."""

    async def webhooks() -> Mapping[str, object]:
        async with transaction(owner_pool()) as connection:
            return (await figures.health(connection))._asdict()

    async def connections() -> Mapping[str, object]:
        return {"websocket": len(clients)}

    async def kept() -> Mapping[str, object]:
        found = await cache.figures()
        hits, misses = cache.counters()
        told: dict[str, object] = {
            "hit_rate": round(hits / (hits + misses), 4) if hits + misses else 0.0,
            "size": sum(one.size for one in found.regions.values()),
        }
        return told if found.shared is None else {**told, "redis": "up" if found.shared_available else "away"}

    registry.register("cache", kept, critical=False)
    registry.register("webhooks", webhooks, critical=False)
    registry.register("connections", connections, critical=False)
