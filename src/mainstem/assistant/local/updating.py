"""Changing tasks: title, date, priority, labels, description. Pure."""

import re
from typing import Final

from mainstem.assistant.local.candidates import Candidate, asking, bulk, labelled
from mainstem.assistant.local.said import MARK, Said
from mainstem.assistant.local.slots import (
    LONGEST_DESCRIPTION,
    LONGEST_TITLE,
    NUMBER,
    PRIORITY,
    TASK,
    dated,
    due,
    priority,
)
from mainstem.assistant.local.targets import Kind, Target, target
from mainstem.assistant.local.terms import Act, Ask, Context, Option, Reading, Refuse

_OBJECT: Final = rf"(?:(?:the |my )?(?:{TASK} ?(?:number )?#?|#){NUMBER}|(?:the |my |that |this )?[^\n]+? {TASK}|{MARK}(?: {TASK})?|(?:the |my )?{TASK} (?:called|named|titled|about) [^\n]+?|#?\d{{1,10}}|it|this|that|(?:the |my )?(?:first|second|third|last) (?:one|{TASK})|that one|this one)"
_LOOSE: Final = r"(?:the |my |our |that )(?!(?:due|deadline|date|prio|priority|title|name|labels?|tags?)\b)(?:(?! and (?:set|make|move|mark|change|add|tag|label|delete|complete)\b)[^\n,]){2,60}?"
"""The name of a task without the word for it, where all else of the sentence says that it is one."""
_CHANGE: Final = r"(?:change|update|edit|set|modify|alter|adjust|make|switch|correct|fix)"


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(
        pattern.replace("OBJECT", _OBJECT)
        .replace("OBJLOOSE", f"(?P<object>{_OBJECT}|{_LOOSE})")
        .replace("OBJ", f"(?P<object>{_OBJECT})")
        .replace("CHANGE", _CHANGE),
        re.IGNORECASE | re.DOTALL,
    )


