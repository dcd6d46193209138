"""Filters of endpoints: what they let through, what is no filter, and laws that hold for all of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.events.filters import Subject, parse
from mainstem.platform.errors import InvalidFieldError

ORDER = Subject(
    "order.paid",
    "shop",
    "order:17",
    {
        "status": "paid",
        "total": 120,
        "discount": 0.5,
        "paid": True,
        "free": False,
        "note": None,
        "one": 1,
        "zero": 0,
        "guest": {"name": "Zoë", "vip": True, "address": {"city": "Köln"}},
        "items": ["cake", {"sku": 7}, 1, True, None],
        "tags": [],
        "huge": 10**40,
        "a.b": "dotted",
        "": "empty",
    },
)


@pytest.mark.parametrize(
    ("filter_", "passes"),
    [
        # nothing asked for
        ({}, True),
        # what stands there
        ({"status": "paid"}, True),
        ({"status": "open"}, False),
        ({"status": "PAID"}, False),
        ({"total": 120}, True),
        ({"total": 120.0}, True),
        ({"total": "120"}, False),
        ({"huge": 10**40}, True),
        ({"paid": True}, True),
        ({"note": None}, True),
        # all of it
        ({"status": "paid", "total": 120}, True),
        ({"status": "paid", "total": 121}, False),
        # true is not 1, nor false 0, however deep
        ({"paid": 1}, False),
        ({"one": True}, False),
        ({"zero": False}, False),
        ({"free": 0}, False),
        ({"items": ["cake", {"sku": 7}, 1, True, None]}, True),
        ({"items": ["cake", {"sku": 7}, True, 1, None]}, False),
        ({"items": ["cake", {"sku": 7}, 1, True]}, False),
        ({"guest": {"$eq": {"name": "Zoë", "vip": True, "address": {"city": "Köln"}}}}, True),
        ({"guest": {"$eq": {"name": "Zoë", "vip": 1, "address": {"city": "Köln"}}}}, False),
        ({"guest": {"$eq": {"name": "Zoë", "vip": True}}}, False),
        # paths
        ({"guest.vip": True}, True),
        ({"guest.address.city": "Köln"}, True),
        ({"guest.address.street": "Köln"}, False),
        ({"status.length": 4}, False),
        ({"items.0": "cake"}, False),
        ({"a.b": "dotted"}, False),
        # what is not there equals null, and nothing else
        ({"missing": None}, True),
        ({"guest.missing": None}, True),
        ({"status.missing": None}, True),
        ({"missing": False}, False),
        ({"missing": 0}, False),
        ({"missing": ""}, False),
        ({"missing": {"$ne": None}}, False),
        ({"missing": {"$ne": "x"}}, True),
        ({"missing": {"$in": [1, None]}}, True),
        ({"missing": {"$nin": [1, None]}}, False),
        ({"missing": {"$nin": [1]}}, True),
        # the event itself
        ({"$kind": "order.paid"}, True),
        ({"$kind": {"$startswith": "order."}}, True),
        ({"$source": "shop"}, True),
        ({"$source": {"$in": ["till", "phone"]}}, False),
        ({"$subject": "order:17"}, True),
        ({"$subject": {"$exists": True}}, True),
        # $eq, $ne, $in, $nin
        ({"total": {"$eq": 120}}, True),
        ({"total": {"$ne": 120}}, False),
        ({"paid": {"$ne": 1}}, True),
        ({"total": {"$in": []}}, False),
        ({"total": {"$nin": []}}, True),
        ({"total": {"$in": [1, 120]}}, True),
        ({"paid": {"$in": [1, "true"]}}, False),
        # $exists
        ({"note": {"$exists": True}}, True),
        ({"note": {"$exists": False}}, False),
        ({"missing": {"$exists": False}}, True),
        ({"guest.address.city": {"$exists": True}}, True),
        # order: numbers with numbers, texts with texts
        ({"total": {"$gt": 119.5}}, True),
        ({"total": {"$gt": 120}}, False),
        ({"total": {"$gte": 120}}, True),
        ({"total": {"$lt": 120}}, False),
        ({"total": {"$lte": 120}}, True),
        ({"total": {"$gte": 100, "$lt": 200}}, True),
        ({"total": {"$gte": 100, "$lt": 110}}, False),
        ({"huge": {"$gt": 1e39}}, True),
        ({"huge": {"$gt": 1e308}}, False),
        ({"status": {"$gt": "open"}}, True),
        ({"total": {"$gt": "1"}}, False),
        ({"total": {"$lt": "1"}}, False),
        ({"paid": {"$gte": 0}}, False),
        ({"note": {"$lte": 0}}, False),
        ({"missing": {"$lt": 10**9}}, False),
        ({"missing": {"$gte": -(10**9)}}, False),
        ({"items": {"$gt": 0}}, False),
        # $startswith, $contains
        ({"status": {"$startswith": "pa"}}, True),
        ({"status": {"$startswith": ""}}, True),
        ({"status": {"$startswith": "aid"}}, False),
        ({"total": {"$startswith": "1"}}, False),
        ({"missing": {"$startswith": ""}}, False),
        ({"status": {"$contains": "ai"}}, True),
        ({"status": {"$contains": 1}}, False),
        ({"items": {"$contains": "cake"}}, True),
        ({"items": {"$contains": "cak"}}, False),
        ({"items": {"$contains": {"sku": 7}}}, True),
        ({"items": {"$contains": {"sku": 7.0}}}, True),
        ({"items": {"$contains": None}}, True),
        ({"tags": {"$contains": None}}, False),
        ({"guest": {"$contains": "name"}}, False),
        ({"missing": {"$contains": None}}, False),
        # $and, $or, $not
        ({"$and": [{"status": "paid"}, {"total": 1}]}, False),
        ({"$and": [{"status": "paid"}, {"total": 120}]}, True),
        ({"$or": [{"status": "open"}, {"total": 120}]}, True),
        ({"$or": [{"status": "open"}, {"total": 1}]}, False),
        ({"$not": {"status": "open"}}, True),
        ({"$not": {}}, False),
        ({"status": "paid", "$or": [{"site": "north"}, {"guest.vip": True}], "$not": {"total": {"$lt": 100}}}, True),
    ],
    ids=json.dumps,
)
def test_a_filter_decides(filter_, passes):
    assert parse(filter_)(ORDER) is passes


def test_an_event_without_a_subject_has_null_there():
    event = Subject("order.paid", "shop", None, {})
    assert parse({"$subject": None})(event)
    assert not parse({"$subject": {"$startswith": ""}})(event)


def _nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def _filters(depth: int) -> object:
    return {"$not": _filters(depth - 1)} if depth else {"a": 1}


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        (None, "object of conditions"),
        ([], "object of conditions"),
        ("status", "object of conditions"),
        (1, "object of conditions"),
        ({"": 1}, "'' is no path"),
        ({".a": 1}, "'.a' is no path"),
        ({"a..b": 1}, "'a..b' is no path"),
        ({"a.": 1}, "'a.' is no path"),
        ({"a" * 201: 1}, "is no path"),
        ({"$data": 1}, "'\\$data' is no condition"),
        ({"$eq": 1}, "'\\$eq' is no condition"),
        ({"$kind.x": 1}, "'\\$kind.x' is no condition"),
        ({"$": 1}, "'\\$' is no condition"),
        ({"$\ud800": 1}, r"'\$\\ud800' is no condition"),
        ({"a": {}}, "'a' says nothing"),
        ({"a": {"b": 1}}, "'b' is no operator"),
        ({"a": {"$regex": "x"}}, "'\\$regex' is no operator"),
        ({"a": {"\ud800": 1}}, r"'\\ud800' is no operator"),
        ({"a": {"$and": [{}]}}, "'\\$and' is no operator"),
        ({"a": {"$in": 1}}, "\\$in takes a list"),
        ({"a": {"$nin": {"b": 1}}}, "\\$nin takes a list"),
        ({"a": {"$in": [0] * 201}}, "at most 200"),
        ({"a": {"$exists": 1}}, "true or false"),
        ({"a": {"$exists": None}}, "true or false"),
        ({"a": {"$gt": None}}, "a number or a text"),
        ({"a": {"$gte": True}}, "a number or a text"),
        ({"a": {"$lt": [1]}}, "a number or a text"),
        ({"a": {"$lte": {}}}, "a number or a text"),
        ({"a": {"$startswith": 1}}, "takes a text"),
        ({"a": _nested(21)}, "nested at most 20 deep"),
        ({"a": {"$eq": _nested(21)}}, "nested at most 20 deep"),
        ({"a": {"$contains": _nested(21)}}, "nested at most 20 deep"),
        ({"a": {"$in": [_nested(20)]}}, "nested at most 20 deep"),
        ({"$and": []}, "\\$and takes a list"),
        ({"$or": {}}, "\\$or takes a list"),
        ({"$or": [1]}, "object of conditions"),
        ({"$not": [{}]}, "object of conditions"),
        ({"$or": [{}] * 51}, "at most 50 filters"),
        (_filters(5), "at most 5 deep"),
        ({f"a{number}": 1 for number in range(51)}, "at most 50 conditions"),
        ({"$and": [{"a": 1}] * 50}, "at most 50 conditions"),
        ({f"a{number}": {"$gt": 1, "$lt": 9} for number in range(26)}, "at most 50 conditions"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_reason(given_, sentence):
    with pytest.raises(InvalidFieldError, match=sentence) as caught:
        parse(given_, field="where")
    assert caught.value.field == "where"
    # a sentence is sent as UTF-8
    caught.value.detail.encode()


@pytest.mark.parametrize(
    "given_",
    [
        _filters(4),
        {f"a{number}": 1 for number in range(50)},
        {"$and": [{"a": 1}] * 49},
        {f"a{number}": {"$gt": 1, "$lt": 9} for number in range(25)},
        {"a": {"$in": [0] * 200}},
        {"a": _nested(20)},
        {"a" * 200: 1},
    ],
)
def test_filters_may_be_as_large_as_is_said(given_):
    parse(given_)(ORDER)


# laws

NUMBERS = st.integers() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.just(10**400)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=3)
WORDS = st.sampled_from(["a", "b", "c", "a.b", "$kind"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.builds(
    Subject,
    st.sampled_from(["order.paid", "a"]),
    st.text(max_size=3),
    st.none() | st.text(max_size=3),
    st.dictionaries(st.sampled_from("abc") | st.text(max_size=2), VALUES, max_size=4),
)
PATHS = st.sampled_from(["a", "b", "c", "a.a", "a.b", "b.a.c", "$kind", "$source", "$subject"])
OPERATORS = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne", "$contains"]), VALUES),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), NUMBERS | st.text(max_size=3)),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(VALUES, max_size=3)),
    st.tuples(st.just("$exists"), st.booleans()),
    st.tuples(st.just("$startswith"), st.text(max_size=2)),
)
PLAIN = VALUES.filter(lambda value: not isinstance(value, dict))
CONDITIONS = st.dictionaries(PATHS, PLAIN | st.lists(OPERATORS, min_size=1, max_size=2).map(dict), max_size=2)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: (
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"$not": inner})
    ),
    max_leaves=4,
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(WORDS | st.text(max_size=4) | OPERATORS.map(lambda one: one[0]), inner, max_size=4)
        | st.dictionaries(st.sampled_from(["$and", "$or", "$not", "a"]), inner, max_size=2)
    ),
    max_leaves=20,
)


def passes(filter_: object, event: Subject) -> bool:
    found = parse(filter_)(event)
    assert type(found) is bool
    return found


@given(ANYTHING, EVENTS)
def test_any_json_is_a_filter_that_decides_or_is_refused(given_, event):
    try:
        condition = parse(given_)
    except InvalidFieldError:
        return
    assert condition(event) in {True, False}


@given(FILTERS, st.recursive(VALUES, lambda inner: st.fixed_dictionaries({"a": inner, "b": inner})))
def test_any_data_is_decided_about(filter_, data):
    assert passes(filter_, Subject("a", "b", None, data if isinstance(data, dict) else {"a": data})) in {True, False}


def test_data_of_any_depth_is_decided_about():
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    event = Subject("a", "b", None, {"a": deep})
    filters = [{"a": _nested(20)}, {"a": {"$contains": _nested(19)}}, {"a": {"$in": [_nested(19)]}}, {"a.a": 1}]
    assert [passes(filter_, event) for filter_ in filters] == [False] * 4
    while isinstance(deep, list):  # taken apart here: Python frees what is nested by recursion
        deep = deep.pop()


@given(FILTERS, EVENTS)
def test_not_is_the_opposite(filter_, event):
    assert passes({"$not": filter_}, event) is not passes(filter_, event)


@given(FILTERS, FILTERS, EVENTS)
def test_and_is_both_and_or_is_either(one, other, event):
    assert passes({"$and": [one, other]}, event) is (passes(one, event) and passes(other, event))
    assert passes({"$or": [one, other]}, event) is (passes(one, event) or passes(other, event))


@given(CONDITIONS, EVENTS)
def test_conditions_side_by_side_must_all_hold(filter_, event):
    assert passes(filter_, event) is all(passes({key: value}, event) for key, value in filter_.items())


@given(PATHS, st.lists(OPERATORS, min_size=1, max_size=3).map(dict), EVENTS)
def test_operators_side_by_side_must_all_hold(path, operators, event):
    each = [passes({path: {name: operand}}, event) for name, operand in operators.items()]
    assert passes({path: operators}, event) is all(each)


@given(PATHS, st.lists(VALUES, max_size=3), VALUES, EVENTS)
def test_operators_have_opposites(path, some, value, event):
    assert passes({path: {"$ne": value}}, event) is not passes({path: {"$eq": value}}, event)
    assert passes({path: {"$nin": some}}, event) is not passes({path: {"$in": some}}, event)
    assert passes({path: {"$exists": True}}, event) is not passes({path: {"$exists": False}}, event)
    assert passes({path: {"$in": some}}, event) is any(passes({path: {"$eq": one}}, event) for one in some)


@given(PATHS, PLAIN, EVENTS)
def test_a_value_alone_means_eq(path, value, event):
    assert passes({path: value}, event) is passes({path: {"$eq": value}}, event)


@given(VALUES, VALUES)
def test_equality_is_that_of_json(one, other):
    def canonical(value: object) -> object:
        """Write a value so that Python's equality is JSON's."""
        if isinstance(value, bool) or value is None:
            return "literal", json.dumps(value)
        if isinstance(value, list):
            return "list", tuple(map(canonical, value))
        if isinstance(value, dict):
            return "object", frozenset((key, canonical(part)) for key, part in value.items())
        return type(value) is str, value

    event = Subject("a", "b", None, {"a": one})
    assert passes({"a": {"$eq": one}}, event)
    assert passes({"a": {"$eq": other}}, event) is (canonical(one) == canonical(other))


@given(NUMBERS | st.text(max_size=3), NUMBERS | st.text(max_size=3))
def test_of_less_equal_and_greater_one_holds_among_their_like_and_none_among_others(one, other):
    event = Subject("a", "b", None, {"a": one})
    lt, eq, gt = (passes({"a": {name: other}}, event) for name in ("$lt", "$eq", "$gt"))
    assert [lt, eq, gt].count(True) == (isinstance(one, str) == isinstance(other, str))
    assert passes({"a": {"$lte": other}}, event) is (lt or eq)
    assert passes({"a": {"$gte": other}}, event) is (gt or eq)
