"""One site event of CONTRACTS part B, from JSON to an accepted event."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.events.model import EventFlag
from mainstem.events.receive import RefusedError, Sender
from mainstem.site.receive import kind_of, known_event, site_event

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


def sender(**changes) -> Sender:
    return Sender(
        7,
        NOW,
        "203.0.113.9",
        BROWSER,
        True,
        timedelta(minutes=5),
        lambda ip: ip and "stored " + ip,
        lambda tenant, ip, agent, at: f"h:{tenant}|{ip}|{agent}|{at:%F}",
    )._replace(**changes)


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [
        ("page_view", "page.viewed"),
        ("test_event", "site.test_event"),
        ("Add to Cart!", "site.add_to_cart"),
        ("…", "site.event"),
    ],
)
def test_event_types_become_kinds(event_type, kind):
    assert kind_of(event_type) == kind


def test_the_documents_example():
    text = b'{"page_url":"http://localhost/test","event_type":"test_event","event_data":{"test":true}}'
    event, event_id = site_event(text, sender())
    assert event.kind == "site.test_event"
    assert event.data.encode() == text
    assert event_id == str(event.event_uid)
    assert event.occurred_at == NOW
    assert event.ip == "stored 203.0.113.9"


@pytest.mark.parametrize(
    ("text", "visitor"),
    [
        (b'{"page_url":"/","visitor_id":"a.b","user_id":"u"}', "v:a.b"),
        (b'{"page_url":"/","user_id":42}', "u:42"),
        (b'{"page_url":"/","event_data":{"user_id":"u1"}}', "u:u1"),
        (b'{"page_url":"/","user_id":"top","event_data":{"user_id":"inner"}}', "u:top"),
        (b'{"page_url":"/"}', f"h:7|203.0.113.9|{BROWSER}|2026-11-22"),
    ],
)
def test_who_the_visitor_is(text, visitor):
    assert site_event(text, sender())[0].visitor == visitor


def test_the_session_counts_from_event_data_too():
    assert site_event(b'{"page_url":"/","event_data":{"session_id":"s1"}}', sender())[0].subject == "s1"
    assert (
        site_event(b'{"page_url":"/","session_id":"s2","event_data":{"session_id":"s1"}}', sender())[0].subject == "s2"
    )


def test_a_server_speaks_for_its_visitor():
    text = b'{"page_url":"/","user_agent":"Visitor/1","ip_address":"198.51.100.7"}'
    event = site_event(text, sender(user_agent="python-requests/2.32"))[0]
    assert (event.user_agent, event.ip, event.flags) == ("Visitor/1", "stored 198.51.100.7", EventFlag.NO_OCCURRED_AT)


@pytest.mark.parametrize("server", [True, False])
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"page_url":"/","ip_address" : "198.51.100.7","a":"\\"ip_address\\":1"}', "stored 198.51.100.7"),
        ('{"page_url":"/","event_data":{"ip_address":"198.51.100.7"}}', "stored 198.51.100.7"),
        (
            '{"page_url":"/","ip_address":"198.51.100.7","event_data":{"ip_address":"198.51.100.7"}}',
            "stored 198.51.100.7",
        ),
        ('{"page_url":"/","ip_address":"198.\\u0035\\u0031.100.7"}', "stored 198.51.100.7"),
        ('{"page_url": "/", "ip_address": "198.51.100.7"}', "stored 198.51.100.7"),
        ('{"page_url":"/","ip\\u005faddress":"198.51.100.7"}', "stored 198.51.100.7"),
        (
            '{"page_url":"/","ip_address":"198.51.100.7","event_data":{"ip\\u005faddress":"198.51.100.7"}}',
            "stored 198.51.100.7",
        ),
        ('{"page_url":"/","list":["ip_address","198.51.100.7"],"ip_address":"198.51.100.7"}', "stored 198.51.100.7"),
        ('{"page_url":"/","is":"ip_address","ip_address":"198.51.100.7"}', "stored 198.51.100.7"),
    ],
)
def test_the_data_hold_no_more_of_an_address_than_ip_mode_keeps(text, kept, server):
    data = json.loads(site_event(text.encode(), sender(server=server))[0].data)
    sent = json.loads(text)
    for one in (sent, sent.get("event_data", {})):
        if "ip_address" in one:
            one["ip_address"] = kept
    assert data == sent


def test_an_address_that_is_dropped_leaves_null():
    text = b'{"page_url":"/","ip_address":"198.51.100.7"}'
    event = site_event(text, sender(stored_ip=lambda _: None))[0]
    assert json.loads(event.data) == {"page_url": "/", "ip_address": None}


def test_a_servers_own_agent_is_marked_and_a_browsers_is_not():
    text = b'{"page_url":"/"}'
    assert site_event(text, sender(user_agent="curl/8"))[0].flags & EventFlag.SERVER_AGENT
    assert not site_event(text, sender())[0].flags & EventFlag.SERVER_AGENT


def test_a_browser_with_a_public_key_speaks_only_for_itself():
    text = b'{"page_url":"/","user_agent":"Forged/1","ip_address":"198.51.100.7"}'
    event = site_event(text, sender(server=False))[0]
    assert (event.user_agent, event.ip) == (BROWSER, "stored 203.0.113.9")


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        (b"{}", "missing_field", "page_url"),
        (b'{"event_type":"page_view"}', "missing_field", "page_url"),
        (b'{"page_url":"  "}', "missing_field", "page_url"),
        (b'{"page_url":"about:blank"}', "invalid_field", "page_url"),
        (b'{"page_url":"JavaScript:void(0)","event_type":"page_view"}', "invalid_field", "page_url"),
        (b'{"page_url":7}', "invalid_field", "page_url"),
        (b'{"page_url":"' + b"x" * 4097 + b'"}', "invalid_field", "page_url"),
        (b'{"page_url":"/","event_data":[]}', "invalid_field", "event_data"),
        (b'{"page_url":"/","event_data":{"user_id":[1]}}', "invalid_field", "event_data.user_id"),
        (b'{"page_url":"/","timestamp":"now"}', "invalid_field", "timestamp"),
        (b'{"page_url":"/","event_id":"' + b"x" * 129 + b'"}', "invalid_field", "event_id"),
        (b'{"page_url":"/","event_type":"' + b"x" * 101 + b'"}', "invalid_field", "event_type"),
        (b'"text"', "invalid_field", None),
        (b"nonsense", "invalid_json", None),
    ],
)
def test_refusals_name_the_field(text, code, field):
    with pytest.raises(RefusedError) as refused:
        site_event(text, sender())
    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_page_may_be_named_by_its_path_alone():
    assert site_event(b'{"page_url":"/menu"}', sender())[0].kind == "page.viewed"


def test_page_url_is_required_for_a_page_view_only():
    assert site_event(b'{"page_url":"about:blank","event_type":"signup"}', sender())[0].kind == "site.signup"
    assert site_event(b'{"event_type":"signup"}', sender())[0].kind == "site.signup"


values = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
ids = st.text(min_size=1, max_size=6) | st.just("a" * 128)
unusual_ids = st.sampled_from(["", 7, 1.5, True, "a" * 129, "a\x00b", [], None])
times = st.sampled_from(
    ["2026-03-10T12:00:00Z", "2026-03-10T12:00:00.123456+02:00", "2026-11-22 12:01:00+00:00", "2027-01-01T00:00:00Z"]
)
unusual_times = st.sampled_from(
    [
        "",
        "2026-03-10",
        "2026-03-10T12:00:00",
        1_773_144_000,
        "1969-12-31T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "soon",
    ]
)
usual = {
    "event_type": st.sampled_from(["page_view", "Add to Cart!"]),
    **dict.fromkeys(("session_id", "visitor_id", "user_id", "event_id"), ids),
    **dict.fromkeys(("timestamp", "sent_at"), times),
    "title": values,
    "utm_source": values,
    **dict.fromkeys(("user_agent", "ip_address"), st.sampled_from(["198.51.100.7", "Mozilla/5.0", ""])),
}
unusual = {
    "event_type": st.sampled_from(["", "x" * 101, 3]),
    **dict.fromkeys(("session_id", "visitor_id", "user_id", "event_id"), unusual_ids),
    **dict.fromkeys(("timestamp", "sent_at"), unusual_times),
    "colour": values,
    "page_url": st.sampled_from(["", "nothing", "//example.com/a", "x" * 4097, "about:blank", None]),
}
details = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("title", "referrer", "language", "scroll_depth", "test"), values),
        **dict.fromkeys(("session_id", "visitor_id", "user_id"), ids),
        "url": st.just("https://example.com/b"),
    },
)
page = {"page_url": st.just("https://example.com/a")}


def written_as_any_other(event) -> bool:
    """Tell whether known_event takes an event; what it says of it must then be what site_event says."""
    text = json.dumps(event).encode()
    read = known_event(text, sender())
    if read is None:
        return False
    expected = site_event(text, sender())
    if read[0].message_id is None:
        expected = (expected[0]._replace(event_uid=read[0].event_uid), read[1])
    assert read == expected
    return True


@given(st.fixed_dictionaries(page, optional={**usual, "event_data": details}))
def test_an_event_with_known_members_is_read_as_any_other(event):
    assert written_as_any_other(event) or "\x00" in "".join(
        map(str, (*event.values(), *event.get("event_data", {}).values()))
    )


mixed = {
    name: page.get(name, st.nothing()) | usual.get(name, st.nothing()) | unusual.get(name, st.nothing())
    for name in {*page, *usual, *unusual}
}


@given(st.fixed_dictionaries({}, optional={**mixed, "event_data": details}))
def test_what_is_written_unusually_is_never_read_otherwise(event):
    try:
        written_as_any_other(event)
    except RefusedError:
        pytest.fail("an event was read that is to be refused")


@pytest.mark.parametrize(
    "text",
    [
        b'{"page_url":"/a","colour":"red"}',
        b'{"page_url":"/a","event_data":{"colour":"red"}}',
        b'{"page_url":"/a","event_data":{"title":{"deep":1}}}',
        b'{"page_url":7}',
        b'{"page_url":"/a"}',
        b'{"page_url":"https://example.com/a","session_id":"\\u0000"}',
        b'{"page_url":"/a"',
    ],
)
def test_an_event_with_other_members_is_not_known(text):
    assert known_event(text, sender()) is None
