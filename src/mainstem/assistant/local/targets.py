"""Which task a sentence means: a number, a name, or something that was just shown. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mainstem.assistant.local.said import MARK, Said
from mainstem.assistant.local.slots import NUMBER, REFERENCE, TASK, named, number
from mainstem.assistant.local.terms import Context, Mentioned

_MOST_IDS: Final = 10
_MANY: Final = re.compile(
    rf"(?:the )?(?:{TASK}|numbers)? ?#?({NUMBER}(?:(?:,| and|, and| &)? ?(?:the )?(?:{TASK} )?#?{NUMBER})+)",
    re.IGNORECASE,
)
_ONE: Final = re.compile(rf"(?:{REFERENCE}|#?(\d{{1,10}}))(?: (?:on|from|in) (?:my|the) list)?", re.IGNORECASE)
_PRONOUN: Final = re.compile(
    rf"(?:it|this|that|(?:this|that) (?:one|{TASK})|the (?:one|same)(?: {TASK})?)", re.IGNORECASE
)
_PLACES: Final = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
_PLACE: Final = re.compile(
    rf"(?:the |my )?(?:({'|'.join(_PLACES)}|last|latter|former)|(\d)(?:st|nd|rd|th))(?: (?:one|of them|of these|{TASK}|alert|delivery|link|option))?",
    re.IGNORECASE,
)
_ALL: Final = re.compile(
    r"(?:(?:all|every|each|both|any|anything|everything|everybody|everyone)\b.*|them(?: all)?|these|those|(?:my|the|our) (?:\w+ )?(?:tasks|todos|to-?dos|items|reminders)"
    r"|(?:my|the|our)? ?(?:whole |entire )?(?:to-?do |todo |task )?list|(?:\w+ )?(?:tasks|todos|to-?dos)(?: (?:of|from|for|by|in|with|that|which) .*)?|.*\b(?:all|every)\b.*\b(?:tasks?|todos|items|users?)\b.*)",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(rf"(?:the )?{TASK} {NUMBER} ?(?:to|through|-|until|till) ?{NUMBER}", re.IGNORECASE)
_NAMED: Final = re.compile(
    rf"(?:the |my |our )?(?:(?:{TASK}|one) (?:called|named|titled|about|for|regarding|with the title|that says|to|on) \S.*|{TASK}:? ?{MARK}|{MARK}(?: {TASK})?|(?:the |my |our |that )?\S.* {TASK})(?: from (?:my|the) (?:to-?do |todo |task )?list)?",
    re.IGNORECASE,
)
_MORE: Final = re.compile(
    rf"(?:{REFERENCE}\b|#?(\d{{1,10}})(?=,|;|\n| (?:and|or|then|but|except|unless|if|when|not|only)\b))", re.IGNORECASE
)
"""A number that something else follows: no name of a task, and no command to do without asking."""
_VAGUE: Final = re.compile(
    rf"(?:(?:the|a|my|that|this|some|any|one) )?(?:{TASK}|one|something|stuff|nothing|nobody)", re.IGNORECASE
)


class Kind(StrEnum):
    """How well a target is known."""

    IDS = "ids"
    NAMED = "named"
    """By words that say they name a task."""
    GUESSED = "guessed"
    """By words that may name a task."""
    OPEN = "open"
    """Which one isn't clear, or whether: ask. A number is what may be meant."""
    BULK = "bulk"
    """More than are named one by one."""


@dataclass(frozen=True, slots=True)
class Target:
    """The task that is meant: its numbers, or the words that name it."""

    kind: Kind
    ids: tuple[int, ...] = ()
    find: str = ""


def target(said: Said, fragment: str, context: Context, kind: str = "task") -> Target:
    """Return what `fragment` means; things that were shown count when they are of `kind`."""
    words = fragment.strip(" .,:;!")
    if _RANGE.fullmatch(words) or _ALL.fullmatch(words):
        return Target(Kind.BULK)
    if (numbered := _numbered(words) or _begun(words)) is not None:
        return numbered
    shown = [thing for thing in context.mentioned if thing.kind == kind]
    if _PRONOUN.fullmatch(words) or re.fullmatch(rf"the {TASK}", words, re.IGNORECASE):
        return _of(shown if len(shown) == 1 else [])
    if place := _PLACE.fullmatch(words):
        return _of(_at(shown, (place[1] or place[2]).lower()))
    find = "" if _VAGUE.fullmatch(words) or re.search(r"(?<!\w)-\d", words) else named(said, words)
    if not find:
        return Target(Kind.OPEN)
    return Target(Kind.NAMED if _NAMED.fullmatch(words) else Kind.GUESSED, find=find)


def each(said: Said, fragment: str, context: Context) -> tuple[Target, ...]:
    """Return what `fragment` means, one by one where it names several: `the gym task and the dentist task`."""
    parts = [part for part in re.split(r",? and |, ", fragment) if part.strip()]
    if 2 <= len(parts) <= _MOST_IDS and all(_NAMED.fullmatch(part.strip()) for part in parts):
        found = tuple(target(said, part, context) for part in parts)
        if all(one.kind in {Kind.IDS, Kind.NAMED} for one in found):
            return found
    return (target(said, fragment, context),)


def _numbered(words: str) -> Target | None:
    """Return the tasks that are named by number; an impossible number leaves open which one is meant."""
    if one := _ONE.fullmatch(words):
        values = [number(one[1] or one[2])]
    elif _MANY.fullmatch(words):
        values = [number(word) for word in re.findall(NUMBER, words, re.IGNORECASE)]
    else:
        return None
    ids = tuple(dict.fromkeys(value for value in values if value))
    if len(ids) > _MOST_IDS:
        return Target(Kind.BULK)
    return Target(Kind.IDS, ids) if all(values) else Target(Kind.OPEN)


def _begun(words: str) -> Target | None:
    """Return a number with more words behind it, which may say something else about it: ask."""
    more = _MORE.match(words)
    value = number(more[1] or more[2]) if more else None
    return None if more is None else Target(Kind.OPEN, (value,) if value else ())


def _of(things: list[Mentioned]) -> Target:
    value = number(things[0].id) if things else None
    return Target(Kind.IDS, (value,)) if value else Target(Kind.OPEN)


def _at(things: list[Mentioned], word: str) -> list[Mentioned]:
    """Return the thing at a place, as a list of one or none."""
    if word in {"last", "latter"}:
        return things[-1:]
    place = 0 if word == "former" else int(word) - 1 if word.isdecimal() else _PLACES.index(word)
    return things[place : place + 1] if place >= 0 else []
