"""JSON that `jsonb` can keep: PostgreSQL texts hold no NUL and no half of a surrogate pair, JSON's may."""

import json
import re

from mainstem.vault.feed import RejectedError

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def clean_json(text: str) -> str:
    """Return the JSON text with NULs dropped and lone surrogates as U+FFFD; most texts come back unchanged.

    Raises RejectedError when such a text is not JSON at all.
    """
    # both can only be written as escapes: intake refuses raw control characters and bytes that are not UTF-8
    if "\\u" not in text:
        return text
    try:
        return clean_text(json.dumps(_clean(json.loads(text)), ensure_ascii=False, separators=(",", ":")))
    except (ValueError, RecursionError) as error:
        raise RejectedError(
            "invalid_json", f"The event's data is not JSON that can be kept: {error}", "data"
        ) from error


def clean_text(text: str) -> str:
    """Return a text without NULs, its lone surrogates replaced by U+FFFD."""
    return _LONE_SURROGATE.sub("\ufffd", text.replace("\0", ""))


def _clean(value: object) -> object:
    match value:
        case str():
            return clean_text(value)
        case list():
            return [_clean(item) for item in value]
        case dict():
            return {clean_text(key): _clean(item) for key, item in value.items()}
        case _:
            return value
