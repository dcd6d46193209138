"""Rules and silences in the database: one typed function per use, in the caller's transaction, bound to the tenant."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from mainstem.alerts.labels import Matcher
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import ConflictError, NotFoundError

_LARGEST_ID: Final = 2**31 - 1
_sql: Final = load_queries("mainstem.alerts", "rules.sql")


async def all_of(connection: Connection, tenant_id: int) -> list[asyncpg.Record]:
    """Return the rules of a tenant, by name."""
    return list(await connection.fetch(_sql["rules"], tenant_id))


async def one(connection: Connection, tenant_id: int, rule_id: int) -> asyncpg.Record:
    """Return a rule. Raises NotFoundError."""
    row = await connection.fetchrow(_sql["rule"], tenant_id, rule_id) if 0 < rule_id <= _LARGEST_ID else None
    return _found(row, "Rule", rule_id)


async def add(connection: Connection, tenant_id: int, row: Mapping[str, Any], *, by: str) -> asyncpg.Record:
    """Add a rule of all columns and return it. Raises ConflictError when its name is taken."""
    made = await connection.fetchrow(_sql["insert_rule"], tenant_id, json.dumps(dict(row)), by)
    if made is None:
        raise _taken(row["name"])
    return made


async def change(connection: Connection, tenant_id: int, rule_id: int, changes: Mapping[str, Any]) -> asyncpg.Record:
    """Change some columns of a rule and return it. Raises NotFoundError, ConflictError when its name is taken."""
    known = _found(await _lock(connection, tenant_id, rule_id), "Rule", rule_id)
    row = {name: value for name, value in known.items() if not name.endswith("_at")}
    row = {**row, "labels": json.loads(row["labels"]), **changes}
    try:
        async with connection.transaction():
            made = await connection.fetchrow(_sql["update_rule"], tenant_id, rule_id, json.dumps(row))
    except asyncpg.UniqueViolationError:
        raise _taken(row["name"]) from None
    return _found(made, "Rule", rule_id)


async def remove(connection: Connection, tenant_id: int, rule_id: int) -> None:
    """Delete a rule; its open alerts end with the next round. Raises NotFoundError."""
    _found(await _lock(connection, tenant_id, rule_id), "Rule", rule_id)
    await connection.execute(_sql["delete_rule"], tenant_id, rule_id)


async def instances(connection: Connection, tenant_id: int, ids: Sequence[int]) -> dict[int, list[asyncpg.Record]]:
    """Return by rule what it looks at that is not clear."""
    found: dict[int, list[asyncpg.Record]] = defaultdict(list)
    for row in await connection.fetch(_sql["instances_of_rules"], tenant_id, list(ids)):
        found[row["rule_id"]].append(row)
    return found


async def silence(  # noqa: PLR0913 - the parts of a silence
    connection: Connection,
    tenant_id: int,
    matchers: Sequence[Matcher],
    *,
    starts_at: datetime,
    ends_at: datetime,
    by: str,
    comment: str,
) -> asyncpg.Record:
    """Add a silence and return it."""
    text = json.dumps([{"name": one.name, "value": one.value, "is_equal": one.is_equal} for one in matchers])
    row = await connection.fetchrow(_sql["insert_silence"], tenant_id, text, starts_at, ends_at, by, comment)
    return _found(row, "Silence", 0)


async def silences(  # noqa: PLR0913 - the sides of a list
    connection: Connection, tenant_id: int, now: datetime, *, expired: bool, limit: int, offset: int
) -> tuple[list[asyncpg.Record], int]:
    """Return silences, those that end last first, and how many there are; `expired`: also those that are over."""
    total = await connection.fetchval(_sql["count_silences"], tenant_id, expired, now)
    return list(await connection.fetch(_sql["silences"], tenant_id, expired, now, limit, offset)), total


async def one_silence(connection: Connection, tenant_id: int, silence_id: int) -> asyncpg.Record:
    """Return a silence. Raises NotFoundError."""
    known = 0 < silence_id <= _LARGEST_ID
    row = await connection.fetchrow(_sql["silence"], tenant_id, silence_id) if known else None
    return _found(row, "Silence", silence_id)


async def change_silence(
    connection: Connection, tenant_id: int, silence_id: int, *, ends_at: datetime, comment: str
) -> asyncpg.Record:
    """Change when a silence ends and why it is. Raises NotFoundError."""
    row = await connection.fetchrow(_sql["update_silence"], tenant_id, silence_id, ends_at, comment)
    return _found(row, "Silence", silence_id)


async def expire(connection: Connection, tenant_id: int, silence_id: int, now: datetime) -> None:
    """End a silence now; one that is over stays as it is. Raises NotFoundError."""
    await one_silence(connection, tenant_id, silence_id)
    await connection.execute(_sql["expire_silence"], tenant_id, silence_id, now)


async def _lock(connection: Connection, tenant_id: int, rule_id: int) -> asyncpg.Record | None:
    known = 0 < rule_id <= _LARGEST_ID
    return await connection.fetchrow(_sql["lock_rule"], tenant_id, rule_id) if known else None


def _found(row: asyncpg.Record | None, what: str, id_: int) -> asyncpg.Record:
    if row is None:
        raise NotFoundError(f"{what} {id_} not found")
    return row


def _taken(name: str) -> ConflictError:
    return ConflictError(f"There is a rule {name}.", field="name", code="rule_taken")
