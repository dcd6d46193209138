"""Helpers of the tests of chat: an application on a database, people who are signed in, what they say."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
from assistant.acting import person, token_of

from mainstem.app import attach, create_api
from mainstem.assistant.ports import Answered, Hands, Say, Talk
from mainstem.front import Front
from mainstem.hub import Hub, open_hub
from mainstem.platform.settings import Settings


@dataclass
class Someone:
    """A person with a client, who talks under their own path."""

    client: httpx.AsyncClient
    id: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return f"/api/{self.id}"

    async def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        return await self.client.post(self.path + path, json=body, headers={**self.headers, **headers})

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(self.path + path, headers={**self.headers, **headers})

    async def send(self, message: str, conversation: int | None = None, **headers: str) -> httpx.Response:
        body = {"message": message, **({} if conversation is None else {"conversation_id": conversation})}
        return await self.post("/chat", body, **headers)

    async def say(self, message: str, conversation: int | None = None, **headers: str) -> dict:
        answer = await self.send(message, conversation, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def use(self, tool: str, **arguments: object) -> object:
        answer = await self.client.post(f"/api/v1/tools/{tool}", json={"arguments": arguments}, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def titles(self) -> list[str]:
        return sorted(one["title"] for one in await self.use("list_tasks"))


@dataclass
class Desk:
    """An application and its database."""

    client: httpx.AsyncClient
    hub: Hub
    connection: asyncpg.Connection
    api: object

    async def someone(self, email: str = "ann@example.org", **fields: str) -> Someone:
        """Make a person and sign them in."""
        caller = await person(self.connection, email, **fields)
        return Someone(self.client, str(caller.user_id), await token_of(self.hub, caller))

    def another(self, model: object | None = None) -> "Desk":
        """Return another process's application on the same parts; with a model of the test's, where one is given."""
        return _desk(self.hub, self.connection, model)


@asynccontextmanager
async def desk(
    dsn: str,
    folder: Path,
    connection: asyncpg.Connection,
    model: object | None = None,
    *,
    works: bool = False,
    **settings: object,
) -> AsyncIterator[Desk]:
    """Yield an application; nothing but requests happens in it."""
    chosen = Settings(
        _env_file=None,
        data_dir=folder,
        alerts_enabled=False,
        **{"rate_limit_requests": 100_000, "assistant_messages_per_minute": 10_000, **settings},
    )
    async with open_hub(chosen, dsn, folder, serves=True, works=works) as hub:
        made = _desk(hub, connection, model)
        async with made.client:
            yield made
        await made.api.state.turns.stop()


def _desk(hub: Hub, connection: asyncpg.Connection, model: object | None) -> Desk:
    api = create_api(hub.services.settings)
    attach(api, hub)
    if model is not None:
        api.state.turns.maker.model = model
    transport = httpx.ASGITransport(app=Front(api, hub.services), client=("198.51.100.7", 4711))
    return Desk(httpx.AsyncClient(transport=transport, base_url="http://localhost"), hub, connection, api)


@dataclass
class Scripted:
    """A model that does what the test says."""

    script: Callable[[Talk, Hands, Say], Awaitable[Answered | None]]
    name: str = "scripted"
    counts: bool = True
    talks: list[Talk] = field(default_factory=list)

    async def answer(self, talk: Talk, hands: Hands, say: Say) -> Answered:
        self.talks.append(talk)
        return await self.script(talk, hands, say) or Answered()


def events_of(text: str) -> list[tuple[int, str, dict]]:
    """Return the events of a stream: number, name, data."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found
