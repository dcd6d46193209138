"""The local model: reads a message by rules, finds what it names, calls tools, and says what came of it. No network, no chance."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from mainstem.assistant.chat.replies import of_answer
from mainstem.assistant.local.memory import kept, recalled, shown_by
from mainstem.assistant.local.reading import understand
from mainstem.assistant.local.similar import choose, likeness
from mainstem.assistant.local.terms import Act, Ask, Context, Mentioned, Option, Question, Reading, Refuse
from mainstem.assistant.local.terms import Talk as Spoken
from mainstem.assistant.ports import Answered, Done, Failed, Hands, Outcome, Say, Talk
from mainstem.tasks.when import words

NAME: Final = "local"
_TASKS: Final = frozenset({"complete_task", "delete_task", "update_task"})
_SURE: Final = 0.75
"""What is read with less is asked about before it deletes or sends anything."""
_WHOLE_NAME: Final = 0.8
"""From here on all words of a name are in the title."""
_MOST: Final = 100
_RENAMED: Final[Mapping[str, Mapping[str, str]]] = {
    "search_links": {"query": "search"},
    "customer_journey": {"customer": "customer"},
    "explain_booking": {"booking": "booking_id"},
    "list_alerts": {"state": "status"},
    # what is said of labels adds one: the others stay
    "update_task": {"labels": "add_labels"},
    "acknowledge_alert": {"reason": "notes"},
}
"""Words of the understanding that are other arguments of the tools."""
_MAY_BE_NONE: Final = frozenset({"due"})
"""What is taken away by being nothing."""


class LocalModel:
    """Answers without a language model."""

    @property
    def name(self) -> str:
        """Name in messages and in the ledger of usage."""
        return NAME

    @property
    def counts(self) -> bool:
        """It costs nothing."""
        return False

    async def answer(self, talk: Talk, hands: Hands, say: Say) -> Answered:
        """Answer a message; see `Model`."""
        mentioned, question = recalled(talk.asked)
        reading = read(talk, mentioned, question)
        asked: Ask | None = None
        match reading:
            case Act():
                chosen = question is not None and any(reading == option.reading for option in question.options)
                shown, asked = await _act(reading, talk, hands, say, sure=chosen)
                mentioned = tuple(shown) or mentioned
            case Ask():
                asked = reading
            case Refuse(text) | Spoken(text):
                await say(text)
        if asked is not None:
            await say(_question(asked))
        return Answered(asked=kept(mentioned, asked))


def read(talk: Talk, mentioned: tuple[Mentioned, ...] = (), question: Question | None = None) -> Reading:
    """Return what a message asks for."""
    tools = frozenset(tool.name for tool in talk.tools)
    return understand(talk.message, Context(talk.now, talk.zone, tools, mentioned, question))


async def _act(reading: Act, talk: Talk, hands: Hands, say: Say, *, sure: bool) -> tuple[list[Mentioned], Ask | None]:
    """Do all of a reading in order, up to what is asked or fails; return what was shown, and the question."""
    shown: list[Mentioned] = []
    acts = [replace(reading, then=()), *reading.then]
    for number, act in enumerate(acts):
        if number:
            await say("\n")
        found = await _found(act, hands)
        if isinstance(found, Ask):
            rest = tuple(acts[number + 1 :])
            options = tuple(Option(one.label, replace(one.reading, then=rest)) for one in found.options)
            return shown, replace(found, options=options)
        if isinstance(found, str):
            await say(found)
            return shown, None
        arguments, named = found
        confirmed = sure or (named and act.confidence >= _SURE)
        outcome = await hands.call(act.tool, arguments, confirmed=confirmed)
        if not isinstance(outcome, Done):
            await say(of_answer(outcome))
            return shown, None
        date = dated(act, talk.now, talk.zone)
        await say(of_answer(outcome).removesuffix(".") + f"{date}." if date else of_answer(outcome))
        shown = shown_by(outcome) or shown
    return shown, None


def dated(act: Act, now: datetime, zone: ZoneInfo) -> str:
    """Return the date that a task was given, as it was understood, to go on a sentence with; empty without one."""
    due = act.arguments.get("due")
    if act.tool not in {"add_task", "update_task"} or not isinstance(due, str):
        return ""
    try:
        at = datetime.fromisoformat(due)
    except ValueError:
        return ""
    all_day = at.tzinfo is None
    told = words(at.replace(tzinfo=zone) if all_day else at, now=now, zone=zone, all_day=all_day)
    return f", due {told}" + (", and again after that" if act.arguments.get("recurrence") else "")


async def _found(act: Act, hands: Hands) -> tuple[dict[str, Any], bool] | Ask | str:
    """Return the arguments of a call and whether its object is named beyond doubt; else a question, or why there is none."""
    if act.tool == "link_stats":
        return await _link(act, hands)
    arguments = arguments_of(act)
    if act.find is None or act.tool not in _TASKS:
        return arguments, True
    listed = await tasks_like(act, hands)
    if isinstance(listed, Failed):
        return listed.detail
    match choose(act.find, listed):
        case Mentioned() as one:
            return {**arguments, "task_id": int(one.id)}, likeness(act.find, one.title) >= _WHOLE_NAME
        case ():
            return f"There is no task like “{act.find}”."
        case several:
            options = tuple(Option(f"{one.title} (task {one.id})", _with_id(act, one)) for one in several)
            return Ask("Which task do you mean?", options)


async def tasks_like(act: Act, hands: Hands) -> list[Mentioned] | Failed:
    """Return the tasks that an act may mean: those with its words, or else all of them."""
    status = "pending" if act.tool == "complete_task" else "all"
    for more in ({"search": act.find}, {}):
        outcome = await hands.call("list_tasks", {"status": status, "limit": _MOST, **more})
        if isinstance(outcome, Failed):
            return outcome
        shown = _shown(outcome)
        if shown:
            return shown
    return []


async def _link(act: Act, hands: Hands) -> tuple[dict[str, Any], bool] | Ask | str:
    wanted = str(act.arguments.get("link") or "").lstrip("/")
    rest = {name: value for name, value in act.arguments.items() if name != "link"}
    if not wanted:
        return rest, True
    outcome = await hands.call("search_links", {"search": wanted})
    if isinstance(outcome, Failed):
        return outcome.detail
    links = outcome.data["links"] if isinstance(outcome, Done) else []
    exact = [one["link_id"] for one in links if wanted in {one["slug"], one["tracking_id"], str(one["link_id"])}]
    if len(exact) == 1 or len(links) == 1:
        return {**rest, "link_id": exact[0] if exact else links[0]["link_id"]}, True
    if not links:
        return ({**rest, "link_id": int(wanted)}, True) if wanted.isdecimal() else f"There is no link like “{wanted}”."
    options = tuple(
        Option(one["title"] or one["slug"], replace(act, arguments={**rest, "link": one["tracking_id"]}))
        for one in links[:5]
    )
    return Ask("Which link do you mean?", options)


def arguments_of(act: Act) -> dict[str, Any]:
    """Return the arguments of an act as its tool takes them."""
    renamed = _RENAMED.get(act.tool, {})
    given = {
        renamed.get(name, name): value
        for name, value in act.arguments.items()
        if value is not None or name in _MAY_BE_NONE
    }
    if act.tool == "customer_journey" and "@" in str(given.get("customer", "")):
        given["email"] = given.pop("customer")
    return given


def _with_id(act: Act, one: Mentioned) -> Act:
    return Act(act.tool, {**act.arguments, "task_id": int(one.id)}, act.confidence)


def _shown(outcome: Outcome) -> list[Mentioned]:
    return shown_by(outcome) if isinstance(outcome, Done) else []


def _question(asked: Ask) -> str:
    listed = [f"{number}. {option.label}" for number, option in enumerate(asked.options, 1)]
    return "\n".join([asked.text, *listed])
