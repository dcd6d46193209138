"""The stage of clicks: what comes of what was sent, and that nothing a sender writes makes it fail."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siting import FIREFOX, GOOGLEBOT, raw_event

from mainstem.events.model import RawEvent
from mainstem.links.feed import CLICK_FEED, LINK_FEED, MISSED_FEED
from mainstem.site import SITE_FEED
from mainstem.vault.engine import ZERO_KEY
from mainstem.vault.feed import Feed, RejectedError


def staged(feed: Feed, event: RawEvent) -> dict[str, object]:
    return dict(zip((name for name, _ in feed.columns), feed.stage(event), strict=True))


def click(data: object = None, **fields: object) -> dict[str, object]:
    told = {"tracking_id": "menu", **(data or {})}
    return staged(CLICK_FEED, raw_event(told, **{"kind": "link.clicked", "subject": "menu", **fields}))


def test_a_click_knows_its_link_and_how_it_was_made():
    row = click(
        {
            "link_id": 7,
            "target_url": "https://example.com/menu",
            "referrer_url": "https://www.google.com/",
            "click_source": "redirect",
            "country": "DE",
            "variant": 2,
            "metadata": {"table": 4},
        }
    )
    assert (row["tracking_id"], row["link_id"], row["target_url"]) == ("menu", 7, "https://example.com/menu")
    assert (row["referrer_host"], row["channel"], row["country"], row["variant"]) == (
        "www.google.com",
        "search",
        "DE",
        2,
    )
    assert (row["device"], row["os"], row["browser"], row["is_bot"]) == ("desktop", "Linux", "Firefox", False)
    assert (row["user_agent"], row["metadata"]) == (FIREFOX, '{"table":4}')


def test_click_and_visit_meet_at_visitor_and_campaign():
    utm = {"utm_source": "mail", "utm_medium": "letter", "utm_campaign": "may"}
    visit = staged(SITE_FEED, raw_event({"page_url": "https://example.com/", **utm}, visitor="h:1"))
    clicked = click(utm, visitor="h:1")
    assert [clicked[key] for key in ("visitor_hk", "visitor_bk", "campaign_hk")] == [
        visit[key] for key in ("visitor_hk", "visitor_bk", "campaign_hk")
    ]
    assert clicked["channel"] == "campaign"
    assert click()["campaign_hk"] == ZERO_KEY


@pytest.mark.parametrize(
    ("agent", "label", "is_bot", "reason"),
    [
        (FIREFOX, None, False, None),
        (FIREFOX, "prefetch", True, "prefetch"),
        (GOOGLEBOT, "prefetch", True, "Googlebot\\/"),
        (None, None, False, None),
    ],
)
def test_bots_and_prefetchers_are_labelled(agent, label, is_bot, reason):
    row = click({"label": label}, user_agent=agent)
    assert (row["is_bot"], row["bot_reason"]) == (is_bot, reason)


@pytest.mark.parametrize("data", ["[]", "7", '"x"', "{", ""])
def test_a_click_without_an_object_is_refused(data):
    with pytest.raises(RejectedError) as refused:
        CLICK_FEED.stage(raw_event(data, kind="link.clicked"))
    assert refused.value.code == "data_invalid"


def test_a_click_without_a_tracking_id_is_refused():
    with pytest.raises(RejectedError) as refused:
        CLICK_FEED.stage(raw_event({"tracking_id": " "}, kind="link.clicked"))
    assert (refused.value.code, refused.value.field) == ("tracking_id_missing", "tracking_id")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
members = st.sampled_from(
    [
        "link_id",
        "rule",
        "variant",
        "metadata",
        "referrer_url",
        "target_url",
        "session_id",
        "country",
        "utm_source",
        "label",
    ]
)


@given(st.dictionaries(members, anything))
def test_whatever_is_sent_comes_through(data):
    row = click(data)
    assert row["tracking_id"] == "menu"
    assert row["metadata"] is None or isinstance(json.loads(row["metadata"]), dict)
    assert all("\x00" not in value for value in row.values() if isinstance(value, str))


def test_a_change_of_a_link_tells_what_it_is_now():
    event = raw_event(
        {
            "tracking_id": "menu",
            "target_url": "https://example.com/",
            "tags": ["b", "a"],
            "click_limit": 9,
            "expires_at": "2026-12-01",
        },
        kind="link.updated",
        subject="menu",
    )
    row = staged(LINK_FEED, event)
    assert (row["tracking_id"], row["tags"], row["click_limit"], row["active"], row["deleted"]) == (
        "menu",
        "a,b",
        9,
        True,
        False,
    )
    assert row["expires_at"].isoformat() == "2026-12-01T00:00:00+00:00"
    assert staged(LINK_FEED, event._replace(kind="link.deleted"))["deleted"] is True


def test_a_missed_visit_keeps_its_path():
    row = staged(
        MISSED_FEED,
        raw_event({"slug": "wp-login.php", "missed": "regular_404"}, kind="link.missed", user_agent=GOOGLEBOT),
    )
    assert (row["host"], row["path"], row["is_bot"]) == ("", "wp-login.php", True)
