"""A text made ready for rules: one kind of quotes, quotations out of the way, politeness taken off. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 600
"""Characters of a command. Longer texts are read as a task to add, or not at all."""
_FIRST_MARK: Final = 0xE000
_MOST_MARKS: Final = 64
MARK: Final = f"[{chr(_FIRST_MARK)}-{chr(_FIRST_MARK + _MOST_MARKS - 1)}]"
"""Stands for a quotation in a rule."""
_PRIVATE: Final = re.compile(r"[\ue000-\uf8ff\x00-\x08\x0b-\x1f\x7f]")
_QUOTES: Final = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"', "`": "'"}
)
_QUOTED: Final = re.compile(r"\"([^\"\n]+)\"|(?<![\w'])'([^'\n]+(?:'(?=\w)[^'\n]*)*)'(?![\w'])")
_SHORT: Final = (
    (re.compile(r"^(what|where|who|how|that)s\b", re.IGNORECASE), r"\1's"),
    (re.compile(r"^(do|did|does|is|ca|wo)nt\b", re.IGNORECASE), r"\1n't"),
    (re.compile(r"^im\b", re.IGNORECASE), "I'm"),
    (re.compile(r"^ive\b", re.IGNORECASE), "I've"),
)
"""How people type the beginning of a sentence in a hurry."""
_SLASH: Final = re.compile(
    r"^/(?=(?:delete|done|list|complete|show|help|update|rename|alerts|rm|move)\b)", re.IGNORECASE
)
_POLITE: Final = re.compile(
    r"(?:(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening)|morning|afternoon|evening)(?: (?:there|all|team|everyone|assistant|again))?[,!.:]+\s+"
    r"|(?:please|pls|plz|kindly|hey|hi|hello|ok|okay|so|well|now|just|then|also|assistant|yes|oh|and|quickly)\b[,!.:]?\s+"
    r"|(?:can|could|would|will) (?:you|u) (?:please |kindly |also |just )?(?=\w)"
    r"|(?:can|could|may) (?:i|we) (?:please |just |also )?(?=(?:see|have a look|add|create|put|pop|schedule|set|move|push|reschedule|postpone|get a list|get the)\b)"
    r"|(?:i'd|i would) (?:like|love)(?: you)? to\s+(?:know\s+(?=wh|how|if)|see\s+(?=wh|how))?|(?:i'd|i would) like (?=(?:a |an |the )(?:list|overview|summary)\b)|i want(?: you)? to\s+|i wanna\s+|let'?s\s+(?!see)|would you mind\s+"
    r"|(?:you can|you may|go ahead and|help me(?: to)?|feel free to|do me a favou?r and|(?:i )?need you to)\s+"
    r"|(?:so|be so) kind (?:as|and) to\s+|(?:be so kind (?:as )?(?:to|and)|be able to|be possible(?: for you)? to)\s+|would it be possible(?: for you)? to\s+"
    r"|(?:could|can|may|might) (?:i|we) (?:ask|trouble|get|bother) you to\s+|(?:i was wondering|i wonder|i am wondering|i'm wondering|do you think|any chance|is there any chance)(?: that)?(?: if)? you (?:could|can|would)\s+"
    r"|(?:i'd|i would|we'd) (?:appreciate it if you (?:could|would)|be (?:grateful|glad|happy|thankful) if you (?:could|would))\s+|if you (?:could|can|would)(?:,)?\s+(?=please|kindly|remind|add|show|mark|delete|tell|move)"
    r"|(?:tell me|let me know|do you know|any idea|i(?:'m| am) (?:curious|wondering)(?: about)?|i(?:'d| would) be interested (?:in|to know))\s+(?=what|which|how|why|where|when)"
    r")",
    re.IGNORECASE,
)
_THANKS: Final = re.compile(
    r"[\s,.!?]*(?:(?:[,.!?]+\s*|\s+|^)(?:pretty please|please|pls|plz|for me|will you|would you|if (?:you (?:can|could|would)|possible|that's (?:ok|okay|all right))|right now|now|right away|finally|at last"
    r"|(?:many )?(?:thanks|thank you|thx|ta|cheers)(?: (?:a (?:lot|bunch|million|ton)|heaps|loads|tons|so much|very much|ever so much|again|in advance|mate|for (?:everything|that|(?:your|the|all your) help)))*"
    r"|much appreciated|(?<=[,.!?] )(?:mate|darl|darling|love|dear|buddy|pal|friend|ok|okay|alright|woo+|yay|phew|hooray|haha|lol|sorry|will do|no rush|no hurry|whenever you can|when you can|when you get a chance|you(?:'re| are)? (?:a |an |the )?(?:\w+ ){0,2}(?:legend|star|champion|champ|best|lifesaver|gem|angel|hero|beauty)|you rock)))*[\s.!?]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """A text: `words` without politeness, `whole` with it, marks for quotations; `asked`: it ended with a question mark."""

    words: str
    quotations: tuple[str, ...]
    """With their quotes."""
    asked: bool
    whole: str

    def plain(self, fragment: str) -> str:
        """Return a fragment of `words` with its quotations; without their quotes when it is nothing but one."""
        found = fragment.strip()
        if len(found) == 1 and (place := ord(found) - _FIRST_MARK) in range(len(self.quotations)):
            return self.quotations[place][1:-1].strip()
        return re.sub(MARK, lambda mark: self._quoted(mark.group()), found)

    def part(self, fragment: str) -> "Said":
        """Return a fragment of `words` as a text of its own."""
        return Said(_bare(fragment), self.quotations, _asks(fragment), fragment.strip())

    def turned(self, words: str) -> "Said":
        """Return the same with its words in another order."""
        return self if words == self.words else Said(words, self.quotations, self.asked, self.whole)

    def _quoted(self, mark: str) -> str:
        place = ord(mark) - _FIRST_MARK
        return self.quotations[place] if place < len(self.quotations) else ""


_FIRST_THING: Final = re.compile(
    r"\bfirst thing (?:in the morning )?(?P<day>tomorrow|(?:on |this |next )?(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b(?! morning)|\b(?P<before>tomorrow|(?:mon|tues|wednes|thurs|fri|satur|sun)day),? first thing\b",
    re.IGNORECASE,
)


def said(text: str) -> Said:
    """Return `text` made ready; its line breaks stay, other blanks become one."""
    clean = _PRIVATE.sub(" ", unicodedata.normalize("NFC", text)).translate(_QUOTES)
    clean = re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", clean)).strip()
    quotations: list[str] = []

    def hide(found: re.Match[str]) -> str:
        if len(quotations) >= _MOST_MARKS:
            return found.group()
        quotations.append(found.group())
        return chr(_FIRST_MARK + len(quotations) - 1)

    words = _FIRST_THING.sub(lambda found: f"{found['day'] or found['before']} morning", _QUOTED.sub(hide, clean))
    return Said(_bare(words), tuple(quotations), _asks(words), words)


def _asks(words: str) -> bool:
    return words.rstrip(" .!").endswith("?")


def _bare(words: str) -> str:
    """Return the words without politeness before and after them."""
    bare = _SLASH.sub("", words.strip())
    for _ in range(6):
        found = _POLITE.match(bare)
        if found is None or found.end() >= len(bare):
            break
        bare = bare[found.end() :]
    for short, full in _SHORT:
        bare = short.sub(full, bare)
    tail = _THANKS.search(bare, max(0, len(bare) - 80))
    return (bare[: tail.start()] if tail and tail.start() > 0 else bare).strip()
