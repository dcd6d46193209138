"""The journeys of customers: whose is asked for. Pure."""

import re
from typing import Final

from mainstem.assistant.local.said import Said
from mainstem.assistant.local.terms import Act, Ask

_EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_CUSTOMER: Final = re.compile(
    rf"(?P<visitor>\b(?:[vuh]:|visitor_|cust_|customer_)[^\s?,!]+)|(?P<email>{_EMAIL.pattern})"
    rf"|\b(?:customer|client|visitor|person|user|contact|guest)(?: with)?(?: the)?(?: id| number| no\.?)? #?(?P<key>(?=[^\s?]*[\d@_]|[^\s?]*:[^\s?])[^\s?,!]+)"
    r"|\b(?:journey|history|timeline|path|touch ?points?) (?:of|for) (?:the )?(?:customer |guest |client |visitor )?(?P<named>(?=[^\s?]*[\d_])[\w.:-]+)",
    re.IGNORECASE,
)
_SOMEBODY: Final = re.compile(
    r"\b(?:journey|history|timeline|path|activity|story) (?:of|for) (?:the |a |our |my )?(?:customer|client|visitor|guest|person)\b|\b(?:customer|visitor)(?:'s)? journey\b|\bwhat (?:did|has) (?:the |our |this )?(?:customer|client|visitor|guest)\b",
    re.IGNORECASE,
)
_JOURNEY: Final = re.compile(
    r"\b(?:journey|history|timeline|path|touch ?points?|activity|steps|story)\b|\bwhat (?:did|has|does|was|have)\b|\b(?:what|which)\b.*\b(?:did|done|do|click\w*|visit\w*|take|took|saw|see)\b|\bwhere (?:did|does|has)\b|\bhow (?:did|has|have)\b|\bhow\b.*\b(?:found|find|came|come|got|get|reach\w*|end\w* up)\b|\bfollow\b|\btrace\b|\btrack\b|\bcome from\b|\bwhat do we know\b|\bwho is\b|\babout\b|\bshow\b",
    re.IGNORECASE,
)


def journey(said: Said) -> Act | Ask | None:
    """Return whose journey is asked for; a question when it was a name or nobody."""
    found = _CUSTOMER.search(said.words)
    if found is None and _SOMEBODY.search(said.words):
        return Ask("Which customer? Say the id, a visitor's key or the mail address.")
    if (
        found is None
        or not _JOURNEY.search(said.words)
        or re.search(r"\b(?:task|todo|to-do)s?\b", said.words, re.IGNORECASE)
    ):
        return None
    key = found["key"] or found["visitor"] or found["email"] or found["named"]
    key = re.sub(r"'s$", "", key)
    return Act("customer_journey", {"customer": key.strip("'\".")}, 0.95)
