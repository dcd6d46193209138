"""A sink by configuration: orders as JSON over HTTP. It needs a way to look for an order by its name, for doubt is settled by looking."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from mainstem.connectors.calling import Caller, Reply, Request
from mainstem.connectors.generic.file import Call, Create, OrderFields, SinkPart
from mainstem.connectors.generic.pages import Pages
from mainstem.connectors.generic.place import Place
from mainstem.connectors.generic.template import Values, address, filled, written
from mainstem.connectors.generic.values import FaultError, number_of, text_of, truth_of
from mainstem.connectors.ports import (
    OutcomeUnknownError,
    Plan,
    PlannedItem,
    Probe,
    RefusedError,
    SinkOrder,
    UpstreamError,
)
from mainstem.platform.clock import utc_now

_encoder: Final = msgspec.json.Encoder(decimal_format="number")
_LONGEST_SENTENCE: Final = 300
_DAY: Final = timedelta(days=1)


class GenericSink:
    """Where the orders of a file go."""

    def __init__(self, part: SinkPart, prefix: str, caller: Caller) -> None:
        """Keep the parts; nothing is called yet. `prefix`: how the names of this connector's orders begin."""
        self._part = part
        self._prefix = prefix
        self._caller = caller
        self._reader = OrderReader(part.order)
        self._find = Pages(caller, part.find, part.headers)
        self._orders = Pages(caller, part.orders, part.headers)

    async def find(self, plan_local_id: str, uuid: UUID, establishment: str) -> list[SinkOrder]:
        """Return the orders of this name, voided ones too. Raises UpstreamError: then nothing may be submitted."""
        values = {"local_id": plan_local_id, "uuid": str(uuid), "establishment": establishment}
        rows = await self._find.all(values)
        # whether it heeds the filter is not ours to know
        return [order for row in rows if (order := self._read(row)).local_id == plan_local_id]

    async def submit(self, plan: Plan) -> SinkOrder:
        """Make the order. Raises RefusedError, UpstreamError, OutcomeUnknownError."""
        return await self._made(self._part.create, plan, {})

    async def replace(self, order: SinkOrder, plan: Plan) -> SinkOrder:
        """Change an order to a new plan. Raises RefusedError, UpstreamError, OutcomeUnknownError."""
        if self._part.replace is None:
            raise RefusedError("The file names no call that changes an order.")
        if order.closed:
            raise RefusedError("The order is closed.")
        return await self._made(self._part.replace, plan, {"order_id": order.order_id})

    async def void(self, order: SinkOrder, reason: str) -> None:
        """Void an order; one that is void stays so. Raises RefusedError, UpstreamError, OutcomeUnknownError."""
        if order.voided:
            return
        if self._part.void is None:
            raise RefusedError("The file names no call that voids an order.")
        values = {"order_id": order.order_id, "local_id": order.local_id, "reason": reason}
        # whoever voids twice has voided once
        await self._change(self._part.void, values, (), may_repeat=True)

    async def orders(self, establishment: str, since: date, until: date) -> AsyncIterator[Sequence[SinkOrder]]:
        """Yield pages of this connector's orders of some days. Raises UpstreamError."""
        values = {"establishment": establishment, "since": since.isoformat(), "until": until.isoformat()}
        async for rows in self._orders.read(values):
            found = [self._read(row) for row in rows]
            yield [order for order in found if order.local_id.startswith(self._prefix)]

    async def products(self, establishment: str) -> list[tuple[str, str]]:
        """Return the products as (id, name); none where the file names no list. Raises UpstreamError."""
        part = self._part.products
        if part is None:
            return []
        product, name = Place.parse(part.product), Place.parse(part.name)
        rows = await Pages(self._caller, part, self._part.headers).all({"establishment": establishment})
        found = [(text_of(product.of(row)), text_of(name.of(row)) or "") for row in rows]
        known = [(id_, called) for id_, called in found if id_ is not None]
        if len(known) < len(found):
            raise UpstreamError(f"{len(found) - len(known)} products have no id at {part.product!r}.")
        return known

    async def probe(self) -> list[Probe]:
        """Return whether orders may be read."""
        today = utc_now().date()
        try:
            async for _ in self._orders.read({"establishment": "", "since": str(today - _DAY), "until": str(today)}):
                break
        except UpstreamError as error:
            return [Probe("orders", ok=False, sentence=str(error), status=error.status)]
        found = [Probe("orders", ok=True, sentence="Orders may be read.")]
        if self._part.products is not None:
            try:
                await self.products("")
            except UpstreamError as error:
                return [*found, Probe("products", ok=False, sentence=str(error), status=error.status)]
            found.append(Probe("products", ok=True, sentence="Products may be read."))
        return found

    async def _made(self, call: Create, plan: Plan, more: Values) -> SinkOrder:
        items = [_item(item) for item in plan.items]
        reply = await self._change(call, {**_plan(plan), **more}, items, may_repeat=call.may_repeat)
        given = Place.parse(call.at).of(reply.json)
        try:
            made = self._reader.order(given, local_id=plan.local_id)
        except FaultError as error:
            # it says yes, and not what it has made
            raise OutcomeUnknownError(f"The order can't be read in the answer: {error}") from error
        return made

    async def _change(self, call: Call, values: Values, items: Sequence[Values], *, may_repeat: bool) -> Reply:
        body = filled(call.body, values, items)
        headers = {name: written(text, values) for name, text in {**self._part.headers, **call.headers}.items()}
        headers = {"Accept": "application/json", **headers}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        sent = None if body is None else _encoder.encode(body)
        request = Request(call.method, address(call.url, values), headers, sent)
        reply = await self._caller.change(request, may_repeat=may_repeat)
        if reply.status < 400:
            return reply
        if reply.status in {401, 403, 404} or not reply.is_json:
            # about the call, not about the order
            raise UpstreamError(f"{request.shown}: It does not take it ({reply.status}).", status=reply.status)
        if reply.status == 409:
            # most say so of an order that is there already: looking will tell
            raise OutcomeUnknownError(f"{request.shown}: {_reason(reply.json)} (409)")
        raise RefusedError(f"{request.shown}: {_reason(reply.json)} ({reply.status})")

    def _read(self, row: Mapping[str, Any]) -> SinkOrder:
        try:
            return self._reader.order(row)
        except FaultError as error:
            raise UpstreamError(f"An order can't be read: {error}") from error


