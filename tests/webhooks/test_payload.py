"""The request of a delivery: bodies in three envelopes, and headers."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.webhooks.payload import RESERVED, Message, body_of, headers_of
from mainstem.webhooks.sign import Secret, SecretKind, headers, message_id

UID = UUID("0197f3c2-a1b8-7c3e-9d4f-5a6b7c8d9e0f")
AT = datetime(2026, 11, 1, 12, 30, 0, 250_000, tzinfo=UTC)
SECRETS = [Secret.new(SecretKind.HMAC)]


def message(data: str = '{"total":12.50}', **changes: object) -> Message:
    given_ = {"kind": "order.paid", "source": "shop", "subject": "order:17", "occurred_at": AT, **changes}
    return Message(event_uid=UID, data=data, **given_)


# the three envelopes, byte for byte


def test_a_standard_body():
    assert body_of(message(), "standard", "acme") == (
        "application/json",
        (
            b'{"type": "order.paid", "timestamp": "2026-11-01T12:30:00.250000Z", "id": "msg_0197f3c2a1b87c3e9d4f5a6b7c8d9e0f", '
            b'"source": "shop", "subject": "order:17", "data": {"total":12.50}}'
        ),
    )


def test_a_body_in_cloudevents():
    assert body_of(message(), "cloudevents", "acme") == (
        "application/cloudevents+json; charset=utf-8",
        (
            b'{"specversion": "1.0", "id": "msg_0197f3c2a1b87c3e9d4f5a6b7c8d9e0f", "source": "/mainstem/acme/shop", '
            b'"type": "order.paid", "time": "2026-11-01T12:30:00.250000Z", "subject": "order:17", '
            b'"datacontenttype": "application/json", "data": {"total":12.50}}'
        ),
    )


def test_a_bare_body():
    assert body_of(message(), "bare", "acme") == ("application/json", b'{"total":12.50}')


@pytest.mark.parametrize("envelope", ["standard", "cloudevents"])
def test_words_of_the_envelope_are_written_as_they_are(envelope):
    assert '"subject": "Zoë \\"日本\\""'.encode() in body_of(message(subject='Zoë "日本"'), envelope, "acme")[1]


@pytest.mark.parametrize("subject", [None, ""])
@pytest.mark.parametrize("envelope", ["standard", "cloudevents"])
def test_an_event_without_a_subject_has_none(envelope, subject):
    assert "subject" not in json.loads(body_of(message(subject=subject), envelope, "acme")[1])


def test_times_are_in_utc():
    there = timezone(timedelta(hours=9))
    body = json.loads(body_of(message(occurred_at=AT.astimezone(there)), "standard", "acme")[1])
    assert body["timestamp"] == "2026-11-01T12:30:00.250000Z"


# the sender's text


@pytest.mark.parametrize(
    "data",
    [
        "{}",
        '{ "spaces" :\t1 , "more":[ ] }',
        '{"total": 12.50, "rate": 1E-7, "zero": -0, "exact": 0.1000000000000000055511151231257827}',
        '{"huge": 123456789012345678901234567890, "beyond": 1e400, "long": ' + "9" * 5_000 + "}",
        '{"twice": 1, "twice": 2}',
        '{"z": 1, "a": 2}',
        '{"escaped": "\\u00fc \\/ \\u0000", "pair": "\\ud83c\\udf89", "half": "\\ud800"}',
        '{"name": "Zoë 日本語 🎉 \u2028"}',
        '{"type": "x", "data": {"data": {}}, "specversion": "9"}',
        "[1]",
        "null",
        '"text"',
    ],
    ids=lambda data: ascii(data)[:50],
)
@pytest.mark.parametrize("envelope", ["standard", "cloudevents", "bare"])
def test_data_reaches_the_receiver_as_the_sender_wrote_it(envelope, data):
    body = body_of(message(data), envelope, "acme")[1]
    if envelope == "bare":
        assert body == data.encode()
    else:
        assert body.endswith(b', "data": ' + data.encode() + b"}")
        assert json.loads(body[: -len(data.encode()) - 1] + b"0}")["data"] == 0


def test_half_a_surrogate_pair_is_written_in_its_other_form():
    # sealed values come back as text of any kind
    for envelope in ("standard", "cloudevents", "bare"):
        body = body_of(message('{"half": "\ud800", "whole": "ü"}'), envelope, "acme")[1]
        assert b'"half": "\\ud800", "whole": "\xc3\xbc"' in body
        data = json.loads(body)
        assert (data if envelope == "bare" else data["data"]) == {"half": "\ud800", "whole": "ü"}


# CloudEvents 1.0.2: what its JSON schema asks for, said here again

PCHAR = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2})"
URI_PATH = re.compile(rf"(?:/{PCHAR}*)+")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def check_cloudevent(event: dict[str, object]) -> None:
    for name in ("id", "source", "specversion", "type"):
        assert isinstance(event[name], str)
        assert event[name]
    assert event["specversion"] == "1.0"
    assert URI_PATH.fullmatch(str(event["source"]))
    assert event.get("datacontenttype", "x") == "application/json"
    assert RFC3339.fullmatch(str(event["time"]))
    if "subject" in event:
        assert isinstance(event["subject"], str)
        assert event["subject"]
    # names of attributes: lower-case letters and digits, at most twenty
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event)
    assert not set(event) & {"data_base64", "dataschema"}


TEXTS = st.text(min_size=1, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.builds(
    Message,
    event_uid=st.uuids(),
    kind=st.from_regex(r"[a-z0-9_]+(\.[a-z0-9_]+)*", fullmatch=True),
    source=TEXTS,
    subject=st.none() | st.text(max_size=20),
    occurred_at=st.datetimes(timezones=st.just(UTC)),
    data=st.dictionaries(st.text(), JSON, max_size=4).flatmap(
        lambda data: st.sampled_from([json.dumps(data), json.dumps(data, ensure_ascii=False)])
    ),
)
TENANTS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,10}", fullmatch=True)


@given(MESSAGES, TENANTS)
def test_every_event_is_a_valid_cloudevent(given_, tenant):
    event = json.loads(body_of(given_, "cloudevents", tenant)[1])
    check_cloudevent(event)
    assert (event["id"], event["type"]) == (message_id(given_.event_uid), given_.kind)
    assert event["data"] == json.loads(given_.data)


@given(MESSAGES, MESSAGES, TENANTS, TENANTS)
def test_source_and_id_together_name_the_event(one, other, tenant, another):
    def name(given_: Message, slug: str) -> tuple[str, str]:
        event = json.loads(body_of(given_, "cloudevents", slug)[1])
        return event["source"], event["id"]

    same = (one.event_uid, one.source, tenant) == (other.event_uid, other.source, another)
    assert (name(one, tenant) == name(other, another)) is same


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("tracking-ingest", "/mainstem/acme/tracking-ingest"),
        ("pos:north/till 2", "/mainstem/acme/pos:north/till%202"),
        ("Café?#%", "/mainstem/acme/Caf%C3%A9%3F%23%25"),
    ],
)
def test_sources_are_uri_references(source, written):
    assert json.loads(body_of(message(source=source), "cloudevents", "acme")[1])["source"] == written


@given(MESSAGES, TENANTS)
def test_every_event_is_a_standard_webhook(given_, tenant):
    body = body_of(given_, "standard", tenant)[1]
    event = json.loads(body)
    # Standard Webhooks, "Payload structure": these three, the type of words between dots
    assert {"type", "timestamp", "data"} <= set(event)
    assert re.fullmatch(r"[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)*", event["type"])
    assert RFC3339.fullmatch(event["timestamp"])
    assert event["data"] == json.loads(given_.data)
    assert event.get("subject") == (given_.subject or None)
    body.decode()


# headers


def test_headers_of_an_attempt():
    body = b"{}"
    made = headers_of(SECRETS, UID, body, "application/json", {"Authorization": "Bearer x"}, timestamp=1_700_000_000)
    assert made == {
        "Authorization": "Bearer x",
        "Content-Type": "application/json",
        **headers(SECRETS, message_id(UID), 1_700_000_000, body),
    }


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_an_endpoint_sets_no_header_of_the_protocol_in_whatever_letters(name):
    for own in (name, name.upper(), name.title()):
        made = headers_of(SECRETS, UID, b"{}", "application/json", {own: "forged", "X-Own": "1"}, timestamp=1)
        assert "forged" not in made.values()
        assert made["X-Own"] == "1"
        assert len({one.lower() for one in made}) == len(made)


def test_what_we_set_is_reserved():
    made = headers_of(SECRETS, UID, b"{}", "application/json", {}, timestamp=1)
    assert {name.lower() for name in made} <= RESERVED
    assert {"content-length", "transfer-encoding", "host", "connection", "content-encoding"} <= RESERVED
