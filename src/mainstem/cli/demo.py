"""The demo tenant's way in: its data, one API key and one user, made once and kept beside the database."""

import asyncio
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

from mainstem.hub import open_hub
from mainstem.links.demo import load_demo_links
from mainstem.platform import keys, users
from mainstem.platform.clock import utc_now
from mainstem.platform.db import load_queries, transaction
from mainstem.platform.errors import ConflictError
from mainstem.site.demo import TENANT, load_demo

if TYPE_CHECKING:
    from mainstem.platform.db import Connection
    from mainstem.platform.settings import Settings

EMAIL: Final = "demo@example.com"
_SCOPES: Final = ("admin",)
"""All that a newcomer may want to try, in a tenant whose data is made up."""
_QUERIES: Final = load_queries("mainstem.cli")


@dataclass(frozen=True, slots=True)
class Demo:
    """What a person needs to enter the demo; the secrets are shown once (`fresh`), then only where they are kept."""

    fresh: bool
    key: str
    password: str | None
    """None when the user is there and the file with the password is gone."""
    key_file: Path
    password_file: Path
    email: str = EMAIL
    tenant: str = TENANT
    """Slug."""


def ensure_demo(settings: "Settings", dsn: str, data_dir: Path) -> Demo:
    """Load the demo and make its key and user where this database has them not yet; return how to enter.

    The two files have mode 0600. A key that was revoked, or belongs to another database, is replaced.
    """
    key_file, password_file = data_dir / "demo-key", data_dir / "demo-password"
    return asyncio.run(_ensure(settings, dsn, data_dir, key_file, password_file))


async def _ensure(settings: "Settings", dsn: str, data_dir: Path, key_file: Path, password_file: Path) -> Demo:
    key, password = _read(key_file), _read(password_file)
    if key is not None and await _is_live(dsn, key):
        return Demo(fresh=False, key=key, password=password, key_file=key_file, password_file=password_file)
    async with open_hub(settings, dsn, data_dir, serves=True, works=False) as hub:
        now = utc_now()
        loaded = await load_demo(hub.services.intake, hub.worker_pool, settings, now=now)
        await load_demo_links(hub.services.intake, hub.worker_pool, loaded.tenant_id, settings, now=now)
        async with transaction(hub.worker_pool) as connection:
            made = await keys.create_key(connection, loaded.tenant_id, scopes=_SCOPES, label="demo")
            password = await _ensure_user(connection, loaded.tenant_id, password)
            # the files first: a key that is in the database and nowhere else is of use to nobody
            _write(key_file, made.key)
            if password is not None:
                _write(password_file, password)
    return Demo(fresh=True, key=made.key, password=password, key_file=key_file, password_file=password_file)


async def _ensure_user(connection: "Connection", tenant_id: int, password: str | None) -> str | None:
    """Make the demo's user; return its password, None where an earlier one was made and nobody kept it."""
    chosen = password or secrets.token_urlsafe(12)
    try:
        await users.create_user(connection, tenant_id, EMAIL, chosen, name="Demo", role="owner")
    except ConflictError:
        return password
    return chosen


async def _is_live(dsn: str, key: str) -> bool:
    connection = await asyncpg.connect(dsn)
    try:
        return bool(await connection.fetchval(_QUERIES["key_is_live"], keys.key_hash(key)))
    finally:
        await connection.close()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def _write(path: Path, secret: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    draft.replace(path)
