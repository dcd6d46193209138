"""One click of the tracking-ingest contract: what it becomes, which click it is, and why it is refused."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.events.model import EventFlag
from mainstem.events.receive import RefusedError, Sender
from mainstem.links.receive import click_event, natural_id

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SENDER = Sender(7, NOW, "203.0.113.9", "curl/8", True, timedelta(minutes=5), lambda ip: ip and "kept", lambda *_: "h:v")


def reason_of(text: bytes) -> str | None:
    """Return why a click is refused, None when it is taken."""
    try:
        click_event(text, SENDER)
    except RefusedError as error:
        return error.reason
    return None


def click(**fields):
    """Return the event of a click of link `x`."""
    return click_event(json.dumps({"tracking_id": "x", **fields}).encode(), SENDER)[0]


def test_the_least_click_is_new_every_time_and_happens_now():
    one, other = click(), click()
    assert one.event_uid != other.event_uid
    assert (one.message_id, one.occurred_at, one.flags) == (None, NOW, EventFlag.NO_OCCURRED_AT)
    assert json.loads(one.data) == {"tracking_id": "x", "click_source": "external_domain"}


def test_the_address_of_the_sender_is_not_the_visitors():
    assert (click().visitor, click().ip) == (None, None)


def test_the_address_is_part_of_the_identity_and_never_stored():
    one, other = (click(clicked_at="2026-01-01T00:00:00Z", ip_address=f"198.51.100.{end}") for end in (7, 8))
    assert one.event_uid != other.event_uid
    assert one.ip == "kept"
    assert "198.51.100.7" not in repr(one)


names = st.sampled_from(["ip_address", "user_agent", "referrer_url", "click_source", "session_id", "metadata"])


@given(st.dictionaries(names | st.just("event_id") | st.just("clicked_at"), st.sampled_from([None, ""])))
def test_null_and_nothing_mean_absent(fields):
    found = click(**fields)
    assert (found.data, found.message_id, found.ip, found.user_agent) == (click().data, None, None, None)


moments = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, offsets)
def test_the_same_moment_is_the_same_click_however_it_is_written(moment, offset):
    one, other = click(clicked_at=moment.isoformat()), click(clicked_at=moment.astimezone(offset).isoformat())
    assert one.event_uid == other.event_uid
    assert one.message_id == other.message_id


@given(moments, st.integers(1, 10**9))
def test_another_microsecond_is_another_click(moment, later):
    after = moment + timedelta(microseconds=later)
    assert click(clicked_at=moment.isoformat()).event_uid != click(clicked_at=after.isoformat()).event_uid


short = st.text(max_size=6)
parts = st.tuples(short, short, st.none() | short.filter(bool), short)


@given(parts, parts)
def test_no_two_clicks_share_a_natural_id(one, other):
    assert (natural_id(*one) == natural_id(*other)) == (one == other)


@given(moments)
def test_no_click_is_ahead_of_its_arrival_by_more_than_allowed(moment):
    assert click(clicked_at=moment.isoformat()).occurred_at <= NOW + SENDER.future_tolerance


texts = {"ip_address": 45, "user_agent": 500, "referrer_url": 1_000, "click_source": 50, "session_id": 100}
plain = st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00")


@pytest.mark.parametrize(("name", "limit"), [*texts.items(), ("event_id", 128)])
def test_a_text_of_the_limit_is_taken_and_one_more_character_is_not(name: str, limit: int):
    click(**{name: "ä" * limit})
    with pytest.raises(RefusedError, match=rf"Invalid {name} \(must be string, max {limit} chars\)") as refused:
        click(**{name: "ä" * (limit + 1)})
    assert (refused.value.code, refused.value.field) == ("invalid_field", name)


@given(st.text(plain, min_size=1, max_size=100).filter(str.strip))
def test_any_text_is_a_tracking_id(tracking_id):
    assert click(tracking_id=tracking_id).subject == tracking_id.strip()


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=120),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
fields = names | st.sampled_from(["tracking_id", "event_id", "clicked_at"])


@given(st.dictionaries(fields, values) | values)
def test_whatever_comes_is_taken_or_refused_with_a_sentence(anything):
    reason = reason_of(json.dumps(anything).encode())
    assert reason is None or reason.startswith(("Invalid ", "Missing required field: tracking_id"))


@given(st.binary(max_size=40))
def test_bytes_that_are_no_click_are_refused(text):
    assert reason_of(text)
