"""Events of Tripleseat as bookings: all its forms of days, times, money and lines, and whatever else may come."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.connectors.ports import Line
from mainstem.connectors.tripleseat.parse import UnreadableError, booking_of
from mainstem.connectors.tripleseat.values import day_of, days_around, moment_of, number_of, text_of
from mainstem.connectors.tripleseat.zones import zone_of

NEW_YORK = ZoneInfo("America/New_York")
ITEM = {
    "id": 88100001,
    "description": "Grilled Salmon",
    "long_description": "No butter",
    "quantity": 40,
    "price": "36.00",
    "category": {"name": "Entrees", "internal_name": "entrees"},
    "section": "Dinner",
}
EVENT = {
    "id": 55521609,
    "booking_id": 41200100,
    "site_id": 15691,
    "location_id": 20411,
    "name": "Whitfield Gala",
    "status": "Definite",
    "event_date": "11/26/2026",
    "event_date_iso8601": "2026-11-26",
    "event_start": "11/26/2026 06:00 PM",
    "event_start_iso8601": "2026-11-26T18:00:00-05:00",
    "event_end": "11/26/2026 11:30 PM",
    "event_timezone": "America/New_York",
    "guest_count": 80,
    "guaranteed_guest_count": "75",
    "grand_total": "132797.5",
    "contact": {"first_name": "Darius", "last_name": "Whitfield", "email_addresses": []},
    "updated_at": "12/28/2025 12:56 PM",
    "documents": [{"id": 1, "title": "BEO", "deleted_at": None, "line_items": [ITEM]}],
}


def read(**fields):
    return booking_of({**EVENT, **fields}, NEW_YORK)


def without(*names):
    return booking_of({name: value for name, value in EVENT.items() if name not in names}, NEW_YORK)


def lines(*items, **fields):
    return read(documents=[{"line_items": list(items), **fields}])


def test_a_whole_event():
    found = read()
    assert (found.booking_id, found.group_id, found.site_id, found.location_id) == (
        "55521609",
        "41200100",
        "15691",
        "20411",
    )
    assert (found.name, found.status, found.contact, found.guests) == (
        "Whitfield Gala",
        "DEFINITE",
        "Darius Whitfield",
        75,
    )
    assert found.on == date(2026, 11, 26)
    assert found.starts_at == datetime(2026, 11, 26, 18, tzinfo=NEW_YORK)
    assert found.ends_at == datetime(2026, 11, 26, 23, 30, tzinfo=NEW_YORK)
    assert found.total == Decimal("132797.5")
    assert found.lines == (
        Line(
            line_id="88100001",
            name="Grilled Salmon",
            quantity=Decimal(40),
            unit_price=Decimal("36.00"),
            category="Entrees",
            note="No butter",
        ),
    )
    assert (found.updated, found.deleted, found.faults, found.zone) == (
        "2025-12-28T17:56:00+00:00",
        False,
        (),
        "America/New_York",
    )
    assert found.raw == EVENT


def test_an_event_may_be_wrapped():
    assert booking_of({"event": {"event": EVENT}}, NEW_YORK) == read()


@pytest.mark.parametrize("given_", [None, [], {}, "x", 7, {"event": {}}, {"name": "x"}, {"id": None}, {"id": "../x"}])
def test_what_is_no_event_is_named_so(given_):
    with pytest.raises(UnreadableError):
        booking_of(given_, NEW_YORK)


def test_almost_nothing_is_needed():
    found = booking_of({"id": 1}, NEW_YORK)
    assert (found.booking_id, found.site_id, found.status, found.on, found.lines) == ("1", "", "", None, None)
    assert (found.name, found.faults, found.on_text) == ("Event 1", (), None)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("11/26/2026", date(2026, 11, 26)),
        ("1/2/2026", date(2026, 1, 2)),
        ("02/29/2028", date(2028, 2, 29)),
        ("2026-11-26", date(2026, 11, 26)),
        (" 2026-11-26T18:00:00-05:00 ", date(2026, 11, 26)),
        ("11/26/2026 06:00 PM", date(2026, 11, 26)),
        ("02/29/2026", None),
        ("13/01/2026", None),
        ("26/11/2026", None),
        ("11/26/26", None),
        ("11/26/20267", None),
        ("2026-13-01", None),
        ("2026-11-26x", None),
        ("0001-01-01", None),
        ("9999-12-31", None),
        ("tomorrow", None),
        ("\u0661/1/2026", None),
        (20261126, None),
        (None, None),
    ],
)
def test_days(text, day):
    assert day_of(text) == day


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("11/26/2026 06:00 PM", datetime(2026, 11, 26, 23, tzinfo=UTC)),
        ("11/26/2026 6:00pm", datetime(2026, 11, 26, 23, tzinfo=UTC)),
        ("11/26/2026 12:00 AM", datetime(2026, 11, 26, 5, tzinfo=UTC)),
        ("11/26/2026 12:30 PM", datetime(2026, 11, 26, 17, 30, tzinfo=UTC)),
        ("11/26/2026 18:00", datetime(2026, 11, 26, 23, tzinfo=UTC)),
        ("11/26/2026 18:00:30", datetime(2026, 11, 26, 23, 0, 30, tzinfo=UTC)),
        ("2026-11-26T18:00:00-05:00", datetime(2026, 11, 26, 23, tzinfo=UTC)),
        ("2026-11-26T23:00:00Z", datetime(2026, 11, 26, 23, tzinfo=UTC)),
        ("2026-11-26 23:00:00 UTC", datetime(2026, 11, 26, 23, tzinfo=UTC)),
        ("2026-11-26T18:00", datetime(2026, 11, 26, 23, tzinfo=UTC)),
        # clocks are put back at two that night: half past one is twice, the first is meant
        ("11/01/2026 01:30 AM", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        # and put forward: half past two never is
        ("03/08/2026 02:30 AM", datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
        ("11/26/2026 13:00 PM", None),
        ("11/26/2026 00:30 AM", None),
        ("11/26/2026 25:00", None),
        ("11/26/2026 06:60 PM", None),
        ("11/26/2026", None),
        ("2026-11-26", None),
        ("2026-11-26T99:00", None),
        ("", None),
        (None, None),
    ],
)
def test_times(text, moment):
    assert moment_of(text, NEW_YORK) == moment


@pytest.mark.parametrize(
    ("given_", "number"),
    [
        (12, "12"),
        (12.5, "12.5"),
        (0.1 + 0.2, "0.3"),
        ("132797.5", "132797.5"),
        ("1,234.50", "1234.50"),
        ("$1,234.50", "1234.50"),
        ("-$3", "-3"),
        ("-3.5", "-3.5"),
        (".5", "0.5"),
        ("5.", "5"),
        (" 7 ", "7"),
        (Decimal("1.10"), "1.10"),
        ("1,23", None),
        ("1.234,50", None),
        ("1e3", None),
        ("NaN", None),
        ("Infinity", None),
        ("", None),
        ("$", None),
        ("twelve", None),
        ("١٢", None),
        (float("nan"), None),
        (float("inf"), None),
        (1e300, None),
        (10**12, None),
        ("9" * 40, None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_money_comes_as_numbers_and_as_texts(given_, number):
    assert number_of(given_) == (None if number is None else Decimal(number))


def test_a_number_of_any_length_is_looked_at():
    assert number_of(10**5_000) is None
    assert text_of(10**5_000) is None


def test_texts_are_fit_to_be_stored():
    assert text_of(" a\x00b\ud800c\n") == "a b c"
    assert text_of("x" * 9_999) == "x" * 2_000
    assert text_of("\x00 ") is None
    assert text_of(7) == "7"


@pytest.mark.parametrize("name", ["event_date", "event_date_iso8601", "start_date"])
def test_the_day_stands_in_several_fields(name):
    fields = dict.fromkeys(("event_date", "event_date_iso8601", "start_date")) | {name: EVENT["event_date"]}
    assert read(**fields).on == date(2026, 11, 26)


def test_a_day_that_no_field_tells_is_that_of_the_start_where_it_takes_place():
    late = "2026-11-27T04:30:00Z"
    found = read(
        event_date=None, event_date_iso8601="", event_start_iso8601=None, event_start=None, event_start_utc=late
    )
    assert found.on == date(2026, 11, 26)


@pytest.mark.parametrize("given_", ["26.11.2026", "soon", 20261126, {"day": 26}])
def test_a_day_in_another_form_is_told_and_not_guessed(given_):
    # the start would tell a day: but somebody wrote another thing on purpose
    found = read(event_date=given_, event_date_iso8601=None)
    assert found.on is None
    assert found.on_text


def test_times_of_the_event_win_over_the_zone_of_the_site():
    there = read(event_timezone="Pacific Time (US & Canada)", event_start_iso8601=None)
    assert there.starts_at == datetime(2026, 11, 26, 18, tzinfo=ZoneInfo("America/Los_Angeles"))
    assert there.zone == "America/Los_Angeles"
    unknown = read(event_timezone="Middle-earth", event_start_iso8601=None)
    assert unknown.starts_at == datetime(2026, 11, 26, 18, tzinfo=NEW_YORK)
    assert unknown.zone == "Middle-earth"


@pytest.mark.parametrize("name", ["", "x" * 65, "../../etc/passwd", "America", "\x00", "\ud800", None, 7])
def test_no_zone(name):
    assert zone_of(name) is None


def test_a_total_that_can_not_be_read_is_not_silent():
    assert without("grand_total").total is None
    assert read(grand_total=None, actual_amount="12.00").total == Decimal("12.00")
    assert read(grand_total="0.0").total == 0
    broken = read(grand_total="a lot", actual_amount="12.00")
    assert (broken.total, broken.faults) == (None, ("total",))


@pytest.mark.parametrize("count", ["many", "12+", -3, {"adults": 4}])
def test_a_number_of_guests_that_can_not_be_read_is_not_silent(count):
    found = read(guest_count=count, guaranteed_guest_count=None)
    assert (found.guests, found.faults) == (None, ("guests",))


def test_a_deleted_event():
    assert read(deleted_at="11/25/2026 10:00 AM").deleted


def test_lines_that_are_not_told_are_not_none():
    # by the API documents come without their lines: that is not an order without items
    assert without("documents").lines is None
    assert read(documents=[]).lines is None
    assert read(documents=[{"id": 1, "views": []}]).lines is None
    assert read(documents=[{"id": 1, "line_items": None}]).lines is None
    assert lines().lines == ()


def test_lines_of_deleted_documents_are_none():
    assert read(documents=[{"deleted_at": "11/25/2026 10:00 AM", "line_items": [ITEM]}]).lines is None


def test_an_item_in_two_documents_is_one_item():
    second = {**ITEM, "id": 88100002, "description": "Lemon Tart"}
    found = read(documents=[{"line_items": [ITEM]}, {"views": []}, {"line_items": [ITEM, second]}])
    assert [line.name for line in found.lines] == ["Grilled Salmon", "Lemon Tart"]


def test_items_without_ids_are_told_apart_by_their_places():
    found = lines(
        {"description": "A", "quantity": 1}, {"description": "B", "quantity": 1, "id": 3}, {"description": "C"}
    )
    assert [(line.line_id, line.name) for line in found.lines] == [("1", "A"), ("3", "B"), ("#3", "C")]


@pytest.mark.parametrize(
    ("fields", "quantity", "price"),
    [
        ({"quantity": "12"}, "12", "36"),
        ({"quantity": "1,200"}, "1200", "36"),
        ({"quantity": 1.5}, "1.5", "36"),
        ({"quantity": None}, "1", "36"),
        ({"quantity": "", "qty": 4}, "4", "36"),
        ({"price": None}, "40", None),
        ({"price": "$1,000.00"}, "40", "1000"),
        ({"unit_price": 5, "price": 7}, "40", "5"),
    ],
)
def test_quantities_and_prices(fields, quantity, price):
    (line,) = lines({**ITEM, **fields}).lines
    assert line.quantity == Decimal(quantity)
    assert line.unit_price == (None if price is None else Decimal(price))


def test_what_nothing_is_asked_of_is_no_line():
    assert lines({**ITEM, "quantity": 0}).lines == ()


@pytest.mark.parametrize(
    "item",
    [
        {**ITEM, "quantity": "a few"},
        {**ITEM, "quantity": -1},
        {**ITEM, "price": "free"},
        {**ITEM, "description": None, "long_description": ""},
        "salmon",
        None,
    ],
)
def test_defect_2_3_f_some_of_the_lines_are_not_an_order(item):
    # a line that can't be read makes all of them unknown: leaving it out would make a partial order
    found = lines(ITEM, item)
    assert (found.lines, found.faults) == (None, ("lines",))


def test_line_items_that_are_no_list():
    assert read(documents=[{"line_items": {"1": ITEM}}]).faults == ("lines",)


def test_the_days_of_a_search_have_one_more_on_each_side():
    since, until = datetime(2026, 11, 25, 3, tzinfo=UTC), datetime(2026, 11, 27, 3, tzinfo=UTC)
    assert days_around(since, until, NEW_YORK) == (date(2026, 11, 23), date(2026, 11, 27))


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.timezones()),
    st.timedeltas(timedelta(0), timedelta(days=9)),
    st.timezones(),
    st.integers(-14, 12),
)
def test_a_search_covers_its_window_in_any_zone(since, long, zone, offset):
    until = since + long
    first, last = days_around(since, until, zone)
    theirs = timezone(timedelta(hours=offset))
    # whatever zone the days of the other side are in, up to a day away from ours
    if abs(theirs.utcoffset(None) - since.astimezone(zone).utcoffset()) <= timedelta(hours=24):
        assert first <= since.astimezone(theirs).date()
        assert until.astimezone(theirs).date() <= last


@given(st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)), st.timezones())
def test_a_time_is_the_same_in_all_its_forms(naive, zone):
    moment = naive.replace(second=0, microsecond=0, tzinfo=zone)
    assert moment_of(f"{moment:%m/%d/%Y %I:%M %p}", zone) == moment.replace(fold=0).astimezone(UTC)
    # offsets of whole minutes are all that ISO 8601 has
    if moment.utcoffset().seconds % 60 == 0:
        assert moment_of(moment.isoformat(), UTC) == moment.astimezone(UTC)
    assert day_of(f"{moment:%m/%d/%Y}") == day_of(moment.isoformat()) == moment.date()


@given(st.decimals(-(10**9), 10**9, places=2))
def test_money_is_the_same_as_text_and_as_number(amount):
    assert number_of(f"{amount:,}") == number_of(str(amount)) == amount == number_of(float(amount))


scraps = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map("{:%m/%d/%Y}".format)
json_values = st.recursive(
    scraps,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(sorted(ITEM)), inner),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(sorted(EVENT)), json_values),
    st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(ITEM, json_values)) | json_values, max_size=4),
    st.booleans(),
)
def test_it_is_total(fields, items, has_id):
    event = {**fields, "documents": [{"line_items": items}]} | ({"id": 1} if has_id else {})
    try:
        found = booking_of(event, NEW_YORK)
    except UnreadableError:
        return
    assert found.booking_id
    assert all(line.quantity > 0 and line.name for line in found.lines or ())
    assert len({line.line_id for line in found.lines or ()}) == len(found.lines or ())
    assert (found.lines is None) is ("lines" in found.faults)
    # whatever it is, it can be stored and reckoned with
    json.dumps([found.name, found.status, found.contact, found.zone], ensure_ascii=False).encode()
    if found.starts_at is not None:
        found.starts_at.astimezone(UTC)


def test_no_list_of_lines_is_passed_off_as_empty():
    assert booking_of({"id": 1, "documents": [{"line_items": [None]}]}, NEW_YORK).lines is None
