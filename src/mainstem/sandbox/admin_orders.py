"""Orders as somebody at the point of sale sees and changes them, below /admin/orders."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from mainstem.sandbox.answers import answer, read_object
from mainstem.sandbox.revel.tables import Row
from mainstem.sandbox.revel.till import Till, Ware
from mainstem.sandbox.venues import SITES

Handler = Callable[[Request], Awaitable[Response]]


class WareDraft(BaseModel):
    """An item that somebody rings up."""

    model_config = ConfigDict(extra="forbid")

    product: int
    quantity: Decimal = Field(default=Decimal(1), gt=0)
    price: Decimal | None = None


class OrderDraft(BaseModel):
    """An order, or what somebody changes about one."""

    model_config = ConfigDict(extra="forbid")

    establishment: int = SITES[0].establishment
    local_id: str | None = None
    call_name: str | None = None
    notes: str | None = None
    items: list[WareDraft] | None = Field(default=None, min_length=1)
    closed: bool | None = None
    voided: bool | None = None
    voided_reason: str | None = None
    subtotal: float | None = None
    final_total: float | None = None


class OrdersAdmin:
    """The routes, on the till of the moment."""

    def __init__(self, till: Callable[[], Till]) -> None:
        """Keep how to get at the till."""
        self._till = till

    def table(self) -> list[tuple[str, str, Handler]]:
        """Return path, method and handler of each route."""
        return [
            ("/orders", "GET", self.listed),
            ("/orders", "POST", self.made),
            ("/orders/{order_id:int}", "GET", self.one),
            ("/orders/{order_id:int}", "PATCH", self.changed),
            ("/orders/{order_id:int}", "DELETE", self.deleted),
        ]

    async def listed(self, request: Request) -> Response:
        """Return all orders, or those of a `local_id`."""
        till, local_id = self._till(), request.query_params.get("local_id")
        orders = [row for row in till.tables.all("Order") if local_id is None or row["local_id"] == local_id]
        return answer({"orders": [_shown(till, row) for row in orders], "total": len(orders)})

    async def one(self, request: Request) -> Response:
        """Return one order."""
        order = self._found(request)
        return _missing() if order is None else answer(_shown(self._till(), order))

    async def made(self, request: Request) -> Response:
        """Ring an order up by hand."""
        till, draft = self._till(), OrderDraft.model_validate(await read_object(request))
        site = next((site for site in SITES if site.establishment == draft.establishment), None)
        wares = _wares(till, draft.items or [WareDraft(product=SITES[0].first_product)])
        if site is None or wares is None:
            return answer({"error": "no such establishment or product"}, 422)
        fields = draft.model_dump(exclude_none=True, include={"local_id", "call_name", "notes"})
        return answer(_shown(till, till.ring_up(site, wares, fields)), 201)

    async def changed(self, request: Request) -> Response:
        """Change an order, whatever its state: its items, its totals, or close or void it."""
        till, order = self._till(), self._found(request)
        if order is None:
            return _missing()
        draft = OrderDraft.model_validate(await read_object(request))
        if draft.items is not None:
            wares = _wares(till, draft.items)
            if wares is None:
                return answer({"error": "no such product"}, 422)
            till.replace_items(order, wares)
        fields = draft.model_dump(exclude_unset=True, exclude={"items", "establishment"})
        till.change_order(order, fields, by_hand=True)
        return answer(_shown(till, order))

    async def deleted(self, request: Request) -> Response:
        """Delete an order without a trace."""
        order = self._found(request)
        if order is None:
            return _missing()
        self._till().remove_order(order)
        return Response(status_code=204)

    def _found(self, request: Request) -> Row | None:
        return self._till().tables.get("Order", request.path_params["order_id"])


def _wares(till: Till, drafts: list[WareDraft]) -> list[Ware] | None:
    wares = []
    for draft in drafts:
        product = till.tables.get("Product", draft.product)
        if product is None:
            return None
        price = Decimal(str(product["price"])) if draft.price is None else draft.price
        wares.append(Ware(product, draft.quantity, price))
    return wares


def _shown(till: Till, order: Row) -> dict[str, Any]:
    """Return an order with its items in full."""
    items = [
        {
            "id": item["id"],
            "product": int(item["product"].rstrip("/").rpartition("/")[2]),
            "name": (till.tables.at(item["product"], "Product") or {}).get("name"),
            "quantity": item["quantity"],
            "price": item["price"],
            "special_request": item["special_request"],
            "voided": item["voided_date"] is not None,
        }
        for item in till.items(order)
    ]
    number = int(order["establishment"].rstrip("/").rpartition("/")[2])
    return {**order, "establishment_id": number, "items": items}


def _missing() -> Response:
    return answer({"error": "no such order"}, 404)
