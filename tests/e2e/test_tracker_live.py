"""The browser tracker on a page of one origin, sending to the running product on another, down to the business tables."""

import json
import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import httpx
import psycopg
import pytest
from browser import headless_chromium
from collector import Collector
from e2e_server import Server

from mainstem.platform.settings import Settings


@pytest.fixture(scope="module")
def pages() -> Iterator[Collector]:
    """Yield a web server whose pages are tracked."""
    collector = Collector(Settings())
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a headless Chromium."""
    with headless_chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


def public_key(server: Server, tenant: str, *origins: str) -> str:
    """Make a tenant and a public key of it that is bound to these origins."""
    server.cli("tenant", "create", tenant)
    more = [part for origin in origins for part in ("--origin", origin)]
    return json.loads(server.cli("key", "create", "--tenant", tenant, "--public", "--json", *more))["key"]


def events_of(server: Server, tenant: str, count: int, timeout_s: float = 20) -> list[tuple[Any, ...]]:
    """Return (kind, page, title, visitor key, properties) of a tenant's loaded events once there are `count`."""
    query = (
        "select f.kind, f.page_url, f.page_title, v.visitor_bk, f.properties"
        " from vault.nhl_site_event f join vault.hub_visitor v using (tenant_id, visitor_hk)"
        " join platform.tenant t using (tenant_id) where t.slug = %s order by f.occurred_at, f.raw_id"
    )
    deadline, pause = time.monotonic() + timeout_s, Event()
    with psycopg.connect(server.database_url(), autocommit=True) as connection:
        while len(found := connection.execute(query, (tenant,)).fetchall()) < count:
            assert time.monotonic() < deadline, found
            pause.wait(0.05)
    return found


def test_the_script_is_served_to_any_page(server: Server) -> None:
    answer = httpx.get(server.url + "/t.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert httpx.get(server.url + "/t.js", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_a_visit_reaches_the_business_tables(server: Server, pages: Collector, browser: Any) -> None:
    key = public_key(server, "tracked", pages.site)
    page = pages.page("/menu", "data-engagement data-cookie", title="Menu", host=server.url, key=key)
    browser.get(page + "?utm_source=mail&utm_campaign=autumn")
    browser.execute_script("mainstem('signup', {plan: 'pro'}); history.pushState({}, '', '/book')")
    events_of(server, "tracked", 4)
    browser.get("about:blank")
    events = events_of(server, "tracked", 5)
    kinds = [event[0] for event in events]
    assert sorted(kinds) == ["page.viewed", "page.viewed", "site.page_leave", "site.page_leave", "site.signup"]
    assert {event[1] for event in events} == {f"{page}?utm_source=mail&utm_campaign=autumn", f"{pages.site}/book"}
    assert {event[2] for event in events} == {"Menu"}
    (visitor,) = {event[3] for event in events}
    assert visitor.startswith("v:")
    assert json.loads(json.dumps(next(event[4] for event in events if event[0] == "site.signup"))) == {"plan": "pro"}
    query = (
        "select s.events, s.page_views, s.utm_campaign, s.browser from business.session s"
        " join platform.tenant t using (tenant_id) where t.slug = 'tracked'"
    )
    with psycopg.connect(server.database_url()) as connection:
        (session,) = connection.execute(query).fetchall()
    assert session[:3] == (5, 2, "autumn")


def test_a_page_of_another_origin_is_refused(server: Server, pages: Collector, browser: Any) -> None:
    key = public_key(server, "elsewhere", "https://shop.example")
    browser.get(pages.page("/stolen", host=server.url, key=key))
    status = browser.execute_async_script(
        "const done = arguments[1];"
        "fetch(arguments[0], {method: 'POST', mode: 'no-cors', body: '{}'}).then(() => done('sent'))",
        server.url + "/api/v1/track/bulk",
    )
    assert status == "sent"
    with psycopg.connect(server.database_url()) as connection:
        query = "select count(*) from raw.event join platform.tenant t using (tenant_id) where t.slug = 'elsewhere'"
        assert connection.execute(query).fetchone() == (0,)
