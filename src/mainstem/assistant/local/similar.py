"""Which of several things is meant by some words. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from mainstem.assistant.local.terms import Mentioned

LEAST: Final = 0.5
"""Below this nothing is meant."""
MARGIN: Final = 0.15
"""The best must be that much better than the next, or people are asked."""
_MOST: Final = 5
_WORD: Final = re.compile(r"\w+")
_FILLING: Final = frozenset(
    "the a an my our that this to of for on in at with and task tasks todo item one called named about".split()
)


def choose(find: str, candidates: Sequence[Mentioned]) -> Mentioned | tuple[Mentioned, ...]:
    """Return the one thing whose title `find` means, or those it may mean, best first and at most five; () is none.

    A title that is the same word for word wins over all others, unless there are two. Otherwise the best must be clearly better
    than the next.
    """
    wanted = _plain(find)
    if not wanted:
        return ()
    same = tuple(thing for thing in candidates if _plain(thing.title) == wanted)
    if same:
        return same[0] if len(same) == 1 else same[:_MOST]
    scored = [(likeness(find, thing.title), -place, thing) for place, thing in enumerate(candidates)]
    near = sorted((each for each in scored if each[0] >= LEAST), key=lambda each: each[:2], reverse=True)
    if not near:
        return ()
    if len(near) == 1 or near[0][0] - near[1][0] >= MARGIN:
        return near[0][2]
    return tuple(thing for score, _, thing in near if near[0][0] - score < MARGIN)[:_MOST]


def likeness(find: str, title: str) -> float:
    """Return how well `title` answers to `find`, 0 to 1: all words of `find` in it are 0.8 at least, fewer are less."""
    wanted, given = _words(find), _words(title)
    if not wanted or not given:
        return 0.0
    found = sum(max((_alike(word, other) for other in given), default=0.0) for word in wanted) / len(wanted)
    share = min(1.0, len(wanted) / len(given))
    return found * (0.8 + 0.2 * share) if found > 0.6 else 0.6 * found


def _alike(word: str, other: str) -> float:
    if word == other:
        return 1.0
    # "groceries" and "grocery", "meet" and "meeting"
    shorter, longer = sorted((word, other), key=len)
    if len(shorter) >= 4 and longer.startswith(shorter[: max(4, len(shorter) - 3)]) and len(longer) - len(shorter) <= 4:
        return 0.85
    return 0.7 if len(shorter) >= 4 and _one_off(shorter, longer) else 0.0


def slip(word: str, meant: str) -> bool:
    """Whether one slip of the keyboard makes `word` of `meant`: a letter more, less or other, or two that changed places."""
    if len(word) < 4 or word == meant:
        return False
    shorter, longer = sorted((word, meant), key=len)
    if len(shorter) >= 5 and _one_off(shorter, longer):
        return True
    places = [at for at, (one, other) in enumerate(zip(word, meant, strict=False)) if one != other]
    return len(word) == len(meant) and len(places) == 2 and places[1] == places[0] + 1 and sorted(word) == sorted(meant)


def _one_off(shorter: str, longer: str) -> bool:
    """Whether one letter more, less or other makes one word of the other."""
    if len(longer) - len(shorter) > 1:
        return False
    place = next((at for at, letter in enumerate(shorter) if letter != longer[at]), len(shorter))
    if len(longer) == len(shorter):
        return shorter[place + 1 :] == longer[place + 1 :]
    return shorter[place:] == longer[place + 1 :]


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _words(text: str) -> list[str]:
    found = _plain(text).split()
    return [word for word in found if word not in _FILLING] or found
