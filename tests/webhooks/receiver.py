"""A real receiver of webhooks on loopback, and what the tests of delivery share."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from mainstem.events.model import RawEvent
from mainstem.pii.box import Keyring
from mainstem.platform.addresses import parse_networks
from mainstem.platform.clock import utc_now
from mainstem.platform.ids import uuid7
from mainstem.platform.outbound import Outbound
from mainstem.webhooks.deliver import DeliveryWorker
from mainstem.webhooks.fanout import FanOut
from mainstem.webhooks.secrets import seal_headers, seal_secret
from mainstem.webhooks.sign import Secret, SecretKind

KEYRING = Keyring(b"k" * 32)
LOOPBACK = parse_networks(["127.0.0.0/8"])


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answerer = Callable[[Request], Awaitable[web.StreamResponse]]


async def fine(_request: Request) -> web.Response:
    return web.Response(text="thanks")


async def hang(_request: Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


def status(code: int, text: str = "", **headers: str) -> Answerer:
    async def answer(_request: Request) -> web.Response:
        return web.Response(status=code, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


class Receiver:
    """Keeps what it is sent. `answers` are by path; the others are answered 200."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: dict[str, Answerer] = {}
        self.under_way: Counter[str] = Counter()
        self.most_under_way: Counter[str] = Counter()
        self.port = 0
        self._changed = asyncio.Condition()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str = "/hook") -> list[Request]:
        return [request for request in self.requests if request.path == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.under_way[path] += 1
        self.most_under_way[path] = max(self.most_under_way[path], self.under_way[path])
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            kept = Request(path, headers, await request.read())
            self.requests.append(kept)
            async with self._changed:
                self._changed.notify_all()
            return await self.answers.get(path, fine)(kept)
        finally:
            self.under_way[path] -= 1

    async def received(self, count: int, path: str = "/hook", timeout_s: float = 20) -> list[Request]:
        """Return the requests to a path, once there are `count` of them."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: len(self.at(path)) >= count)
        return self.at(path)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    yield receiver
    await runner.cleanup()


@dataclass(frozen=True)
class Made:
    id: int
    secret: Secret

    def verify(self, request: Request) -> Any:
        """Return the body as an independent receiver takes it. Raises WebhookVerificationError."""
        return Webhook(self.secret.shown).verify(request.body, request.headers)


async def add_endpoint(
    connection: asyncpg.Connection,
    url: str,
    *,
    tenant_id: int = 1,
    headers: dict[str, str] | None = None,
    kind: SecretKind = SecretKind.HMAC,
    **fields: object,
) -> Made:
    """Insert an endpoint with a secret."""
    uid = uuid4()
    row = {"uid": uid, "tenant_id": tenant_id, "name": "test", "url": url, "signature": str(kind), **fields}
    row["headers"] = seal_headers(KEYRING, uid, headers or {})
    for name in ("filter", "retry_policy"):
        if name in row:
            row[name] = json.dumps(row[name])
    values = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    endpoint_id = await connection.fetchval(
        f"insert into webhooks.endpoint ({', '.join(row)}) values ({values}) returning endpoint_id", *row.values()
    )
    secret = Secret.new(kind)
    await add_secret(connection, endpoint_id, secret)
    return Made(endpoint_id, secret)


async def add_secret(connection: asyncpg.Connection, endpoint_id: int, secret: Secret) -> None:
    """Give an endpoint its current secret; the one before signs for an hour longer."""
    await connection.execute(
        "update webhooks.secret set expires_at = now() + interval '1 hour' where endpoint_id = $1", endpoint_id
    )
    uid = await connection.fetchval("select uid from webhooks.endpoint where endpoint_id = $1", endpoint_id)
    wrapped = seal_secret(KEYRING, uid, secret)
    await connection.execute(
        """insert into webhooks.secret (endpoint_id, tenant_id, kind, key_id, box, public_key)
           select endpoint_id, tenant_id, $2, $3, $4, $5 from webhooks.endpoint where endpoint_id = $1""",
        endpoint_id,
        str(secret.kind),
        wrapped.key_id,
        wrapped.box,
        secret.public_key,
    )


async def changed(connection: asyncpg.Connection, endpoint_id: int) -> None:
    """Tell the workers of a change, as the API does."""
    await connection.execute("select pg_notify('mainstem_webhooks', $1)", str(endpoint_id))


def event(
    data: dict[str, Any] | None = None, *, kind: str = "order.paid", tenant_id: int = 1, **fields: Any
) -> RawEvent:
    now = utc_now()
    row = {
        "raw_id": 1,
        "received_at": now,
        "tenant_id": tenant_id,
        "event_uid": uuid7(),
        "kind": kind,
        "occurred_at": now,
        "source": "shop",
        "message_id": None,
        "subject": None,
        "visitor": None,
        "ip": None,
        "user_agent": None,
        "flags": 0,
        "data": json.dumps(data if data is not None else {"order": 7}),
    }
    return RawEvent(**{**row, **fields})


async def queue_events(connection: asyncpg.Connection, events: Sequence[RawEvent]) -> int:
    """Fan events out as a load does."""
    async with connection.transaction():
        return await FanOut()(connection, events)


@asynccontextmanager
async def working(dsn: str, **options: Any) -> AsyncIterator[DeliveryWorker]:
    """Yield a worker that runs, allowed to reach loopback."""
    outbound = Outbound(LOOPBACK)
    worker = DeliveryWorker(dsn, outbound, KEYRING, **options)
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await task
        await outbound.close()


async def until(connection: asyncpg.Connection, query: str, *arguments: object, timeout_s: float = 20) -> None:
    """Return when a query says true."""
    async with asyncio.timeout(timeout_s):
        while not await connection.fetchval(query, *arguments):  # noqa: ASYNC110 - PostgreSQL has no signal for it
            await asyncio.sleep(0.01)


async def settled(connection: asyncpg.Connection, timeout_s: float = 20) -> None:
    """Return when no delivery waits for its first attempt or is under way."""
    await until(
        connection,
        "select not exists (select from webhooks.queue where lane = 0 or leased_until > now())",
        timeout_s=timeout_s,
    )


async def due_now(connection: asyncpg.Connection) -> None:
    """Let the time of all retries and pauses come."""
    await connection.execute("update webhooks.queue set due_at = now() where leased_until < now()")
    await connection.execute("update webhooks.pace set not_before = '-infinity'")
    await connection.execute("select pg_notify('mainstem_deliver', '')")
