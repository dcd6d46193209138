"""The pages behind mailed links in a real browser: an invitation becomes an account, a password is set anew."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from browser import headless_chromium
from e2e_server import Server

BO = "bo@harbour.example"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "data").start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    with headless_chromium(tmp_path / "profile") as driver:
        driver.implicitly_wait(20)
        yield driver


def opened(browser: Any, hub: Server, link: str) -> None:
    """Open a mailed link, at the port of this test's hub, as the first page of the tab."""
    parts = urlsplit(link)
    browser.get("about:blank")
    browser.get(f"{hub.url}{parts.path}#{parts.fragment}")


def sent(browser: Any, told: str, **fields: str) -> str:
    """Fill the form in and send it; return what the page that comes says, once its heading is `told`."""
    for name, value in fields.items():
        field = browser.find_element("css selector", f"#{name}")
        field.clear()
        field.send_keys(value)
    browser.find_element("css selector", "button").click()
    browser.find_element("xpath", f"//h1[text()='{told}']")
    return browser.find_element("css selector", "main p").text


def signs_in(hub: Server, password: str) -> int:
    return httpx.post(f"{hub.url}/api/auth/signin", json={"email": BO, "password": password}).status_code


def test_an_invitation_becomes_an_account_and_a_password_is_set_anew(hub: Server, browser: Any, tmp_path: Path):
    invited = json.loads(hub.cli("user", "invite", BO, "--tenant", "default", "--role", "viewer", "--json"))
    opened(browser, hub, invited["link"])
    secret = urlsplit(invited["link"]).fragment
    assert secret
    # the secret is in the form alone: not in the address, and not in what is kept of it
    assert secret not in browser.current_url
    assert browser.find_element("css selector", "input[name=token]").get_attribute("value") == secret
    assert not browser.find_element("css selector", "#code").is_displayed()
    for width in (360, 1000):
        browser.set_window_size(width, 760)
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    # the style is in force although the policy is strict
    assert browser.execute_script("return getComputedStyle(document.querySelector('button')).borderRadius") == "4px"
    browser.save_screenshot(str(tmp_path / "invitation.png"))
    assert sent(browser, "Welcome", name="Bo", password="harbour lights 7")
    assert signs_in(hub, "harbour lights 7") == 200

    # the same link again is over, and says so where one looks
    opened(browser, hub, invited["link"])
    browser.find_element("css selector", "#password").send_keys("another one 7")
    browser.find_element("css selector", "button").click()
    assert browser.find_element("css selector", "p.wrong[role=alert]").text
    assert signs_in(hub, "another one 7") == 401

    link = json.loads(hub.cli("user", "reset", BO, "--tenant", "default", "--json"))["link"]
    opened(browser, hub, link)
    assert sent(browser, "Done", password="harbour lights 8")
    assert (signs_in(hub, "harbour lights 7"), signs_in(hub, "harbour lights 8")) == (401, 200)
