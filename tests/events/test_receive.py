"""What every accepted event has: a time that can be trusted, an identity, a clear refusal."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.events.model import EventFlag
from mainstem.events.receive import RefusedError, Sender, custom_event, parse_time, text_id, when


def at(sender: Sender, occurred_at=None, sent_at=None):
    """Call when() as an event's texts do."""
    return when(sender, occurred_at and occurred_at.isoformat(), sent_at and sent_at.isoformat())


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def sender(**changes) -> Sender:
    return Sender(
        7, NOW, "203.0.113.9", "Mozilla/5.0", True, timedelta(minutes=5), lambda ip: ip, lambda *_: "h:visitor"
    )._replace(**changes)


def test_no_time_means_now():
    assert at(sender(), None, None) == (NOW, EventFlag.NO_OCCURRED_AT)


def test_a_time_in_the_past_is_kept():
    assert at(sender(), NOW - timedelta(days=400), None) == (NOW - timedelta(days=400), EventFlag.NONE)


def test_a_time_in_the_future_is_corrected_and_marked():
    assert at(sender(), NOW + timedelta(minutes=6), None) == (NOW, EventFlag.FUTURE_CORRECTED)
    assert at(sender(), NOW + timedelta(minutes=4), None) == (NOW + timedelta(minutes=4), EventFlag.NONE)


def test_a_wrong_clock_is_corrected_by_its_skew():
    slow = timedelta(hours=3)
    occurred, flags = at(sender(), NOW - slow - timedelta(seconds=20), NOW - slow)
    assert occurred == NOW - timedelta(seconds=20)
    assert flags == EventFlag.SKEW_CORRECTED


def test_the_time_a_request_takes_is_no_skew():
    occurred = NOW - timedelta(seconds=30)
    assert at(sender(), occurred, NOW - timedelta(seconds=3)) == (occurred, EventFlag.NONE)


aware = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(aware, st.none() | aware)
def test_no_event_is_ever_further_ahead_than_allowed(occurred_at, sent_at):
    corrected, _ = at(sender(), occurred_at, sent_at)
    assert datetime(1970, 1, 1, tzinfo=UTC) <= corrected <= NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1767323045, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1767323045000, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (None, None),
        ("", None),
    ],
)
def test_times_are_read_in_every_usual_form(value, expected):
    assert parse_time(value, "timestamp") == expected


@pytest.mark.parametrize(
    "value", ["yesterday", "2026-13-01", "1969-12-31T23:00:00Z", -5, 1e300, True, [], float("nan")]
)
def test_other_times_are_refused_with_the_field(value):
    with pytest.raises(RefusedError) as refused:
        parse_time(value, "timestamp")
    assert refused.value.field == "timestamp"


@pytest.mark.parametrize(("value", "expected"), [("a", "a"), (5, "5"), ("", None), (None, None)])
def test_ids_are_text(value, expected):
    assert text_id(value, "session_id") == expected


@pytest.mark.parametrize("value", ["x" * 129, True, {}, []])
def test_other_ids_are_refused(value):
    with pytest.raises(RefusedError):
        text_id(value, "session_id")


def test_a_custom_event_keeps_its_data_as_it_came():
    event, event_id = custom_event(b'{"kind":"order.paid","data":{"total":1.10,"n":null},"message_id":"m1"}', sender())
    assert event.data == '{"total":1.10,"n":null}'
    assert (event.kind, event_id, event.source) == ("order.paid", "m1", "api")


def test_the_same_message_is_the_same_event_and_another_tenants_is_not():
    text = b'{"kind":"order.paid","message_id":"m1"}'
    first, again = custom_event(text, sender())[0], custom_event(text, sender())[0]
    assert first.event_uid == again.event_uid
    assert first.event_uid != custom_event(text, sender(tenant_id=8))[0].event_uid


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        (b'{"data":{}}', "missing_field", "kind"),
        (b'{"kind":"order"}', "invalid_kind", "kind"),
        (b'{"kind":"Order.Paid"}', "invalid_kind", "kind"),
        (b'{"kind":"page.viewed"}', "reserved_kind", "kind"),
        (b'{"kind":"a.b","data":[1]}', "invalid_field", "data"),
        (b'{"kind":"a.b","data":"x"}', "invalid_field", "data"),
        (b'{"kind":7}', "invalid_field", "kind"),
        (b'{"kind":"a.b","occurred_at":"soon"}', "invalid_field", "occurred_at"),
        (b"[]", "invalid_field", None),
        (b'{"kind":"a.b"', "invalid_json", None),
        (b'{"kind":"a.b","data":{"x":"\xff"}}', "invalid_json", None),
    ],
)
def test_refusals_name_the_field_and_a_stable_code(text, code, field):
    with pytest.raises(RefusedError) as refused:
        custom_event(text, sender())
    assert (refused.value.code, refused.value.field) == (code, field)
    assert refused.value.reason.endswith(".")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"kind":7}', "kind must be a string."),
        (b'{"kind":"a.b","subject":[]}', "subject must be a number or a string."),
        (b"[]", "The event must be a JSON object."),
        (b"{}", "kind is required."),
    ],
)
def test_refusals_speak_to_people(text, reason):
    with pytest.raises(RefusedError) as refused:
        custom_event(text, sender())
    assert refused.value.reason == reason
