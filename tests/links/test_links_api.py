"""The links API: make, change, find, list, delete; many at once; domains, campaigns, tags; the contract's own paths."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import zxingcpp
from links.visiting import add_link, loaded, serving
from PIL import Image

from mainstem.platform.keys import create_key

LINKS = "/api/v1/links"


@pytest.fixture
async def desk(dsn, tmp_path, connection):
    """Yield (client with an admin key of tenant default, hub)."""
    async with serving(dsn, tmp_path, rate_limit_requests=100_000) as (client, hub):
        client.headers.update(
            {"authorization": f"Bearer {await key(connection, 'admin')}", "accept": "application/json"}
        )
        yield client, hub


async def key(connection, *scopes, tenant="default") -> str:
    tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = $1", tenant)
    return (await create_key(connection, tenant_id, scopes=list(scopes), label="test")).key


async def made(client: httpx.AsyncClient, **fields: object) -> dict:
    answer = await client.post(LINKS, json={"target_url": "https://example.com/", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_link_is_made_found_changed_and_deleted(desk, connection):
    client, hub = desk
    link = await made(client, slug="menu", title="The menu", tags=["b", "a", "a"], utm_source="card", click_limit=5)
    assert (link["short_url"], link["tracking_id"], link["tags"]) == ("http://localhost/menu", "menu", ["a", "b"])
    assert (link["has_password"], link["clicks"], link["active"], link["archived"]) == (False, 0, True, False)
    assert (await client.get("/menu")).headers["location"] == "https://example.com/?utm_source=card"
    path = f"{LINKS}/{link['id']}"
    changed = (
        await client.patch(
            path,
            json={
                "target_url": "https://example.com/2",
                "utm_source": None,
                "tags": ["c"],
                "password": "x",
                "archived": True,
            },
        )
    ).json()
    assert (
        changed["target_url"],
        changed["utm_source"],
        changed["tags"],
        changed["has_password"],
        changed["archived"],
    ) == ("https://example.com/2", None, ["c"], True, True)
    assert changed["title"] == "The menu"
    assert (await client.get(f"{LINKS}/by-slug", params={"slug": "menu"})).json()["id"] == link["id"]
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).json()["code"] == "not_found"
    assert (await client.delete(path)).status_code == 404
    await loaded(connection, hub)
    history = await connection.fetch(
        # changes that one load brought have its time in common
        """select target_url, tags, archived, deleted, changed_by from business.tracked_link_history
           order by valid_from, valid_to nulls last, archived"""
    )
    assert [row["deleted"] for row in history] == [False, False, True]
    assert history[1]["tags"] == "c"
    assert history[0]["changed_by"].startswith("key:")
    assert "argon2" not in str(await connection.fetch("select data from raw.event"))


async def test_slugs_are_made_up_without_look_alikes(desk):
    client, _ = desk
    slugs = {(await made(client))["slug"] for _ in range(20)}
    assert len(slugs) == 20
    assert not set("".join(slugs)) & set("0O1Ilo")


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"target_url": "javascript:alert(1)"}, "target_url", "unsafe_target"),
        ({"target_url": "data:text/html,x"}, "target_url", "unsafe_target"),
        ({"target_url": "//example.com"}, "target_url", "unsafe_target"),
        ({"target_url": "https://user:pw@example.com"}, "target_url", "unsafe_target"),
        ({"target_url": "https://exa mple.com"}, "target_url", "invalid_field"),
        ({"target_url": "https://example.com\\@evil.example"}, "target_url", "invalid_field"),
        ({"expired_url": "ftp://example.com"}, "expired_url", "unsafe_target"),
        ({"slug": "api"}, "slug", "invalid_slug"),
        ({"slug": "API/x"}, "slug", "invalid_slug"),
        ({"slug": "a b"}, "slug", "invalid_slug"),
        ({"slug": "a/../b"}, "slug", "invalid_slug"),
        ({"slug": "a+"}, "slug", "invalid_slug"),
        ({"host": "go.example.org"}, "host", "unknown_domain"),
        ({"campaign_id": 999}, "campaign_id", "unknown_campaign"),
        ({"valid_since": "2026-05-02T00:00:00Z", "expires_at": "2026-05-01T00:00:00Z"}, "expires_at", "invalid_field"),
        (
            {"rules": [{"target_url": "https://a.example", "conditions": [{"type": "moon", "value": "x"}]}]},
            "rules[0].conditions[0].type",
            "invalid_field",
        ),
        (
            {"rules": [{"target_url": "javascript:x", "conditions": [{"type": "device", "value": "ios"}]}]},
            "rules[0].target_url",
            "unsafe_target",
        ),
        ({"variants": [{"target_url": "https://a.example"}]}, "variants", "invalid_field"),
        ({"target_url": "http://localhost/own", "slug": "own"}, "target_url", "link_loop"),
        ({"target_url": ""}, "target_url", None),
        ({"click_limit": 0}, "click_limit", None),
        ({"colour": "red"}, "colour", None),
    ],
)
async def test_what_can_not_be_is_said_with_its_field(desk, fields, field, code):
    client, _ = desk
    answer = await client.post(LINKS, json={"target_url": "https://example.com/", **fields})
    told = answer.json()
    assert (answer.status_code, told["field"]) == (422, field), told
    if code:
        assert told["code"] == code


async def test_loops_through_other_links_are_found(desk):
    client, _ = desk
    await made(client, slug="b", target_url="http://localhost/a")
    loop = await client.post(LINKS, json={"slug": "a", "target_url": "http://localhost/b"})
    assert loop.json()["code"] == "link_loop"
    one = await made(client, slug="c", target_url="https://example.com/")
    await made(client, slug="d", target_url="http://localhost/track/c")
    assert (await client.patch(f"{LINKS}/{one['id']}", json={"target_url": "http://localhost/d+"})).json()[
        "code"
    ] == "link_loop"


async def test_taken_slugs_and_tracking_ids_are_conflicts(desk, connection):
    client, _ = desk
    await made(client, slug="menu")
    again = await client.post(LINKS, json={"target_url": "https://other.example/", "slug": "menu"})
    assert (again.status_code, again.json()["code"], again.json()["field"]) == (409, "slug_taken", "slug")
    named = await client.post(LINKS, json={"target_url": "https://other.example/", "tracking_id": "menu"})
    assert (named.status_code, named.json()["code"]) == (409, "tracking_id_taken")
    same = await client.post(LINKS, json={"target_url": "https://example.com", "slug": "menu", "find_if_exists": True})
    assert same.status_code == 200
    # a link of another tenant on the shared address is taken, and not shown
    await connection.execute("insert into platform.tenant (slug, name) values ('other', 'Other')")
    other = {"authorization": f"Bearer {await key(connection, 'admin', tenant='other')}"}
    foreign = await client.post(LINKS, json={"target_url": "https://other.example/", "slug": "menu"}, headers=other)
    assert foreign.json()["code"] == "slug_taken"
    assert (await client.get(LINKS, headers=other)).json()["items"] == []


async def test_many_links_at_once_harm_only_themselves(desk, connection):
    client, hub = desk
    await made(client, slug="taken")
    wanted = [{"target_url": f"https://example.com/{n}", "slug": f"s{n}"} for n in range(500)]
    wanted += [
        {"target_url": "https://example.com/"},
        {"slug": "no-target"},
        {"target_url": "https://example.com/", "slug": "taken"},
        {"target_url": "https://example.com/", "slug": "s1"},
    ]
    answer = await client.post(f"{LINKS}/bulk", json={"links": wanted})
    told = answer.json()
    assert (answer.status_code, told["succeeded"], told["failed"]) == (207, 501, 3)
    assert [(one["index"], one["code"], one["field"]) for one in told["results"] if not one["success"]] == [
        (501, "missing", "target_url"),
        (502, "slug_taken", "slug"),
        (503, "slug_taken", "slug"),
    ]
    ids = [one["id"] for one in told["results"] if one["success"]]
    changed = await client.patch(
        f"{LINKS}/bulk",
        json={
            "links": [
                {"id": ids[0], "tags": ["x"]},
                {"id": 10**12, "tags": []},
                {"id": ids[1], "slug": "s0"},
                {"id": ids[2], "title": 5},
            ]
        },
    )
    assert [(one["success"], one["code"]) for one in changed.json()["results"]] == [
        (True, None),
        (False, "not_found"),
        (False, "slug_taken"),
        (False, "string_type"),
    ]
    gone = await client.post(f"{LINKS}/bulk/delete", json={"ids": [*ids, 10**12]})
    assert (gone.status_code, gone.json()["succeeded"], gone.json()["failed"]) == (207, 501, 1)
    assert (await client.post(f"{LINKS}/bulk", json={"links": [{}] * 1001})).status_code == 422
    await loaded(connection, hub)
    assert await connection.fetchval("select count(*) from vault.nhl_event where kind = 'link.deleted'") == 501


async def test_lists_are_filtered_sorted_and_paged(desk, connection):
    client, hub = desk
    campaign = (await client.post("/api/v1/campaigns", json={"name": "May", "utm_campaign": "may"})).json()
    for number in range(7):
        await made(
            client,
            slug=f"page-{number}",
            title="Summer menu" if number % 2 else None,
            tags=["even"] if number % 2 == 0 else [],
            campaign_id=campaign["id"] if number == 3 else None,
        )
    for _ in range(2):
        await client.get("/page-5")
    await client.get("/page-1")
    await loaded(connection, hub)

    async def slugs(**query: object) -> list[str]:
        answer = await client.get(LINKS, params=query)
        assert answer.status_code == 200, answer.text
        return [link["slug"] for link in answer.json()["items"]]

    assert await slugs(tag="even") == ["page-6", "page-4", "page-2", "page-0"]
    assert await slugs(search="SUMMER") == ["page-5", "page-3", "page-1"]
    assert await slugs(search="PAGE-6") == ["page-6"]
    assert await slugs(search="%") == []
    assert await slugs(campaign_id=campaign["id"]) == ["page-3"]
    assert await slugs(sort="clicks") == ["page-5", "page-1"]
    assert await slugs(archived="true") == []
    assert await slugs(host="go.example.org") == []
    seen, cursor = [], None
    while True:
        page = (await client.get(LINKS, params={"limit": 3} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [link["slug"] for link in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"page-{number}" for number in range(6, -1, -1)]
    assert (await client.get(LINKS, params={"cursor": "nonsense"})).status_code == 422
    top = (await client.get(LINKS, params={"sort": "clicks"})).json()["items"][0]
    assert (top["clicks"], top["bot_clicks"], top["last_clicked_at"] is not None) == (2, 0, True)


async def test_domains_campaigns_and_tags(desk):
    client, _ = desk
    domain = (
        await client.post("/api/v1/domains", json={"host": "GO.example.org", "missing_url": "https://example.org/"})
    ).json()
    assert domain["host"] == "go.example.org"
    assert (await client.post("/api/v1/domains", json={"host": "go.example.org"})).json()["code"] == "domain_taken"
    assert (await client.patch(f"/api/v1/domains/{domain['id']}", json={"root_url": "https://example.org/"})).json()[
        "missing_url"
    ] == "https://example.org/"
    link = await made(client, host="go.example.org", slug="a", tags=["red", "blue"])
    assert link["short_url"] == "http://go.example.org/a"
    assert (await client.delete(f"/api/v1/domains/{domain['id']}")).json()["code"] == "domain_in_use"
    campaign = (await client.post("/api/v1/campaigns", json={"name": "May", "utm_source": "mail"})).json()
    assert (await client.post("/api/v1/campaigns", json={"name": "MAY"})).json()["code"] == "campaign_taken"
    await client.patch(f"{LINKS}/{link['id']}", json={"campaign_id": campaign["id"]})
    assert (await client.delete(f"/api/v1/campaigns/{campaign['id']}")).json()["code"] == "campaign_in_use"
    changed = (
        await client.patch(f"/api/v1/campaigns/{campaign['id']}", json={"utm_source": None, "archived": True})
    ).json()
    assert (changed["utm_source"], changed["archived"], changed["name"]) == (None, True, "May")
    await made(client, tags=["blue"])
    assert (await client.get("/api/v1/tags")).json()["items"] == [
        {"name": "blue", "links": 2},
        {"name": "red", "links": 1},
    ]
    assert (await client.patch("/api/v1/tags/red", json={"name": "blue"})).json()["items"] == [
        {"name": "blue", "links": 2}
    ]
    assert (await client.delete("/api/v1/tags/blue")).status_code == 204
    assert (await client.get("/api/v1/tags")).json()["items"] == []
    assert (await client.delete("/api/v1/tags/blue")).status_code == 404
    await client.delete(f"{LINKS}/{link['id']}")
    assert (await client.delete(f"/api/v1/domains/{domain['id']}")).status_code == 204
    assert (await client.delete(f"/api/v1/campaigns/{campaign['id']}")).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", LINKS, "ingest"),
        ("POST", LINKS, "read"),
        ("DELETE", f"{LINKS}/1", "read"),
        ("POST", "/api/v1/domains", "read"),
    ],
)
async def test_scopes_are_needed(desk, connection, method, path, scope):
    client, _ = desk
    headers = {"authorization": f"Bearer {await key(connection, scope)}"}
    answer = await client.request(
        method, path, json={"target_url": "https://example.com/", "host": "a.example"}, headers=headers
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("format_", ["png", "svg"])
async def test_a_qr_code_holds_the_short_address(desk, format_):
    client, _ = desk
    link = await made(client, slug="menu")
    path = f"{LINKS}/{link['id']}/qr"
    answer = await client.get(path, params={"format": format_, "scale": 6, "level": "h", "dark": "0b6b6f"})
    assert answer.status_code == 200
    if format_ == "png":
        image = Image.open(io.BytesIO(answer.content)).convert("L")
        assert [code.text for code in zxingcpp.read_barcodes(image)] == ["http://localhost/menu"]
    else:
        assert answer.content.startswith(b"<?xml")
        assert b"#0b6b6f" in answer.content
    again = await client.get(
        path,
        params={"format": format_, "scale": 6, "level": "h", "dark": "0b6b6f"},
        headers={"if-none-match": answer.headers["etag"]},
    )
    assert again.status_code == 304
    assert (await client.get(path, params={"dark": "red"})).json()["field"] == "dark"


BITLY = "Bitlink,Long URL,Title,Created At,Tags\nbit.ly/3AbcD,https://example.com/a,A page,2024-01-02,news|spring\n"
DUB = (
    'Short link,Destination URL,Tags,Created at,Clicks\nhttps://dub.sh/github/dub,https://example.com/b,"a, b",2024,5\n'
)
SHLINK = (
    "Created At,Short URL,Short Code,Long URL,Title,Tags,Visits\n2024,https://s.test/x1,x1,https://example.com/c,C,,3\n"
)


@pytest.mark.parametrize(
    ("text", "format_", "slug", "tags"),
    [
        (BITLY, "bitly", "3AbcD", ["news", "spring"]),
        (DUB, "dub", "github/dub", ["a", "b"]),
        (SHLINK, "shlink", "x1", []),
    ],
)
async def test_exports_of_others_are_taken_over(desk, text, format_, slug, tags):
    client, _ = desk
    headers = {"content-type": "text/csv"}
    dry = (await client.post(f"{LINKS}/import?dry_run=true", content=text, headers=headers)).json()
    assert (dry["format"], dry["created"], dry["dry_run"]) == (format_, 1, True)
    assert (await client.get(LINKS)).json()["items"] == []
    told = (await client.post(f"{LINKS}/import", content=text, headers=headers)).json()
    assert (told["rows"], told["created"], told["failed"]) == (1, 1, 0), told
    link = (await client.get(LINKS)).json()["items"][0]
    assert (link["slug"], link["tags"], link["host"]) == (slug, tags, "")
    again = (await client.post(f"{LINKS}/import", content=text, headers=headers)).json()
    assert (again["created"], again["skipped"]) == (0, 1)
    changed = text.replace("https://example.com/", "https://example.net/")
    updated = (await client.post(f"{LINKS}/import?existing=update", content=changed, headers=headers)).json()
    assert updated["updated"] == 1
    assert (await client.get(LINKS)).json()["items"][0]["target_url"].startswith("https://example.net/")


async def test_our_own_export_makes_the_same_links(desk, connection):
    client, _ = desk
    rules = [{"target_url": "https://example.com/ios", "conditions": [{"type": "device", "value": "ios"}]}]
    await client.post("/api/v1/campaigns", json={"name": "May", "utm_campaign": "may"})
    campaign = (await client.get("/api/v1/campaigns")).json()["items"][0]["id"]
    until = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    await made(
        client,
        slug="a",
        title="=cmd()",
        tags=["x", "y"],
        rules=rules,
        campaign_id=campaign,
        expires_at=until,
        click_limit=7,
        forward_query=False,
    )
    await made(client, slug="b", tracking_id="other", active=False)
    export = await client.get(f"{LINKS}/export")
    rows = list(csv.DictReader(io.StringIO(export.text)))
    assert [row["slug"] for row in rows] == ["a", "b"]
    assert rows[0]["title"] == "'=cmd()"
    before = (await client.get(LINKS)).json()["items"]
    await client.post(f"{LINKS}/bulk/delete", json={"ids": [link["id"] for link in before]})
    told = (await client.post(f"{LINKS}/import", content=export.text, headers={"content-type": "text/csv"})).json()
    assert (told["created"], told["failed"]) == (2, 0), told
    after = (await client.get(LINKS)).json()["items"]
    own = ("id", "created_at", "updated_at")
    assert [{k: v for k, v in link.items() if k not in own} for link in after] == [
        {k: v for k, v in link.items() if k not in own} for link in before
    ]


async def test_bad_rows_of_an_import_are_named_by_line(desk):
    client, _ = desk
    text = "slug,target_url\ngood,https://example.com/\nbad slug,https://example.com/\n,javascript:x\ngood,https://example.com/\n"
    told = (await client.post(f"{LINKS}/import", content=text, headers={"content-type": "text/csv"})).json()
    assert (told["created"], told["skipped"], told["failed"]) == (1, 1, 2)
    assert [(one["line"], one["code"]) for one in told["errors"]] == [(3, "invalid_slug"), (4, "unsafe_target")]
    unknown = await client.post(f"{LINKS}/import", content="a,b\n1,2\n", headers={"content-type": "text/csv"})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "unknown_format")


async def test_the_contracts_own_paths(desk, connection):
    client, hub = desk
    new = await client.post(
        "/api/link-tracking/create",
        json={"original_url": "https://example.com/job", "link_function": "apply", "job_id": "7"},
    )
    told = new.json()
    assert new.status_code == 201
    assert told["redirect_url"] == f"http://localhost/track/{told['tracking_id']}"
    assert (await client.get(f"/track/{told['tracking_id']}")).headers["location"] == "https://example.com/job"
    lookup = f"/api/link-tracking/lookup/{told['tracking_id']}"
    sender = {"authorization": f"Bearer {await key(connection, 'ingest')}"}
    assert (await client.get(lookup, headers=sender)).json() == {
        "tracking_id": told["tracking_id"],
        "destination_url": "https://example.com/job",
        "link_function": "apply",
    }
    await loaded(connection, hub)
    analytics = (await client.get(f"/api/link-tracking/analytics/{told['tracking_id']}")).json()
    assert (analytics["total_clicks"], analytics["unique_visitors"], analytics["top_devices"]) == (
        1,
        1,
        [{"value": "desktop", "clicks": 1}],
    )
    assert sum(day["clicks"] for day in analytics["clicks_by_day"]) == 1
    off = await client.post(f"/api/link-tracking/deactivate/{told['tracking_id']}")
    assert (off.status_code, off.json()["active"]) == (200, False)
    gone = await client.get(lookup)
    assert (gone.status_code, gone.json()["error"], gone.json()["code"]) == (410, "Link is inactive", "link_inactive")
    none = await client.get("/api/link-tracking/lookup/none")
    assert (none.status_code, none.json()["error"]) == (404, "Tracking ID not found")
    assert {"code", "request_id"} <= none.json().keys()
    bad = await client.post("/api/link-tracking/create", json={"original_url": "javascript:x", "link_function": "a"})
    assert (bad.status_code, bad.json()["code"]) == (422, "unsafe_target")


async def test_orphan_clicks_count_for_the_link_that_comes_later(desk, connection):
    client, hub = desk
    await client.post("/api/tracking-ingest/batch", json={"events": [{"tracking_id": "later"}]})
    await loaded(connection, hub)
    link = await made(client, slug="later")
    assert (await client.get(f"{LINKS}/{link['id']}")).json()["clicks"] == 1


async def test_a_click_of_a_link_made_in_sql_is_found(desk, connection):
    client, _ = desk
    link_id = await add_link(connection, "plain", rules=json.dumps([]))
    assert (await client.get(f"{LINKS}/{link_id}")).json()["slug"] == "plain"


async def test_a_nul_in_a_campaign_is_left_out(desk):
    client, _ = desk
    made = await client.post("/api/v1/campaigns", json={"name": "a\0b", "utm_term": "c\0d"})
    assert made.status_code == 201
    assert (made.json()["name"], made.json()["utm_term"]) == ("ab", "cd")
    changed = await client.patch(f"/api/v1/campaigns/{made.json()['id']}", json={"utm_term": "e\0f"})
    assert changed.json()["utm_term"] == "ef"


async def test_each_id_of_a_bulk_delete_has_its_result(desk):
    client, _ = desk
    link = await made(client, slug="only")
    told = await client.post(f"{LINKS}/bulk/delete", json={"ids": [-1, link["id"], link["id"], 2**70]})
    assert told.status_code == 207
    assert [(one["index"], one["success"]) for one in told.json()["results"]] == [
        (0, False),
        (1, True),
        (2, True),
        (3, False),
    ]
