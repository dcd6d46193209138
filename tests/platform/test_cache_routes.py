"""`/api/v1/cache` over HTTP: who may, what is shown, what is warmed and dropped, and in which processes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import httpx
import pytest
from caching import Source, until
from links.visiting import add_link, serving
from redis_server import redis_server

from mainstem.hub import Hub
from mainstem.platform.cache import key, redis_level, shared
from mainstem.platform.keys import create_key
from mainstem.platform.tenants import create_tenant

Served = tuple[httpx.AsyncClient, Hub]
STATS, WARM, ALL = "/api/v1/cache/stats", "/api/v1/cache/warm", "/api/v1/cache/invalidate"
CHANGES = (
    WARM,
    ALL,
    *(f"{ALL}/{name}" for name in ("alerts", "webhooks", "dashboard", "links", "all", "pattern?pattern=*")),
)
FIELDS = {
    *("hit_rate", "hit_rate_percent", "cache_hits", "cache_misses", "hits", "misses", "total_requests", "size"),
    *("current_size_bytes", "cache_type", "max_size", "ttl_seconds", "l1", "l2", "regions"),
}


@pytest.fixture
async def served(dsn: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(dsn, tmp_path) as (client, hub):
        await until(lambda: listens(hub))
        yield client, hub


async def listens(hub: Hub) -> bool:
    return hub.cache._session() > 0 and hub.services.links._changes > 0


async def known(hub: Hub, changes: int) -> None:
    """Return when the links have heard of so many changes, the begin of listening not counted."""

    async def heard() -> bool:
        return hub.services.links._changes > changes

    await until(heard)


@pytest.fixture
async def keys(connection: asyncpg.Connection) -> SimpleNamespace:
    """Return headers with keys: an admin's and readers' of tenant 1, an admin's of tenant 2."""
    other = await create_tenant(connection, "other")
    made = {
        "admin": await create_key(connection, 1, scopes=["admin"]),
        "read": await create_key(connection, 1, scopes=["read"]),
        "ingest": await create_key(connection, 1, scopes=["ingest"]),
        "foreign": await create_key(connection, other.id, scopes=["admin"]),
    }
    headers = {name: {"Authorization": f"Bearer {one.key}"} for name, one in made.items()}
    return SimpleNamespace(**headers, other=other.id)


async def test_defect_h_nobody_gets_in_without_credentials(served: Served) -> None:
    client, _ = served
    answers = [await client.get(STATS), *[await client.post(path) for path in CHANGES]]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


async def test_defect_h_reading_needs_the_scope_read_and_changing_admin(served: Served, keys: SimpleNamespace) -> None:
    client, _ = served
    assert (await client.get(STATS, headers=keys.read)).status_code == 200
    assert (await client.get(STATS, headers=keys.ingest)).status_code == 403
    for path in CHANGES:
        for name in ("read", "ingest"):
            assert (await client.post(path, headers=getattr(keys, name))).status_code == 403
        assert (await client.post(path, headers=keys.admin)).status_code in {200, 204}


async def test_stats_have_the_fields_of_the_contract_and_add_up(served: Served, keys: SimpleNamespace) -> None:
    client, hub = served
    empty = (await client.get(STATS, headers=keys.read)).json()
    assert set(empty) == FIELDS
    assert (empty["hit_rate"], empty["total_requests"], empty["size"]) == (0, 0, 0)
    assert (empty["cache_type"], empty["max_size"], empty["ttl_seconds"]) == ("memory", 10_000, 60)
    source = Source("x" * 1_000)
    for _ in range(4):
        await hub.cache.get("dashboard", key(1, "overview"), source.load)
    full = (await client.get(STATS, headers=keys.read)).json()
    assert (full["hit_rate"], full["hit_rate_percent"]) == (0.75, 75)
    assert (full["cache_hits"], full["hits"], full["cache_misses"], full["misses"]) == (3, 3, 1, 1)
    assert (full["total_requests"], full["size"]) == (4, 1)
    assert 1_000 < full["current_size_bytes"] < 2_000
    assert full["regions"]["dashboard"] == {"hits": 3, "misses": 1, "size": 1, "bytes": full["current_size_bytes"]}
    assert full["l1"] == {**full["regions"]["dashboard"], "max_size": 10_000}
    assert not full["l2"]["enabled"]


async def test_visits_of_links_count(served: Served, keys: SimpleNamespace, connection: asyncpg.Connection) -> None:
    client, hub = served
    await add_link(connection, "menu")
    await known(hub, 1)
    for _ in range(5):
        assert (await client.get("/menu")).status_code == 302
    links = (await client.get(STATS, headers=keys.read)).json()["regions"]["links"]
    assert (links["hits"], links["misses"], links["size"]) == (4, 1, 1)


