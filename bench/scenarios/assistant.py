"""The assistant without a language model: chat, tasks made and listed, and calls of tools, one person after another."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final

import asyncpg
import httpx

from bench.bench import Bench
from bench.figure import Bar, Figure
from bench.process import server
from bench.stats import percentile
from mainstem.platform.users import create_user

_EMAIL: Final = "bench@example.org"
_PASSWORD: Final = "a-password-of-the-bench"  # noqa: S105 - of a database that is thrown away
_CHAT: Final = Bar(sense="≤", value=100, unit="ms")
_CREATE: Final = Bar(sense="≤", value=20, unit="ms")
_LIST: Final = Bar(sense="≤", value=20, unit="ms")
_LIMITS: Final = {"RATE_LIMIT_REQUESTS": "10000000", "ASSISTANT_MESSAGES_PER_MINUTE": "100000"}
_PHRASES: Final = (
    *("Add a task to buy groceries for party {n}", "What's pending?", "Mark task {n} as complete"),
    *("What have I completed?", "Change task {n} to 'Call number {n}'", "Delete task {n}"),
)


def run(bench: Bench) -> list[Figure]:
    """Measure messages of the contract's kinds, tasks over REST, and the cheapest tool."""
    asyncio.run(_person(bench.cluster.dsn))
    found: list[tuple[float, float, float, float]] = []
    with server(bench.cluster, "serve", **_LIMITS) as serving:
        for _ in range(bench.runs):
            found.append(asyncio.run(_measured(f"http://127.0.0.1:{serving.port}", bench.sizes.messages)))
            bench.say("assistant: chat p95 {:.0f} ms, create {:.0f}, list {:.0f}, tool p50 {:.1f}".format(*found[-1]))
    chats, creates, lists, tools = zip(*found, strict=True)
    return [
        Figure(name="chat with the local model, p95", runs=chats, unit="ms", bar=_CHAT),
        Figure(name="a task made, p95", runs=creates, unit="ms", bar=_CREATE),
        Figure(name="tasks listed, p95", runs=lists, unit="ms", bar=_LIST),
        Figure(name="POST /api/v1/tools/list_tasks, p50", runs=tools, unit="ms", bar=None),
    ]


async def _person(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
        if await connection.fetchval("select count(*) from platform.users where email = $1", _EMAIL) == 0:
            await create_user(connection, tenant_id, _EMAIL, _PASSWORD)
    finally:
        await connection.close()


async def _measured(url: str, number: int) -> tuple[float, float, float, float]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        answer = await client.post("/api/v1/auth/token", json={"email": _EMAIL, "password": _PASSWORD})
        client.headers["authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
        where: int | None = None

        async def say(place: int) -> None:
            nonlocal where
            text = _PHRASES[place % len(_PHRASES)].format(n=place // len(_PHRASES) + 1)
            body = {"message": text, "conversation_id": where}
            where = (await client.post("/api/chat", json=body)).raise_for_status().json()["conversation_id"]

        async def make(place: int) -> None:
            (await client.post("/api/tasks", json={"title": f"Task {place}"})).raise_for_status()

        async def look(_: int) -> None:
            (await client.get("/api/tasks")).raise_for_status()

        async def use(_: int) -> None:
            body = {"arguments": {"limit": 10}}
            (await client.post("/api/v1/tools/list_tasks", json=body)).raise_for_status()

        return (
            percentile(await _times(say, number), 0.95),
            percentile(await _times(make, number), 0.95),
            percentile(await _times(look, number), 0.95),
            percentile(await _times(use, number), 0.5),
        )


async def _times(do: Callable[[int], Awaitable[None]], number: int) -> list[float]:
    took = []
    for place in range(number):
        started = perf_counter()
        await do(place)
        took.append((perf_counter() - started) * 1_000)
    return took
