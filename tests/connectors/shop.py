"""The two systems of `deploy/connector.example.yaml`, over HTTP: a venue that has bookings, a kitchen that takes orders."""

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from mainstem.connectors.calling import Patience
from mainstem.connectors.connector import Connector
from mainstem.connectors.generic.build import build
from mainstem.connectors.generic.file import File, parse
from mainstem.platform.addresses import parse_networks
from mainstem.platform.outbound import Outbound
from mainstem.platform.standard_webhooks import Secret, SecretKind, headers

EXAMPLE = Path(__file__).parents[2] / "deploy" / "connector.example.yaml"
SECRET = Secret(SecretKind.HMAC, bytes(range(32)))
ENVIRONMENT = {"VENUE_WEBHOOK_SECRET": SECRET.shown, "VENUE_TOKEN": "venue-token", "KITCHEN_TOKEN": "kitchen-token"}
TODAY = "2026-11-26"
PAGE = 2
_FAULTS = {
    "before": lambda: web.json_response({"error": "try again"}, status=503),
    "429": lambda: web.json_response({}, status=429, headers={"Retry-After": "0"}),
    "422": lambda: web.json_response({"detail": "Soup is out."}, status=422),
    "html": lambda: web.Response(text="<h1>Maintenance</h1>", content_type="text/html", status=404),
}
"""Answers that change nothing."""


def booked(booking_id: str = "b1", **said: Any) -> dict[str, Any]:
    """Return a booking as the venue writes it."""
    return {
        "id": booking_id,
        "venue": {"id": "v1"},
        "title": f"Party {booking_id}",
        "state": "confirmed",
        "date": TODAY,
        "starts_at": f"{TODAY}T19:00:00",
        "guests": 12,
        "price": {"total": "30.00"},
        "items": [
            {"id": 1, "name": "Soup", "count": 4, "price": "5.00"},
            {"id": 2, "name": "Bread", "count": 2.5, "price": 4, "remark": "warm"},
        ],
        **said,
    }


def signed(body: bytes, at: datetime, id_: str = "msg_1") -> dict[str, str]:
    """Return the headers of a delivery of the venue."""
    return headers([SECRET], id_, int(at.timestamp()), body)


@dataclass
class Shop:
    """Both systems; `faults` are what goes wrong with the kitchen's next calls: `after`, `before`, `429`, `422`, `html`."""

    bookings: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: list[dict[str, Any]] = field(default_factory=list)
    products: list[dict[str, Any]] = field(default_factory=list)
    faults: deque[str] = field(default_factory=deque)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    heeds_filters: bool = True
    next_elsewhere: bool = False
    token: str = "kitchen-token"
    port: int = 0

    def live(self) -> list[dict[str, Any]]:
        return [order for order in self.orders if order["state"] != "void"]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path_qs))
        kind, *rest = request.path.strip("/").split("/")[1:]
        token = "venue-token" if kind == "bookings" else self.token
        if request.headers["Authorization"] != f"Bearer {token}":
            return web.json_response({"error": "who are you?"}, status=401)
        if kind == "bookings":
            return self._booking(rest[0]) if rest else self._page(request, "bookings", list(self.bookings.values()))
        if kind == "products":
            return self._page(request, "products", self.products)
        if request.method == "GET":
            name = request.query.get("reference")
            found = [one for one in self.orders if not self.heeds_filters or name in {None, one["reference"]}]
            return self._page(request, "orders", found) if name is None else web.json_response({"orders": found})
        fault = self.faults.popleft() if self.faults else ""
        if fault in _FAULTS:
            return _FAULTS[fault]()
        answer = self._change(request, rest, await request.read())
        return web.json_response({"error": "lost"}, status=500) if fault == "after" else answer

    def _booking(self, booking_id: str) -> web.Response:
        found = self.bookings.get(booking_id)
        return web.json_response({"error": "not found"}, status=404) if found is None else web.json_response(found)

    def _page(self, request: web.Request, name: str, rows: list[dict[str, Any]]) -> web.Response:
        start = int(request.query.get("start", 0))
        query = f"{request.path}?start={start + PAGE}"
        more = f"https://elsewhere.example{query}" if self.next_elsewhere else query
        following = more if start + PAGE < len(rows) else None
        return web.json_response({name: rows[start : start + PAGE], "next": following})

    def _change(self, request: web.Request, rest: list[str], body: bytes) -> web.Response:
        said = json.loads(body)
        key = request.headers.get("Idempotency-Key", "")
        if key and key in self.keys:
            return web.json_response(self.keys[key])
        if not rest:
            order = {"number": max((one["number"] for one in self.orders), default=0) + 1, "state": "open", **said}
            self.orders.append(order)
            if key:
                self.keys[key] = order
            return web.json_response(order, status=201)
        order = next(one for one in self.orders if one["number"] == int(rest[0]))
        order.update({"state": "void"} if rest[1:] == ["void"] else said)
        return web.json_response(order)


def file_of(port: int, **changes: Any) -> File:
    """Return the example with both systems on a port of this machine; `changes` replace texts of it."""
    text = EXAMPLE.read_text()
    for host in ("venue", "kitchen"):
        text = text.replace(f"https://{host}.example", f"http://127.0.0.1:{port}")
    for old, new in changes.get("texts", {}).items():
        assert old in text
        text = text.replace(old, new)
    return parse(text, "connector.yaml", ENVIRONMENT)


@asynccontextmanager
async def serving() -> AsyncIterator[Shop]:
    """Yield both systems on a port of this machine."""
    shop = Shop()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", shop.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    shop.port = runner.addresses[0][1]
    try:
        yield shop
    finally:
        await runner.cleanup()


@asynccontextmanager
async def shopping(**changes: Any) -> AsyncIterator[tuple[Shop, Connector]]:
    """Yield both systems and the example's connector between them."""
    outbound = Outbound(parse_networks(["127.0.0.0/8"]))
    patience = Patience(attempts=2, timeout_s=5, budget_s=8, backoff_s=0.01)
    try:
        async with serving() as shop:
            yield shop, build(file_of(shop.port, **changes), outbound, patience)
    finally:
        await outbound.close()
