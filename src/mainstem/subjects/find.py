"""Finds people by what they are known by, or by their id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from mainstem.pii import identify
from mainstem.pii.assign import Person
from mainstem.pii.identify import Identifier
from mainstem.pii.store import Subjects, lookups_of
from mainstem.pii.theirs import Kept, Theirs
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import InvalidFieldError, NotFoundError

_sql: Final = load_queries("mainstem.subjects")


@dataclass(frozen=True, slots=True)
class Found:
    """One person, without anything personal."""

    subject_id: UUID
    created_at: datetime
    erased_at: datetime | None
    identifiers: dict[str, int]
    """How many identifiers of each kind lead here."""


def identifiers_of(
    *, email: str | None = None, phone: str | None = None, user_id: str | None = None
) -> list[Identifier]:
    """Return the identifiers that a caller gave. Raises InvalidFieldError for one that is none, or when none is given."""
    given = (("email", email, identify.email), ("phone", phone, identify.phone), ("user_id", user_id, identify.user))
    found: list[Identifier] = []
    for field, text, read in given:
        if text is None:
            continue
        one = (identify.contact(text) if field == "user_id" else None) or read(text)
        if one is None:
            # the value itself is personal and stays out of the message
            detail = f"{field} is not a valid one."
            raise InvalidFieldError(detail, field=field)
        found.append(one)
    if not found:
        raise InvalidFieldError("Give an email, a phone or a user_id.", field="email")
    return found


async def find(
    connection: Connection, subjects: Subjects, tenant_id: int, identifiers: Iterable[Identifier]
) -> list[Found]:
    """Return the people to whom the identifiers lead, the oldest first; none when nobody is known by them."""
    ids = await subjects.find(connection, tenant_id, identifiers)
    return [await get(connection, tenant_id, subject_id) for subject_id in ids]


async def find_or_meet(
    connection: Connection,
    subjects: Subjects,
    tenant_id: int,
    identifiers: Sequence[Identifier],
    kept: Sequence[Kept] = (),
) -> list[Found]:
    """Return the people as `find` does; somebody of whom other parts alone keep something is made known by it."""
    people = await find(connection, subjects, tenant_id, identifiers)
    if people or not identifiers:
        return people
    lookups = lookups_of(await subjects.lookup_key(connection, tenant_id), identifiers)
    theirs = Theirs(await subjects.lookup_key(connection, tenant_id), frozenset(found for _, found in lookups))
    for one in kept:
        if await one.knows(connection, tenant_id, theirs):
            (key,) = await subjects.resolve(connection, [Person(tenant_id, lookups)])
            return [await get(connection, tenant_id, key.subject)]
    return []


async def get(connection: Connection, tenant_id: int, subject_id: UUID) -> Found:
    """Return one person of a tenant. Raises NotFoundError."""
    row = await connection.fetchrow(_sql["subject"], tenant_id, subject_id)
    if row is None:
        raise NotFoundError("There is no such person.")
    counts = await connection.fetch(_sql["identifier_counts"], tenant_id, subject_id)
    return Found(UUID(int=subject_id.int), row["created_at"], row["erased_at"], dict(map(tuple, counts)))
