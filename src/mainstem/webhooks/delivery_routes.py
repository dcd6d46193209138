"""The webhooks API, what became of deliveries: lists, attempts, figures; the same sent again."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from mainstem.pii.box import Keyring
from mainstem.platform.auth import Caller
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, transaction
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.paging import PageQuery
from mainstem.platform.settings import Settings
from mainstem.webhooks import deliveries, replay, stats, store
from mainstem.webhooks.answers import (
    attempt_out,
    cursor_of,
    delivery_detail,
    delivery_out,
    number_of,
    replay_out,
    stats_out,
)
from mainstem.webhooks.delivery_models import AttemptList, DeliveryDetail, DeliveryList, StatsOut, Status
from mainstem.webhooks.draft import patterns
from mainstem.webhooks.models import RecoverIn, ReplayList, ReplayOut
from mainstem.webhooks.routes import PREFIX, scope

MAX_PAGE: Final = 500
_MOST_REPLAYS: Final = 100
_SPANS: Final = {stats.Interval.MINUTE: timedelta(hours=1), stats.Interval.HOUR: timedelta(days=1)}


def build_delivery_router(  # noqa: C901 - a list of routes
    *,
    pool: Callable[[], Pool],
    require: Callable[[str], Callable[..., Awaitable[Caller]]],
    settings: Settings,
    keyring: Callable[[], Keyring],
) -> APIRouter:
    """Return the routes; reading needs the scope read, sending again admin."""
    router = APIRouter(prefix="/api/v1", tags=["webhooks"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type
    webhook = PREFIX.removeprefix("/api/v1") + "/{webhook_id}"

    @router.get(webhook + "/deliveries", summary="Deliveries of an endpoint, the latest first")
    async def list_deliveries(  # noqa: PLR0913, PLR0917 - the filters of a list
        caller: Reader,
        webhook_id: int,
        page: PageQuery,
        status: Annotated[Status | None, Query()] = None,
        kind: Annotated[list[str] | None, Query(max_length=100, description="A kind or pattern of kinds.")] = None,
        since: Annotated[AwareDatetime | None, Query(description="Made at this time or later.")] = None,
        until: Annotated[AwareDatetime | None, Query(description="Made before this time.")] = None,
        cursor: Annotated[str | None, Query(max_length=100, description="next_cursor of the page before.")] = None,
    ) -> DeliveryList:
        wanted = deliveries.Wanted(
            status=status,
            kinds=patterns(kind or ["*"], field="kind"),
            since=_possible(since, "since"),
            until=_possible(until, "until"),
        )
        before = number_of(cursor)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await store.read(connection, caller.tenant_id, webhook_id)
            rows = await deliveries.page(
                connection,
                caller.tenant_id,
                webhook_id,
                wanted,
                before=before,
                limit=page.limit + 1,
                offset=page.offset if before is None else 0,
            )
            total = await deliveries.total(connection, caller.tenant_id, webhook_id, wanted)
        items = [delivery_out(row) for row in rows[: page.limit]]
        return DeliveryList.model_validate(
            {
                **page.answer(items, total.count),
                "total_is_exact": total.is_exact,
                "next_cursor": cursor_of(items[-1].id) if len(rows) > page.limit else None,
            }
        )

    @router.get(webhook + "/attempts", summary="Attempts of an endpoint, the latest first")
    async def list_attempts(
        caller: Reader,
        webhook_id: int,
        outcome: Annotated[str | None, Query(max_length=20, pattern="^[a-z]+$")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        cursor: Annotated[str | None, Query(max_length=100)] = None,
    ) -> AttemptList:
        before = number_of(cursor)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await store.read(connection, caller.tenant_id, webhook_id)
            rows = await deliveries.attempts(
                connection, caller.tenant_id, webhook_id, outcome=outcome, before=before, limit=limit + 1
            )
        items = [attempt_out(row) for row in rows[:limit]]
        return AttemptList(items=items, next_cursor=cursor_of(items[-1].id) if len(rows) > limit else None)

    @router.get(webhook + "/stats", summary="Attempts of an endpoint over time")
    async def get_stats(
        caller: Reader,
        webhook_id: int,
        start: Annotated[
            AwareDatetime | None, Query(alias="from", description="An hour, or with hours a day, before `to`.")
        ] = None,
        end: Annotated[AwareDatetime | None, Query(alias="to", description="Now when absent.")] = None,
        interval: Annotated[stats.Interval, Query()] = stats.Interval.MINUTE,
    ) -> StatsOut:
        until = _possible(end, "to") or utc_now()
        since = _possible(start, "from") or until - _SPANS[interval]
        if since >= until:
            raise InvalidFieldError("from must be before to.", field="from")
        if stats.points_of(since, until, interval) > stats.MOST_POINTS:
            detail = f"That is more than {stats.MOST_POINTS:,} points; ask for less, or for hours."
            raise InvalidFieldError(detail, field="from")
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await store.read(connection, caller.tenant_id, webhook_id)
            points = await stats.series(
                connection, caller.tenant_id, webhook_id, start=since, end=until, interval=interval
            )
        return stats_out(webhook_id, points, until, interval)

    @router.get("/deliveries/{delivery_id}", summary="A delivery with its event and attempts")
    async def get_delivery(caller: Reader, delivery_id: int) -> DeliveryDetail:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            return await detail(connection, caller.tenant_id, delivery_id)

    @router.post("/deliveries/{delivery_id}/resend", summary="Send a delivery again, under the same webhook-id")
    async def resend(caller: Admin, delivery_id: int) -> DeliveryDetail:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await deliveries.resend(connection, caller.tenant_id, delivery_id)
            return await detail(connection, caller.tenant_id, delivery_id)

    async def replayed(caller: Caller, webhook_id: int, body: RecoverIn) -> ReplayOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            made = await replay.begin(
                connection,
                scope(settings, keyring(), tenant_id=caller.tenant_id, by=caller.subject),
                webhook_id,
                mode=body.mode,
                since=body.since,
                until=body.until,
                kinds=body.kinds,
            )
            if body.mode == "failed":
                # most have few dead letters: those are queued with the answer
                await replay.step(connection, made)
            return replay_out(await replay.read(connection, caller.tenant_id, webhook_id, made))

    @router.post(webhook + "/recover", summary="Send the dead letters of a window again")
    async def recover(caller: Admin, webhook_id: int, body: RecoverIn) -> ReplayOut:
        return await replayed(caller, webhook_id, body)

    @router.post(webhook + "/replays", status_code=201, summary="Send again what died, or what was never sent")
    async def add_replay(caller: Admin, webhook_id: int, body: RecoverIn) -> ReplayOut:
        return await replayed(caller, webhook_id, body)

    @router.get(webhook + "/replays", summary="Replays of an endpoint, the latest first")
    async def list_replays(caller: Reader, webhook_id: int) -> ReplayList:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows = await replay.latest(connection, caller.tenant_id, webhook_id, limit=_MOST_REPLAYS)
        return ReplayList(items=[replay_out(row) for row in rows])

    @router.get(webhook + "/replays/{replay_id}", summary="How far a replay has come")
    async def get_replay(caller: Reader, webhook_id: int, replay_id: int) -> ReplayOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            return replay_out(await replay.read(connection, caller.tenant_id, webhook_id, replay_id))

    return router


async def detail(connection: Connection, tenant_id: int, delivery_id: int) -> DeliveryDetail:
    """Return a delivery as it is shown alone. Raises NotFoundError."""
    row = await deliveries.read(connection, tenant_id, delivery_id)
    return delivery_detail(row, await deliveries.attempts_of(connection, tenant_id, delivery_id))


def _possible(moment: datetime | None, field: str) -> datetime | None:
    if moment is not None and not 1_970 <= moment.year < 9_000:
        raise InvalidFieldError(f"{field} must be between the years 1970 and 8999.", field=field)
    return moment
