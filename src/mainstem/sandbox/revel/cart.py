"""Carts: what the cart API checks before it takes an order. Pure but for looking products up."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from mainstem.sandbox.revel.tables import Row
from mainstem.sandbox.revel.till import Till, Ware
from mainstem.sandbox.venues import SITES, Site

_CENT: Final = Decimal("0.01")
_ORDER_FIELDS: Final = (
    "call_name",
    "call_number",
    "dining_option",
    "local_id",
    "notes",
    "number_of_people",
    "pickup_time",
)
_MOST_ITEMS: Final = 500


class CartError(Exception):
    """A cart that is refused; the text is for `error.details.message`."""


@dataclass(frozen=True, slots=True)
class Cart:
    """A cart that may be submitted."""

    site: Site
    wares: tuple[Ware, ...]
    fields: Mapping[str, Any]
    """Of the order to be made."""

    def totals(self) -> dict[str, float]:
        """Return what it comes to."""
        subtotal = sum((ware.total for ware in self.wares), Decimal("0.00"))
        tax = (subtotal * self.site.tax_rate).quantize(_CENT, ROUND_HALF_UP)
        return {"subtotal": float(subtotal), "tax": float(tax), "final_total": float(subtotal + tax)}


def read_cart(till: Till, given: Mapping[str, Any]) -> Cart:
    """Return the cart that somebody sent. Raises CartError."""
    number = given.get("establishmentId")
    site = next((site for site in SITES if site.establishment == number), None)
    if site is None or isinstance(number, bool):
        raise CartError("Establishment not found")
    items, info = given.get("items"), given.get("orderInfo")
    if not isinstance(items, list) or not items:
        raise CartError("Cart is empty")
    if len(items) > _MOST_ITEMS:
        raise CartError("Cart has too many items")
    if not isinstance(info, dict):
        raise CartError("orderInfo is required")
    dining_option = info.get("dining_option")
    if not isinstance(dining_option, int) or isinstance(dining_option, bool):
        raise CartError("orderInfo.dining_option is required")
    if not info.get("call_name"):
        raise CartError("orderInfo.call_name is required")
    if not till.config.cart_keeps_names:
        info = {name: value for name, value in info.items() if name not in {"local_id", "uuid"}}
    fields = {name: info[name] for name in _ORDER_FIELDS if info.get(name) is not None}
    fields |= {"web_order": True} | ({"uuid": str(info["uuid"])} if info.get("uuid") else {})
    return Cart(site, tuple(_ware(till, site, item, place) for place, item in enumerate(items, 1)), fields)


def _ware(till: Till, site: Site, item: object, place: int) -> Ware:
    if not isinstance(item, dict):
        msg = f"Item {place} is not an object"
        raise CartError(msg)
    product = _product(till, item.get("product"))
    if product is None or not product["establishment"].endswith(f"/{site.establishment}/"):
        msg = f"Product {item.get('product')} not found"
        raise CartError(msg)
    if not product["active"]:
        msg = f"Product {product['name']} is not available"
        raise CartError(msg)
    quantity = _number(item.get("quantity"), f"Item {place}: quantity")
    if quantity <= 0:
        msg = f"Item {place}: quantity must be positive"
        raise CartError(msg)
    price = _number(item.get("price", product["price"]), f"Item {place}: price")
    if price < 0:
        msg = f"Item {place}: price must not be negative"
        raise CartError(msg)
    return Ware(product, quantity, price, item.get("special_request"), item.get("product_name_override"))


def _product(till: Till, given: object) -> Row | None:
    if isinstance(given, int) and not isinstance(given, bool):
        return till.tables.get("Product", given)
    if isinstance(given, str):
        return till.tables.get("Product", int(given)) if given.isdecimal() else till.tables.at(given, "Product")
    return None


def _number(given: object, what: str) -> Decimal:
    try:
        number = Decimal("NaN") if isinstance(given, bool) else Decimal(str(given))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        msg = f"{what} must be a number"
        raise CartError(msg)
    return number
