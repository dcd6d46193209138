"""Sealing and opening: AES-256-GCM with one random data key per subject, wrapped by the installation's key. Pure.

From a data key two keys are derived, one for boxes and one for fingerprints. A box is bound to tenant, subject and field
(associated data), so that none can be moved. Sources: NIST SP 800-38D (GCM), RFC 5869 (HKDF, expand), RFC 2104 (HMAC).
"""

import base64
import hmac
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mainstem.pii.token import Token
from mainstem.platform.errors import MainstemError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_FINGERPRINT_BYTES: Final = 16
_KEY_ID_BYTES: Final = 6


class PiiKeyError(MainstemError):
    """Personal data is sealed under a key that this process does not have: see PII_KEY and PII_KEY_PREVIOUS."""

    code = "pii_key_missing"


class SealBrokenError(MainstemError):
    """A sealed value was changed, moved or cut."""

    code = "seal_broken"


class SubjectKey:
    """The data key of one subject."""

    def __init__(self, tenant_id: int, subject: UUID, key: bytes) -> None:
        """Derive the two keys of a data key of 32 bytes."""
        self.tenant_id = tenant_id
        self.subject = subject
        self._aead = AESGCM(_derived(key, b"box"))
        self._fingerprint_key = _derived(key, b"fingerprint")

    def seal(self, field: str, json_value: str) -> Token:
        """Return the token of one JSON value (its text); equal values of a field have equal fingerprints."""
        plain = json_value.encode(errors="surrogatepass")
        nonce = os.urandom(_NONCE_BYTES)
        box = nonce + self._aead.encrypt(nonce, plain, self._bound(field))
        digest = hmac.digest(self._fingerprint_key, field.encode() + b"\0" + plain, sha256)[:_FINGERPRINT_BYTES]
        return Token(self.subject, field, _text(digest), _text(box))

    def open(self, token: Token) -> str:
        """Return the JSON value in a token. Raises SealBrokenError."""
        try:
            box = _octets(token.box)
            plain = self._aead.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], self._bound(token.field))
        except (InvalidTag, ValueError) as error:
            msg = f"a sealed {token.field} of subject {token.subject} can't be opened"
            raise SealBrokenError(msg) from error
        return plain.decode(errors="surrogatepass")

    def _bound(self, field: str) -> bytes:
        return f"{self.tenant_id}|{self.subject}|{field}".encode()


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A key as the database keeps it."""

    key_id: str
    box: bytes
    """Nonce and ciphertext."""


class Keyring:
    """The key of the installation, and those before it that may still wrap something."""

    def __init__(self, current: bytes, *previous: bytes) -> None:
        """Keep keys of 32 bytes. Raises ValueError for another length."""
        if any(len(key) != KEY_BYTES for key in (current, *previous)):
            msg = f"a key has {KEY_BYTES} bytes"
            raise ValueError(msg)
        self._keys = {_key_id(key): AESGCM(_derived(key, b"wrap")) for key in (*reversed(previous), current)}
        self.key_id = _key_id(current)
        """Id of the key that wraps from now on."""
        self._sealed_files = [AESGCM(_derived(key, b"spool")) for key in (current, *previous)]

    def wrap(self, key: bytes, bound: str) -> Wrapped:
        """Return a key wrapped by the current one; `bound` says whose it is."""
        nonce = os.urandom(_NONCE_BYTES)
        return Wrapped(self.key_id, nonce + self._keys[self.key_id].encrypt(nonce, key, bound.encode()))

    def unwrap(self, wrapped: Wrapped, bound: str) -> bytes:
        """Return the key in a wrapped one. Raises PiiKeyError."""
        aead = self._keys.get(wrapped.key_id)
        if aead is None:
            msg = f"personal data is sealed under the key {wrapped.key_id}, which is neither PII_KEY nor in PII_KEY_PREVIOUS"
            raise PiiKeyError(msg)
        try:
            return aead.decrypt(wrapped.box[:_NONCE_BYTES], wrapped.box[_NONCE_BYTES:], bound.encode())
        except InvalidTag as error:
            msg = f"the wrapped key of {bound} is damaged"
            raise PiiKeyError(msg) from error

    def close_file(self, body: bytes) -> bytes:
        """Return bytes for a local file, sealed."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._sealed_files[0].encrypt(nonce, body, None)

    def open_file(self, body: bytes) -> bytes:
        """Return what `close_file` was given. Raises SealBrokenError."""
        for aead in self._sealed_files:
            try:
                return aead.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], None)
            except (InvalidTag, ValueError):
                continue
        msg = "sealed by another key, or damaged"
        raise SealBrokenError(msg)


def new_key() -> bytes:
    """Return a random key."""
    return os.urandom(KEY_BYTES)


def lookup(key: bytes, kind: str, value: str) -> bytes:
    """Return the 32 bytes that stand for an identifier in the database, keyed by its tenant's lookup key."""
    return hmac.digest(key, f"{kind}\0{value}".encode(errors="surrogatepass"), sha256)


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"mainstem pii " + purpose + b"\x01", sha256)


def _key_id(key: bytes) -> str:
    return _derived(key, b"id")[:_KEY_ID_BYTES].hex()


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
