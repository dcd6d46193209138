"""Hash keys: injective, and the same bytes in Python and in PostgreSQL."""

from hashlib import sha256

import asyncpg
from hypothesis import given
from hypothesis import strategies as st

from mainstem.vault.engine import BROKEN_KEY, INJECTIVE, ZERO_KEY, hash_key

part = st.none() | st.text(alphabet=st.sampled_from(["a", "A", "1", ":", "-", "|", " ", "é", "\n"]), max_size=4)
parts = st.lists(part, max_size=4)
storable = st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


def test_a_stored_key_never_changes():
    assert hash_key(1, "site", "v:abc").hex() == sha256(b"1:14:site5:v:abc").hexdigest()


@given(parts, parts)
def test_different_parts_have_different_keys(one, other):
    assert (INJECTIVE.key(one) == INJECTIVE.key(other)) == (one == other)


@given(st.integers(1, 99), st.integers(1, 99), parts)
def test_equal_business_keys_of_two_tenants_never_meet(one, other, key):
    assert (hash_key(one, "site", *key) == hash_key(other, "site", *key)) == (one == other)


@given(parts)
def test_no_key_is_a_reserved_key(key):
    assert hash_key(1, "site", *key) not in {ZERO_KEY, BROKEN_KEY}


payload = st.dictionaries(st.sampled_from(["a", "b", "ab", "c"]), part)


@given(payload, payload)
def test_a_hashdiff_differs_where_a_value_differs(one, other):
    present = [{name: value for name, value in p.items() if value is not None} for p in (one, other)]
    assert (INJECTIVE.hashdiff(one) == INJECTIVE.hashdiff(other)) == (present[0] == present[1])


@given(payload)
def test_a_new_empty_column_and_the_order_of_columns_change_no_hashdiff(values):
    wider = {"z_new": None, **dict(reversed(values.items()))}
    assert INJECTIVE.hashdiff(wider) == INJECTIVE.hashdiff(values)


async def test_postgresql_computes_the_same_keys(connection: asyncpg.Connection):
    lists = [[], ["a"], [None], ["", None], ["a", "b:c"], ["é", "漢字", "'"], ["1:a", "x" * 300]]
    for values in lists:
        if values:
            sql = f"select {INJECTIVE.key_sql([f'${n}::text' for n in range(1, len(values) + 1)])}"
            assert await connection.fetchval(sql, *values) == INJECTIVE.key(values)


async def test_postgresql_computes_the_same_hashdiffs(connection: asyncpg.Connection):
    for values in ({"title": "T", "it's": "x"}, {"title": None, "it's": "é"}, {"title": None, "it's": None}):
        sql = f"select {INJECTIVE.hashdiff_sql({'title': '$1::text', chr(105) + 't' + chr(39) + 's': '$2::text'})}"
        assert await connection.fetchval(sql, values["title"], values["it's"]) == INJECTIVE.hashdiff(values)
