"""Endpoints in the database: one typed function per use. The caller's transaction is bound to the tenant.

Every change is an event `webhook.endpoint_*` in the same transaction, without anything secret, and is told to all processes
when it commits.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from mainstem.events.record import record
from mainstem.pii.box import Keyring
from mainstem.platform import live
from mainstem.platform.addresses import Network
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from mainstem.platform.ids import uuid7
from mainstem.webhooks.draft import columns_of, differing, headers_of
from mainstem.webhooks.secrets import seal_headers, seal_secret
from mainstem.webhooks.sign import Secret, SecretKind

BY_HAND: Final = "Switched off by hand."
_MOST_SECRETS: Final = 5
_LARGEST_ID: Final = 2**31 - 1
_sql: Final = load_queries("mainstem.webhooks")


@dataclass(frozen=True, slots=True)
class Scope:
    """Who acts, and by what rules."""

    tenant_id: int
    by: str
    """`key:<id>`, `user:<id>` or `cli`."""
    keyring: Keyring
    allow: Sequence[Network] = ()
    """Private networks that may be reached: OUTBOUND_ALLOW."""
    most_endpoints: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which endpoints a list has; None: all."""

    active: bool | None = None
    health: str | None = None


def missing(endpoint_id: int) -> NotFoundError:
    """Return the error for an endpoint that is not there."""
    return NotFoundError(f"Webhook {endpoint_id} not found")


async def page(
    connection: Connection, tenant_id: int, wanted: Filter, *, limit: int, offset: int
) -> tuple[list[asyncpg.Record], int]:
    """Return endpoints with their figures, in the order they were made, and how many there are on all pages."""
    health = wanted.health
    rows = await connection.fetch(_sql["endpoints"], tenant_id, None, wanted.active, health, limit, offset)
    total: int = await connection.fetchval(_sql["count_endpoints"], tenant_id, wanted.active, health)
    return rows, total


async def read(connection: Connection, tenant_id: int, endpoint_id: int) -> asyncpg.Record:
    """Return an endpoint with its figures. Raises NotFoundError."""
    ids = [endpoint_id] if 0 <= endpoint_id <= _LARGEST_ID else []
    row = await connection.fetchrow(_sql["endpoints"], tenant_id, ids, None, None, 1, 0)
    if row is None:
        raise missing(endpoint_id)
    return row


async def create(
    connection: Connection, scope: Scope, given: Mapping[str, Any], *, active: bool = True
) -> tuple[int, Secret]:
    """Make an endpoint of the fields of EndpointIn that were set; return its id and signing secret.

    Raises InvalidFieldError, and ConflictError when the tenant has as many as it may have.
    """
    row = {
        **columns_of({"events": None, "timeout_seconds": None, "envelope": None, "fifo": None}, ()),
        **_set(scope, given),
    }
    secret = _secret(given.get("secret"), SecretKind(given.get("signature") or SecretKind.HMAC))
    headers = headers_of(given.get("headers"))
    await connection.execute(_sql["lock_tenant"], scope.tenant_id)
    if await connection.fetchval(_sql["count_endpoints"], scope.tenant_id, None, None) >= scope.most_endpoints:
        detail = f"There are {scope.most_endpoints:,} endpoints already; delete some, or raise WEBHOOK_ENDPOINTS_MAX."
        raise ConflictError(detail, code="too_many_endpoints")
    uid = uuid7()
    endpoint_id: int = await connection.fetchval(
        _sql["insert"],
        *(
            scope.tenant_id,
            uid,
            row["name"],
            row["url"],
            row.get("description"),
            row["kinds"],
            _json(row.get("filter")),
        ),
        *(seal_headers(scope.keyring, uid, headers), list(headers), str(secret.kind), row["envelope"]),
        *(row["timeout_ms"], row.get("rate_limit"), _json(row.get("retry_policy")), row["fifo"], active, scope.by),
        BY_HAND,
    )
    await _keep(connection, scope, endpoint_id, uid, secret)
    await _tell(
        connection, scope, "endpoint_created", {**row, "endpoint_id": endpoint_id, "uid": uid, "active": active}
    )
    return endpoint_id, secret


async def change(connection: Connection, scope: Scope, endpoint_id: int, given: Mapping[str, Any]) -> None:
    """Change the fields of EndpointPatch that were set, but for the flag. Raises NotFoundError, InvalidFieldError."""
    row = await _locked(connection, scope, endpoint_id)
    made = {**row, **_set(scope, given)}
    if "headers" in given:
        headers = headers_of(given["headers"])
        made["headers"] = seal_headers(scope.keyring, row["uid"], headers)
        made["header_names"] = list(headers)
    changed = differing(row, made)
    if not changed:
        return
    await connection.execute(
        _sql["update"],
        *(scope.tenant_id, endpoint_id, made["name"], made["url"], made["description"], made["kinds"]),
        *(_json(made["filter"]), made["headers"], made["header_names"], made["envelope"], made["timeout_ms"]),
        *(made["rate_limit"], _json(made["retry_policy"]), made["fifo"]),
    )
    await _tell(connection, scope, "endpoint_updated", made, changed=changed)


