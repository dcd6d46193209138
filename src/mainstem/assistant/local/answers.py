"""Answers to what was asked back: `yes`, `2`, `the first`, a label, `neither`. Pure."""

import re
from typing import Final

from mainstem.assistant.local.said import Said
from mainstem.assistant.local.similar import likeness
from mainstem.assistant.local.terms import Ask, Question, Reading, Talk

_YES: Final = re.compile(
    r"(?:yes|y|yep|yeah|yup|sure|ok|okay|correct|right|exactly|please|go ahead|do it|do that|go for it|of course|absolutely|definitely|confirm(?:ed)?|please do|that one|that's it|that is it|agreed|fine)(?:[ ,.!]+(?:yes|sure|please|go ahead|do it|do that|ok|okay|that one|thanks|thank you|correct|right))*",
    re.IGNORECASE,
)
_NO: Final = re.compile(
    r"(?:no|n|nope|nah|neither|none|none of (?:them|these|those)|cancel|stop|never ?mind|don't|do not|nothing|forget it|no way|neither of (?:them|these|those)|abort|leave it|skip|wrong)(?:[ ,.!]+(?:thanks|thank you|no|don't|do not|one|of them|that|it|please|never ?mind|leave it|do that|do it))*",
    re.IGNORECASE,
)
_WORDS: Final = "first second third fourth fifth".split()
_NUMBERS: Final = "one two three four five".split()
_PLACE: Final = re.compile(
    rf"(?:the |number |option |no\.? |#)*(?P<word>{'|'.join(_WORDS)}|{'|'.join(_NUMBERS)}|last|latter|former|\d{{1,2}})(?:st|nd|rd|th)?(?: one| option| of them| choice| task)?[.)]?",
    re.IGNORECASE,
)
_NEAR: Final = 0.75
_MARGIN: Final = 0.05


def answered(said: Said, question: Question) -> Reading | None:
    """Return the reading that an answer chooses; None when it is none, but something new."""
    words, options = said.words.strip(" .!?,"), question.options
    if _NO.fullmatch(words):
        return Talk("All right, nothing is done.")
    if _YES.fullmatch(words):
        return options[0].reading if len(options) == 1 else _again(question)
    if place := _PLACE.fullmatch(words):
        at = _at(place["word"].lower(), len(options))
        return options[at].reading if 0 <= at < len(options) else _again(question)
    plain = said.plain(words).casefold()
    same = [option for option in options if option.label.casefold() == plain]
    if len(same) == 1:
        return same[0].reading
    return None


def named(said: Said, question: Question) -> Reading | None:
    """Return the reading whose label the words are near to; for words that are no command of their own."""
    ranked = sorted(
        ((likeness(said.plain(said.words), option.label), -at) for at, option in enumerate(question.options)),
        reverse=True,
    )
    if not ranked or ranked[0][0] < _NEAR or (len(ranked) > 1 and ranked[0][0] - ranked[1][0] < _MARGIN):
        return None
    return question.options[-ranked[0][1]].reading


def _at(word: str, many: int) -> int:
    if word in {"last", "latter"}:
        return many - 1
    if word == "former":
        return 0
    if word.isdecimal():
        return int(word) - 1
    return (_WORDS if word in _WORDS else _NUMBERS).index(word)


def _again(question: Question) -> Ask:
    """Return the question once more, with its options by number."""
    listed = "; ".join(f"{at}. {option.label}" for at, option in enumerate(question.options, 1))
    return Ask(f"Which one? {listed}" if listed else question.text, question.options)
