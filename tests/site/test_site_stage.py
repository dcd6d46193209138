"""A raw site event becomes its stage row; whatever is sent comes through or is refused with a reason."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siting import FIREFOX, GOOGLEBOT, named, raw_event

from mainstem.events.model import EventFlag
from mainstem.site.stage import stage
from mainstem.vault.engine import ZERO_KEY, hash_key
from mainstem.vault.feed import RejectedError
from mainstem.vault.model import SITE_COLUMNS


def row(data: object = None, **fields: object) -> dict[str, object]:
    return named(stage(raw_event(data, **fields)))


def test_a_page_view_fills_every_column():
    uid = UUID(int=7)
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    found = row(
        {
            "page_url": "https://Shop.example/Cart?utm_source=mail&utm_campaign=may",
            "event_type": "page_view",
            "event_data": {
                "page_title": "Cart",
                "referrer": "https://www.google.com/",
                "viewport": {"width": 800, "height": 600},
                "language": "de-AT",
            },
            "user_id": 42,
        },
        raw_id=9,
        event_uid=uid,
        occurred_at=moment,
        subject="s1",
        visitor="u:42",
    )
    assert found == {
        "raw_id": 9,
        "tenant_id": 1,
        "event_uid": uid,
        "kind": "page.viewed",
        "occurred_at": moment,
        "received_at": found["received_at"],
        "rsrc": "site",
        "flags": 0,
        "visitor_hk": hash_key(1, "site", "u:42"),
        "visitor_bk": "u:42",
        "session_hk": hash_key(1, "site", "s1"),
        "session_bk": "s1",
        "page_hk": hash_key(1, "site", "https://shop.example/Cart"),
        "page_bk": "https://shop.example/Cart",
        "campaign_hk": hash_key(1, "site", "mail", None, "may"),
        "utm_source": "mail",
        "utm_medium": None,
        "utm_campaign": "may",
        "utm_term": None,
        "utm_content": None,
        "user_id": "42",
        "event_type": "page_view",
        "page_url": "https://Shop.example/Cart?utm_source=mail&utm_campaign=may",
        "page_host": "shop.example",
        "page_path": "/Cart",
        "page_title": "Cart",
        "referrer_url": "https://www.google.com/",
        "referrer_host": "www.google.com",
        "channel": "campaign",
        "device": "desktop",
        "os": "Linux",
        "browser": "Firefox",
        "is_bot": False,
        "bot_reason": None,
        "ip": "192.0.2.0",
        "language": "de-AT",
        "screen": "800x600",
        "properties": found["properties"],
        "customer_hk": None,
        "customer_bk": None,
        "customer_fields": None,
        "customer_hashdiff": None,
        "customer_sealed": None,
    }
    assert list(found) == [name for name, _ in SITE_COLUMNS]
    assert json.loads(str(found["properties"]))["page_title"] == "Cart"


def test_the_top_level_wins_over_event_data():
    found = row(
        {
            "page_url": "https://a.example/top",
            "title": "top",
            "utm_source": "top",
            "event_data": {"page_url": "https://a.example/in", "title": "in", "utm_source": "in", "utm_medium": "in"},
        }
    )
    assert (found["page_path"], found["page_title"], found["utm_source"], found["utm_medium"]) == (
        "/top",
        "top",
        "top",
        "in",
    )


def test_session_and_user_inside_event_data_count():
    data = {"page_url": "https://a.example/", "event_data": {"session_id": "s1", "user_id": "u1"}}
    rows = [row(data, visitor=None) for _ in range(5)]
    assert {found["session_bk"] for found in rows} == {"s1"}
    assert {found["visitor_bk"] for found in rows} == {"u:u1"}


@pytest.mark.parametrize(
    ("data", "fields", "visitor"),
    [
        ({}, {"subject": "s1"}, "s:s1"),
        ({}, {"event_uid": UUID(int=5)}, f"e:{UUID(int=5)}"),
        ({"user_id": "u1"}, {"subject": "s1"}, "u:u1"),
    ],
)
def test_an_event_without_a_visitor_key_falls_back(data, fields, visitor):
    assert row({"page_url": "/", **data}, visitor=None, **fields)["visitor_bk"] == visitor


def test_equal_keys_of_two_tenants_never_meet():
    one, two = (row(subject="s1", tenant_id=tenant) for tenant in (1, 2))
    for key in ("visitor_hk", "session_hk", "page_hk"):
        assert one[key] != two[key]


def test_visitors_that_differ_by_a_dot_or_a_case_stay_apart():
    visitors = ["v:a.b", "v:a_b", "v:ab", "v:A.b", "v:a.b ", "v:a.b."]
    assert len({row(visitor=visitor)["visitor_hk"] for visitor in visitors}) == len(visitors)


def test_an_empty_event_has_zero_keys_and_the_type_of_its_kind():
    found = row({}, kind="site.click")
    assert (found["page_hk"], found["campaign_hk"], found["session_hk"]) == (ZERO_KEY, ZERO_KEY, ZERO_KEY)
    assert (found["event_type"], found["page_bk"], found["properties"]) == ("click", None, "{}")


@pytest.mark.parametrize("url", [None, "", "   ", "about:blank", "data:text/html,x"])
def test_a_page_view_without_a_usable_page_is_refused(url):
    with pytest.raises(RejectedError) as refused:
        row({"page_url": url})
    assert (refused.value.code, refused.value.field) == ("page_url_missing", "page_url")


@pytest.mark.parametrize("data", ["[]", "1", "null", "not json", '"x"'])
def test_data_that_is_no_object_is_refused(data):
    with pytest.raises(RejectedError) as refused:
        row(data)
    assert refused.value.code == "data_invalid"


@pytest.mark.parametrize(
    ("data", "column", "expected"),
    [
        ({"session_id": 42}, "session_bk", "42"),
        ({"session_id": {"a": 1}}, "session_bk", None),
        ({"event_type": 7}, "event_type", "7"),
        ({"title": ["x"]}, "page_title", None),
        ({"event_data": [1, 2]}, "properties", '{"value":[1,2]}'),
        ({"event_data": "text"}, "properties", '{"value":"text"}'),
        ({"event_data": None}, "properties", "{}"),
        ({"scroll_depth": 50, "event_data": {"a": 1}}, "properties", '{"a":1,"scroll_depth":50}'),
        ({"viewport_width": 10, "viewport_height": 20}, "screen", "10x20"),
        ({"viewport": 3, "screen_resolution": "9x9"}, "screen", "9x9"),
    ],
)
def test_values_of_unusual_types_are_read_or_left_out(data, column, expected):
    found = row({"page_url": "https://example.com/", **data})[column]
    assert (str(found).replace(" ", "").replace(".0", "") if column == "properties" else found) == expected


def test_nul_and_half_surrogates_are_mended_everywhere():
    text = r'{"page_url":"https://example.com/\u0000\ud800","title":"t\u0000","event_data":{"k\u0000":"\udfff"}}'
    found = row(text)
    assert found["page_bk"] == "https://example.com/\ufffd"
    assert found["page_title"] == "t"
    assert found["properties"] == '{"k":"\ufffd"}'


def test_long_values_are_cut_and_ids_stay_apart():
    long = "x" * 10_000
    first = row({"page_url": "https://example.com/" + long, "title": long}, subject=long + "1", visitor=long + "1")
    second = row({"page_url": "https://example.com/" + long, "title": long}, subject=long + "2", visitor=long + "2")
    assert first["session_hk"] != second["session_hk"]
    assert first["visitor_hk"] != second["visitor_hk"]
    assert len(str(first["session_bk"])) == len(str(first["visitor_bk"])) == 256
    assert len(str(first["page_title"])) == 1_000


def test_a_server_is_never_judged_by_its_own_agent():
    judged, spared = row(user_agent=GOOGLEBOT), row(user_agent=GOOGLEBOT, flags=int(EventFlag.SERVER_AGENT))
    assert (judged["is_bot"], judged["device"]) == (True, "bot")
    assert (spared["is_bot"], spared["device"], spared["bot_reason"]) == (False, "unknown", None)


@pytest.mark.parametrize(
    ("referrer", "utm", "channel"),
    [
        (None, {}, "direct"),
        ("https://example.com/", {}, "internal"),
        ("https://www.bing.com/", {}, "search"),
        ("https://www.bing.com/", {"utm_source": "x"}, "campaign"),
        ("https://www.bing.com/", {"utm_term": "x"}, "search"),
    ],
)
def test_a_named_campaign_wins_over_the_referrer(referrer, utm, channel):
    assert row({"page_url": "https://example.com/a", "referrer": referrer, **utm})["channel"] == channel


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    "page_url url event_type event_data session_id user_id title referrer utm_source viewport viewport_width "
    "scroll_depth language screen_resolution".split()
)


@given(st.dictionaries(FIELDS, JSON), st.dictionaries(FIELDS, JSON))
def test_any_event_becomes_a_row_that_can_be_stored(top, details):
    found = row({**top, "event_data": details}, kind="site.x", user_agent=FIREFOX)
    assert len(found) == len(SITE_COLUMNS)
    for name, value in found.items():
        if isinstance(value, str):
            assert "\x00" not in value, name
            value.encode()
    assert isinstance(json.loads(str(found["properties"])), dict)
