"""Bodies of webhooks: every form, every reason, and that nothing makes the reader fail."""

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.connectors.tripleseat.webhook import Delivery, Kind, Reason, clean_id, parse

EVENT = {"id": 55521609, "site_id": 15691, "booking_id": 41200100, "name": "Gala", "status": "DEFINITE"}


def body(trigger="UPDATE_EVENT", **fields):
    return json.dumps({"webhook_trigger_type": trigger, **fields}).encode()


@pytest.mark.parametrize(
    "trigger",
    "CREATE_EVENT UPDATE_EVENT DELETE_EVENT REASSIGN_EVENT_LOCATION REASSIGN_EVENT_AREAS STATUS_CHANGE_EVENT "
    "CHANGE_EVENT_GUEST_COUNTS CHANGE_EVENT_DATETIME REASSIGN_EVENT_OWNERSHIP REASSIGN_EVENT_CONTACT "
    "REASSIGN_EVENT_ACCOUNT UPDATE_EVENT_DOCUMENT EVENT_CREATED EVENT_UPDATED".split(),
)
def test_an_event(trigger):
    given_ = body(trigger, event=EVENT)
    assert parse(given_) == Delivery(
        sha256=sha256(given_).hexdigest(),
        trigger=trigger,
        kind=Kind.EVENT,
        event_ids=("55521609",),
        group_id="41200100",
        site_id="15691",
        events=(EVENT,),
        deletes=trigger == "DELETE_EVENT",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"event": EVENT},
        {"event": {"event": EVENT}},
        {"object": EVENT},
        {"object": {"event": EVENT}},
        {"data": {"event": EVENT}},
        {"event": {}, "object": EVENT},
        {"event": EVENT, "message": "An event was updated", "booking": {"id": 1}},
    ],
)
def test_an_event_in_any_wrap(fields):
    found = parse(body(**fields))
    assert (found.reason, found.event_ids, found.events) == (None, ("55521609",), (EVENT,))


def test_type_may_stand_in_place_of_webhook_trigger_type():
    assert parse(json.dumps({"type": "event_created", "event": EVENT}).encode()).trigger == "EVENT_CREATED"


def test_documents_beside_the_event_belong_to_it():
    documents = [{"id": 1, "line_items": []}]
    assert parse(body(event=EVENT, documents=documents)).events[0]["documents"] == documents
    own = {**EVENT, "documents": [{"id": 2}]}
    assert parse(body(event=own, documents=documents)).events == (own,)


@pytest.mark.parametrize(
    ("booking", "ids", "whole"),
    [
        ({"event_ids": [1, 2]}, ("1", "2"), 0),
        ({"event_ids": [1, 2], "events": [{"event": {**EVENT, "id": 2}}]}, ("1", "2"), 1),
        ({"events": [EVENT, {**EVENT, "id": 7}]}, ("55521609", "7"), 2),
        ({"event_ids": ["1", None, {}, 1]}, ("1",), 0),
    ],
)
@pytest.mark.parametrize("trigger", ["CREATE_BOOKING", "STATUS_CHANGE_BOOKING", "BOOKING_CREATED", "BOOKING_UPDATED"])
def test_a_booking_names_its_events(trigger, booking, ids, whole):
    found = parse(body(trigger, booking={"id": 9, "site_id": 15691, **booking}))
    assert (found.reason, found.kind, found.event_ids, found.group_id) == (None, Kind.BOOKING, ids, "9")
    assert len(found.events) == whole


def test_the_site_of_a_booking_may_stand_at_its_events():
    assert parse(body("CREATE_BOOKING", booking={"id": 9, "events": [EVENT]})).site_id == "15691"


