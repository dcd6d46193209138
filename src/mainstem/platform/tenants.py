"""Tenants: the customers of the hub. Every other row belongs to exactly one."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import ConflictError, InvalidFieldError, NotFoundError

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LONGEST_NAME: Final = 200
_QUERIES: Final = load_queries("mainstem.platform")


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant; `slug` is its name in headers, commands and files, and never changes."""

    id: int
    slug: str
    name: str
    created_at: datetime


def check_slug(slug: str) -> str:
    """Return the slug. Raises InvalidFieldError that says what is wrong (rule of `tenant_slug_check`)."""
    if not _SLUG.fullmatch(slug):
        raise InvalidFieldError(
            "A tenant's slug has 1 to 63 characters a-z, 0-9, _ and -, and starts with a letter or digit.", field="slug"
        )
    return slug


async def create_tenant(connection: Connection, slug: str, name: str = "") -> Tenant:
    """Make a tenant, named like its slug unless told otherwise. Raises InvalidFieldError, ConflictError."""
    check_slug(slug)
    name = name.strip() or slug
    if len(name) > _LONGEST_NAME or "\0" in name:
        raise InvalidFieldError(f"A tenant's name has at most {_LONGEST_NAME} characters.", field="name")
    try:
        async with connection.transaction():
            row = await connection.fetchrow(_QUERIES["insert_tenant"], slug, name)
    except asyncpg.UniqueViolationError as error:
        raise ConflictError(f"Tenant {slug!r} already exists.", field="slug") from error
    if row is None:
        msg = "an insert returns its row"
        raise RuntimeError(msg)
    return _read(row)


async def list_tenants(connection: Connection) -> list[Tenant]:
    """Return the tenants that the connection may see, by slug."""
    return [_read(row) for row in await connection.fetch(_QUERIES["list_tenants"])]


async def find_tenant(connection: Connection, slug: str) -> Tenant | None:
    """Return the tenant of a slug, or None."""
    row = await connection.fetchrow(_QUERIES["tenant_by_slug"], slug) if "\0" not in slug else None
    return None if row is None else _read(row)


async def get_tenant(connection: Connection, slug: str) -> Tenant:
    """Return the tenant of a slug. Raises NotFoundError."""
    tenant = await find_tenant(connection, slug)
    if tenant is None:
        raise NotFoundError(f"Tenant {slug!r} not found")
    return tenant


def _read(row: asyncpg.Record) -> Tenant:
    return Tenant(row["tenant_id"], row["slug"], row["name"], row["created_at"])
