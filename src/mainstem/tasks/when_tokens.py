"""The words of a text with their places, for those that look for a date in it. Pure.

A word is what stands between blanks, without the punctuation around it: `monday.com`, `friday's`, `24/7` and `v2.5` stay whole
and so are never taken for the words they contain. Words inside quotation marks, and all of a text that is one quotation, are
blanked out: what people quote is a name, not a wish.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

_CHUNK: Final = re.compile(r"[^\s\u2013\u2014]+")
_QUOTED: Final = re.compile(
    r"\"[^\"]*\"|\u201c[^\u201c\u201d]*\u201d|\u201e[^\u201e\u201c]*\u201c|\u00ab[^\u00ab\u00bb]*\u00bb|`[^`]*`"
    r"|(?<!\w)'[^']*'(?!\w)|(?<!\w)\u2018[^\u2018\u2019]*\u2019(?!\w)"
)
_OPENING: Final = "([{<*_~"
_CLOSING: Final = ".,;:!?)]}>*_~\u2026"
_HALF_DAY: Final = re.compile(r"(?:\d|^)[ap]\.m$", re.IGNORECASE)
QUOTED: Final = "\0"
"""What stands for a word inside quotation marks."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word: its place in the text (without punctuation), itself in lower case, and the punctuation after and before it."""

    start: int
    end: int
    word: str
    after: str
    before: str


def split(text: str) -> tuple[Token, ...]:
    """Return the words of `text`, in order."""
    quoted = deque(found.span() for found in _QUOTED.finditer(text))
    tokens = []
    for chunk in _CHUNK.finditer(text):
        token = _token(chunk.group(), chunk.start())
        while quoted and quoted[0][1] <= token.start:
            quoted.popleft()
        hidden = quoted and quoted[0][0] < max(token.end, token.start + 1)
        tokens.append(replace(token, word=QUOTED) if hidden else token)
    return tuple(tokens)


def joined(tokens: Sequence[Token], position: int, *, comma: bool = False) -> bool:
    """Whether the word at `position` belongs to the same phrase as the one before; `comma` lets a comma stand between."""
    if not 0 < position < len(tokens) or tokens[position].before:
        return False
    return tokens[position - 1].after in ("", "," if comma else "")


def phrase(tokens: Sequence[Token], position: int, limit: int) -> list[str]:
    """Return the words of the phrase from `position`, up to `limit`."""
    found = [tokens[position].word]
    while len(found) < limit and joined(tokens, position + len(found)):
        found.append(tokens[position + len(found)].word)
    return found


def _token(chunk: str, at: int) -> Token:
    inner = chunk.lstrip(_OPENING)
    before = chunk[: len(chunk) - len(inner)]
    word = inner.rstrip(_CLOSING)
    after = inner[len(word) :]
    if after.startswith(".") and _HALF_DAY.search(word):
        word, after = inner[: len(word) + 1], after[1:]
    start = at + len(before)
    return Token(start, start + len(word), word.lower().replace("\u2019", "'"), after, before)
