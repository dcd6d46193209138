"""The dashboard API: overview, performance, webhooks and anomalies, each by itself or all at once."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Depends, Query

from mainstem.dashboard import figures, parts
from mainstem.dashboard.models import (
    AnomaliesAnswer,
    Dashboard,
    OverviewAnswer,
    PerformanceAnswer,
    WebhooksAnswer,
)
from mainstem.dashboard.parts import Part
from mainstem.platform.auth import Caller
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Connection, Pool, transaction

REGION: Final = "dashboard"
"""The cache's region of these answers; keys begin with the tenant's id."""
_FRESH_S: Final = 5.0
_ANOMALIES_FRESH_S: Final = 60.0
_MINUTES: Final = figures.WINDOW // timedelta(minutes=1)
_WEBHOOKS: Final = 20
_DAYS: Final = 7

Days = Annotated[int, Query(ge=1, le=30, description="Days to look back.")]
Minutes = Annotated[int, Query(ge=1, le=1_440, description="Minutes to look back.")]


class Cache(Protocol):
    """What keeps answers for a while."""

    async def get(self, region: str, key: str, loader: Callable[[], Awaitable[Any]], ttl_s: float | None = None) -> Any:  # noqa: ANN401 - what the loader returned
        """Return what is kept under a key, or what the loader returns, which is kept for `ttl_s` seconds."""


class _Answers:
    """The parts of the dashboard, through the cache."""

    def __init__(self, pool: Callable[[], Pool], cache: Callable[[], Cache], window: figures.Window) -> None:
        self._pool = pool
        self._cache = cache
        self._window = window

    async def overview(self, tenant_id: int) -> Part:
        async def load(connection: Connection) -> Part:
            return {**await parts.overview(connection, tenant_id), "updated_at": rfc3339(utc_now())}

        return await self._cached(tenant_id, "overview", load)

    async def performance(self, tenant_id: int, minutes: int) -> Part:
        async def load(connection: Connection) -> Part:
            return await parts.performance(connection, self._window, utc_now(), timedelta(minutes=minutes))

        return await self._cached(tenant_id, f"performance:{minutes}", load)

    async def webhooks(self, tenant_id: int, limit: int) -> Part:
        async def load(connection: Connection) -> Part:
            return {"items": await parts.webhooks(connection, tenant_id, limit)}

        return await self._cached(tenant_id, f"webhooks:{limit}", load)

    async def anomalies(self, tenant_id: int, days: int) -> Part:
        async def load(connection: Connection) -> Part:
            return await parts.anomalies(connection, tenant_id, days, utc_now())

        return await self._cached(tenant_id, f"anomalies:{days}", load, _ANOMALIES_FRESH_S)

    async def _cached(
        self, tenant_id: int, key: str, load: Callable[[Connection], Awaitable[Part]], ttl_s: float = _FRESH_S
    ) -> Part:
        loaded = False

        async def loader() -> Part:
            nonlocal loaded
            loaded = True
            async with transaction(self._pool(), tenant_id=tenant_id) as connection:
                found = await load(connection)
            return {**found, "generated_at": rfc3339(utc_now())}

        found = await self._cache().get(REGION, f"{tenant_id}:{key}", loader, ttl_s=ttl_s)
        return {**found, "cache_hit": not loaded}


def warmer(
    *, pool: Callable[[], Pool], cache: Callable[[], Cache], window: figures.Window
) -> Callable[[int], Awaitable[int]]:
    """Return what loads the dashboard of a tenant before somebody asks; it returns the number of its parts."""
    answers = _Answers(pool, cache, window)

    async def warm(tenant_id: int) -> int:
        await answers.overview(tenant_id)
        await answers.performance(tenant_id, _MINUTES)
        await answers.webhooks(tenant_id, _WEBHOOKS)
        await answers.anomalies(tenant_id, _DAYS)
        return 4

    return warm


def build_router(
    *,
    pool: Callable[[], Pool],
    require: Callable[[str], Callable[..., Awaitable[Caller]]],
    cache: Callable[[], Cache],
    window: figures.Window,
) -> APIRouter:
    """Return the routes; all need the scope read."""
    router = APIRouter(prefix="/api/v1/dashboard", tags=["dashboard"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type
    answers = _Answers(pool, cache, window)

    @router.get("", summary="Everything at once")
    async def dashboard(caller: Reader) -> Dashboard:
        """Answer overview, performance, webhooks and anomalies; `cache_hit` when all of them were cached."""
        tenant_id = caller.tenant_id
        overview, performance = await answers.overview(tenant_id), await answers.performance(tenant_id, _MINUTES)
        webhooks, anomalies = await answers.webhooks(tenant_id, _WEBHOOKS), await answers.anomalies(tenant_id, _DAYS)
        return Dashboard.model_validate(
            {
                "overview": overview,
                "performance": performance,
                "webhooks": webhooks["items"],
                "anomalies": anomalies,
                **parts.oldest((overview, performance, webhooks, anomalies)),
            }
        )

    @router.get("/overview", summary="Deliveries, endpoints and events of the tenant")
    async def overview(caller: Reader) -> OverviewAnswer:
        """Answer figures that are kept as they change, so this costs the same after years."""
        return OverviewAnswer.model_validate(await answers.overview(caller.tenant_id))

    @router.get("/performance", summary="Latency, errors and cache hits of the installation")
    async def performance(caller: Reader, minutes: Minutes = _MINUTES) -> PerformanceAnswer:
        """Answer for all processes together."""
        return PerformanceAnswer.model_validate(await answers.performance(caller.tenant_id, minutes))

    @router.get("/webhooks", summary="Endpoints by health")
    async def webhooks(caller: Reader, limit: Annotated[int, Query(ge=1, le=500)] = _WEBHOOKS) -> WebhooksAnswer:
        """Answer those that need a look first."""
        found = await answers.webhooks(caller.tenant_id, limit)
        return WebhooksAnswer.model_validate({**found, "webhooks": found["items"], "total": len(found["items"])})

    @router.get("/anomalies", summary="Hours far from an endpoint's own history")
    async def anomalies(caller: Reader, days: Days = _DAYS) -> AnomaliesAnswer:
        """Answer hours with unusually many failures, or unusually many or few attempts."""
        return AnomaliesAnswer.model_validate(await answers.anomalies(caller.tenant_id, days))

    return router