class OrderReader:
    """Reads orders as the sink writes them."""

    def __init__(self, part: OrderFields) -> None:
        """Parse the places."""
        self._part = part
        texts = {name: getattr(part, name) for name in part.__struct_fields__}
        self._at = {name: Place.parse(text) for name, text in texts.items() if isinstance(text, str)}

    def order(self, given: Any, *, local_id: str | None = None) -> SinkOrder:  # noqa: ANN401 - any JSON
        """Return an order; `local_id` is its name where the answer does not repeat it. Raises FaultError."""
        order_id, name = text_of(self._value("order_id", given)), text_of(self._value("local_id", given)) or local_id
        if order_id is None:
            raise FaultError(f"no id at {self._part.order_id!r}")
        return SinkOrder(
            order_id=order_id,
            local_id=name or "",
            uuid=text_of(self._value("uuid", given)),
            items=self._items(given),
            total=number_of(self._value("total", given)),
            voided=truth_of(self._value("voided", given), self._part.voided_when),
            closed=truth_of(self._value("closed", given), self._part.closed_when),
        )

    def _items(self, given: Any) -> dict[str, Decimal]:  # noqa: ANN401 - any JSON
        rows = self._value("items", given)
        found: dict[str, Decimal] = {}
        for row in rows if isinstance(rows, list) else ():
            product, quantity = text_of(self._at["product"].of(row)), number_of(self._at["quantity"].of(row))
            if product is None or quantity is None:
                raise FaultError("an item without product or quantity")
            found[product] = found.get(product, Decimal(0)) + quantity
        return found

    def _value(self, name: str, given: Any) -> Any:  # noqa: ANN401 - any JSON
        place = self._at.get(name)
        return None if place is None else place.of(given)


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "local_id": plan.local_id,
        "uuid": str(plan.uuid),
        "establishment": plan.establishment,
        "title": plan.title,
        "on": plan.on.isoformat(),
        "starts_at": None if plan.starts_at is None else plan.starts_at.isoformat(),
        "guests": plan.guests,
        "notes": plan.notes,
        "total": plan.total,
        "order_hash": plan.order_hash,
    }


def _item(item: PlannedItem) -> dict[str, Any]:
    return {
        "product": item.product,
        "name": item.name,
        "quantity": item.quantity,
        "price": item.price,
        "note": item.note,
    }


def _reason(given: Any) -> str:  # noqa: ANN401 - any JSON
    """Return what an answer gives as its reason: the usual members, else all of it, cut short."""
    if isinstance(given, Mapping):
        for name in ("detail", "message", "error", "title"):
            if isinstance(given.get(name), str):
                return str(given[name])[:_LONGEST_SENTENCE]
    text = msgspec.json.encode(given).decode() if given is not None else "no reason given"
    return text[:_LONGEST_SENTENCE]
