"""Sentences that no rule knows: taken for what they are near to, offered as a task, or refused. Pure."""

import re
from typing import Final

from mainstem.assistant.local import guards, talk
from mainstem.assistant.local.adding import offered
from mainstem.assistant.local.candidates import labelled
from mainstem.assistant.local.matching import MARGIN, NEAR, WORTH_ASKING, matches
from mainstem.assistant.local.said import LONGEST, Said
from mainstem.assistant.local.terms import Act, Ask, Context, Option, Reading, Refuse

_SEARCHING: Final = re.compile(
    r"(?:search(?: for)?|find|look for|look up|where is) (?P<words>(?!the web|the internet|on\b|online).{1,60})",
    re.IGNORECASE,
)
SHOWING: Final = re.compile(r"(?:show|list|display|find|search|see|view|let me see|tell me|give me)\b", re.IGNORECASE)
"""Beginnings of sentences that ask to see something."""
_DEFINING: Final = re.compile(
    r"(?:what (?:is|are|does)|what's|define|explain) (?:a |an |the )?\w+(?: mean)?\W*$", re.IGNORECASE
)


def unknown(words: Said, context: Context) -> Reading:
    """Return what to say to words that no rule knows."""
    if len(words.words) > LONGEST:
        return Refuse(talk.TOO_LONG)
    return (
        guards.left_alone(words) or talk.about(words) or talk.thanked(words) or _near(words) or _offered(words, context)
    )


def _near(words: Said) -> Act | None:
    """Return what the words are near to, when nothing else is."""
    if _DEFINING.match(words.words) or guards.negated(words.words):
        return None
    best, next_best, *_ = matches(words.plain(words.words))
    return best.act if best.score >= NEAR and best.score - next_best.score >= MARGIN else None


def _offered(words: Said, context: Context) -> Reading:
    """Return the question whether it is a task, or one of the two nearest intents; a refusal where neither may be."""
    if wanted := _SEARCHING.fullmatch(words.words.rstrip("?!. ")):
        text = words.plain(re.sub(r"^(?:the|my|a|an|something like) ", "", wanted["words"], flags=re.IGNORECASE))[:200]
        found = (Act("list_tasks", {"status": "all", "search": text}, 0.6), Act("search_links", {"query": text}, 0.5))
        return Ask("Where shall I look?", tuple(Option(labelled(act), act) for act in found))
    close = [match.act for match in matches(words.plain(words.words))[:2] if match.score >= WORTH_ASKING]
    if (refused := talk.impossible(words)) is not None and not close:
        return refused
    options = [Option(labelled(act), act) for act in close]
    task = None if words.asked or refused or SHOWING.match(words.words) else offered(words, context)
    if task is not None:
        options = [Option(labelled(task), task), *options]
        if len(options) < 2 and len(words.words.split()) <= 4:
            search = Act("list_tasks", {"status": "all", "search": str(task.arguments["title"])}, 0.4)
            options.append(Option(labelled(search), search))
    if not options:
        return Refuse(talk.OUT_OF_SCOPE)
    return Ask("I am not sure what to do. Do you mean one of these?", tuple(options[:2]))