async def test_defect_d_warming_loads_what_is_used_most(
    served: Served, keys: SimpleNamespace, connection: asyncpg.Connection
) -> None:
    client, hub = served
    for slug in ("menu", "wine", "off"):
        await add_link(connection, slug, active=slug != "off")
    await connection.execute(
        "insert into links.tracked_link (tenant_id, slug, tracking_id, target_url) values ($1, 'theirs', 'x', 'https://a.example')",
        keys.other,
    )
    await known(hub, 4)
    source = Source([1])

    async def overview(tenant_id: int) -> int:
        await hub.cache.get("dashboard", key(tenant_id, "overview"), source.load)
        return 1

    hub.cache.members.warm_by("dashboard", overview)
    answer = (await client.post(WARM, headers=keys.admin)).json()
    assert (answer["status"], answer["warmed_entries"], answer["warmed"]) == ("success", 3, 3)
    assert answer["regions"] == {"links": 2, "dashboard": 1}
    assert answer["duration_ms"] > 0
    assert hub.services.links.fresh("/menu") is not None
    assert hub.services.links.fresh("/theirs") is None
    # what nobody asked for is no miss, and what is asked for now is a hit of the same shape
    assert await hub.cache.get("dashboard", key(1, "overview"), source.load) == [1]
    stats = (await client.get(STATS, headers=keys.read)).json()
    assert (source.loads, stats["misses"], stats["size"], stats["hit_rate"]) == (1, 0, 3, 1)
    again = (await client.post(WARM, headers=keys.admin)).json()
    assert (again["warmed_entries"], source.loads) == (3, 1)


async def test_warming_prefers_what_is_clicked(
    served: Served, keys: SimpleNamespace, connection: asyncpg.Connection
) -> None:
    client, hub = served
    hub.services.links._most = 2
    for number in range(5):
        await add_link(connection, f"l{number}")
    await known(hub, 5)
    await connection.execute(
        "insert into business.link_total (tenant_id, tracked_link_hk, tracking_id, clicks, bot_clicks, first_at, last_at) "
        "select 1, decode(repeat('ab', 32), 'hex'), 'l1', 9, 0, now(), now()"
    )
    assert (await client.post(WARM, headers=keys.admin)).json()["regions"]["links"] == 2
    assert [bool(hub.services.links.fresh(f"/l{number}")) for number in range(5)] == [False, True, False, False, True]


async def test_the_dashboard_is_kept_warmed_and_dropped(served: Served, keys: SimpleNamespace) -> None:
    client, _ = served

    async def hit(headers: dict[str, str]) -> bool:
        return (await client.get("/api/v1/dashboard", headers=headers)).json()["cache_hit"]

    assert (await client.post(WARM, headers=keys.admin)).json()["regions"]["dashboard"] == 4
    assert [await hit(keys.read), await hit(keys.foreign), await hit(keys.foreign)] == [True, False, True]
    await client.post(f"{ALL}/dashboard", headers=keys.admin)
    assert [await hit(keys.foreign), await hit(keys.read), await hit(keys.read)] == [True, False, True]