_TITLES: Final = tuple(
    _rule(pattern)
    for pattern in (
        r"(?:rename|retitle|reword|rephrase|relabel) OBJ (?:to|as|into|:) ?(?P<title>.+)",
        r"CHANGE (?:the )?(?:title|name|text|wording) (?:of|for|on) OBJ (?:to|into|:) ?(?P<title>.+)",
        r"CHANGE OBJ(?:'s)? (?:title|name|text|wording) (?:to|into|:) ?(?P<title>.+)",
        r"(?:change|update|edit|modify)? ?OBJ ?[:,;-] ?(?:the )?(?:new )?(?:title|name)(?: is| should be)?:? (?P<title>.+)",
        r"(?:change|turn|update|edit|modify|make) OBJ (?:to|into|to say|to be|to read) (?P<title>.+)",
        r"CHANGE OBJ (?:with|to have) (?:the |a )?(?:new )?(?:title|name):? (?P<title>.+)",
        r"OBJ should (?:be called|be named|be titled|read|say) (?P<title>.+)",
        r"call OBJ (?P<title>" + MARK + ")",
    )
)
_DUES: Final = tuple(
    _rule(pattern)
    for pattern in (
        r"(?:CHANGE|extend) (?:the )?(?:due(?: date)?|deadline) (?:of|for|on) OBJLOOSE (?:to|as|until|till|:) ?(?P<due>.+)",
        r"CHANGE (?:the )?(?:date|time) (?:of|for|on) OBJ (?:to|as|:) ?(?P<due>.+)",
        r"(?:move|push|shift|change|bring) (?:the )?(?:due(?: date)?|deadline|date) (?:of|for|on) OBJLOOSE (?:to|back to|out to|forward to|:) ?(?P<due>.+)",
        r"CHANGE OBJ(?:'s)? (?:due(?: date)?|deadline|date) (?:to|as|for|:) ?(?P<due>.+)",
        r"(?:move|postpone|push(?: back| out| off)?|reschedule|re-schedule|delay|shift|defer|put off|snooze|bump) OBJLOOSE (?:back |out |off |forward |again )?(?P<due>(?:to|until|till|for|by) .+)",
        r"(?:move|postpone|push(?: back| out| off)?|reschedule|re-schedule|delay|shift|defer|put off|snooze|bump|bring forward|schedule|plan) OBJ (?:back |out |off |forward |again )?(?P<due>(?:to|until|till|for|by|on|at|in) .+|(?:tomorrow|today|tonight|next|this) ?.*)",
        r"OBJ (?:is|must be|has to be|should be|needs to be)(?: now)? (?:due|done by|finished by|ready by) ?(?P<due>.+)",
        r"(?:make|set|have|let) OBJ (?:to be |be )?(?:due |to |for |repeat(?:ing)? |recur(?:ring)? |happen )+(?P<due>.+)",
        r"(?:give|add|set) (?:a |the )?(?:due date|deadline)(?: of| to)? (?P<due>.+) (?:to|for|on) OBJ",
        r"(?!(?:any|all|which|what|my|show|list)\b|[^\n]*\b(?:tasks|to-?dos|items|reminders)\b)OBJ,? due:? (?P<due>.+)",
        r"give OBJ a (?:due date|deadline)(?: of| on| for)? (?P<due>.+)",
        r"(?:CHANGE|move) OBJ so (?:that )?(?:it's|it is|it) (?:due |is due )?(?P<due>.+)",
        r"repeat OBJ (?P<due>.+)",
    )
)
_PRIORITIES: Final = tuple(
    _rule(pattern.replace("PRI", f"(?P<priority>{PRIORITY})").replace("PR2", f"(?P<level>{PRIORITY})"))
    for pattern in (
        r"(?:CHANGE|lower|raise|bump|increase|decrease|reduce|put) (?:the )?prio(?:rity)? (?:of|for|on) OBJ (?:up |down )?(?:to|as|:)? ?PRI(?: prio(?:rity)?)?",
        r"(?:CHANGE|mark|flag|give|treat|put|bump|raise|lower|move) OBJ (?:(?:to|as|at|a|on|have|up|down|is) )*(?:prio(?:rity)? (?:to |of |as )?)?PRI(?:[- ]prio(?:rity)?)?",
        r"(?:make|set|mark|bump|raise|lower|flag|change|give) OBJLOOSE (?:(?:to|as|at|a|up|down) )*PRI[- ]prio(?:rity)?",
        r"CHANGE (?:the )?(?:priority (?:to |as )?PRI|PR2[- ]priority) (?:for|of|on|to) OBJ",
        r"CHANGE OBJ (?:with|to have|to be) (?:a |the )?(?:priority (?:of )?)?PRI(?:[- ]priority)?",
        r"(?:CHANGE|lower|raise|bump|increase|decrease|reduce|put) OBJ(?:'s)? prio(?:rity)? (?:up |down )?(?:to|as|:)? ?PRI",
        r"OBJ (?:is|has|should be|should have|should get|must be|must have|needs to be|needs|deserves)(?: now| a| of| to be)* PRI(?:[- ]prio(?:rity)?)?",
    )
)
_LABELS: Final = tuple(
    _rule(pattern)
    for pattern in (
        r"(?:add|put|attach|stick) (?:the |a )?(?:label|tag)s? (?P<labels>.+?) (?:to|on|onto) OBJ",
        r"(?:add|put|attach|stick) (?P<labels>#[\w-]+(?:(?:,| and|, and) ?#[\w-]+)*) (?:to|on|onto) OBJ",
        r"(?:tag|label) OBJ (?:with|as|:)? ?(?:the )?(?:labels? |tags? )?(?P<labels>.+)",
        r"(?:give|set) OBJ (?:the )?(?:label|tag)s? (?:to )?(?P<labels>.+)",
    )
)
_NOTES: Final = tuple(
    _rule(pattern)
    for pattern in (
        r"(?:add|attach|put|write) (?:a |the |this )?(?:note|description|comment|detail|details|text) (?:to|on|for|in) OBJ(?: saying| that says)? ?[:,]? ?(?P<note>.+)",
        r"CHANGE (?:the )?(?:description|details?|notes?) (?:of|for|on) OBJ (?:to|as|:) ?(?P<note>.+)",
        r"CHANGE OBJ(?:'s)? (?:description|details?|notes?) ?(?:to|as|:) ?(?P<note>.+)",
        r"describe OBJ as (?P<note>.+)",
        r"CHANGE OBJ (?:with|to have) (?:the |a |this )?(?:new )?(?:description|details?|notes?):? (?P<note>.+)",
    )
)
_BARE: Final = _rule(
    r"(?:change|update|edit|rename|modify|move|reschedule|postpone|adjust) (?:OBJ|(?:a |the |my )?(?:task|todo))"
)
_STATUSES: Final = (
    (
        "pending",
        _rule(
            r"(?:un-?complete|un-?finish|un-?check|un-?tick|re-?open|re-?activate) (?:OBJ|(?P<number>#?\d{1,10}))(?: again)?"
            r"|(?:mark|set|change|put|move) (?P<other>OBJECT)(?:'s)?(?: status)? (?:back )?(?:as |to |back to )*"
            r"(?:not (?:yet )?(?:done|complete|completed|finished)|un(?:done|finished|completed)|pending|incomplete|open|to-?do)"
        ),
    ),
    (
        "in_progress",
        _rule(
            r"(?:start|begin|resume)(?: (?:on|with|working on|work on))? OBJ|(?:i'm |i am |we're )(?:now |currently )?working on (?P<other>OBJECT)(?: now)?"
            r"|(?:mark|set|change|put|move) (?P<third>OBJECT)(?:'s)?(?: status)? (?:as |to )*(?:in[- _]progress|started|begun|doing)"
        ),
    ),
)
_CLEARING: Final = _rule(
    r"(?:remove|delete|clear|drop|unset|take(?: away| off)?|erase|cancel) (?:the |its )?"
    r"(?:(?P<due>due(?: date)?|deadline|date|reminder)|(?P<priority>priority)|(?P<description>description|notes?|details)"
    r"|(?:label|tag)s? (?P<labels>.+?)|(?P<labelled>.+?) (?:label|tag)|(?P<hashed>#[\w-]+)|(?P<every>(?:all )?(?:the |its )?(?:labels|tags))) (?:from|off|of|on|for) OBJLOOSE"
)
_DATELESS: Final = _rule(
    r"(?:make|leave|set|keep) OBJ (?:without|to have no|to no|have no) (?:a )?(?:due(?: date)?|deadline|date)"
)
_SAYING: Final = _rule(r"(?:change|update|edit|modify) OBJ ?(?:: ?|, | - )(?P<text>.+)")
_URGE: Final = _rule(r"prioriti[sz]e OBJ")
_GOES_ON: Final = re.compile(
    rf",? and (?:then |also |please )*(?:move|postpone|push|reschedule|delete|remove|complete|mark|set|make|change|add|tag|label|rename) (?:it|that|this|{TASK} ?#?{NUMBER}|#\d+|(?:the|its) (?:due|priority|deadline|labels?|tags?))\b",
    re.IGNORECASE,
)
_DONE: Final = re.compile(r"(?:be )?(?:done|complete|completed|finished)", re.IGNORECASE)


