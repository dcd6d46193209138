"""Secrets and signatures as Standard Webhooks 1.0.0 has them: what we send, and what others send us. Pure but for new secrets.

Signed is `{id}.{timestamp}.{body}`. An HMAC secret is `whsec_` and base64 of 24 to 64 bytes, its entry `v1,<base64>`; an
Ed25519 key pair is `whsk_` and `whpk_`, its entry `v1a,<base64>`. The header lists an entry for every secret in force, so
that a receiver may change to a new one when it likes during a rotation.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mainstem.platform.errors import InvalidFieldError

_HMAC_BYTES: Final = 32
_SHORTEST: Final = 24
_LONGEST: Final = 64
_SEED_BYTES: Final = 32
_PREFIX: Final = "whsec_"
_PUBLIC_PREFIX: Final = "whpk_"
TOLERANCE_S: Final = 300
_MOST_ENTRIES: Final = 20


class SecretKind(StrEnum):
    """How deliveries are signed."""

    HMAC = "hmac"
    ED25519 = "ed25519"


@dataclass(frozen=True)
class Secret:
    """One signing secret."""

    kind: SecretKind
    key: bytes = field(repr=False)
    """HMAC: the shared bytes; Ed25519: the seed of the private key, 32 bytes. Never shown in logs."""

    @classmethod
    def new(cls, kind: SecretKind) -> Self:
        """Return a random secret."""
        return cls(kind, os.urandom(_HMAC_BYTES if kind is SecretKind.HMAC else _SEED_BYTES))

    @classmethod
    def parse(cls, text: str, *, field: str = "secret") -> Self:
        """Return the HMAC secret that an owner gives, with or without `whsec_`. Raises InvalidFieldError."""
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not _SHORTEST <= len(key) <= _LONGEST:
            raise InvalidFieldError(
                "A secret is whsec_ and base64 of 24 to 64 random bytes; leave it out to get one.", field=field
            )
        return cls(SecretKind.HMAC, key)

    @cached_property
    def _private_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.key)

    @property
    def shown(self) -> str:
        """What the receiver needs: the shared secret, or the public key."""
        return self.public_key or _PREFIX + base64.b64encode(self.key).decode()

    @cached_property
    def public_key(self) -> str | None:
        """The public key of an Ed25519 pair as `whpk_…`; None for HMAC."""
        if self.kind is SecretKind.HMAC:
            return None
        raw = self._private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return _PUBLIC_PREFIX + base64.b64encode(raw).decode()

    def entry(self, signed: bytes) -> str:
        """Return the entry of the header for signed content."""
        if self.kind is SecretKind.HMAC:
            return "v1," + base64.b64encode(hmac.digest(self.key, signed, sha256)).decode()
        return "v1a," + base64.b64encode(self._private_key.sign(signed)).decode()


def headers(secrets: Sequence[Secret], id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of one attempt; `timestamp` is the attempt's, in Unix seconds. Needs a secret at least."""
    signed = b"%b.%d.%b" % (id_.encode(), timestamp, body)
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(secret.entry(signed) for secret in secrets),
    }


class SignatureError(Exception):
    """A request is not what one of these secrets signed a moment ago; the message says why."""


def verify(secrets: Sequence[Secret], given: Mapping[str, str], body: bytes, now: float) -> str:
    """Return the `webhook-id` of a request whose signature holds, as a receiver does it.

    `given`: the request's headers, names in lower case. `now`: Unix seconds; the request may be 300 s from it, either way.
    Raises SignatureError.
    """
    id_, timestamp, listed = (given.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (id_ and timestamp and listed):
        msg = "webhook-id, webhook-timestamp or webhook-signature is missing"
        raise SignatureError(msg)
    if not (timestamp.isascii() and timestamp.isdigit() and abs(int(timestamp[:15]) - now) <= TOLERANCE_S):
        msg = f"webhook-timestamp is more than {TOLERANCE_S} s from now"
        raise SignatureError(msg)
    # servers read octets that are no text as half surrogates
    signed = b"%b.%b.%b" % (id_.encode(errors="surrogatepass"), timestamp.encode(), body)
    entries = [entry.encode(errors="surrogatepass") for entry in listed.split(" ")[:_MOST_ENTRIES]]
    # all are compared, whichever fits: how long it takes says nothing
    fits = [hmac.compare_digest(entry, secret.entry(signed).encode()) for secret in secrets for entry in entries]
    if not any(fits):
        msg = "no entry of webhook-signature fits"
        raise SignatureError(msg)
    return id_
