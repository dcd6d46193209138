"""The stage of connectors: what is told of bookings and orders, and what is kept as any other event."""

import json
from datetime import date
from decimal import Decimal

import pytest
from connectors.bookings import ordered, told
from hypothesis import given
from hypothesis import strategies as st

from mainstem.connectors.feed import CONNECTOR_FEED
from mainstem.connectors.stage import stage_connector
from mainstem.features import FEEDS
from mainstem.vault.engine import ZERO_KEY
from mainstem.vault.feed import router
from mainstem.vault.model import CONNECTOR_COLUMNS, EVENT_FEED

KEYS = ("booking_hk", "booking_site_hk", "calendar_day_hk", "pos_order_hk")


def staged(event):
    return dict(zip([name for name, _ in CONNECTOR_COLUMNS], stage_connector(event), strict=True))


def test_a_booking_is_told_with_its_lines_and_day():
    row = staged(told())
    assert row["tells_booking"]
    assert row["tells_order"] is None
    assert (row["connector"], row["site_id"], row["booking_id"], row["version"]) == ("tripleseat", "4", "77", 1)
    assert (row["takes_place_on"], row["status"], row["guests"]) == (date(2026, 5, 4), "DEFINITE", 40)
    assert row["total"] == Decimal(500)
    assert json.loads(row["lines"]) == [
        {"line_id": "1", "line_name": "Taco bar", "quantity": "40", "unit_price": "12.5"},
        {"line_id": "2", "line_name": "Lemonade", "quantity": "3", "unit_price": None},
    ]
    assert row["pos_order_hk"] == ZERO_KEY
    assert ZERO_KEY not in {row[name] for name in KEYS[:3]}


def test_an_order_is_told_without_changing_the_booking():
    row = staged(ordered("failed", reason="UNMAPPED_ITEM"))
    assert (row["tells_booking"], row["tells_order"], row["lines"]) == (None, True, None)
    assert (row["order_state"], row["order_id"], row["reason"]) == ("failed", "R1", "UNMAPPED_ITEM")
    assert row["booking_hk"] == staged(told())["booking_hk"]


def test_lines_that_are_not_told_are_not_none():
    assert staged(told(lines=None))["lines"] is None
    assert staged(told(lines=...))["lines"] is None
    assert json.loads(staged(told(lines=[]))["lines"]) == [{"line_id": ""}]


def test_lines_with_one_id_stay_two_lines():
    line = {"line_id": "5", "name": "Beer", "quantity": 1}
    ids = [one["line_id"] for one in json.loads(staged(told(lines=[line, line, {"name": "Wine"}]))["lines"])]
    assert ids == ["5", "5#2", "3"]


@pytest.mark.parametrize("missing", ["connector", "booking_id"])
def test_without_its_names_it_is_an_event_as_any_other(missing):
    event = told(**{missing: ...})
    row = staged(event)
    assert [row[name] for name in KEYS] == [ZERO_KEY] * 4
    assert (row["tells_booking"], row["tells_order"]) == (None, None)
    assert stage_connector(event)[: len(EVENT_FEED.columns)] == EVENT_FEED.stage(event)


@pytest.mark.parametrize("source", ["shop", "api", "connector", "connectors", "my-connector:x", ""])
def test_other_sources_keep_their_bookings_and_orders(source):
    route = router(FEEDS)
    for kind in ("booking.received", "order.failed", "order.paid"):
        assert route(kind, source) is EVENT_FEED
        assert route(kind, "connector:tripleseat") is CONNECTOR_FEED


@pytest.mark.parametrize(
    ("said", "number"),
    [
        (12.5, Decimal("12.5")),
        ("12.50", Decimal("12.5")),
        (100, Decimal(100)),
        ("0.0000001", Decimal(0)),
        ("1e3", Decimal(1000)),
        ("1e999999", None),
        ("NaN", None),
        ("12,50", None),
        (True, None),
        ([], None),
        (None, None),
    ],
)
def test_totals_are_numbers_with_the_same_digits_or_none(said, number):
    found = staged(told(total=said))["total"]
    assert (found, str(found)) == (number, str(number))


@pytest.mark.parametrize(("said", "version"), [(7, 7), ("7", 7), (-1, 0), (2**63, 0), ("x", 0), (None, 0), (True, 0)])
def test_a_version_that_is_none_is_nought(said, version):
    assert staged(told(version=said))["version"] == version


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
FIELDS = (
    "connector booking_id site_id establishment local_id name on status guests lines total version order_id".split()
)


@given(
    st.sampled_from(["booking.received", "booking.cancelled", "order.injected", "order.x.y", "booking.x"]),
    st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6),
)
def test_nothing_that_is_said_is_refused(kind, said):
    row = staged(told(kind, **said))
    assert row["version"] is None or 0 <= row["version"] < 2**63
    assert all(isinstance(row[name], bytes) and len(row[name]) == 32 for name in KEYS)
    assert (row["booking_hk"] == ZERO_KEY) == (row["booking_id"] is None)
