"""`mainstem connector`: what is printed, and the exit codes, between the two systems of the example file."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import asyncpg
import pytest
from connectors.shop import ENVIRONMENT, EXAMPLE, Shop, booked, file_of, serving, signed

from mainstem.connectors.generic.build import build
from mainstem.connectors.running import Connectors
from mainstem.pii.box import Keyring
from mainstem.platform.addresses import parse_networks
from mainstem.platform.db import create_pool
from mainstem.platform.outbound import Outbound
from mainstem.platform.secrets import pii_keys
from mainstem.platform.settings import load_settings

MENU = "item,product,product_name\nSoup,S1,Soup of the day\nBread,B1,\n"


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Yield both systems, served by a thread: commands have an event loop of their own."""
    ready, ended, found = threading.Event(), threading.Event(), []

    async def serve() -> None:
        async with serving() as shop:
            found.append(shop)
            ready.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    with ExitStack() as stack:
        thread.start()
        stack.callback(thread.join)
        stack.callback(ended.set)
        assert ready.wait(20)
        yield found[0]


@pytest.fixture
def venue(on_database, shop: Shop, tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Return `cli` with the example's connector between the two systems, open in the zone of the test's own day."""
    text = EXAMPLE.read_text().replace("zone: Europe/Berlin", "zone: UTC")
    for host in ("venue", "kitchen"):
        text = text.replace(f"https://{host}.example", f"http://127.0.0.1:{shop.port}")
    (tmp_path / "venue.yaml").write_text(text)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CONNECTOR_FILES", str(tmp_path / "venue.yaml"))
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.0/8")
    return on_database


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def test_connectors_are_listed_and_asked(venue, shop: Shop) -> None:
    rows = {one["name"]: one for one in json.loads(venue("connector", "list", "--json").out)}
    assert (rows["venue"]["state"], rows["tripleseat"]["state"]) == ("on", "off")
    assert rows["venue"]["paths"] == ["/webhooks/connectors/venue"]
    assert "venue" in venue("connector", "list").out
    probed = venue("connector", "probe", "venue", "--json")
    assert (probed.code, [one["resource"] for one in json.loads(probed.out)]) == (0, ["bookings", "orders", "products"])
    shop.token = "another"
    assert venue("connector", "probe", "venue").code == 1
    none = venue("connector", "orders", "nobody")
    assert (none.code, none.err.strip()) == (1, "mainstem: there is no connector 'nobody'; there are tripleseat, venue")


def test_a_run_makes_orders_and_tells_of_them(venue, shop: Shop, tmp_path) -> None:
    shop.bookings = {name: booked(name, date=today()) for name in ("b1", "b2")}
    held_up = venue("connector", "run", "venue", "--json")
    assert held_up.code == 1
    assert {one["reason"] for one in json.loads(held_up.out)["events"]} == {"UNMAPPED_ITEM"}
    missing = json.loads(venue("connector", "mapping", "propose", "venue", "--json").out)
    assert [(one["item"], one["bookings"]) for one in missing] == [("Bread", 2), ("Soup", 2)]
    lines = venue("connector", "mapping", "propose", "venue", "--csv").out
    assert lines.splitlines() == ["item,product,product_name,ignore", "Bread,,,", "Soup,,,"]
    unfinished = venue("connector", "mapping", "import", "venue", "-", stdin=lines)
    assert (unfinished.code, "an item has a product, or is ignored" in unfinished.err) == (1, True)
    shop.products = [{"sku": "B1", "name": "Breads"}, {"sku": "S1", "name": "Soups"}, {"sku": "X", "name": "Fork"}]
    lines = venue("connector", "mapping", "propose", "venue", "--csv").out
    assert lines.splitlines()[1:] == ["Bread,B1,Breads,", "Soup,S1,Soups,"]
    (tmp_path / "menu.csv").write_text(MENU)
    assert venue("connector", "mapping", "import", "venue", "menu.csv").out.strip() == "2 items, 0 deleted"
    assert "Soup,S1,Soup of the day" in venue("connector", "mapping", "export", "venue").out
    planned = json.loads(venue("connector", "run", "venue", "--dry-run", "--json").out)
    assert planned["dry_run"]
    assert shop.orders == []
    done = venue("connector", "run", "venue")
    assert done.code == 0, done.err
    assert "2 queried, 2 injected, 0 skipped, 0 failed" in done.err
    assert len(shop.live()) == 2
    listed = json.loads(venue("connector", "orders", "venue", "--state", "confirmed", "--json").out)
    assert sorted(one["booking_id"] for one in listed) == ["b1", "b2"]
    steps = json.loads(venue("connector", "orders", "venue", "--steps", listed[0]["id"], "--json").out)
    assert steps[-1]["state"] == "confirmed"
    one = json.loads(venue("connector", "run", "venue", "--event-id", "b1", "--json").out)
    assert [event["reason"] for event in one["events"]] == ["ALREADY_INJECTED"]
    gone = venue("connector", "run", "venue", "--event-id", "b9")
    assert (gone.code, "does not know this booking" in gone.err) == (1, True)


def test_what_differs_is_shown_until_it_is_mended(venue, shop: Shop) -> None:
    assert "no run yet" in venue("connector", "diff", "venue").err
    shop.bookings = {name: booked(name, date=today()) for name in ("b1", "b2", "b3")}
    venue("connector", "mapping", "import", "venue", "-", stdin=MENU)
    assert venue("connector", "run", "venue").code == 0
    del shop.orders[0]
    fresh = venue("connector", "diff", "venue", "--fresh", "--json")
    assert fresh.code == 1
    assert [one["kind"] for one in json.loads(fresh.out)["items"]] == ["missing"]
    mended = venue("connector", "run", "venue")
    assert (mended.code, len(shop.live())) == (0, 3), mended
    assert "nothing differs" in venue("connector", "diff", "venue", "--fresh").err
    assert venue("connector", "diff", "venue", "--run-id", "99").err.strip() == "mainstem: there is no run 99"
    assert venue("connector", "diff", "venue", "--run-id", "1", "--fresh").code == 2


def test_deliveries_are_shown_and_worked_on_again(venue, shop: Shop, dsn: str) -> None:
    refused = venue("connector", "replay", "venue", "1", "--json")
    assert (refused.code, json.loads(refused.out)) == (1, {"replayed": []})
    assert "no deliveries" in venue("connector", "deliveries", "venue").err
    body = json.dumps({"type": "booking.created", "data": booked(date=today())}).encode()
    asyncio.run(deliver(dsn, shop, body))
    (delivery,) = json.loads(venue("connector", "deliveries", "venue", "--json").out)
    assert (delivery["outcome"], delivery["booking_id"]) == ("UNMAPPED_ITEM", "b1")
    venue("connector", "mapping", "import", "venue", "-", stdin=MENU)
    assert venue("connector", "replay", "venue", delivery["id"]).code == 0
    (again,) = json.loads(venue("connector", "deliveries", "venue", "--json").out)
    assert (again["outcome"], len(shop.live())) == ("ORDER_INJECTED", 1)


async def deliver(dsn: str, shop: Shop, body: bytes) -> None:
    """Receive a delivery as a serving process does, with the key that commands find in the data folder."""
    settings = load_settings()
    outbound = Outbound(parse_networks(["127.0.0.0/8"]))
    pool = await create_pool(dsn, role="worker", min_size=0, max_size=4)
    try:
        connector = build(file_of(shop.port, texts={"zone: Europe/Berlin": "zone: UTC"}), outbound)
        keyring = Keyring(*pii_keys(settings, settings.data_dir.absolute()))
        one = await Connectors([connector], pool, pool, keyring, None).get("venue")
        answer = await one.inbox.receive(signed(body, datetime.now(UTC)), body)
        assert answer.status == 200, answer
    finally:
        await outbound.close()
        await pool.close()


def test_a_file_that_cannot_be_used_is_told_at_once(venue, tmp_path) -> None:
    (tmp_path / "venue.yaml").write_text(EXAMPLE.read_text().replace("zone: Europe/Berlin", "zone: Mars/Base"))
    told = venue("connector", "list")
    assert (told.code, "venue.yaml: zone: 'Mars/Base' is no zone" in told.err) == (2, True)
    (tmp_path / "venue.yaml").unlink()
    assert (venue("connector", "list").code, "No such file" in venue("connector", "list").err) == (2, True)


def test_nothing_of_it_is_there_without_the_schema(on_database, dsn: str) -> None:
    async def drop() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("drop schema connectors cascade")
        await connection.close()

    asyncio.run(drop())
    told = on_database("connector", "list")
    assert (told.code, "run mainstem migrate up" in told.err) == (1, True)
