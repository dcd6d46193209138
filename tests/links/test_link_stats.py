"""The statistics API: series of a time zone, comparisons, breakdowns, single clicks, missed visits."""

from datetime import UTC, datetime, timedelta

import pytest
from links.test_clicks_loaded import click
from links.visiting import GOOGLEBOT, add_link, loaded, serving
from siting import land, raw_event

from mainstem.links.stats import Dimension
from mainstem.platform.clock import utc_now
from mainstem.platform.keys import create_key

LINKS = "/api/v1/links"
NIGHT = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)
"""Already the 10th in Berlin."""


@pytest.fixture
async def desk(dsn, tmp_path, connection):
    """Yield (client with a reading key, hub, ids of the links by slug), after some clicks in March 2026."""
    tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
    key = (await create_key(connection, tenant_id, scopes=["read"], label="test")).key
    campaign = await connection.fetchval(
        "insert into links.campaign (tenant_id, name) values ($1, 'May') returning campaign_id", tenant_id
    )
    ids = {
        slug: await add_link(
            connection, slug, tags=["print"] if slug == "menu" else [], campaign_id=campaign if slug == "menu" else None
        )
        for slug in ("menu", "events")
    }
    await land(
        connection,
        [
            click("menu", occurred_at=NIGHT, data={"country": "DE"}),
            click("menu", occurred_at=NIGHT + timedelta(minutes=50), data={"country": "DE"}),
            click("menu", occurred_at=NIGHT + timedelta(minutes=51), visitor="v:2", data={"country": "AT"}),
            click("menu", occurred_at=NIGHT, user_agent=GOOGLEBOT, visitor="v:3"),
            click("menu", occurred_at=NIGHT - timedelta(days=365)),
            click("events", occurred_at=NIGHT),
            click("unregistered", occurred_at=NIGHT),
        ],
    )
    async with serving(dsn, tmp_path, rate_limit_requests=100_000) as (client, hub):
        client.headers.update({"authorization": f"Bearer {key}", "accept": "application/json"})
        await loaded(connection, hub)
        yield client, hub, ids


async def stats(client, path: str, **query: object) -> dict:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_days_are_those_of_the_time_zone(desk):
    client, _, ids = desk
    path = f"{LINKS}/{ids['menu']}/stats"
    utc = await stats(client, path, **{"from": "2026-03-09", "to": "2026-03-11"})
    assert [(point["at"], point["clicks"]) for point in utc["series"]] == [
        ("2026-03-09T00:00:00.000000Z", 1),
        ("2026-03-10T00:00:00.000000Z", 2),
    ]
    berlin = await stats(client, path, timezone="Europe/Berlin", **{"from": "2026-03-09", "to": "2026-03-11"})
    assert [(point["at"], point["clicks"]) for point in berlin["series"]] == [
        ("2026-03-08T23:00:00.000000Z", 0),
        ("2026-03-09T23:00:00.000000Z", 3),
    ]
    assert berlin["totals"] == {"clicks": 3, "visitors": 3}
    hours = await stats(
        client,
        path,
        interval="hour",
        timezone="Asia/Kathmandu",
        **{"from": "2026-03-10T04:00", "to": "2026-03-10T07:00"},
    )
    assert [point["clicks"] for point in hours["series"]] == [0, 1, 2]
    months = await stats(client, path, interval="month", **{"from": "2026-02-10", "to": "2026-03-20"})
    assert [point["clicks"] for point in months["series"]] == [0, 3]


async def test_a_span_is_compared(desk):
    client, _, ids = desk
    span = {"from": "2026-03-09", "to": "2026-03-11"}
    path = f"{LINKS}/{ids['menu']}/stats"
    year = (await stats(client, path, compare="year", **span))["comparison"]
    assert (year["from"], year["clicks"], year["clicks_change"]) == ("2025-03-09T00:00:00.000000Z", 1, 2.0)
    before = (await stats(client, path, compare="previous", **span))["comparison"]
    assert (before["from"], before["to"], before["clicks"], before["clicks_change"]) == (
        "2026-03-07T00:00:00.000000Z",
        "2026-03-09T00:00:00.000000Z",
        0,
        None,
    )
    assert (await stats(client, path, **span))["comparison"] is None


