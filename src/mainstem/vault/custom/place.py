"""Where the value of a column comes from: `data.order.id`, `data.items[].sku`, or a field of the event itself."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mainstem.events.model import RawEvent

FIELDS: Final[Mapping[str, Callable[[RawEvent], object]]] = MappingProxyType(
    {
        "kind": lambda event: event.kind,
        "subject": lambda event: event.subject,
        "source": lambda event: event.source,
        "event_uid": lambda event: str(event.event_uid),
        "occurred_at": lambda event: event.occurred_at.isoformat(),
        "received_at": lambda event: event.received_at.isoformat(),
    }
)
"""Fields of the event besides its data: those that the fact keeps for good, so that a backfill has them, too."""
_PATH: Final = re.compile(r"data(\.[A-Za-z0-9_-]+(\[\])?)*")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an event."""

    text: str
    field: str | None = None
    """A field of the event; else a path into its data."""
    path: tuple[str, ...] = ()
    """Names from the data to the value, or to the list."""
    item: tuple[str, ...] | None = None
    """Names from an item of the list to the value; None where the value is in no list."""

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Return the place that a text names. Raises ValueError with the rest of a sentence."""
        if text in FIELDS:
            return cls(text, field=text)
        if _PATH.fullmatch(text) is None or text.count("[]") > 1:
            raise ValueError(f"must be data.<name>, data.<list>[].<name> or one of {', '.join(FIELDS)}, not {text!r}")
        before, many, after = text.partition("[]")
        names = tuple(before.split(".")[1:])
        if not many:
            return cls(text, path=names)
        return cls(text, path=names, item=tuple(name for name in after.split(".") if name))

    @property
    def list_path(self) -> tuple[str, ...] | None:
        """Return the path of the list that the value is in an item of."""
        return None if self.item is None else self.path

    def value(self, event: RawEvent, data: object) -> object:
        """Return the value, the list for a place in a list, None where there is none."""
        return FIELDS[self.field](event) if self.field is not None else walk(data, self.path)


def walk(value: object, path: tuple[str, ...]) -> object:
    """Return what is at the end of a path of names; None where it breaks off."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
