"""Tools about tracked links: find them, and what was clicked."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
from pydantic import BaseModel, Field

from mainstem.assistant.ports import Arguments, Hints, Tool, ToolContext
from mainstem.assistant.tools.words import Text
from mainstem.links import stats, store
from mainstem.links.stats import Dimension
from mainstem.platform.answers import Moment
from mainstem.platform.calendar import Bots, Step
from mainstem.platform.errors import NotFoundError

_LARGEST_ID: Final = 2**63 - 1
_TOP: Final = 5
_READS: Final = Hints(read_only=True, idempotent=True)


class SearchLinks(Arguments):
    """Which links."""

    search: Text | None = Field(
        default=None, max_length=200, description="Beginning of a slug, words of the title, or a tracking id."
    )
    tag: Text | None = Field(default=None, max_length=50)
    by_clicks: bool = Field(default=False, description="Most clicked first; else the newest first.")
    limit: int = Field(default=10, ge=1, le=50)


class LinkFound(BaseModel):
    """A tracked link."""

    link_id: int
    tracking_id: str
    slug: str
    target_url: str
    title: str | None
    tags: list[str]
    active: bool
    clicks: int = Field(description="Of people, since the beginning.")
    last_clicked_at: Moment | None


class LinksFound(BaseModel):
    """Links that were found."""

    links: list[LinkFound]
    more: bool = Field(description="Whether there are more than these.")


class LinkStats(Arguments):
    """What to count."""

    link_id: int | None = Field(default=None, ge=0, le=_LARGEST_ID, description="One link; all links when absent.")
    days: int = Field(default=30, ge=1, le=366, description="Days up to now.")


class Share(BaseModel):
    """Clicks of one value."""

    value: str
    clicks: int


class LinkStatsOut(BaseModel):
    """Clicks of a span of days."""

    link_id: int | None
    title: str | None
    days: int
    clicks: int
    visitors: int = Field(description="Unique per UTC day, summed over the days.")
    clicks_before: int = Field(description="In as many days before.")
    top_referrers: list[Share]
    top_sources: list[Share]
    top_links: list[Share] = Field(description="Of all links; empty for one link.")


async def search_links(context: ToolContext, given: SearchLinks) -> LinksFound:
    """Return the links that match."""
    connection, tenant_id = context.connection, context.caller.tenant_id
    wanted = store.Filter(search=given.search, tag=given.tag)
    places = await store.ids_of(
        connection, tenant_id, wanted, by_clicks=given.by_clicks, after=None, limit=given.limit + 1
    )
    rows = await store.read(connection, tenant_id, [link_id for _, link_id in places[: given.limit]])
    return LinksFound(links=[_found(row) for row in rows], more=len(places) > given.limit)


async def link_stats(context: ToolContext, given: LinkStats) -> LinkStatsOut:
    """Return the clicks of a link or of all links."""
    connection, tenant_id = context.connection, context.caller.tenant_id
    title, keys = None, await stats.keys_of(connection, tenant_id, campaign_id=None, tag=None, host=None)
    if given.link_id is not None:
        rows = await store.read(connection, tenant_id, [given.link_id])
        if not rows:
            raise NotFoundError(f"Link {given.link_id} not found")
        title, keys = rows[0]["title"], [stats.key_of(tenant_id, rows[0]["tracking_id"])]
    span = timedelta(days=given.days)
    now = await _counted(context, keys, context.now - span, context.now)
    before = await _counted(context, keys, context.now - 2 * span, context.now - span)
    first, last = (context.now - span).astimezone(UTC).date(), context.now.astimezone(UTC).date()

    async def shares(dimension: Dimension) -> list[Share]:
        found = await stats.top(connection, tenant_id, keys, dimension, first, last, bots=Bots.EXCLUDE, limit=_TOP)
        return [Share(value=value, clicks=clicks) for value, clicks in found]

    links = []
    if given.link_id is None:
        links = await stats.top_links(connection, tenant_id, first, last, Bots.EXCLUDE, _TOP)
    return LinkStatsOut(
        link_id=given.link_id,
        title=title,
        days=given.days,
        clicks=now[0],
        visitors=now[1],
        clicks_before=before[0],
        top_referrers=await shares(Dimension.REFERRER),
        top_sources=await shares(Dimension.SOURCE),
        top_links=[Share(value=one.title or one.slug or one.tracking_id, clicks=one.clicks) for one in links],
    )


async def _counted(context: ToolContext, keys: Sequence[bytes], start: datetime, end: datetime) -> tuple[int, int]:
    points = await stats.series(
        *(context.connection, context.caller.tenant_id, keys, start, end),
        step=Step.DAY,
        zone=context.zone.key,
        bots=Bots.EXCLUDE,
    )
    return sum(point.clicks for point in points), sum(point.visitors for point in points)


def _found(row: asyncpg.Record) -> LinkFound:
    told = dict(row)
    return LinkFound(**{name: told[name] for name in LinkFound.model_fields})


TOOLS: Final[tuple[Tool[Any], ...]] = (
    Tool(
        name="search_links",
        title="Search links",
        description="Find tracked links by slug, title or tag, the newest or the most clicked first.",
        arguments=SearchLinks,
        result=LinksFound,
        scope="read",
        hints=_READS,
        run=search_links,
    ),
    Tool(
        name="link_stats",
        title="Link statistics",
        description="Count the clicks of one tracked link, or of all, over the last days, with where they came from.",
        arguments=LinkStats,
        result=LinkStatsOut,
        scope="read",
        hints=_READS,
        run=link_stats,
    ),
)
