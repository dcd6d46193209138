"""What keeps an act from happening that wasn't asked for: negation, doubt, conditions, alternatives. Pure.

They look at the words of the command, not at titles and quotations, and they may be wrong on one side only: they ask, or do nothing.
"""

import re
from typing import Final

from mainstem.assistant.local.candidates import CHANGING, FINAL, Candidate, labelled
from mainstem.assistant.local.said import Said
from mainstem.assistant.local.terms import Act, Ask, Option, Reading, Talk

NEGATION: Final = re.compile(
    r"\b(?:not|never|no|none|nor|neither|nothing|nobody|without|cannot|stop|refrain|avoid|except|unless|undo|dont|doesnt|didnt|isnt|arent|wasnt|wont|shouldnt|cant|mustnt|leave|keep|instead|rather)\b|n't\b",
    re.IGNORECASE,
)
_FORBIDDING: Final = re.compile(
    r"^(?:no,? )?(?:please )?(?:do not|don't|dont|never|stop|no need to|leave|keep|refrain|avoid|(?:you|we|i) (?:should|must|may|can|would)(?: not|n't)|i(?:'d| would) rather)\b|\b(?:do not|don't|never|not) (?:want|wish|dare|try|ever|you dare)\b",
    re.IGNORECASE,
)
_DOUBT: Final = re.compile(
    r"\b(?:maybe|perhaps|probably|possibly|might|i think|i guess|i suppose|i believe|not sure|what if|supposedly|apparently|eventually|some ?day|almost|nearly|half|said|says|told (?:me|us)|claims|thinks|heard|should i|would have to)\b",
    re.IGNORECASE,
)
_CONDITION: Final = re.compile(
    r"\b(?:if|unless|when|once|until|till|after|before|as soon as|in case|whenever|provided|otherwise|except|only|later|tomorrow|tonight)\b",
    re.IGNORECASE,
)
_QUESTION: Final = re.compile(
    r"^(?:how|why|who|when|where|should|shall|did|do|does|is|are|was|were|has|have|had|am|may|what|which|whose|explain|can i|could i|may i|can we|must)\b",
    re.IGNORECASE,
)
_ALTERNATIVE: Final = re.compile(r"\b(?:or|either)\b", re.IGNORECASE)


def negated(words: str) -> bool:
    """Whether the words deny something, anywhere."""
    return bool(NEGATION.search(words))


def doubted(words: str) -> bool:
    """Whether the words leave open whether something is so, or is wanted."""
    return bool(_DOUBT.search(words))


def is_question(said: Said) -> bool:
    """Whether the sentence asks about something, rather than for something."""
    return bool(_QUESTION.match(said.words))


def left_alone(said: Said) -> Talk | None:
    """Return the answer to those who forbid something: nothing is done."""
    return Talk("All right, I leave everything as it is.") if _FORBIDDING.search(said.words) else None


def guarded(said: Said, found: Candidate) -> Reading:
    """Return the act of a rule, or a question where its words deny, doubt, condition or ask."""
    act = found.act
    if not CHANGING & {each.tool for each in (act, *act.then)}:
        return act
    head = found.head
    question = f"Shall I {labelled(act, low=True)}?"
    option = (Option(labelled(act), act),)
    final = bool(FINAL & {each.tool for each in (act, *act.then)})
    if negated(said.words if final else head):
        return left_alone(said) or Ask(f"I am not sure that you want it. {question}", option)
    if is_question(said):
        return Ask(f"I have changed nothing. {question}", option)
    if _DOUBT.search(head) or (final and _CONDITION.search(head)) or _ALTERNATIVE.search(head):
        return Ask(question, option)
    return act


def confirmed(act: Act) -> Ask:
    """Return the question whether to do `act`."""
    return Ask(f"Shall I {labelled(act, low=True)}?", (Option(labelled(act), act),))