def updating(said: Said, context: Context) -> Candidate | Reading | None:
    """Return what `said` changes; None when it changes nothing."""
    words = said.words
    for patterns, read in (
        (_NOTES, _note),
        (_LABELS, _labels),
        (_PRIORITIES, _priority),
        (_DUES, _due),
        (_TITLES, _title),
    ):
        for pattern in patterns:
            found = pattern.fullmatch(words)
            changes = read(said, found, context) if found else None
            if found and changes:
                return _chosen(said, found, changes, context)
    return _stated(said, context) or _otherwise(said, context)


def _stated(said: Said, context: Context) -> Candidate | Reading | None:
    """Return a change of status or urgency, which has no words of its own."""
    if found := _URGE.fullmatch(said.words):
        return _chosen(said, found, {"priority": "high"}, context)
    for status, pattern in _STATUSES:
        if found := pattern.fullmatch(said.words):
            named = next(group for group in found.groupdict().values() if group)
            return _meant(target(said, named, context), {"status": status}, "")
    return None


def _otherwise(said: Said, context: Context) -> Candidate | Reading | None:
    """Return what takes something away from a task, and what to say to changes that can't be made without asking."""
    if found := _CLEARING.fullmatch(said.words):
        return _cleared(said, found, context)
    if found := _DATELESS.fullmatch(said.words):
        return _meant(target(said, found["object"], context), {"due": None}, "")
    if found := _SAYING.fullmatch(said.words):
        return _title_or_note(said, found, context)
    return asking("change, and what about it") if _BARE.fullmatch(said.words) else None


