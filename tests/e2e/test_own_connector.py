"""A connector of a file in a real process: signed deliveries in, orders out, both in the vault; and bookings sent as events."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from connectors.shop import ENVIRONMENT, EXAMPLE, booked, serving, signed
from e2e_server import Server

MENU = "item,product\nSoup,S1\nBread,B1\n"
VAULT = """select b.booking_id, b.status, o.order_state, o.order_id, d.bookings, d.revenue::text
           from business.booking b
           join business.booking_pos_order l using (tenant_id, connector, site_id, booking_id)
           join business.pos_order o on o.tenant_id = l.tenant_id and o.local_id = l.local_id
           join business.booking_day d on d.tenant_id = b.tenant_id and d.site_id = b.site_id and d.day = b.takes_place_on"""


async def test_a_delivery_becomes_an_order_and_both_reach_the_vault(tmp_path: Path) -> None:
    async with serving() as shop:
        text = EXAMPLE.read_text().replace("zone: Europe/Berlin", "zone: UTC")
        for host in ("venue", "kitchen"):
            text = text.replace(f"https://{host}.example", f"http://127.0.0.1:{shop.port}")
        (tmp_path / "venue.yaml").write_text(text)
        more = {"CONNECTOR_FILES": str(tmp_path / "venue.yaml"), "OUTBOUND_ALLOW": "127.0.0.0/8"}
        server = Server(tmp_path / "data", **ENVIRONMENT, **more)
        await asyncio.to_thread(server.start)
        try:
            key = await asyncio.to_thread(server.key, "default", "connectors,ingest")
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:
                await delivered(client)
                assert [order["reference"] for order in shop.live()] == ["venue_b1"]
                dsn = await asyncio.to_thread(server.database_url)
                today = datetime.now(UTC).date().isoformat()
                assert await until(dsn, VAULT) == [("b1", "CONFIRMED", "injected", "1", 1, "30.00")]
                sent = {
                    "kind": "booking.received",
                    "source": "connector:book",
                    "data": {
                        "connector": "book",
                        "booking_id": "9",
                        "site_id": "1",
                        "on": today,
                        "total": 5,
                        "lines": [],
                    },
                }
                assert (await client.post("/api/v1/events", json=sent)).status_code in {200, 201, 202}
                own = "select booking_id, total::int from business.booking where connector = 'book'"
                assert await until(dsn, own) == [("9", 5)]
        finally:
            assert await asyncio.to_thread(server.stop) == 0, "".join(server.output[-30:])


async def delivered(client: httpx.AsyncClient) -> None:
    """Post deliveries: of nobody, not signed, signed, and the same again."""
    imported = await client.post("/api/connectors/venue/items/import", content=MENU)
    assert imported.json() == {"imported": 2, "deleted": 0}
    body = json.dumps({"type": "booking.created", "data": booked(date=datetime.now(UTC).date().isoformat())}).encode()

    async def post(name: str, **given: str) -> tuple[int, Any]:
        answer = await client.post(f"/webhooks/connectors/{name}", content=body, headers=given)
        return answer.status_code, answer.json().get("reason")

    valid = signed(body, datetime.now(UTC))
    assert await post("nobody", **valid) == (404, None)
    assert await post("venue") == (400, "SIGNATURE_VERIFICATION_FAILED_MISSING_SIGNATURE_HEADER")
    assert await post("venue", **valid) == (200, "ORDER_INJECTED")
    assert await post("venue", **valid) == (200, "DUPLICATE_DELIVERY")


async def until(dsn: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query, once there are any."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(30):
            while True:
                rows = await connection.fetch(query)
                if rows:
                    return [tuple(row) for row in rows]
                await asyncio.sleep(0.1)
    finally:
        await connection.close()
