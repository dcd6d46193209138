"""What is done with orders of Revel one by one: found, read, voided. Whatever can't be told is raised."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from mainstem.connectors.calling import together
from mainstem.connectors.ports import NotThereError, OutcomeUnknownError, Plan, RefusedError, UpstreamError
from mainstem.connectors.revel.client import RevelClient, Row, key_of
from mainstem.connectors.revel.shapes import Held, is_named

ORDERS: Final = "/resources/Order/"
ITEMS: Final = "/resources/OrderItem/"
_MOST_OF_A_NAME: Final = 400
_MOST_ITEMS: Final = 2_000
_ORDERS_AT_ONCE: Final = 50
_LONGEST_REASON: Final = 200


class WriteApi(StrEnum):
    """How orders are made."""

    CART = "cart"
    """As a web shop does it: checked, worked out and made by Revel, whole."""
    RESOURCE = "resource"
    """Row by row, for accounts without the cart API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevelRules:
    """How this account wants its orders."""

    zone: ZoneInfo
    """The establishment's: Revel's times have none."""
    prefix: str = "Triple Seat_"
    """What the names of a connector's orders begin with."""
    write_api: WriteApi = WriteApi.CART
    dining_option: int = 0
    pos_mode: str = "T"
    payment_type: int | None = None
    """Type of the payment that closes an order; None: it is left open."""
    user_id: str | None = None
    """Who makes the orders; None: the establishment's first user."""
    station_id: str | None = None
    """Where they are made; None: its first station."""
    cart_content_type: str = "application/json"
    """Some instances take `text/plain` only."""


