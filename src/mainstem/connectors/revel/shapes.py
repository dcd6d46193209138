"""Orders as Revel has them and as they are sent to it: JSON ↔ values. Pure.

An order that is being made, or changed, says so in its notes until the last of its calls: whoever reads it in between, or
after something went wrong, sees that it is not whole.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID, uuid5

from mainstem.connectors.ports import Plan, PlannedItem, SinkOrder, UpstreamError
from mainstem.connectors.revel.client import Row, key_of

UNFINISHED: Final = "[not complete yet]"
_LONGEST_NAME: Final = 60
_LONGEST_NOTES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Held:
    """An order with its items, as read."""

    order: Row
    items: tuple[Row, ...]

    @property
    def order_id(self) -> str:
        """Revel's id."""
        return _known(key_of(self.order.get("id")))

    @property
    def live(self) -> tuple[Row, ...]:
        """Items that are not void."""
        return tuple(item for item in self.items if not _is_void(item))

    @property
    def voided(self) -> bool:
        """Whether it is void: it says so, or all its items are."""
        return _is_void(self.order) or (bool(self.items) and not self.live)

    @property
    def closed(self) -> bool:
        """Whether it is paid and done."""
        return self.order.get("closed") is True

    def value(self, local_id: str | None = None) -> SinkOrder:
        """Return it as connectors see it. `local_id`: its name, where it was known by another sign. Raises UpstreamError."""
        quantities: defaultdict[str, Decimal] = defaultdict(Decimal)
        for item in self.items if self.voided else self.live:
            quantities[_known(key_of(item.get("product")))] += _quantity(item)
        uuid = self.order.get("uuid")
        return SinkOrder(
            order_id=self.order_id,
            local_id=local_id or str(self.order.get("local_id") or ""),
            uuid=str(uuid) if uuid else None,
            items=dict(quantities),
            total=number(self.order.get("final_total")),
            voided=self.voided,
            closed=self.closed,
            complete=UNFINISHED not in str(self.order.get("notes") or ""),
        )


def is_named(order: Row, local_id: str, uuid: UUID) -> bool:
    """Tell whether an order is the one of a name: by it, by its uuid, or by how it is called.

    The last is for orders of the cart API, which may keep neither of the other two.
    """
    call_name = str(order.get("call_name") or "")
    return (
        order.get("local_id") == local_id
        or str(order.get("uuid") or "").lower() == str(uuid)
        or call_name.startswith(f"{local_id} ")
    )


def call_name(plan: Plan) -> str:
    """Return what an order is called on tickets: its name first, for it is found by that."""
    return f"{plan.local_id} {plan.title.strip() or '-'}"[: max(_LONGEST_NAME, len(plan.local_id) + 2)]


def notes(plan: Plan, *, unfinished: bool) -> str:
    """Return the notes of an order."""
    return (f"{UNFINISHED} " if unfinished else "") + plan.notes[:_LONGEST_NOTES]


def order_fields(plan: Plan, zone: tzinfo, *, unfinished: bool) -> dict[str, Any]:
    """Return what of an order may change with its booking."""
    fields: dict[str, Any] = {"call_name": call_name(plan), "notes": notes(plan, unfinished=unfinished)}
    if plan.guests is not None:
        fields["number_of_people"] = plan.guests
    if plan.starts_at is not None:
        # all times of Revel are the establishment's, without an offset
        fields["pickup_time"] = plan.starts_at.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")
    return fields


def cart(plan: Plan, uuid: UUID, zone: tzinfo, *, dining_option: int, payment_type: int | None) -> dict[str, Any]:
    """Return the cart of a plan. A price that the source does not tell is left to Revel."""
    info = {
        **order_fields(plan, zone, unfinished=False),
        "asap": plan.starts_at is None,
        "dining_option": dining_option,
        "local_id": plan.local_id,
        "uuid": str(uuid),
    }
    body: dict[str, Any] = {
        "skin": "weborder",
        "establishmentId": int(plan.establishment),
        "items": [_cart_item(item) for item in plan.items],
        "orderInfo": info,
    }
    if payment_type is not None and plan.total is not None:
        body["paymentInfo"] = {"type": payment_type, "amount": plain(plan.total), "tip": 0}
    return body


def _cart_item(item: PlannedItem) -> dict[str, Any]:
    sent: dict[str, Any] = {
        "product": int(item.product),
        "quantity": plain(item.quantity),
        "product_name_override": item.name,
        "special_request": item.note or "",
        "modifieritems": [],
    }
    return sent if item.price is None else {**sent, "price": plain(item.price)}


def missing_and_surplus(plan: Plan, live: Sequence[Row]) -> tuple[list[tuple[int, PlannedItem]], list[Row]]:
    """Return the items of a plan that an order lacks, with their places, and those that it has and the plan has not."""
    left = list(live)
    missing: list[tuple[int, PlannedItem]] = []
    for place, item in enumerate(plan.items, start=1):
        same = next((row for row in left if _is_same(item, row)), None)
        if same is None:
            missing.append((place, item))
        else:
            left.remove(same)
    return missing, left


def is_whole(plan: Plan, order: SinkOrder) -> bool:
    """Tell whether an order has just what a plan asks for."""
    wanted: defaultdict[str, Decimal] = defaultdict(Decimal)
    for item in plan.items:
        wanted[item.product] += item.quantity
    return order.complete and not order.voided and dict(order.items) == dict(wanted)


def item_uuid(order_uuid: str, order_hash: str, place: int) -> UUID:
    """Return the uuid of an item: the same whenever it is sent again."""
    try:
        namespace = UUID(order_uuid)
    except ValueError:
        raise UpstreamError("An order came without a uuid.") from None
    return uuid5(namespace, f"{order_hash}\n{place}")


def number(value: object) -> Decimal | None:
    """Return a finite number; None: it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):
        return None
    return found if found.is_finite() else None


def plain(value: Decimal) -> int | float:
    """Return a number as JSON has it."""
    return int(value) if value == value.to_integral_value() else float(value)


def _is_same(item: PlannedItem, row: Row) -> bool:
    price = number(row.get("price"))
    return (
        key_of(row.get("product")) == item.product
        and number(row.get("quantity")) == item.quantity
        and (item.price is None or price == item.price)
        and str(row.get("special_request") or "") == (item.note or "")
    )


def _is_void(row: Row) -> bool:
    return bool(row.get("voided") or row.get("voided_date") or row.get("deleted"))


def _quantity(item: Row) -> Decimal:
    quantity = number(item.get("quantity"))
    if quantity is None:
        raise UpstreamError("An item of an order came without a quantity.")
    return quantity


def _known(key: str | None) -> str:
    if key is None:
        raise UpstreamError("Something of an order came without an id.")
    return key


def order_id_of(given: object) -> str | None:
    """Return the id of the order that a cart became: `orderId`, at the top or under `data`; None when there is none."""
    for place in (given, given.get("data") if isinstance(given, Mapping) else None):
        if isinstance(place, Mapping):
            found = key_of(place.get("orderId")) or key_of(place.get("order_id"))
            if found is not None:
                return found
    return None
