"""Tracked links: which there are, and how often one was clicked. Pure."""

import re
from typing import Final

from mainstem.assistant.local.said import Said
from mainstem.assistant.local.terms import Act

_SHOW: Final = r"(?:(?:let me |let us )?(?:show|list|display|see|view|give|tell|find|search|look|get|fetch|check|pull up|open|print|read)(?: me| us| up| for| at| out)*)"
_STATS_WORDS: Final = r"(?:click (?:count|number|rate|total)s?|clicks?|clicked|stats?|statistics|visits?|visitors|performance|performing|perform|doing|traffic|analytics|numbers|conversion|opened|used)"
_STATS: Final = re.compile(rf"\b{_STATS_WORDS}\b|\bhow (?:did|does|do|is|are|was)\b.*\blink\b", re.IGNORECASE)
_NO_KEYS: Final = (
    r"(?!(?:is|was|were|are|do|does|did|doing|got|get|gets|have|has|had|perform\w*|click\w*|stats?|statistics|numbers|for|to|in|on|over|of|with|by|the|our|my|a|an|this|that|these|those"
    r"|which|what|many|each|every|last|past|since|today|yesterday|now|please|and|short|tracked|tracking|per|most|top|best|all|any|show|me)\b)"
)
_LINK_KEY: Final = re.compile(
    rf"\blink (?:with )?(?:the )?(?:id |slug |number |called |named )?#?(?P<key>{_NO_KEYS}[^\s?,!]+)|(?P<id>\blt_[0-9a-f]{{6,}}|(?<=\s)/[\w./-]+)",
    re.IGNORECASE,
)
_LINK_BEFORE: Final = re.compile(rf"(?<![\w/.-])(?P<key>{_NO_KEYS}[\w/.-]+) link\b", re.IGNORECASE)
_CLICKED: Final = re.compile(
    rf"(?:how (?:many|much|often)|what(?:'s| is| are)?|number of|{_SHOW}|clicks?|stats?|statistics).{{0,40}}?\b(?:click (?:count|number|total)s?|clicks?|visits|visitors|hits|statistics|stats|traffic)\b(?: did| does| has| have| on| for| of| from| to)* (?:the )?(?:link )?/?(?P<key>[\w./-]*[\w-])(?: link)?(?: get| got| gotten| have| had| received| receive| so far| make| collect| today| this week)*",
    re.IGNORECASE,
)
_CLICKED_ON: Final = re.compile(
    rf"\b(?:click\w*|opened|visited|used)(?: on)? (?:the )?/?(?P<key>{_NO_KEYS}[\w./-]*[\d/-][\w./-]*)", re.IGNORECASE
)
_NO_KEY: Final = re.compile(r"(?:links?|we|our|my|the|it|i|have|today|all)", re.IGNORECASE)
_LINKS: Final = re.compile(
    rf"(?:(?:do|have) (?:we|i|you) (?:already |still |even )?(?:have|got) |is there (?:already |still )?|i(?:'m| am) looking for |i need |where (?:is|are|can i find) |{_SHOW} |what |which |do we have |are there |is there |any |my |all |list |how many )?(?:(?:any|all|every|each|my|our|the|a|an|tracked|tracking|short|active|of|existing|your) )*links?\b(?: (?:do|did|have|are|can|exist|do we have|we have|we've got|i've got|we've|i have|there|we|i|you|exists|got|created|made|use|please))*"
    r"(?: ?(?:called|named|about|related to|relating to|regarding|for|to|with|like|on|containing|matching|tagged|pointing to|that points? to|that goes? to|points? to|goes? to|leads? to|that leads? to|of) (?:the |our |my )?(?P<query>.+))?",
    re.IGNORECASE,
)
_LINK_SEARCH: Final = re.compile(rf"(?:{_SHOW} )(?:the |our |my |a )?(?P<query>.+?) links?", re.IGNORECASE)
_ALL_LINKS: Final = re.compile(
    rf"(?:(?:do|have) (?:we|i|you) (?:already |still |even )?(?:have|got) |is there (?:already |still )?|i(?:'m| am) looking for |i need |where (?:is|are|can i find) |{_SHOW} |what are |how are |what's )?(?:(?:all|our|my|the|of) )*(?:(?:link|click) (?:{_STATS_WORDS}|report|overview)|(?:{_STATS_WORDS} (?:of|for|on|across) )(?:all |our |my |the )*links|(?:all |our |my |the )*links? (?:are )?(?:doing|performing))(?: (?:please|today|this week|this month))?",
    re.IGNORECASE,
)
_BEST: Final = re.compile(
    r"which (?:one )?(?:of (?:our|my|the) (?:\w+ )?links|(?:tracked |short |of our |campaign )?links?) (?:is |are |did |do |does |has |have |was |were )*(?:perform\w*|do(?:ing|es|ne)?|did|work\w*|got|convert\w*|pull\w*) (?:the |our )?(?:best|most|well|better|top)\b|"
    r"(?:which|what|show(?: me)?|list)? ?(?:is |are )?(?:the |our |my )?(?:top|best|most (?:clicked|popular|used)|popular|busiest|links? (?:got|gets?|has|have|had|with|did) the most)\b",
    re.IGNORECASE,
)


def clicks(said: Said) -> Act | None:
    """Return the link whose clicks are asked for; none means all links."""
    words = said.words.rstrip("?!. ")
    if _BEST.match(words) or _ALL_LINKS.fullmatch(words):
        return Act("link_stats", {}, 0.9)
    if not _STATS.search(words) or re.search(r"\b(?:task|todo|to-do|alert)s?\b", words, re.IGNORECASE):
        return None
    key = _key(words)
    return None if key is None else Act("link_stats", {"link": said.plain(key).strip("/.'\"")}, 0.93)


def _key(words: str) -> str | None:
    """Return the words that name one link: its slug, tracking id or number."""
    if link := _LINK_KEY.search(words) or _LINK_BEFORE.search(words):
        return next(group for group in link.groups() if group)
    found = _CLICKED.fullmatch(words)
    if found and not _NO_KEY.fullmatch(found["key"]):
        return found["key"]
    found = _CLICKED_ON.search(words)
    return found["key"] if found else None


def links(said: Said) -> Act | None:
    """Return which links are asked for."""
    words = said.words.rstrip("?!. ")
    if not re.search(r"\blinks?\b", words, re.IGNORECASE):
        return None
    if (found := _LINKS.fullmatch(words)) and not re.match(r"links? ?\S", words, re.IGNORECASE):
        query = said.plain(found["query"] or "").strip(" .'\"")
        return Act("search_links", {"query": query[:200]} if query else {}, 0.93)
    if found := _LINK_SEARCH.fullmatch(words):
        return Act("search_links", {"query": said.plain(found["query"])[:200]}, 0.85)
    return None
