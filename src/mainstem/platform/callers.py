"""Who calls: what is known of the holder of a credential, and how it is read from the database's rows."""

from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg

from mainstem.platform.keys import effective_scopes
from mainstem.platform.users import SCOPES_OF_ROLE


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request. Routes bind their transaction to `tenant_id`."""

    tenant_id: int
    tenant: str
    """Slug of the tenant."""
    scopes: frozenset[str]
    """All that it may do; admin already stands with every scope that it implies."""
    key_id: int | None
    user_id: UUID | None
    """The person: who signed in, or whom the key acts for; None for a key of the tenant."""
    role: str | None
    """The person's role."""
    public: bool
    """A public key: ingest only, from `allowed_origins`, limited per client address."""
    allowed_origins: tuple[str, ...]
    subject: str
    """Whom limits count: `key:12`, `key:webhook` or `user:<uuid>`."""
    session_id: UUID | None = None
    """The sign-in behind one of our tokens; None for keys, and for tokens of Better Auth."""

    @property
    def credential(self) -> str:
        """What it came in by: `session:<uuid>`, else the subject. A person may be here by several."""
        return self.subject if self.session_id is None else f"session:{self.session_id}"


@dataclass(frozen=True, slots=True)
class Admission:
    """A caller, and how long the credential lasts: for connections that outlive a request."""

    caller: Caller
    expires_at: int | None
    """Unix time from which the token is not valid any more; None for a key, which lasts until it is revoked."""


def caller_of_key(row: asyncpg.Record) -> Caller:
    """Return the caller of a row of `caller_of_key`."""
    scopes = effective_scopes(row["scopes"])
    if row["user_id"] is not None:
        # the person's present role, whatever it was when the key was made
        scopes &= effective_scopes(SCOPES_OF_ROLE[row["role"]])
    return Caller(
        tenant_id=row["tenant_id"],
        tenant=row["slug"],
        scopes=scopes,
        key_id=row["api_key_id"],
        user_id=row["user_id"],
        role=row["role"],
        public=row["kind"] == "public",
        allowed_origins=tuple(row["allowed_origins"]),
        subject=f"key:{row['api_key_id']}",
    )


def caller_of_user(row: asyncpg.Record) -> Caller:
    """Return the caller of a row of `caller_of_email` or `callers_of_users`."""
    return Caller(
        tenant_id=row["tenant_id"],
        tenant=row["slug"],
        scopes=effective_scopes(SCOPES_OF_ROLE[row["role"]]),
        key_id=None,
        user_id=row["user_id"],
        role=row["role"],
        public=False,
        allowed_origins=(),
        subject=f"user:{row['user_id']}",
    )


def caller_of_session(row: asyncpg.Record) -> Caller:
    """Return the caller of a row of `sessions.caller`."""
    return replace(caller_of_user(row), session_id=row["session_id"])
