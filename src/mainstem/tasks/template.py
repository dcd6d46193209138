"""Titles of tasks that rules make: text with `{placeholders}` for what an event says. Pure.

A placeholder is a dotted path into the event's data (`{booking_id}`, `{guest.table}`), or `{$kind}`, `{$source}`,
`{$subject}`. Nothing else is ever evaluated. What is not there is `?`; what is sealed, or no plain value, is `…`.
"""

import re
from collections.abc import Mapping
from typing import Final

from mainstem.events.filters import Subject
from mainstem.pii.token import PREFIX
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.web.text import clean
from mainstem.tasks.draft import link_of
from mainstem.tasks.model import LinkType, TaskLink

_PLACEHOLDER: Final = re.compile(r"\{(\$kind|\$source|\$subject|[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+){0,9})\}")
_LONGEST_VALUE: Final = 100
_MISSING: Final = "?"
_HIDDEN: Final = "…"


def check(text: str, *, field: str) -> str:
    """Return a template. Raises InvalidFieldError for braces that are no placeholder."""
    left = _PLACEHOLDER.sub("", text)
    if "{" in left or "}" in left:
        raise InvalidFieldError(
            "A placeholder is a path into the event's data, such as {booking_id}, or {$kind}, {$source}, {$subject}.",
            field=field,
        )
    return text


def filled(template: str, event: Subject, most: int) -> str:
    """Return a template with what an event says, in at most so many characters."""
    text = _PLACEHOLDER.sub(lambda match: _shown(_found(match[1], event)), template)
    return text if len(text) <= most else text[: most - 1] + "…"


def links_of(event: Subject) -> list[TaskLink]:
    """Return the things of the hub that an event is about."""
    said = event.data
    connector, site = _word(said, "connector"), _word(said, "site_id")
    wanted = [
        (LinkType.BOOKING, f"{connector}/{site}/{_word(said, 'booking_id')}"),
        (LinkType.ORDER, f"{connector}/{_word(said, 'establishment')}/{_word(said, 'local_id')}"),
        (LinkType.ALERT, _word(said, "alert_id")),
        (LinkType.WEBHOOK, _word(said, "webhook_id")),
        (LinkType.LINK, _word(said, "tracking_id")),
    ]
    found = []
    for type_, id_ in wanted:
        try:
            found.append(link_of(type_, id_))
        except InvalidFieldError:
            # the event says nothing of such a thing
            continue
    return found


def _found(path: str, event: Subject) -> object:
    match path:
        case "$kind":
            return event.kind
        case "$source":
            return event.source
        case "$subject":
            return event.subject
    found: object = event.data
    for word in path.split("."):
        if not isinstance(found, Mapping) or word not in found:
            return None
        found = found[word]
    return found


def _shown(value: object) -> str:
    if value is None or value == "":
        return _MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str | int | float) or str(value).startswith(PREFIX):
        return _HIDDEN
    text = " ".join(clean(str(value)).split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _word(said: Mapping[str, object], name: str) -> str:
    value = said.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
