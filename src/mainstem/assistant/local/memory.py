"""What the local model keeps between two messages: what it has shown, and what it has asked. As JSON, for any process. Pure."""

from collections.abc import Iterable
from typing import Any, Final

from mainstem.assistant.local.terms import Act, Ask, Mentioned, Option, Question
from mainstem.assistant.ports import Done

_MOST: Final = 20


def kept(mentioned: Iterable[Mentioned], question: Ask | None) -> dict[str, Any]:
    """Return what is to be remembered."""
    asked = None if question is None else {"text": question.text, "options": [_option(one) for one in question.options]}
    shown = [[one.kind, one.id, one.title] for one in list(mentioned)[:_MOST]]
    return {"mentioned": shown, "question": asked}


def recalled(state: Any) -> tuple[tuple[Mentioned, ...], Question | None]:  # noqa: ANN401 - JSON
    """Return what was shown and asked last; what another model has kept is nothing."""
    if not isinstance(state, dict) or "mentioned" not in state:
        return (), None
    mentioned = tuple(Mentioned(*one) for one in state["mentioned"])
    asked = state.get("question")
    if asked is None:
        return mentioned, None
    options = tuple(Option(one["label"], _act(one["act"])) for one in asked["options"])
    return mentioned, Question(asked["text"], options)


def shown_by(done: Done) -> list[Mentioned]:
    """Return the things that a result shows, in their order."""
    data = done.data
    match done.tool:
        case "list_tasks":
            return [Mentioned("task", str(one["id"]), one["title"]) for one in data]
        case "add_task" | "complete_task" | "update_task":
            return [Mentioned("task", str(data["task_id"]), data["title"])]
        case "list_alerts":
            return [Mentioned("alert", str(one["alert_id"]), one["alert_type"]) for one in data["alerts"]]
        case "failing_webhooks":
            failed = [delivery for one in data["webhooks"] for delivery in one["failed"]]
            return [Mentioned("delivery", str(one["delivery_id"]), one["kind"]) for one in failed]
        case "search_links":
            return [Mentioned("link", str(one["link_id"]), one["title"] or one["slug"]) for one in data["links"]]
        case _:
            return []


def _option(one: Option) -> dict[str, Any]:
    return {"label": one.label, "act": _plain(one.reading)}


def _plain(act: Act) -> dict[str, Any]:
    return {
        "tool": act.tool,
        "arguments": act.arguments,
        "confidence": act.confidence,
        "find": act.find,
        "then": [_plain(one) for one in act.then],
    }


def _act(state: dict[str, Any]) -> Act:
    then = tuple(_act(one) for one in state["then"])
    return Act(state["tool"], state["arguments"], state["confidence"], state["find"], then)
