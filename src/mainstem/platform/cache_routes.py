"""Routes of the cache (CONTRACTS part C): `/api/v1/cache/stats`, `/warm`, `/invalidate`. A caller changes its tenant's entries only."""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from mainstem.platform.auth import Caller
from mainstem.platform.cache import ANY, Cache, Counts, Figures
from mainstem.platform.errors import BadRequestError

_ROUNDED: Final = 4


class CacheCountsOut(BaseModel):
    """Figures of a part of the cache in one process."""

    hits: int
    misses: int
    size: int = Field(description="Entries now.")
    bytes: int = Field(description="About how much memory they take.")


class CacheMemoryOut(CacheCountsOut):
    """The memory of the process, without the links, which have a structure of their own."""

    max_size: int


class CacheRedisOut(CacheCountsOut):
    """Redis, as far as this process asked it. Size and bytes are those of all that it holds."""

    enabled: bool
    available: bool = Field(description="How the last question went.")
    failures: int = Field(description="Questions that got no answer in time.")


class CacheStatsOut(BaseModel):
    """Figures of the cache of the process that answers, since its start."""

    hit_rate: float = Field(ge=0, le=1)
    hit_rate_percent: float = Field(ge=0, le=100)
    cache_hits: int
    cache_misses: int = Field(description="Values that had to be loaded.")
    hits: int = Field(description="As cache_hits.")
    misses: int = Field(description="As cache_misses.")
    total_requests: int
    size: int = Field(description="Entries in memory, those of links included.")
    current_size_bytes: int
    cache_type: Literal["hybrid", "memory", "disabled"] = Field(description="hybrid: memory and Redis.")
    max_size: int = Field(description="CACHE_MAX_SIZE; links have LINK_CACHE_SIZE.")
    ttl_seconds: float
    l1: CacheMemoryOut
    l2: CacheRedisOut
    regions: dict[str, CacheCountsOut]


class CacheWarmedOut(BaseModel):
    """What was loaded."""

    status: Literal["success"] = "success"
    message: str
    warmed_entries: int = Field(description="In the process that answers; the others do the same.")
    warmed: int = Field(description="As warmed_entries.")
    duration_ms: float
    regions: dict[str, int]


class CacheInvalidatedOut(BaseModel):
    """What was dropped."""

    status: Literal["success"] = "success"
    message: str
    invalidated: int = Field(description="Entries of the process that answers; the others drop theirs, too.")


def build_router(
    *, cache: Callable[[], Cache], require: Callable[[str], Callable[..., Awaitable[Caller]]]
) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1/cache", tags=["cache"])
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type

    async def drop(caller: Caller, region: str, pattern: str) -> int:
        # nothing that a caller sends can reach before the colon
        return await cache().invalidate(region, f"{caller.tenant_id}:{pattern}")

    @router.get("/stats", summary="Figures of the cache")
    async def stats(_caller: Reader) -> CacheStatsOut:
        return shown(await cache().figures())

    @router.post("/warm", summary="Load what you use most")
    async def warm(caller: Admin) -> CacheWarmedOut:
        began = perf_counter()
        regions = await cache().warm(caller.tenant_id)
        entries = sum(regions.values())
        duration_ms = round((perf_counter() - began) * 1_000, 2)
        message = f"{entries} entries are warm."
        return CacheWarmedOut(
            message=message, warmed_entries=entries, warmed=entries, duration_ms=duration_ms, regions=regions
        )

    @router.post("/invalidate", summary="Drop all your entries")
    async def invalidate(caller: Admin) -> CacheInvalidatedOut:
        return _dropped(await drop(caller, ANY, ANY))

    @router.post("/invalidate/pattern", summary="Drop your entries whose key matches a pattern")
    async def invalidate_pattern(
        caller: Admin,
        pattern: Annotated[
            str, Query(max_length=200, description="Such as `webhook:12:*` or, with a region, `dashboard:*`.")
        ] = "",
    ) -> CacheInvalidatedOut:
        if ANY not in pattern:
            raise BadRequestError("A pattern needs an asterisk, such as webhook:12:*", field="pattern")
        return _dropped(await drop(caller, ANY, pattern.replace("\x00", "")))

    @router.post("/invalidate/{region}", status_code=204, summary="Drop your entries of a region")
    async def invalidate_region(
        caller: Admin, region: Literal["alerts", "webhooks", "dashboard", "links", "all"]
    ) -> None:
        await drop(caller, ANY if region == "all" else region, ANY)

    return router


def shown(figures: Figures) -> CacheStatsOut:
    """Return the figures in the words of the contract."""
    parts = figures.regions.values()
    hits, misses = sum(one.hits for one in parts), sum(one.misses for one in parts)
    rate = hits / (hits + misses) if hits + misses else 0.0
    shared = figures.shared or Counts()
    return CacheStatsOut(
        hit_rate=round(rate, _ROUNDED),
        hit_rate_percent=round(rate * 100, _ROUNDED - 2),
        cache_hits=hits,
        cache_misses=misses,
        hits=hits,
        misses=misses,
        total_requests=hits + misses,
        size=sum(one.size for one in parts),
        current_size_bytes=sum(one.bytes for one in parts),
        cache_type="disabled" if not figures.enabled else "memory" if figures.shared is None else "hybrid",
        max_size=figures.max_size,
        ttl_seconds=figures.ttl_s,
        l1=CacheMemoryOut(**_fields(figures.local), max_size=figures.max_size),
        l2=CacheRedisOut(
            **_fields(shared),
            enabled=figures.shared is not None,
            available=figures.shared_available,
            failures=figures.shared_failures,
        ),
        regions={region: CacheCountsOut(**_fields(one)) for region, one in figures.regions.items()},
    )


def _fields(counts: Counts) -> dict[str, int]:
    return {"hits": counts.hits, "misses": counts.misses, "size": counts.size, "bytes": counts.bytes}


def _dropped(entries: int) -> CacheInvalidatedOut:
    return CacheInvalidatedOut(message=f"{entries} entries were dropped.", invalidated=entries)
