"""The feed of site events: which kinds, how they are staged, and what the business layer makes of a stage."""

from mainstem.platform.db import load_queries
from mainstem.site.digest import SiteDigest
from mainstem.site.stage import stage
from mainstem.vault.feed import Feed
from mainstem.vault.model import SITE_COLUMNS, SITE_STRUCTURES

_QUERIES = load_queries("mainstem.site", "load.sql")
_DIGESTED = load_queries("mainstem.site", "digest.sql")

SITE_FEED = Feed(
    name="site",
    kinds=("page.*", "site.*"),
    columns=SITE_COLUMNS,
    stage=stage,
    structures=SITE_STRUCTURES,
    business=tuple(_QUERIES.values()),
    digested=tuple(_DIGESTED.values()),
    digest=SiteDigest,
)
