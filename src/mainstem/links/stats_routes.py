"""The statistics API of links."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from mainstem.links import stats, store
from mainstem.links.answers import short_url
from mainstem.links.routes import base_of
from mainstem.links.stats import Dimension, LinkShare, Point
from mainstem.platform.answers import Moment
from mainstem.platform.auth import Caller
from mainstem.platform.calendar import Bots, Compare, Span, Step, zone_of
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Connection, Pool, transaction
from mainstem.platform.errors import InvalidFieldError, NotFoundError
from mainstem.platform.settings import Settings

DEFAULT_SPAN: Final = timedelta(days=30)
_LARGEST_ID: Final = 2**63 - 1
_ALL: Final = (Dimension.REFERRER, Dimension.COUNTRY, Dimension.DEVICE, Dimension.BROWSER, Dimension.SOURCE)
"""What is broken down when nothing is asked for."""


class StatsQuery(BaseModel):
    """What to count."""

    model_config = ConfigDict(extra="forbid")

    start: datetime | None = Field(
        default=None, alias="from", description="30 days before `to` when absent; no offset means the time zone's."
    )
    end: datetime | None = Field(default=None, alias="to", description="Now when absent; not part of the span.")
    interval: Step = Step.DAY
    timezone: str = Field(
        default="UTC", max_length=64, description="IANA name; hours, days, weeks and months are its own."
    )
    compare: Compare = Field(default=Compare.NONE, description="With the span before, or a year earlier.")
    bots: Bots = Bots.EXCLUDE
    by: list[Dimension] = Field(default_factory=lambda: list(_ALL), description="Breakdowns; their days are UTC days.")
    limit: int = Field(default=10, ge=1, le=500, description="Rows of a breakdown.")


class FilteredQuery(StatsQuery):
    """What to count, of which links."""

    campaign_id: int | None = Field(default=None, ge=0, lt=2**31)
    tag: str | None = Field(default=None, max_length=50)
    host: str | None = Field(default=None, max_length=300)


class Totals(BaseModel):
    """Clicks of a span."""

    clicks: int
    visitors: int = Field(description="Unique per UTC day, summed over the days.")


class Comparison(Totals):
    """The span that is compared with."""

    from_: Moment = Field(serialization_alias="from")
    to: Moment
    clicks_change: float | None = Field(description="0.25 is a quarter more; null when there was nothing.")
    visitors_change: float | None


class SeriesPoint(Totals):
    """Clicks of one hour, day, week or month."""

    at: Moment


class Value(BaseModel):
    """Clicks of one value of a dimension."""

    value: str
    clicks: int


class StatsOut(BaseModel):
    """Statistics of a span."""

    from_: Moment = Field(serialization_alias="from")
    to: Moment
    interval: Step
    timezone: str
    bots: Bots
    totals: Totals
    comparison: Comparison | None
    series: list[SeriesPoint]
    breakdowns: dict[str, list[Value]]
    timestamp: Moment


class TopLink(BaseModel):
    """A link and its clicks."""

    tracking_id: str
    id: int | None = Field(description="Null: never registered, or deleted.")
    short_url: str | None
    title: str | None
    clicks: int


class AllStatsOut(StatsOut):
    """Statistics of all links, or of those asked for."""

    links: list[TopLink] = Field(
        description="Those with most clicks on the UTC days of the span, of the thousand that were clicked most or last; of all links only."
    )


class ClickOut(BaseModel):
    """One click."""

    id: UUID
    clicked_at: Moment
    click_source: str | None
    referrer_url: str | None
    target_url: str | None
    device: str | None
    os: str | None
    browser: str | None
    is_bot: bool
    bot_reason: str | None
    country: str | None
    city: str | None
    language: str | None
    rule: int | None
    variant: int | None
    session_id: str | None


class ClickList(BaseModel):
    """A page of clicks, newest first."""

    items: list[ClickOut]
    next_cursor: str | None


class MissedOut(BaseModel):
    """Visits of one address that is no link."""

    host: str
    path: str
    visits: int
    bot_visits: int
    last_at: Moment


class MissedList(BaseModel):
    """Addresses that are no link, those that people ask for most first."""

    items: list[MissedOut]


def build_stats_router(
    *, pool: Callable[[], Pool], require: Callable[[str], Callable[..., Awaitable[Caller]]], settings: Settings
) -> APIRouter:
    """Return the routes; all need the scope read."""
    router = APIRouter(prefix="/api/v1/links", tags=["links"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type

    @router.get("/stats", summary="Clicks of all links, or of a campaign, tag or domain")
    async def all_stats(caller: Reader, request: Request, query: Annotated[FilteredQuery, Query()]) -> AllStatsOut:
        base = base_of(request, settings)
        tag = None if query.tag is None else query.tag.replace("\x00", "")
        host = None if query.host is None else query.host.replace("\x00", "")
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            keys = await stats.keys_of(connection, caller.tenant_id, campaign_id=query.campaign_id, tag=tag, host=host)
            found = await _stats(connection, caller.tenant_id, keys, query)
            shares = []
            if query.campaign_id is None and tag is None and host is None:
                first, last = _days(Span(found.from_, found.to))
                shares = await stats.top_links(connection, caller.tenant_id, first, last, query.bots, query.limit)
        return AllStatsOut(**found.model_dump(), links=[_top(share, base) for share in shares])

    @router.get("/missed", summary="Visits of addresses that are no link")
    async def missed(
        caller: Reader,
        days: Annotated[int, Query(ge=1, le=366)] = 30,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> MissedList:
        today = utc_now().date()
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows = await stats.missed(connection, caller.tenant_id, today - timedelta(days=days - 1), today, limit)
        items = [{**dict(row), "visits": row["visits"] or 0, "bot_visits": row["bot_visits"] or 0} for row in rows]
        return MissedList(items=[MissedOut(**item) for item in items])

    @router.get("/{link_id}/stats", summary="Clicks of a link")
    async def one_stats(caller: Reader, link_id: int, query: Annotated[StatsQuery, Query()]) -> StatsOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            link = await _link(connection, caller.tenant_id, link_id)
            key = stats.key_of(caller.tenant_id, link["tracking_id"])
            return await _stats(connection, caller.tenant_id, [key], query)

    @router.get("/{link_id}/clicks", summary="Clicks of a link one by one, newest first")
    async def clicks(
        caller: Reader,
        link_id: int,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> ClickList:
        before = _before(cursor)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            link = await _link(connection, caller.tenant_id, link_id)
            rows = await stats.recent(connection, caller.tenant_id, link["tracking_id"], before=before, limit=limit + 1)
        items = [ClickOut(**dict(row)) for row in rows[:limit]]
        return ClickList(items=items, next_cursor=_after(items[-1]) if len(rows) > limit else None)

    return router


async def _stats(connection: Connection, tenant_id: int, keys: Sequence[bytes], query: StatsQuery) -> StatsOut:
    zone = zone_of(query.timezone)
    end = _aware(query.end, query.timezone, "to") if query.end is not None else utc_now()
    start = _aware(query.start, query.timezone, "from") if query.start is not None else end - DEFAULT_SPAN
    span = Span(start, end)

    async def count(one: Span) -> list[Point]:
        return await stats.series(
            connection, tenant_id, keys, one.start, one.end, step=query.interval, zone=query.timezone, bots=query.bots
        )

    points = await count(span)
    # whole hours, days, weeks or months: the first one begins before `from` where that is in the middle of it
    span = Span(points[0].at, end)
    totals = _sum(points)
    other = span.before(query.compare, zone)
    comparison = None if other is None else _compared(other, _sum(await count(other)), totals)
    first, last = _days(span)
    breakdowns = {
        str(dimension): [
            Value(value=value, clicks=clicks)
            for value, clicks in await stats.top(
                connection,
                tenant_id,
                keys,
                dimension,
                first,
                last,
                bots=query.bots,
                limit=query.limit,
            )
        ]
        for dimension in dict.fromkeys(query.by)
    }
    return StatsOut(
        from_=span.start,
        to=end,
        interval=query.interval,
        timezone=query.timezone,
        bots=query.bots,
        totals=totals,
        comparison=comparison,
        series=[SeriesPoint(at=point.at, clicks=point.clicks, visitors=point.visitors) for point in points],
        breakdowns=breakdowns,
        timestamp=utc_now(),
    )


def _days(span: Span) -> tuple[date, date]:
    """Return the UTC days that a span touches."""
    last = span.end - timedelta(microseconds=1)
    return span.start.astimezone(UTC).date(), last.astimezone(UTC).date()


def _compared(span: Span, then: Totals, now: Totals) -> Comparison:
    return Comparison(
        from_=span.start,
        to=span.end,
        clicks=then.clicks,
        visitors=then.visitors,
        clicks_change=_change(then.clicks, now.clicks),
        visitors_change=_change(then.visitors, now.visitors),
    )


def _change(then: int, now: int) -> float | None:
    return None if then == 0 else round((now - then) / then, 4)


def _sum(points: Sequence[Point]) -> Totals:
    return Totals(clicks=sum(point.clicks for point in points), visitors=sum(point.visitors for point in points))


def _aware(moment: datetime, zone: str, field: str) -> datetime:
    if not 1970 < moment.year < 9000:
        raise InvalidFieldError(f"{field} must be between the years 1971 and 8999.", field=field)
    return moment.replace(tzinfo=zone_of(zone)) if moment.tzinfo is None else moment


def _top(share: LinkShare, base_url: str) -> TopLink:
    known = share.host is not None and share.slug is not None
    return TopLink(
        tracking_id=share.tracking_id,
        id=share.link_id,
        short_url=short_url(share.host or "", share.slug or "", base_url) if known else None,
        title=share.title,
        clicks=share.clicks,
    )


async def _link(connection: Connection, tenant_id: int, link_id: int) -> asyncpg.Record:
    rows = await store.read(connection, tenant_id, [link_id]) if 0 <= link_id <= _LARGEST_ID else []
    if not rows:
        raise NotFoundError(f"Link {link_id} not found")
    return rows[0]


def _after(click: ClickOut) -> str:
    return base64.urlsafe_b64encode(f"{rfc3339(click.clicked_at)}|{click.id}".encode()).decode().rstrip("=")


def _before(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        at, _, uid = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("|")
        moment = datetime.fromisoformat(at)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)), UUID(uid)
    except ValueError:
        raise InvalidFieldError("cursor must be the next_cursor of a list.", field="cursor") from None
