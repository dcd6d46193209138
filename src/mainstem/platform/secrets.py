"""The one secret of an installation, and the keys derived from it for each purpose.

The secret is SECRET_KEY, or a generated one kept in the data folder (never in production). No key is used
for two purposes: tokens, visitor keys, address salts, people's keys, waiting mails, names in Redis and questions of
MCP each have their own, derived by HKDF.
"""

import hmac
import os
import secrets
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from mainstem.platform.settings import Environment, Settings
from mainstem.platform.settings_types import key_bytes

Purpose = Literal["jwt", "visitor", "ip", "pii", "cache", "mail", "mcp"]

FILE_NAME: Final = "secret.key"
_GENERATED_BYTES: Final = 48
_SALT: Final = b"mainstem derived keys v1"


class SecretError(Exception):
    """The secret of this installation is missing or unusable."""


def secret_key(settings: Settings, data_dir: Path) -> bytes:
    """Return the installation's secret: SECRET_KEY, or the one in `data_dir/secret.key`, made when absent.

    Two processes that start at the same moment get the same one. Raises SecretError in production without
    SECRET_KEY, and when the file is shorter than a secret may be.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    if settings.environment is Environment.PRODUCTION:
        msg = "SECRET_KEY must be set when ENVIRONMENT=production."
        raise SecretError(msg)
    path = data_dir / FILE_NAME
    if not path.exists():
        _create(path)
    secret = path.read_bytes().strip()
    if len(secret) < _GENERATED_BYTES:
        msg = f"{path} holds no complete secret; remove it to get a new one (everyone then signs in again)."
        raise SecretError(msg)
    return secret


def derive(secret: bytes, purpose: Purpose) -> bytes:
    """Return the 32-byte key of one purpose (HKDF-SHA-256, RFC 5869)."""
    extracted = hmac.digest(_SALT, secret, sha256)
    return hmac.digest(extracted, purpose.encode() + b"\x01", sha256)


def pii_keys(settings: Settings, data_dir: Path) -> tuple[bytes, ...]:
    """Return the keys that wrap the data keys of people, 32 bytes each: the current one, then earlier ones.

    The current one is PII_KEY, else derived from the secret; where both are there, the latter is an earlier one. Raises
    SecretError as `secret_key` does.
    """
    given = [] if settings.pii_key is None else [settings.pii_key]
    named = [key_bytes(key.get_secret_value()) for key in (*given, *settings.pii_key_previous)]
    derived = derive(secret_key(settings, data_dir), "pii")
    return tuple(dict.fromkeys((*named, derived) if given else (derived, *named)))


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(_GENERATED_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # a link fails when the name is taken, so the first process wins and nobody sees half a file
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
