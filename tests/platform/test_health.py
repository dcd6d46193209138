"""Health: shared probes, liveness without a database, readiness, the contracts' shapes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import httpx
import pytest
from clusters import DurableCluster
from fastapi import FastAPI

from mainstem.platform import http, migrate
from mainstem.platform.db import Pool
from mainstem.platform.health import DatabaseProbes, HealthRegistry, UnhealthyError, router
from mainstem.platform.settings import Settings

CANARY = "canary-Zq7wX2mV9kLp4RtY8sNb3HcJ"
NOWHERE = f"postgresql://u:{CANARY}@127.0.0.1:1/x"
FUNCTIONS = ("platform.current_tenant_id()", "platform.tenant_id_of_slug(text)")


def _client(registry: HealthRegistry) -> httpx.AsyncClient:
    app = FastAPI()
    http.install(app, Settings(_env_file=None))
    app.include_router(router(lambda: registry))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


Registry = Callable[..., HealthRegistry]


@pytest.fixture
async def registry_of() -> AsyncIterator[Registry]:
    """Yield a maker of registries over a database; their own connections are closed at the end."""
    async with AsyncExitStack() as stack:

        def make(
            dsn: str, *, pools: tuple[Pool, ...] = (), head: str | None = None, functions: tuple[str, ...] = FUNCTIONS
        ) -> HealthRegistry:
            registry = HealthRegistry(fresh_s=0, timeout_s=5)
            probes = DatabaseProbes(dsn, pools=pools, head=head or migrate.head(), functions=functions)
            probes.register(registry)
            stack.push_async_callback(probes.close)
            stack.push_async_callback(registry.stop)
            return registry

        yield make


@pytest.fixture
async def well(dsn: str, worker_pool: Pool) -> AsyncIterator[HealthRegistry]:
    """Yield a registry over a migrated database."""
    registry = HealthRegistry(timeout_s=5)
    probes = DatabaseProbes(dsn, pools=(worker_pool,), head=migrate.head(), functions=FUNCTIONS)
    probes.register(registry)
    yield registry
    await registry.stop()
    await probes.close()


async def test_all_is_well(well: HealthRegistry) -> None:
    async with _client(well) as client:
        answers = {path: await client.get(path) for path in ("/health/ready", "/health", "/health/live", "/health/db")}
        answers |= {path: await client.get(path) for path in ("/health/detailed", "/health/deep")}
    assert {answer.status_code for answer in answers.values()} == {200}
    for answer in answers.values():
        body = answer.json()
        assert body["service"] == "mainstem"
        assert body["timestamp"].endswith("Z")
        assert body["version"]
        assert answer.headers["cache-control"] == "no-store"
    health = answers["/health"].json()
    assert (health["status"], health["database_connected"]) == ("healthy", True)
    assert health["database_latency_ms"] > 0
    detailed = answers["/health/detailed"].json()
    assert (detailed["status"], detailed["database"]) == ("healthy", "connected")
    assert {check["status"] for check in detailed["checks"].values()} == {"healthy"}
    assert answers["/health/db"].json()["api_functions"] == list(FUNCTIONS)
    deep = answers["/health/deep"].json()
    assert deep["database"]["pool"] == {"size": 1, "in_use": 0, "max": 8}
    assert {"status", "latency_ms"} <= set(deep["database"])
    assert (deep["cache"], deep["connections"]) == ({"status": "absent", "hit_rate": 0.0, "size": 0}, {})
    assert deep["webhooks"] == {"status": "absent", "active": 0, "degraded": 0, "pending": 0}


async def test_liveness_and_health_stay_up_while_the_database_is_away(registry_of: Registry) -> None:
    registry = registry_of(NOWHERE)
    async with _client(registry) as client:
        live = await client.get("/health/live")
        assert live.status_code == 200
        untouched = registry.last("database")
        assert untouched is not None
        assert untouched.taken_at < 0, "liveness ran a probe"
        ready = await client.get("/health/ready")
        health = await client.get("/health")
        rest = [await client.get(path) for path in ("/health/detailed", "/health/db", "/health/deep")]
    assert (health.status_code, health.json()["status"], health.json()["database_connected"]) == (200, "healthy", False)
    assert ready.status_code == 503
    assert ready.headers["content-type"] == "application/problem+json"
    assert ready.headers["retry-after"] == "5"
    assert [answer.status_code for answer in rest] == [503, 503, 503]
    assert [answer.json()["status"] for answer in rest] == ["unhealthy", "unhealthy", "degraded"]
    assert rest[0].json()["database"] == "disconnected"
    assert {"detail", "code", "request_id", "checks", "api_functions"} <= set(rest[1].json())
    assert CANARY not in "".join(answer.text for answer in (ready, health, *rest))


async def test_readiness_follows_the_database_down_and_up(
    durable_cluster: DurableCluster, registry_of: Registry
) -> None:
    registry = registry_of(durable_cluster.dsn)
    async with _client(registry) as client:
        found = [(await client.get("/health/ready")).status_code]
        durable_cluster.stop()
        found.append((await client.get("/health/ready")).status_code)
        durable_cluster.start()
        found.append((await client.get("/health/ready")).status_code)
    assert found == [200, 503, 200]


async def test_an_unmigrated_database_is_not_ready(empty_dsn: str, registry_of: Registry) -> None:
    async with _client(registry_of(empty_dsn)) as client:
        ready, health, database = [await client.get(f"/health{path}") for path in ("/ready", "", "/db")]
    assert ready.status_code == 503
    assert "mainstem migrate up" in ready.json()["detail"]
    assert health.json()["database_connected"] is True
    assert (database.status_code, database.json()["database"]) == (503, "connected")


@pytest.mark.parametrize(("head", "status"), [("0000", 200), ("9999", 503)])
async def test_a_schema_may_be_newer_than_the_code_but_not_older(
    dsn: str, head: str, status: int, registry_of: Registry
) -> None:
    async with _client(registry_of(dsn, head=head)) as client:
        assert (await client.get("/health/ready")).status_code == status


async def test_functions_are_listed_only_when_they_exist(dsn: str, registry_of: Registry) -> None:
    async with _client(registry_of(dsn, functions=("platform.no_such_thing(int)", *FUNCTIONS))) as client:
        answer = await client.get("/health/db")
    assert (answer.status_code, answer.json()["api_functions"]) == (503, list(FUNCTIONS))
    assert "platform.no_such_thing(int)" in answer.json()["checks"]["schema"]["reason"]


async def test_a_full_pool_is_no_reason_to_be_called_dead(dsn: str, worker_pool: Pool, registry_of: Registry) -> None:
    taken = [await worker_pool.acquire() for _ in range(8)]
    async with _client(registry_of(dsn, pools=(worker_pool,))) as client:
        answer = await client.get("/health/deep")
    for connection in taken:
        await worker_pool.release(connection)
    assert answer.status_code == 200
    assert answer.json()["database"]["pool"] == {"size": 8, "in_use": 8, "max": 8}


async def test_a_cut_connection_is_opened_again(
    dsn: str, connection: asyncpg.Connection, registry_of: Registry
) -> None:
    async with _client(registry_of(dsn)) as client:
        assert (await client.get("/health/ready")).status_code == 200
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mainstem health'"
        )
        statuses = [(await client.get("/health/ready")).status_code for _ in range(2)]
    assert statuses[-1] == 200


class _Counted:
    """A probe that counts its runs and answers when it is let."""

    def __init__(self) -> None:
        self.runs = 0
        self.started = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self) -> Mapping[str, object]:
        self.runs += 1
        self.started.set()
        await self.go.wait()
        return {"runs": self.runs}


async def test_a_storm_of_requests_costs_one_run() -> None:
    probe = _Counted()
    registry = HealthRegistry()
    registry.register("database", probe)
    async with _client(registry) as client:
        storm = asyncio.gather(*(client.get("/health/ready") for _ in range(200)))
        await probe.started.wait()
        probe.go.set()
        answers = await storm
        answers.append(await client.get("/health/ready"))
    assert {answer.status_code for answer in answers} == {200}
    assert probe.runs == 1


async def test_health_does_not_wait_for_a_slow_database() -> None:
    probe = _Counted()
    registry = HealthRegistry()
    registry.register("database", probe)
    started = time.perf_counter()
    async with _client(registry) as client:
        slow = await client.get("/health")
        waited_s = time.perf_counter() - started
        probe.go.set()
        await registry.fresh("database")
        settled = await client.get("/health")
    assert waited_s < 1, "it waited for the probe, which never answers"
    assert slow.json()["database_connected"] is False
    assert settled.json()["database_connected"] is True


async def test_a_request_that_goes_away_takes_no_probe_with_it() -> None:
    probe = _Counted()
    registry = HealthRegistry()
    registry.register("database", probe)
    impatient = asyncio.create_task(registry.fresh("database"))
    await probe.started.wait()
    impatient.cancel()
    patient = asyncio.create_task(registry.fresh("database"))
    await asyncio.gather(impatient, return_exceptions=True)
    probe.go.set()
    result = await patient
    assert result is not None
    assert (result.healthy, probe.runs) == (True, 1)


async def _refuses() -> Mapping[str, object]:
    raise UnhealthyError("Not today.", size=3)


async def _hangs() -> Mapping[str, object]:
    await asyncio.Event().wait()
    return {}


async def _breaks() -> Mapping[str, object]:
    raise ValueError(CANARY)


async def _cannot_connect() -> Mapping[str, object]:
    raise ConnectionRefusedError(f"to {CANARY}")


@pytest.mark.parametrize(
    ("probe", "reason", "facts"),
    [
        (_refuses, "Not today.", {"size": 3}),
        (_hangs, "No answer within 0.02 s.", {}),
        (_breaks, "The check itself failed (ValueError).", {}),
        (_cannot_connect, "Not reachable (ConnectionRefusedError).", {}),
    ],
)
async def test_whatever_a_probe_raises_is_told_in_our_words(probe: Any, reason: str, facts: dict[str, object]) -> None:
    registry = HealthRegistry(timeout_s=0.02)
    registry.register("cache", probe)
    result = await registry.fresh("cache")
    assert result is not None
    assert (result.healthy, result.reason, result.facts) == (False, reason, facts)
    assert CANARY not in str(result.shown())


async def test_a_part_that_is_not_critical_is_shown_and_harms_nothing(dsn: str, registry_of: Registry) -> None:
    registry = registry_of(dsn)
    registry.register("intake", _refuses, critical=False)
    async with _client(registry) as client:
        answer = await client.get("/health/detailed")
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    assert answer.json()["checks"]["intake"]["reason"] == "Not today."


async def test_the_other_parts_fill_the_deep_answer_when_they_come(dsn: str, registry_of: Registry) -> None:
    async def cache() -> Mapping[str, object]:
        return {"hit_rate": 0.9, "size": 12}

    async def connections() -> Mapping[str, object]:
        return {"websocket": 4}

    registry = registry_of(dsn)
    registry.register("cache", cache)
    registry.register("connections", connections)
    registry.register("webhooks", _refuses)
    async with _client(registry) as client:
        answer = await client.get("/health/deep")
    deep = answer.json()
    assert answer.status_code == 503
    assert (deep["status"], deep["cache"]["status"], deep["cache"]["size"]) == ("degraded", "healthy", 12)
    assert (deep["connections"], deep["webhooks"]["status"]) == ({"websocket": 4}, "unhealthy")


async def test_the_background_checks_without_being_asked() -> None:
    runs = asyncio.Semaphore(0)

    async def probe() -> Mapping[str, object]:
        runs.release()
        return {}

    registry = HealthRegistry(interval_s=0.001, fresh_s=0)
    registry.register("database", probe)
    await registry.start()
    async with asyncio.timeout(5):
        for _ in range(3):
            await runs.acquire()
    await registry.stop()
    result = registry.last("database")
    assert result is not None
    assert result.healthy
