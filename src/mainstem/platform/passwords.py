"""Passwords as argon2id hashes, made and compared on threads of their own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Final

from pwdlib import PasswordHash

LONGEST: Final = 1_024
_PASSWORDS: Final = PasswordHash.recommended()
# each hash takes 64 MiB while it runs: a flood of sign-ins queues here and not in memory
_HASHING: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")


async def hashed(password: str) -> str:
    """Return the hash of a password."""
    return await asyncio.get_running_loop().run_in_executor(_HASHING, _PASSWORDS.hash, password)


async def verify(password: str, known: str | None) -> tuple[bool, str | None]:
    """Tell whether the password is right, and its better hash when the parameters have moved on.

    Without a known hash it takes as long, and is wrong.
    """
    return await asyncio.get_running_loop().run_in_executor(_HASHING, _verified, password, known)


def is_usable(password: str) -> bool:
    """Tell whether a text can be hashed: not too long, and no half of a surrogate pair, which JSON can carry."""
    if len(password) > LONGEST:
        return False
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


def _verified(password: str, known: str | None) -> tuple[bool, str | None]:
    if not is_usable(password):
        password, known = "", None
    # made on the first call whoever asks, so that its cost tells nothing
    nobody = _nobodys_hash()
    right, better = _PASSWORDS.verify_and_update(password, known or nobody)
    return (right, better) if known is not None else (False, None)


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _PASSWORDS.hash("the password of nobody")
