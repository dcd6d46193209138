"""The feeds of links: clicks, changes of links, and visits that met none."""

from typing import Final

from mainstem.links.click import CLICKED, MISSED
from mainstem.links.digest import CLICK_TABLES, MISSED_TABLES, ClickDigest, MissedDigest
from mainstem.links.stage import stage_click, stage_link, stage_missed
from mainstem.platform.db import load_queries
from mainstem.vault.feed import Feed
from mainstem.vault.model import (
    CLICK_COLUMNS,
    CLICK_STRUCTURES,
    EVENT_COLUMNS,
    GENERAL,
    LINK_COLUMNS,
    LINK_STRUCTURES,
)

CHANGES: Final = ("link.created", "link.updated", "link.deleted")
"""Kinds of the changes of links."""
MISSED_COLUMNS: Final = (*EVENT_COLUMNS, ("host", "text"), ("path", "text"), ("is_bot", "bool"))

CLICK_FEED = Feed(
    name="click",
    kinds=(CLICKED,),
    columns=CLICK_COLUMNS,
    stage=stage_click,
    structures=CLICK_STRUCTURES,
    business=tuple(load_queries("mainstem.links", "load.sql").values()),
    digest=ClickDigest,
    digest_tables=CLICK_TABLES,
)
LINK_FEED = Feed(name="link", kinds=CHANGES, columns=LINK_COLUMNS, stage=stage_link, structures=LINK_STRUCTURES)
MISSED_FEED = Feed(
    name="missed",
    kinds=(MISSED,),
    columns=MISSED_COLUMNS,
    stage=stage_missed,
    structures=GENERAL,
    business=tuple(load_queries("mainstem.links", "missed.sql").values()),
    digest=MissedDigest,
    digest_tables=MISSED_TABLES,
)
FEEDS: Final = (CLICK_FEED, LINK_FEED, MISSED_FEED)
"""All feeds of links."""
