"""The pages that visitors see, in a real browser: preview, password, and why there is nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from browser import headless_chromium
from e2e_server import Server

from mainstem.platform import passwords


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a product with a link that has a password and one that has not."""
    running = Server(tmp_path_factory.mktemp("pages") / "data").start()
    hashed = passwords._PASSWORDS.hash("open sesame")
    target = f"{running.url}/docs?{'a-long-parameter=' + 'x' * 200}"
    with psycopg.connect(running.database_url(), autocommit=True) as connection:
        for slug, title, secret in (("menu", "The autumn menu", None), ("secret", None, hashed)):
            connection.execute(
                "insert into links.tracked_link (tenant_id, slug, tracking_id, target_url, title, password_hash) "
                "select tenant_id, %s, %s, %s, %s, %s from platform.tenant where slug = 'default'",
                (slug, slug, target, title, secret),
            )
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with headless_chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def await_address(browser: Any, start: str) -> None:
    """Wait until the browser is at an address that begins so: a click does not wait for the page it leads to."""
    wait = pytest.importorskip("selenium.webdriver.support.wait")
    wait.WebDriverWait(browser, 20).until(lambda driver: driver.current_url.startswith(start))


def fits(browser: Any) -> bool:
    """Tell whether nothing is wider than the window."""
    return browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("width", [360, 1000])
def test_the_preview_leads_on(linked: Server, browser: Any, width: int, tmp_path: Path) -> None:
    browser.set_window_size(width, 760)
    browser.get(f"{linked.url}/menu+")
    assert browser.title == f"Preview of 127.0.0.1:{linked.port}/menu"
    assert "The autumn menu" in browser.find_element("css selector", "h1").text
    assert fits(browser)
    # the style is in force although the policy is strict
    assert browser.execute_script("return getComputedStyle(document.querySelector('a.go')).borderRadius") == "9px"
    browser.save_screenshot(str(tmp_path / "preview.png"))
    browser.find_element("css selector", "a.go").click()
    await_address(browser, f"{linked.url}/docs?a-long-parameter=")


def test_the_password_is_asked_for_again_and_then_leads_on(linked: Server, browser: Any) -> None:
    browser.get(f"{linked.url}/secret")
    for given in ("guess", "open sesame"):
        browser.find_element("css selector", "input").send_keys(given)
        browser.find_element("css selector", "button").click()
        if given == "guess":
            # found as soon as the page is there
            browser.implicitly_wait(20)
            assert "not the password" in browser.find_element("css selector", "[role=alert]").text
            browser.implicitly_wait(0)
    await_address(browser, f"{linked.url}/docs?")


def test_an_unknown_address_says_so(linked: Server, browser: Any) -> None:
    browser.get(f"{linked.url}/no-such-link")
    assert browser.find_element("css selector", "h1").text == "This link does not exist"
    assert fits(browser)
