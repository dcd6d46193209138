"""Page keys, campaigns in addresses, and where visitors come from."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.platform.web.text import KEY_CHARACTERS
from mainstem.platform.web.urls import MAX_URL_CHARACTERS, page_of, referrer_of


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://Example.COM/Path/A?x=1#frag", "https://example.com/Path/A"),
        ("HTTPS://example.com", "https://example.com/"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("http://example.com:80/a", "http://example.com/a"),
        ("http://localhost:3000/a", "http://localhost:3000/a"),
        ("https://example.com./a", "https://example.com/a"),
        ("https://user:secret@example.com/a", "https://example.com/a"),
        ("https://[2001:db8::1]/a", "https://[2001:db8::1]/a"),
        ("//example.com/a", "//example.com/a"),
        ("/pricing?plan=pro", "/pricing"),
        ("example.com/a?b", "example.com/a"),
        ("https://example.com/ä ö", "https://example.com/ä ö"),
        ("file:///C:/kiosk.html", "file:///C:/kiosk.html"),
        ("https://[broken/a?b", "https://[broken/a"),
        ("https://example.com:99999/a", "https://example.com:99999/a"),
    ],
)
def test_a_page_is_scheme_host_and_path(url, key):
    assert page_of(url).key == key


def test_the_case_of_a_path_means_something():
    assert page_of("https://example.com/A").key != page_of("https://example.com/a").key


@pytest.mark.parametrize("url", ["", "   ", "\x00", "about:blank", "data:text/html,hi", "JavaScript:void(0)", "blob:x"])
def test_what_is_no_place_is_no_page(url):
    assert page_of(url).key is None


def test_passwords_in_addresses_are_not_kept():
    assert page_of("https://user:secret@example.com/a?b=1").url == "https://example.com/a?b=1"


def test_long_addresses_are_cut_and_stay_apart():
    first, second = (page_of("https://example.com/" + "x" * 10_000 + end) for end in "ab")
    assert first.key != second.key
    assert len(first.key or "") == KEY_CHARACTERS
    assert len(first.url or "") == MAX_URL_CHARACTERS


def test_a_campaign_is_read_from_the_query():
    url = "https://example.com/?UTM_Source=News+Letter&utm_medium=&utm_campaign=s%C3%A4le&utm_campaign=2&utm_content=a"
    assert page_of(url).utm == ("News Letter", None, "säle", None, "a")


@pytest.mark.parametrize("query", ["", "?a=1", "?utm_source=", "?" + "&".join(["utm_x=1"] * 500)])
def test_no_campaign_is_none(query):
    assert page_of("https://example.com/" + query).utm is None


@pytest.mark.parametrize(
    ("referrer", "host", "channel"),
    [
        (None, None, "direct"),
        ("", None, "direct"),
        ("-", None, "direct"),
        ("not an address", None, "direct"),
        ("https://example.com/before", None, "internal"),
        ("https://www.example.com/before", None, "internal"),
        ("https://www.google.co.uk/search?q=x", "www.google.co.uk", "search"),
        ("https://duckduckgo.com/", "duckduckgo.com", "search"),
        ("https://mail.google.com/mail", "mail.google.com", "referral"),
        ("android-app://com.google.android.googlequicksearchbox/", "com.google.android.googlequicksearchbox", "search"),
        ("https://l.facebook.com/l.php", "l.facebook.com", "social"),
        ("https://t.co/abc", "t.co", "social"),
        ("https://news.ycombinator.com/item?id=1", "news.ycombinator.com", "social"),
        ("https://netflix.com/", "netflix.com", "referral"),
        ("https://blog.example.org/post", "blog.example.org", "referral"),
        ("https://notgoogle.com/", "notgoogle.com", "referral"),
    ],
)
def test_the_channel_follows_from_the_referrer(referrer, host, channel):
    found = referrer_of(referrer, "example.com")
    assert (found.host, found.channel) == (host, channel)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=80), st.booleans())
def test_no_text_fails(text, with_scheme):
    text = "https://" + text if with_scheme else text
    page, referrer = page_of(text), referrer_of(text, "example.com")
    for value in (page.key, page.url, page.host, page.path, referrer.url, referrer.host):
        assert value is None or ("\x00" not in value and value.encode())


def test_many_long_addresses_do_not_stay_in_memory() -> None:
    tracemalloc.start()
    try:
        for number in range(1_000):
            address = f"https://example.com/{number}/" + "x" * 60_000
            page_of(f"{address}?utm_source={number}{'y' * 60_000}")
            referrer_of(address, "example.org")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # the standard library itself keeps the last 128 it has split
    assert kept < 25_000_000
