"""What a person wants, understood without a language model. Pure: no I/O, no clock, the same text gives the same reading.

Rules read what they know whole, from its first word to its last; where the words that change something deny it, doubt it or leave
open what it is about, a question comes back with the nearest readings. What no rule knows is compared with examples
(`matching`), offered as a task, or refused. The whole takes a fraction of a millisecond for most sentences, and some milliseconds for a long one.

What holds for any text: nothing is raised; nothing is completed or deleted on words with a negation outside of a quotation; several
things are changed only when each is named; no tool is called that `Context.tools` has not.
"""

import re
from typing import Final

from mainstem.assistant.local import answers, guards, talk
from mainstem.assistant.local.adding import adding
from mainstem.assistant.local.candidates import CHANGING, FINAL, Candidate, labelled
from mainstem.assistant.local.changing import completing, deleting, pointing, told
from mainstem.assistant.local.clauses import differ, several
from mainstem.assistant.local.frames import framed, instead, told_and_ticked, turned
from mainstem.assistant.local.hub import hub
from mainstem.assistant.local.listing import listing
from mainstem.assistant.local.said import LONGEST, MARK, Said, said
from mainstem.assistant.local.similar import slip
from mainstem.assistant.local.slots import dated
from mainstem.assistant.local.terms import Act, Ask, Context, Mentioned, Option, Question, Reading, Refuse, Talk
from mainstem.assistant.local.unknown import SHOWING, unknown
from mainstem.assistant.local.updating import updating

__all__ = ["Act", "Ask", "Context", "Mentioned", "Option", "Question", "Reading", "Refuse", "Talk", "understand"]

_OR: Final = re.compile(r",? or (?:else |maybe |rather )?", re.IGNORECASE)
_TYPED: Final = (
    "delete",
    "remove",
    "complete",
    "finish",
    "create",
    "update",
    "change",
    "rename",
    "remind",
    "cancel",
    "show",
    "list",
    "mark",
)
_DETAILED: Final = frozenset({"add_task", "list_tasks", "update_task"})
"""Tools that take dates, priorities and labels."""


def understand(text: str, context: Context) -> Reading:
    """Return what `text` asks for in `context`: an act with its arguments, a question back, a refusal, or an answer."""
    words = said(text)
    return _permitted(_understood(words, context), context)


def _understood(words: Said, context: Context) -> Reading:
    if not words.words:
        return Talk(talk.HELP)
    question = context.question
    return (
        (answers.answered(words, question) if question else None)
        or talk.small(words)
        or _stripped(words, context)
        or (answers.named(words, question) if question and len(words.words) <= LONGEST else None)
        or _mistyped(words, context)
        or unknown(words, context)
    )


def _stripped(words: Said, context: Context) -> Reading | None:
    """Return the reading of a rule for the whole, or for the command in it without what stands around."""
    if (other := instead(words)) is not None:
        found = _commanded(other, context)
        # nothing is completed or deleted in a sentence that denies something
        if isinstance(found, Act) and {act.tool for act in (found, *found.then)} == {"update_task"}:
            return found
    whole = _commanded(words, context)
    if len(words.words) > LONGEST or (isinstance(whole, Act) and not _swallowed(whole)) or isinstance(whole, Refuse):
        return whole
    for ticked in told_and_ticked(words):
        if (done := _offer(_done(ticked, context))) is not None:
            return guards.guarded(words, Candidate(done, words.words))
    for frame in framed(words):
        found = _commanded(frame.command, context)
        if not isinstance(found, Act) or _swallowed(found):
            continue
        tools = {act.tool for act in (found, *found.then)}
        if "acknowledge_alert" in tools:
            # what stands around is the reason
            continue
        has_date = all("due" in act.arguments for act in (found, *found.then))
        loses = frame.telling or (not has_date and dated(frame.around, context) is not None)
        if (frame.conditional and tools - {"list_tasks"}) or (tools & _DETAILED and loses):
            return whole
        unsure = guards.doubted(frame.around) or (guards.negated(frame.around) and tools & FINAL)
        return guards.confirmed(found) if tools & CHANGING and unsure else found
    return whole


def _done(words: Said, context: Context) -> Reading | None:
    found = completing(words, context)
    return found.act if isinstance(found, Candidate) else found


def _swallowed(act: Act) -> bool:
    """Whether the name of a task has a comma in it, as if the sentence went on."""
    return any(re.search(r"[,;.!?] ", each.find or "") for each in (act, *act.then))


def _commanded(words: Said, context: Context) -> Reading | None:
    """Return the reading of a rule; None when none knows the words."""
    words = words.turned(turned(words.words))
    if (added := _added(words, context)) is not None:
        return added
    if len(words.words) > LONGEST:
        return None
    if (found := talk.guarded_against(words) or _alternatives(words, context)) is not None:
        return found
    single, all_of_it = _single(words, context), several(words, context, _clause)
    if isinstance(single, Act) and isinstance(all_of_it, Act) and differ(single, all_of_it):
        options = tuple(Option(labelled(act), act) for act in (single, all_of_it))
        return Ask("Is that one thing to do, or several?", options)
    if all_of_it is None or (isinstance(single, Act | Refuse) and not isinstance(all_of_it, Act)):
        return single
    return all_of_it


