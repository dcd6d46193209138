"""Decides whose each event is, and which identifiers are new. Pure: randomness is passed in."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias
from uuid import UUID

LookupOf: TypeAlias = tuple[int, bytes]
"""Tenant id and lookup."""


class Person(NamedTuple):
    """Whom an event is about, as its identifiers say."""

    tenant_id: int
    lookups: tuple[tuple[str, bytes], ...]
    """Kind and lookup, in the order in which they decide: the first says who it is, the others are added to that one."""


class Assignment(NamedTuple):
    """Subjects of people, in their order, and what the database doesn't know yet."""

    subjects: list[UUID]
    new_subjects: list[tuple[int, UUID]]
    new_identifiers: list[tuple[int, bytes, UUID, str]]


def assign(people: Sequence[Person], known: Mapping[LookupOf, UUID], new: Callable[[], UUID]) -> Assignment:
    """Return the subject of each person: that of the first lookup, else a new one.

    A lookup that belongs to somebody keeps belonging to them. People without any lookup are new subjects of their own.
    """
    made = Assignment([], [], [])
    pending: dict[LookupOf, UUID] = {}
    for tenant_id, lookups in people:
        keys = [(tenant_id, lookup) for _, lookup in lookups]
        subject = (known.get(keys[0]) or pending.get(keys[0])) if keys else None
        if subject is None:
            subject = new()
            made.new_subjects.append((tenant_id, subject))
        made.subjects.append(subject)
        for key, (kind, lookup) in zip(keys, lookups, strict=True):
            if key not in known and key not in pending:
                pending[key] = subject
                made.new_identifiers.append((tenant_id, lookup, subject, kind))
    return made
