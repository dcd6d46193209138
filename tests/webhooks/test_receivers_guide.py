"""The receivers in the guide run as they are printed: they verify, handle an event once, and refuse what is not genuine."""

import asyncio
import json
import os
import re
import sys
import types
from pathlib import Path

import httpx
import pytest
from e2e_server import free_port
from links.visiting import loaded, serving
from webhooks.receiver import Receiver, until

from mainstem.platform.keys import create_key

GUIDE = (Path(__file__).parents[2] / "docs/guides/receive-webhooks.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"<!-- run: (\S+) -->\n```\w+\n(.*?)```\n", GUIDE, re.DOTALL))
HOOKS = "/api/v1/webhooks"


@pytest.fixture
async def desk(dsn, tmp_path, connection):
    """Yield (client with an admin key of tenant default, hub); receivers on loopback may be reached."""
    settings = {"rate_limit_requests": 100_000, "outbound_allow": ["127.0.0.0/8"]}
    async with serving(dsn, tmp_path / "hub", **settings) as (client, hub):
        key = (await create_key(connection, 1, scopes=["admin"], label="test")).key
        client.headers.update({"authorization": f"Bearer {key}", "accept": "*/*"})
        yield client, hub


@pytest.fixture(params=["py", "mjs"])
def interpreter(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Return the command of a receiver of the guide, written where its packages are found."""
    program = tmp_path / f"receive.{request.param}"
    program.write_text(PROGRAMS[program.name], encoding="utf-8")
    if request.param == "py":
        return [sys.executable, str(program)]
    (tmp_path / "node_modules").symlink_to(request.getfixturevalue("node_modules"))
    return [request.getfixturevalue("node"), str(program)]


async def delivered(connection, count: int) -> None:
    await until(connection, "select coalesce(sum(attempts), 0) >= $1 from webhooks.endpoint_total", count)


async def listening(url: str) -> None:
    """Return as soon as somebody answers there."""
    async with asyncio.timeout(20), httpx.AsyncClient() as client:
        while True:
            try:
                await client.get(url)
            except httpx.TransportError:
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_receiver_handles_each_event_once(desk, connection, interpreter, tmp_path):
    client, hub = desk
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    hook = (await client.post(HOOKS, json={"name": "guide", "url": url, "events": ["order.*"]})).json()
    environment = {**os.environ, "WEBHOOK_SECRET": hook["secret"], "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        *interpreter, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await listening(url)
        event = {"kind": "order.paid", "data": {"total": 129, "currency": "€"}, "message_id": "m-1"}
        await client.post("/api/v1/events", json=event)
        await loaded(connection, hub)
        await delivered(connection, 1)
        (delivery,) = (await client.get(f"{HOOKS}/{hook['id']}/deliveries")).json()["items"]
        # the same again, then another one under a new secret, which the receiver does not know yet
        await client.post(f"/api/v1/deliveries/{delivery['id']}/resend")
        await delivered(connection, 2)
        await client.post(f"{HOOKS}/{hook['id']}/rotate-secret")
        await client.post("/api/v1/events", json={**event, "kind": "order.sent", "message_id": "m-2"})
        await loaded(connection, hub)
        await delivered(connection, 3)
        async with httpx.AsyncClient() as stranger:
            forged = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
            for headers in ({}, forged, {**forged, "webhook-signature": "nonsense"}):
                assert (await stranger.post(url, content=b"{}", headers=headers)).status_code == 401
    finally:
        process.terminate()
    out, _ = await process.communicate()
    lines = out.decode().splitlines()
    assert [line.split()[0] for line in lines] == ["order.paid", "order.sent"]
    assert "129" in lines[0]
    assert await connection.fetchval("select bool_and(outcome = 'delivered') from webhooks.attempt")


async def test_the_printed_verification_of_ed25519_is_right(desk, receiver: Receiver):
    client, _ = desk
    program = types.ModuleType("verify_ed25519")
    exec(PROGRAMS["verify_ed25519.py"], program.__dict__)  # noqa: S102 - the guide's own program
    hook = (await client.post(HOOKS, json={"name": "guide", "url": receiver.url(), "signature": "ed25519"})).json()
    await client.post(f"{HOOKS}/{hook['id']}/test")
    (request,) = receiver.requests
    key, headers, body = hook["public_key"], request.headers, request.body
    assert program.is_genuine(key, headers, body)
    assert not program.is_genuine(key, headers, body + b" ")
    assert not program.is_genuine(key, {**headers, "webhook-id": "msg_other"}, body)
    assert not program.is_genuine(key, {**headers, "webhook-timestamp": "1"}, body)
    assert not program.is_genuine(key, {**headers, "webhook-signature": "v1,AAAA v1a,AAAA"}, body)


@pytest.mark.parametrize("envelope", ["standard", "cloudevents", "bare"])
async def test_bodies_are_as_the_guide_has_them(desk, receiver: Receiver, envelope, connection):
    client, hub = desk
    wanted = {"name": "guide", "url": receiver.url(), "events": ["order.paid"], "envelope": envelope}
    await client.post(HOOKS, json=wanted)
    event = {
        "kind": "order.paid",
        "source": "shop",
        "subject": "customer-42",
        "occurred_at": "2026-05-04T10:15:00Z",
        "data": {"n": 1},
    }
    await client.post("/api/v1/events", json=event)
    await loaded(connection, hub)
    (request,) = await receiver.received(1)
    row = next(line for line in GUIDE.splitlines() if line.startswith(f"| `{envelope}` |"))
    assert f"`{request.headers['content-type']}`" in row
    told = json.loads(request.body)
    if envelope == "bare":
        assert told == {"n": 1}
        return
    names = re.findall(r'"(\w+)":', row.rpartition("{")[0])
    assert list(told) == [name for name in names if name != "…"]
    assert (told["id"], told["data"]) == (request.id, {"n": 1})
