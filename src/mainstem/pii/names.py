"""Names of JSON members that hold personal data, in all their usual spellings. Pure.

A configured name such as `first_name` is a list of words. A member has that name when it is written in one of the usual
ways: the words joined by nothing, `_`, `-` or a blank, in lower case, in capitals, Capitalised or inCamelCase.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

_WORD: Final = re.compile(r"[a-z0-9]+")
_JOINTS: Final = ("", "_", "-", " ")
ENDS: Final = ('"', "=", "]", "\\")
"""What follows the name of a member, that of a parameter, `guest[email]=` too, and that of a member of JSON in a text."""
IDENTITIES: Final = ("user_id", "visitor_id", "customer_id", "session_id", "anonymous_id", "client_id")
"""Members that say who: an address or phone number in one of them is replaced by the subject instead of sealed."""


class Names:
    """The names of one installation; `find` takes a member's name as it is written."""

    def __init__(self, names: Iterable[str]) -> None:
        """Keep names as in PII_FIELDS. Raises ValueError for one without a letter or digit."""
        self.words = tuple(dict.fromkeys(words_of(name) for name in names))
        self._fields = {written: "".join(words) for words in self.words for written in spellings(words)}
        identities = [(words_of(name), name) for name in IDENTITIES]
        self._identities = {written: name for words, name in identities for written in spellings(words)}

    def find(self, name: str) -> str | None:
        """Return the field that a member's name stands for, its words joined in lower case; None when it is no PII."""
        return self._fields.get(name)

    def identity(self, name: str) -> str | None:
        """Return which of IDENTITIES a member's name is."""
        return self._identities.get(name)

    @property
    def written(self) -> Iterable[str]:
        """Return every way in which a field can be written."""
        return self._fields.keys()


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a configured name. Raises ValueError when there are none."""
    words = tuple(_WORD.findall(name.lower()))
    if not words:
        msg = f"{name!r} has no letter (a to z) or digit"
        raise ValueError(msg)
    return words


def spellings(words: tuple[str, ...]) -> Iterator[str]:
    """Yield the usual ways to write a name of these words, some of them twice."""
    capitalised = [word.capitalize() for word in words]
    for joint in _JOINTS:
        yield joint.join(words)
        yield joint.join(words).upper()
        yield joint.join(capitalised)
        yield joint.join([words[0], *capitalised[1:]])


def quick(names: Iterable[tuple[str, ...]]) -> list[str]:
    """Return texts of which at least one is in every member or query parameter with one of the names.

    A single word is common in texts, so it counts only where it ends a member's name or a parameter's; several words in
    one spelling are rare as they are. Texts that hold another one are left out.
    """
    by_words = {words: set(spellings(words)) for words in names}
    single = {written for words, all_written in by_words.items() if len(words) == 1 for written in all_written}
    several = {written for words, all_written in by_words.items() if len(words) > 1 for written in all_written}
    texts = {written + end for written in single for end in ENDS} | {
        written for written in several if not written.endswith(tuple(single))
    }
    return sorted(text for text in texts if not any(other in text for other in texts - {text}))
