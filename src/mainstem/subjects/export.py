"""All that is known of a person, opened, as one JSON document that is made while it is read: memory stays bounded.

`{"subject": …, "attributes": [...], "events": [...], "site_events": [...], "clicks": [...], …, "counts": {...}}`, with a section
for each thing that other parts keep of the person (connectors: deliveries, bookings, orders, differences, mails); values of an erased person,
or of somebody else in the same event, are shown as `(erased)` or stay sealed.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from mainstem.pii.box import Keyring
from mainstem.pii.opening import ERASED
from mainstem.pii.store import Subjects
from mainstem.pii.theirs import Kept
from mainstem.pii.token import replaced, tokens_in
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Connection, load_queries
from mainstem.subjects.erase import theirs_of
from mainstem.subjects.find import get
from mainstem.vault.customers import customer_key

_FETCHED: Final = 200
_TIMEOUT_S: Final = 600.0
"""For one portion: the first one of the site events reads all of the tenant's."""
_JSON_COLUMNS: Final = frozenset({"data", "metadata", "properties", "sealed"})
_SECTIONS: Final = (
    ("attributes", "attributes"),
    ("events", "custom_events"),
    ("site_events", "site_events"),
    ("clicks", "clicks"),
)
_sql: Final = load_queries("mainstem.subjects")


async def export(
    connection: Connection, keyring: Keyring, tenant_id: int, subject_id: UUID, *, kept: Sequence[Kept] = ()
) -> AsyncIterator[str]:
    """Yield the parts of the document, in the caller's transaction; `kept` is what other parts keep of people.

    Raises NotFoundError before the first part, PiiKeyError and SealBrokenError.
    """
    found = await get(connection, tenant_id, subject_id)
    keys = await Subjects(keyring).keys(connection, tenant_id, [subject_id])
    hub_key = customer_key(tenant_id, str(subject_id))
    yield f'{{"subject": {json.dumps(_subject(found.subject_id, found.created_at, found.erased_at))}'
    counts: dict[str, int] = {}
    for name, query in _SECTIONS:
        yield f',\n"{name}": ['
        counts[name] = 0
        async for row in connection.cursor(_sql[query], tenant_id, hub_key, prefetch=_FETCHED, timeout=_TIMEOUT_S):
            text = _row(row.items())
            own = [token for token in tokens_in(text) if token.subject == subject_id]
            values = {str(one): keys[subject_id].open(one) if subject_id in keys else ERASED for one in own}
            yield (",\n" if counts[name] else "\n") + replaced(text, values)
            counts[name] += 1
        yield "]"
    theirs = await theirs_of(connection, keyring, tenant_id, subject_id)
    for one in kept:
        section = ""
        async for name, shown in one.export(connection, tenant_id, theirs):
            if name != section:
                yield f'{"]" if section else ""},\n"{name}": ['
            yield (",\n" if name == section else "\n") + json.dumps(shown, ensure_ascii=False, default=str)
            section, counts[name] = name, counts.get(name, 0) + 1
        if section:
            yield "]"
    yield f',\n"counts": {json.dumps(counts)}}}\n'


def _subject(subject_id: UUID, created_at: datetime, erased_at: datetime | None) -> Mapping[str, str | None]:
    return {
        "id": str(subject_id),
        "created_at": rfc3339(created_at),
        "erased_at": None if erased_at is None else rfc3339(erased_at),
        "exported_at": rfc3339(utc_now()),
    }


def _row(items: Iterable[tuple[str, object]]) -> str:
    """Return a row as a JSON object; columns that are JSON already go in as they are."""
    return "{" + ", ".join(f"{json.dumps(name)}: {_value(name, value)}" for name, value in items) + "}"


def _value(name: str, value: object) -> str:
    if name in _JSON_COLUMNS and isinstance(value, str):
        return value
    match value:
        case datetime():
            return json.dumps(rfc3339(value))
        case None | bool() | int() | float():
            return json.dumps(value)
        case _:
            return json.dumps(str(value))
