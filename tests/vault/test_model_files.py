"""Model files: what is wrong is told with file, line, field and what is expected; all of it at once."""

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vault.modelling import FEEDS, SHOP, model

from mainstem.vault.custom import files
from mainstem.vault.custom.document import ModelError
from mainstem.vault.custom.place import Place
from mainstem.vault.custom.values import CASTS, cast, parse

FEED = """\
feeds:
  - name: shop
    kinds: [order.paid]
    columns:
      order_id: {from: data.order_id}
      total: {from: data.total, type: numeric}
    hubs:
      shop_order: {key: [order_id]}
"""


def problems(text: str, file: str = "vault.yaml") -> list[str]:
    with pytest.raises(ModelError) as caught:
        model(text, file=file)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("hubs:", "hub:", "vault.yaml:7: feeds[0].hub: there is no such setting; did you mean hubs?"),
        (
            "kinds: [order.paid]",
            "kinds: order.paid",
            "vault.yaml:3: feeds[0].kinds: expected a list, found the text 'order.paid'",
        ),
        ("kinds: [order.paid]", "kinds: []", "vault.yaml:3: feeds[0].kinds: the list is empty"),
        ("    kinds: [order.paid]\n", "", "vault.yaml:2: feeds[0]: kinds is missing"),
        (
            "type: numeric",
            "type: number",
            "vault.yaml:6: feeds[0].columns.total.type: must be one of text, int8, numeric, float8, bool, timestamptz, date, uuid, jsonb, not 'number'; did you mean numeric?",
        ),
        (
            "key: [order_id]",
            "key: [orderid]",
            "vault.yaml:8: feeds[0].hubs.shop_order.key: there is no column orderid; did you mean order_id?",
        ),
        (
            "key: [order_id]",
            "key: [total]",
            "vault.yaml:8: feeds[0].hubs.shop_order.key: total is of type numeric; a key is of text, int8, uuid, date",
        ),
        (
            "from: data.total",
            "from: total",
            "vault.yaml:6: feeds[0].columns.total.from: must be data.<name>, data.<list>[].<name> or one of kind, subject, source, event_uid, occurred_at, received_at, not 'total'",
        ),
        (
            "order_id: {from",
            "kind: {from",
            "vault.yaml:5: feeds[0].columns.kind: the vault has a column of this name; choose another, and say where from by `from`",
        ),
        (
            "order_id: {from",
            "Order: {from",
            "vault.yaml:5: feeds[0].columns.Order: a name has up to 40 characters a-z, 0-9 and _, and begins with a letter",
        ),
        (
            "order.paid",
            "page.viewed",
            "vault.yaml:2: shop.kinds: page.viewed is claimed already, by the feed site of the product",
        ),
        (
            "order.paid",
            "site.*",
            "vault.yaml:2: shop.kinds: site.* is claimed already, by the feed site of the product",
        ),
        (
            "order.paid",
            "Order!",
            "vault.yaml:3: feeds[0].kinds: must be a kind (order.paid) or all kinds below one (order.*), not 'Order!'",
        ),
        ("name: shop", "name: event", "vault.yaml:2: event: the name is taken by the product"),
        ("shop_order:", "page:", "vault.yaml:2: shop: the name is taken: vault.hub_page is a table of the product"),
        (
            "shop_order:",
            "site_event:",
            "vault.yaml: two structures ask for the view business.site_event; choose another name",
        ),
        ("feeds:", "feeds: [", "vault.yaml:2: this is no YAML: expected the node content, but found '-'"),
        (
            "key: [order_id]",
            "key: [order_id, order_id]",
            "vault.yaml:8: feeds[0].hubs.shop_order.key: order_id is there twice",
        ),
    ],
)
def test_a_fault_is_told_with_its_place(old: str, new: str, problem: str):
    assert old in FEED
    assert problem in problems(FEED.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "of: shop_order, columns: [total",
            "of: shop_ordr, columns: [total",
            "there is no hub or link shop_ordr; did you mean shop_order?",
        ),
        ("columns: [total, status]", "columns: [total, sku]", "columns in a list (data.x[].y) go into multi_active"),
        (
            "child_key: [sku]",
            "child_key: [status]",
            "all columns of a multi-active satellite come from the items of one list",
        ),
        (
            "driving: shop_order}",
            "driving: shop_customer}",
            "there is no hub of the link shop_order_clerk called shop_customer",
        ),
        (
            "duplicate: [old_customer_id]",
            "duplicate: [old_customer_id, clerk]",
            "must have the types of the key of shop_customer: text",
        ),
        ("hubs: [shop_order, shop_customer]", "hubs: [shop_order]", "a link needs two hubs or more"),
        (
            "satellites: [shop_order_state]",
            "satellites: [shop_state]",
            "there is no satellite of shop_order called shop_state",
        ),
        (
            "    satellites: [shop_order_state]\n",
            "",
            "needs either satellites (a point-in-time table) or links (a bridge)",
        ),
        ("links: [shop_order_customer, shop_order_clerk]", "links: [shop_order_clerk]", "must lead from shop_customer"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told(old: str, new: str, problem: str):
    assert old in SHOP
    assert any(problem in one for one in problems(SHOP.replace(old, new)))


def test_all_faults_are_told_at_once():
    assert len(problems(FEED.replace("data.total", "total").replace("key: [order_id]", "key: [x]"))) == 2


def test_two_feeds_do_not_claim_one_kind():
    text = FEED + FEED.removeprefix("feeds:\n").replace("name: shop", "name: other")
    assert problems(text) == ["vault.yaml:9: other.kinds: order.paid is claimed already, by the feed shop"]


PYTHON = """\
from mainstem.vault.custom import *

KEY = (TENANT, Column("order_hk", "bytea", required=True, comment="Hash key of the order."))
HUB = Hub(table="vault.hub_order", comment="Orders.", key=KEY, meta=META,
          business_key=(Column("order_id", "text", required=True, comment="Number of the order."),))

def stage(event):
    return (*stage_event(event), hash_key(event.tenant_id, "order", event.subject or ""), event.subject)

FEEDS = [Feed(name="orders", kinds=("order.*",), stage=stage, structures=(HUB,),
              columns=(*EVENT_COLUMNS, ("order_hk", "bytea"), ("order_id", "text")))]
"""


def test_a_python_file_leaves_feeds(tmp_path: Path):
    path = tmp_path / "vault.py"
    path.write_text(PYTHON)
    found = files.load(path, FEEDS)
    assert [spec.name for spec in found.feeds[0].structures] == ["nhl_event", "hub_customer", "hub_order"]
    assert files.find(None, tmp_path) == path
    assert files.find(Path("other.yaml"), tmp_path) == Path("other.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1 / 0", "vault.py: it fails: ZeroDivisionError: division by zero"),
        ("x = 1", "vault.py: FEEDS is missing: a list of Feed"),
        ("FEEDS = [5]", "vault.py: FEEDS: expected Feed, found 5"),
        ("FEEDS = []\nSNAPSHOTS = [5]", "vault.py: SNAPSHOTS: expected PointInTime or Bridge, found 5"),
        (
            PYTHON.replace("(*EVENT_COLUMNS, (", "(*EVENT_COLUMNS[:8], ("),
            "vault.py: orders: its stage must start with EVENT_COLUMNS, its rows with stage_event(event)",
        ),
        (
            PYTHON.replace("vault.hub_order", "public.orders"),
            "vault.py: orders: public.orders must be vault. and one of",
        ),
    ],
)
def test_a_fault_of_a_python_file_is_told(text: str, problem: str):
    assert problems(text, "vault.py")[0].startswith(problem)


