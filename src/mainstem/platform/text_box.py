"""Texts with a secret in them, sealed while they wait in the database: AES-256-GCM by a key of the installation. Pure.

A box is bound to the name of what it belongs to, so that none can be moved. Source: NIST SP 800-38D.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12


class BoxError(Exception):
    """A box was made by another key, changed, or moved."""


class TextBox:
    """Seals and opens by one key."""

    def __init__(self, key: bytes) -> None:
        """Keep a key of 32 bytes (`secrets.derive(…, "mail")`)."""
        self._aead = AESGCM(key)

    def seal(self, text: str, bound: str) -> bytes:
        """Return a text sealed for what `bound` names: nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, text.encode(), bound.encode())

    def open(self, box: bytes, bound: str) -> str:
        """Return the text of a box. Raises BoxError."""
        try:
            return self._aead.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], bound.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise BoxError from error