async def test_bots_are_apart(desk):
    client, _, ids = desk
    span = {"from": "2026-03-09", "to": "2026-03-11"}
    path = f"{LINKS}/{ids['menu']}/stats"
    counted = [
        (await stats(client, path, bots=bots, **span))["totals"]["clicks"] for bots in ("exclude", "include", "only")
    ]
    assert counted == [3, 4, 1]


async def test_breakdowns(desk):
    client, _, ids = desk
    span = {"from": "2026-03-09", "to": "2026-03-11"}
    found = await stats(client, f"{LINKS}/{ids['menu']}/stats", by=["country", "browser"], limit=1, **span)
    assert found["breakdowns"] == {
        "country": [{"value": "DE", "clicks": 2}],
        "browser": [{"value": "Firefox", "clicks": 3}],
    }
    every = await stats(client, f"{LINKS}/{ids['menu']}/stats", by=[str(one) for one in Dimension], **span)
    assert set(every["breakdowns"]) == {str(one) for one in Dimension}


async def test_all_links_and_some_of_them(desk):
    client, _, ids = desk
    span = {"from": "2026-03-09", "to": "2026-03-11"}
    every = await stats(client, f"{LINKS}/stats", **span)
    assert every["totals"] == {"clicks": 5, "visitors": 3}
    assert [(link["tracking_id"], link["clicks"], link["id"]) for link in every["links"]] == [
        ("menu", 3, ids["menu"]),
        ("events", 1, ids["events"]),
        ("unregistered", 1, None),
    ]
    assert every["links"][0]["short_url"] == "http://localhost/menu"
    campaign = (await stats(client, f"{LINKS}/stats", campaign_id=1, **span))["totals"]["clicks"]
    tag = (await stats(client, f"{LINKS}/stats", tag="print", **span))["totals"]["clicks"]
    host = (await stats(client, f"{LINKS}/stats", host="", **span))["totals"]["clicks"]
    assert (campaign, tag, host) == (3, 3, 4)
    assert (await stats(client, f"{LINKS}/stats", tag="none", **span))["totals"]["clicks"] == 0


async def test_clicks_one_by_one(desk):
    client, _, ids = desk
    seen, cursor = [], None
    while True:
        page = await stats(client, f"{LINKS}/{ids['menu']}/clicks", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [one["is_bot"] for one in seen].count(True) == 1
    assert [one["clicked_at"] for one in seen] == sorted((one["clicked_at"] for one in seen), reverse=True)
    assert len({one["id"] for one in seen}) == 5


async def test_missed_visits_by_path(desk, connection):
    client, hub, _ = desk
    await land(connection, [raw_event({"slug": "old"}, kind="link.missed", occurred_at=utc_now()) for _ in range(2)])
    await land(connection, [raw_event({"slug": "wp"}, kind="link.missed", occurred_at=utc_now(), user_agent=GOOGLEBOT)])
    await loaded(connection, hub)
    items = (await stats(client, f"{LINKS}/missed"))["items"]
    assert [(one["path"], one["visits"], one["bot_visits"]) for one in items] == [("old", 2, 0), ("wp", 0, 1)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"from": "2026-03-10", "to": "2026-03-09"}, "from"),
        ({"from": "2020-01-01", "to": "2026-01-01", "interval": "hour"}, "from"),
        ({"from": "0001-01-01"}, "from"),
        ({"by": "moon"}, None),
        ({"cursor": "x"}, None),
    ],
)
async def test_what_can_not_be_counted_is_refused(desk, query, field):
    client, _, ids = desk
    answer = await client.get(f"{LINKS}/{ids['menu']}/stats", params=query)
    assert answer.status_code == 422
    if field:
        assert answer.json()["field"] == field


async def test_statistics_of_another_tenants_link_are_not_found(desk, connection):
    client, _, ids = desk
    await connection.execute("insert into platform.tenant (slug, name) values ('other', 'Other')")
    tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'other'")
    key = (await create_key(connection, tenant_id, scopes=["read"], label="test")).key
    headers = {"authorization": f"Bearer {key}"}
    for path in ("stats", "clicks", "qr"):
        assert (await client.get(f"{LINKS}/{ids['menu']}/{path}", headers=headers)).status_code == 404
    assert (await client.get(f"{LINKS}/stats", headers=headers)).json()["totals"]["clicks"] == 0
