"""API keys: made, listed, revoked, taken over from older systems.

A key is 32 random bytes as text and is shown once; the database keeps its SHA-256 (no slow hash is needed for
256 random bits) and enough first characters to tell keys apart.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, Literal
from uuid import UUID

import asyncpg

from mainstem.platform.addresses import normalize_origin
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import ConflictError, InvalidFieldError, NotFoundError

KeyKind = Literal["secret", "public"]

SECRET_PREFIX: Final = "ms_live_"  # noqa: S105 - what a key begins with
PUBLIC_PREFIX: Final = "ms_pub_"
SHORTEST_IMPORT: Final = 16
LONGEST_KEY: Final = 512
_RANDOM_BYTES: Final = 32
_SHOWN_CHARACTERS: Final = 12
_LONGEST_LABEL: Final = 200
_MOST_ORIGINS: Final = 50
_GREATEST_ID: Final = 2**31 - 1
# what the deployment documents print where a reader should put a real key
_SAMPLES: Final = ("YOUR_API_KEY", "OVT_PROD_YOUR", "YOUR_SECURE_API_KEY")
_UNKEPT: Final = re.compile(r"[\0\ud800-\udfff]")
"""What PostgreSQL has no text for."""
_QUERIES: Final = load_queries("mainstem.platform")


class Scope(StrEnum):
    """What a key or user may do."""

    INGEST = "ingest"
    """Send events and clicks, look links up."""
    READ = "read"
    """Read everything of the tenant."""
    ADMIN = "admin"
    """Everything."""
    CONNECTORS = "connectors"
    """Run connectors."""
    TASKS = "tasks"
    """Work on tasks, by chat and MCP too."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be shown at any time: without its text."""

    id: int
    prefix: str
    label: str
    kind: KeyKind
    scopes: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    imported: bool
    user_id: UUID | None
    """The person it acts for, if any."""
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key just made, with its text: the only time that it is known."""

    key: str
    api_key: ApiKey


def key_hash(key: str) -> bytes:
    """Return what the database knows of a key: the SHA-256 of its UTF-8 text, 32 bytes."""
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


def effective_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes with all that they imply: admin implies every one."""
    granted = frozenset(scopes)
    return frozenset(Scope) if Scope.ADMIN in granted else granted


def parse_scopes(scopes: Sequence[str]) -> list[str]:
    """Return the scopes in their one order, without repeats. Raises InvalidFieldError."""
    unknown = [scope for scope in scopes if scope not in frozenset(Scope)]
    if unknown or not scopes:
        detail = f"Unknown scope {unknown[0]!r}." if unknown else "A key needs at least one scope."
        raise InvalidFieldError(f"{detail} Scopes are {', '.join(Scope)}.", field="scopes")
    return [scope.value for scope in Scope if scope in scopes]


def parse_origins(origins: Sequence[str]) -> list[str]:
    """Return a public key's origins in their one form.

    `https://*.example.com` stands for all names below example.com; `*`, alone, for every page there is.
    Raises InvalidFieldError.
    """
    if not origins:
        raise InvalidFieldError("A public key needs the origins of the pages that use it.", field="allowed_origins")
    if len(origins) > _MOST_ORIGINS:
        raise InvalidFieldError(f"At most {_MOST_ORIGINS} origins.", field="allowed_origins")
    if list(origins) == ["*"]:
        return ["*"]
    if "*" in origins:
        raise InvalidFieldError("* allows every origin, so it stands alone.", field="allowed_origins")
    try:
        return list(dict.fromkeys(normalize_origin(origin) for origin in origins))
    except ValueError as error:
        raise InvalidFieldError(str(error), field="allowed_origins") from error


async def create_key(  # noqa: PLR0913 - what a key is made of
    connection: Connection,
    tenant_id: int,
    *,
    scopes: Sequence[str] = (),
    kind: KeyKind = "secret",
    label: str = "",
    allowed_origins: Sequence[str] = (),
    user_id: UUID | None = None,
) -> NewApiKey:
    """Make a key and return it with its text, which nobody can get again.

    A public key has the scope ingest, and no other, and needs origins. With `user_id` it acts for a person of the
    tenant: it then does what its scopes and the person's role both allow. Raises InvalidFieldError, NotFoundError.
    """
    if kind == "public" and user_id is not None:
        raise InvalidFieldError("A public key acts for no person.", field="kind")
    if kind == "public":
        if set(scopes) - {Scope.INGEST}:
            raise InvalidFieldError("A public key has the scope ingest and no other.", field="scopes")
        scopes, origins = [Scope.INGEST.value], parse_origins(allowed_origins)
    elif allowed_origins:
        raise InvalidFieldError("Only a public key is bound to origins.", field="allowed_origins")
    else:
        scopes, origins = parse_scopes(scopes), []
    text = (PUBLIC_PREFIX if kind == "public" else SECRET_PREFIX) + secrets.token_urlsafe(_RANDOM_BYTES)
    shown = text[:_SHOWN_CHARACTERS]
    values = (tenant_id, key_hash(text), shown, _check_label(label), kind, list(scopes), origins, False, user_id)
    return NewApiKey(text, await _insert(connection, values))