def _added(words: Said, context: Context) -> Reading | None:
    """Return the task that is added, with the command after it. What follows would change something is asked, not done."""
    found = adding(words, context)
    if found is None or not isinstance(found, tuple):
        return found
    first, more = found
    following = _single(words.part(more), context)
    if not isinstance(first, Act) or following is None:
        return first
    if isinstance(following, Act) and following.tool == "list_tasks":
        return Act(first.tool, first.arguments, first.confidence, then=(following,))
    whole = adding(words.part(re.sub(r" (?=and\b|then\b)", " \u200b", words.words)), context)
    options = [Option(labelled(whole).replace("\u200b", ""), _without_marks(whole))] if isinstance(whole, Act) else []
    if isinstance(following, Act):
        both = Act(first.tool, first.arguments, 0.5, then=(following,))
        options.append(Option(labelled(both), both))
    return Ask("Is the end of it part of the task, or something else to do?", tuple(options[:2]))


def _without_marks(act: Act) -> Act:
    arguments = {
        key: value.replace("\u200b", "") if isinstance(value, str) else value for key, value in act.arguments.items()
    }
    return Act(act.tool, arguments, 0.5)


def _single(words: Said, context: Context) -> Reading | None:
    """Return the reading of one clause."""
    if re.fullmatch(rf"(?:{MARK}|\W)*", words.words):
        return None
    asking = words.asked or guards.is_question(words) or SHOWING.match(words.words)
    return (
        (listing(words, context) if asking else None)
        or _looked(words, context)
        or _changed(words, context)
        or listing(words, context)
        or pointing(words)
        or (None if guards.negated(words.words) else told(words))
    )


def _looked(words: Said, context: Context) -> Reading | None:
    found = hub(words, context)
    return guards.guarded(words, found) if isinstance(found, Candidate) else found


def _changed(words: Said, context: Context) -> Reading | None:
    found = updating(words, context) or completing(words, context) or deleting(words, context)
    if isinstance(found, Candidate):
        return guards.guarded(words, found) if " or " not in found.head else None
    if found is not None and guards.negated(words.words):
        return guards.left_alone(words) or found
    return None if found is None else talk.about(words) or found


def _alternatives(words: Said, context: Context) -> Ask | None:
    """Return the question which of two commands is meant: `finish or delete task 3`, `delete task 3 or 4`."""
    parts = _OR.split(words.words)
    if len(parts) != 2 or guards.is_question(words):
        return None
    left, right = parts
    verb = re.match(r"(?:mark|get rid of|check off|tick off|\w+)", left)
    tries = (
        (left, right),
        (left, f"{verb.group() if verb else ''} {right}"),
        (left, f"{verb.group() if verb else ''} task {right}"),
        (f"{left} {re.sub(r'^[a-z]+ ', '', right, flags=re.IGNORECASE)}", right),
    )
    for one, other in tries:
        acts = [_offer(_single(words.part(each), context)) for each in (one, other)]
        if acts[0] and acts[1]:
            return Ask("Which of the two?", tuple(Option(labelled(act), act) for act in acts if act))
    return None


def _offer(reading: Reading | None) -> Act | None:
    """Return what a reading does, or what it would do if it were confirmed."""
    if isinstance(reading, Act):
        return reading
    return reading.options[0].reading if isinstance(reading, Ask) and len(reading.options) == 1 else None


def _clause(words: Said, context: Context) -> Reading | None:
    found = adding(words, context)
    if found is not None:
        return found[0] if isinstance(found, tuple) else found
    return talk.guarded_against(words) or _single(words, context)


def _mistyped(words: Said, context: Context) -> Reading | None:
    """Return the reading of a command whose first word has a slip of the keyboard; what changes something is asked."""
    first, blank, rest = words.words.partition(" ")
    verb = next((verb for verb in _TYPED if slip(first.lower(), verb)), None)
    found = _commanded(words.part(f"{verb}{blank}{rest}"), context) if verb and rest else None
    if isinstance(found, Act) and found.tool in CHANGING:
        return guards.confirmed(found)
    return found if isinstance(found, Act) else None


def _permitted(reading: Reading, context: Context) -> Reading:
    """Return the reading without the tools that aren't there."""
    if isinstance(reading, Act):
        missing = [act.tool for act in (reading, *reading.then) if act.tool not in context.tools]
        if missing:
            return Refuse(
                f"I can't do that here: {missing[0].replace('_', ' ')} is not among the things that I may do."
            )
    if isinstance(reading, Ask):
        options = tuple(
            option
            for option in reading.options
            if {act.tool for act in (option.reading, *option.reading.then)} <= context.tools
        )
        return reading if len(options) == len(reading.options) else Ask(reading.text, options)
    return reading
