"""Brings what connectors keep sealed under the current key of the installation, after PII_KEY has changed."""

from typing import Final

from mainstem.connectors.deliveries import seal, unseal
from mainstem.connectors.tokens import bound, sealed, unsealed
from mainstem.pii.box import Keyring
from mainstem.platform.db import Connection, load_queries

_sql: Final = load_queries("mainstem.connectors", "rewrap.sql")


async def not_current(connection: Connection, keyring: Keyring) -> int:
    """Return how many deliveries and tokens are sealed by another key than the current one."""
    count: int = await connection.fetchval(_sql["count"], keyring.key_id)
    return count


async def rewrap(connection: Connection, keyring: Keyring, most: int) -> int:
    """Seal up to `most` deliveries, and as many tokens, by the current key; return how many were.

    In the caller's transaction. Raises PiiKeyError for what is under a key that the keyring does not have.
    """
    bodies = await connection.fetch(_sql["bodies"], keyring.key_id, most)
    for row in bodies:
        body = seal(keyring, unseal(keyring, row["body"]))
        await connection.execute(_sql["rewrap_body"], row["delivery_id"], body)
    tokens = await connection.fetch(_sql["tokens"], keyring.key_id, most)
    for row in tokens:
        what = bound("tokens", row["tenant_id"], row["connector"])
        renewed = sealed(keyring, unsealed(keyring, row["sealed"], what), what)
        await connection.execute(_sql["rewrap_token"], row["tenant_id"], row["connector"], renewed)
    return len(bodies) + len(tokens)