async def import_key(
    connection: Connection, tenant_id: int, text: str, *, scopes: Sequence[str], label: str = ""
) -> ApiKey:
    """Take over a key of another system, so that its clients need no change; only its hash is kept.

    Of a short key fewer characters are kept to tell it by, at most a quarter. Raises InvalidFieldError for a
    text that is no usable key, ConflictError when some tenant has that key already.
    """
    check_importable(text)
    shown = text[: min(_SHOWN_CHARACTERS, len(text) // 4)]
    no_origins: list[str] = []
    values = (
        tenant_id,
        key_hash(text),
        shown,
        _check_label(label),
        "secret",
        parse_scopes(scopes),
        no_origins,
        True,
        None,
    )
    return await _insert(connection, values)


def check_importable(text: str) -> None:
    """Refuse what no header can carry, can be guessed, or is printed in a document. Raises InvalidFieldError."""
    if not SHORTEST_IMPORT <= len(text) <= LONGEST_KEY:
        raise InvalidFieldError(f"A key has {SHORTEST_IMPORT} to {LONGEST_KEY} characters.", field="key")
    if not all("!" <= character <= "~" for character in text):
        raise InvalidFieldError("A key has printable ASCII characters only, and no spaces.", field="key")
    if any(sample in text.upper() for sample in _SAMPLES):
        raise InvalidFieldError("This is the sample key of a deployment document, known to everyone.", field="key")
    if text.startswith(PUBLIC_PREFIX):
        raise InvalidFieldError("Public keys can't be imported: create one with its origins.", field="key")


async def list_keys(connection: Connection, tenant_id: int, *, revoked: bool = False) -> list[ApiKey]:
    """Return the tenant's keys, newest first; revoked ones only when asked for."""
    return [_read(row) for row in await connection.fetch(_QUERIES["list_keys"], tenant_id, revoked)]


async def list_keys_of_user(connection: Connection, tenant_id: int, user_id: UUID) -> list[ApiKey]:
    """Return the live keys that act for a person, newest first."""
    return [_read(row) for row in await connection.fetch(_QUERIES["list_keys_of_user"], tenant_id, user_id)]


async def revoke_key_of_user(connection: Connection, tenant_id: int, user_id: UUID, key_id: int) -> ApiKey:
    """End a key that acts for this person, as `revoke_key` does. Raises NotFoundError for any other."""
    known = 0 < key_id <= _GREATEST_ID
    row = await connection.fetchrow(_QUERIES["revoke_key_of_user"], tenant_id, user_id, key_id) if known else None
    if row is None:
        raise NotFoundError(f"API key {key_id} not found")
    return _read(row)


async def revoke_key(connection: Connection, tenant_id: int, key_id: int) -> ApiKey:
    """End a key; in every process within seconds. Again is no error. Raises NotFoundError."""
    known = 0 < key_id <= _GREATEST_ID
    row = await connection.fetchrow(_QUERIES["revoke_key"], tenant_id, key_id) if known else None
    if row is None:
        raise NotFoundError(f"API key {key_id} not found")
    return _read(row)


def _check_label(label: str) -> str:
    if len(label) > _LONGEST_LABEL or _UNKEPT.search(label):
        raise InvalidFieldError(f"A label has at most {_LONGEST_LABEL} characters.", field="label")
    return label


async def _insert(connection: Connection, values: tuple[object, ...]) -> ApiKey:
    try:
        async with connection.transaction():
            row = await connection.fetchrow(_QUERIES["insert_key"], *values)
    except asyncpg.UniqueViolationError as error:
        raise ConflictError("This key is already in use.", field="key") from error
    except asyncpg.ForeignKeyViolationError as error:
        person = error.constraint_name == "api_key_user_fkey"
        raise NotFoundError("There is no such user." if person else f"Tenant {values[0]} not found") from error
    if row is None:
        msg = "an insert returns its row"
        raise RuntimeError(msg)
    return _read(row)


def _read(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        row["api_key_id"],
        row["prefix"],
        row["label"],
        row["kind"],
        tuple(row["scopes"]),
        tuple(row["allowed_origins"]),
        row["imported"],
        row["user_id"],
        row["created_at"],
        row["revoked_at"],
    )
