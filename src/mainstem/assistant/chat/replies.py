"""What the hub says in its own words: what came of a call, and whether a reply is a yes or a no. Pure."""

import re
from typing import Any, Final

from mainstem.assistant.ports import ConfirmationNeeded, Done, Failed, Outcome

_YES: Final = re.compile(
    r"(?:yes|y|yep|yeah|yup|sure|ok|okay|do it|go ahead|confirm(?:ed)?|approve[d]?|please do|yes please|yes,? do it)",
    re.IGNORECASE,
)
_NO: Final = re.compile(
    r"(?:no|n|nope|nah|don'?t|do not|cancel|stop|never ?mind|leave it|no,? (?:thanks|thank you)|deny|denied)",
    re.IGNORECASE,
)
_ENDS: Final = " \t\n.!,"


def yes_or_no(text: str) -> bool | None:
    """Return whether a reply is a plain yes or a plain no; None for anything else."""
    word = text.strip(_ENDS).replace("\u2019", "'")
    if _YES.fullmatch(word):
        return True
    return False if _NO.fullmatch(word) else None


def of_answer(outcome: Outcome) -> str:
    """Return what came of a call, in a sentence or a short list."""
    match outcome:
        case Done():
            return _done(outcome)
        case ConfirmationNeeded():
            return f"{outcome.question} Answer yes or no."
        case Failed():
            return outcome.detail


def _done(outcome: Done) -> str:
    data = outcome.data
    say = _SENTENCES.get(outcome.tool)
    return "Done." if say is None else say(data)


def _task(verb: str) -> Any:  # noqa: ANN401 - a function
    return lambda data: f"{verb} task {data['task_id']}: {data['title']}."


def _tasks(data: Any) -> str:  # noqa: ANN401 - JSON
    if not data:
        return "There are no such tasks."
    lines = [_task_line(row) for row in data]
    count = f"{len(data)} task{'s' if len(data) > 1 else ''}:"
    return "\n".join([count, *lines])


def _task_line(row: Any) -> str:  # noqa: ANN401 - JSON
    due = "" if row["due"] is None else f", due {row['due']}"
    important = "" if row["priority"] == "medium" else f", {row['priority']} priority"
    return f"{row['id']}. {'[x]' if row['completed'] else '[ ]'} {row['title']}{due}{important}"


def _links(data: Any) -> str:  # noqa: ANN401 - JSON
    if not data["links"]:
        return "There are no such links."
    lines = [f"{one['link_id']}. {one['title'] or one['slug']}: {one['clicks']} clicks" for one in data["links"]]
    return "\n".join(lines + (["There are more."] if data["more"] else []))


def _stats(data: Any) -> str:  # noqa: ANN401 - JSON
    what = data["title"] or (f"Link {data['link_id']}" if data["link_id"] is not None else "All links")
    return (
        f"{what}: {data['clicks']} clicks of {data['visitors']} visitors in {data['days']} days "
        f"({data['clicks_before']} in as many days before)."
    )


def _journey(data: Any) -> str:  # noqa: ANN401 - JSON
    if not data["steps"]:
        return "Nothing is known of this customer in these days."
    steps = [f"{one['at'][:16].replace('T', ' ')} {one['kind']} {one['what'] or ''}".rstrip() for one in data["steps"]]
    return "\n".join(["The latest first:", *steps[:20]])


def _webhooks(data: Any) -> str:  # noqa: ANN401 - JSON
    if not data["webhooks"]:
        return "No webhook is failing."
    return "\n".join(
        f"{one['webhook_id']}. {one['name']} is {one['health']}"
        + "".join(f"; delivery {failed['delivery_id']} ({failed['kind']}) was given up" for failed in one["failed"][:3])
        for one in data["webhooks"]
    )


def _alerts(data: Any) -> str:  # noqa: ANN401 - JSON
    if not data["alerts"]:
        return "There are no such alerts."
    lines = [
        f"{one['alert_id']}. {one['severity']} {one['alert_type']} ({one['status']}): {one['message']}"
        for one in data["alerts"]
    ]
    return "\n".join(lines)


def _booking(data: Any) -> str:  # noqa: ANN401 - JSON
    day = data["takes_place_on"] or "a day that is not set"
    order = data["orders"][0] if data["orders"] else None
    about = "It has no order." if order is None else f"Its order is {order['state']}."
    return f"Booking {data['booking_id']}, {data['name']}, on {day}: {about} {data['explanation']}"


def _reconciled(data: Any) -> str:  # noqa: ANN401 - JSON
    if not data["success"]:
        return f"The comparison did not succeed: {data['error'] or 'see the run'}."
    found = data["differences"]
    return f"{data['queried']} bookings compared. " + ("Nothing differs." if not found else "\n".join(found[:20]))


_SENTENCES: Final[dict[str, Any]] = {
    "add_task": _task("Added"),
    "complete_task": _task("Completed"),
    "delete_task": _task("Deleted"),
    "update_task": _task("Changed"),
    "list_tasks": _tasks,
    "search_links": _links,
    "link_stats": _stats,
    "customer_journey": _journey,
    "failing_webhooks": _webhooks,
    "list_alerts": _alerts,
    "explain_booking": _booking,
    "run_reconciliation": _reconciled,
    "resend_delivery": lambda data: f"Delivery {data['delivery_id']} is on its way again.",
    "acknowledge_alert": lambda data: f"Alert {data['alert_id']} is acknowledged.",
}
