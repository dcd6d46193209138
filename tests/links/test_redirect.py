"""Visits of short addresses: where they go, what is recorded, and what is shown instead."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from links.visiting import FIREFOX, GOOGLEBOT, add_link, loaded, serving
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from mainstem.links.geo import NOWHERE, locator
from mainstem.platform import passwords

SOON = datetime.now(UTC) + timedelta(hours=1)
BEFORE = datetime.now(UTC) - timedelta(hours=1)


async def clicks(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    return await connection.fetch("select * from vault.nhl_click order by occurred_at")


async def test_a_visit_goes_to_the_target_and_is_a_click(connection, dsn, tmp_path):
    link_id = await add_link(connection, "menu", "https://example.com/menu?utm_source=card")
    async with serving(dsn, tmp_path) as (client, hub):
        for _ in range(2):
            answer = await client.get(
                "/menu", headers={"referer": "https://www.google.com/", "accept-language": "de-AT,de;q=0.9"}
            )
            assert (answer.status_code, answer.headers["location"]) == (302, "https://example.com/menu?utm_source=card")
            assert answer.headers["cache-control"] == "private, no-store"
        await loaded(connection, hub)
    first, second = await clicks(connection)
    assert (first["tracking_id"], first["link_id"], first["click_source"]) == ("menu", link_id, "redirect")
    assert (first["target_url"], first["utm_source"]) == ("https://example.com/menu?utm_source=card", "card")
    assert (first["referrer_host"], first["language"], first["browser"], first["ip"]) == (
        "www.google.com",
        "de-AT",
        "Firefox",
        "198.51.100.0",
    )
    assert first["visitor_hk"] == second["visitor_hk"]
    assert await connection.fetchval("select clicks from business.link_total") == 2


async def test_slugs_are_case_sensitive_and_may_have_parts(connection, dsn, tmp_path):
    await add_link(connection, "Menu", "https://example.com/upper")
    await add_link(connection, "menu", "https://example.com/lower")
    await add_link(connection, "événements/été", "https://example.com/parts")
    async with serving(dsn, tmp_path) as (client, _):
        for path, target in (
            ("/Menu", "upper"),
            ("/menu", "lower"),
            ("/événements/été", "parts"),
            ("/e\u0301ve\u0301nements/e\u0301te\u0301", "parts"),
        ):
            assert (await client.get(path)).headers["location"] == f"https://example.com/{target}"


async def test_head_never_counts(connection, dsn, tmp_path):
    await add_link(connection, "menu")
    await add_link(connection, "once", click_limit=1)
    async with serving(dsn, tmp_path) as (client, hub):
        await client.get("/menu")
        for _ in range(3):
            answer = await client.head("/menu")
            assert (answer.status_code, answer.headers["location"]) == (302, "https://example.com/")
            assert (await client.head("/once")).headers["location"] == "https://example.com/"
        assert (await client.get("/once")).status_code == 302
        await loaded(connection, hub)
    assert Counter(row["tracking_id"] for row in await clicks(connection)) == {"menu": 1, "once": 1}


async def test_bots_and_prefetchers_are_kept_apart(connection, dsn, tmp_path):
    await add_link(connection, "menu")
    async with serving(dsn, tmp_path) as (client, hub):
        await client.get("/menu")
        await client.get("/menu", headers={"user-agent": GOOGLEBOT})
        await client.get("/menu", headers={"sec-purpose": "prefetch;prerender"})
        await client.get("/menu", headers={"x-purpose": "preview"})
        await loaded(connection, hub)
    assert sorted(row["bot_reason"] or "" for row in await clicks(connection)) == [
        "",
        "Googlebot\\/",
        "prefetch",
        "preview",
    ]
    assert tuple(await connection.fetchrow("select clicks, bot_clicks from business.link_total")) == (1, 3)


async def test_the_query_is_passed_on_and_the_click_named(connection, dsn, tmp_path):
    await add_link(connection, "a", "https://example.com/?x=1&keep=2#part", append_click=True)
    await add_link(connection, "b", "https://example.com/", forward_query=False)
    async with serving(dsn, tmp_path) as (client, hub):
        went = (await client.get("/a?x=9&utm_source=poster&email=ann%40example.com&ms_click=fake")).headers["location"]
        assert (await client.get("/b?x=9")).headers["location"] == "https://example.com/"
        await loaded(connection, hub)
    click = (await clicks(connection))[0]
    assert (
        went
        == f"https://example.com/?keep=2&x=9&utm_source=poster&email=ann%40example.com&ms_click={click['event_uid']}#part"
    )
    # of the visit's own query, the campaign alone is kept
    assert (click["utm_source"], click["target_url"]) == ("poster", "https://example.com/?x=1&keep=2#part")
    assert "ann" not in str(await connection.fetch("select * from raw.event"))


async def test_campaign_and_link_tag_every_target(connection, dsn, tmp_path):
    campaign = await connection.fetchval(
        "insert into links.campaign (tenant_id, name, utm_source, utm_campaign) select tenant_id, 'May', 'mail', 'may' "
        "from platform.tenant where slug = 'default' returning campaign_id"
    )
    rules = [{"target_url": "https://example.com/ios", "conditions": [{"type": "device", "value": "ios"}]}]
    await add_link(
        connection, "a", "https://example.com/", campaign_id=campaign, utm_source="own", rules=json.dumps(rules)
    )
    async with serving(dsn, tmp_path) as (client, hub):
        assert (await client.get("/a")).headers["location"] == "https://example.com/?utm_source=own&utm_campaign=may"
        iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
        went = await client.get("/a", headers={"user-agent": iphone})
        assert went.headers["location"] == "https://example.com/ios?utm_source=own&utm_campaign=may"
        await connection.execute("update links.campaign set utm_campaign = 'june'")
        await until(client, "/a", "https://example.com/?utm_source=own&utm_campaign=june")
        await loaded(connection, hub)
    assert [row["rule"] for row in await clicks(connection)][:2] == [None, 1]


async def until(client, path: str, location: str) -> None:
    """Return when a visit goes there; edits are known within a second."""
    async with asyncio.timeout(5):
        while (await client.get(path)).headers.get("location") != location:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_edits_are_known_at_once(connection, dsn, tmp_path):
    async with serving(dsn, tmp_path) as (client, _):
        assert (await client.get("/new")).status_code == 404
        link = await add_link(connection, "new", "https://example.com/1")
        await until(client, "/new", "https://example.com/1")
        await connection.execute(
            "update links.tracked_link set target_url = 'https://example.com/2' where link_id = $1", link
        )
        await until(client, "/new", "https://example.com/2")
        await connection.execute("update links.tracked_link set slug = 'other' where link_id = $1", link)
        await until(client, "/other", "https://example.com/2")
        await until(client, "/new", None)
        await connection.execute("delete from links.tracked_link")
        await until(client, "/other", None)


@pytest.mark.parametrize(
    ("fields", "status", "location", "code"),
    [
        ({"active": False}, 410, None, "link_inactive"),
        ({"valid_since": SOON}, 404, None, "link_not_yet_valid"),
        ({"expires_at": BEFORE}, 410, None, "link_expired"),
        ({"expires_at": BEFORE, "expired_url": "https://example.com/over"}, 302, "https://example.com/over", None),
        ({"expires_at": SOON, "valid_since": BEFORE}, 302, "https://example.com/", None),
        ({"archived_at": BEFORE}, 302, "https://example.com/", None),
    ],
)
async def test_what_a_link_says_of_itself_decides(connection, dsn, tmp_path, fields, status, location, code):  # noqa: PLR0917
    await add_link(connection, "a", **fields)
    async with serving(dsn, tmp_path) as (client, _):
        page = await client.get("/a")
        assert (page.status_code, page.headers.get("location")) == (status, location)
        told = await client.get("/a", headers={"accept": "application/json"})
        if code:
            assert page.headers["content-type"].startswith("text/html")
            assert "noindex" in page.headers["x-robots-tag"]
            assert (told.status_code, told.json()["code"]) == (status, code)


async def test_a_click_limit_is_exact_and_bots_do_not_use_it_up(connection, dsn, tmp_path):
    await add_link(connection, "ten", click_limit=10, limit_url="https://example.com/full")
    (tmp_path / "two").mkdir()
    async with serving(dsn, tmp_path) as (one, _), serving(dsn, tmp_path / "two") as (two, _):
        await asyncio.gather(*(one.get("/ten", headers={"user-agent": GOOGLEBOT}) for _ in range(5)))
        answers = await asyncio.gather(*(client.get("/ten") for client in (one, two) for _ in range(12)))
        went = Counter(answer.headers["location"] for answer in answers)
        assert went == {"https://example.com/": 10, "https://example.com/full": 14}
        bot = await one.get("/ten", headers={"user-agent": GOOGLEBOT})
        assert bot.headers["location"] == "https://example.com/full"
    assert await connection.fetchval("select used from links.click_budget") == 10


async def test_a_password_is_asked_for_and_never_told(connection, dsn, tmp_path):
    await add_link(
        connection, "secret", "https://example.com/hidden", password_hash=await passwords.hashed("open sesame")
    )
    async with serving(dsn, tmp_path) as (client, hub):
        for path in ("/secret", "/secret+"):
            form = await client.get(path)
            assert (form.status_code, "hidden" in form.text, 'type="password"' in form.text) == (200, False, True)
        wrong = await client.post("/secret", data={"password": "guess"})
        assert (wrong.status_code, "not the password" in wrong.text) == (403, True)
        assert (await client.post("/secret", data={"password": "x" * 5_000})).status_code == 403
        right = await client.post("/secret", data={"password": "open sesame"})
        assert (right.status_code, right.headers["location"]) == (303, "https://example.com/hidden")
        statuses = [(await client.post("/secret", data={"password": "guess"})).status_code for _ in range(9)]
        assert statuses[-1] == 429
        await loaded(connection, hub)
    assert len(await clicks(connection)) == 1


async def test_a_preview_shows_the_target_and_counts_nothing(connection, dsn, tmp_path):
    await add_link(connection, "menu", "https://example.com/?a=<script>&b=2", title="The <menu>")
    async with serving(dsn, tmp_path) as (client, hub):
        page = await client.get("/menu+")
        assert page.status_code == 200
        assert "The &lt;menu&gt;" in page.text
        assert "https://example.com/?a=&lt;script&gt;&amp;b=2" in page.text
        assert "script" not in page.headers["content-security-policy"].replace("script-src", "")
        await loaded(connection, hub)
    assert await clicks(connection) == []


async def test_a_preview_tells_no_more_than_a_visit(connection, dsn, tmp_path):
    await add_link(connection, "later", "https://example.com/hidden", valid_since=SOON)
    await add_link(connection, "over", "https://example.com/hidden", expires_at=BEFORE)
    async with serving(dsn, tmp_path) as (client, _):
        for path, status in (("/later+", 404), ("/over+", 410)):
            page = await client.get(path)
            assert (page.status_code, "hidden" in page.text) == (status, False)


async def test_variants_are_sticky_and_weighted(connection, dsn, tmp_path):
    variants = [
        {"target_url": f"https://example.com/{name}", "weight": weight} for name, weight in (("a", 3), ("b", 1))
    ]
    await add_link(connection, "ab", variants=json.dumps(variants))
    async with serving(dsn, tmp_path) as (client, hub):
        went = {}
        for number in range(60):
            agent = f"{FIREFOX} {number}"
            places = {(await client.get("/ab", headers={"user-agent": agent})).headers["location"] for _ in range(2)}
            assert len(places) == 1
            went[agent] = places.pop()
        await loaded(connection, hub)
    assert 35 <= sum(place.endswith("/a") for place in went.values()) <= 55
    assert {row["variant"] for row in await clicks(connection)} == {1, 2}


async def test_rules_know_the_place_of_an_address(connection, dsn, tmp_path):
    file = tmp_path / "geo.mmdb"
    writer = MMDBWriter(ip_version=4, database_type="GeoLite2-City", languages=["en"])
    writer.insert_network(
        IPSet(["198.51.100.0/24"]), {"country": {"iso_code": "DE"}, "city": {"names": {"en": "Berlin"}}}
    )
    writer.to_db_file(str(file))
    rules = [
        {
            "target_url": "https://example.com/de",
            "conditions": [
                {"type": "geolocation-country-code", "value": "de"},
                {"type": "geolocation-city-name", "value": "berlin"},
            ],
        }
    ]
    await add_link(connection, "here", rules=json.dumps(rules))
    await add_link(connection, "plain")
    async with serving(dsn, tmp_path, geoip_file=file) as (client, hub):
        assert (await client.get("/here")).headers["location"] == "https://example.com/de"
        await client.get("/plain")
        await client.get("/plain")
        await loaded(connection, hub)
    assert {(row["country"], row["city"]) for row in await clicks(connection)} == {("DE", "Berlin")}


async def test_a_domain_has_its_own_links(connection, dsn, tmp_path):
    await connection.execute("insert into platform.tenant (slug, name) values ('other', 'Other')")
    await connection.execute(
        "insert into links.domain (tenant_id, host, root_url, missing_url) select tenant_id, 'go.example.org', "
        "'https://example.org/', 'https://example.org/404' from platform.tenant where slug = 'other'"
    )
    await add_link(connection, "a", "https://example.com/shared")
    await connection.execute(
        "insert into links.tracked_link (tenant_id, host, slug, tracking_id, target_url) select tenant_id, 'go.example.org', "
        "'a', 'a', 'https://example.org/own' from platform.tenant where slug = 'other'"
    )
    async with serving(dsn, tmp_path) as (client, hub):
        own = {"host": "GO.example.org:443"}
        for _ in range(2):
            assert (await client.get("/a")).headers["location"] == "https://example.com/shared"
            assert (await client.get("/a", headers=own)).headers["location"] == "https://example.org/own"
        assert (await client.get("/", headers=own)).headers["location"] == "https://example.org/"
        assert (await client.get("/b", headers=own)).headers["location"] == "https://example.org/404"
        assert (await client.get("/")).headers["location"] == "/docs"
        await loaded(connection, hub)
    missed = await connection.fetch("select host, path, visits from business.missed_day order by path")
    assert [tuple(row) for row in missed] == [("go.example.org", "", 1), ("go.example.org", "b", 1)]
    tenants = await connection.fetch("select tenant_id, count(*) from vault.nhl_click group by 1 order by 1")
    assert [row["count"] for row in tenants] == [2, 2]


async def test_unknown_addresses_are_recorded_within_a_bound(connection, dsn, tmp_path):
    async with serving(dsn, tmp_path, missed_visits_per_minute=3) as (client, hub):
        for path in ("/nothing", "/wp-login.php", "/a/b", "/more", "/more"):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert "does not exist" in answer.text
        await loaded(connection, hub)
    kinds = await connection.fetch(
        "select data ->> 'slug' as path, data ->> 'missed' as kind from vault.nhl_event order by 1"
    )
    assert [tuple(row) for row in kinds] == [
        ("a/b", "regular_404"),
        ("nothing", "invalid_short_url"),
        ("wp-login.php", "regular_404"),
    ]


async def test_track_finds_a_slug_or_a_tracking_id(connection, dsn, tmp_path):
    await add_link(connection, "short", "https://example.com/", tracking_id="lt_2025_spring")
    async with serving(dsn, tmp_path) as (client, _):
        for path in ("/track/short", "/track/lt_2025_spring", "/short"):
            assert (await client.get(path)).headers.get("location") == "https://example.com/", path
        assert (await client.get("/track/none")).status_code == 404


@pytest.mark.parametrize(
    "path", ["/health", "/docs", "/openapi.json", "/api/v1/links-that-are-none", "/metrics", "/t.js"]
)
async def test_addresses_of_the_product_are_no_links(connection, dsn, tmp_path, path):
    async with serving(dsn, tmp_path) as (client, hub):
        answer = await client.get(path)
        assert answer.status_code == (404 if "none" in path else 200) or path == "/health"
        await loaded(connection, hub)
    assert await connection.fetchval("select count(*) from raw.event") == 0


async def test_personal_parameters_of_a_referrer_are_masked(connection, dsn, tmp_path):
    await add_link(connection, "menu")
    async with serving(dsn, tmp_path) as (client, hub):
        await client.get("/menu", headers={"referer": "https://example.org/?email=ann@example.org"})
        await client.get("/unknown", headers={"referer": "https://example.org/?email=ann@example.org"})
        await loaded(connection, hub)
    for table in ("raw.event", "vault.nhl_click", "vault.nhl_event"):
        assert "ann@" not in str(await connection.fetch(f"select * from {table}"))


def test_the_geo_file_may_be_absent(tmp_path: Path):
    (tmp_path / "bad.mmdb").write_bytes(b"no database")
    for file in (None, tmp_path / "none.mmdb", tmp_path / "bad.mmdb"):
        assert locator(file)("198.51.100.7") == NOWHERE


async def test_a_burst_of_unknown_tracking_ids_leaves_limits_exact(connection, dsn, tmp_path):
    await add_link(connection, "once", click_limit=1, limit_url="https://example.com/over")
    # what a slow machine may take is not what this is about
    async with serving(dsn, tmp_path, link_wait_ms=5_000) as (client, _):
        await client.head("/once")
        burst = [client.get(f"/track/none{number}") for number in range(1_500)]
        visits = [client.get("/once") for _ in range(5)]
        answers = await asyncio.gather(*burst, *visits)
        late = await client.get("/once")
    assert Counter(one.status_code for one in answers[: len(burst)]) == {404: len(burst)}
    assert Counter(one.headers["location"] for one in [*answers[len(burst) :], late]) == {
        "https://example.com/": 1,
        "https://example.com/over": 5,
    }
