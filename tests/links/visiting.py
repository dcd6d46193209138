"""Helpers of the tests of links: rows of links, and an application of this process to visit them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx

from mainstem.api import attach, create_api
from mainstem.front import Front
from mainstem.hub import Hub, open_hub
from mainstem.platform.settings import Settings

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


async def add_link(
    connection: asyncpg.Connection, slug: str, target_url: str = "https://example.com/", **fields: object
) -> int:
    """Insert a link of the tenant default; return its id."""
    row = {"slug": slug, "tracking_id": slug, "target_url": target_url, **fields}
    names = ", ".join(row)
    values = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    return await connection.fetchval(
        f"insert into links.tracked_link (tenant_id, {names}) "
        f"select tenant_id, {values} from platform.tenant where slug = 'default' returning link_id",
        *row.values(),
    )


@asynccontextmanager
async def serving(
    dsn: str, folder: Path, *, works: bool = True, **settings: object
) -> AsyncIterator[tuple[httpx.AsyncClient, Hub]]:
    """Yield a client of an application on a database, which serves and does the work, and its parts."""
    chosen = Settings(_env_file=None, data_dir=folder, **settings)
    async with open_hub(chosen, dsn, folder, serves=True, works=works) as hub:
        api = create_api(chosen)
        attach(api, hub)
        transport = httpx.ASGITransport(app=Front(api, hub.services), client=("198.51.100.7", 4711))
        headers = {"user-agent": FIREFOX, "accept": "text/html"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            yield client, hub


async def loaded(connection: asyncpg.Connection, hub: Hub) -> None:
    """Return when all events are loaded."""
    async with asyncio.timeout(20):
        while await connection.fetchval("select exists (select from raw.batch where loaded_at is null)"):
            hub.loader.nudge()
            await asyncio.sleep(0.005)