def _cleared(said: Said, found: re.Match[str], context: Context) -> Candidate | Reading:
    """Return the change that takes a date, a description or labels away; a priority is medium then."""
    if found["every"]:
        return Refuse("Say which labels, for example: remove the label home from task 3.")
    labels = found["labels"] or found["labelled"] or found["hashed"]
    changes: dict[str, object] = (
        {"due": None}
        if found["due"]
        else {"priority": "medium"}
        if found["priority"]
        else {"description": ""}
        if found["description"]
        else {"remove_labels": _labels_in(said, labels)}
    )
    return _meant(target(said, found["object"], context), changes, "")


def _labels_in(said: Said, words: str) -> list[str]:
    """Return the labels in some words, without the signs before them."""
    parts = re.split(r",? and |, ?| & ", said.plain(words).strip(" .'\""))
    return list(dict.fromkeys(word.strip(" #'\"") for word in parts if word.strip(" #'\"")))


def _title_or_note(said: Said, found: re.Match[str], context: Context) -> Reading:
    """Return the question what of a task a text shall be."""
    text = said.plain(found["text"])
    meant = target(said, found["object"], context)
    if not meant.ids:
        return asking("change, and what about it")
    acts = (
        Act("update_task", {"task_id": meant.ids[0], "title": text[:LONGEST_TITLE]}, 0.6),
        Act("update_task", {"task_id": meant.ids[0], "description": text[:LONGEST_DESCRIPTION]}, 0.6),
    )
    return Ask("Is that its new title, or its description?", tuple(Option(labelled(act), act) for act in acts))


def _chosen(said: Said, found: re.Match[str], changes: dict[str, object], context: Context) -> Candidate | Reading:
    free = next((name for name in ("title", "note", "due", "labels") if name in found.re.groupindex), None)
    head = said.words if free is None else said.words[: found.start(free)] + said.words[found.end(free) :]
    return _meant(target(said, found["object"], context), changes, head)


def _meant(meant: Target, changes: dict[str, object], head: str) -> Candidate | Reading:
    if meant.kind is Kind.BULK:
        return bulk()
    if meant.kind is Kind.OPEN:
        return asking("change")
    if not meant.ids:
        return Candidate(Act("update_task", changes, 0.9, find=meant.find), head)
    first, *more = meant.ids
    then = tuple(Act("update_task", {"task_id": each, **changes}, 0.95) for each in more)
    return Candidate(Act("update_task", {"task_id": first, **changes}, 0.95, then=then), head)


def _title(said: Said, found: re.Match[str], context: Context) -> dict[str, object] | None:
    given = found["title"].strip()
    if _GOES_ON.search(given):
        return None
    if re.fullmatch(MARK, given):
        return {"title": said.plain(given)[:LONGEST_TITLE]}
    if _DONE.fullmatch(given):
        return None
    # "change task 2 to friday" moves it
    if (at := dated(given, context)) and at.end - at.start == len(given.rstrip(".!")):
        return due(at)
    if wanted := re.fullmatch(rf"{PRIORITY}(?:[- ]priority)?", given, re.IGNORECASE):
        return {"priority": priority(wanted[1])}
    return {"title": said.plain(given).rstrip(".")[:LONGEST_TITLE]}


def _due(_said: Said, found: re.Match[str], context: Context) -> dict[str, object] | None:
    given = re.sub(r",? instead$", "", found["due"].strip(" .!"), flags=re.IGNORECASE)
    # a time of its own ("17:00", "friday") reads as one after "by"
    for words in (
        given,
        re.sub(r"^(?:to|for|until|till|back to) ", "by ", given, flags=re.IGNORECASE),
        f"by {given}",
        f"at {given}",
    ):
        at = dated(words, context)
        if at and at.end - at.start >= len(words):
            return due(at)
    bare = re.sub(r"^(?:to|for|until|till) ", "", given, flags=re.IGNORECASE)
    at = dated(bare, context)
    return due(at) if at and at.end - at.start == len(bare) else None


def _priority(_said: Said, found: re.Match[str], _context: Context) -> dict[str, object] | None:
    return {"priority": priority(found["priority"] or found["level"])}


def _labels(said: Said, found: re.Match[str], _context: Context) -> dict[str, object] | None:
    labels = _labels_in(said, found["labels"])
    return {"labels": labels} if labels and all(len(label) <= 50 for label in labels) else None


def _note(said: Said, found: re.Match[str], _context: Context) -> dict[str, object] | None:
    text = said.plain(found["note"]).strip()
    return {"description": text[:LONGEST_DESCRIPTION]} if text else None
