"""The mapping of items by the API: read, changed, imported, and proposals for what is missing."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from mainstem.connectors import items
from mainstem.connectors.answers import item_out
from mainstem.connectors.mapping import LONGEST, Entry, key_of, propose, read_csv, write_csv
from mainstem.connectors.models import (
    ImportOut,
    ItemIn,
    ItemList,
    ItemsIn,
    ProposalOut,
    UnmappedList,
    UnmappedOut,
)
from mainstem.connectors.ports import UpstreamError
from mainstem.connectors.routes import PREFIX
from mainstem.connectors.running import Connectors, Running
from mainstem.platform.auth import Caller
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import BadRequestError, InvalidFieldError

_CSV: Final = "text/csv"


def build_item_router(  # noqa: C901 - a list of routes
    *,
    pool: Callable[[], Pool],
    require: Callable[[str], Callable[..., Awaitable[Caller]]],
    connectors: Callable[[], Connectors],
) -> APIRouter:
    """Return the routes; all need the scope connectors."""
    router = APIRouter(prefix=PREFIX + "/{name}/items", tags=["connectors"])
    Operator = Annotated[Caller, Depends(require("connectors"))]  # noqa: N806 - a type

    async def place(caller: Caller, name: str) -> tuple[Running, tuple[int, str, str]]:
        one = await connectors().get(name, caller.tenant)
        return one, (caller.tenant_id, name, one.connector.rules.establishment)

    @router.get("", summary="The mapping of items to products")
    async def list_items(caller: Operator, name: str) -> ItemList:
        _, where = await place(caller, name)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows = await items.rows(connection, *where)
        return ItemList(items=[item_out(row) for row in rows], total=len(rows))

    @router.put("", summary="Add entries or change them; what waited for them is looked at again")
    async def put(caller: Operator, name: str, body: ItemsIn) -> ItemList:
        _, where = await place(caller, name)
        entries = [_entry(one, place) for place, one in enumerate(body.items)]
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await items.put(connection, *where, entries, by=caller.subject)
            rows = await items.rows(connection, *where)
        return ItemList(items=[item_out(row) for row in rows], total=len(rows))

    @router.delete("", status_code=204, summary="Delete the entry of an item")
    async def delete(
        caller: Operator,
        name: str,
        item: Annotated[str, Query(min_length=1, max_length=LONGEST, pattern=r"^[^\x00]*$")],
    ) -> None:
        _, where = await place(caller, name)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await items.delete(connection, *where, item)

    @router.get(
        "/export",
        summary="The mapping as a CSV file",
        response_class=Response,
        responses={200: {"content": {_CSV: {"schema": {"type": "string"}}}}},
    )
    async def export(caller: Operator, name: str) -> Response:
        _, where = await place(caller, name)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            entries = (await items.item_map(connection, *where)).values()
        headers = {"content-disposition": f'attachment; filename="{name}-items.csv"', "cache-control": "no-store"}
        return Response(write_csv(entries), media_type=_CSV, headers=headers)

    @router.post(
        "/import",
        summary="Take a CSV file in: item,product,product_name,ignore. All of it, or nothing",
        openapi_extra={"requestBody": {"content": {_CSV: {"schema": {"type": "string"}}}, "required": True}},
    )
    async def import_(
        caller: Operator,
        name: str,
        request: Request,
        replace: Annotated[bool | None, Query(description="The file is the whole mapping: others are deleted.")] = None,
    ) -> ImportOut:
        _, where = await place(caller, name)
        try:
            text = (await request.body()).decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequestError("The file is no UTF-8 text.") from None
        entries = read_csv(text, where[2])
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            gone = await items.put(connection, *where, entries, by=caller.subject, whole=replace is True)
        return ImportOut(imported=len(entries), deleted=gone)

    @router.get("/unmapped", summary="Items that hold bookings up, with products they might be")
    async def unmapped(caller: Operator, name: str) -> UnmappedList:
        one, where = await place(caller, name)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            found = await items.unmapped(connection, *where)
        products: list[tuple[str, str]] = []
        error = None
        if found and one.connector.products is not None:
            try:
                products = await one.connector.products(where[2])
            except UpstreamError as problem:
                error = str(problem)
        told = [
            UnmappedOut(
                item=item,
                bookings=bookings,
                proposals=[
                    ProposalOut(product=two.product, product_name=two.product_name, score=two.score)
                    for two in propose(item, products)
                ],
            )
            for item, bookings in found
        ]
        return UnmappedList(items=told, total=len(told), products_error=error)

    return router


def _entry(given: ItemIn, place: int) -> Entry:
    if not key_of(given.item):
        raise InvalidFieldError("An item has a name.", field=f"items.{place}.item")
    if given.ignore == bool(given.product):
        raise InvalidFieldError("An item has a product, or is ignored.", field=f"items.{place}.product")
    return Entry(given.item.strip(), given.product or None, given.product_name.strip())
