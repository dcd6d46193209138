"""The tracker's asset, and the tracker itself in headless Chromium on real pages."""

import gzip
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from browser import headless_chromium
from collector import Collector

from mainstem.platform.settings import Settings
from mainstem.site.tracker import answer, build, tracker_asset
from mainstem.site.tracker.tracker import accepts_gzip

STUB = "window.mainstem = window.mainstem || function () { (mainstem.q = mainstem.q || []).push(arguments) };"


class TestAsset:
    def test_is_at_most_two_kilobytes_on_the_wire(self) -> None:
        asset = tracker_asset(Settings())
        assert len(asset.gzip) <= 2_048
        assert gzip.decompress(asset.gzip) == asset.body

    def test_was_built_from_its_source(self) -> None:
        assert build.BUILT.read_bytes().startswith(build.banner(build.SOURCE.read_bytes()))

    @pytest.mark.parametrize(("respect", "literal"), [(True, b":!0;"), (False, b":!1;")])
    def test_bakes_the_do_not_track_default_in(self, respect: bool, literal: bytes) -> None:
        asset = tracker_asset(Settings(tracker_respect_dnt=respect))
        assert literal in asset.body
        assert b"RESPECT_DNT" not in asset.body

    def test_etag_follows_the_content(self) -> None:
        on, off = tracker_asset(Settings(tracker_respect_dnt=True)), tracker_asset(Settings(tracker_respect_dnt=False))
        assert on == tracker_asset(Settings(tracker_respect_dnt=True))
        assert on.etag != off.etag

    def test_answers_a_browser_with_gzip_for_every_origin(self) -> None:
        asset = tracker_asset(Settings())
        sent = answer(asset, accept_encoding="gzip, deflate, br")
        headers = dict(sent.headers)
        assert (sent.status, sent.body) == (200, asset.gzip)
        assert headers[b"content-encoding"] == b"gzip"
        assert headers[b"content-length"] == b"%d" % len(asset.gzip)
        assert headers[b"access-control-allow-origin"] == b"*"
        assert headers[b"cache-control"].startswith(b"public, max-age=")

    @pytest.mark.parametrize("known", ["{etag}", '"other", {etag}', "*", "{strong}"])
    def test_answers_304_for_a_known_version(self, known: str) -> None:
        asset = tracker_asset(Settings())
        sent = answer(asset, if_none_match=known.format(etag=asset.etag, strong=asset.etag.removeprefix("W/")))
        assert (sent.status, sent.body) == (304, b"")
        assert (b"etag", asset.etag.encode()) in sent.headers

    def test_answers_200_for_another_version(self) -> None:
        assert answer(tracker_asset(Settings()), if_none_match='W/"old"').status == 200

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            (None, False),
            ("", False),
            ("gzip", True),
            ("br, GZIP;q=0.5", True),
            ("gzip;q=0", False),
            ("gzip; q=0.000, *", False),
            ("*", True),
            ("identity", False),
        ],
    )
    def test_reads_accept_encoding(self, header: str | None, expected: bool) -> None:
        assert accepts_gzip(header) is expected


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with headless_chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def server() -> Iterator[Collector]:
    collector = Collector(Settings())
    yield collector
    collector.close()


@pytest.fixture
def collector(server: Collector, browser: Any) -> Iterator[Collector]:
    """Yield the server, empty; the browser is on a blank page without cookies."""
    server.reset()
    yield server
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})


def quiet(collector: Collector, browser: Any) -> list[str]:
    """Return the types of all events, after the page could have sent more: it is left, and a later page's came."""
    browser.get(collector.page("/fence", title="Fence"))
    collector.wait("page_view", 1 + len([e for e in collector.of("page_view") if e["title"] != "Fence"]))
    return [event["event_type"] for event in collector.events if event["title"] != "Fence"]


