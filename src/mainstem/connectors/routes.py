"""The connectors API: deliveries of sources, syncs, and what connectors know and did (CONTRACTS part E)."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from mainstem.connectors import deliveries, runs
from mainstem.connectors.answers import delivery_out, diff_out, order_out, run_out, sync_failed, sync_out
from mainstem.connectors.generic.build import OWN
from mainstem.connectors.models import (
    ConnectorList,
    ConnectorOut,
    DeliveryAnswer,
    DeliveryList,
    DiffOut,
    OrderList,
    RunList,
    StepOut,
    SyncOut,
    SyncRefusal,
)
from mainstem.connectors.running import Connectors, Running
from mainstem.connectors.sync import OverlapError
from mainstem.platform.auth import Caller
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import NotFoundError, PayloadTooLargeError
from mainstem.platform.paging import PageQuery
from mainstem.platform.settings import Settings

PREFIX: Final = "/api/connectors"
SYNC: Final = "/api/sync"
NOT_STORED: Final = "NOT_STORED"
"""Reason of a delivery that could not be made durable."""
_REFUSAL: Final[dict[str, Any]] = {"model": SyncRefusal, "description": "A refusal, in the shape of a sync."}
_HOURS: Final = 48
_MOST_HOURS: Final = 744
log = structlog.get_logger(__name__)
Build = Callable[[str], Callable[..., Awaitable[Caller]]]


def build_router(  # noqa: C901, PLR0915 - a list of routes
    *, pool: Callable[[], Pool], require: Build, connectors: Callable[[], Connectors]
) -> APIRouter:
    """Return the routes of `/api/connectors` and `/api/sync`; all need the scope connectors."""
    router = APIRouter(tags=["connectors"])
    Operator = Annotated[Caller, Depends(require("connectors"))]  # noqa: N806 - a type

    async def running(caller: Caller, name: str) -> Running:
        return await connectors().get(name, caller.tenant)

    async def synced(
        caller: Caller, name: str, event_id: str | None, hours_back: int | None, *, dry_run: bool
    ) -> SyncOut:
        one = await running(caller, name)
        if not one.connector.enabled:
            mode = "bulk" if event_id is None else "single"
            return sync_failed(mode, "The connector is switched off or not set up.", dry_run=dry_run)
        if event_id is not None:
            return sync_out(await one.sync.single(event_id, dry_run=dry_run, by=caller.subject))
        now = one.flow.clock()
        since = now - timedelta(hours=_HOURS if hours_back is None else hours_back)
        try:
            return sync_out(await one.sync.bulk(since, now, dry_run=dry_run, by=caller.subject))
        except OverlapError:
            return sync_failed("bulk", "Another run of this connector is under way.", dry_run=dry_run)

    EventId = Annotated[  # noqa: N806 - a type
        str | None, Query(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$", description="One booking.")
    ]
    HoursBack = Annotated[  # noqa: N806 - a type
        int | None, Query(ge=1, le=_MOST_HOURS, description="Bookings that changed or take place since (48).")
    ]
    DryRun = Annotated[bool | None, Query(description="Tell what would be done, and write nothing.")]  # noqa: N806 - a type

    @router.post(
        SYNC + "/{name}",
        summary="Bring orders to where their bookings are: one, or those of some hours",
        responses={"default": _REFUSAL},
    )
    async def sync(
        caller: Operator, name: str, event_id: EventId = None, hours_back: HoursBack = None, dry_run: DryRun = None
    ) -> SyncOut:
        return await synced(caller, name, event_id, hours_back, dry_run=dry_run is True)

    @router.get(
        SYNC + "/{name}",
        summary="The same as POST, for clients of old installations",
        responses={"default": _REFUSAL},
    )
    async def sync_by_get(
        caller: Operator, name: str, event_id: EventId = None, hours_back: HoursBack = None, dry_run: DryRun = None
    ) -> SyncOut:
        return await synced(caller, name, event_id, hours_back, dry_run=dry_run is True)

    @router.get(PREFIX, summary="The connectors and how they are")
    async def list_connectors(caller: Operator) -> ConnectorList:
        mine = [name for name, one in connectors().all.items() if one.tenant == caller.tenant]
        items = [await state_of(caller, name) for name in mine]
        return ConnectorList(items=items, total=len(items))

    async def state_of(caller: Caller, name: str) -> ConnectorOut:
        one = await running(caller, name)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            state = await runs.state(connection, caller.tenant_id, name)
            latest, _ = await runs.page(connection, caller.tenant_id, name, limit=1, offset=0)
            next_at = await runs.next_at(connection, caller.tenant_id, name)
        connector = one.connector
        return ConnectorOut(
            name=name,
            enabled=connector.enabled,
            dry_run=connector.dry_run,
            establishment=connector.rules.establishment,
            site_id=connector.rules.site_id,
            statuses=sorted(connector.rules.statuses),
            paths=list(connector.paths),
            interval_minutes=connector.every.total_seconds() / 60,
            next_run_at=next_at if connector.enabled else None,
            bookings=state["bookings"],
            orders=runs.counts(state["orders"]),
            open_deliveries=state["open_deliveries"],
            last_delivery_at=state["last_delivery_at"],
            last_run=run_out(latest[0]) if latest else None,
        )

    @router.get(PREFIX + "/{name}", summary="One connector")
    async def get_connector(caller: Operator, name: str) -> ConnectorOut:
        return await state_of(caller, name)

    @router.get(PREFIX + "/{name}/runs", summary="Runs, the latest first")
    async def list_runs(caller: Operator, name: str, page: PageQuery) -> RunList:
        await running(caller, name)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows, total = await runs.page(connection, caller.tenant_id, name, limit=page.limit, offset=page.offset)
        return RunList.model_validate(page.answer([run_out(row) for row in rows], total))

    @router.get(PREFIX + "/{name}/diff", summary="What the latest run, or a certain one, found to differ")
    async def diff(caller: Operator, name: str, run_id: Annotated[int | None, Query(ge=1, lt=2**63)] = None) -> DiffOut:
        await running(caller, name)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            found = await runs.read(connection, caller.tenant_id, name, run_id)
        if found is None and run_id is not None:
            raise NotFoundError(f"Run {run_id} not found")
        return diff_out(found)

    @router.get(PREFIX + "/{name}/orders", summary="The order ledger, the latest rows first")
    async def list_orders(
        caller: Operator,
        name: str,
        page: PageQuery,
        state: Annotated[str | None, Query(max_length=20)] = None,
        event_id: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
    ) -> OrderList:
        await running(caller, name)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows, total = await runs.orders(
                connection,
                caller.tenant_id,
                name,
                state=state,
                booking_id=event_id,
                limit=page.limit,
                offset=page.offset,
            )
        return OrderList.model_validate(page.answer([order_out(row) for row in rows], total))

    @router.get(PREFIX + "/{name}/orders/{order_key}/steps", summary="Every step of an order: who, what, when")
    async def list_steps(caller: Operator, name: str, order_key: int) -> list[StepOut]:
        await running(caller, name)
        rows = []
        if 0 < order_key < 2**63:
            async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
                rows = await runs.steps(connection, caller.tenant_id, name, order_key)
        if not rows:
            raise NotFoundError(f"Order {order_key} not found")
        return [StepOut(**dict(row)) for row in rows]

    @router.get(PREFIX + "/{name}/deliveries", summary="Deliveries as they came, the latest first")
    async def list_deliveries(
        caller: Operator,
        name: str,
        page: PageQuery,
        event_id: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
    ) -> DeliveryList:
        await running(caller, name)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows, total = await deliveries.page(
                connection, caller.tenant_id, name, booking_id=event_id, limit=page.limit, offset=page.offset
            )
        return DeliveryList.model_validate(page.answer([delivery_out(row) for row in rows], total))

    @router.post(
        PREFIX + "/{name}/deliveries/{delivery_id}/replay", status_code=202, summary="Work on a delivery again"
    )
    async def replay(caller: Operator, name: str, delivery_id: int) -> dict[str, Any]:
        await running(caller, name)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            found = 0 < delivery_id < 2**63 and await deliveries.replay(connection, caller.tenant_id, name, delivery_id)
        if not found:
            raise NotFoundError(f"Delivery {delivery_id} not found, not done with, or its body is not kept.")
        return {"delivery_id": delivery_id, "status": "queued"}

    return router


def build_inbox_router(
    *, settings: Settings, connectors: Callable[[], Connectors], paths: tuple[str, ...]
) -> APIRouter:
    """Return the routes that sources post their deliveries to; a signature is what lets them in."""
    router = APIRouter(tags=["connectors"])

    async def receive(request: Request) -> JSONResponse:
        return await received(request, connectors().at(request.url.path))

    @router.post(
        OWN + "/{name}",
        summary="A delivery for a connector of CONNECTOR_FILES, signed as Standard Webhooks",
        response_model=DeliveryAnswer,
    )
    async def receive_own(request: Request, name: str) -> JSONResponse:
        path = f"{OWN}/{name}"
        return await received(request, connectors().at(path))

    async def received(request: Request, name: str | None) -> JSONResponse:
        body = await _body(request, settings.max_body_bytes)
        if name is None:
            raise NotFoundError
        headers = {key.lower(): value for key, value in request.headers.items()}
        try:
            one = await connectors().get(name)
            answer = await one.inbox.receive(headers, body)
        except Exception:
            # the one case in which the sender is to send it again
            log.exception("connector_delivery_not_stored", connector=name)
            refusal = DeliveryAnswer(ok=False, processed=False, reason=NOT_STORED)
            return JSONResponse(refusal.model_dump(), status_code=500)
        return JSONResponse(dict(answer.body), status_code=answer.status)

    for path in paths:
        router.add_api_route(
            path,
            receive,
            methods=["POST"],
            summary="A delivery of Tripleseat, signed in X-Signature",
            response_model=DeliveryAnswer,
            operation_id=f"receive{path.replace('/', '_')}",
        )
    return router


async def _body(request: Request, most: int) -> bytes:
    kept = bytearray()
    async for part in request.stream():
        kept += part
        if len(kept) > most:
            raise PayloadTooLargeError(f"A delivery has at most {most} bytes.")
    return bytes(kept)
