"""Signed webhooks to a receiver on loopback: how many a second, how soon, and what a backlog does to the ingest beside it.

The receiver is a process of its own (`bench.sink`) on the same two cores, and so is PostgreSQL. A backlog is put into the
queue by SQL; everything from the claim on is the product's own worker with its own settings.
"""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final
from uuid import uuid4

import asyncpg
import httpx

from bench.bench import PENDING, Bench, require_all_good
from bench.cluster import Cluster
from bench.figure import Bar, Figure
from bench.load_generator import Plan, generate, request
from bench.process import await_zero, free_port, python, server, worker
from bench.stats import percentile
from mainstem.pii.box import Keyring
from mainstem.platform.secrets import pii_keys
from mainstem.platform.settings import Settings
from mainstem.webhooks.secrets import seal_secret
from mainstem.webhooks.sign import Secret, SecretKind

_SECRET_KEY: Final = "a secret of the bench, which holds nothing that is worth keeping"  # noqa: S105 - opens nothing
_SETTINGS: Final = {"OUTBOUND_ALLOW": "127.0.0.0/8", "SECRET_KEY": _SECRET_KEY}
_EVENT: Final = json.dumps({"order": 4711, "total": 129.5, "currency": "EUR", "lines": [{"sku": "A-1", "n": 2}] * 5})
_PACE: Final = 50.0
_PACED_EVENTS: Final = 500
_PER_SECOND: Final = Bar(sense="≥", value=2_000, unit="deliveries/s")
_SOON: Final = Bar(sense="≤", value=100, unit="ms")
_SLOWER: Final = Bar(sense="≤", value=2)
_BACKLOG: Final = """
with kept as (
  insert into webhooks.message (tenant_id, event_uid, kind, source, occurred_at, received_at, data)
  select e.tenant_id, gen_random_uuid(), 'order.paid', 'bench', now(), now(), '{event}'
  from generate_series(1, {number}), webhooks.endpoint e where e.endpoint_id = {endpoint}
  returning message_id, tenant_id, event_uid, kind
), made as (
  insert into webhooks.delivery (tenant_id, endpoint_id, message_id, event_uid, kind)
  select tenant_id, {endpoint}, message_id, event_uid, kind from kept
  returning delivery_id, endpoint_id
)
insert into webhooks.queue (delivery_id, endpoint_id) select delivery_id, endpoint_id from made
"""
_WAITING: Final = "select count(*) from webhooks.queue"
_RATE: Final = """select count(*) / greatest(extract(epoch from max(at) - min(at)), 0.001) from webhooks.attempt
                  where outcome = 'delivered'"""


def run(bench: Bench) -> list[Figure]:
    """Measure throughput, latency and the ingest beside a backlog."""
    with _sink() as port:
        endpoint = asyncio.run(_endpoint(bench.cluster, f"http://127.0.0.1:{port}/hook"))
        rates = [_drain(bench, endpoint) for _ in range(bench.runs)]
        p50, p99 = _latencies(bench, port)
        slower = [_beside(bench, endpoint) for _ in range(bench.runs)]
        bench.cluster.execute("update webhooks.endpoint set deleted_at = now()")
    return [
        Figure(name="signed deliveries, one worker", runs=tuple(rates), unit="deliveries/s", bar=_PER_SECOND),
        Figure(name=f"accepted → delivered at {_PACE:.0f}/s, p50", runs=p50, unit="ms", bar=_SOON),
        Figure(name=f"accepted → delivered at {_PACE:.0f}/s, p99", runs=p99, unit="ms"),
        Figure(
            name=f"batch ingest beside a backlog of {bench.sizes.backlog_deliveries:,} deliveries: times slower",
            runs=tuple(slower),
            unit="times",
            bar=_SLOWER,
        ),
    ]


@contextmanager
def _sink() -> Iterator[int]:
    port = free_port()
    with python("bench.sink", str(port)):
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/times")
            except httpx.TransportError:
                asyncio.run(asyncio.sleep(0.02))
            else:
                break
        yield port


