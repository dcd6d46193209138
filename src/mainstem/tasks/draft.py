"""Reads what people say of a task: titles, labels, links, dates. Pure; what is wrong is an InvalidFieldError by field."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.web.text import clean
from mainstem.tasks import when
from mainstem.tasks.model import LinkType, TaskLink
from mainstem.tasks.repeat import placed

LONGEST_TITLE: Final = 200
LONGEST_DESCRIPTION: Final = 1_024
LONGEST_COMMENT: Final = 4_000
LONGEST_LABEL: Final = 50
MOST_LABELS: Final = 50
LONGEST_DUE: Final = 200
MOST_LINKS: Final = 50
MOST_REMINDERS: Final = 20
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_FROM_COMPLETION: Final = re.compile(r"\b(every)!\s*", re.IGNORECASE)
_NUMBER: Final = r"[1-9]\d{0,9}"
_PART: Final = r"[^/\s]{1,100}"
_IDS: Final[dict[LinkType, tuple[re.Pattern[str], str]]] = {
    LinkType.BOOKING: (re.compile(rf"{_PART}/[^/\s]{{0,100}}/{_PART}"), "connector/site/booking"),
    LinkType.ORDER: (re.compile(rf"{_PART}/[^/\s]{{0,100}}/[^/]{{1,100}}"), "connector/establishment/local id"),
    LinkType.VISITOR: (re.compile(r"[vuh]:\S{1,200}"), "v:<visitor id>, u:<user id> or h:<hash>"),
    LinkType.ALERT: (re.compile(_NUMBER), "the alert's number"),
    LinkType.WEBHOOK: (re.compile(_NUMBER), "the webhook's number"),
    LinkType.LINK: (re.compile(r"[^\s/][^\n\r\t]{0,99}"), "the link's tracking id"),
}


@dataclass(frozen=True, slots=True)
class Due:
    """When a task is due, and what was said about it."""

    at: datetime
    """UTC."""
    all_day: bool = False
    words: str | None = None
    recurrence: str | None = None
    from_completion: bool = False
    """The words were `every!`: the next date is counted from when this one was done."""


def title_of(text: str) -> str:
    """Return a title, trimmed, of 1 to 200 characters."""
    found = " ".join(clean(text).split())
    if not 1 <= len(found) <= LONGEST_TITLE:
        raise InvalidFieldError(f"A title has 1 to {LONGEST_TITLE} characters.", field="title")
    return found


def description_of(text: str) -> str:
    """Return a description of at most 1,024 characters."""
    found = clean(text)
    if len(found) > LONGEST_DESCRIPTION:
        raise InvalidFieldError(f"A description has at most {LONGEST_DESCRIPTION:,} characters.", field="description")
    return found


def comment_of(text: str) -> str:
    """Return a comment, trimmed, of 1 to 4,000 characters."""
    found = clean(text).strip()
    if not 1 <= len(found) <= LONGEST_COMMENT:
        raise InvalidFieldError(f"A comment has 1 to {LONGEST_COMMENT:,} characters.", field="body")
    return found


def labels_of(words: Sequence[str]) -> list[str]:
    """Return labels, each once, trimmed, in order; a leading # or @ is dropped."""
    found = list(dict.fromkeys(" ".join(clean(word).split()).lstrip("#@") for word in words))
    if len(found) > MOST_LABELS or not all(1 <= len(word) <= LONGEST_LABEL for word in found):
        raise InvalidFieldError(
            f"A task has at most {MOST_LABELS} labels of 1 to {LONGEST_LABEL} characters.", field="labels"
        )
    return found


def link_of(type_: str, id_: str) -> TaskLink:
    """Return a link to a thing of the hub, whose id has the form of its type."""
    kind = type_.strip().lower()
    if kind not in set(LinkType):
        raise InvalidFieldError(f"type must be one of {', '.join(LinkType)}.", field="type", code="unknown_link_type")
    found = clean(id_).strip()
    pattern, form = _IDS[LinkType(kind)]
    if pattern.fullmatch(found) is None:
        raise InvalidFieldError(f"The id of a {kind} is {form}.", field="id", code="invalid_link_id")
    return TaskLink(LinkType(kind), found)


def read_due(given: datetime | str, *, now: datetime, zone: ZoneInfo, field: str = "due") -> Due:
    """Return when something is due by a time or by words; naive times are of the zone.

    Raises InvalidFieldError for words that say no time, and for times before 1970 or after 2199.
    """
    found = _of_time(given, zone) if isinstance(given, datetime) else _of_text(clean(given).strip(), now, zone)
    if found is None:
        raise InvalidFieldError(
            "This says no time; try 2026-12-01, tomorrow at 9 or every friday.", field=field, code="due_not_understood"
        )
    if not _EARLIEST <= found.at < _LATEST:
        raise InvalidFieldError("A due date lies between 1970 and 2199.", field=field)
    return found


def _of_time(moment: datetime, zone: ZoneInfo) -> Due:
    return Due(placed(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC))


def _of_text(text: str, now: datetime, zone: ZoneInfo) -> Due | None:
    if not 0 < len(text) <= LONGEST_DUE:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _of_words(text, now, zone)
    if _DAY.fullmatch(text):
        # a whole day is due at its last second
        return Due(placed(moment.replace(hour=23, minute=59, second=59), zone), all_day=True)
    return _of_time(moment, zone)


def _of_words(text: str, now: datetime, zone: ZoneInfo) -> Due | None:
    # Todoist's way to say that the next one is counted from when this one was done
    from_completion = _FROM_COMPLETION.search(text) is not None
    found = when.find(_FROM_COMPLETION.sub(r"\1 ", text), now=now, zone=zone)
    if found is None or found.due is None:
        return None
    return Due(found.due.astimezone(UTC), found.all_day, text, found.recurrence, from_completion)


def remind_at(due: datetime | None, minutes_before: int) -> datetime | None:
    """Return when to remind of something that is due then."""
    return None if due is None else due - timedelta(minutes=minutes_before)
