"""A reading on its way: what a rule found, and the words that decide whether it may be done. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from mainstem.assistant.local.terms import Act, Ask, Option, Refuse

_VERBS: Final = {
    "add_task": "add",
    "list_tasks": "show",
    "complete_task": "complete",
    "delete_task": "delete",
    "update_task": "change",
    "search_links": "show links",
    "link_stats": "show the clicks of link",
    "customer_journey": "show the journey of customer",
    "failing_webhooks": "show failing webhooks",
    "resend_delivery": "send again delivery",
    "list_alerts": "show alerts",
    "acknowledge_alert": "acknowledge alert",
    "run_reconciliation": "compare bookings with orders",
    "explain_booking": "explain booking",
}
CHANGING: Final = frozenset({"complete_task", "delete_task", "update_task", "resend_delivery", "acknowledge_alert"})
"""Tools that change what is there; adding a task changes nothing that was there."""
FINAL: Final = frozenset({"complete_task", "delete_task"})
"""Tools after which a task is no longer where it was."""
OTHER_CHANGES: Final = re.compile(
    r"^(?:delete|remove|cancel|create|add|make|new|disable|enable|turn (?:on|off)|deactivate|activate|resolve|silence|mute|close|sync|inject|update|change|edit|rename|erase|pause|stop|move|book|submit|push|shorten|revoke|rotate)\b",
    re.IGNORECASE,
)
"""Beginnings of commands that change something in the hub, for which there may be no tool."""
_SHOW_TASKS: Final = Option("Show my tasks", Act("list_tasks", {"status": "pending"}, 0.9))


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a rule read, and `head`: the words of the command without the free text that is only carried along."""

    act: Act
    head: str


def labelled(act: Act, *, low: bool = False) -> str:
    """Return what an act does, for people: `Delete task 3`, `Add 'buy milk'`."""
    parts = [_one(act), *(_one(more) for more in act.then)]
    text = ", then ".join(part.strip() for part in parts)
    return text if low else text[:1].upper() + text[1:]


def _one(act: Act) -> str:
    verb, arguments = _VERBS.get(act.tool, act.tool), act.arguments
    if act.tool == "add_task":
        when = f" for {arguments['due']}" if "due" in arguments else ""
        return f"add '{arguments.get('title', '')}'{when}"
    if act.tool == "list_tasks":
        about = arguments.get("search")
        status = arguments.get("status", "all")
        return f"look for tasks with '{about}'" if about else f"show {status} tasks"
    if act.tool == "search_links" and "query" in arguments:
        return f"look for links with '{arguments['query']}'"
    if act.tool == "acknowledge_alert":
        return f"acknowledge alert {arguments['alert_id']}"
    if "task_id" in arguments:
        what = f"task {arguments['task_id']}"
    elif act.find:
        what = f"the task '{act.find}'"
    else:
        what = " ".join(str(value) for value in arguments.values())
    changes = ", ".join(_change(key.replace("_", " "), value) for key, value in arguments.items() if key != "task_id")
    return f"{verb} {what}" + (f": {changes}" if act.tool == "update_task" and changes else "")


def _change(name: str, value: object) -> str:
    if isinstance(value, list):
        return f"{name} {', '.join(map(str, value))}"
    return f"{name} {value}" if value else f"no {name}"


def asking(verb: str) -> Ask:
    """Return the question for a task that wasn't named."""
    return Ask(f"Which task shall I {verb}? Say its number or its title.", (_SHOW_TASKS,))


def bulk() -> Refuse:
    """Return the answer to those who want everything at once."""
    return Refuse(
        "I only change tasks that are named one by one. Say their numbers, for example: delete tasks 2 and 5."
    )
