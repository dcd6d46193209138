"""MCP over loopback: one client calls a tool that writes, then one that reads, in the era without sessions and in the one before.

What a call costs beside its query: credential, limits, the protocol, the check of the arguments, the line in the log.
"""

import asyncio
import json
from time import perf_counter
from typing import Final

import httpx

from bench.bench import Bench
from bench.figure import Bar, Figure
from bench.process import run_command, server
from bench.stats import percentile

_BAR: Final = Bar(sense="≤", value=10, unit="ms")
_EMAIL: Final = "mcp@example.org"
_PASSWORD: Final = "Bench-Horse-Battery-7"  # noqa: S105 - of a database that lives as long as the bench
_WARM_UP: Final = 50
_HANDSHAKE: Final = "2025-11-25"
_MODERN: Final = "2026-07-28"
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": _MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
}


def run(bench: Bench) -> list[Figure]:
    """Measure the calls of one client, one after another, in each run."""
    bench.cluster.clear()
    run_command(bench.cluster, "user", "create", _EMAIL, "--tenant", "default", MAINSTEM_PASSWORD=_PASSWORD)
    found: dict[str, list[float]] = {"add_task": [], "list_tasks": [], "list_tasks, era of sessions": []}
    with server(bench.cluster, "serve", RATE_LIMIT_REQUESTS="1000000000") as target:
        url = f"http://127.0.0.1:{target.port}"
        for _ in range(bench.runs):
            for name, milliseconds in asyncio.run(_measure(url, bench.sizes.query_requests)).items():
                found[name].append(milliseconds)
            bench.say("mcp: " + ", ".join(f"{name} {runs[-1]:.1f} ms" for name, runs in found.items()))
    return [
        Figure(name=f"MCP tools/call, {name}, p50", runs=tuple(runs), unit="ms", bar=_BAR)
        for name, runs in found.items()
    ]


async def _measure(url: str, calls: int) -> dict[str, float]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        signed_in = await client.post("/api/v1/auth/token", json={"email": _EMAIL, "password": _PASSWORD})
        client.headers["Authorization"] = f"Bearer {signed_in.raise_for_status().json()['access_token']}"
        return {
            # first, so that both eras list the same tasks
            "add_task": await _p50(client, "add_task", {"title": "Call the supplier"}, _MODERN, calls),
            "list_tasks": await _p50(client, "list_tasks", {"limit": 10}, _MODERN, calls),
            "list_tasks, era of sessions": await _p50(client, "list_tasks", {"limit": 10}, _HANDSHAKE, calls),
        }


async def _p50(client: httpx.AsyncClient, tool: str, arguments: dict[str, object], era: str, calls: int) -> float:
    params: dict[str, object] = {"name": tool, "arguments": arguments}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": era,
    }
    if era == _MODERN:
        params["_meta"] = _META
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": tool}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    took = []
    for number in range(_WARM_UP + calls):
        started = perf_counter()
        answer = await client.post("/mcp", content=body, headers=headers)
        if number >= _WARM_UP:
            took.append(perf_counter() - started)
        if answer.status_code != 200 or answer.json().get("result", {}).get("isError") is not False:
            msg = f"a call failed: {answer.status_code} {answer.text[:500]}"
            raise RuntimeError(msg)
    return percentile(took, 0.5) * 1000
