"""Bookings and orders: what became of one, and whether all agree. Pure."""

import re
from typing import Final

from mainstem.assistant.local.candidates import OTHER_CHANGES
from mainstem.assistant.local.said import Said
from mainstem.assistant.local.terms import Act, Ask

_MATCHING: Final = re.compile(
    r"\breconcil\w*\b|\b(?:bookings|every booking|each booking)\b.*\b(?:reach\w*|in|into|through|to|arriv\w*|land\w*|hit|on|with)\b.*\b(?:pos|point of sale|revel|till|tills|register|cash register)\b|\b(?:compare|check|match|verify|cross-?check|audit)\b.*\bbookings?\b.*\b(?:orders?|pos|point of sale|revel|register|till)\b|\b(?:compare|check|match|verify|cross-?check|audit)\b.*\borders?\b.*\bbookings?\b"
    r"|\bbookings? and (?:the )?orders? (?:match|agree|in step|differ|in sync|line up)\b|\b(?:match|agree|differ)\b.*\bbookings?\b.*\borders?\b|\bbookings?\b.*\b(?:turned into|become|became|made into|reached|have|got|without|missing)\b.*\borders?\b|\bdifferences? between (?:the )?(?:bookings?|orders?)\b|\b(?:bookings|orders) (?:that are )?(?:missing|without (?:an )?(?:order|booking))\b",
    re.IGNORECASE,
)
_SPAN: Final = re.compile(
    r"\b(?:last|past|previous|over|for|within|back)\b(?: the)?(?: last| past| previous)? ?(?P<many>\d{1,4}|one|two|three|a|an|few|couple of)? ?(?P<unit>hours?|h|hrs?|days?|d|weeks?|months?)\b|\b(?P<today>today|yesterday)\b",
    re.IGNORECASE,
)
_HOURS: Final = {"h": 1, "d": 24, "w": 168, "m": 720}
_CONNECTOR: Final = re.compile(
    r"\b(?:connector (?:called |named )?(?P<name>(?!for\b|on\b|of\b|and\b)[a-z][\w-]*)|(?P<before>(?!the\b|our\b|this\b|each\b|a\b)[a-z][\w-]*) connector|(?P<first>tripleseat|revel))\b",
    re.IGNORECASE,
)
_BOOKING: Final = re.compile(
    r"\b(?:booking|event|reservation)(?: with)?(?: the)?(?: id| number| no\.?)? ?#?(?P<id>(?=[\w-]*\d)[\w-]{1,64})\b",
    re.IGNORECASE,
)
_WHY: Final = re.compile(
    r"\b(?:why|explain|what(?:'s| is| has)? (?:happened|wrong|up|the (?:status|state)|going on|became|become)|what about|status|state|did|was|is|has|how come|where|tell me about|show|look up|details|synced|injected|made it)\b", re.IGNORECASE
)  # fmt: skip


def explaining(said: Said) -> Act | Ask | None:
    """Return which booking is to be explained; a question when it wasn't named."""
    words = said.words
    if re.fullmatch(
        r"(?:explain|why|what about) (?:the |my |this |that )?(?:booking|event|reservation)", words, re.IGNORECASE
    ):
        return Ask("Which booking? Say its number.")
    found = _BOOKING.search(words)
    if (
        found is None
        or OTHER_CHANGES.match(words)
        or not (_WHY.search(words) or found.end() - found.start() >= len(words.rstrip("?")))
    ):
        return None
    return Act("explain_booking", {"booking": found["id"]}, 0.95)


def reconciling(said: Said) -> Act | None:
    """Return the comparison of bookings and orders that is asked for."""
    words = said.words
    if not _MATCHING.search(words) or re.match(
        r"(?:what is|what's|what does|how does|explain)\b", words, re.IGNORECASE
    ):
        return None
    arguments: dict[str, object] = {}
    rest = words
    if span := _SPAN.search(words):
        hours = _hours(span)
        rest = words[: span.start()] + " , " + words[span.end() :]
        if hours:
            arguments["hours_back"] = hours
    if found := _CONNECTOR.search(
        re.sub(
            r"(?:with|and|against|in|to|between) (?:the )?(?:orders?|point of sale|pos)\b",
            "",
            rest,
            flags=re.IGNORECASE,
        )
    ):
        arguments = {"connector": next(name for name in found.groups() if name).lower(), **arguments}
    return Act("run_reconciliation", arguments, 0.95)


def _hours(span: re.Match[str]) -> int | None:
    if span["today"]:
        return 24 if span["today"].lower() == "today" else 48
    word = (span["many"] or "1").lower()
    many = int(word) if word.isdecimal() else {"two": 2, "three": 3, "few": 3, "couple of": 2}.get(word, 1)
    hours = many * _HOURS[span["unit"][0].lower()]
    return hours if 1 <= hours <= 744 else None
