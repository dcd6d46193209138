"""Helpers of the tests of language models: the sandbox's stand-in over real HTTP, and a hub that talks to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from assistant.chatting import Desk, desk

from mainstem.platform.addresses import parse_networks
from mainstem.sandbox.box import Sandbox
from mainstem.sandbox.pointing import assistant_settings
from mainstem.sandbox.server import serving


@dataclass
class Brainy:
    """A hub whose assistant is the sandbox's model, and the admin API of that."""

    desk: Desk
    admin: httpx.AsyncClient

    async def next(self, *replies: dict) -> None:
        """Have the model say this next, one reply for each request."""
        answer = await self.admin.post("/replies", json={"replies": list(replies)})
        assert answer.status_code == 201, answer.text

    async def fault(self, kind: str, **fields: object) -> None:
        answer = await self.admin.post("/faults", json={"kind": kind, "service": "openai", "count": 1, **fields})
        assert answer.status_code == 201, answer.text

    async def requests(self) -> list[dict]:
        """Return the bodies of the requests that the model had."""
        found = (await self.admin.get("/requests", params={"service": "openai"})).json()["requests"]
        return [one["body"] for one in found]


def calls(name: str, **arguments: object) -> dict:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


@asynccontextmanager
async def brainy(dsn, folder, connection, **settings: object) -> AsyncIterator[Brainy]:
    """Yield a hub that talks to the stand-in of a language model."""
    box = Sandbox(1, target=None, allow=parse_networks(["127.0.0.0/8"]))
    async with serving(box) as address:
        pointing = {name.lower(): value for name, value in assistant_settings(box, address).items()}
        chosen = {**pointing, "openai_timeout_seconds": 10, **settings}
        async with (
            httpx.AsyncClient(base_url=f"{address}/admin") as admin,
            desk(dsn, folder, connection, **chosen) as hub,
        ):
            yield Brainy(hub, admin)
            await hub.api.state.turns.maker.model.close()
