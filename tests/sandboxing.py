"""A running sandbox for tests, spoken to over HTTP alone."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
from aiohttp import web
from e2e_server import clean_environment

from mainstem.platform.addresses import parse_networks
from mainstem.sandbox.box import Sandbox
from mainstem.sandbox.pointing import settings
from mainstem.sandbox.server import serving

COMMAND = [sys.executable, "-m", "mainstem", "sandbox"]
LOOPBACK = parse_networks(["127.0.0.0/8"])


class Town:
    """A sandbox that runs: `admin` is a client of its admin API."""

    def __init__(self, url: str, pointing: dict[str, str], admin: httpx.AsyncClient) -> None:
        self.url, self.settings, self.admin = url, pointing, admin

    async def token(self, **form: str) -> httpx.Response:
        """Ask for a token; client credentials unless the form says otherwise."""
        given = {
            "grant_type": "client_credentials",
            "client_id": self.settings["TRIPLESEAT_OAUTH_CLIENT_ID"],
            "client_secret": self.settings["TRIPLESEAT_OAUTH_CLIENT_SECRET"],
            **form,
        }
        async with httpx.AsyncClient() as client:
            return await client.post(self.settings["TRIPLESEAT_TOKEN_URL"], data=given)

    @asynccontextmanager
    async def tripleseat(self) -> AsyncIterator[httpx.AsyncClient]:
        """Yield a client of Tripleseat with a token."""
        token = (await self.token()).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=self.settings["TRIPLESEAT_BASE_URL"], headers=headers) as client:
            yield client

    @asynccontextmanager
    async def revel(self) -> AsyncIterator[httpx.AsyncClient]:
        """Yield a client of Revel with its key."""
        headers = {"API-AUTHENTICATION": f"{self.settings['REVEL_API_KEY']}:{self.settings['REVEL_API_SECRET']}"}
        async with httpx.AsyncClient(base_url=self.settings["REVEL_BASE_URL"], headers=headers) as client:
            yield client

    async def book(self, **fields: Any) -> dict[str, Any]:
        """Book an event, or several."""
        answer = await self.admin.post("/events", json=fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def fault(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Set a fault."""
        answer = await self.admin.post("/faults", json={"kind": kind, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def config(self, **fields: Any) -> None:
        """Change how the services behave."""
        answer = await self.admin.patch("/config", json=fields)
        assert answer.status_code == 200, answer.text

    async def orders(self) -> list[dict[str, Any]]:
        """Return all orders."""
        return (await self.admin.get("/orders")).json()["orders"]

    async def calls(self, **chosen: str) -> list[dict[str, Any]]:
        """Return the calls that fit."""
        return (await self.admin.get("/requests", params=chosen)).json()["requests"]

    async def webhooks(self) -> list[dict[str, Any]]:
        """Return all webhooks, once none is on its way any more."""
        for _ in range(20):
            # the answer comes after half a minute at most, and many webhooks take longer
            answer = (await self.admin.get("/webhooks", params={"settled": "true"}, timeout=40)).json()
            if answer["settled"]:
                return answer["webhooks"]
        msg = "webhooks are still on their way"
        raise AssertionError(msg)


@asynccontextmanager
async def sandboxing(*, seed: int = 1, target: str | None = None) -> AsyncIterator[Town]:
    """Run a sandbox while the block runs."""
    box = Sandbox(seed, target=target, allow=LOOPBACK)
    async with serving(box) as url, httpx.AsyncClient(base_url=f"{url}/admin") as admin:
        yield Town(url, settings(box, url), admin)


class Receiver:
    """Keeps what it is sent; `statuses` are its first answers, the others are 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.requests: list[tuple[bytes, Mapping[str, str]]] = []
        self.url = ""
        self._came = asyncio.Condition()

    @property
    def triggers(self) -> list[str]:
        """The triggers in the order they came."""
        return [json.loads(body)["webhook_trigger_type"] for body, _ in self.requests]

    async def handle(self, request: web.Request) -> web.Response:
        """Keep a request and answer it."""
        self.requests.append((await request.read(), request.headers.copy()))
        async with self._came:
            self._came.notify_all()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    async def received(self, count: int, timeout_s: float = 20) -> list[tuple[bytes, Mapping[str, str]]]:
        """Return all requests once there are `count` of them."""
        async with asyncio.timeout(timeout_s), self._came:
            await self._came.wait_for(lambda: len(self.requests) >= count)
        return self.requests


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    """Run a receiver of webhooks while the block runs."""
    receiver = Receiver(*statuses)
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/tripleseat"
    yield receiver
    await runner.cleanup()


@contextmanager
def running(*options: str) -> Iterator[subprocess.Popen]:
    """Run a sandbox as a process on a free port while the block runs; it sends no webhooks."""
    command = [*COMMAND, "--port", "0", "--target", "", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def cart(booked: dict[str, Any], **info: Any) -> dict[str, Any]:
    """Return the cart of a booked event."""
    return {
        "skin": "weborder",
        "establishmentId": booked["establishment"],
        "items": [
            {"product": item["product"], "quantity": float(item["quantity"]), "price": float(item["price"])}
            for item in booked["items"]
        ],
        "orderInfo": {
            "call_name": booked["name"],
            "dining_option": 0,
            "local_id": booked["local_id"],
            **info,
        },
    }