async def switch(connection: Connection, scope: Scope, endpoint_id: int, *, active: bool) -> bool:
    """Switch an endpoint on or off; return whether it was the other way. Raises NotFoundError.

    What waited while it was off is sent when it is on again, and its failures before count no more.
    """
    known = await read(connection, scope.tenant_id, endpoint_id)
    if active and not known["active"]:
        # figures and pace before the endpoint, as workers lock them
        await connection.execute(_sql["begin_anew"], scope.tenant_id, endpoint_id)
    row = await _locked(connection, scope, endpoint_id)
    if row["active"] == active:
        return False
    told = {"webhook_id": endpoint_id, "name": row["name"], "health": row["health"] if active else "disabled"}
    if active:
        await connection.execute(_sql["enable"], scope.tenant_id, endpoint_id)
        await _tell(connection, scope, "endpoint_enabled", {**row, "active": True})
    else:
        told["reason"] = BY_HAND
        await connection.execute(_sql["disable"], scope.tenant_id, endpoint_id, BY_HAND)
        await _tell(connection, scope, "endpoint_disabled", {**row, "active": False}, reason=BY_HAND)
    await live.tell(connection, scope.tenant_id, "webhook_status_changed", told)
    return True


async def delete(connection: Connection, scope: Scope, endpoint_id: int) -> None:
    """Delete an endpoint: nothing is sent to it any more. Raises NotFoundError."""
    row = await _locked(connection, scope, endpoint_id)
    await connection.execute(_sql["delete"], scope.tenant_id, endpoint_id)
    await _tell(connection, scope, "endpoint_deleted", row)


async def rotate(  # noqa: PLR0913 - which secret, for how long
    connection: Connection,
    scope: Scope,
    endpoint_id: int,
    *,
    grace: timedelta,
    secret: str | None = None,
    kind: SecretKind | None = None,
) -> Secret:
    """Give an endpoint a new secret and return it; the one before signs, too, until the grace is over.

    A secret of another kind signs no more at once: a receiver reads one kind. Raises NotFoundError, InvalidFieldError.
    """
    row = await _locked(connection, scope, endpoint_id)
    made = _secret(secret, kind or SecretKind(row["signature"]))
    await connection.execute(_sql["expire_secret"], scope.tenant_id, endpoint_id, grace)
    await _keep(connection, scope, endpoint_id, row["uid"], made)
    await connection.execute(_sql["prune_secrets"], scope.tenant_id, endpoint_id, _MOST_SECRETS, str(made.kind))
    await connection.execute(_sql["sign_by"], scope.tenant_id, endpoint_id, str(made.kind))
    await _tell(connection, scope, "endpoint_updated", row, changed=["secret"])
    return made


async def tell(connection: Connection, endpoint_id: int) -> None:
    """Tell all processes, when the transaction commits, that something about an endpoint has changed."""
    await connection.execute(_sql["tell"], endpoint_id)


async def _locked(connection: Connection, scope: Scope, endpoint_id: int) -> dict[str, Any]:
    row = None
    if 0 <= endpoint_id <= _LARGEST_ID:
        row = await connection.fetchrow(_sql["lock"], scope.tenant_id, endpoint_id)
    if row is None:
        raise missing(endpoint_id)
    return {**dict(row), "filter": _parsed(row["filter"]), "retry_policy": _parsed(row["retry_policy"])}


def _set(scope: Scope, given: Mapping[str, Any]) -> dict[str, Any]:
    return columns_of(given, scope.allow)


def _secret(given: str | None, kind: SecretKind) -> Secret:
    if given is None:
        return Secret.new(kind)
    if kind is not SecretKind.HMAC:
        raise InvalidFieldError("The key pair of an ed25519 endpoint is made here; leave secret out.", field="secret")
    return Secret.parse(given)


async def _keep(connection: Connection, scope: Scope, endpoint_id: int, uid: UUID, secret: Secret) -> None:
    wrapped = seal_secret(scope.keyring, uid, secret)
    await connection.execute(
        _sql["insert_secret"],
        *(scope.tenant_id, endpoint_id, str(secret.kind), wrapped.key_id, wrapped.box, secret.public_key),
    )


async def _tell(connection: Connection, scope: Scope, verb: str, row: Mapping[str, Any], **more: object) -> None:
    # no more of the address than its host: with many receivers the path is the credential
    data = {
        "webhook_id": row["endpoint_id"],
        "uid": str(row["uid"]),
        "name": row["name"],
        "host": row["url"].partition("://")[2].partition("/")[0].partition("?")[0],
        "events": row["kinds"],
        "is_active": row["active"],
        **more,
        "by": scope.by,
    }
    await record(connection, scope.tenant_id, f"webhook.{verb}", data, subject=f"webhook:{row['endpoint_id']}")
    await tell(connection, row["endpoint_id"])


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)


def _parsed(value: str | None) -> Any:  # noqa: ANN401 - JSON
    return None if value is None else json.loads(value)