@pytest.mark.parametrize(
    ("type_", "value", "result"),
    [
        ("text", 1, "1"), ("text", Decimal("1.50"), "1.50"), ("text", Decimal("1e2"), "100"), ("text", True, "true"),
        ("text", "a\0b", "ab"), ("int8", "12", 12), ("int8", Decimal("3.0"), 3), ("numeric", "1.10", Decimal("1.10")),
        ("numeric", Decimal("-0.0"), Decimal("0.0")), ("bool", "TRUE", True), ("date", "2026-05-31", date(2026, 5, 31)),
        ("timestamptz", "2026-05-31T12:00:00+02:00", datetime(2026, 5, 31, 10, tzinfo=UTC)), ("float8", 1, 1.0),
        ("uuid", "12345678123456781234567812345678", UUID("12345678-1234-5678-1234-567812345678")),
        ("jsonb", {"a": [Decimal("1.10")]}, '{"a":[1.10]}'), ("text", None, None),
    ],
)  # fmt: skip
def test_a_value_is_cast(type_: str, value: object, result: object):
    assert cast(value, type_) == result
    assert type(cast(value, type_)) is type(result)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("text", {}), ("text", []), ("int8", "1.5"), ("int8", 2**63), ("int8", True), ("numeric", "NaN"),
        ("numeric", Decimal("1e5000")), ("bool", 1), ("date", "31.5.2026"), ("timestamptz", "2026-05-31T12:00:00"),
        ("uuid", "x"), ("float8", "1e400"), ("timestamptz", "0001-01-01T00:00:00+09:00"), ("float8", "inf"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused(type_: str, value: object):
    with pytest.raises(ValueError, match="must be"):
        cast(value, type_)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)


@given(type_=st.sampled_from(sorted(CASTS)), value=_JSON)
def test_whatever_comes_is_cast_or_refused_by_value_error(type_: str, value: object):
    with suppress(ValueError):
        cast(value, type_)


def test_numbers_are_exact():
    assert parse('{"a": 1.10, "b": 123456789012345678901234567890}') == {
        "a": Decimal("1.10"),
        "b": 123456789012345678901234567890,
    }


@pytest.mark.parametrize("text", ["data.a.b", "data", "data.a[].b.c", "data.a[]", "kind"])
def test_a_place_is_what_it_was_written(text: str):
    assert Place.parse(text).text == text


@pytest.mark.parametrize("text", ["data.a[].b[].c", "data..a", "dat", "data.a b", ""])
def test_a_place_that_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match="must be"):
        Place.parse(text)
