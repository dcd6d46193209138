"""User agents: device, system, browser; bots by the crawler list."""

import gzip
import re
from collections import Counter
from pathlib import Path

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA, is_crawler
from hypothesis import given
from hypothesis import strategies as st

from mainstem.platform.web.agents import UNKNOWN, agent_of, bot_reason

LOG = Path(__file__).parents[3] / "shared" / "data" / "apache_access.log.gz"

WINDOWS_CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
EDGE = WINDOWS_CHROME + " Edg/120.0.0.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1"
IPAD = "Mozilla/5.0 (iPad; CPU OS 15_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.0 Mobile/15E148 Safari/604.1"
PIXEL = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"
GALAXY_TAB = (
    "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
FIREFOX_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:121.0) Gecko/20100101 Firefox/121.0"
SMART_TV = (
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/6.0 TV Safari/537.36"
)


@pytest.mark.parametrize(
    ("text", "device", "system", "browser"),
    [
        (WINDOWS_CHROME, "desktop", "Windows", "Chrome"),
        (EDGE, "desktop", "Windows", "Edge"),
        (FIREFOX_MAC, "desktop", "Mac OS X", "Firefox"),
        (IPHONE, "mobile", "iOS", "Mobile Safari"),
        (IPAD, "tablet", "iOS", "Mobile Safari"),
        (PIXEL, "mobile", "Android", "Chrome Mobile"),
        (GALAXY_TAB, "tablet", "Android", "Chrome"),
    ],
)
def test_devices_are_told_apart(text, device, system, browser):
    found = agent_of(text)
    assert (found.device, found.os, found.browser, found.is_bot) == (device, system, browser, False)


def test_a_television_is_neither_desktop_nor_tablet():
    assert agent_of(SMART_TV).device == "other"


@pytest.mark.parametrize("text", [None, "", "  ", "\x00"])
def test_no_agent_is_unknown(text):
    assert agent_of(text) == UNKNOWN


def test_a_bot_is_labelled_with_the_pattern_that_matched():
    found = agent_of("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    assert (found.device, found.is_bot, found.bot_reason) == ("bot", True, "Googlebot\\/")


def test_every_example_of_the_crawler_list_is_a_bot():
    examples = [text for entry in CRAWLER_USER_AGENTS_DATA for text in entry["instances"]]
    assert len(examples) > 1_000
    assert [text for text in examples if bot_reason(text) is None] == []


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=100))
def test_no_text_fails_and_the_verdict_is_the_librarys(text):
    found = agent_of(text)
    assert found.is_bot == is_crawler(
        text.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()
    )


@pytest.mark.skipif(not LOG.exists(), reason="the shared log is not on this machine")
def test_the_real_log_has_as_many_bots_as_the_library_finds():
    lines = gzip.decompress(LOG.read_bytes()).decode().splitlines()
    agents = Counter(match[1] for line in lines if (match := re.search(r'"([^"]*)"\s*$', line)))
    bots = {text for text in agents if agent_of(text).is_bot}
    assert bots == {text for text in agents if is_crawler(text)}
    assert (len(bots), sum(agents[text] for text in bots)) == (74, 1_955)
