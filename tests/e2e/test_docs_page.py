"""The documentation page, as a person sees it."""

from pathlib import Path

import pytest
from browser import headless_chromium


def test_the_front_page_shows_the_interface_without_any_other_server(server, tmp_path: Path):
    ui = pytest.importorskip("selenium.webdriver.support.ui", reason="browser tests need the Python package selenium")

    with headless_chromium(tmp_path / "profile") as browser:
        browser.get(server.url + "/")
        ui.WebDriverWait(browser, 20).until(
            lambda page: "Track one site event" in page.find_element("id", "swagger-ui").text
        )
        assert browser.current_url == server.url + "/docs"
        assert browser.title == "Mainstem API"
        severe = [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
        assert severe == []