async def _endpoint(cluster: Cluster, url: str) -> int:
    settings = Settings(_env_file=None, secret_key=_SECRET_KEY)
    keyring = Keyring(*pii_keys(settings, cluster.data_dir))
    uid = uuid4()
    wrapped = seal_secret(keyring, uid, Secret.new(SecretKind.HMAC))
    connection = await asyncpg.connect(cluster.dsn)
    try:
        endpoint: int = await connection.fetchval(
            """insert into webhooks.endpoint (uid, tenant_id, name, url, kinds)
               select $1, tenant_id, 'bench', $2, '{order.*}' from platform.tenant where slug = 'default'
               returning endpoint_id""",
            uid,
            url,
        )
        await connection.execute(
            """insert into webhooks.secret (endpoint_id, tenant_id, kind, key_id, box)
               select endpoint_id, tenant_id, 'hmac', $2, $3 from webhooks.endpoint where endpoint_id = $1""",
            endpoint,
            wrapped.key_id,
            wrapped.box,
        )
    finally:
        await connection.close()
    return endpoint


def _fill(cluster: Cluster, endpoint: int, number: int) -> None:
    cluster.execute("truncate webhooks.queue, webhooks.delivery, webhooks.message, webhooks.attempt")
    cluster.execute(_BACKLOG.format(event=_EVENT, number=number, endpoint=endpoint))
    cluster.execute("vacuum analyze webhooks.queue, webhooks.delivery, webhooks.message")
    cluster.execute("checkpoint")


def _drain(bench: Bench, endpoint: int) -> float:
    """Return the deliveries a second of one worker that meets a backlog."""
    _fill(bench.cluster, endpoint, bench.sizes.deliveries)
    with worker(bench.cluster, **_SETTINGS):
        await_zero(bench.cluster, _WAITING, timeout_s=600)
    rate = bench.cluster.number(_RATE)
    bench.say(f"deliver: {rate:,.0f} deliveries/s")
    return rate


def _latencies(bench: Bench, port: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return p50 and p99 of each run, in ms, from the answer to the sender to the arrival at the receiver."""
    bench.cluster.clear()
    found = []
    with server(bench.cluster, "up", **_SETTINGS) as serving:
        for number in range(bench.runs + 1):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/forget").read()
            accepted = asyncio.run(_send_paced(serving.port, bench.cluster.key))
            # what is not loaded yet is not queued yet
            await_zero(bench.cluster, PENDING, timeout_s=60)
            await_zero(bench.cluster, _WAITING, timeout_s=60)
            times = dict(json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/times").read()))
            waits = sorted(max(times[sent] - done, 0.0) * 1000 for sent, done in accepted.items())
            # the first one warms the plans and caches up
            if number:
                found.append((percentile(waits, 0.5), percentile(waits, 0.99)))
                bench.say(f"deliver: p50 {found[-1][0]:.1f} ms, p99 {found[-1][1]:.1f} ms")
    return tuple(one for one, _ in found), tuple(one for _, one in found)


async def _send_paced(port: int, key: str) -> dict[float, float]:
    """Send events at a steady pace; return when each was acknowledged, by the number that it carries."""
    accepted: dict[float, float] = {}

    async def send(client: httpx.AsyncClient) -> None:
        sent = monotonic()
        answer = await client.post("/api/v1/events", json={"kind": "order.paid", "data": {"sent": sent, "total": 5}})
        answer.raise_for_status()
        accepted[sent] = monotonic()

    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
        started, tasks = monotonic(), []
        for number in range(_PACED_EVENTS):
            await asyncio.sleep(max(started + number / _PACE - monotonic(), 0))
            tasks.append(asyncio.create_task(send(client)))
        await asyncio.gather(*tasks)
    return accepted


def _beside(bench: Bench, endpoint: int) -> float:
    """Return how many times longer the same batches take while a backlog is delivered."""
    traffic = bench.traffic(5, bench.sizes.batch_events)
    requests = [
        request("POST", "/api/v1/track/bulk", key=bench.cluster.key, body=traffic.bulk(500))
        for _ in range(bench.sizes.batch_events // 500)
    ]
    rates = []
    for backlog in (0, bench.sizes.backlog_deliveries):
        bench.cluster.clear()
        with server(bench.cluster, "serve", **_SETTINGS) as serving:
            generate(Plan(port=serving.port, requests=requests[:20], total=20, connections=4))
            _fill(bench.cluster, endpoint, backlog)
            with worker(bench.cluster, **{**_SETTINGS, "LOADER_LANES": "1"}):
                outcome = generate(Plan(port=serving.port, requests=requests, total=len(requests), connections=64))
                require_all_good(outcome)
        rates.append(outcome.per_second)
    bench.say(f"deliver: ingest {rates[0] * 500:,.0f} events/s alone, {rates[1] * 500:,.0f} beside a backlog")
    return rates[0] / rates[1]
