"""Bodies are read within limits, whatever their framing, compression and nesting."""

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.front.body import MAX_DEPTH, ClientGoneError, check_depth, is_shallow, mend_surrogates, read_body
from mainstem.platform.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError


def receiver(*parts: bytes):
    messages = [
        {"type": "http.request", "body": part, "more_body": number < len(parts) - 1}
        for number, part in enumerate(parts)
    ] or [{"type": "http.disconnect"}]
    queue = iter(messages)

    async def receive():
        return next(queue, {"type": "http.disconnect"})

    return receive


async def test_joins_the_parts_of_a_chunked_body():
    assert await read_body(receiver(b'{"a"', b":1", b"}"), limit=100) == b'{"a":1}'


@pytest.mark.parametrize("parts", [(b"x" * 101,), (b"x" * 60, b"x" * 41)])
async def test_refuses_more_bytes_than_allowed(parts):
    with pytest.raises(PayloadTooLargeError):
        await read_body(receiver(*parts), limit=100)


async def test_refuses_an_announced_length_before_reading():
    async def never():
        pytest.fail("the body was read")

    with pytest.raises(PayloadTooLargeError):
        await read_body(never, limit=100, length=b"101")


async def test_a_client_that_goes_away_is_no_error_of_ours():
    with pytest.raises(ClientGoneError):
        await read_body(receiver(), limit=100)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"deflate", raw_deflate)]
)
async def test_expands_compressed_bodies(encoding, pack):
    assert await read_body(receiver(pack(b'{"a":1}')), limit=100, encoding=encoding) == b'{"a":1}'


@pytest.mark.parametrize("encoding", [b"", b" ", b"identity", b"Identity"])
async def test_a_body_that_is_not_compressed_stays_as_it_is(encoding):
    assert await read_body(receiver(b"{}"), limit=100, encoding=encoding) == b"{}"


async def test_all_members_of_a_gzip_body_count():
    text = b"[" + b"1," * 500 + b"1]"
    packed = gzip.compress(text[:100]) + gzip.compress(b"") + gzip.compress(text[100:])
    assert await read_body(receiver(packed), limit=len(text), encoding=b"GZIP") == text
    with pytest.raises(PayloadTooLargeError):
        await read_body(receiver(packed), limit=len(text) - 1, encoding=b"gzip")
    with pytest.raises(BadRequestError):
        await read_body(receiver(packed + b"more"), limit=10_000, encoding=b"gzip")


async def test_thousands_of_empty_members_are_refused():
    with pytest.raises(BadRequestError):
        await read_body(receiver(gzip.compress(b"") * 1_000), limit=100_000, encoding=b"gzip")


async def test_refuses_a_compression_bomb():
    bomb = gzip.compress(b"0" * 50_000_000)
    with pytest.raises(PayloadTooLargeError):
        await read_body(receiver(bomb), limit=1_000_000, encoding=b"gzip")


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"cut short, and so damaged", mtime=0)[:-9]])
async def test_refuses_damaged_compression(body):
    with pytest.raises(BadRequestError):
        await read_body(receiver(body), limit=1_000, encoding=b"gzip")


async def test_refuses_an_unknown_encoding():
    with pytest.raises(UnsupportedMediaTypeError):
        await read_body(receiver(b"x"), limit=1_000, encoding=b"br")


def depth(value) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 0


values = st.recursive(
    st.text(alphabet='[]{}"\\x', max_size=8) | st.none(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=3), children, max_size=4),
    max_leaves=60,
)


@given(values, st.integers(1, 8))
def test_depth_is_counted_exactly(value, limit):
    # more brackets than the limit, so that the exact count runs
    text = json.dumps([value, [[]] * limit]).encode()
    if depth(json.loads(text)) > limit:
        with pytest.raises(BadRequestError):
            check_depth(text, limit=limit)
    else:
        check_depth(text, limit=limit)


@given(values)
def test_what_is_shallow_at_once_is_not_deep(value):
    if is_shallow(json.dumps(value).encode()):
        assert depth(value) <= 2


def test_nearly_every_event_is_shallow_at_once():
    assert is_shallow(b'{"page_url":"/","event_data":{"title":"Menu"}}')
    assert not is_shallow(b'{"a":{"b":{}}}')
    assert not is_shallow(b'{"a":[]}')


def test_the_default_depth_is_enough_for_any_event():
    check_depth(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(BadRequestError):
        check_depth(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_mending_leaves_only_what_utf8_can_hold(text):
    mended = json.loads(mend_surrogates(json.dumps(text).encode()))
    assert mended.encode() is not None
    kept = [character for character in text if not 0xD800 <= ord(character) <= 0xDFFF]
    assert [character for character in mended if character != "\ufffd"] == [c for c in kept if c != "\ufffd"] or (
        # two lone halves that stand side by side are one real character
        json.loads(json.dumps(text)) != text
    )
