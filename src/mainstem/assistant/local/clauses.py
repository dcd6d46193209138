"""Several commands in one sentence: its clauses, and what "it" is in the later ones. Pure."""

import re
from collections.abc import Callable
from typing import Final

from mainstem.assistant.local import guards
from mainstem.assistant.local.candidates import CHANGING, FINAL, labelled
from mainstem.assistant.local.frames import meant
from mainstem.assistant.local.said import Said
from mainstem.assistant.local.slots import PRIORITY
from mainstem.assistant.local.terms import Act, Ask, Context, Option, Reading

_CLAUSES: Final = re.compile(
    r",? and (?:then |also |please )*|,? then |; ?|, (?=(?:due|low|high|medium|top|urgent)\b[^,]*$)|\n|(?<=[a-z\d\ue000-\ue03f])[.!?] +",
    re.IGNORECASE,
)
_MORE_OF_IT: Final = re.compile(rf"due\b|(?:to )?{PRIORITY}(?:[- ]prio(?:rity)?)$|urgent$", re.IGNORECASE)
"""What goes on with a change that has begun: `make it low priority and due monday`."""
_MOST_CLAUSES: Final = 10
_WORDLESS: Final = frozenset({"run_reconciliation", "list_alerts", "failing_webhooks"})
"""Tools that take no words: what follows one is not part of it."""


def several(words: Said, context: Context, read: Callable[[Said, Context], Reading | None]) -> Reading | None:
    """Return several commands in one sentence; all of its clauses must be commands, or talk before the last one."""
    parts = [part for part in _CLAUSES.split(words.words) if part.strip()]
    if not 2 <= len(parts) <= _MOST_CLAUSES:
        return None
    readings: list[Reading | None] = []
    for at, clause in enumerate(parts):
        named = next((name for one in readings if isinstance(one, Act) and (name := _name(one))), None)
        part = f"set it {clause}" if at and _MORE_OF_IT.match(clause) else clause
        readings.append(read(words.part(meant(part, " ".join(parts[:at]), named)), context))
    acts = [reading for reading in readings if isinstance(reading, Act)]
    if len(acts) == len(readings):
        return _all_of(words, acts)
    if None not in readings:
        return next(reading for reading in readings if not isinstance(reading, Act))
    last = readings[-1]
    if (
        isinstance(last, Act)
        and last.tool in {"add_task", "list_tasks"}
        and all(reading is None for reading in readings[:-1])
    ):
        return last
    only = acts[0] if len(acts) == 1 else None
    if only and only.tool in CHANGING and all(reading is None or reading is only for reading in readings):
        return Ask(
            f"I understood only a part of it. Shall I {labelled(only, low=True)}?", (Option(labelled(only), only),)
        )
    return None


def _all_of(words: Said, acts: list[Act]) -> Reading:
    """Return several acts as one; what is final isn't done on words with a negation among them."""
    flat: list[Act] = []
    for each in (each for act in acts for each in (Act(act.tool, act.arguments, act.confidence, act.find), *act.then)):
        if flat and each.tool == flat[-1].tool == "update_task" and _object(each) == _object(flat[-1]):
            # one change of two things
            flat[-1] = Act("update_task", flat[-1].arguments | each.arguments, each.confidence, each.find)
        else:
            flat.append(each)
    whole = Act(flat[0].tool, flat[0].arguments, 0.9, flat[0].find, tuple(flat[1:]))
    if guards.negated(words.words) and any(act.tool in FINAL for act in flat):
        return guards.left_alone(words) or guards.confirmed(whole)
    return whole


def _name(act: Act) -> str | None:
    """Return how to call the task of an act."""
    if "task_id" in act.arguments:
        return f"task {act.arguments['task_id']}"
    return f"the {act.find} task" if act.find else None


def _object(act: Act) -> tuple[object, str | None]:
    return act.arguments.get("task_id"), act.find


def differ(single: Act, several: Act) -> bool:
    """Whether one reading isn't just the beginning of the other."""
    return single.tool not in _WORDLESS and (single.arguments, single.find) != (several.arguments, several.find)
