"""Revel as a sink for orders: found by name, made whole, changed, voided. It decides nothing: what it can't tell, it raises."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from mainstem.connectors.ports import (
    NotThereError,
    OutcomeUnknownError,
    Plan,
    Probe,
    RefusedError,
    SinkOrder,
    UpstreamError,
)
from mainstem.connectors.revel.client import RevelClient
from mainstem.connectors.revel.desk import ITEMS, ORDERS, Desk, RevelRules, WriteApi, checked, number_of
from mainstem.connectors.revel.making import Maker
from mainstem.connectors.revel.shapes import cart, is_whole, order_id_of

CART: Final = "/specialresources/cart/"
_UNHANDLED: Final = "unhandled error"
_PRODUCTS: Final = "/resources/Product/"
_SHOP: Final = "/weborders/products/"


class RevelSink:
    """Makes orders at one instance of Revel."""

    def __init__(self, client: RevelClient, rules: RevelRules) -> None:
        """Keep both."""
        self._client = client
        self._rules = rules
        self._desk = Desk(client, rules)
        self._maker = Maker(self._desk)

    async def find(self, plan_local_id: str, uuid: UUID, establishment: str) -> list[SinkOrder]:
        """Return the orders of this name, voided ones too. Raises UpstreamError: then nothing may be submitted."""
        return [held.value(plan_local_id) for held in await self._desk.named(plan_local_id, uuid, establishment)]

    async def submit(self, plan: Plan) -> SinkOrder:
        """Make the order, whole or not at all. Raises RefusedError, UpstreamError, OutcomeUnknownError."""
        checked(plan)
        # a last look: a live order of this name that turns up only now must not get a twin
        there = await self._desk.named(plan.local_id, plan.uuid, plan.establishment)
        live = [held.order_id for held in there if not held.voided]
        if live:
            raise OutcomeUnknownError(f"There is an order named {plan.local_id} already: {', '.join(live)}.")
        uuid = _fresh(plan.uuid, len(there))
        if self._rules.write_api is WriteApi.RESOURCE:
            return await self._maker.make(plan, uuid)
        return await self._by_cart(plan, uuid)

    async def replace(self, order: SinkOrder, plan: Plan) -> SinkOrder:
        """Change an open order to a new plan. Raises RefusedError (it is closed, say), UpstreamError, OutcomeUnknownError."""
        checked(plan)
        try:
            held = await self._desk.read(order.order_id)
        except NotThereError:
            raise RefusedError(f"Order {order.order_id} is no longer there.") from None
        if held.closed or held.voided:
            raise RefusedError(f"Order {order.order_id} is {'closed' if held.closed else 'void'}: it can't be changed.")
        return await self._maker.replace(held, plan)

    async def void(self, order: SinkOrder, reason: str) -> None:
        """Void an order; one that is void stays so. Raises RefusedError, UpstreamError, OutcomeUnknownError."""
        await self._desk.void(order.order_id, reason)

    async def orders(self, establishment: str, since: date, until: date) -> AsyncIterator[Sequence[SinkOrder]]:
        """Yield pages of this connector's orders made on some days, both included. Raises UpstreamError."""
        filters = {
            "establishment": number_of(establishment),
            "local_id__startswith": self._rules.prefix,
            "created_date__gte": f"{since.isoformat()}T00:00:00",
            "created_date__lt": f"{(until + timedelta(days=1)).isoformat()}T00:00:00",
        }
        async for page in self._client.pages(ORDERS, filters):
            ours = [row for row in page if str(row.get("local_id") or "").startswith(self._rules.prefix)]
            if ours:
                yield [held.value() for held in await self._desk.with_items(ours)]

    async def products(self, establishment: str) -> list[tuple[str, str]]:
        """Return the products of an establishment as (id, name). Raises UpstreamError.

        Where the key may not read products, those of the web shop: some accounts have one and not the other.
        """
        here = number_of(establishment)
        try:
            rows: Sequence[Mapping[str, Any]] = await self._client.all(_PRODUCTS, {"establishment": here})
        except UpstreamError as error:
            if error.status not in {401, 403}:
                raise
            given = await self._client.first_page(_SHOP, {"establishment": here, "limit": "10000"})
            rows = _listed(given)
        return [(str(row["id"]), str(row.get("name") or "")) for row in rows if row.get("id") is not None]

    async def probe(self, establishment: str = "") -> list[Probe]:
        """Return what the key may read, one line for each resource in use; nothing is written."""
        here = {"establishment": establishment} if establishment else {}
        today = datetime.now(self._rules.zone).date()
        paths: dict[str, Mapping[str, str]] = {
            ORDERS: {**here, "limit": "1", "created_date__gte": f"{today}T00:00:00"},
            ITEMS: {"limit": "1"},
            _PRODUCTS: {**here, "limit": "1"},
            "/enterprise/Establishment/": {"limit": "1"},
        }
        if self._rules.write_api is WriteApi.RESOURCE:
            paths |= {"/enterprise/User/": {"limit": "1"}, "/resources/PosStation/": {"limit": "1"}}
        found = [await _probed(path, self._client.first_page(path, query)) for path, query in paths.items()]
        if self._rules.write_api is WriteApi.CART:
            found.append(await self._probed_cart(establishment))
        return found

    async def _probed_cart(self, establishment: str) -> Probe:
        """Have an empty cart checked: it is refused, by somebody who may be asked."""
        body = {"skin": "weborder", "establishmentId": int(establishment or 0), "items": [], "orderInfo": {}}
        try:
            await self._checked_cart("validate", body)
        except RefusedError:
            return Probe(CART, ok=True, sentence="may be used", status=400)
        except UpstreamError as error:
            return Probe(CART, ok=False, sentence=str(error), status=error.status)
        return Probe(CART, ok=True, sentence="may be used", status=200)

    async def _by_cart(self, plan: Plan, uuid: UUID) -> SinkOrder:
        rules = self._rules
        body = cart(plan, uuid, rules.zone, dining_option=rules.dining_option, payment_type=rules.payment_type)
        await self._checked_cart("validate", body)
        await self._checked_cart("calculate", body)
        path = f"{CART}submit/"
        given = await self._client.changed("POST", path, body, content_type=rules.cart_content_type)
        fault = _fault(given)
        if fault is not None:
            sentence = self._client.sentence_of(fault)
            if _UNHANDLED in sentence.lower():
                raise OutcomeUnknownError(f"POST {path}: {sentence}")
            raise RefusedError(f"POST {path}: {sentence}")
        order_id = order_id_of(given)
        if order_id is None:
            raise OutcomeUnknownError(f"POST {path}: The order came back without an id.")
        return await self._submitted(order_id, plan)

    async def _submitted(self, order_id: str, plan: Plan) -> SinkOrder:
        """Return an order that was just made, named as it must be to be found again."""
        try:
            held = await self._desk.read(order_id)
            if held.order.get("local_id") != plan.local_id:
                await self._desk.change(order_id, {"local_id": plan.local_id})
            made = held.value(plan.local_id)
            return made if is_whole(plan, made) else replace(made, complete=False)
        except (RefusedError, NotThereError, UpstreamError, OutcomeUnknownError) as error:
            raise OutcomeUnknownError(f"Order {order_id} was made, and can't be read or named now. {error}") from error

    async def _checked_cart(self, step: str, body: Mapping[str, Any]) -> None:
        path = f"{CART}{step}/"
        given = await self._client.asked(path, body, content_type=self._rules.cart_content_type)
        fault = _fault(given)
        if fault is not None:
            raise RefusedError(f"POST {path}: {self._client.sentence_of(fault)}")


def _fresh(uuid: UUID, voided: int) -> UUID:
    """Return the uuid of a name's next order: each that was voided has used one up."""
    return uuid if voided == 0 else uuid5(uuid, str(voided))


def _fault(given: object) -> object:
    """Return what an answer of the cart says against it: it may do so with status 200."""
    return given.get("error") or None if isinstance(given, Mapping) else None


def _listed(given: object) -> list[Mapping[str, Any]]:
    listed = given
    if isinstance(given, Mapping):
        listed = next((given[name] for name in ("objects", "results", "data") if name in given), None)
    if not isinstance(listed, list):
        raise UpstreamError(f"GET {_SHOP}: It is no list.")
    return [row for row in listed if isinstance(row, Mapping)]


async def _probed(path: str, asking: Awaitable[object]) -> Probe:
    try:
        await asking
    except UpstreamError as error:
        return Probe(path, ok=False, sentence=str(error), status=error.status)
    return Probe(path, ok=True, sentence="may be used", status=200)
