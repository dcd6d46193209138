"""Identities: time-ordered UUIDs and the derived identity of an event.

Both are plain `uuid.UUID`. `event_uid` is the root of exactly-once: the same sender's message id always
gives the same uid, in every process and for ever, so a change here is a change of the stored format.
"""

import os
import time
from hashlib import sha256
from uuid import UUID

# the driver's own UUID is a uuid.UUID that is made eight times faster, and one is made for every event
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - a class, named like the one it extends


def uuid7() -> UUID:
    """Return a new UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    octets = bytearray((time.time_ns() // 1_000_000).to_bytes(6) + os.urandom(10))
    return _uuid(octets, 0x70)


def event_uid(tenant_id: int, source: str, message_id: str) -> UUID:
    """Return the UUIDv8 that stands for one message of one sender of one tenant.

    The parts are length-prefixed before hashing (SHA-256, first 128 bits), so no two different triples share their
    bytes: `("a", "bc")` and `("ab", "c")` differ.
    """
    part = source.encode(errors="surrogatepass")
    text = b"%d:%d:%b:%b" % (tenant_id, len(part), part, message_id.encode(errors="surrogatepass"))
    return _uuid(bytearray(sha256(text).digest()[:16]), 0x80)


def _uuid(octets: bytearray, version: int) -> UUID:
    octets[6] = octets[6] & 0x0F | version
    octets[8] = octets[8] & 0x3F | 0x80
    made: UUID = DriverUUID(bytes(octets))
    return made
