"""Sentences that no rule knows, compared with examples: by their words and by their letters, with a margin. Pure.

Only what changes nothing is done on likeness alone, and only when it is near and the next intent is clearly farther; anything
else is offered.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Final

from mainstem.assistant.local.terms import Act

NEAR: Final = 0.72
"""From this likeness on, a sentence is taken for its intent."""
WORTH_ASKING: Final = 0.42
"""From this likeness on, an intent is offered."""
MARGIN: Final = 0.15
"""The next intent must be that much farther, or people are asked."""
_EXAMPLES: Final[tuple[tuple[str, dict[str, object], tuple[str, ...]], ...]] = (
    ("list_tasks", {"status": "pending"}, ("what is pending", "what do i still have to do", "what is left to do", "show my open tasks", "which tasks are not done", "what should i work on next", "anything to do", "what remains on my list", "unfinished work")),
    ("list_tasks", {"status": "completed"}, ("what have i completed", "what did i finish", "show completed tasks", "what have i done already", "finished tasks", "my accomplishments")),
    ("list_tasks", {"status": "all"}, ("show all my tasks", "list tasks", "my todo list", "everything on my list", "give me an overview of my tasks")),
    ("search_links", {}, ("show my links", "which links do we have", "list tracked links", "our short links")),
    ("failing_webhooks", {}, ("which webhooks are failing", "are the webhooks healthy", "webhook problems", "failed deliveries", "endpoints that are down", "undelivered webhooks")),
    ("list_alerts", {}, ("any alerts", "show alerts", "is something wrong", "what is firing", "is the system healthy", "current incidents")),
    ("run_reconciliation", {}, ("run reconciliation", "compare bookings with orders", "do bookings and orders match", "check for missing orders", "differences between bookings and orders")),
)  # fmt: skip
_WORD: Final = re.compile(r"\w+")
_COMMON: Final = frozenset("what which show list give tell how any everything all".split())
_PLAIN: Final = frozenset(
    "the a an my our me i we you to of is are do does did have has there please for in on it at that this be".split()
)


@dataclass(frozen=True, slots=True)
class Match:
    """An intent and how near the sentence is to it, 0 to 1."""

    act: Act
    score: float


def matches(words: str) -> tuple[Match, ...]:
    """Return the intents by likeness to `words`, the nearest first."""
    given = _features(words[:300])
    best: list[Match] = []
    for tool, arguments, examples in _known():
        score = max(_cosine(given, example) for example in examples)
        best.append(Match(Act(tool, dict(arguments), round(score, 3)), score))
    return tuple(sorted(best, key=lambda match: -match.score))


@cache
def _known() -> tuple[tuple[str, dict[str, object], tuple[Counter[str], ...]], ...]:
    return tuple(
        (tool, arguments, tuple(_features(example) for example in examples)) for tool, arguments, examples in _EXAMPLES
    )


def _features(text: str) -> Counter[str]:
    """Return words, which count most unless many sentences have them, and groups of three letters."""
    words = _WORD.findall(text.lower())
    found: Counter[str] = Counter()
    for word in words:
        if word in _PLAIN:
            continue
        found[f"={word}"] += 1 if word in _COMMON else 4
        if word not in _COMMON:
            padded = f" {word} "
            found.update(padded[at : at + 3] for at in range(len(padded) - 2))
    return found


def _cosine(one: Counter[str], other: Counter[str]) -> float:
    common = sum(count * other[feature] for feature, count in one.items() if feature in other)
    length = sqrt(sum(count * count for count in one.values()) * sum(count * count for count in other.values()))
    return common / length if length else 0.0
