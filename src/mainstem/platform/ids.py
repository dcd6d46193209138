"""Identities: time-ordered UUIDs and the derived identity of an event.

Both are plain `uuid.UUID`. `event_uid` is the root of exactly-once: the same sender's message id always
gives the same uid, in every process and for ever, so a change here is a change of the stored format.
"""

import os
import time
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from itertools import count
from random import Random
from typing import Final
from uuid import UUID

# the driver's own UUID is a uuid.UUID that is made eight times faster, and one is made for every event
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - a class, named like the one it extends

_VERSION_7: Final = 0x7 << 76 | 0x2 << 62
_FREE: Final = 0xFFF << 64 | (1 << 61) - 1
"""The bits beside time, version and variant, but for the highest of the lower 62: there is room to count up."""
# unique, not secret; a generator of our own, so that nobody's random.seed() makes two processes agree
_random = Random()  # noqa: S311
_millisecond = 0
_next: Callable[[], int] = count().__next__


def _after_fork() -> None:
    global _millisecond  # noqa: PLW0603 - the parent's numbers are the parent's
    _random.seed()
    _millisecond = 0


os.register_at_fork(after_in_child=_after_fork)


def uuid7() -> UUID:
    """Return a new UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random bits.

    Within a millisecond a process counts up from a random number (section 6.2, method 2), so its ids are in order.
    """
    global _millisecond, _next  # noqa: PLW0603 - made for every event: an object's attributes cost half as much again
    now = time.time_ns() // 1_000_000
    if now != _millisecond:
        _next = count(now << 80 | _VERSION_7 | _random.getrandbits(76) & _FREE).__next__
        _millisecond = now
    made: UUID = DriverUUID(_next().to_bytes(16))
    return made


def event_uid(tenant_id: int, source: str, message_id: str) -> UUID:
    """Return the UUIDv8 that stands for one message of one sender of one tenant.

    The parts are length-prefixed before hashing (SHA-256, first 128 bits), so no two different triples share their
    bytes: `("a", "bc")` and `("ab", "c")` differ.
    """
    text = _sender(tenant_id, source) + message_id.encode(errors="surrogatepass")
    octets = bytearray(sha256(text).digest()[:16])
    octets[6] = octets[6] & 0x0F | 0x80
    octets[8] = octets[8] & 0x3F | 0x80
    made: UUID = DriverUUID(bytes(octets))
    return made


@lru_cache(maxsize=4_096)
def _sender(tenant_id: int, source: str) -> bytes:
    part = source.encode(errors="surrogatepass")
    return b"%d:%d:%b:" % (tenant_id, len(part), part)
