"""Brings what endpoints keep secret under the current key of the installation, after PII_KEY has changed."""

from typing import Final

from mainstem.pii.box import Keyring, Wrapped
from mainstem.platform.db import Connection, load_queries
from mainstem.webhooks.secrets import open_headers, open_secret, seal_headers, seal_secret

_sql: Final = load_queries("mainstem.webhooks")


async def not_current(connection: Connection, keyring: Keyring) -> int:
    """Return how many secrets and sets of headers are wrapped by another key than the current one."""
    count: int = await connection.fetchval(_sql["count_to_rewrap"], keyring.key_id)
    return count


async def rewrap(connection: Connection, keyring: Keyring, most: int) -> int:
    """Wrap up to `most` secrets, and as many sets of headers, by the current key; return how many were.

    In the caller's transaction. Raises PiiKeyError for what is under a key that the keyring does not have.
    """
    secrets = await connection.fetch(_sql["secrets_to_rewrap"], keyring.key_id, most)
    for row in secrets:
        secret = open_secret(keyring, row["uid"], row["kind"], Wrapped(row["key_id"], row["box"]))
        wrapped = seal_secret(keyring, row["uid"], secret)
        await connection.execute(_sql["rewrap_secret"], row["secret_id"], wrapped.key_id, wrapped.box)
    endpoints = await connection.fetch(_sql["headers_to_rewrap"], keyring.key_id, most)
    for row in endpoints:
        headers = open_headers(keyring, row["uid"], row["headers"])
        await connection.execute(_sql["rewrap_headers"], row["endpoint_id"], seal_headers(keyring, row["uid"], headers))
    return len(secrets) + len(endpoints)
