"""The point of sale: its menu, its orders, and what becomes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from hashlib import sha256
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from mainstem.platform.clock import utc_now
from mainstem.sandbox.config import Config
from mainstem.sandbox.pace import Pace
from mainstem.sandbox.revel.columns import NEW_ITEM, NEW_ORDER
from mainstem.sandbox.revel.finalized import finalized
from mainstem.sandbox.revel.opening import open_site
from mainstem.sandbox.revel.tables import RESOURCES, Row, Tables
from mainstem.sandbox.sending import Sender
from mainstem.sandbox.venues import SITES, Site

_CENT: Final = Decimal("0.01")
_UUIDS: Final = uuid5(NAMESPACE_URL, "https://sandbox.example/orders")


class ClosedError(Exception):
    """An order is closed or void: nothing about it changes any more."""


@dataclass(frozen=True, slots=True)
class Ware:
    """A product and how much of it, at what price."""

    product: Row
    quantity: Decimal
    price: Decimal
    special_request: str | None = None
    name: str | None = None

    @property
    def total(self) -> Decimal:
        """Quantity times price."""
        return (self.quantity * self.price).quantize(_CENT, ROUND_HALF_UP)


class Till:
    """Revel's data, and what may be done to it."""

    def __init__(self, seed: int, config: Config, sender: Sender) -> None:
        """Start with the menu and without orders."""
        self.config, self._sender = config, sender
        self.api_key, self.api_secret, self.webhook_secret = (
            sha256(f"revel {what} {seed}".encode()).hexdigest() for what in ("key", "secret", "webhook secret")
        )
        self.tables, self.pace = Tables(), Pace(60.0)
        for site in SITES:
            open_site(self.tables, site)

    def site(self, order: Row) -> Site:
        """Return the site of an order."""
        key = order["establishment"].rstrip("/").rpartition("/")[2]
        return next(site for site in SITES if str(site.establishment) == key)

    def items(self, order: Row) -> list[Row]:
        """Return the items of an order."""
        return self.tables.of_order("OrderItem", order)

    def ring_up(self, site: Site, wares: Sequence[Ware], fields: Mapping[str, Any]) -> Row:
        """Make an order of some wares, whole."""
        user, station = (self._first(name, site) for name in ("User", "PosStation"))
        order = self.insert_order(
            {
                "establishment": RESOURCES["Establishment"].uri(site.establishment),
                "created_by": user,
                "updated_by": user,
                "created_at": station,
                "last_updated_at": station,
                "pos_mode": "T",
                "dining_option": 0,
                **fields,
            }
        )
        self._put(order, wares)
        return order

    def replace_items(self, order: Row, wares: Sequence[Ware]) -> None:
        """Put other items into an order, by hand: whatever its state."""
        for item in self.items(order):
            self.tables.remove("OrderItem", item["id"])
        self._put(order, wares)

    def _put(self, order: Row, wares: Sequence[Ware]) -> None:
        for place, ware in enumerate(wares, 1):
            self._add_item(
                order,
                {
                    "order": order["resource_uri"],
                    "product": ware.product["resource_uri"],
                    "quantity": float(ware.quantity),
                    "price": float(ware.price),
                    "initial_price": float(ware.price),
                    "special_request": ware.special_request,
                    "product_name_override": ware.name,
                    "station": order["created_at"],
                    "created_by": order["created_by"],
                    "temp_sort": place,
                },
            )
        self.retotal(order)

    def insert_order(self, fields: Mapping[str, Any]) -> Row:
        """Make an order without items."""
        now = self._local(fields["establishment"])
        order = self.tables.insert(
            "Order", {**NEW_ORDER, "created_date": now, "updated_date": now, **fields, "items": []}
        )
        order["uuid"] = order["uuid"] or str(uuid5(_UUIDS, str(order["id"])))
        order["local_id"] = order["local_id"] or f"W{order['id']}"
        order["opened"] = order["opened"] or now
        return order

    def insert_item(self, fields: Mapping[str, Any]) -> Row:
        """Add an item to an open order. Raises ClosedError."""
        order = self._open_order(fields["order"])
        item = self._add_item(order, fields)
        self.retotal(order)
        return item

    def _add_item(self, order: Row, fields: Mapping[str, Any]) -> Row:
        now = self._local(order["establishment"])
        item = self.tables.insert("OrderItem", {**NEW_ITEM, "created_date": now, "updated_date": now, **fields})
        item["uuid"] = item["uuid"] or str(uuid5(_UUIDS, f"item {item['id']}"))
        return item

    def change_item(self, item: Row, fields: Mapping[str, Any]) -> None:
        """Change an item of an open order; with a `voided_reason` or `voided_date` it is void. Raises ClosedError."""
        order = self._open_order(item["order"])
        item.update({name: value for name, value in fields.items() if name != "order"})
        item["updated_date"] = self._local(order["establishment"])
        if fields.get("voided_reason") and not item["voided_date"]:
            item["voided_date"] = item["updated_date"]
        self.retotal(order)

    def remove_item(self, item: Row) -> None:
        """Take an item out of an open order. Raises ClosedError."""
        order = self._open_order(item["order"])
        self.tables.remove("OrderItem", item["id"])
        self.retotal(order)

    def paid(self, payment: Row) -> None:
        """Count a payment in its order."""
        order = self.tables.at(payment["order"], "Order")
        if order is not None:
            self.retotal(order)

    def change_order(self, order: Row, fields: Mapping[str, Any], *, by_hand: bool = False) -> None:
        """Change an order: `voided` voids it with all its items, `closed` finalizes it.

        Raises ClosedError when it was closed or void before, unless somebody does it by hand.
        """
        if not by_hand:
            self._open_order(order["resource_uri"])
        was_closed = order["closed"]
        order.update(fields)
        order["updated_date"] = self._local(order["establishment"])
        if fields.get("voided") and not order["voided_date"]:
            self._void(order)
        if order["closed"] and not was_closed:
            self._finalized(order)

    def remove_order(self, order: Row) -> None:
        """Delete an order with all that belongs to it, as if it had never been."""
        for name in ("OrderItem", "Payment"):
            for row in self.tables.of_order(name, order):
                self.tables.remove(name, row["id"])
        self.tables.remove("Order", order["id"])

    def retotal(self, order: Row) -> None:
        """Work the totals of an order out anew from its items and payments."""
        items = self.items(order)
        rate = self.site(order).tax_rate
        valid = [item for item in items if item["voided_date"] is None]
        subtotal = sum((_money(item["quantity"]) * _money(item["price"]) for item in valid), Decimal(0))
        subtotal = subtotal.quantize(_CENT, ROUND_HALF_UP)
        tax = (subtotal * rate).quantize(_CENT, ROUND_HALF_UP)
        paid = sum((_money(row["amount"]) for row in self.tables.of_order("Payment", order)), Decimal(0))
        for item in items:
            item["tax_rate"] = float(rate * 100)
        order |= {
            "items": [item["resource_uri"] for item in items],
            "has_items": bool(items),
            "subtotal": float(subtotal),
            "tax": float(tax),
            "final_total": float(subtotal + tax),
            "remaining_due": float(subtotal + tax - paid),
        }

    def _open_order(self, uri: str) -> Row:
        order = self.tables.at(uri, "Order")
        if order is None or order["closed"] or order["voided"]:
            raise ClosedError("The order is closed and can not be changed.")
        return order

    def _void(self, order: Row) -> None:
        order["voided_date"] = order["updated_date"]
        for item in self.items(order):
            item["voided_date"] = item["voided_date"] or order["updated_date"]
            item["voided_reason"] = item["voided_reason"] or order["voided_reason"]
        self.retotal(order)

    def _finalized(self, order: Row) -> None:
        url = self.config.revel_webhook_url
        if url:
            establishment = self.site(order).establishment
            self._sender.send(finalized(order, self.items(order), establishment, url=url, secret=self.webhook_secret))

    def _first(self, name: str, site: Site) -> str:
        home = RESOURCES["Establishment"].uri(site.establishment)
        return next(str(row["resource_uri"]) for row in self.tables.all(name) if row["establishment"] == home)

    def _local(self, establishment: str) -> str:
        zone = self.site({"establishment": establishment}).zone
        return utc_now().astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")


def _money(value: object) -> Decimal:
    return Decimal(str(value))
