"""What a worker knows of endpoints: address, headers, secrets, policy. Read when first needed, again after each change.

Changes are told by NOTIFY (`mainstem_webhooks`, the endpoint's id); what is older than half a minute is read again, so a
signal that was lost costs no more than that. Whether an endpoint is on is no matter of this: the claim looks at the table.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from mainstem.pii.box import Keyring, PiiKeyError, Wrapped
from mainstem.platform.cache import Change, Counts
from mainstem.platform.cache.changes import tenant_of
from mainstem.platform.errors import InvalidFieldError
from mainstem.webhooks.retry import Policy
from mainstem.webhooks.secrets import open_headers, open_secret
from mainstem.webhooks.sign import Secret

ENDPOINTS_CHANNEL: Final = "mainstem_webhooks"
"""Told after an endpoint was changed, with its id."""
_KEPT_S: Final = 30.0
_MOST: Final = 10_000
_ENDPOINT_BYTES: Final = 2_000
log = structlog.get_logger(__name__)

Fetch = Callable[[Sequence[int]], Awaitable[Sequence[Any]]]
"""Returns rows of the query `endpoints`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is needed to call an endpoint."""

    endpoint_id: int
    tenant_id: int
    tenant: str
    name: str
    url: str
    headers: dict[str, str] = field(repr=False)
    secrets: tuple[tuple[Secret, datetime | None], ...]
    """With the time at which each ends; the current one has none and comes first."""
    envelope: str
    timeout_s: float
    policy: Policy
    fifo: bool
    fault: str | None = None
    """Why nothing can be sent: what is kept of it can't be opened."""

    def secrets_at(self, now: datetime) -> list[Secret]:
        """Return the secrets that sign at a time."""
        return [secret for secret, ends in self.secrets if ends is None or ends > now]


class Targets:
    """The endpoints that a process has met."""

    def __init__(self, keyring: Keyring) -> None:
        """Keep what opens secrets."""
        self._keyring = keyring
        self._known: dict[int, tuple[Endpoint, float]] = {}
        self._hits = self._misses = 0
        self._forgotten = 0

    def renew(self, endpoint_id: int | None = None) -> None:
        """Read an endpoint, or all of them, anew when it is next needed."""
        self._forgotten += 1
        if endpoint_id is None:
            self._known.clear()
        else:
            self._known.pop(endpoint_id, None)

    def counts(self) -> Counts:
        """Return the figures of what is kept; as a member of `platform.cache`."""
        return Counts(self._hits, self._misses, len(self._known), len(self._known) * _ENDPOINT_BYTES)

    def forget(self, change: Change) -> int:
        """Drop the endpoints of the tenant that a change is about; as a member of `platform.cache`."""
        self._forgotten += 1
        tenant = tenant_of(change.pattern)
        gone = [one for one, (known, _) in self._known.items() if tenant is None or tenant == str(known.tenant_id)]
        for endpoint_id in gone:
            del self._known[endpoint_id]
        return len(gone)

    async def all(self, endpoint_ids: Sequence[int], fetch: Fetch) -> dict[int, Endpoint]:
        """Return endpoints by id; those that are gone are left out."""
        now = time.monotonic()
        found: dict[int, Endpoint] = {}
        unknown: list[int] = []
        for endpoint_id in dict.fromkeys(endpoint_ids):
            known = self._known.get(endpoint_id)
            if known is not None and known[1] > now:
                found[endpoint_id] = known[0]
            else:
                unknown.append(endpoint_id)
        self._hits += len(found)
        self._misses += len(unknown)
        if unknown:
            if len(self._known) > _MOST:
                self._known.clear()
            before = self._forgotten
            for row in await fetch(unknown):
                endpoint = endpoint_of(row, self._keyring)
                found[endpoint.endpoint_id] = endpoint
                # a change that was told meanwhile may not be in what was read
                if self._forgotten == before:
                    self._known[endpoint.endpoint_id] = endpoint, now + _KEPT_S
        return found


def endpoint_of(row: Any, keyring: Keyring) -> Endpoint:  # noqa: ANN401 - a row of the query `endpoints`
    """Return the endpoint of a row; one whose secrets can't be opened has a fault instead."""
    fault = None
    headers: dict[str, str] = {}
    secrets: list[tuple[Secret, datetime | None]] = []
    try:
        headers = open_headers(keyring, row["uid"], row["headers"])
        for kind, key_id, box, ends in row["secrets"] or ():
            secrets.append((open_secret(keyring, row["uid"], kind, Wrapped(key_id, box)), ends))
    except PiiKeyError as error:
        fault = error.detail
    if not secrets and fault is None:
        fault = "The endpoint has no signing secret; rotate it."
    if fault is not None:
        log.error("webhook_endpoint_unusable", webhook_id=row["endpoint_id"], reason=fault)
    return Endpoint(
        endpoint_id=row["endpoint_id"],
        tenant_id=row["tenant_id"],
        tenant=row["tenant"],
        name=row["name"],
        url=row["url"],
        headers=headers,
        secrets=tuple(secrets),
        envelope=row["envelope"],
        timeout_s=row["timeout_ms"] / 1000,
        policy=_policy(row["retry_policy"]),
        fifo=row["fifo"],
        fault=fault,
    )


def _policy(text: str | None) -> Policy:
    try:
        return Policy.parse(None if text is None else msgspec.json.decode(text))
    except (InvalidFieldError, msgspec.MsgspecError):
        # nothing that the API lets in: whoever wrote it, deliveries go on
        return Policy()
