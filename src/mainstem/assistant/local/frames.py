"""What people put around a command: greetings, reasons, news, polite detours. Told apart from the command itself. Pure.

A part is only left away when it says nothing that could matter: no second command, nobody else's words. Negation, doubt and
conditions in it are looked at by whoever does what remains.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mainstem.assistant.local.said import MARK, Said
from mainstem.assistant.local.slots import NUMBER, PRIORITY, TASK

_MOST_CUTS: Final = 4
_BOUNDARY: Final = re.compile(
    r"(?:[,;:.!?]+| [-\u2013\u2014]+)\s+(?:(?:so|and|but|then|thus|therefore|hence)\b,?\s+)?| (?:so|because|since|as) (?=(?:please|can|could|would|you|i|we|it|he|she|they|the|remind|add|put|mark|move|delete|tick)\b)"
    rf"|(?<=\d) (?=(?:its|it's|it is|they're|was|which)\b)|(?<={MARK}) (?=(?:its|it's|it is)\b)",
    re.IGNORECASE,
)
COMMANDING: Final = re.compile(
    r"(?:and |so |please |also |then |maybe |you (?:can|may|could|should|must) |just )*(?:delete|remove|complete|finish|mark|tick|check off|close|cancel|rename|update|change|move|push|postpone|reschedule|add|create|remind|put|set|make|show|list|reopen|resend|retry|ack|acknowledge|reconcile|run|compare|check|explain|find|search|send|drop|scrap|erase|get rid|clear|wipe|don't|do not|dont|never|stop|leave|keep|ignore|disregard)\b",
    re.IGNORECASE,
)
_REPORTED: Final = re.compile(
    rf"\b(?:said|says|saying|told|tells|wrote|writes|reads?|claims?|asked|asks|wants? (?:me|us|you)|thinks|believes|mentioned|according to|letter|log line|quote)\b|{MARK}",
    re.IGNORECASE,
)
_CLAUSE: Final = re.compile(
    r"(?:(?:it|that|this|i|we|he|she|they|you|there|these|those|who|which)(?:'\w+)?\b|its\b|(?:the|a|an|my|our|his|her|their|no) (?:\w+ ){1,3}?(?:\w*n't|is|are|was|were|has|have|had|can|will|did|does|never|always|just|now|\w+ed|came|went|got|said no)\b"
    r"|(?:thanks|thank you|cheers|sorry|ok|okay|great|good|finally|at last|much appreciated|no rush|no hurry|done|all good|already|duplicate|not needed|no longer|as discussed|see you|have a|hope|what a|such a|phew|whew|yay|hooray|hurray|woohoo|ta|haha|lol|ugh|brilliant|lovely|honestly|promise|as (?:promised|usual|always|agreed|planned)|too|as well|odd|weird|how strange|right)\b|\w+'s \w+|(?:\w+ ){1,3}?(?:is|are|was|were|has|have|had|did|came|went|got|took|gave|left|made|did|paid|bought|sold|sent|found|kept|broke|ran|fell|wants|needs|takes|does|handles|said no|\w*n't|\w{2,}ed)\b)",
    re.IGNORECASE,
)
_INSTEAD: Final = re.compile(
    r"(?:don't|do not|dont|never|no need to) (?P<denied>[^,;.!]+)[,;.!]+ (?:but |just |only |rather |instead,? |please )+(?P<command>.+?)(?: instead)?",
    re.IGNORECASE,
)
_TELLING: Final = re.compile(rf"\b{PRIORITY}\b|\bprio|\basap\b|#|\blabel|\btag", re.IGNORECASE)
_CONDITIONAL: Final = re.compile(
    r"\b(?:if|unless|once|when|whenever|in case|provided|as soon as|otherwise)\b", re.IGNORECASE
)
_NUMBERED: Final = re.compile(
    rf"\b(?P<what>{TASK}|delivery|alert|booking|number) ?(?:number |no\.? |id )?#?(?P<number>{NUMBER})\b|#(?P<bare>\d{{1,10}})\b",
    re.IGNORECASE,
)
_ITS: Final = re.compile(r"\bits (?=priority|due|deadline|date|title|name|label|note|description)", re.IGNORECASE)
_IT: Final = re.compile(r"\b(?:it|that one|this one|that task|this task)\b(?! (?:is|was|has)\b)", re.IGNORECASE)
_ALL_DONE: Final = re.compile(
    r"(?:check|tick|cross|strike|mark|close|set|complete|finish) (?:it|that|this|that one|this one|them|the task)(?: (?:off|out|as|to|be|done|complete|completed|finished|closed|my|the|list|from|now))*",
    re.IGNORECASE,
)
_DATE_FIRST: Final = re.compile(
    r"(?P<when>(?:every|each|on|at|in|(?:mon|tues|wednes|thurs|fri|satur|sun)day|tomorrow|today|tonight|next|this|daily|weekly|monthly|weekdays|by|first thing)\b(?:[^,:]|(?<=\d):(?=\d)){0,45}?),? "
    r"(?P<command>(?:please )?(?:can you |could you )?(?:please )?remind (?:me|us) (?:to|about|of|that) .+|(?:i|we)(?:'ve| have)? (?:really |also )?(?:need|have|must|got|ought|should)(?: to)? .+)",
    re.IGNORECASE | re.DOTALL,
)
_WHAT: Final = rf"(?P<what>(?:the |my |our |that |this )?(?:[^,]+ {TASK}|{TASK} ?#?{NUMBER}|#\d+|number \d+|(?:first|second|third|fourth|fifth|last|other) (?:one|{TASK})|it|{MARK}(?: {TASK})?))"
_VERB: Final = r"(?P<verb>deleted|removed|completed|finished|closed|moved|postponed|pushed|rescheduled|marked|renamed|set|changed|reopened)(?P<more> .+)?"
_VERB_LAST: Final = (
    re.compile(rf"(?:have|get|see|i want|i need|i'd like|i would like|we want|want) {_WHAT} {_VERB}", re.IGNORECASE),
    re.compile(
        rf"{_WHAT} (?:can|may|should|must|has to|needs to) (?:now |also |please )?be {_VERB}",
        re.IGNORECASE,
    ),
)
_VERBS: Final = {
    "deleted": "delete", "removed": "remove", "completed": "complete", "finished": "complete", "closed": "close", "moved": "move", "postponed": "postpone",
    "pushed": "push", "rescheduled": "reschedule", "marked": "mark", "renamed": "rename", "set": "set", "changed": "change", "reopened": "reopen",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Framed:
    """A command, and what stood around it."""

    command: Said
    around: str

    @property
    def conditional(self) -> bool:
        """Whether what stands around makes a condition."""
        return bool(_CONDITIONAL.search(self.around))

    @property
    def telling(self) -> bool:
        """Whether what stands around has a priority or a label in it, which may belong to the command."""
        return bool(_TELLING.search(self.around))


def turned(words: str) -> str:
    """Return a command whose verb came last, or whose date came first, the other way round."""
    if found := _DATE_FIRST.fullmatch(words):
        return f"{found['command']} {found['when']}"
    for pattern in _VERB_LAST:
        if found := pattern.fullmatch(words):
            return f"{_VERBS[found['verb'].lower()]} {found['what']}{found['more'] or ''}"
    return words


def framed(said: Said) -> Iterator[Framed]:
    """Yield the commands that `said` may have in a frame, those with the least left away first."""
    cuts = list(_BOUNDARY.finditer(said.words))[:_MOST_CUTS]
    begins = [(0, "")] + [(cut.end(), said.words[: cut.start()]) for cut in cuts]
    ends = [(len(said.words), "")] + [(cut.start(), said.words[cut.end() :]) for cut in reversed(cuts)]
    pairs = sorted(
        ((begin, end, before, after) for begin, before in begins for end, after in ends if begin < end),
        key=lambda pair: len(pair[2]) + len(pair[3]),
    )
    for begin, end, before, after in pairs:
        if (begin or end < len(said.words)) and _is_clause(after) and _says_nothing(before) and _says_nothing(after):
            command = said.words[begin:end]
            yield Framed(said.part(meant(command, before)), f"{before} {after}".strip())


def instead(said: Said) -> Said | None:
    """Return what is to be done in place of what isn't: `don't delete task 3, just move it to friday`."""
    found = _INSTEAD.fullmatch(said.words)
    return None if found is None else said.part(meant(found["command"], found["denied"]))


def told_and_ticked(said: Said) -> Iterator[Said]:
    """Yield what was told to be done where the rest only says so: `the proofreading is done, so you can tick it off`."""
    for cut in list(_BOUNDARY.finditer(said.words))[:_MOST_CUTS]:
        if _ALL_DONE.fullmatch(said.part(said.words[cut.end() :]).words):
            yield said.part(said.words[: cut.start()])


def _is_clause(part: str) -> bool:
    """Whether what follows a command is a sentence of its own, or thanks, rather than more of the command."""
    return not part or bool(_CLAUSE.match(part))


def _says_nothing(part: str) -> bool:
    """Whether a part has neither a command of its own nor the words of somebody else."""
    return not _REPORTED.search(part) and not any(COMMANDING.match(piece) for piece in _BOUNDARY.split(part) if piece)


def meant(command: str, before: str, name: str | None = None) -> str:
    """Return a command with what was named before it in place of "it"; `name`: what that is, where it is known."""
    if name:
        return _IT.sub(name, _ITS.sub(f"{name}'s ", command), count=1)
    numbered = list(_NUMBERED.finditer(before))
    if len(numbered) != 1:
        return command
    found = numbered[0]
    what = "task" if found["bare"] or found["what"].lower() == "number" else found["what"]
    name = f"{what} {found['number'] or found['bare']}"
    return _IT.sub(name, _ITS.sub(f"{name}'s ", command), count=1)
