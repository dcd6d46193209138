"""Any text and any JSON becomes something that PostgreSQL can keep."""

import asyncio
import json

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstem.platform.web.text import KEY_CHARACTERS, clean, clip, clip_key, read_object

NASTY = st.text(alphabet=st.characters(exclude_categories=()), max_size=50)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\x00b", "ab"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("whole \U0001f389", "whole \U0001f389"),
    ],
)
def test_clean_mends_what_a_text_column_refuses(text, expected):
    assert clean(text) == expected


@given(NASTY)
def test_clean_text_can_always_be_encoded_and_is_stable(text):
    cleaned = clean(text)
    assert "\x00" not in cleaned
    cleaned.encode()
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("  a  ", "a"),
        ("abcdef", "abc"),
        ("", None),
        ("  ", None),
        (None, None),
        (12, "12"),
        (True, "true"),
        ([1], None),
    ],
)
def test_clip_reads_scalars_only(value, expected):
    assert clip(value, 3) == expected


def test_two_long_keys_with_the_same_beginning_stay_two():
    first, second = clip_key("x" * 5_000 + "a"), clip_key("x" * 5_000 + "b")
    assert first != second
    assert len(first) == len(second) == KEY_CHARACTERS


def test_a_key_of_allowed_length_is_kept():
    assert clip_key("x" * KEY_CHARACTERS) == "x" * KEY_CHARACTERS


def test_the_senders_own_digits_are_kept():
    assert read_object('{"price": 12.10}') == ({"price": 12.1}, '{"price": 12.10}')


@pytest.mark.parametrize("text", ["[1]", "1", '"a"', "null", "", "{", "{'a':1}", "[" * 100_000])
def test_what_is_no_object_is_none(text):
    assert read_object(text) is None


ABSURD = [
    '{"a":1e400}',
    '{"a":-1e999999999}',
    '{"a":1e-20000}',
    '{"a":0.' + "0" * 20_000 + "1}",
    '{"a":' + "9" * 50_000 + "}",
    '{"a":NaN,"b":-Infinity}',
    r'{"a\u0000":"b\u0000"}',
    r'{"a":"\ud800","b":"\ude00\ud83d"}',
    r'{"a":"\\u0000"}',
    '{"a":' + "[" * 900 + "]" * 900 + "}",
]


async def test_absurd_json_is_kept_as_jsonb(connection):
    for text in ABSURD:
        found = read_object(text)
        assert found is not None, text[:40]
        assert await connection.fetchval("select $1::jsonb is not null", found[1]), text[:40]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    value=st.dictionaries(
        NASTY, st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | NASTY, st.lists, max_leaves=5)
    )
)
def test_any_object_that_json_can_write_is_kept_as_jsonb(value, dsn):
    found = read_object(json.dumps(value))
    assert found is not None
    asyncio.run(_cast(dsn, found[1]))


async def _cast(dsn: str, text: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        assert await connection.fetchval("select jsonb_typeof($1::jsonb)", text) == "object"
    finally:
        await connection.close()
