"""The file of a connector: what it may say, and that what is wrong with it is told."""

import json

import pytest
import yaml
from connectors.shop import ENVIRONMENT, EXAMPLE
from hypothesis import given
from hypothesis import strategies as st

from mainstem.connectors.generic.file import FileError, parse, read
from mainstem.connectors.generic.place import Place, pointer
from mainstem.connectors.generic.template import address, check, filled


def test_the_example_is_read_as_yaml_and_as_json():
    found = read(EXAMPLE, ENVIRONMENT)
    assert (found.name, found.sink.create.may_repeat, found.source.headers) == (
        "venue",
        False,
        {"Authorization": "Bearer venue-token"},
    )
    assert parse(json.dumps(yaml.safe_load(EXAMPLE.read_text())), "connector.json", ENVIRONMENT) == found


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("zone: Europe/Berlin", "zone: Mars/Base", "zone: 'Mars/Base' is no zone of the IANA database"),
        ("name: venue ", "name: a/b ", "name: is up to 40 letters, digits, - and _"),
        ("dry_run: false", "dry_runs: false", "unknown field `dry_runs`"),
        ("on_change: replace ", "on_change: guess ", "Invalid enum value 'guess' - at `$.on_change`"),
        ("    order_id: number\n", "", "missing required field `order_id` - at `$.sink.order`"),
        ("booking_id: id", "booking_id: a..b", "source.fields.booking_id: must be names with dots between them"),
        ("booking_id: id", "booking_id: /a~2", "source.fields.booking_id: is no JSON pointer"),
        ("dry_run: false", "mapping: [{item: A}]", "mapping.0: an item has a product, or is ignored"),
        ("dry_run: false", "mapping: [{item: ' ', ignore: true}]", "mapping.0.item: is the name of an item"),
        (
            "dry_run: false",
            "mapping: [{item: A, product: 1}, {item: a, product: 2}]",
            "mapping.1.item: 'a' stands there twice",
        ),
        ("dry_run: false", "mapping: ''", "mapping: is a list of entries, or the file or address of a CSV"),
        ("    product: sku\n    name", "    product: a..b\n    name", "sink.products.product: must be names"),
        ("products?kitchen={establishment}", "products?kitchen={on}", "sink.products.url: knows no {on}"),
        (
            '{local_id}"\n      kitchen',
            '{local}"\n      kitchen',
            "sink.create.body: knows no {local}; there are local_id, uuid",
        ),
        ("{reason}", "{price}", "sink.void.body: knows no {price}"),
        ("/bookings/{booking_id}", "/bookings/{id}", "source.booking.url: knows no {id}; there are booking_id"),
        ("{env:VENUE_TOKEN}", "{env:NOT_SET}", "the environment has no NOT_SET"),
        ("{env:VENUE_WEBHOOK_SECRET}", "guessed", "source.secrets: a secret is whsec_"),
        ("name: venue ", "name: [", "connector.yaml: while parsing"),
    ],
)
def test_what_is_wrong_is_told(old: str, new: str, problem: str):
    text = EXAMPLE.read_text()
    assert old in text
    with pytest.raises(FileError) as raised:
        parse(text.replace(old, new), "connector.yaml", ENVIRONMENT)
    assert any(problem in one for one in raised.value.sentences), raised.value.sentences


def test_secrets_are_not_told_with_what_is_wrong():
    text = EXAMPLE.read_text().replace("{env:VENUE_WEBHOOK_SECRET}", "whsec_short-secret")
    with pytest.raises(FileError) as raised:
        parse(text, "connector.yaml", ENVIRONMENT)
    assert "short-secret" not in str(raised.value)


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.lists(st.text(max_size=6), max_size=4), values)
def test_a_pointer_leads_to_what_it_names(names: list[str], value: object):
    found = value
    for name in reversed(names):
        found = {name: found}
    assert Place.parse(pointer(tuple(names))).of(found) == value


@given(st.text(max_size=12), values)
def test_every_place_leads_somewhere_or_nowhere(text: str, value: object):
    try:
        place = Place.parse(text)
    except ValueError:
        return
    place.of(value)


def test_names_with_dots_and_numbers_lead_into_lists():
    value = {"lines": [{"sku": "a"}, {"sku": "b"}]}
    assert Place.parse("lines.1.sku").of(value) == "b"
    assert Place.parse("lines.2.sku").of(value) is None
    assert Place.parse("").of(value) is value


@given(st.dictionaries(st.sampled_from(["local_id", "title"]), st.text(), min_size=2))
def test_whatever_a_value_holds_it_stays_in_its_part_of_the_address(known: dict[str, str]):
    url = address("https://a.example/o/{local_id}?t={title}", known)
    path, _, query = url.removeprefix("https://a.example/o/").partition("?t=")
    assert not set("/?#& ") & set(path + query)


def test_a_name_alone_keeps_its_type_and_items_make_lists():
    template = {"n": "{guests}", "text": "for {guests}", "lines": {"each item": ["{product}", "{title}"]}, "k": 1}
    assert filled(template, {"guests": 3, "title": None}, [{"product": "a"}, {"product": "b"}]) == {
        "n": 3,
        "text": "for 3",
        "lines": [["a", None], ["b", None]],
        "k": 1,
    }
    assert list(check({"each item": "{product}"}, ("guests",))) == [
        "has no items here",
        "knows no {product}; there are guests",
    ]
