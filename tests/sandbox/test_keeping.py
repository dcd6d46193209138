"""A sandbox that is kept in a file: what was there is there again, and new things get new ids."""

from pathlib import Path

import httpx

from mainstem.sandbox.box import Sandbox
from mainstem.sandbox.keeping import restore
from mainstem.sandbox.server import beside, listen


class Kept:
    """A sandbox on a file."""

    def __init__(self, path: Path) -> None:
        self.box = Sandbox()
        self.restored = restore(self.box, path)
        opened, self.address = listen("127.0.0.1", 0)
        self.serving = beside(self.box, opened, path)

    async def __aenter__(self) -> httpx.AsyncClient:
        await self.serving.__aenter__()
        self.admin = httpx.AsyncClient(base_url=f"{self.address}/admin", timeout=20)
        return self.admin

    async def __aexit__(self, *error: object) -> None:
        await self.admin.aclose()
        await self.serving.__aexit__(*error)


async def test_bookings_and_orders_are_there_again(tmp_path: Path):
    path = tmp_path / "kept.json"
    first = Kept(path)
    assert not first.restored
    async with first as admin:
        booked = (await admin.post("/events", json={"name": "Gala", "start": "18:00"})).json()
        gone = (await admin.post("/events", json={"name": "Off"})).json()
        await admin.delete(f"/events/{gone['id']}")
        wares = [{"product": one["product"], "quantity": one["quantity"]} for one in booked["items"]]
        order = await admin.post("/orders", json={"local_id": booked["local_id"], "establishment": 4, "items": wares})
        assert order.status_code == 201, order.text
        events, orders = (await admin.get("/events")).json(), (await admin.get("/orders")).json()
    second = Kept(path)
    assert second.restored
    async with second as admin:
        assert (await admin.get("/events")).json() == events
        assert (await admin.get("/orders")).json() == orders
        known = {one["id"] for one in events["events"]} | {gone["id"]}
        assert (await admin.post("/events", json={})).json()["id"] not in known
        more = await admin.post("/orders", json={"local_id": "W", "establishment": 4, "items": wares})
        assert more.json()["id"] == order.json()["id"] + 1


def test_a_file_that_can_not_be_read_is_a_new_start(tmp_path: Path):
    path = tmp_path / "kept.json"
    for text in (b"", b"{", b'{"events": 1, "rows": {}}', b"\xff"):
        path.write_bytes(text)
        assert not restore(Sandbox(), path)
