"""Completing and deleting tasks. Pure."""

import re
from typing import Final

from mainstem.assistant.local.candidates import Candidate, asking, bulk, labelled
from mainstem.assistant.local.said import Said
from mainstem.assistant.local.slots import NUMBER, REFERENCE, TASK, number
from mainstem.assistant.local.targets import Kind, Target, each, target
from mainstem.assistant.local.terms import Act, Ask, Context, Option, Reading

_DONE: Final = r"(?:done|complete|completed|finished|closed|ready|accomplished|checked|ticked|sorted(?: out)?|wrapped up|taken care of|dealt with|handled)"
_VERBS: Final = r"(?:delete|remove|complete|finish|close|mark|set|cancel|erase|drop|rename|update|change|move|add|create|make|tell|say|ask|check|let|mail|e-?mail|text|message|inform|notify|write to|if|when|once|unless)\b"
_COMPLETE: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"mark as {_DONE}:? (?P<sure>.+)",
        rf"(?:mark|set|put|flag|tag|change|move|update|check|make) (?P<sure>.+?)(?:'s)?(?: status)? (?:as |to |off as |to be )?(?:being )?{_DONE}",
        r"(?:check|tick|cross|strike|mark)(?: off| out) (?P<sure>.+)",
        rf"(?:check|tick|cross|done) (?P<sure>(?:the )?(?:{TASK} ?#?|#){NUMBER})",
        rf"(?:check|tick|cross|strike|mark) (?P<sure>.+?) off(?: (?:my|the) (?:to-?do |todo )?list)?(?: as {_DONE})?",
        r"i(?:'ve| have)? (?:just |already )?.{1,80}?(?:, (?:so )?|[;.] )(?:please )?(?:mark|check|tick|close|set) (?P<that>that|it|this)(?: (?:task|one))?(?: (?:as |to )?(?:done|off|complete|completed|finished))?",
        rf"(?P<sure>(?!{_VERBS})[^\s,;](?:[^,;]|, (?=\d|and ))*?)(?:(?: has|'s| have) been| is| are|'s| was)(?: now| already| all| both| finally)? {_DONE}(?: now)?",
        r"(?:i'm |i am |we're )?(?:all )?(?:done|finished|through) with (?P<sure>.+)",
        r"(?:i|we)(?:'ve| have)? (?:just |already |finally )*(?:finished|completed|done|closed|did|wrapped up|knocked out|ticked off|checked off|sorted(?: out)?|dealt with|took care of|taken care of|handled) (?:with )?(?P<words>.+)",
        r"(?:just |already |finally )*(?:finished|completed|wrapped up|knocked out|ticked off|checked off|done with) (?:with )?(?P<words>(?:the |my |our |number )?.+)",
        rf"(?:that's|that is) (?P<sure>(?:the )?(?:{TASK} ?#?|#)\d+|the .+? {TASK}) {_DONE}",
        rf"(?P<sure>(?:{TASK} ?#?|#)?\d+):? {_DONE}",
        rf"{_DONE}:? (?P<sure>(?:{TASK} ?#?|#)?\d+)",
        rf"(?P<sure>(?:{TASK} ?#?|#)\d+) ?[\u2705\u2714\u2611]\ufe0f?",
        r"(?:complete|finish|close|accomplish|resolve|finalize|finalise|wrap up|sign off) (?:off |up |out )?(?P<words>.+)",
    )
)
_THAT: Final = re.compile(r"i(?:'ve| have)? (?:just |already )*(.{1,80}?)(?:, |[;.] )", re.IGNORECASE)
_DELETE: Final = re.compile(
    r"(?:(?:permanently|completely) )?(?:delete|remove|del|rm|erase|drop|get rid of|throw (?:away|out)|trash|discard|scrap|cancel|bin|dump|wipe(?: out)?|clear(?: out)?|purge|kill|nuke|scratch|ditch|axe|take) (?P<words>.+?)"
    r"(?: off)?(?P<list> (?:from|off|on|in) (?:my|the|our) (?:to-?do |todo |task )?(?:list|tasks))?(?: for good| permanently| completely| altogether| entirely| too| as well| again)?",
    re.IGNORECASE,
)
_VERB_ONLY: Final = {
    "complete": re.compile(
        rf"(?:complete|finish|(?:i'm |we're |all |i am )?(?:done|finished)|(?:mark|set)(?: (?:a |the )?{TASK})?(?: as| to)? {_DONE}|check off|tick off|close)",
        re.IGNORECASE,
    ),
    "delete": re.compile(r"(?:delete|remove|erase|drop|get rid of|cancel)", re.IGNORECASE),
}
_UNNEEDED: Final = re.compile(
    r"(?:i|we) (?:do not|don't|no longer) need (?P<words>.+?)(?: any ?more| any longer| now)?|(?P<more>.+?) is (?:no longer|not) (?:needed|necessary|relevant)(?: any ?more)?",
    re.IGNORECASE,
)

