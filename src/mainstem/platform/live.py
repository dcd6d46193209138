"""tell(): what people who watch see at once, said in the transaction of the change.

A message reaches every process that serves, over one channel of the database, when the transaction commits, and never
when it does not. It is a hint for open dashboards, not a record: who was away reads the tables. For changes that people
care about one by one; every NOTIFY takes a lock of the whole server at commit, so high rates go elsewhere.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from mainstem.platform.db import Connection

CHANNEL: Final = "mainstem_live"
TYPES: Final = frozenset(
    {"alert_new", "alert_changed", "webhook_status_changed", "event", "task_changed", "task_reminder"}
)
"""Names of messages; a listener drops others."""

# PostgreSQL takes less than 8,000 bytes
_LONGEST: Final = 7_900
_LONGEST_ID: Final = 200


class Told(msgspec.Struct, frozen=True):
    """A message and the tenant that it is for."""

    tenant: int
    type: str
    data: dict[str, Any]
    people: list[UUID] | None = None
    """Whose it is alone; None: everybody's in the tenant."""


_decoder: Final = msgspec.json.Decoder(Told)


async def tell(
    connection: Connection,
    tenant_id: int,
    type: str,  # noqa: A002 - the word on the wire
    data: Mapping[str, Any],
    *,
    people: Sequence[UUID] | None = None,
) -> None:
    """Tell a tenant's watchers, once the caller's transaction commits; `data` is anything msgspec writes as a JSON object.

    With `people`, of all of them these users alone.
    Data that is too long for a signal is cut to its ids, with `truncated` beside them. Raises ValueError for a type that
    is none of TYPES.
    """
    await connection.execute("select pg_notify($1, $2)", CHANNEL, payload(tenant_id, type, data, people))


def payload(tenant_id: int, type_: str, data: Mapping[str, Any], people: Sequence[UUID] | None = None) -> str:
    """Return the text of a signal, of at most 7,900 bytes. Raises ValueError as `tell` does."""
    if type_ not in TYPES:
        msg = f"{type_!r} is no live message: {', '.join(sorted(TYPES))}"
        raise ValueError(msg)
    whole = _signal(tenant_id, type_, data, people)
    if len(whole) > _LONGEST:
        whole = _signal(tenant_id, type_, ids_of(data), people)
    return whole.decode()


def _signal(tenant_id: int, type_: str, data: Mapping[str, Any], people: Sequence[UUID] | None) -> bytes:
    some = {} if people is None else {"people": [str(one) for one in people]}
    return msgspec.json.encode({"tenant": tenant_id, "type": type_, "data": data, **some})


def read(text: str) -> Told | None:
    """Return the message of a signal, None for a text that is none."""
    try:
        found = _decoder.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return found if found.type in TYPES else None


def ids_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that are ids (`id`, `uid`, `alert_id`, …), as far as they fit, and `truncated`: true."""
    found: dict[str, Any] = {"truncated": True}
    room = _LONGEST - 300
    for name, value in data.items():
        if name not in {"id", "uid"} and not name.endswith(("_id", "_uid")):
            continue
        size = len(msgspec.json.encode({name: value}))
        if size <= min(room, _LONGEST_ID):
            found[name] = value
            room -= size
    return found