class TestInvalidate:
    """What is dropped: of the caller's tenant, here and in the other processes."""

    REGIONS = ("alerts", "webhooks", "dashboard", "others")

    async def fill(self, hub: Hub, keys: SimpleNamespace) -> Source:
        source = Source()
        for tenant_id in (1, keys.other):
            for region in self.REGIONS:
                for number in (12, 13):
                    await hub.cache.get(region, key(tenant_id, "webhook", number, "x"), source.load)
        return source

    async def left(self, hub: Hub, keys: SimpleNamespace) -> tuple[set[str], set[str]]:
        """Return the regions that still have both entries of either tenant."""
        kept = list(hub.cache._local._entries)
        mine, theirs = (
            {
                region
                for region in self.REGIONS
                if all((region, key(tenant_id, "webhook", number, "x")) in kept for number in (12, 13))
            }
            for tenant_id in (1, keys.other)
        )
        return mine, theirs

    @pytest.mark.parametrize("region", ["alerts", "webhooks", "dashboard"])
    async def test_a_region(self, served: Served, keys: SimpleNamespace, region: str) -> None:
        client, hub = served
        await self.fill(hub, keys)
        answer = await client.post(f"{ALL}/{region}", headers=keys.admin)
        assert (answer.status_code, answer.content) == (204, b"")
        assert await self.left(hub, keys) == (set(self.REGIONS) - {region}, set(self.REGIONS))

    async def test_everything(self, served: Served, keys: SimpleNamespace) -> None:
        client, hub = served
        await self.fill(hub, keys)
        answer = await client.post(ALL, headers=keys.admin)
        assert (answer.status_code, answer.json()["status"], answer.json()["invalidated"]) == (200, "success", 8)
        assert await self.left(hub, keys) == (set(), set(self.REGIONS))
        await self.fill(hub, keys)
        assert (await client.post(f"{ALL}/all", headers=keys.foreign)).status_code == 204
        assert await self.left(hub, keys) == (set(self.REGIONS), set())

    @pytest.mark.parametrize(
        ("pattern", "dropped"),
        [
            ("webhook:12:*", {"alerts", "webhooks", "dashboard", "others"}),
            ("dashboard:*", {"dashboard"}),
            ("webhooks:webhook:1*", {"webhooks"}),
            ("*", {"alerts", "webhooks", "dashboard", "others"}),
            ("webhook:1:*", set()),
            ("*\x00", set()),
        ],
    )
    async def test_a_pattern(self, served: Served, keys: SimpleNamespace, pattern: str, dropped: set[str]) -> None:
        client, hub = served
        await self.fill(hub, keys)
        answer = await client.post(f"{ALL}/pattern", params={"pattern": pattern}, headers=keys.admin)
        assert answer.status_code == 200
        if "\x00" not in pattern:
            assert await self.left(hub, keys) == (set(self.REGIONS) - dropped, set(self.REGIONS))

    async def test_a_pattern_cannot_reach_another_tenant(self, served: Served, keys: SimpleNamespace) -> None:
        client, hub = served
        await self.fill(hub, keys)
        for pattern in (f"{keys.other}:*", f"*{keys.other}:*", f":{keys.other}:*", f"*\n{keys.other}:*", "*:webhook:*"):
            await client.post(f"{ALL}/pattern", params={"pattern": pattern}, headers=keys.admin)
        assert (await self.left(hub, keys))[1] == set(self.REGIONS)

    @pytest.mark.parametrize("query", ["", "?pattern=", "?pattern=webhook:12"])
    async def test_a_pattern_needs_an_asterisk(self, served: Served, keys: SimpleNamespace, query: str) -> None:
        answer = await served[0].post(f"{ALL}/pattern{query}", headers=keys.admin)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")

    async def test_links(self, served: Served, keys: SimpleNamespace, connection: asyncpg.Connection) -> None:
        client, hub = served
        await add_link(connection, "menu")
        await known(hub, 1)
        for caller, kept in ((keys.foreign, True), (keys.admin, False)):
            await client.get("/menu")
            assert (await client.post(f"{ALL}/links", headers=caller)).status_code == 204
            assert (hub.services.links.fresh("/menu") is not None) is kept
        await client.get("/menu")
        await client.post(f"{ALL}/pattern", params={"pattern": "links:/men*"}, headers=keys.admin)
        assert hub.services.links.fresh("/menu") is None
        assert (await client.get("/menu")).status_code == 302

    async def test_an_unknown_region_is_told(self, served: Served, keys: SimpleNamespace) -> None:
        assert (await served[0].post(f"{ALL}/nonsense", headers=keys.admin)).status_code == 422


async def test_two_processes_and_a_redis(
    dsn: str, tmp_path: Path, keys: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have the secret, so that they meet in Redis; one is warmed and emptied by the other."""
    monkeypatch.setattr(redis_level, "CALL_S", 5.0)
    monkeypatch.setattr(shared, "WAIT_S", 5.0)
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(redis_server())
        chosen = {"redis_url": redis.url, "secret_key": "s3cret-of-this-installation-0123456789"}
        (client, here), (_, there) = [
            await stack.enter_async_context(serving(dsn, tmp_path / name, **chosen)) for name in ("here", "there")
        ]
        source = Source("shown")
        hubs = (here, there)

        async def both_listen() -> bool:
            return all([await hub.cache._shared._ready(hub.cache._session) for hub in hubs])

        await until(both_listen)
        for hub in hubs:

            async def overview(tenant_id: int, hub: Hub = hub) -> int:
                await hub.cache.get("dashboard", key(tenant_id, "overview"), source.load)
                return 1

            hub.cache.members.warm_by("dashboard", overview)

        async def held_by_both() -> bool:
            return all(hub.cache._local.sizes().get("dashboard", (0, 0))[0] for hub in hubs)

        async def held_by_none() -> bool:
            return not any(hub.cache._local.sizes().get("dashboard", (0, 0))[0] for hub in hubs)

        assert (await client.post(WARM, headers=keys.admin)).json()["warmed_entries"] == 1
        await until(held_by_both)
        assert source.loads == 1
        stats = (await client.get(STATS, headers=keys.read)).json()
        assert (stats["cache_type"], stats["l2"]["enabled"], stats["l2"]["available"]) == ("hybrid", True, True)
        assert (stats["l2"]["size"], stats["l2"]["hits"] + stats["l2"]["misses"]) == (1, 1)
        assert (await client.post(f"{ALL}/dashboard", headers=keys.admin)).status_code == 204
        await until(held_by_none)
        source.value = "anew"
        assert [await hub.cache.get("dashboard", key(1, "overview"), source.load) for hub in hubs] == ["anew"] * 2
        redis.kill()
        assert (await client.post(ALL, headers=keys.admin)).status_code == 200
        stats = (await client.get(STATS, headers=keys.read)).json()
        assert (stats["l2"]["available"], stats["l2"]["size"]) == (False, 0)
        assert await here.cache.get("dashboard", key(1, "overview"), source.load) == "anew"
