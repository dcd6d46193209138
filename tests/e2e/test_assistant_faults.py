"""A process that is killed in the middle of an answer: the next one finishes it, and what was done is done once."""

import asyncio
import re
from pathlib import Path

import httpx
import psycopg
from assistant.chatting import events_of
from assistant.modelling import calls
from e2e_server import Server, cli

from mainstem.platform.addresses import parse_networks
from mainstem.sandbox.box import Sandbox
from mainstem.sandbox.pointing import assistant_settings
from mainstem.sandbox.server import serving

PASSWORD = "Correct-Horse-7"
LATE = "update assistant.conversations set turn_until = now() - interval '1 second'"
"""The lease of what was killed has run out: half a minute later, for those who wait."""


class Ann:
    """Somebody who is signed in, at a hub that is started again."""

    def __init__(self, server: Server) -> None:
        self.client = httpx.AsyncClient(base_url=server.url, timeout=60)
        self.path = ""

    async def sign_in(self) -> None:
        answer = await self.client.post("/api/v1/auth/token", json={"email": "ann@example.org", "password": PASSWORD})
        self.client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        self.path = f"/api/{answer.json()['user']['id']}"


async def asked(box: httpx.AsyncClient, many: int) -> None:
    """Return when the model has been asked so often."""
    async with asyncio.timeout(60):
        while len((await box.get("/requests", params={"service": "openai"})).json()["requests"]) < many:  # noqa: ASYNC110 - another program is asked
            await asyncio.sleep(0.05)


async def test_an_answer_outlives_the_process_that_was_making_it(tmp_path: Path) -> None:
    sandbox = Sandbox(1, target=None, allow=parse_networks(["127.0.0.0/8"]))
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=f"{url}/admin") as box:
        server = Server(tmp_path / "data", **assistant_settings(sandbox, url))
        await asyncio.to_thread(server.start)
        env = {**server.env, "MAINSTEM_PASSWORD": PASSWORD}
        create = ("user", "create", "--tenant", "default", "ann@example.org")
        await asyncio.to_thread(cli, *create, data_dir=server.data_dir, env=env)
        ann = Ann(server)
        try:
            await ann.sign_in()
            # the model asks for a task, and is then slow to say so
            await box.post("/replies", json={"replies": [calls("add_task", title="once"), {"text": "never said"}]})
            for seconds in (0, 60):
                fault = {"kind": "latency", "service": "openai", "count": 1, "seconds": seconds}
                assert (await box.post("/faults", json=fault)).status_code == 201
            body = {"message": "remember it", "stream": True}
            telling = asyncio.create_task(ann.client.post(f"{ann.path}/chat", json=body))
            await asked(box, 2)
            await asyncio.to_thread(server.kill)
            assert isinstance((await asyncio.gather(telling, return_exceptions=True))[0], httpx.TransportError)
            await box.delete("/replies")
            await box.post("/replies", json={"replies": [{"text": "It is on your list."}]})

            await asyncio.to_thread(server.start)
            (left,) = (await ann.client.get(f"{ann.path}/conversations")).json()["conversations"]
            path = f"{ann.path}/conversations/{left['id']}/messages"
            unfinished = (await ann.client.get(path)).json()["messages"][-1]
            assert (unfinished["role"], unfinished["unfinished"]) == ("assistant", True)
            with psycopg.connect(server.database_url(), autocommit=True) as connection:
                connection.execute(LATE)
            told = events_of((await ann.client.get(f"{path}/{unfinished['id']}/stream")).text)
            assert told[-1][1] == "message.completed"
            assert told[-1][2]["response"] == "It is on your list."
            # the call that was made before the kill is told to the model, and isn't made again
            last = (await box.get("/requests", params={"service": "openai"})).json()["requests"][-1]["body"]
            assert re.search(r"once", str([one for one in last["messages"] if one["role"] == "tool"]))
            tasks = (await ann.client.post("/api/v1/tools/list_tasks", json={"arguments": {}})).json()["result"]
            assert [task["title"] for task in tasks] == ["once"]
            kept = (await ann.client.get(path)).json()["messages"][-1]
            assert (kept["content"], kept["unfinished"]) == ("It is on your list.", False)
        finally:
            await ann.client.aclose()
            await asyncio.to_thread(server.stop)
