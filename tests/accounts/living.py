"""A hub with a real mail server, spoken to over HTTP, for the tests of accounts."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
from links.visiting import serving
from postbox import Mailbox, mailing

from mainstem.hub import Hub
from mainstem.platform.mail import Mailer
from mainstem.platform.outbox import send_due
from mainstem.platform.secrets import derive, secret_key
from mainstem.platform.text_box import TextBox
from mainstem.platform.users import create_user

PASSWORD = "correct horse battery"
ANA = "ana@harbour.example"
LINK = re.compile(r"(http://\S+?)#(\S+)")


@dataclass
class Living:
    """A running hub and its mails."""

    client: httpx.AsyncClient
    hub: Hub
    box: Mailbox
    connection: asyncpg.Connection

    async def post(self, path: str, token: str | None = None, /, **body: object) -> httpx.Response:
        return await self.client.post(path, json=body, headers=bearer(token))

    async def get(self, path: str, token: str | None = None) -> httpx.Response:
        return await self.client.get(path, headers=bearer(token))

    async def delete(self, path: str, token: str | None = None) -> httpx.Response:
        return await self.client.delete(path, headers=bearer(token))

    async def sign_in(self, email: str = ANA, password: str = PASSWORD) -> str:
        """Return a token."""
        answer = await self.post("/api/auth/signin", email=email, password=password)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    async def user(self, email: str = ANA, *, role: str = "member", tenant_id: int = 1, verified: bool = True):
        return await create_user(self.connection, tenant_id, email, PASSWORD, name="Ana", role=role, verified=verified)

    async def mails(self) -> list[tuple[str, str, str]]:
        """Send what waits; return receiver, subject and text of all mails that came since the last time."""
        settings = self.hub.services.settings
        box = TextBox(derive(secret_key(settings, settings.data_dir), "mail"))
        while await send_due(self.hub.worker_pool, Mailer(settings), box=box):
            pass
        came = [(one.rcpt_tos[0], mail["subject"], mail.get_content()) for one, mail in self.box.mails]
        self.box.mails.clear()
        return came

    async def link(self) -> str:
        """Return the secret of the one link that was mailed."""
        [(_, _, text)] = await self.mails()
        found = LINK.search(text)
        assert found is not None, text
        return found[2]


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def living(dsn: str, folder: Path, **settings: object) -> AsyncIterator[Living]:
    """Yield a hub that serves; mails are sent when a test asks for them."""
    chosen = {"rate_limit_requests": 100_000, "mail_from": "hub@example.org", **settings}
    connection = await asyncpg.connect(dsn)
    try:
        with mailing() as box:
            if "smtp_url" not in chosen:
                chosen["smtp_url"] = box.url
            async with serving(dsn, folder, works=False, **chosen) as (client, hub):
                yield Living(client, hub, box, connection)
    finally:
        await connection.close()
