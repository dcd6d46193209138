"""Makes any text and any JSON safe for PostgreSQL: no NUL, no lone surrogate, no length that an index refuses.

PostgreSQL's `text` holds no NUL; its `jsonb` holds neither NUL nor half a surrogate pair nor a number of more than
131,072 digits before or 16,383 after its point; a B-tree entry holds 2,704 bytes. An event must never fail for such a
value: NULs go, lone surrogates become U+FFFD, absurd numbers become text, long text is cut. Pure; knows no event.
"""

import json
import re
from hashlib import sha256
from typing import Final

import msgspec

KEY_CHARACTERS: Final = 600
"""Longest key: four bytes a character still fit a B-tree entry together with tenant, day and dimension."""
MAX_NUMBER_CHARACTERS: Final = 1_000
_DIGEST_CHARACTERS: Final = 32
_NUL_ESCAPE: Final = "\\u0000"
# PostgreSQL's numeric keeps 16,383 digits after the point
_TOO_LONG: Final = re.compile(r"\d{16000}")
_LONG_CHARACTERS: Final = 16_000

_object: Final = msgspec.json.Decoder(dict[str, object])


def clean(text: str) -> str:
    """Return the text without NULs and with U+FFFD for every lone surrogate."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    # ASCII is known to the string itself, so the common case costs nothing
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def clip(value: object, characters: int) -> str | None:
    """Return a scalar as clean text of at most so many characters; None for absent, blank and structured values."""
    if value is None:
        return None
    if isinstance(value, str):
        return clean(value).strip()[:characters] or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)[:characters]
    return None


def clip_key(text: str, characters: int = KEY_CHARACTERS) -> str:
    """Return the text, or its beginning and its digest when it is longer: two long keys never become one."""
    if len(text) <= characters:
        return text
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{text[: characters - _DIGEST_CHARACTERS - 1]}~{digest}"


def read_object(text: str | bytes) -> tuple[dict[str, object], str] | None:
    """Return a JSON object and its text as `jsonb` can hold it; None when it is no JSON object.

    The text is the sender's own where that is safe, so that numbers keep their digits.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        if not _needs_mending(text):
            return _object.decode(text), text
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    value = _read_leniently(text)
    if not isinstance(value, dict):
        return None
    return value, write_object(value)


def write_object(value: dict[str, object]) -> str:
    """Return a clean object as JSON text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _needs_mending(text: str) -> bool:
    """Tell whether well-formed JSON may hold what `jsonb` can't; the searches for rare letters come first."""
    if _NUL_ESCAPE in text:
        return True
    if len(text) > _LONG_CHARACTERS and _TOO_LONG.search(text) is not None:
        return True
    return _is_tiny_in(text, "e-") or _is_tiny_in(text, "E-")


def _is_tiny_in(text: str, sign: str) -> bool:
    """Tell whether four digits follow the sign anywhere: most texts have none, and words like `de-DE` no digits."""
    place = text.find(sign)
    while place >= 0:
        if text[place + 2 : place + 6].isdecimal():
            return True
        place = text.find(sign, place + 2)
    return False


def _read_leniently(text: str | bytes) -> object:
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=str)
        return _clean_deep(value)
    except (ValueError, RecursionError):
        return None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_NUMBER_CHARACTERS else digits[:MAX_NUMBER_CHARACTERS]


def _float(digits: str) -> float | str:
    value = float(digits)
    return digits[:MAX_NUMBER_CHARACTERS] if value in {float("inf"), float("-inf")} else value


def _clean_deep(value: object) -> object:
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(key): _clean_deep(item) for key, item in value.items()}
        case list():
            return [_clean_deep(item) for item in value]
        case _:
            return value
