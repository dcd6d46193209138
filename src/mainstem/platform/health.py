"""Health: shared results of named probes, and the routes that show them.

Probes run in the background every interval and on demand, at most one run of each at a time, each within a
time limit; whoever asks meanwhile shares the result, so a storm of health requests costs one query a second.
Liveness runs no probe. What a probe raises is told in words of our own: answers are open to everyone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

import mainstem
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Pool, load_queries
from mainstem.platform.errors import UnavailableError
from mainstem.platform.http import request_id_of

SERVICE: Final = "mainstem"
FRESH_S: Final = 1.0
QUICK_WAIT_S: Final = 0.005
"""How long `/health` waits for a fresh result before it tells the last one."""

_QUERIES: Final = load_queries("mainstem.platform", "health.sql")

_logger = structlog.get_logger(__name__)

Probe = Callable[[], Awaitable[Mapping[str, object] | None]]
"""Returns facts to show, or None; raises UnhealthyError, or anything, when its part is not well."""


class UnhealthyError(Exception):
    """A part is not well; the sentence is shown to everyone, the facts beside it."""

    def __init__(self, reason: str, **facts: object) -> None:
        """Keep the public sentence and the facts that are known in spite of it."""
        super().__init__(reason)
        self.reason = reason
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Result:
    """What a probe found: well or not, how long it took, its facts and the reason when not well."""

    healthy: bool
    latency_ms: float = 0.0
    facts: Mapping[str, object] = field(default_factory=dict)
    reason: str | None = None
    taken_at: float = float("-inf")

    def shown(self) -> dict[str, object]:
        """Return the result as an entry of `checks`."""
        found: dict[str, object] = {
            "status": "healthy" if self.healthy else "unhealthy",
            "latency_ms": self.latency_ms,
            **self.facts,
        }
        return found if self.reason is None else {**found, "reason": self.reason}


_NOT_YET: Final = Result(healthy=False, reason="Not checked yet.")


@dataclass(slots=True)
class _Slot:
    probe: Probe
    critical: bool
    last: Result = _NOT_YET
    running: "asyncio.Task[None] | None" = None


class HealthRegistry:
    """The probes of a process by name, and their last results."""

    def __init__(self, *, interval_s: float = 30.0, timeout_s: float = 2.0, fresh_s: float = FRESH_S) -> None:
        """Check all every `interval_s`; a probe that takes longer than `timeout_s` is unhealthy.

        A result younger than `fresh_s` answers a request without a new check.
        """
        self._fresh_s = fresh_s
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._slots: dict[str, _Slot] = {}
        self._background: asyncio.Task[None] | None = None

    def register(self, name: str, probe: Probe, *, critical: bool = True) -> None:
        """Add a probe; one that is not critical is shown, and makes nothing unhealthy."""
        self._slots[name] = _Slot(probe, critical)

    def last(self, name: str) -> Result | None:
        """Return the last result of a probe, None when there is no such probe."""
        slot = self._slots.get(name)
        return None if slot is None else slot.last

    async def fresh(self, name: str, *, wait_s: float | None = None) -> Result | None:
        """Return a fresh result; the last one when none comes within `wait_s` (default: its limit)."""
        slot = self._slots.get(name)
        if slot is None:
            return None
        if time.monotonic() - slot.last.taken_at < self._fresh_s:
            return slot.last
        if slot.running is None or slot.running.done():
            slot.running = asyncio.create_task(self._run(name, slot), name=f"health-{name}")
        # not cancelled with the request that waits: others wait too
        await asyncio.wait({slot.running}, timeout=self._timeout_s + 0.5 if wait_s is None else wait_s)
        return slot.last

    async def fresh_all(self) -> dict[str, Result]:
        """Return fresh results of all probes, which run side by side."""
        results = await asyncio.gather(*(self.fresh(name) for name in self._slots))
        return {name: result for name, result in zip(self._slots, results, strict=True) if result is not None}

    def unwell(self, results: Mapping[str, Result]) -> list[str]:
        """Return the names of critical parts that are not well."""
        return [name for name, result in results.items() if self._slots[name].critical and not result.healthy]

    async def start(self) -> None:
        """Begin to check in the background."""
        self._background = asyncio.create_task(self._repeat(), name="health")

    async def stop(self) -> None:
        """End all checks."""
        tasks = [slot.running for slot in self._slots.values() if slot.running is not None]
        tasks += [self._background] if self._background is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self) -> None:
        while True:
            await self.fresh_all()
            await asyncio.sleep(self._interval_s)

    async def _run(self, name: str, slot: _Slot) -> None:
        started = time.perf_counter()
        facts: Mapping[str, object] = {}
        reason: str | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                facts = await slot.probe() or {}
        except UnhealthyError as error:
            facts, reason = error.facts, error.reason
        except TimeoutError:
            reason = f"No answer within {self._timeout_s:g} s."
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            reason = f"Not reachable ({type(error).__name__})."
        except Exception as error:
            _logger.exception("health probe failed", probe=name)
            reason = f"The check itself failed ({type(error).__name__})."
        latency_ms = round((time.perf_counter() - started) * 1_000, 2)
        if (reason is None) != slot.last.healthy and slot.last is not _NOT_YET:
            line = _logger.info if reason is None else _logger.warning
            line("health changed", probe=name, healthy=reason is None, reason=reason)
        slot.last = Result(reason is None, latency_ms, facts, reason, time.monotonic())


class DatabaseProbes:
    """Probes of the database, on one connection of their own: a full pool is no reason to be called dead."""

    def __init__(self, dsn: str, *, pools: Sequence[Pool], head: str, functions: Sequence[str] = ()) -> None:
        """Watch the database of `dsn`.

        `pools`: whose figures to add up; `head`: the newest revision of this code; `functions`: signatures such as
        `staging.trigger_pipeline_now()` that the SQL contract promises.
        """
        self._dsn = dsn
        self._pools = tuple(pools)
        self._head = head
        self._functions = list(functions)
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._one_at_a_time = asyncio.Lock()

    def register(self, registry: HealthRegistry) -> None:
        """Register `database` (it answers) and `schema` (migrated, and the contract's functions exist)."""
        registry.register("database", self.database)
        registry.register("schema", self.schema)

    async def close(self) -> None:
        """Close the connection."""
        async with self._one_at_a_time:
            await self._drop()

    async def database(self) -> Mapping[str, object]:
        """Return the figures of the pools, once the database has answered."""
        await self._fetch("select 1")
        return {"pool": self._pool()}

    async def schema(self) -> Mapping[str, object]:
        """Return revision and functions. Raises UnhealthyError when migrations or functions are missing."""
        if not (await self._fetch(_QUERIES["is_migrated"]))[0][0]:
            raise UnhealthyError("The database is not migrated; run `mainstem migrate up`.", api_functions=[])
        revision = str((await self._fetch(_QUERIES["schema_version"]))[0][0])
        found = [row[0] for row in await self._fetch(_QUERIES["contract_functions"], self._functions)]
        facts: dict[str, object] = {"revision": revision, "api_functions": found}
        # revisions start with their number; a schema newer than the code is fine
        if revision < self._head:
            raise UnhealthyError("Migrations are missing; run `mainstem migrate up`.", **facts)
        missing = [name for name in self._functions if name not in found]
        if missing:
            raise UnhealthyError(f"Functions are missing: {', '.join(missing)}.", **facts)
        return facts

    def _pool(self) -> dict[str, int]:
        sizes = [(pool.get_size(), pool.get_idle_size(), pool.get_max_size()) for pool in self._pools]
        size, idle, most = (sum(column) for column in zip(*sizes, strict=True)) if sizes else (0, 0, 0)
        return {"size": size, "in_use": size - idle, "max": most}

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        async with self._one_at_a_time:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(
                        self._dsn, server_settings={"application_name": "mainstem health"}
                    )
                return await self._connection.fetch(query, *arguments)
            except BaseException:
                # cancelled by the time limit too: the state of the connection is unknown then
                await self._drop()
                raise

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.terminate()


class Health(BaseModel):
    """Who answers, and whether the database does."""

    status: str = Field(examples=["healthy"])
    service: str
    timestamp: str
    version: str
    database_connected: bool
    database_latency_ms: float


class Liveness(BaseModel):
    """The process answers."""

    status: str
    service: str
    timestamp: str
    version: str


class Readiness(Liveness):
    """Traffic may come."""

    checks: dict[str, Any]


class DetailedHealth(Liveness):
    """Every check with its latency and facts; `api_functions` are those that were found in the database."""

    database: str = Field(examples=["connected"])
    checks: dict[str, Any]
    api_functions: list[str]


class DeepHealth(Liveness):
    """Database with its pool, cache, webhooks and open connections; parts that are not there say so."""

    database: dict[str, Any]
    cache: dict[str, Any]
    webhooks: dict[str, Any]
    connections: dict[str, Any]


def _same_when_unwell(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    return {503: {"model": model, "description": "The same fields, and what is wrong in detail, code, request_id."}}


def _head(status: str) -> dict[str, object]:
    return {
        "status": status,
        "service": SERVICE,
        "timestamp": rfc3339(utc_now()),
        "version": mainstem.__version__,
    }


def detailed(results: Mapping[str, Result], unwell: Sequence[str]) -> dict[str, object]:
    """Return the answer of `/health/detailed` and `/health/db`."""
    database, schema = results.get("database"), results.get("schema")
    return {
        **_head("unhealthy" if unwell else "healthy"),
        "database": "connected" if database is not None and database.healthy else "disconnected",
        "checks": {name: result.shown() for name, result in results.items()},
        "api_functions": list(_facts(schema).get("api_functions", [])),
    }


def deep(results: Mapping[str, Result], unwell: Sequence[str]) -> dict[str, object]:
    """Return the answer of `/health/deep`; cache, webhooks and connections come from probes of these names."""
    database = results.get("database") or _NOT_YET
    cache, webhooks = results.get("cache"), results.get("webhooks")
    return {
        **_head("degraded" if unwell else "healthy"),
        "database": {"pool": {"size": 0, "in_use": 0, "max": 0}, **database.shown()},
        "cache": {"hit_rate": 0.0, "size": 0, **(cache.shown() if cache else {"status": "absent"})},
        "webhooks": {
            "active": 0,
            "degraded": 0,
            "pending": 0,
            **(webhooks.shown() if webhooks else {"status": "absent"}),
        },
        "connections": dict(_facts(results.get("connections"))),
    }


def _facts(result: Result | None) -> Mapping[str, Any]:
    return {} if result is None else result.facts


def _answer(request: Request, body: dict[str, object], unwell: Sequence[str]) -> JSONResponse:
    if unwell:
        told = f"Not well: {', '.join(unwell)}."
        body |= {"detail": told, "code": UnavailableError.code, "request_id": request_id_of(request)}
    return JSONResponse(body, 503 if unwell else 200, headers={"Cache-Control": "no-store"})


def router(registry: HealthRegistry | Callable[[], HealthRegistry]) -> APIRouter:
    """Return the health routes over a registry, or over a function that finds it when a request comes."""
    routes = APIRouter(prefix="/health", tags=["health"])

    def find() -> HealthRegistry:
        return registry if isinstance(registry, HealthRegistry) else registry()

    @routes.get("", summary="Is it up, and is the database there?", response_model=Health)
    async def health(request: Request) -> JSONResponse:
        """Answer at once, 200 even while the database is away: `database_connected` says so."""
        database = await find().fresh("database", wait_s=QUICK_WAIT_S) or _NOT_YET
        body = {**_head("healthy"), "database_connected": database.healthy, "database_latency_ms": database.latency_ms}
        return _answer(request, body, ())

    @routes.get("/live", summary="Does the process answer?", response_model=Liveness)
    async def live(request: Request) -> JSONResponse:
        """Answer without touching the database."""
        return _answer(request, _head("alive"), ())

    @routes.get("/ready", summary="May traffic come?", response_model=Readiness)
    async def ready(request: Request) -> JSONResponse:
        """Answer 503, as a problem, while the database is away or migrations are missing."""
        results = await find().fresh_all()
        unwell = find().unwell(results)
        if unwell:
            reasons = " ".join(f"{name}: {results[name].reason}" for name in unwell)
            raise UnavailableError(f"Not ready. {reasons}")
        return _answer(request, {**_head("ready"), "checks": {name: one.shown() for name, one in results.items()}}, ())

    @routes.get(
        "/db",
        summary="Database and SQL contract",
        response_model=DetailedHealth,
        responses=_same_when_unwell(DetailedHealth),
    )
    @routes.get(
        "/detailed", summary="Every check", response_model=DetailedHealth, responses=_same_when_unwell(DetailedHealth)
    )
    async def all_checks(request: Request) -> JSONResponse:
        """Answer 503 with the same fields when a critical check fails."""
        results = await find().fresh_all()
        unwell = find().unwell(results)
        return _answer(request, detailed(results, unwell), unwell)

    @routes.get(
        "/deep",
        summary="Database, cache, webhooks, connections",
        response_model=DeepHealth,
        responses=_same_when_unwell(DeepHealth),
    )
    async def deep_health(request: Request) -> JSONResponse:
        """Answer 503 with the same fields when degraded."""
        results = await find().fresh_all()
        unwell = find().unwell(results)
        return _answer(request, deep(results, unwell), unwell)

    return routes
