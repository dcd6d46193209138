"""Orders made, and changed, row by row: Revel's resource API, which knows no whole.

An order is marked as not complete by its first call and loses the mark by its last. What fails in between is undone: the order
is voided, or the items that were added to it are. Where that fails too, the outcome is unknown, and the mark tells of it.
"""

from typing import Any
from uuid import UUID

from mainstem.connectors.ports import (
    NotThereError,
    OutcomeUnknownError,
    Plan,
    PlannedItem,
    RefusedError,
    SinkOrder,
    UpstreamError,
)
from mainstem.connectors.revel.client import key_of
from mainstem.connectors.revel.desk import ITEMS, ORDERS, Desk
from mainstem.connectors.revel.shapes import (
    Held,
    is_whole,
    item_uuid,
    missing_and_surplus,
    notes,
    order_fields,
    plain,
)

_FAILED = (RefusedError, UpstreamError, OutcomeUnknownError, NotThereError)
_GIVEN_UP = "not completed"


class Maker:
    """Makes and changes orders by the resource API."""

    def __init__(self, desk: Desk) -> None:
        """Keep the desk."""
        self._desk = desk

    async def make(self, plan: Plan, uuid: UUID) -> SinkOrder:
        """Make an order. Raises RefusedError and UpstreamError (nothing is left of it), OutcomeUnknownError."""
        order_id = await self._begun(plan, uuid)
        try:
            for place, item in enumerate(plan.items, start=1):
                await self._add(order_id, str(uuid), plan, place, item)
            await self._desk.change(order_id, order_fields(plan, self._desk.rules.zone, unfinished=False))
            return await self._whole(order_id, plan)
        except _FAILED as error:
            await self._undo(order_id, error)
            raise

    async def replace(self, held: Held, plan: Plan) -> SinkOrder:
        """Change an open order to a plan: what it lacks is added first, then what is too much is voided.

        Raises RefusedError and UpstreamError (it is as it was), OutcomeUnknownError.
        """
        order_id, desk = held.order_id, self._desk
        missing, surplus = missing_and_surplus(plan, held.live)
        if not missing and not surplus:
            await desk.change(order_id, order_fields(plan, desk.rules.zone, unfinished=False))
            return await self._as_planned(order_id, plan)
        before = str(held.order.get("notes") or "")
        await desk.change(order_id, {"notes": notes(plan, unfinished=True)})
        try:
            uuid = str(held.order.get("uuid") or "")
            # of an order that was changed and changed back the former items are void: new ones need names of their own
            tag = f"{plan.order_hash}\n{len(held.items)}"
            for place, item in missing:
                await self._add(order_id, uuid, plan, place, item, tag=tag)
        except _FAILED as error:
            await self._take_back(held, before, error)
            raise
        try:
            await desk.void_items(surplus, "booking changed")
            await desk.change(order_id, order_fields(plan, desk.rules.zone, unfinished=False))
        except _FAILED as error:
            raise OutcomeUnknownError(f"Order {order_id} was changed in part. {error}") from error
        return await self._as_planned(order_id, plan)

    async def _begun(self, plan: Plan, uuid: UUID) -> str:
        desk, rules = self._desk, self._desk.rules
        staff = await desk.staff(plan.establishment)
        body = {
            **staff,
            **order_fields(plan, rules.zone, unfinished=True),
            "establishment": f"/enterprise/Establishment/{plan.establishment}/",
            "uuid": str(uuid),
            "local_id": plan.local_id,
            "dining_option": rules.dining_option,
            "pos_mode": rules.pos_mode,
            "web_order": True,
        }
        given = await desk.client.changed("POST", ORDERS, body)
        order_id = key_of(given.get("id")) if isinstance(given, dict) else None
        if order_id is None:
            raise OutcomeUnknownError(f"POST {ORDERS}: The order came back without an id.")
        return order_id

    async def _add(  # noqa: PLR0913 - what an item is made of
        self, order_id: str, uuid: str, plan: Plan, place: int, item: PlannedItem, *, tag: str | None = None
    ) -> None:
        desk = self._desk
        staff = await desk.staff(plan.establishment)
        name = str(item_uuid(uuid, tag or plan.order_hash, place))
        price = await desk.price(item.product) if item.price is None else plain(item.price)
        body: dict[str, Any] = {
            "uuid": name,
            "order": f"{ORDERS}{order_id}/",
            "product": f"/resources/Product/{item.product}/",
            "product_name_override": item.name,
            "quantity": plain(item.quantity),
            "price": price,
            "initial_price": price,
            "special_request": item.note or "",
            "dining_option": desk.rules.dining_option,
            "station": staff["created_at"],
            "created_by": staff["created_by"],
            "temp_sort": place,
            "modifier_amount": 0,
            "tax_amount": 0,
            "tax_rate": 0,
        }
        try:
            await desk.client.changed("POST", ITEMS, body)
        except OutcomeUnknownError:
            # its answer was lost; it is there, or all is undone
            if not any(row.get("uuid") == name for row in (await desk.read(order_id)).live):
                raise

    async def _undo(self, order_id: str, error: Exception) -> None:
        """Void an order that could not be completed. Raises OutcomeUnknownError, or UpstreamError if it was its cause."""
        try:
            await self._desk.void(order_id, _GIVEN_UP)
        except _FAILED as again:
            raise OutcomeUnknownError(f"Order {order_id} was made in part, and can't be voided. {again}") from error
        if not isinstance(error, RefusedError):
            raise UpstreamError(f"Order {order_id} could not be completed, and was voided. {error}") from error

    async def _take_back(self, held: Held, before: str, error: Exception) -> None:
        """Void the items that were added, so that an order is what it was. Raises OutcomeUnknownError, UpstreamError."""
        order_id, desk = held.order_id, self._desk
        known = {item.get("id") for item in held.items}
        try:
            added = [item for item in (await desk.read(order_id)).live if item.get("id") not in known]
            await desk.void_items(added, _GIVEN_UP)
            await desk.change(order_id, {"notes": before})
        except _FAILED as again:
            raise OutcomeUnknownError(f"Order {order_id} was changed in part. {again}") from error
        if not isinstance(error, RefusedError):
            raise UpstreamError(f"Order {order_id} could not be changed, and is what it was. {error}") from error

    async def _as_planned(self, order_id: str, plan: Plan) -> SinkOrder:
        try:
            return await self._whole(order_id, plan)
        except _FAILED as error:
            raise OutcomeUnknownError(f"Order {order_id} was changed. {error}") from error

    async def _whole(self, order_id: str, plan: Plan) -> SinkOrder:
        found = (await self._desk.read(order_id)).value()
        if not is_whole(plan, found):
            raise UpstreamError(f"Order {order_id} is not what was asked for.")
        return found