_REPORTING: Final = re.compile(r"\w (?:that|whether|if) (?!task\b$)\S", re.IGNORECASE)
"""What somebody is to be told is done, rather than the name of what is done."""
_FINISHED: Final = re.compile(
    r"(?:just |already |finally )*(?:finished|completed|wrapped up|done with|did|ticked off|checked off|knocked out|sorted(?: out)?|taken care of|took care of|dealt with|handled)(?: with)? (?:the |my |our )?",
    re.IGNORECASE,
)
_LATELY: Final = re.compile(
    r",? (?:early |late |first thing |just )?(?:this (?:morning|afternoon|evening)|earlier(?: today| this week)?|today|yesterday|last night|just now|already|over the weekend|(?:a|an|one|two|\d+|half an|a couple of) (?:minute|while|moment|hour|day)s? ago)$",
    re.IGNORECASE,
)
"""When something was done: no part of its name."""
_TOLD: Final = re.compile(
    r"i(?:'ve| have)? (?:just |already |finally )?(?:\w+ed|bought|sent|paid|made|wrote|took|got|went|read|sold|built|met|rang|brought|fed) (?P<words>\S.{0,100})",
    re.IGNORECASE,
)
_ELSEWHERE: Final = re.compile(
    rf"(?:the |my |our |a |an |this |that )?(?:tracked |short )?(?:links?|web ?hooks?|endpoints?|alerts?|alarms?|bookings?|orders?|customers?|deliver(?:y|ies)|rules?|users?|accounts?|connectors?|tenants?|visitors?)\b(?!.*\b{TASK}$)",
    re.IGNORECASE,
)
"""Things of the hub that are no tasks."""
_POINTED: Final = re.compile(
    rf"(?:(?:show|see|open|view|display|get|find|read|print)(?: me)? |what(?:'s| is| about)? |how about )?(?:{REFERENCE}|#?(\d{{1,10}}))",
    re.IGNORECASE,
)


def completing(said: Said, context: Context) -> Candidate | Reading | None:
    """Return what `said` completes."""
    words = _LATELY.sub("", said.words)
    if _VERB_ONLY["complete"].fullmatch(words):
        shown = target(said, "it", context)
        return _chosen("complete_task", (Target(Kind.OPEN, shown.ids),), words, sure=True)
    for pattern in _COMPLETE:
        found = pattern.fullmatch(words)
        if found is None:
            continue
        groups = found.groupdict()
        if groups.get("that"):
            return _that(said, context)
        fragment = groups.get("sure") or groups.get("words") or ""
        if _ELSEWHERE.match(fragment) or _REPORTING.search(fragment):
            return None
        return _chosen("complete_task", each(said, fragment, context), words, sure="sure" in groups)
    return None


def deleting(said: Said, context: Context) -> Candidate | Reading | None:
    """Return what `said` deletes."""
    if _VERB_ONLY["delete"].fullmatch(said.words):
        return _chosen("delete_task", (Target(Kind.OPEN),), said.words, sure=True)
    if (found := _DELETE.fullmatch(said.words)) and not _ELSEWHERE.match(found["words"]):
        return _chosen("delete_task", each(said, found["words"], context), said.words, sure=found["list"] is not None)
    if found := _UNNEEDED.fullmatch(said.words):
        meant = target(said, found["words"] or found["more"], context)
        if meant.kind in {Kind.IDS, Kind.NAMED}:
            act = _act("delete_task", (meant,))
            return Ask(f"Shall I {labelled(act, low=True)}?", (Option(labelled(act), act),))
    return None


def told(said: Said) -> Ask | None:
    """Return the question whether something that a person did was a task: `I bought the milk`."""
    found = _TOLD.fullmatch(said.words.rstrip("!. "))
    if found is None:
        return None
    words = said.plain(re.sub(r"^(?:the|my|our|a|an|some) ", "", found["words"], flags=re.IGNORECASE))
    act = Act("complete_task", {}, 0.5, find=words)
    return Ask(f"Well done. Was '{words}' one of your tasks?", (Option(labelled(act), act),))


def pointing(said: Said) -> Ask | None:
    """Return the question what to do with a task that was only named: `task 3`, `show task 3`, `3`."""
    found = _POINTED.fullmatch(said.words.rstrip("?!. "))
    value = number(found[1] or found[2]) if found else None
    if value is None:
        return None
    acts = (Act("complete_task", {"task_id": value}, 0.5), Act("list_tasks", {"status": "all"}, 0.5))
    return Ask(f"What about task {value}?", tuple(Option(labelled(act), act) for act in acts))


def _that(said: Said, context: Context) -> Candidate | Reading:
    """`I already called the plumber, mark that task done`: what was told names the task, unless one was just shown."""
    told = _THAT.match(said.words)
    words = _FINISHED.sub("", said.plain(told[1])) if told else ""
    if numbered := re.search(REFERENCE, words, re.IGNORECASE):
        return _chosen("complete_task", (target(said, numbered.group(), context),), said.words, sure=True)
    shown = target(said, "it", context)
    meant = shown if shown.kind is Kind.IDS or not words else Target(Kind.NAMED, find=words)
    return _chosen("complete_task", (meant,), said.words, sure=True)


def _chosen(tool: str, meant: tuple[Target, ...], head: str, *, sure: bool) -> Candidate | Reading:
    kinds = {one.kind for one in meant}
    if Kind.BULK in kinds:
        return bulk()
    if Kind.OPEN in kinds and not all(one.ids for one in meant):
        return asking("complete" if tool == "complete_task" else "delete")
    act = _act(tool, meant)
    if Kind.OPEN in kinds:
        return Ask(f"Shall I {labelled(act, low=True)}?", (Option(labelled(act), act),))
    if Kind.GUESSED in kinds and not sure:
        return Ask(f"Do you mean a task? I would {labelled(act, low=True)}.", (Option(labelled(act), act),))
    return Candidate(act, head)


def _act(tool: str, meant: tuple[Target, ...]) -> Act:
    """Return a call for each task, the first with the others behind it."""
    calls: list[Act] = []
    for one in meant:
        calls += [Act(tool, {"task_id": task}, 0.97) for task in one.ids] or [Act(tool, {}, 0.9, find=one.find)]
    first, *more = calls
    return Act(first.tool, first.arguments, first.confidence, first.find, tuple(more))
