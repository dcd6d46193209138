"""Erases a person: the data key goes, and with it the meaning of everything sealed, wherever copies of it are.

What stays is pseudonymous: a random subject id, visits, and events with unreadable values. One transaction; a second
erasure changes nothing. Whoever comes back afterwards is a new subject.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote
from uuid import UUID

from mainstem.events.record import record
from mainstem.pii import identify
from mainstem.pii.box import Keyring, SealBrokenError
from mainstem.pii.identify import Identifier, Kind
from mainstem.pii.store import Subjects, lookups_of
from mainstem.pii.theirs import Kept, Theirs
from mainstem.pii.token import tokens_in
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import InvalidFieldError, NotFoundError
from mainstem.vault.customers import customer_key

MAX_TICKET_CHARACTERS: Final = 200
ERASED: Final = "subject.erased"
_FETCHED: Final = 500
_MOST_TEXTS: Final = 1_000
_sql: Final = load_queries("mainstem.subjects")


@dataclass(frozen=True, slots=True)
class Erasure:
    """The proof of an erasure, without anything personal."""

    subject_id: UUID
    erased_at: datetime
    erased_by: str
    ticket: str | None
    counts: dict[str, int]
    """Identifiers and keys deleted, refused events blanked, and what other parts kept."""
    repeated: bool
    """The person was erased before; nothing was done now."""


async def erase(  # noqa: PLR0913 - who, whose, by whom and why
    connection: Connection,
    keyring: Keyring,
    tenant_id: int,
    subject_id: UUID,
    *,
    by: str,
    ticket: str | None = None,
    known_as: Iterable[Identifier] = (),
    kept: Sequence[Kept] = (),
) -> Erasure:
    """Erase a person in the caller's transaction and return the proof; the event `subject.erased` tells the others.

    `known_as` are identifiers that the caller knows besides those that are sealed: refused events are searched for them.
    `kept` is what other parts of the product keep of people.
    Raises NotFoundError, InvalidFieldError for a ticket that is too long or holds an address, and PiiKeyError.
    """
    _check(ticket)
    row = await connection.fetchrow(_sql["lock_subject"], tenant_id, subject_id)
    if row is None:
        raise NotFoundError("There is no such person.")
    if row["erased_at"] is not None:
        return await proof(connection, tenant_id, subject_id)
    contacts = {*known_as, *await _contacts(connection, Subjects(keyring), tenant_id, subject_id)}
    theirs = await theirs_of(connection, keyring, tenant_id, subject_id, contacts)
    counts: dict[str, int] = {}
    for one in kept:
        counts |= await one.erase(connection, tenant_id, theirs)
    counts |= {
        "refused_events": await connection.fetchval(_sql["redact_rejects"], tenant_id, _texts(contacts)),
        "identifiers": await connection.fetchval(_sql["delete_identifiers"], tenant_id, subject_id),
        "keys": await connection.fetchval(_sql["delete_key"], tenant_id, subject_id),
    }
    now = utc_now()
    await connection.execute(_sql["mark_erased"], tenant_id, subject_id, now)
    await connection.execute(_sql["add_erasure"], tenant_id, subject_id, now, by, ticket, json.dumps(counts))
    data = {"subject_id": str(subject_id), "by": by, "ticket": ticket, "counts": counts}
    await record(connection, tenant_id, ERASED, data, subject=str(subject_id), occurred_at=now)
    return Erasure(subject_id, now, by, ticket, counts, repeated=False)


async def theirs_of(
    connection: Connection, keyring: Keyring, tenant_id: int, subject_id: UUID, contacts: Iterable[Identifier] = ()
) -> Theirs:
    """Return what tells a person's identifiers from others'. Raises PiiKeyError."""
    key = await Subjects(keyring).lookup_key(connection, tenant_id)
    rows = await connection.fetch(_sql["lookups"], tenant_id, subject_id)
    also = {found for _, found in lookups_of(key, contacts)}
    return Theirs(key, frozenset({row["lookup"] for row in rows} | also))


async def proof(connection: Connection, tenant_id: int, subject_id: UUID) -> Erasure:
    """Return what an earlier erasure did. Raises NotFoundError."""
    row = await connection.fetchrow(_sql["erasure"], tenant_id, subject_id)
    if row is None:
        raise NotFoundError("This person was not erased.")
    counts = json.loads(row["counts"])
    return Erasure(subject_id, row["erased_at"], row["erased_by"], row["ticket"], counts, repeated=True)


async def list_erasures(connection: Connection, tenant_id: int) -> list[Erasure]:
    """Return all erasures of a tenant, the latest first."""
    rows = await connection.fetch(_sql["erasures"], tenant_id)
    return [
        Erasure(subject, erased_at, by, ticket, json.loads(counts), repeated=False)
        for subject, erased_at, by, ticket, counts in rows
    ]


def _check(ticket: str | None) -> None:
    if ticket is not None and not (1 <= len(ticket) <= MAX_TICKET_CHARACTERS and ticket.isprintable()):
        detail = f"ticket must have 1 to {MAX_TICKET_CHARACTERS} printable characters."
        raise InvalidFieldError(detail, field="ticket")
    if ticket is not None and any(identify.contact(word) for word in ticket.split()):
        raise InvalidFieldError("ticket must not hold an address or a phone number: it is kept.", field="ticket")


async def _contacts(connection: Connection, subjects: Subjects, tenant_id: int, subject_id: UUID) -> set[Identifier]:
    """Return the addresses and numbers that are sealed of a person: what refused events may hold in the clear."""
    key = (await subjects.keys(connection, tenant_id, [subject_id])).get(subject_id)
    if key is None:
        return set()
    found: set[Identifier] = set()
    hub_key = customer_key(tenant_id, str(subject_id))
    async for row in connection.cursor(_sql["sealed"], tenant_id, hub_key, prefetch=_FETCHED):
        for token in tokens_in(row["sealed"] or ""):
            try:
                value = json.loads(key.open(token))
            except SealBrokenError:
                # what nobody can read needs no erasing
                continue
            one = identify.identifier(token.field, str(value)) or identify.contact(str(value))
            if one is not None:
                found.add(one)
        if len(found) >= _MOST_TEXTS:
            break
    return found


def _texts(contacts: Iterable[Identifier]) -> list[str]:
    """Return how the identifiers may be written in a refused event, in lower case."""
    texts: set[str] = set()
    for kind, value in contacts:
        if kind in {Kind.EMAIL, Kind.PHONE}:
            texts |= {value.lower(), quote(value, safe="").lower()}
    return sorted(texts)
