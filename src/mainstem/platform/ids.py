"""Identities: time-ordered UUIDs and the derived identity of an event.

Both are plain `uuid.UUID`. `event_uid` is the root of exactly-once: the same sender's message id always
gives the same uid, in every process and for ever, so a change here is a change of the stored format.
"""

import os
import time
from hashlib import sha256
from uuid import UUID

_VERSION_AND_VARIANT_CLEARED = ~((0xF000 << 64) | (0xC000 << 48))
_V7 = (7 << 76) | (0x8000 << 48)
_V8 = (8 << 76) | (0x8000 << 48)


def uuid7() -> UUID:
    """Return a new UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
    return UUID(int=value & _VERSION_AND_VARIANT_CLEARED | _V7)


def event_uid(tenant_id: int, source: str, message_id: str) -> UUID:
    """Return the UUIDv8 that stands for one message of one sender of one tenant.

    The three parts are length-prefixed before hashing (SHA-256, first 128 bits), so no two different
    triples share their bytes: `("a", "bc")` and `("ab", "c")` differ.
    """
    part = source.encode(errors="surrogatepass")
    digest = sha256(b"%d:%d:%b:%b" % (tenant_id, len(part), part, message_id.encode(errors="surrogatepass"))).digest()
    return UUID(int=int.from_bytes(digest[:16]) & _VERSION_AND_VARIANT_CLEARED | _V8)
