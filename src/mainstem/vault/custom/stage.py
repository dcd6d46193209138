"""The stage of a feed of a user: an event to a row, by the columns, keys and lists of the draft. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mainstem.events.model import RawEvent
from mainstem.vault.custom.draft import ColumnDraft, FeedDraft
from mainstem.vault.custom.place import walk
from mainstem.vault.custom.values import cast, parse, plain, text_of
from mainstem.vault.engine.hashing import ZERO_KEY, hash_key
from mainstem.vault.feed import RejectedError, StageSet
from mainstem.vault.model import EVENT_COLUMNS, stage_event

MAX_KEY_CHARACTERS: Final = 500
"""Of all texts of a business key together: it goes into an index, too."""


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A hash key on the stage: of which hub, made of which columns."""

    name: str
    hub: str
    """Collision code of the hub: its name."""
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A list on the stage, of whose items a multi-active satellite loads one row each."""

    name: str
    path: tuple[str, ...]
    columns: tuple[ColumnDraft, ...]


class Stager:
    """Stages events of one feed; columns are those of any event, then keys, values, what is said, lists."""

    def __init__(self, feed: FeedDraft) -> None:
        """Compile the draft."""
        self._values = [column for column in feed.columns.values() if column.place.item is None]
        self._keys = _keys(feed)
        self._said = [(said_name(name), one.columns) for name, one in feed.satellites.items()]
        self._lists = [
            ListColumn(
                list_name(name),
                feed.columns[one.child_key[0]].place.path,
                tuple(feed.columns[column] for column in (*one.child_key, *one.columns)),
            )
            for name, one in feed.multi_active.items()
        ]

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Return the stage columns (name, type)."""
        return (
            *EVENT_COLUMNS,
            *((key.name, "bytea") for key in self._keys),
            *((column.name, column.type) for column in self._values),
            *((name, "bool") for name, _ in self._said),
            *((one.name, "jsonb") for one in self._lists),
        )

    def sets(self, tables: Mapping[str, str]) -> tuple[StageSet, ...]:
        """Return the lists for the tables of their satellites, by the name of the list."""
        return tuple(
            StageSet(
                table=tables[one.name],
                column=one.name,
                columns=tuple((column.name, column.type) for column in one.columns),
            )
            for one in self._lists
        )

    def __call__(self, event: RawEvent) -> tuple[object, ...]:
        """Return the row of an event. Raises RejectedError with the field that can't be taken."""
        row = stage_event(event)
        try:
            data = parse(event.data)
        except (ValueError, RecursionError) as error:
            raise RejectedError("invalid_json", f"The event's data is not JSON: {error}", "data") from error
        values = {column.name: _value(column, column.place.value(event, data)) for column in self._values}
        return (
            *row,
            *(_hash(event.tenant_id, key, values) for key in self._keys),
            *values.values(),
            *(True if any(values[name] is not None for name in columns) else None for _, columns in self._said),
            *(_list(one, walk(data, one.path)) for one in self._lists),
        )


def said_name(satellite: str) -> str:
    """Return the stage column that is true where an event says anything to a satellite."""
    return f"said:{satellite}"


def role_name(same_as: str, role: str) -> str:
    """Return the stage column of the key that has a role in a same-as link."""
    return f"{role}:{same_as}"


def list_name(satellite: str) -> str:
    """Return the stage column of a multi-active satellite's list."""
    return f"list:{satellite}"


def _keys(feed: FeedDraft) -> list[KeyColumn]:
    keys = [KeyColumn(f"{hub.name}_hk", hub.name, hub.key) for hub in feed.hubs.values()]
    for one in feed.same_as.values():
        keys += [
            KeyColumn(role_name(one.name, "master"), one.hub, one.master),
            KeyColumn(role_name(one.name, "duplicate"), one.hub, one.duplicate),
        ]
    return keys


def _hash(tenant_id: int, key: KeyColumn, values: Mapping[str, object]) -> bytes:
    parts = [values[name] for name in key.columns]
    if any(part is None for part in parts):
        return ZERO_KEY
    texts = [text_of(part) for part in parts]
    if sum(map(len, texts)) > MAX_KEY_CHARACTERS:
        field = key.columns[0]
        raise RejectedError("key_too_long", f"{field} is longer than {MAX_KEY_CHARACTERS} characters.", field)
    return hash_key(tenant_id, key.hub, *texts)


def _value(column: ColumnDraft, value: object) -> object:
    try:
        result = cast(value, column.type)
    except ValueError as error:
        raise RejectedError("invalid_value", f"{column.place.text} {error}.", column.place.text) from error
    if result is None and column.required:
        raise RejectedError("missing_value", f"{column.place.text} is missing.", column.place.text)
    return result


def _list(one: ListColumn, items: object) -> str | None:
    if items is None:
        return None
    if not isinstance(items, list):
        field = ".".join(("data", *one.path))
        raise RejectedError("invalid_value", f"{field} must be a list.", field)
    return json.dumps([_item(item, one.columns) for item in items], ensure_ascii=False)


def _item(item: object, columns: Sequence[ColumnDraft]) -> dict[str, object]:
    return {column.name: plain(_value(column, walk(item, column.place.item or ())), column.type) for column in columns}