class TestInChromium:
    def test_sends_a_page_view_with_its_facts(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/menu", title="Menu") + "?utm_source=mail&table=2#drinks")
        (event,) = collector.wait("page_view")
        assert event["page_url"] == f"{collector.site}/menu?utm_source=mail&table=2"
        assert event["title"] == "Menu"
        assert event["referrer"] == ""
        assert UUID(event["event_id"]).version == 4
        assert re.fullmatch(r"\d+x\d+", event["screen_resolution"])
        assert re.fullmatch(r"\d+x\d+", event["viewport"])
        assert event["language"]
        assert event["timestamp"] <= event["sent_at"]
        (request,) = collector.requests
        assert request["path"] == "/api/v1/track/bulk"
        assert request["body"]["write_key"] == "ms_pub_test"
        assert request["headers"]["content-type"].startswith("text/plain")
        assert request["headers"]["origin"] == collector.site

    def test_a_link_gives_the_next_page_its_referrer(self, collector: Collector, browser: Any) -> None:
        first = collector.page("/one", body='<a id="next" href="/two">two</a>')
        collector.page("/two")
        browser.get(first)
        collector.wait("page_view")
        browser.find_element("id", "next").click()
        assert collector.wait("page_view", 2)[1]["referrer"] == first

    def test_follows_a_single_page_application(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/app"))
        collector.wait("page_view")
        browser.execute_script("history.pushState({}, '', '/app/tables'); document.title = 'Tables'")
        collector.wait("page_view", 2)
        browser.execute_script("history.replaceState({}, '', '/app/tables?seats=4')")
        collector.wait("page_view", 3)
        browser.execute_script("history.back()")
        views = collector.wait("page_view", 4)
        urls = [view["page_url"].removeprefix(collector.site) for view in views]
        assert urls == ["/app", "/app/tables", "/app/tables?seats=4", "/app"]
        assert views[1]["title"] == "Tables"
        assert all(after["referrer"] == before["page_url"] for before, after in pairwise(views))

    def test_an_unchanged_address_and_a_hash_are_no_views(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/app"))
        collector.wait("page_view")
        browser.execute_script("history.replaceState({page: 1}, '', location.href); location.hash = 'top'")
        assert quiet(collector, browser) == ["page_view"]

    def test_a_hash_is_a_view_by_option(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/app", "data-hash"))
        collector.wait("page_view")
        browser.execute_script("location.hash = '/tables'")
        assert collector.wait("page_view", 2)[1]["page_url"] == f"{collector.site}/app#/tables"

    def test_custom_events_before_and_after_load_keep_their_order(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/join", before=STUB + "mainstem('signup', {plan: 'pro'})"))
        browser.execute_script("mainstem('paid', {amount: 12.5})")
        (paid,) = collector.wait("paid")
        assert [event["event_type"] for event in collector.events] == ["page_view", "signup", "paid"]
        assert collector.of("signup")[0]["event_data"] == {"plan": "pro"}
        assert paid["event_data"] == {"amount": 12.5}
        assert len({event["event_id"] for event in collector.events}) == 3

    def test_what_is_no_json_harms_neither_the_page_nor_other_events(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/join"))
        reached = browser.execute_script(
            "const loop = {}; loop.self = loop; mainstem('bad', loop); mainstem('good'); return 'reached'"
        )
        assert reached == "reached"
        collector.wait("good")
        assert collector.of("bad") == []

    @pytest.mark.parametrize(
        "signal",
        ["Object.defineProperty(navigator, 'globalPrivacyControl', {value: true});", "window.doNotTrack = '1';"],
    )
    def test_respects_do_not_track_and_global_privacy_control(
        self, collector: Collector, browser: Any, signal: str
    ) -> None:
        browser.get(collector.page("/private", "data-cookie", before=signal + STUB + "mainstem('early')"))
        browser.execute_script("mainstem('late'); history.pushState({}, '', '/private/2')")
        assert browser.get_cookies() == []
        assert quiet(collector, browser) == []

    def test_do_not_track_is_put_aside_by_option(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/intranet", 'data-dnt="false"', before="window.doNotTrack = '1';"))
        collector.wait("page_view")

    def test_keeps_nothing_on_the_device_by_default(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/plain"))
        (event,) = collector.wait("page_view")
        assert "visitor_id" not in event
        assert browser.get_cookies() == []
        assert browser.execute_script("return localStorage.length + sessionStorage.length") == 0

    def test_a_cookie_by_option_names_the_visitor_for_a_year(self, collector: Collector, browser: Any) -> None:
        page = collector.page("/regulars", "data-cookie")
        browser.get(page)
        collector.wait("page_view")
        (cookie,) = browser.get_cookies()
        browser.get(page)
        first, second = collector.wait("page_view", 2)
        assert first["visitor_id"] == second["visitor_id"] == cookie["value"]
        assert (cookie["name"], cookie["path"], cookie["sameSite"], cookie["domain"]) == (
            "ms_vid",
            "/",
            "Lax",
            "127.0.0.1",
        )
        assert 364 * 86_400 < cookie["expiry"] - browser.execute_script("return Date.now() / 1000") <= 365 * 86_400

    def test_leaving_tells_time_and_depth_by_option(self, collector: Collector, browser: Any) -> None:
        page = collector.page("/long", "data-engagement", body='<div style="height:6000px"></div>')
        browser.get(page)
        collector.wait("page_view")
        browser.execute_async_script(
            "addEventListener('scroll', () => arguments[0](), {once: true}); scrollTo(0, 2600)"
        )
        browser.get("about:blank")
        (leave,) = collector.wait("page_leave")
        assert leave["page_url"] == page
        assert 0 <= leave["event_data"]["time_on_page"] < 60
        assert 40 <= leave["event_data"]["scroll_depth"] <= 70

    def test_leaving_is_silent_without_the_option(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/long"))
        collector.wait("page_view")
        assert quiet(collector, browser) == ["page_view"]

    def test_an_event_at_the_last_moment_still_comes(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/bye"))
        collector.wait("page_view")
        browser.execute_script("addEventListener('pagehide', () => mainstem('goodbye')); location.href = 'about:blank'")
        collector.wait("goodbye")

    def test_clicks_outward_and_downloads_by_option(self, collector: Collector, browser: Any) -> None:
        links = (
            '<a id="out" href="https://other.example/x"><b>out</b></a> <a id="file" href="/menu.PDF?v=2">menu</a>'
            '<a id="in" href="/about">in</a><script>addEventListener("click", event => event.preventDefault())</script>'
        )
        browser.get(collector.page("/links", "data-outbound data-downloads", body=links))
        for name in ("in", "out", "file"):
            browser.find_element("id", name).click()
        (download,) = collector.wait("file_download")
        assert [event["event_data"]["href"] for event in collector.of("outbound_click")] == ["https://other.example/x"]
        assert download["event_data"]["href"] == f"{collector.site}/menu.PDF?v=2"

    @pytest.mark.parametrize("status", [503, 429, 500])
    def test_a_refused_send_is_repeated_with_the_same_id(self, collector: Collector, browser: Any, status: int) -> None:
        collector.answers[:] = [status]
        browser.get(collector.page("/retry"))
        first, second = collector.wait("page_view", 2)
        assert first["event_id"] == second["event_id"]

    def test_a_wrong_key_is_not_tried_again(self, collector: Collector, browser: Any) -> None:
        collector.answers[:] = [401]
        browser.get(collector.page("/wrong"))
        collector.wait("page_view")
        browser.execute_script("mainstem('next')")
        collector.wait("next")
        assert len(collector.of("page_view")) == 1

    def test_waiting_events_are_bounded(self, collector: Collector, browser: Any) -> None:
        collector.answers[:] = [503] * 50
        browser.get(collector.page("/flood"))
        collector.wait("page_view")
        browser.execute_script("for (let i = 0; i < 500; i++) mainstem('flood', {i})")
        browser.get("about:blank")
        collector.wait("flood", 20)
        sent = {event["event_data"]["i"] for event in collector.wait("flood", 100)}
        assert max(sent) == 499
        assert len(sent) <= 120

    def test_automation_is_left_out_by_option(self, collector: Collector, browser: Any) -> None:
        browser.get(collector.page("/checked", "data-ignore-automation"))
        assert browser.execute_script("return navigator.webdriver")
        assert quiet(collector, browser) == []

    def test_a_page_with_the_script_twice_counts_once(self, collector: Collector, browser: Any) -> None:
        again = f'<script defer src="{collector.host}/t.js" data-key="ms_pub_test"></script>'
        browser.get(collector.page("/twice", body=again))
        collector.wait("page_view")
        assert quiet(collector, browser) == ["page_view"]


def test_the_guide_names_every_option() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/browser-tracker.md").read_text()
    source = build.SOURCE.read_text()
    options = set(re.findall(r"option\.(\w+)|'(\w+)' in option", source))
    names = {"data-" + re.sub(r"([A-Z])", lambda m: "-" + m[1].lower(), next(filter(None, found))) for found in options}
    assert len(names) >= 8
    assert [name for name in sorted(names) if f"`{name}" not in guide] == []
