"""Feeds: the router's choice, and texts that jsonb can keep."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vault.vaulting import FEEDS, SITE_FEED

from mainstem.vault.clean import clean_json
from mainstem.vault.feed import RejectedError, router
from mainstem.vault.loader import Loader


def feed(name: str, *kinds: str):
    """Return a feed of that name for these kinds."""
    return dataclasses.replace(SITE_FEED, name=name, kinds=kinds)


def test_the_most_specific_pattern_wins():
    route = router([feed("all", "*"), feed("pages", "page.*"), feed("one", "page.viewed"), feed("deep", "page.a.*")])
    kinds = ("page.viewed", "page.left", "page.a.b", "page", "order.made", "page.views")
    assert [route(kind).name for kind in kinds if route(kind)] == ["one", "pages", "deep", "all", "all", "pages"]


def test_a_feed_for_some_sources_keeps_nobody_else_from_its_kinds():
    ours = dataclasses.replace(feed("ours", "order.*", "order.paid.*"), sources=("till", "till:*"))
    route = router([ours, feed("theirs", "order.*"), feed("all", "*")])
    asked = [
        ("order.paid", "till:1"),
        ("order.paid", "till"),
        ("order.paid", "tills"),
        ("order.paid", ""),
        ("x", "till"),
    ]
    assert [route(*one).name for one in asked] == ["ours", "ours", "theirs", "theirs", "all"]
    assert route("order.paid").name == "theirs"


def test_without_a_fallback_a_kind_may_have_no_feed():
    assert router([feed("pages", "page.*")])("order.made") is None


@pytest.mark.parametrize("feeds", [[feed("a", "x"), feed("b", "x")], [feed("a", "x"), feed("a", "y")]])
def test_two_feeds_for_one_thing_are_refused(feeds):
    with pytest.raises(ValueError, match=r"both claim|same name"):
        router(feeds)


def test_a_stage_without_the_base_columns_is_refused():
    with pytest.raises(ValueError, match="base columns"):
        dataclasses.replace(SITE_FEED, columns=(("raw_id", "int8"),))


@pytest.mark.parametrize("lanes", [(), (1,), (-1,)])
def test_lanes_that_do_not_exist_are_refused(lanes):
    with pytest.raises(ValueError, match="lanes"):
        Loader("", FEEDS, lanes=lanes, lane_count=1)


def json_values(texts):
    """Return JSON values whose texts come from a strategy."""
    leaves = st.none() | st.booleans() | st.integers() | texts
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


@given(json_values(st.text()))
def test_json_that_jsonb_can_keep_keeps_its_meaning(value):
    cleaned = json.loads(clean_json(json.dumps(value)))
    if "\\u0000" not in json.dumps(value):
        assert cleaned == value


hostile = st.lists(st.sampled_from(["\0", "\\", "u0000", "\ud800", "\udc00", "é", '"'])).map("".join)


@given(json_values(hostile))
def test_what_jsonb_refuses_is_gone(value):
    text = clean_json(json.dumps(value))
    assert "\0" not in str(json.loads(text))
    text.encode()
    assert clean_json(text) == text or "\\u" in text


def test_json_without_escapes_comes_back_as_it_is():
    text = '{ "a":1.000,  "a":2 }'
    assert clean_json(text) is text


@pytest.mark.parametrize("text", ['{"a": "\\u00"}', '["\\u0041"', '"\\u0041' + "[" * 10])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(RejectedError, match="not JSON"):
        clean_json(text)
