"""The connector between stand-ins for Tripleseat and Revel: a bulk of bookings, and webhooks while everything goes wrong.

The stand-ins are a process of their own (`mainstem sandbox`), with Tripleseat's limit of ten calls a second. Every tenth call
meets a fault, of all kinds in turn; a webhook is timed by whoever sends it. What counts in the end is at the till: one right
order for each booking, and no second one.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from time import perf_counter
from typing import Any, Final

import asyncpg
import httpx

from bench.bench import Bench
from bench.cluster import Cluster
from bench.figure import Bar, Figure
from bench.process import MAINSTEM, free_port, running, server
from bench.stats import percentile
from mainstem.connectors.tripleseat.signature import sign
from mainstem.platform.keys import create_key

_KINDS: Final = (
    *("latency", "timeout", "timeout_after_commit", "reset", "reset_after_commit", "429", "500", "500_after_commit"),
    *("503", "html", "html_after_commit", "garbage", "garbage_after_commit"),
)
_SHARE: Final = 0.1
_HOLD_S: Final = 3.0
_SENDERS: Final = 4
_BULK: Final = Bar(sense="≤", value=120, unit="s")
_ANSWER: Final = Bar(sense="≤", value=1_000, unit="ms")
_NONE: Final = Bar(sense="≤", value=0)
_MEND_S: Final = 300.0
_SETTINGS: Final = {
    "CONNECTOR_SETTLE_SECONDS": "30",
    "CONNECTOR_LEASE_SECONDS": "30",
    "CONNECTOR_BUDGET_SECONDS": "0.7",
}
_EMPTY: Final = (
    "truncate connectors.booking, connectors.delivery, connectors.item, connectors.run, connectors.schedule cascade"
)


def run(bench: Bench) -> list[Figure]:
    """Measure a bulk without faults, and webhooks with them."""
    key = asyncio.run(_key(bench.cluster))
    bulks: list[float] = []
    answers: list[float] = []
    wrong: list[float] = []
    for _ in range(bench.runs):
        bulks.append(asyncio.run(_with_hub(bench, key, _bulk)))
        found, unmended = asyncio.run(_with_hub(bench, key, _storm))
        answers.append(found)
        wrong.append(unmended)
        bench.say(f"connector: bulk {bulks[-1]:.1f} s, answers p99 {answers[-1]:.0f} ms, {wrong[-1]:.0f} wrong")
    number = bench.sizes.bookings
    return [
        Figure(name=f"bulk sync of {number} bookings", runs=tuple(bulks), unit="s", bar=_BULK),
        Figure(name="webhook answered, every tenth call a fault, p99", runs=tuple(answers), unit="ms", bar=_ANSWER),
        Figure(
            name=f"of {number} bookings without one right order at last", runs=tuple(wrong), unit="bookings", bar=_NONE
        ),
    ]


async def _with_hub(bench: Bench, key: str, measure: Any) -> Any:  # noqa: ANN401 - what the measurement returns
    bench.cluster.execute(_EMPTY)
    with _sandbox(bench.cluster) as pointing:
        address = pointing["SANDBOX_URL"]
        async with httpx.AsyncClient(base_url=f"{address}/admin", timeout=60) as admin:
            await admin.post("/reset", json={"events": False})
            await admin.put("/target", json={"url": None})
            with server(bench.cluster, "up", **pointing, **_SETTINGS) as serving:
                headers = {"authorization": f"Bearer {key}"}
                url = f"http://127.0.0.1:{serving.port}"
                async with httpx.AsyncClient(base_url=url, headers=headers, timeout=600) as hub:
                    mapping = (await admin.get("/mapping.csv")).text
                    (await hub.post("/api/connectors/tripleseat/items/import", content=mapping)).raise_for_status()
                    return await measure(bench, admin, hub, pointing)


async def _bulk(bench: Bench, admin: httpx.AsyncClient, hub: httpx.AsyncClient, _: Mapping[str, str]) -> float:
    await admin.post("/events", json={"count": bench.sizes.bookings})
    started = perf_counter()
    await _synced(hub)
    took = perf_counter() - started
    live = [one for one in (await admin.get("/orders")).json()["orders"] if not one["voided"]]
    if len(live) != bench.sizes.bookings:
        msg = f"{len(live)} orders of {bench.sizes.bookings} bookings"
        raise RuntimeError(msg)
    return took


async def _storm(
    bench: Bench, admin: httpx.AsyncClient, hub: httpx.AsyncClient, pointing: Mapping[str, str]
) -> tuple[float, float]:
    """Return the p99 of answers in ms, and how many bookings have no right order when all has been mended."""
    booked = (await admin.post("/events", json={"count": bench.sizes.bookings})).json()["events"]
    for kind in _KINDS:
        fault = {"kind": kind, "probability": _SHARE / len(_KINDS), "seconds": 0.3 if kind == "latency" else _HOLD_S}
        (await admin.post("/faults", json=fault)).raise_for_status()
    waits: list[float] = []
    queue = list(booked)

    async def send() -> None:
        while queue:
            body = json.dumps({"webhook_trigger_type": "UPDATE_EVENT", "event": queue.pop()["event"]}).encode()
            signature = sign(pointing["TRIPLESEAT_WEBHOOK_SIGNING_KEY"], body, int(time.time()))
            started = perf_counter()
            answer = await hub.post("/webhooks/tripleseat", content=body, headers={"x-signature": signature})
            waits.append((perf_counter() - started) * 1_000)
            answer.raise_for_status()

    await asyncio.gather(*(send() for _ in range(_SENDERS)))
    await admin.delete("/faults")
    ends = perf_counter() + _MEND_S
    while (left := await _wrong(admin, booked)) and perf_counter() < ends:
        await asyncio.sleep(1.0)
        await _synced(hub)
    return percentile(sorted(waits), 0.99), float(left)


async def _synced(hub: httpx.AsyncClient) -> None:
    answer = await hub.post("/api/sync/tripleseat", params={"hours_back": 48})
    if answer.status_code != 200:
        msg = f"a sync was answered with {answer.status_code}: {answer.text[:300]}"
        raise RuntimeError(msg)


async def _wrong(admin: httpx.AsyncClient, booked: list[dict[str, Any]]) -> int:
    orders: dict[str, list[Counter[str]]] = {}
    for order in (await admin.get("/orders")).json()["orders"]:
        if not order["voided"]:
            orders.setdefault(order["local_id"], []).append(_items(order["items"]))
    return sum(orders.get(one["local_id"]) != [_items(one["items"])] for one in booked)


def _items(given: list[dict[str, Any]]) -> "Counter[str]":
    found: Counter[str] = Counter()
    for item in given:
        if not item.get("voided"):
            found[f"{item['product']}"] += int(Decimal(str(item["quantity"])) * 1000)
    return found


@contextmanager
def _sandbox(cluster: Cluster) -> Iterator[dict[str, str]]:
    port = free_port()
    folder = cluster.data_dir / f"sandbox-{port}"
    command = [*MAINSTEM, "sandbox", "--json", "--port", str(port), "--target", ""]
    with running(command, {}, folder):
        yield _pointing(folder.with_suffix(".log").read_text, port)


def _pointing(read: Any, port: int) -> dict[str, str]:  # noqa: ANN401 - reads a file
    for _ in range(200):
        try:
            httpx.get(f"http://127.0.0.1:{port}/admin/faults").raise_for_status()
            found: dict[str, str] = json.loads(read())
        except (httpx.HTTPError, ValueError):
            time.sleep(0.1)
        else:
            return found
    msg = "the sandbox does not answer"
    raise RuntimeError(msg)


async def _key(cluster: Cluster) -> str:
    connection = await asyncpg.connect(cluster.dsn)
    try:
        tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
        return (await create_key(connection, tenant_id, scopes=["connectors"], label="bench")).key
    finally:
        await connection.close()
