"""What may be said of an endpoint, and which kinds its patterns match."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mainstem.events.catalogue import matches
from mainstem.platform.errors import InvalidFieldError, MainstemError
from mainstem.platform.problems import from_validation
from mainstem.webhooks.draft import columns_of, headers_of, regex_of
from mainstem.webhooks.models import EndpointIn


def fault_of(**fields: object) -> MainstemError:
    """Return why an endpoint can't be. Fails when it can."""
    try:
        given = EndpointIn.model_validate({"name": "shop", "url": "https://hooks.example.com/in", **fields})
        columns_of(given.model_dump(exclude_unset=True), ())
        headers_of(given.headers)
    except ValidationError as error:
        return from_validation(error.errors())
    except InvalidFieldError as error:
        return error
    raise AssertionError(f"{fields} can be")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " " * 5}, "name"),
        ({"name": "a" * 256}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"description": "a\x00b"}, "description"),
        ({"url": "ftp://example.com/in"}, "url"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "//example.com/in"}, "url"),
        ({"url": "https://user:pw@example.com/in"}, "url"),
        ({"url": "https://example.com/in#part"}, "url"),
        ({"url": "https://exam ple.com/in"}, "url"),
        ({"url": "https://" + "a" * 2_050}, "url"),
        ({"events": []}, "events"),
        ({"events": ["*"] * 101}, "events"),
        ({"events": ["Order"]}, "events[0]"),
        ({"events": ["order.paid", "order.**"]}, "events[1]"),
        ({"events": ["order..paid"]}, "events[0]"),
        ({"events": ["order."]}, "events[0]"),
        ({"headers": {"webhook-id": "1"}}, "headers"),
        ({"headers": {"Webhook-Signature": "1"}}, "headers"),
        ({"headers": {"Host": "internal"}}, "headers"),
        ({"headers": {"Content-Length": "3"}}, "headers"),
        ({"headers": {"transfer-encoding": "chunked"}}, "headers"),
        ({"headers": {"Proxy-Authorization": "x"}}, "headers"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers"),
        ({"headers": {"X-A": "\u00e4"}}, "headers"),
        ({"headers": {"X A": "a"}}, "headers"),
        ({"headers": {"": "a"}}, "headers"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers"),
        ({"headers": {f"X-{number}": "" for number in range(21)}}, "headers"),
        ({"filter": {"$near": 1}}, "filter"),
        ({"filter": {"name": "\x00"}}, "filter"),
        ({"filter": {"name": "\ud800"}}, "filter"),
        ({"filter": {"total": float("nan")}}, "filter"),
        ({"filter": {"name": "a" * 10_001}}, "filter"),
        ({"timeout_seconds": 0.01}, "timeout_seconds"),
        ({"timeout_seconds": 61}, "timeout_seconds"),
        ({"retry_policy": {"max_retries": -1}}, "retry_policy"),
        ({"rate_limit": 0}, "rate_limit"),
        ({"envelope": "xml"}, "envelope"),
        ({"signature": "md5"}, "signature"),
        ({"ssl_verify": False}, "ssl_verify"),
        ({"is_active": True, "active": False}, None),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_can_not_be_names_its_field(fields: dict[str, object], field: str | None):
    assert fault_of(**fields).field == field


def test_too_few_are_counted_in_plain_words():
    assert fault_of(events=[]).detail == "events should have at least 1 item, not 0."


def test_null_puts_the_default_back():
    given = dict.fromkeys(("events", "filter", "timeout_seconds", "retry_policy", "rate_limit", "fifo", "envelope"))
    assert columns_of(given, ()) == {
        "kinds": ["*"],
        "filter": None,
        "timeout_ms": 15_000,
        "retry_policy": None,
        "rate_limit": None,
        "fifo": False,
        "envelope": "standard",
    }


def test_credentials_may_stand_in_headers():
    assert headers_of({"Authorization": "Bearer x ", "Cookie": "a=b"}) == {"Authorization": "Bearer x", "Cookie": "a=b"}


WORD = st.text("abz09_", min_size=1, max_size=3)
KIND = st.lists(WORD, min_size=2, max_size=4).map(".".join)
PATTERN = st.lists(WORD | st.just("*"), min_size=1, max_size=4).map(".".join)


@given(kinds=st.lists(PATTERN, min_size=1, max_size=4), kind=KIND)
def test_the_database_finds_the_kinds_that_the_catalogue_matches(kinds: list[str], kind: str):
    regex = regex_of(kinds)
    found = regex is None or re.search(regex, kind) is not None
    assert found == any(matches(pattern, kind) for pattern in kinds)
