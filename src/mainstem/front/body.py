"""Reads a request body within limits: size, compression ratio, nesting.

Everything here fails early and cheaply: a body that is too large is refused before it is kept, a compressed
one is expanded only up to the limit, and JSON nested deeper than any event needs is refused before it is parsed.
"""

import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeVar

import msgspec

from mainstem.platform.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError

Message = MutableMapping[str, Any]
T = TypeVar("T")
Receive = Callable[[], Awaitable[Message]]

_WBITS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 47}
MAX_DEPTH: Final = 64
# the rest of the body is copied for each member, so thousands of tiny ones would cost dearly
_MOST_MEMBERS: Final = 100
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")


class ClientGoneError(Exception):
    """The client closed the connection before its body was complete."""


async def read_body(
    receive: Receive, *, limit: int, encoding: bytes | None = None, length: bytes | None = None
) -> bytes:
    """Return the whole body, decompressed.

    `limit` counts bytes, on the wire and after decompression. Raises PayloadTooLargeError, UnsupportedMediaTypeError
    (unknown Content-Encoding), BadRequestError (broken compression) or ClientGoneError.
    """
    if length is not None and length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _rest(receive, body, limit)
    elif len(body) > limit:
        raise _too_large(limit)
    return _expand(body, encoding.strip().lower(), limit) if encoding else body


async def _rest(receive: Receive, first: bytes, limit: int) -> bytes:
    parts, size = [first], len(first)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _expand(body: bytes, encoding: bytes, limit: int) -> bytes:
    if encoding in {b"", b"identity"}:
        return body
    wbits = _WBITS.get(encoding)
    if wbits is None:
        raise UnsupportedMediaTypeError("Content-Encoding must be gzip, deflate or identity.", field="Content-Encoding")
    for candidate in (wbits, -15) if wbits == _WBITS[b"deflate"] else (wbits,):
        expanded = _members(body, candidate, limit)
        if expanded is not None:
            return expanded
    raise BadRequestError("The compressed body is damaged or cut short.")


def _members(body: bytes, wbits: int, limit: int) -> bytes | None:
    """Return what all members of a compressed body hold (RFC 1952, 2.2 allows several); None when it is damaged."""
    expanded = b""
    for _ in range(_MOST_MEMBERS):
        expander = zlib.decompressobj(wbits=wbits)
        try:
            expanded += expander.decompress(body, limit + 1 - len(expanded))
        except zlib.error:
            return None
        if len(expanded) > limit or expander.unconsumed_tail:
            raise _too_large(limit)
        if not expander.eof:
            return None
        body = expander.unused_data
        if not body:
            return expanded
    return None


def _too_large(limit: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"The request body may have at most {limit:,} bytes, decompressed.")


def is_shallow(text: bytes) -> bool:
    """Tell quickly that a JSON text can't be deep: it has no list and at most an object in an object."""
    return text.find(b"[") < 0 and text.find(b"{", text.find(b"{", 1) + 1 or len(text)) < 0


def check_depth(text: bytes, *, limit: int = MAX_DEPTH) -> None:
    """Raise BadRequestError when a JSON text is nested deeper than `limit` levels.

    A text with few brackets can't be deep, and that is nearly every event. For the rest the innermost pairs of
    brackets are removed once per level, which stays in C however long the text is.
    """
    if text.count(b"[") + text.count(b"{") <= limit:
        return
    brackets = _STRING.sub(b"", text).translate(_ONE_KIND, _NOT_BRACKETS)
    for _ in range(limit):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return
    raise BadRequestError(f"The JSON is nested deeper than {limit} levels.")


def decode_json(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a JSON body. Raises BadRequestError for what isn't JSON, msgspec.ValidationError for a wrong shape."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise BadRequestError(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None


def mend_surrogates(body: bytes) -> bytes:
    """Replace escaped lone surrogates, which browsers may send and no text column can hold, by U+FFFD."""
    return _ESCAPE.sub(lambda match: b"\\ufffd" if match[1] else match[0], body)
