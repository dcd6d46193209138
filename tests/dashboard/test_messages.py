"""What goes over the WebSocket: every form in, and frames that any client understands."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.protocol import Protocol, Side

from mainstem.dashboard.messages import (
    TOPIC_OF,
    Misunderstood,
    Ping,
    Subscribe,
    Topic,
    Unsubscribe,
    confirmed,
    error,
    frame,
    framed,
    read,
    told,
)
from mainstem.platform import live

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def texts(data: bytes) -> list[str]:
    """Return the messages in bytes off the wire, as an independent implementation reads them."""
    client = Protocol(Side.CLIENT, max_size=None)
    client.receive_data(data)
    assert client.parser_exc is None
    return [event.data.decode() for event in client.events_received()]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"action":"ping"}', Ping()),
        (b'{"action":"ping"}', Ping()),
        ('{"action":"subscribe","types":["metrics"]}', Subscribe((Topic.METRICS,))),
        (
            '{"action":"subscribe","types":["metrics","alerts","webhooks","events"]}',
            Subscribe((Topic.METRICS, Topic.ALERTS, Topic.WEBHOOKS, Topic.EVENTS)),
        ),
        ('{"action":"subscribe"}', Subscribe(tuple(Topic))),
        ('{"action":"subscribe","types":[]}', Subscribe(())),
        ('{"action":"subscribe","types":["events","events"],"id":7}', Subscribe((Topic.EVENTS,))),
        ('{"action":"subscribe","types":["orders","alerts"]}', Subscribe((Topic.ALERTS,), ("orders",))),
        ('{"action":"unsubscribe","types":["webhooks"]}', Unsubscribe((Topic.WEBHOOKS,))),
        ('{"action":"unsubscribe"}', Unsubscribe(tuple(Topic))),
    ],
)
def test_a_command_is_understood(text, command):
    assert read(text) == command


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("subscribe", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("[]", "invalid_message"),
        ("7", "invalid_message"),
        ("{}", "invalid_message"),
        ('{"type":"ping"}', "invalid_message"),
        ('{"action":null}', "invalid_message"),
        ('{"action":"subscribe","types":"metrics"}', "invalid_message"),
        ('{"action":"subscribe","types":[1]}', "invalid_message"),
        ('{"action":"subscribe","types":{}}', "invalid_message"),
        ('{"action":"publish"}', "unknown_action"),
        ('{"action":{"deep":[1]}}', "unknown_action"),
    ],
)
def test_what_is_no_command_is_told_so(text, code):
    found = read(text)
    assert isinstance(found, Misunderstood)
    assert found.code == code


def test_an_unknown_word_comes_back_short():
    found = read(json.dumps({"action": "x" * 60_000}))
    assert isinstance(found, Misunderstood)
    assert len(found.message) < 200


@given(st.text() | st.binary())
def test_no_message_breaks_the_reader(text):
    assert isinstance(read(text), Subscribe | Unsubscribe | Ping | Misunderstood)


@pytest.mark.parametrize("topic", Topic)
def test_j_every_topic_has_messages_under_the_word_that_is_subscribed_to(topic):
    """The original compared `alert` with `alerts`, so nobody ever got one."""
    assert topic in TOPIC_OF.values()
    assert read(json.dumps({"action": "subscribe", "types": [topic]})) == Subscribe((topic,))
    singular = topic.value.removesuffix("s")
    assert read(json.dumps({"action": "subscribe", "types": [singular]})) == Subscribe((topic,))


def test_every_live_message_belongs_to_a_topic():
    assert set(TOPIC_OF) >= live.TYPES


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_a_frame_is_read_by_other_implementations(size):
    assert texts(framed(b"x" * size)) == ["x" * size]


@given(st.lists(st.text(max_size=300), max_size=20))
def test_frames_can_be_joined(parts):
    assert texts(b"".join(framed(part.encode()) for part in parts)) == parts


def test_a_changed_webhook_has_the_contracts_names_too():
    data = {"webhook_id": 3, "name": "Orders", "was": "healthy", "health": "failing"}
    assert json.loads(texts(told("webhook_status_changed", data, NOW))[0])["data"] == {
        **data,
        "webhook_name": "Orders",
        "health_status": "failing",
    }
    assert json.loads(texts(told("alert_new", {"name": "x"}, NOW))[0])["data"] == {"name": "x"}


def test_messages_carry_their_name_and_time():
    assert json.loads(texts(frame("alert_new", NOW, data={"alert_id": 1}))[0]) == {
        "type": "alert_new",
        "data": {"alert_id": 1},
        "timestamp": "2026-03-10T12:00:00.000000Z",
    }
    assert json.loads(texts(error("invalid_json", "This is not JSON.", NOW))[0]) == {
        "type": "error",
        "code": "invalid_json",
        "message": "This is not JSON.",
        "timestamp": "2026-03-10T12:00:00.000000Z",
    }
    assert json.loads(
        texts(confirmed("subscription_confirmed", [Topic.METRICS], {Topic.METRICS, Topic.ALERTS}, NOW))[0]
    ) == {
        "type": "subscription_confirmed",
        "types": ["metrics"],
        "subscriptions": ["alerts", "metrics"],
        "timestamp": "2026-03-10T12:00:00.000000Z",
    }
