"""Statistics of links: series, comparisons, values of a dimension. All from what the load keeps, so none grows with clicks.

Clicks are kept by the quarter of an hour, of which the hours, days, weeks and months of every time zone are sums. Values of
dimensions, and whether a visitor is new, go by the UTC day.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import asyncpg

from mainstem.platform.calendar import Bots, Span, Step, starts, zone_of
from mainstem.platform.db import Connection, load_queries
from mainstem.platform.errors import InvalidFieldError
from mainstem.vault.engine import ZERO_KEY, hash_key
from mainstem.vault.model import LINK

MAX_POINTS: Final = 1_500
MAX_LINKS: Final = 1_000
"""Most links of a campaign, tag or host whose statistics are added up."""
_sql: Final = load_queries("mainstem.links", "stats.sql")


class Dimension(StrEnum):
    """What clicks can be broken down by."""

    COUNTRY = "country"
    CITY = "city"
    REFERRER = "referrer"
    CHANNEL = "channel"
    DEVICE = "device"
    OS = "os"
    BROWSER = "browser"
    LANGUAGE = "language"
    SOURCE = "source"
    VARIANT = "variant"
    CAMPAIGN = "campaign"


@dataclass(frozen=True, slots=True)
class Point:
    """Clicks of one hour, day, week or month."""

    at: datetime
    clicks: int
    visitors: int


@dataclass(frozen=True, slots=True)
class LinkShare:
    """A link and its clicks in a span of time."""

    tracking_id: str
    link_id: int | None
    host: str | None
    slug: str | None
    title: str | None
    clicks: int


def key_of(tenant_id: int, tracking_id: str) -> bytes:
    """Return the key of a link in the vault and in the statistics."""
    return hash_key(tenant_id, LINK, tracking_id)


async def keys_of(
    connection: Connection, tenant_id: int, *, campaign_id: int | None, tag: str | None, host: str | None
) -> list[bytes]:
    """Return the keys of a campaign's, tag's or host's links; the zero key when nothing is asked for.

    Raises InvalidFieldError when they are too many to be added up.
    """
    if campaign_id is None and tag is None and host is None:
        return [ZERO_KEY]
    rows = await connection.fetch(_sql["tracking_ids"], tenant_id, campaign_id, tag, host, MAX_LINKS + 1)
    if len(rows) > MAX_LINKS:
        raise InvalidFieldError(f"These are more than {MAX_LINKS:,} links; ask for fewer.", field="tag")
    return [key_of(tenant_id, row["tracking_id"]) for row in rows]


async def series(  # noqa: PLR0913 - a series has this many sides
    connection: Connection,
    tenant_id: int,
    key: bytes | Sequence[bytes],
    start: datetime,
    end: datetime,
    *,
    step: Step,
    zone: str,
    bots: Bots,
) -> list[Point]:
    """Return a point for every hour, day, week or month that the span touches, empty ones too.

    Raises InvalidFieldError for an unknown zone, an empty span, and one of more than MAX_POINTS.
    """
    places = zone_of(zone)
    if start >= end:
        raise InvalidFieldError("from must be before to.", field="from")
    beginnings: list[datetime] = []
    for beginning in starts(Span(start, end), step, places):
        beginnings.append(beginning)
        if len(beginnings) > MAX_POINTS:
            raise InvalidFieldError(f"from and to may be at most {MAX_POINTS:,} {step}s apart.", field="from")
    keys = [key] if isinstance(key, bytes) else list(key)
    rows = await connection.fetch(_sql["quarters"], tenant_id, keys, beginnings[0], end, bots.sides)
    clicks, visitors = [0] * len(beginnings), [0] * len(beginnings)
    for row in rows:
        place = bisect_right(beginnings, row["at"]) - 1
        clicks[place] += row["clicks"]
        visitors[place] += row["visitors"]
    return [Point(*point) for point in zip(beginnings, clicks, visitors, strict=True)]


async def top(  # noqa: PLR0913, PLR0917 - as series
    connection: Connection,
    tenant_id: int,
    key: bytes | Sequence[bytes],
    dimension: str,
    first: date,
    last: date,
    *,
    bots: Bots,
    limit: int,
) -> list[tuple[str, int]]:
    """Return the values of a dimension with most clicks on the UTC days from first to last, and their clicks."""
    keys = [key] if isinstance(key, bytes) else list(key)
    rows = await connection.fetch(_sql["top"], tenant_id, keys, dimension, first, last, bots.sides, limit)
    return [(row["value"], row["clicks"]) for row in rows]


async def top_links(  # noqa: PLR0913, PLR0917 - as series
    connection: Connection, tenant_id: int, first: date, last: date, bots: Bots, limit: int
) -> list[LinkShare]:
    """Return the links with most clicks on the UTC days from first to last.

    Of the five hundred that were clicked most since the beginning, and the five hundred that were clicked last.
    """
    rows = await connection.fetch(_sql["top_links"], tenant_id, first, last, bots.sides, limit)
    return [LinkShare(*row) for row in rows]


async def recent(
    connection: Connection, tenant_id: int, tracking_id: str, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """Return the newest clicks of a link, with `before` those that come after it in the list."""
    at, uid = before or (None, None)
    rows: list[asyncpg.Record] = await connection.fetch(_sql["clicks"], tenant_id, tracking_id, at, uid, limit)
    return rows


async def missed(connection: Connection, tenant_id: int, first: date, last: date, limit: int) -> list[asyncpg.Record]:
    """Return the paths that were asked for most and are no link, on the UTC days from first to last."""
    rows: list[asyncpg.Record] = await connection.fetch(_sql["missed"], tenant_id, first, last, limit)
    return rows
