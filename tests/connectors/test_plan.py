"""From bookings to plans: what is wanted, what is mapped, and what makes orders equal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from connectors.trading import MENU, NOW, RULES, TODAY, booking, line
from hypothesis import given
from hypothesis import strategies as st

from mainstem.connectors.decide import quantities
from mainstem.connectors.mapping import Entry, item_map, key_of, propose, read_csv, write_csv
from mainstem.connectors.plan import (
    LinesUnknown,
    NotWanted,
    Ready,
    Refused,
    Shut,
    Unmapped,
    booking_hash,
    judge,
    number,
)
from mainstem.platform.errors import InvalidFieldError

ITEMS = item_map(MENU)
names = st.sampled_from([entry.item for entry in MENU])
numbers = st.decimals(min_value=1, max_value=500, places=2)
lines = st.lists(st.builds(line, names, numbers, numbers), max_size=8)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=40)


def plan(**fields):
    found = judge(booking(**fields), ITEMS, RULES, NOW)
    assert isinstance(found, Ready)
    return found.plan


class TestJudging:
    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"site_id": ""}, Refused("MISSING_SITE_ID")),
            ({"site_id": "1"}, Refused("LOCATION_NOT_ALLOWED")),
            ({"status": "TENTATIVE"}, NotWanted("INVALID_STATUS:TENTATIVE")),
            ({"status": "LOST"}, NotWanted("INVALID_STATUS:LOST", cancelled=True)),
            ({"deleted": True}, NotWanted("INVALID_STATUS:DELETED", cancelled=True)),
            ({"lines": None}, LinesUnknown()),
            ({"on": TODAY - timedelta(days=1)}, Shut("TIME_GATE_CLOSED_EVENT_DAY_PASSED")),
        ],
    )
    def test_what_is_no_order(self, fields, expected) -> None:
        assert judge(booking(**fields), ITEMS, RULES, NOW) == expected

    def test_locations_are_sites_or_places_in_them(self) -> None:
        rules = replace(RULES, site_id=None, locations=frozenset({"7"}))
        assert isinstance(judge(booking(location_id="7"), ITEMS, rules, NOW), Ready)
        assert isinstance(judge(booking(site_id="7"), ITEMS, rules, NOW), Ready)
        assert isinstance(judge(booking(location_id="8"), ITEMS, rules, NOW), Refused)

    def test_the_zone_of_the_site_says_which_day_it_is(self) -> None:
        late = datetime(2026, 11, 27, 3, tzinfo=UTC)
        assert judge(booking(), ITEMS, RULES, late).until is None
        assert judge(booking(), ITEMS, replace(RULES, zone=None), late) == Shut("TIME_GATE_CLOSED_EVENT_DAY_PASSED")
        here = booking(zone="America/New_York")
        assert judge(here, ITEMS, replace(RULES, zone=None), late).until is None

    @given(lines, st.lists(texts, min_size=1, max_size=3))
    def test_any_unmapped_item_stops_all_of_it_and_all_are_named(self, known, strange) -> None:
        strangers = [line(name) for name in strange if key_of(name) not in ITEMS]
        found = judge(booking(lines=(*known, *strangers)), ITEMS, RULES, NOW)
        if strangers:
            assert isinstance(found, Unmapped)
            assert set(found.items) == {one.name for one in strangers}

    @given(lines)
    def test_a_plan_has_what_the_booking_has(self, some) -> None:
        wanted = [one for one in some if one.name != "Room rental"]
        found = judge(booking(lines=tuple(some)), ITEMS, RULES, NOW)
        assert isinstance(found, Ready) == bool(wanted)
        if wanted:
            assert sum(quantities(found.plan).values()) == sum(one.quantity for one in wanted)


class TestHashes:
    @given(st.permutations([line(), line("House Red", 4, "8"), line("Cheese Board", 1, None)]))
    def test_order_and_spelling_make_no_difference(self, some) -> None:
        spelt = [replace(one, quantity=one.quantity * Decimal("1.00"), name=f" {one.name.upper()} ") for one in some]
        first = plan(lines=(line(), line("House Red", 4, "8"), line("Cheese Board", 1, None)))
        assert plan(lines=tuple(spelt)).order_hash == first.order_hash

    def test_an_item_in_two_lines_is_one_item(self) -> None:
        assert plan(lines=(line(quantity=1), line(quantity=1))).order_hash == plan(lines=(line(quantity=2),)).order_hash

    def test_the_zone_of_a_time_makes_no_difference(self) -> None:
        at = datetime(2026, 11, 26, 23, tzinfo=UTC)
        there = at.astimezone(timezone(timedelta(hours=-5)))
        assert plan(starts_at=at).order_hash == plan(starts_at=there).order_hash

    @pytest.mark.parametrize(
        "fields",
        [
            {"lines": (line(quantity=3),)},
            {"lines": (line(price="13"),)},
            {"lines": (line(note="no nuts"),)},
            {"guests": 41},
            {"total": Decimal(26)},
            {"starts_at": datetime(2026, 11, 26, 23, tzinfo=UTC)},
        ],
    )
    def test_what_matters_to_the_kitchen_does(self, fields) -> None:
        assert plan(**fields).order_hash != plan().order_hash
        assert booking_hash(booking(**fields)) != booking_hash(booking())

    def test_what_does_not_matter_does_not(self) -> None:
        assert plan(name="Other", contact="x@example.com", updated="now", raw={"a": 1}).order_hash == plan().order_hash

    def test_names_of_orders_are_made_from_the_booking_alone(self) -> None:
        one, other = plan(), plan(guests=99, lines=(line(quantity=9),))
        assert (one.local_id, one.uuid) == (other.local_id, other.uuid)
        assert one.local_id == "Triple Seat_1"

    @given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-10000, max_value=10000))
    def test_equal_numbers_are_equal_texts(self, value) -> None:
        assert number(value) == number(value * Decimal("1.000"))
        assert Decimal(number(value)) == value


class TestMapping:
    @given(st.lists(st.builds(Entry, texts, st.none() | texts, texts), max_size=10))
    def test_a_file_is_read_back(self, entries) -> None:
        entries = [
            Entry(entry.item.strip(), (entry.product or "").strip() or None, entry.product_name.strip())
            for entry in entries
            if key_of(entry.item) and entry.item.strip()
        ]
        unique = list(item_map(entries).values())
        unique = [
            one
            for one in unique
            if not any(cell.startswith("'") for cell in (one.item, one.product or "", one.product_name))
        ]
        assert read_csv(write_csv(unique)) == unique

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("name,product\n", "first line"),
            ("item,product\n,5\n", "Line 2: the item is missing"),
            ("item,product,ignore\nA,,\n", "Line 2: an item has a product"),
            ("item,product,ignore\nA,5,yes\n", "Line 2: an item has a product"),
            ("item,product,ignore\nA,5,perhaps\n", "Line 2: ignore is yes or no"),
            ("item,product\nA,5\n a ,6\n", "Line 3: 'a' stands in line 2"),
        ],
    )
    def test_a_file_with_a_fault_says_which_line(self, text, said) -> None:
        with pytest.raises(InvalidFieldError, match=said):
            read_csv(text)

    def test_lines_of_other_establishments_are_passed_over(self) -> None:
        text = "site_id,item,establishment,product,product_name\n1,Tart,4,501,T\n2,Tart,5,601,T\n"
        assert read_csv(text, "4") == [Entry("Tart", "501", "T")]

    def test_formulas_are_texts(self) -> None:
        assert "'=1+1" in write_csv([Entry("=1+1", "5")])

    def test_proposals_are_the_most_alike_first_and_no_more_than_that(self) -> None:
        products = [("1", "Chicken skewer"), ("2", "Chicken skewers, grilled"), ("3", "Lemon tart")]
        found = propose("Chicken Skewers", products)
        assert [one.product for one in found] == ["1", "2"]
        assert found[0].score > found[1].score
        assert propose("Fog machine", products) == []
