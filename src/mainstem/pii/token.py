"""The sealed value as it stands in an event's JSON: `ms1:<subject>:<field>:<fingerprint>:<box>`. Pure.

The field is part of the token, so that it can be opened wherever it is found; box and field are bound together.
The fingerprint says which sealed values of one subject are equal, to whoever has no key.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from uuid import UUID

PREFIX: Final = "ms1:"
FINGERPRINT_CHARACTERS: Final = 22
_TEXT: Final = (
    rf"{PREFIX}([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}):([a-z0-9]{{1,100}}):([\w-]{{22}}):([\w-]{{38,}})"
)
_TOKEN: Final = re.compile(_TEXT, re.ASCII)
_MEMBER: Final = re.compile(f'"{_TEXT}"', re.ASCII)


class Token(NamedTuple):
    """One sealed value."""

    subject: UUID
    field: str
    fingerprint: str
    box: str
    """Base64url of nonce and ciphertext."""

    def __str__(self) -> str:
        """Return the token's text."""
        return f"{PREFIX}{self.subject}:{self.field}:{self.fingerprint}:{self.box}"


def parse(text: str) -> Token | None:
    """Return the token that a text is, None when it is none."""
    match = _TOKEN.fullmatch(text)
    return None if match is None else _token(match)


def tokens_in(text: str) -> Iterator[Token]:
    """Yield the tokens that are whole strings of a JSON text, in order."""
    return map(_token, _MEMBER.finditer(text))


def replaced(text: str, values: dict[str, str]) -> str:
    """Return a JSON text with every token that is a key of `values` replaced, quotes included, by the JSON given for it."""
    return _MEMBER.sub(lambda match: values.get(match[0][1:-1], match[0]), text)


def _token(match: re.Match[str]) -> Token:
    return Token(UUID(match[1]), match[2], match[3], match[4])
