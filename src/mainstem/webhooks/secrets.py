"""What endpoints keep secret, at rest: wrapped by the key of the installation (PII_KEY, or derived from SECRET_KEY).

A box is bound to its endpoint, so that none can be moved to another. Without the installation's key nothing is opened.
"""

import json
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from mainstem.pii.box import Keyring, PiiKeyError, Wrapped
from mainstem.webhooks.sign import Secret, SecretKind

_KEY_ID_CHARACTERS: Final = 12


def seal_secret(keyring: Keyring, endpoint_uid: UUID, secret: Secret) -> Wrapped:
    """Return a signing secret as `webhooks.secret` keeps it."""
    return keyring.wrap(secret.key, _bound(endpoint_uid, "secret"))


def open_secret(keyring: Keyring, endpoint_uid: UUID, kind: str, wrapped: Wrapped) -> Secret:
    """Return a kept secret. Raises PiiKeyError when the installation's key does not fit, or the box is damaged."""
    return Secret(SecretKind(kind), _unwrapped(keyring, wrapped.key_id.encode(), wrapped.box, endpoint_uid, "secret"))


def seal_headers(keyring: Keyring, endpoint_uid: UUID, headers: Mapping[str, str]) -> bytes | None:
    """Return further request headers as `webhooks.endpoint.headers` keeps them; None when there are none."""
    if not headers:
        return None
    wrapped = keyring.wrap(json.dumps(dict(headers)).encode(), _bound(endpoint_uid, "headers"))
    return wrapped.key_id.encode() + wrapped.box


def open_headers(keyring: Keyring, endpoint_uid: UUID, sealed: bytes | None) -> dict[str, str]:
    """Return the kept headers by name. Raises PiiKeyError when the installation's key does not fit, or the box is damaged."""
    if sealed is None:
        return {}
    key_id, box = sealed[:_KEY_ID_CHARACTERS], sealed[_KEY_ID_CHARACTERS:]
    found: dict[str, str] = json.loads(_unwrapped(keyring, key_id, box, endpoint_uid, "headers"))
    return found


def _unwrapped(keyring: Keyring, key_id: bytes, box: bytes, endpoint_uid: UUID, what: str) -> bytes:
    bound = _bound(endpoint_uid, what)
    try:
        return keyring.unwrap(Wrapped(key_id.decode(), box), bound)
    except ValueError as error:
        # no name of a key, or too short for a box: one such endpoint must not hold up all others
        msg = f"the {bound} is damaged"
        raise PiiKeyError(msg) from error


def _bound(endpoint_uid: UUID, what: str) -> str:
    return f"webhook {what} {endpoint_uid}"
