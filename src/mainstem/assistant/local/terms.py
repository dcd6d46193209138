"""What the local understanding takes and gives. Values only.

Arguments of an `Act` by tool, all optional unless starred; numbers are int, everything else str, `labels` a list of str:

- `add_task`: title*, description, due, recurrence, priority, labels
- `list_tasks`: status* (all, pending, completed), due, priority, label, search, sort (due, priority)
- `complete_task`, `delete_task`: task_id; `update_task`: task_id, title, description, due (None: it has no date any more), recurrence, priority, labels (that it has
  besides), remove_labels, status (pending, in_progress)
- `search_links`: query; `link_stats`: link, all links when absent; `customer_journey`: customer*; `explain_booking`: booking*
- `failing_webhooks`: none; `resend_delivery`: delivery_id*; `list_alerts`: state (open, firing, acknowledged, resolved)
- `acknowledge_alert`: alert_id*, reason; `run_reconciliation`: connector, hours_back

`due` of a task is `2026-11-25` for a whole day, else a time with its offset; `recurrence` an RRULE value. `due` of a list is a day,
an interval of days `2026-11-24/2026-11-29` with both ends in it, or `overdue`. `priority` is low, medium or high.
Where an object is named by words, its id is missing and `find` has the words.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Act:
    """A call of a tool. `find`: words by which its object must be looked up; `then`: what else was asked for, in order."""

    tool: str
    arguments: dict[str, object]
    confidence: float
    find: str | None = None
    then: tuple["Act", ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One of the readings that a person may choose."""

    label: str
    reading: Act


@dataclass(frozen=True, slots=True)
class Ask:
    """A question back, with the readings that were nearest; none when there is nothing to choose from."""

    text: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing is done, and why."""

    text: str


@dataclass(frozen=True, slots=True)
class Talk:
    """An answer that does nothing: a greeting, thanks, help."""

    text: str


Reading: TypeAlias = Act | Ask | Refuse | Talk


@dataclass(frozen=True, slots=True)
class Mentioned:
    """A thing that was shown to the person: a `kind` ("task", "alert", "delivery", …), its id and its title."""

    kind: str
    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked back last."""

    text: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """In what a text is understood: when and where, the tools that may be called, what was shown last, what was asked last."""

    now: datetime
    zone: ZoneInfo
    tools: frozenset[str]
    mentioned: tuple[Mentioned, ...] = ()
    question: Question | None = None