@pytest.mark.parametrize(
    "trigger",
    "CREATE_LEAD CREATE_INTERNAL_LEAD CONVERT_LEAD CONVERT_LEAD_TO_BOOKING LEAD_TURNED_DOWN CREATE_ROOM ANYTHING".split(),
)
def test_what_makes_no_order_is_not_actionable(trigger):
    found = parse(body(trigger, lead={"id": 1}, event=EVENT))
    assert (found.trigger, found.reason, found.event_ids) == (trigger, Reason.TRIGGER_TYPE_NOT_ACTIONABLE, ())
    assert found.kind is (Kind.LEAD if "LEAD" in trigger else None)


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        (b"", "NO_EVENT_DATA"),
        (b"no json", "NO_EVENT_DATA"),
        (b"\xff\xfe\xfd", "NO_EVENT_DATA"),
        (b"[" * 100_000, "NO_EVENT_DATA"),
        (b'{"webhook_trigger_type":"UPDATE_EVENT","event":{"id":NaN}}', "NO_EVENT_DATA"),
        (b"[]", "NO_EVENT_DATA"),
        (b"null", "NO_EVENT_DATA"),
        (b"{}", "MISSING_TRIGGER_TYPE"),
        (json.dumps({"event": EVENT}).encode(), "MISSING_TRIGGER_TYPE"),
        (json.dumps({"webhook_trigger_type": None, "type": 7, "event": EVENT}).encode(), "MISSING_TRIGGER_TYPE"),
        (json.dumps({"webhook_trigger_type": "A" * 65, "event": EVENT}).encode(), "MISSING_TRIGGER_TYPE"),
        (body(), "NO_EVENT_DATA"),
        (body(event=None), "NO_EVENT_DATA"),
        (body(event={}), "NO_EVENT_DATA"),
        (body(event=[EVENT]), "NO_EVENT_DATA"),
        (body("CREATE_BOOKING"), "NO_EVENT_DATA"),
        (body(event={"name": "x"}), "NO_EVENT_ID"),
        (body(event={**EVENT, "id": None}), "NO_EVENT_ID"),
        (body("CREATE_BOOKING", booking={"id": 1, "site_id": 1}), "NO_EVENT_ID"),
        (body(event={"id": 1}), "MISSING_SITE_ID"),
        (body(event={**EVENT, "site_id": ""}), "MISSING_SITE_ID"),
        (body("CREATE_BOOKING", booking={"id": 1, "event_ids": [1]}), "MISSING_SITE_ID"),
    ],
)
def test_what_can_not_be_acted_upon_says_why(given_, reason):
    found = parse(given_)
    assert found.reason == reason
    assert found.sha256 == sha256(given_).hexdigest()


@pytest.mark.parametrize(
    "id_", ["../../etc/passwd", "a/b", "1 2", "1\n2", "", "x" * 65, True, 1.5, -1, 10**18, None, {}, "\u0661", "a.b"]
)
def test_defect_2_3_j_an_id_that_could_mean_a_path_is_none(id_):
    assert clean_id(id_) is None
    assert parse(body(event={**EVENT, "id": id_})).reason is Reason.NO_EVENT_ID


def test_an_id_is_the_same_as_number_and_as_text():
    assert clean_id(55521609) == clean_id(" 55521609 ") == "55521609"


def test_two_edits_within_a_minute_are_two_deliveries():
    # updated_at knows minutes only: it can't be the identity of anything
    one, other = ({**EVENT, "updated_at": "12/28/2025 12:56 PM", "guest_count": count} for count in (10, 11))
    assert parse(body(event=one)).sha256 != parse(body(event=other)).sha256


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["id", "event", "events", "site_id"]), inner)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["webhook_trigger_type", "type", "event", "booking", "lead", "object", "data", "documents"]),
        json_values | st.sampled_from(["UPDATE_EVENT", "CREATE_BOOKING", "CREATE_LEAD"]),
    )
    | json_values
)
def test_it_is_total_and_complete(given_):
    found = parse(json.dumps(given_).encode())
    assert found.reason is not None or (found.event_ids and found.site_id and found.trigger)


@given(st.binary())
def test_bytes_of_any_kind_are_read(given_):
    assert parse(given_).sha256 == sha256(given_).hexdigest()
