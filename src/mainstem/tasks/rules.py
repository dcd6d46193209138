"""Rules that make tasks of events, in the database: one typed function per use. The caller's transaction is bound to the tenant."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from mainstem.events import filters
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from mainstem.platform.web.text import clean
from mainstem.tasks.draft import labels_of
from mainstem.tasks.matching import OWN_KINDS
from mainstem.tasks.template import check

_LONGEST_FILTER: Final = 10_000
_MOST_RULES: Final = 100
_sql: Final = load_queries("mainstem.tasks", "rules.sql")
_people: Final = load_queries("mainstem.tasks")


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """What a rule says."""

    name: str
    kinds: tuple[str, ...]
    title: str
    owner_id: UUID
    filter: Mapping[str, Any] | None = None
    description: str = ""
    priority: str = "medium"
    labels: tuple[str, ...] = field(default=())
    due_minutes: int | None = None
    assignee_id: UUID | None = None
    enabled: bool = True


async def all_of(connection: Connection, tenant_id: int) -> list[asyncpg.Record]:
    """Return a tenant's rules."""
    return list(await connection.fetch(_sql["all"], tenant_id))


async def one(connection: Connection, tenant_id: int, rule_id: int) -> asyncpg.Record:
    """Return a rule. Raises NotFoundError."""
    row = await connection.fetchrow(_sql["one"], tenant_id, rule_id)
    if row is None:
        raise NotFoundError(f"Task rule {rule_id} not found")
    return row


async def add(connection: Connection, tenant_id: int, draft: RuleDraft, *, by: str, now: datetime) -> asyncpg.Record:
    """Make a rule. Raises InvalidFieldError, and ConflictError for a name that is taken."""
    draft = checked(draft)
    if len(await all_of(connection, tenant_id)) >= _MOST_RULES:
        raise ConflictError(f"A tenant has at most {_MOST_RULES} task rules.", code="too_many_rules")
    try:
        async with connection.transaction():
            rule_id: int = await connection.fetchval(_sql["insert"], tenant_id, *_values(draft), by, now)
    except asyncpg.UniqueViolationError:
        raise _taken(draft) from None
    return await one(connection, tenant_id, rule_id)


async def change(
    connection: Connection, tenant_id: int, rule_id: int, changes: Mapping[str, Any], *, now: datetime
) -> asyncpg.Record:
    """Change a rule, for events that are loaded from now on. Raises as `add` does, and NotFoundError."""
    draft = checked(replace(_draft(await one(connection, tenant_id, rule_id)), **changes))
    try:
        async with connection.transaction():
            await connection.execute(_sql["update"], tenant_id, rule_id, *_values(draft), now)
    except asyncpg.UniqueViolationError:
        raise _taken(draft) from None
    return await one(connection, tenant_id, rule_id)


async def remove(connection: Connection, tenant_id: int, rule_id: int) -> None:
    """Delete a rule; its tasks stay. Raises NotFoundError."""
    if await connection.fetchval(_sql["delete"], tenant_id, rule_id) is None:
        raise NotFoundError(f"Task rule {rule_id} not found")


async def person(connection: Connection, tenant_id: int, who: str, *, name: str) -> UUID:
    """Return the id of a person of the tenant, by id or e-mail address. Raises InvalidFieldError."""
    try:
        user_id, address = UUID(who), None
    except ValueError:
        user_id, address = None, clean(who).strip().lower()
    row = await connection.fetchrow(_people["person"], tenant_id, user_id, address)
    if row is None:
        raise InvalidFieldError("There is no such person here.", field=name, code="unknown_person")
    found: UUID = row["user_id"]
    return found


def checked(draft: RuleDraft) -> RuleDraft:
    """Return a rule whose parts all make sense. Raises InvalidFieldError. Pure."""
    if any(kind.startswith(OWN_KINDS) for kind in draft.kinds):
        raise InvalidFieldError("Events of tasks make no tasks.", field="events", code="own_kinds")
    if draft.filter is not None:
        _check_filter(draft.filter)
    name, title = clean(draft.name).strip(), clean(draft.title).strip()
    for field_, text in (("name", name), ("title", title)):
        if not text:
            raise InvalidFieldError(f"{field_} must not be blank.", field=field_)
    return replace(
        draft,
        name=name,
        title=check(title, field="title"),
        description=check(clean(draft.description), field="description"),
        labels=tuple(labels_of(draft.labels)),
        kinds=tuple(dict.fromkeys(draft.kinds)),
    )


def _check_filter(given: Mapping[str, Any]) -> None:
    filters.parse(given)
    try:
        text = json.dumps(given, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        raise InvalidFieldError("A filter holds something that can't be kept.", field="filter") from None
    if len(text) > _LONGEST_FILTER or "\\u0000" in text:
        raise InvalidFieldError(
            f"A filter has at most {_LONGEST_FILTER:,} characters as JSON, and no NUL.", field="filter"
        )


def _values(draft: RuleDraft) -> tuple[Any, ...]:
    return (
        draft.name,
        list(draft.kinds),
        None if draft.filter is None else json.dumps(draft.filter),
        *(draft.title, draft.description, draft.priority, list(draft.labels), draft.due_minutes),
        *(draft.owner_id, draft.assignee_id, draft.enabled),
    )


def _draft(row: asyncpg.Record) -> RuleDraft:
    known = {name: row[name] for name in asdict(_EMPTY) if name != "filter"}
    known |= {"kinds": tuple(row["kinds"]), "labels": tuple(row["labels"])}
    return RuleDraft(**known, filter=None if row["filter"] is None else json.loads(row["filter"]))


_EMPTY: Final = RuleDraft("", (), "", UUID(int=0))


def _taken(draft: RuleDraft) -> ConflictError:
    return ConflictError(f"A task rule is called {draft.name} already.", field="name", code="name_taken")