class Desk:
    """Finds, reads and voids orders."""

    def __init__(self, client: RevelClient, rules: RevelRules) -> None:
        """Keep both."""
        self.client = client
        self.rules = rules
        self._staff: dict[str, dict[str, str]] = {}

    async def named(self, local_id: str, uuid: UUID, establishment: str) -> list[Held]:
        """Return the orders of a name, voided ones too. Raises UpstreamError."""
        here = {"establishment": number_of(establishment)}
        searches = [{"local_id": local_id}, {"uuid": str(uuid)}]
        if self.rules.write_api is WriteApi.CART:
            searches.append({"call_name__startswith": f"{local_id} "})
        lists = await together(
            *(self.client.all(ORDERS, {**here, **search}, most=_MOST_OF_A_NAME) for search in searches)
        )
        rows = {str(row.get("id")): row for rows in lists for row in rows if is_named(row, local_id, uuid)}
        return await self.with_items(list(rows.values()))

    async def with_items(self, orders: Sequence[Row]) -> list[Held]:
        """Return orders with their items. Raises UpstreamError."""
        ids = [key for order in orders if (key := key_of(order.get("id"))) is not None]
        if len(ids) != len(orders):
            raise UpstreamError("An order came without an id.")
        if not ids:
            return []
        items: defaultdict[str | None, list[Row]] = defaultdict(list)
        for start in range(0, len(ids), _ORDERS_AT_ONCE):
            for item in await self._items_of(ids[start : start + _ORDERS_AT_ONCE]):
                items[key_of(item.get("order"))].append(item)
        return [Held(order, tuple(items[key])) for order, key in zip(orders, ids, strict=True)]

    async def _items_of(self, ids: Sequence[str]) -> list[Row]:
        if len(ids) == 1:
            return await self.client.all(ITEMS, {"order": ids[0]}, most=_MOST_ITEMS)
        try:
            return await self.client.all(ITEMS, {"order__in": ",".join(ids)}, most=_MOST_ITEMS * len(ids))
        except UpstreamError as error:
            if error.status != 400:
                raise
        # not every field may be filtered by a list
        return [item for order_id in ids for item in await self._items_of([order_id])]

    async def read(self, order_id: str) -> Held:
        """Return an order as it is now. Raises NotThereError, UpstreamError."""
        order = await self.client.one(f"{ORDERS}{number_of(order_id)}/")
        if key_of(order.get("id")) != order_id:
            raise UpstreamError(f"Asked for order {order_id}, Revel sent another one.")
        return (await self.with_items([order]))[0]

    async def change(self, order_id: str, fields: dict[str, Any]) -> None:
        """Set fields of an order. Raises RefusedError, UpstreamError, OutcomeUnknownError."""
        await self.client.changed("PATCH", f"{ORDERS}{number_of(order_id)}/", fields, may_repeat=True)

    async def void(self, order_id: str, reason: str) -> None:
        """Void an order with all its items; one that is void, or gone, stays so.

        Raises RefusedError (it is closed, or stays), UpstreamError (nothing was done), OutcomeUnknownError.
        """
        try:
            held = await self.read(order_id)
        except NotThereError:
            return
        if held.voided:
            return
        if held.closed:
            raise RefusedError(f"Order {order_id} is closed: what was paid can't be voided.")
        why = reason[:_LONGEST_REASON] or "void"
        refusal: RefusedError | None = None
        try:
            await self.change(order_id, {"voided": True, "voided_reason": why})
        except RefusedError as error:
            refusal = error
        held = await self._read_after(order_id)
        if not held.voided:
            # an order that can't be voided as a whole is void when all its items are
            try:
                await self.void_items(held.live, why)
            except UpstreamError as error:
                raise OutcomeUnknownError(f"Order {order_id} may be void in part. {error}") from error
            held = await self._read_after(order_id)
        if not held.voided:
            raise refusal or RefusedError(f"Revel keeps order {order_id}: it has to be voided at the till.")

    async def void_items(self, items: Iterable[Row], reason: str) -> None:
        """Void items. Raises RefusedError, UpstreamError, OutcomeUnknownError; then some may be void."""
        at = datetime.now(self.rules.zone).replace(tzinfo=None).isoformat(timespec="seconds")
        for item in items:
            path = f"{ITEMS}{number_of(key_of(item.get('id')))}/"
            await self.client.changed("PATCH", path, {"voided_date": at, "voided_reason": reason}, may_repeat=True)

    async def staff(self, establishment: str) -> dict[str, str]:
        """Return who makes orders of an establishment, and where, as fields of an order. Raises UpstreamError."""
        known = self._staff.get(establishment)
        if known is None:
            user = self.rules.user_id or await self._first("/enterprise/User/", establishment)
            station = self.rules.station_id or await self._first("/resources/PosStation/", establishment)
            user_uri, station_uri = f"/enterprise/User/{user}/", f"/resources/PosStation/{station}/"
            known = self._staff[establishment] = {
                "created_by": user_uri,
                "updated_by": user_uri,
                # fields that sound like times, and are stations
                "created_at": station_uri,
                "last_updated_at": station_uri,
            }
        return known

    async def price(self, product: str) -> Any:  # noqa: ANN401 - the number as it came
        """Return the price that Revel has for a product. Raises RefusedError, UpstreamError."""
        try:
            row = await self.client.one(f"/resources/Product/{number_of(product)}/")
        except NotThereError:
            raise RefusedError(f"Revel has no product {product}.") from None
        return row.get("price")

    async def _first(self, path: str, establishment: str) -> str:
        here = f"/enterprise/Establishment/{establishment}/"
        for row in await self.client.all(path, {"establishment": establishment}):
            key = key_of(row.get("id"))
            if key is not None and row.get("establishment") in {here, None} and row.get("active") is not False:
                return key
        raise UpstreamError(f"GET {path}: Establishment {establishment} has none; name one in the settings.")

    async def _read_after(self, order_id: str) -> Held:
        try:
            return await self.read(order_id)
        except (NotThereError, UpstreamError) as error:
            raise OutcomeUnknownError(f"Order {order_id} was changed, and can't be read now. {error}") from None


def number_of(key: str | None) -> str:
    """Return an id that may stand in an address. Raises RefusedError."""
    found = key_of(key)
    if found is None or found != key:
        raise RefusedError("That is no id of Revel's.")
    return found


def checked(plan: Plan) -> None:
    """Raise RefusedError where a plan can't be an order of Revel."""
    number_of(plan.establishment)
    if not plan.items:
        raise RefusedError("An order without items is none.")
    for item in plan.items:
        number_of(item.product)
        if item.quantity <= 0 or (item.price is not None and item.price < 0):
            raise RefusedError(f"{item.name}: a quantity is more than nothing, a price not less.")
