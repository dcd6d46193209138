"""Helpers of the tests of tasks: an application of this process, people and their tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
from links.visiting import serving

from mainstem.hub import Hub
from mainstem.platform.users import SignedIn, User, create_user


class Person:
    """Somebody with a token, who sends requests."""

    def __init__(self, client: httpx.AsyncClient, user: User, token: str) -> None:
        self.id = str(user.id)
        self.uuid = UUID(str(user.id))
        self.email = user.email
        self.token = token
        self._client = client
        self._headers = {"authorization": f"Bearer {token}"}

    async def send(self, method: str, path: str, json: object = None, **params: object) -> httpx.Response:
        return await self._client.request(method, path, json=json, params=params or None, headers=self._headers)

    async def get(self, path: str, **params: object) -> dict:
        answer = await self.send("GET", path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def add(self, title: str = "Buy groceries", **fields: object) -> dict:
        answer = await self.send("POST", "/api/tasks", {"title": title, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def put(self, task_id: int, **fields: object) -> dict:
        answer = await self.send("PUT", f"/api/tasks/{task_id}", fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def toggle(self, task_id: int) -> dict:
        answer = await self.send("PATCH", f"/api/tasks/{task_id}/complete")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def titles(self, **params: object) -> list[str]:
        return [task["title"] for task in (await self.get("/api/tasks", **params))["tasks"]]


class Office:
    """An application and its people."""

    def __init__(self, client: httpx.AsyncClient, hub: Hub, connection: asyncpg.Connection) -> None:
        self.client = client
        self.hub = hub
        self.connection = connection

    async def person(self, name: str, *, tenant: str = "default", role: str = "member") -> Person:
        tenant_id = await self.connection.fetchval("select tenant_id from platform.tenant where slug = $1", tenant)
        user = await create_user(
            self.connection, tenant_id, f"{name}@example.org", "correct horse", name=name, role=role
        )
        token = await self.hub.services.authenticator.issue(SignedIn(user, tenant))
        return Person(self.client, user, token)


@asynccontextmanager
async def open_office(
    dsn: str, folder: Path, connection: asyncpg.Connection, **settings: object
) -> AsyncIterator[Office]:
    """Yield an application on a database that neither judges rules nor counts requests."""
    usual = {"rate_limit_requests": 1_000_000, "alerts_enabled": False}
    async with serving(dsn, folder, **{**usual, **settings}) as (client, hub):
        yield Office(client, hub, connection)
