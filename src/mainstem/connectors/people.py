"""People in what sources say: their addresses and numbers, wherever these stand, and the names beside them. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mainstem.pii import identify
from mainstem.pii.identify import Identifier

ERASED: Final = "(erased)"
_MOST: Final = 200
_DEEPEST: Final = 40
_AROUND: Final = "<>()[]{},;:.!?\"'"


def identifiers_in(value: object) -> set[Identifier]:
    """Return the identifiers that stand in JSON, a few hundred at most."""
    found: set[Identifier] = set()
    for one, _ in _walked(value, "", (), 0):
        found.add(one)
        if len(found) >= _MOST:
            break
    return found


def names_beside(value: object, theirs: Any) -> set[str]:  # noqa: ANN401 - a container of identifiers
    """Return the names that stand beside identifiers of a person: in the nearest object that has one."""
    found: set[str] = set()
    for one, around in _walked(value, "", (), 0):
        if one in theirs:
            name = next((name for thing in reversed(around) if (name := _name(thing))), None)
            if name is not None:
                found.add(name)
    return found


def read(body: bytes) -> object:
    """Return the JSON of a body; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _walked(
    value: object, path: str, around: tuple[Mapping[str, Any], ...], depth: int
) -> Iterator[tuple[Identifier, tuple[Mapping[str, Any], ...]]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _walked(inner, f"{path}.{str(name).lower()}", (*around, value), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _walked(inner, path, around, depth + 1)
    elif isinstance(value, str):
        for one in _in_text(value, path):
            yield one, around


def _in_text(text: str, path: str) -> Iterator[Identifier]:
    whole = identify.identifier(path, text) or identify.contact(text)
    if whole is not None:
        yield whole
    elif "@" in text:
        found = (identify.email(word.strip(_AROUND)) for word in text.split())
        yield from (one for one in found if one is not None)


def _name(thing: Mapping[str, Any]) -> str | None:
    parts = [thing.get(name) for name in ("first_name", "last_name")]
    name = " ".join(part.strip() for part in parts if isinstance(part, str) and part.strip())
    return name or None


def without(text: str | None, words: set[str]) -> str | None:
    """Return a text, or that it is erased where one of some words (in lower case) stands in it."""
    return ERASED if text is not None and any(word in text.lower() for word in words) else text
