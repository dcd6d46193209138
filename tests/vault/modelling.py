"""What the tests of users' models share: a model of a shop, its events, and what applies and loads it."""

from collections.abc import Sequence

import asyncpg
from vault.vaulting import SITE_FEED, append, event

from mainstem.vault.custom import files
from mainstem.vault.custom.active import ModelSource
from mainstem.vault.custom.apply import apply
from mainstem.vault.custom.backfill import Report, backfill
from mainstem.vault.custom.model import Model
from mainstem.vault.custom.plan import Plan
from mainstem.vault.loader import Loader, LoadResult
from mainstem.vault.model import EVENT_FEED

FEEDS = (SITE_FEED, EVENT_FEED)
SHOP = """\
feeds:
  - name: shop
    kinds: [order.paid, order.refunded]
    columns:
      order_id: {from: data.order_id, required: true, comment: Number of the order.}
      customer_id: {from: data.customer.id}
      clerk: {from: data.clerk}
      total: {from: data.total, type: numeric}
      status: {from: kind}
      sku: {from: "data.items[].sku", required: true}
      quantity: {from: "data.items[].quantity", type: int8}
      old_customer_id: {from: data.customer.was}
    hubs:
      shop_order: {key: [order_id], comment: Orders of the web shop.}
      shop_customer: {key: [customer_id]}
      shop_clerk: {key: [clerk]}
    links:
      shop_order_customer: {hubs: [shop_order, shop_customer]}
      shop_order_clerk: {hubs: [shop_order, shop_clerk]}
    satellites:
      shop_order_state: {of: shop_order, columns: [total, status]}
    multi_active:
      shop_order_item: {of: shop_order, child_key: [sku], columns: [quantity]}
    effectivity:
      shop_order_care: {of: shop_order_clerk, driving: shop_order}
    record_tracking:
      shop_order_sign: {of: shop_order, columns: [status]}
    same_as:
      shop_customer_same: {hub: shop_customer, master: [customer_id], duplicate: [old_customer_id]}
snapshots:
  - name: shop_order_daily
    hub: shop_order
    satellites: [shop_order_state]
  - name: shop_customer_order_daily
    hub: shop_customer
    links: [shop_order_customer, shop_order_clerk]
"""


def model(text: str = SHOP, *, file: str = "vault.yaml") -> Model:
    """Return the model of a text."""
    return files.parse(text, file, "python" if file.endswith(".py") else "yaml", FEEDS)


async def apply_model(connection: asyncpg.Connection, found: Model) -> Plan:
    """Apply a model; its tables wait."""
    async with connection.transaction():
        return await apply(connection, found)


async def fill(connection: asyncpg.Connection, found: Model, *, history: bool = True) -> list[Report]:
    """Backfill all feeds and let loads go on."""
    reports = []
    for feed in found.feeds:
        async with connection.transaction():
            reports.append(
                await backfill(
                    connection, feed, [*FEEDS, *found.feeds], history=history, progress=lambda _done, _all: None
                )
            )
    return reports


async def order(
    connection: asyncpg.Connection, *orders: dict[str, object], kind: str = "order.paid", **more: int
) -> None:
    """Append events of orders, as one batch."""
    await append(connection, [event(data, kind=kind, **more) for data in orders])


async def load_all(dsn: str, source: ModelSource | None = None) -> list[LoadResult]:
    """Load until nothing waits, by the model in force."""
    one = Loader(dsn, FEEDS, source=source or ModelSource(FEEDS, None))
    results = []
    while (result := await one.load_once()) is not None:
        results.append(result)
    return results


async def rows(connection: asyncpg.Connection, query: str) -> list[tuple[object, ...]]:
    """Return rows as tuples."""
    return [tuple(row) for row in await connection.fetch(query)]


async def contents(connection: asyncpg.Connection, tables: Sequence[str]) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of tables, sorted."""
    return {table: sorted(await rows(connection, f"select t::text from {table} t")) for table in tables}
