"""What came of a call in a sentence. Numbers, ids and states alone: what people wrote stands in the JSON beside it. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Summary = Callable[[Any], str]


def summary_of(tool: str, title: str, data: Any) -> str:  # noqa: ANN401 - any JSON
    """Return the sentence about the result of a tool."""
    summary = SUMMARIES.get(tool)
    return f"{title}: done." if summary is None else summary(data)


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _tasks(data: Any) -> str:  # noqa: ANN401 - any JSON
    pending = sum(not task["completed"] for task in data)
    return f"{_counted(len(data), 'task')}, {pending} of them pending."


def _webhooks(data: Any) -> str:  # noqa: ANN401 - any JSON
    failed = sum(len(one["failed"]) for one in data["webhooks"])
    if not data["webhooks"]:
        return "No webhook fails."
    sick = _counted(len(data["webhooks"]), "webhook fails or is off", "webhooks fail or are off")
    return f"{sick}, with {_counted(failed, 'delivery', 'deliveries')} given up lately."


def _booking(data: Any) -> str:  # noqa: ANN401 - any JSON
    return f"Booking {data['booking_id']}: {_counted(len(data['orders']), 'order')}. {data['explanation']}"


def _reconciled(data: Any) -> str:  # noqa: ANN401 - any JSON
    found = _counted(len(data["differences"]), "difference")
    return f"{_counted(data['queried'], 'booking')} compared, {found}; nothing was written."


SUMMARIES: Final[Mapping[str, Summary]] = {
    "add_task": lambda data: f"Created task {data['task_id']}.",
    "list_tasks": _tasks,
    "complete_task": lambda data: f"Task {data['task_id']} is completed.",
    "delete_task": lambda data: f"Deleted task {data['task_id']}.",
    "update_task": lambda data: f"Changed task {data['task_id']}.",
    "search_links": lambda data: (
        f"{_counted(len(data['links']), 'link')} found{', and there are more' if data['more'] else ''}."
    ),
    "link_stats": lambda data: (
        f"{_counted(data['clicks'], 'click')} in {_counted(data['days'], 'day')}, {data['clicks_before']} in those before."
    ),
    "failing_webhooks": _webhooks,
    "resend_delivery": lambda data: f"Delivery {data['delivery_id']} is {data['status']} again.",
    "list_alerts": lambda data: f"{_counted(len(data['alerts']), 'alert')} of {data['total']}.",
    "acknowledge_alert": lambda data: f"Alert {data['alert_id']} is {data['status']}.",
    "explain_booking": _booking,
    "run_reconciliation": _reconciled,
    "customer_journey": lambda data: (
        f"{_counted(len(data['steps']), 'step')} by {_counted(data['visitors'], 'visitor')}, the latest first."
    ),
}
